//! The documentation is true: its examples are sent to the real server, its tables are compared with
//! the code and with what the server exposes, its links lead somewhere.
//!
//! `docs/example.rs` says what counts as an example, `docs/readme.rs` what runs which command of the README. Tables are compared between marks in comments.

#[path = "docs/example.rs"]
mod example;
#[path = "docs/exposed.rs"]
mod exposed;
#[path = "docs/readme.rs"]
mod readme;
#[path = "docs/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use example::{Request, blocks, compare, examples};
use ml_inference_api::model::Manifest;
use ml_inference_api::service::ErrorCode;
use server::Server;

#[test]
fn examples_give_the_answers_that_the_documents_show() {
    let server = Server::start(&[
        "models",
        "tests/fixtures/models/add-one.onnx",
        "tests/fixtures/models/columns.onnx",
        "tests/fixtures/models/slow.onnx",
    ]);
    let (mut tried, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for file in ["docs/api.md", "docs/models.md", "docs/operations.md"] {
        for example in examples(&read(file)) {
            *tried.entry(file).or_default() += 1;
            let answer = server.send(&example.request);
            if let Err(problem) = compare("", &example.answer, &answer.body) {
                let (path, came) = (&example.request.path, &answer.body);
                wrong.push(format!("{file}: {} {path}: {problem}\n  came: {came}", example.request.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let enough = [("docs/api.md", 12)];
    let short: Vec<_> = enough.iter().filter(|(file, least)| tried.get(file).unwrap_or(&0) < least).collect();
    assert!(short.is_empty(), "fewer examples than expected were found: {tried:?}");
}

#[test]
fn the_readme_shows_what_its_commands_answer() {
    let (ran, wrong) = readme::run(&read("README.md"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran >= 10, "only {ran} blocks of README.md were run");
}

#[test]
fn an_answer_that_is_not_what_the_readme_shows_is_seen() {
    let page = read("README.md");
    let (begin, end) = ("\n```sh\ncp models/", "\n`tune` measures");
    let section = page.find(begin).zip(page.find(end)).map(|(from, to)| &page[from..to]);
    let section = section.expect("README.md checks a model and then tunes it");
    let of = |old: &str, new: &str| readme::run(&section.replacen(old, new, 1));
    assert_eq!(of("", "").1, Vec::<String>::new());
    for (old, new) in [
        ("30 features", "31 features"),
        ("1 good, 0 problems", "1 good, 0 problems\nand more"),
        ("      ...\n", ""),
        ("check my.onnx", "check your.onnx"),
    ] {
        let (ran, wrong) = of(old, new);
        let foreign = new.starts_with("check");
        assert!(foreign || wrong.len() == 1, "{new:?} in place of {old:?} is not seen");
        assert!(!foreign || ran == 0, "what lanes.json does not name was run");
    }
}

#[test]
fn every_command_of_the_readme_is_run_by_a_lane_and_each_lane_is_seen_to_be_missing() {
    let (page, lanes, makefile) = (read("README.md"), readme::lanes(), read("Makefile"));
    let wrong = readme::unaccounted(&page, &lanes, &makefile);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let wrong = readme::unknown_targets(&page, &makefile);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let walk = read("scripts/readme/walk.py");
    for option in lanes.values().filter_map(|row| row.option.as_deref()) {
        assert!(walk.contains(&format!("\"--{option}\"")), "the walk has no option --{option}");
    }
    // A new block, a command that went, and a lane that no longer has it are seen.
    let new = format!("{page}\n```sh\nmake coffee\n```\n");
    assert_eq!(readme::unaccounted(&new, &lanes, &makefile), ["nobody runs `make coffee`"]);
    let without = page.replace("kubectl apply -k k8s", "kubectl apply -k k9s");
    assert_eq!(readme::unaccounted(&without, &lanes, &makefile).len(), 2);
    assert!(!readme::unaccounted(&page, &lanes, &makefile.replace("\ne2e: ", "\ne3e: ")).is_empty());
    assert_eq!(readme::unknown_targets("Run `make coffee`.", &makefile), ["there is no `make coffee`"]);
}

#[test]
fn the_readme_in_korean_is_the_same_page() {
    let (english, korean) = (read("README.md"), read("README.ko.md"));
    assert!(
        english.contains("](README.ko.md)") && korean.contains("](README.md)"),
        "the pages do not link each other"
    );
    assert_eq!(blocks(&korean), blocks(&english), "left: README.ko.md, right: README.md");
    assert_eq!(readme::headings(&korean), readme::headings(&english), "left: README.ko.md, right: README.md");
    assert_eq!(readme::links(&korean), readme::links(&english), "left: README.ko.md, right: README.md");
    assert_eq!(readme::figures(&korean), readme::figures(&english), "left: README.ko.md, right: README.md");
}

#[test]
fn figures_of_the_readme_are_those_of_the_pages_that_it_names() {
    let page = read("README.md");
    let rows = readme::figures(&page);
    assert!(rows.len() >= 8, "README.md has only {} rows of figures", rows.len());
    let exports = readme::rows_of_exports().to_string();
    for (figures, source) in rows {
        let text = read(source);
        let mut known: BTreeSet<&str> = readme::numbers(&text).into_iter().collect();
        if source == "docs/models.md" {
            known = BTreeSet::from([exports.as_str()]);
        }
        let absent: Vec<_> = figures.iter().filter(|figure| !known.contains(*figure)).collect();
        assert!(!figures.is_empty() && absent.is_empty(), "{source} does not have the README's {absent:?}");
    }
}

#[test]
fn the_table_of_errors_is_the_codes_own() {
    let rows = ErrorCode::all().map(|code| {
        let (text, status, grpc) =
            (code.text(), code.http_status(), screaming(&format!("{:?}", code.grpc_code())));
        let retryable = if code.is_retryable() { "yes" } else { "no" };
        format!(
            "| `{text}` | {status} | {grpc} | {retryable} | `{}` | {} |",
            code.outcome().as_str(),
            code.title()
        )
    });
    let head = "| code | HTTP | gRPC | retryable | outcome in metrics | title |\n|---|---|---|---|---|---|";
    let table = format!("\n{head}\n{}\n\n", rows.collect::<Vec<_>>().join("\n"));
    let path = root().join("docs/errors.md");
    let text = read("docs/errors.md");
    let (begin, end) = ("<!-- codes: begin -->\n", "<!-- codes: end -->");
    let start = text.find(begin).expect("docs/errors.md has the mark of its table's begin") + begin.len();
    let stop = text.find(end).expect("docs/errors.md has the mark of its table's end");
    if option_env!("BLESS").is_some() {
        fs::write(path, format!("{}{table}{}", &text[..start], &text[stop..])).unwrap();
    } else {
        assert!(
            text[start..stop] == table,
            "docs/errors.md is stale; run `BLESS=1 cargo test --release --test docs`"
        );
    }
}

#[test]
fn every_error_code_is_explained() {
    let text = read("docs/errors.md");
    let explained = |code: &ErrorCode| text.contains(&format!("\n### `{}`\n", code.text()));
    let missing: Vec<_> = ErrorCode::all().filter(|code| !explained(code)).collect();
    assert!(missing.is_empty(), "docs/errors.md has no section about {missing:?}");
}

#[test]
fn the_table_of_metrics_is_what_the_server_exposes() {
    let server = Server::start(&["models/fraud-detector", "tests/fixtures/models/columns.onnx"]);
    let request = Request {
        method: "POST".to_owned(),
        path: "/predict/columns".to_owned(),
        headers: Vec::new(),
        body: r#"[30, 1000, "Oslo", 2]"#.to_owned(),
    };
    assert_eq!(server.send(&request).status, 200);
    let scrape =
        Request { method: "GET".to_owned(), path: "/metrics".to_owned(), body: String::new(), ..request };
    let exposed = exposed::exposed(&server.send(&scrape).text);
    let documented = exposed::documented(&read("docs/telemetry.md"));
    let mut problems = Vec::new();
    for (name, facts) in &exposed {
        match documented.get(name) {
            None => problems.push(format!("{name} is exposed and not documented")),
            Some(row) if row.facts != *facts => {
                problems.push(format!("{name}: documented {:?}, exposed {facts:?}", row.facts));
            }
            Some(_) => {}
        }
    }
    let absent = documented.iter().filter(|(name, row)| !row.appears_later && !exposed.contains_key(*name));
    problems.extend(absent.map(|(name, _)| format!("{name} is documented and not exposed")));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn manifests_in_the_documents_are_manifests() {
    let text = read("docs/models.md");
    let manifests: Vec<_> = blocks(&text).into_iter().filter(|(language, _)| *language == "toml").collect();
    assert!(!manifests.is_empty(), "docs/models.md shows no manifest");
    for (_, manifest) in manifests {
        Manifest::parse(manifest, "the documented model").unwrap_or_else(|problem| panic!("{problem}"));
    }
}

#[test]
fn every_field_of_a_manifest_is_documented() {
    let text = read("docs/models.md");
    let schema = schemars::schema_for!(Manifest);
    let fields =
        schema.get("properties").and_then(|fields| fields.as_object()).expect("a manifest has fields");
    let missing: Vec<_> = fields.keys().filter(|field| !text.contains(&format!("\n| `{field}` |"))).collect();
    assert!(missing.is_empty(), "docs/models.md has no row for {missing:?}");
}

#[test]
fn every_test_that_robustness_names_exists_and_every_wire_test_is_named() {
    let text = read("docs/robustness.md");
    let cells =
        text.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit_once("| ")).map(|(_, cell)| cell);
    let named: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 50, "docs/robustness.md names only {named:?}");
    let mut sources = Vec::new();
    sources_below(&root().join("src"), &mut sources);
    sources_below(&root().join("tests"), &mut sources);
    let functions = |path: &Path| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| line.trim_start().trim_start_matches("async "))
            .filter_map(|line| Some(line.strip_prefix("fn ")?.split_once('(')?.0.to_owned()))
            .collect()
    };
    let known: BTreeSet<String> = sources.iter().flat_map(|path| functions(path)).collect();
    let absent: Vec<_> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(absent.is_empty(), "docs/robustness.md names tests that are not there: {absent:?}");
    let wire = sources.iter().filter(|path| path.starts_with(root().join("tests/integration/wire")));
    let is_case = |name: &String| name.chars().nth(1).is_some_and(|digit| digit.is_ascii_digit());
    let unnamed: Vec<_> = wire
        .flat_map(|path| functions(path))
        .filter(|name| is_case(name) && !named.contains(name.as_str()))
        .collect();
    assert!(unnamed.is_empty(), "docs/robustness.md does not name {unnamed:?}");
}

/// Every Rust file below a folder.
fn sources_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the repository's own folder");
    for path in entries.map(|entry| entry.expect("its entries").path()) {
        if path.is_dir() {
            sources_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let mut files: Vec<PathBuf> =
        ["README.md", "README.ko.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
            .iter()
            .map(|file| root().join(file))
            .collect();
    for folder in ["docs", "docs/adr"] {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    let mut broken = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let elsewhere = target.is_empty() || target.contains("://");
            if !elsewhere && !file.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// `InvalidArgument` as gRPC writes it: `INVALID_ARGUMENT`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for (index, c) in name.chars().enumerate() {
        if c.is_uppercase() && index > 0 {
            text.push('_');
        }
        text.extend(c.to_uppercase());
    }
    text
}
