//! The rules of the house, each a function from one file to the lines that break it.

use std::path::Path;

use crate::house::{
    EXTERNALS, HANDLERS, MAX_FILE, MAX_FUNCTION, MAX_HANDLER, MAX_MAIN, READS_ENVIRONMENT, ROOMS, ROOT_FILES,
    Room,
};
use crate::source::{Source, closing, identifier, words};

/// Every rule for files under `src/`.
pub(crate) fn problems_of_source(source: &Source) -> Vec<String> {
    [arrows, escapes, crates, header, sizes, environment, json_extractor, sleeps_of_source]
        .iter()
        .flat_map(|rule| rule(source))
        .collect()
}

/// Every rule for files under `tests/`.
pub(crate) fn problems_of_test(source: &Source) -> Vec<String> {
    let mut problems = header(source);
    problems.extend(ignored(source));
    problems.extend(json_extractor(source));
    problems.extend(sleeps_of_test(source));
    let lines = source.text.lines().count();
    if lines > MAX_FILE {
        problems.push(source.on_line(lines, format!("{lines} lines, more than {MAX_FILE}")));
    }
    problems
}

/// The room that a file of `src/` belongs to, or the name of a root file.
pub(crate) fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").unwrap_or(path);
    let first = inside.components().next().expect("a file has a path").as_os_str();
    Path::new(first).file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn entry_of(name: &str) -> Option<&'static Room> {
    ROOMS.iter().chain(&ROOT_FILES).find(|room| room.name == name)
}

/// Rooms that production code names, with the place.
pub(crate) fn rooms_named(source: &Source) -> Vec<(String, usize)> {
    let mut named = Vec::new();
    for root in ["crate", "ml_inference_api"] {
        for at in words(&source.production, root) {
            let rest = source.production[at + root.len()..].trim_start();
            if let Some(path) = rest.strip_prefix("::") {
                let start = source.production.len() - path.trim_start().len();
                named.extend(first_names(&source.production, start).into_iter().map(|name| (name, at)));
            }
        }
    }
    named
}

/// The first names of the path or of the group of paths at `start`.
fn first_names(code: &str, start: usize) -> Vec<String> {
    if !code[start..].starts_with('{') {
        let name = identifier(&code[start..]);
        return vec![if name.is_empty() { "*".to_owned() } else { name.to_owned() }];
    }
    let end = closing(code, start).unwrap_or(code.len());
    let (mut names, mut depth, mut item) = (Vec::new(), 0_usize, String::new());
    for c in code[start + 1..end - 1].chars().chain([',']) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let name = identifier(item.trim()).to_owned();
                if !item.trim().is_empty() {
                    names.push(if name.is_empty() { "*".to_owned() } else { name });
                }
                item.clear();
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    names
}

fn arrows(source: &Source) -> Vec<String> {
    let room = room_of(&source.path);
    let Some(entry) = entry_of(&room) else {
        return vec![
            source.on_line(1, format!("{room} is no room of the house: add it to tests/tidy/house.rs")),
        ];
    };
    let is_wrong = |name: &str| name != room && !entry.knows.contains(&name);
    let wrong = rooms_named(source).into_iter().filter(|(name, _)| is_wrong(name));
    wrong.map(|(name, at)| source.at(at, format!("{room} must not know {name}"))).collect()
}

/// What would let a name slip past the scan of arrows.
fn escapes(source: &Source) -> Vec<String> {
    let code = &source.production;
    let mut problems: Vec<String> = words(code, "super::super")
        .into_iter()
        .map(|at| source.at(at, "super::super hides which room is meant: write crate::ROOM"))
        .collect();
    let at_room_root = source.path.components().count() == 2
        || (source.path.components().count() == 3 && source.path.ends_with("mod.rs"));
    if at_room_root {
        let reaches_root =
            words(code, "super").into_iter().filter(|at| code[at + 5..].trim_start().starts_with("::"));
        problems.extend(
            reaches_root.map(|at| source.at(at, "super is the crate's root here: write crate::ROOM")),
        );
    }
    if room_of(&source.path) == "lib" {
        let found = ["use", "macro_rules", "fn", "struct", "const"].iter().flat_map(|word| words(code, word));
        problems.extend(
            found.map(|at| source.at(at, "the crate's root holds modules only, no items or re-exports")),
        );
    }
    let exported = words(code, "macro_export");
    problems
        .extend(exported.into_iter().map(|at| source.at(at, "an exported macro is named without its room")));
    problems
}

fn crates(source: &Source) -> Vec<String> {
    let room = room_of(&source.path);
    let code = &source.production;
    let mut problems = Vec::new();
    for external in &EXTERNALS {
        if external.rooms.contains(&"*") || external.rooms.contains(&room.as_str()) {
            continue;
        }
        let name = external.package.replace('-', "_");
        let is_module_here = !words(code, &format!("mod {name}")).is_empty();
        for at in words(code, &name) {
            let before = code[..at].trim_end();
            let after = code[at + name.len()..].trim_start();
            let absolute = before.ends_with("::") && !before.trim_end_matches(':').ends_with(is_path_end);
            let in_path = before.ends_with("::") && !absolute;
            let is_import = before.ends_with("use") && (after.starts_with(';') || after.starts_with("as "));
            let names_crate =
                (after.starts_with("::") && !in_path) || is_import || before.ends_with("extern crate");
            if names_crate && (absolute || !is_module_here) {
                problems.push(source.at(at, format!("{room} must not know the crate {}", external.package)));
            }
        }
    }
    problems
}

fn is_path_end(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '>'
}

fn header(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//! ");
    if opens { Vec::new() } else { vec![source.on_line(1, "a file opens with //! and says what it is for")] }
}

fn sizes(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    let limit = if room_of(&source.path) == "main" { MAX_MAIN } else { MAX_FILE };
    let lines = source.production_lines();
    if lines > limit {
        problems.push(source.on_line(lines, format!("{lines} production lines, more than {limit}")));
    }
    let is_handler = HANDLERS.iter().any(|folder| source.path.starts_with(folder));
    let limit = if is_handler { MAX_HANDLER } else { MAX_FUNCTION };
    for function in source.functions().into_iter().filter(|function| function.lines > limit) {
        let what = format!("fn {} has {} lines, more than {limit}", function.name, function.lines);
        problems.push(source.on_line(function.line, what));
    }
    problems
}

fn environment(source: &Source) -> Vec<String> {
    if READS_ENVIRONMENT.contains(&room_of(&source.path).as_str()) {
        return Vec::new();
    }
    ["env::var", "env::vars", "env::var_os", "env::vars_os", "env::set_var"]
        .iter()
        .flat_map(|call| words(&source.production, call))
        .map(|at| source.at(at, "only config reads the environment"))
        .collect()
}

/// axum's own extractor answers its own errors, so nobody names it, whatever the import looks like.
fn json_extractor(source: &Source) -> Vec<String> {
    let code = &source.code;
    let paths = ["axum::Json", "axum::extract::Json", "extract::Json", "axum::response::Json"];
    let mut found: Vec<usize> = paths.iter().flat_map(|path| words(code, path)).collect();
    for at in words(code, "axum") {
        let statement = code[at..].split(';').next().unwrap_or_default();
        if code[..at].trim_end().ends_with("use") {
            found.extend(words(statement, "Json").into_iter().map(|inner| at + inner));
        }
    }
    found.sort_unstable();
    found.dedup();
    let message = "axum's Json answers errors in its own form: use the room's own";
    found.into_iter().map(|at| source.at(at, message)).collect()
}

fn sleeps_of_source(source: &Source) -> Vec<String> {
    let message = "nothing in production blocks a thread by sleeping";
    words(&source.production, "thread::sleep").into_iter().map(|at| source.at(at, message)).collect()
}

/// Waiting is the harness' own business, in one file and with an end.
fn sleeps_of_test(source: &Source) -> Vec<String> {
    if source.path.ends_with("harness/wait.rs") {
        return Vec::new();
    }
    let calls =
        ["thread::sleep", "time::sleep", "park_timeout"].iter().flat_map(|call| words(&source.code, call));
    calls.map(|at| source.at(at, "tests do not sleep: wait for a condition")).collect()
}

fn ignored(source: &Source) -> Vec<String> {
    let message = "no ignored tests: fix it or delete it";
    source.code.match_indices("#[ignore").map(|(at, _)| source.at(at, message)).collect()
}

/// Rooms that reach themselves through others, given who names whom.
pub(crate) fn cycles(arrows: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in arrows {
        let (mut seen, mut open) = (Vec::new(), vec![start.clone()]);
        while let Some(room) = open.pop() {
            for (_, to) in arrows.iter().filter(|(from, to)| *from == room && from != to) {
                if to == start && !found.contains(start) {
                    found.push(start.clone());
                }
                if !seen.contains(to) {
                    seen.push(to.clone());
                    open.push(to.clone());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rules say about `text` at `path`, without the header rule.
    fn said(path: &str, text: &str) -> Vec<String> {
        problems_of_source(&Source::new(path, format!("//! For the test.\n{text}")))
    }

    #[track_caller]
    fn catches(path: &str, text: &str, expected: &str) {
        let said = said(path, text);
        assert!(said.iter().any(|line| line == expected), "{text:?}: expected {expected:?}, got {said:?}");
    }

    #[test]
    fn wrong_arrows_are_found_however_they_are_written() {
        let to_http = "src/task/mod.rs:2: task must not know http";
        catches("src/task/mod.rs", "use crate::http::Server;", to_http);
        catches("src/task/mod.rs", "use crate::{tensor::Tensor, http::{Server, x}};", to_http);
        catches("src/task/mod.rs", "use crate::{http as h};", to_http);
        catches("src/task/mod.rs", "fn f(x: &crate :: http::Server) {}", to_http);
        catches("src/task/mod.rs", "use ml_inference_api::http;", to_http);
        catches("src/task/deep/a.rs", "use crate::*;", "src/task/deep/a.rs:2: task must not know *");
        catches(
            "src/http/a.rs",
            "use crate::scheduler::Queue;",
            "src/http/a.rs:2: http must not know scheduler",
        );
        catches(
            "src/service/a.rs",
            "use crate::config::Config;",
            "src/service/a.rs:2: service must not know config",
        );
        catches(
            "src/util/mod.rs",
            "",
            "src/util/mod.rs:1: util is no room of the house: add it to tests/tidy/house.rs",
        );
        assert_eq!(said("src/task/mod.rs", "use crate::{model::{Manifest, Task}, tensor};"), [""; 0]);
        assert_eq!(
            said("src/task/mod.rs", "// crate::http\n#[cfg(test)]\nmod tests { use crate::http; }"),
            [""; 0]
        );
    }

    #[test]
    fn ways_around_the_scan_are_found() {
        let root = "super is the crate's root here: write crate::ROOM";
        catches("src/task/mod.rs", "use super::http;", &format!("src/task/mod.rs:2: {root}"));
        catches("src/app.rs", "use super::cli;", &format!("src/app.rs:2: {root}"));
        let hides = "super::super hides which room is meant: write crate::ROOM";
        catches("src/task/a.rs", "\nuse super::super::http;", &format!("src/task/a.rs:3: {hides}"));
        let modules_only = "the crate's root holds modules only, no items or re-exports";
        catches(
            "src/lib.rs",
            "pub mod http;\npub use http::Server;",
            &format!("src/lib.rs:3: {modules_only}"),
        );
        let exported = "an exported macro is named without its room";
        catches(
            "src/tensor/a.rs",
            "#[macro_export]\nmacro_rules! m { () => {} }",
            &format!("src/tensor/a.rs:2: {exported}"),
        );
        assert_eq!(said("src/task/a.rs", "use super::Task;"), [""; 0]);
    }

    #[test]
    fn crates_in_the_wrong_room_are_found() {
        catches("src/task/a.rs", "use ort::Session;", "src/task/a.rs:2: task must not know the crate ort");
        catches(
            "src/task/a.rs",
            "use serde_json::Value;",
            "src/task/a.rs:2: task must not know the crate serde_json",
        );
        catches(
            "src/app.rs",
            "fn f() -> ::axum::Router {}",
            "src/app.rs:2: app must not know the crate axum",
        );
        catches("src/app.rs", "use axum as web;", "src/app.rs:2: app must not know the crate axum");
        catches("src/app.rs", "use axum;", "src/app.rs:2: app must not know the crate axum");
        catches(
            "src/engine/a.rs",
            "use http::Uri;",
            "src/engine/a.rs:2: engine must not know the crate http",
        );
        let own_module = "mod http;\nuse http::Metrics;\nuse crate::telemetry::http::X;";
        assert_eq!(said("src/telemetry/mod.rs", own_module), [""; 0]);
        assert_eq!(said("src/task/a.rs", "#[cfg(test)]\nmod tests { use serde_json::Value; }"), [""; 0]);
        assert_eq!(said("src/engine/a.rs", "use ort::session::Session;"), [""; 0]);
    }

    #[test]
    fn sizes_headers_and_house_rules_are_held() {
        let long = format!("fn long() {{\n{}}}\n", "    f();\n".repeat(61));
        catches("src/app.rs", &long, "src/app.rs:2: fn long has 61 lines, more than 60");
        let handler = format!("fn handler() {{\n{}}}\n", "    f();\n".repeat(41));
        catches(
            "src/http/routes/a.rs",
            &handler,
            "src/http/routes/a.rs:2: fn handler has 41 lines, more than 40",
        );
        let many = "const X: u8 = 0;\n".repeat(400);
        catches("src/app.rs", &many, "src/app.rs:401: 401 production lines, more than 400");
        catches("src/main.rs", &many[..17 * 40], "src/main.rs:41: 41 production lines, more than 40");
        let no_header = problems_of_source(&Source::new("src/app.rs", "fn f() {}"));
        assert_eq!(no_header, ["src/app.rs:1: a file opens with //! and says what it is for"]);
        let read = "only config reads the environment";
        catches("src/app.rs", "fn f() { std::env::var(\"A\"); }", &format!("src/app.rs:2: {read}"));
        catches("src/http/a.rs", "fn f() { env::vars_os(); }", &format!("src/http/a.rs:2: {read}"));
        assert_eq!(said("src/config/a.rs", "fn f() { std::env::var(\"A\"); }"), [""; 0]);
        let json = "axum's Json answers errors in its own form: use the room's own";
        catches(
            "src/http/a.rs",
            "fn f(axum::Json(x): axum::Json<u8>) {}",
            &format!("src/http/a.rs:2: {json}"),
        );
        catches("src/http/a.rs", "use axum::{Router, Json};", &format!("src/http/a.rs:2: {json}"));
        catches(
            "src/http/a.rs",
            "#[cfg(test)]\nmod t { use axum::Json; }",
            &format!("src/http/a.rs:3: {json}"),
        );
        let ignored =
            problems_of_test(&Source::new("tests/a.rs", "//! x\n#[test]\n#[ignore = \"later\"]\nfn f() {}"));
        assert_eq!(ignored, ["tests/a.rs:3: no ignored tests: fix it or delete it"]);
        let slept = problems_of_test(&Source::new("tests/a.rs", "//! x\nfn f() { std::thread::sleep(x); }"));
        assert_eq!(slept, ["tests/a.rs:2: tests do not sleep: wait for a condition"]);
    }

    #[test]
    fn cycles_are_found() {
        let arrow = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(cycles(&[arrow("a", "b"), arrow("b", "c"), arrow("a", "c")]), [""; 0]);
        assert_eq!(cycles(&[arrow("a", "b"), arrow("b", "c"), arrow("c", "a")]), ["a", "b", "c"]);
    }
}
