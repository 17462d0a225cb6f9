//! `README.md` and `README.ko.md`: their commands, who runs them, and what they show.
//!
//! A request to the server and a block of Python are run here as they stand, as is what `scripts/readme/lanes.json` calls
//! quick. The rest is run by the lane that is named there: `make readme` walks the page by the same rules.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use super::example::{blocks, compare};
use super::server::Server;
use super::{read, root};

const ANYTHING: &str = "...";

/// Who runs a command of the page, out of `lanes.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// `walk`, or a command with its make target.
    pub(crate) lane: String,
    /// The walk's option without which it leaves the command out.
    pub(crate) option: Option<String>,
    /// What the command starts; it stays until the next of its kind.
    pub(crate) stays: Option<String>,
    /// It takes a moment, and is run here too.
    #[serde(default)]
    quick: bool,
    /// Files of the lane, and what they have to hold.
    #[serde(default)]
    pub(crate) holds: BTreeMap<String, Vec<String>>,
    /// Why the walk does not run it.
    pub(crate) why: Option<String>,
}

pub(crate) type Lanes = BTreeMap<String, Row>;

pub(crate) fn lanes() -> Lanes {
    serde_json::from_str(&read("scripts/readme/lanes.json")).expect("lanes.json says who runs what")
}

/// The commands of a block of sh that is no request: a line each, without its comment.
pub(crate) fn commands(block: &str) -> impl Iterator<Item = &str> {
    let lines = block.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.split_once(" #").map_or(line, |(command, _)| command).trim_end())
}

pub(crate) fn is_request(language: &str, block: &str) -> bool {
    language == "sh" && block.starts_with("curl ") && block.contains(" localhost:8080/")
}

/// A block's language and text.
type Block<'a> = (&'a str, &'a str);

/// Blocks of commands, each with the block of the answer that follows it.
fn shown(text: &str) -> Vec<(Block<'_>, Option<Block<'_>>)> {
    let blocks = blocks(text);
    let is_code = |language: &str| ["sh", "python"].contains(&language);
    let follows = |index: usize| blocks.get(index + 1).copied().filter(|(language, _)| !is_code(language));
    let code = blocks.iter().enumerate().filter(|(_, (language, _))| is_code(language));
    code.map(|(index, block)| (*block, follows(index))).collect()
}

/// A folder that looks like the clone after `make serve`, and the server that the page has started last.
struct Walk {
    folder: tempfile::TempDir,
    server: Option<Server>,
    lanes: Lanes,
    ran: usize,
}

/// Runs the page in its order; what differs from it.
pub(crate) fn run(page: &str) -> (usize, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder for the walk");
    std::fs::create_dir_all(folder.path().join("target/release")).expect("a folder for the binary");
    symlink(root().join("models"), folder.path().join("models")).expect("a link to the models");
    let binary = folder.path().join("target/release/ml-inference-api");
    symlink(env!("CARGO_BIN_EXE_ml-inference-api"), binary).expect("a link to the binary");
    let mut walk = Walk { folder, server: None, lanes: lanes(), ran: 0 };
    let mut wrong = Vec::new();
    for ((language, block), answer) in shown(page) {
        if let Err(problem) = walk.block(language, block, answer) {
            wrong.push(format!("{block}\n  {problem}"));
        }
    }
    (walk.ran, wrong)
}

impl Walk {
    fn block(&mut self, language: &str, block: &str, answer: Option<Block<'_>>) -> Result<(), String> {
        if language == "python" {
            return self.finish(&[&triton_python(), "-c", block], answer);
        }
        if is_request(language, block) {
            return self.finish(&["bash", "-euo", "pipefail", "-c", block], answer);
        }
        let rows: Vec<&Row> = commands(block).filter_map(|command| self.lanes.get(command)).collect();
        if rows.iter().any(|row| row.stays.as_deref() == Some("server")) {
            // What the page starts again, with another collector, is the same server to its clients.
            if block.contains("--models my.onnx") {
                self.server = Some(Server::start(&["my=models/fraud-detector/1/model.onnx"]));
            } else if self.server.is_none() {
                self.server = Some(Server::start(&["models"]));
            }
        } else if rows.iter().all(|row| row.quick) && !rows.is_empty() {
            return self.finish(&["bash", "-euo", "pipefail", "-c", block], answer);
        }
        Ok(())
    }

    /// Runs a command, at the address of the server in place of the page's, and compares its answer.
    fn finish(&mut self, command: &[&str], answer: Option<Block<'_>>) -> Result<(), String> {
        let address = self.server.as_ref().map_or("localhost:8080", |server| &server.address);
        let words = command.iter().map(|word| word.replace("localhost:8080", address));
        let words: Vec<String> = words.collect();
        let done = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(self.folder.path())
            .output()
            .map_err(|error| format!("{} does not start: {error}", words[0]))?;
        let came = String::from_utf8_lossy(&done.stdout);
        if !done.status.success() {
            return Err(format!("{}: {}", done.status, String::from_utf8_lossy(&done.stderr)));
        }
        self.ran += 1;
        match answer {
            Some(("json", text)) => {
                let wanted: Value =
                    serde_json::from_str(text).map_err(|error| format!("{error} in {text}"))?;
                let came: Value =
                    serde_json::from_str(&came).map_err(|error| format!("{error} in {came}"))?;
                compare("", &wanted, &came).map_err(|problem| format!("{problem}\n  came: {came}"))
            }
            Some((_, text)) => {
                let lines =
                    |text: &'_ str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
                if lines_fit(&lines(text), &lines(&came)) { Ok(()) } else { Err(format!("came:\n{came}")) }
            }
            None => Ok(()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "`make test` names the programs of tests by the environment")]
fn triton_python() -> String {
    std::env::var("INFERENCE_TEST_TRITONCLIENT")
        .expect("INFERENCE_TEST_TRITONCLIENT names a python with tritonclient: run `make test`")
}

/// Whether lines are what is shown, in which `...` alone stands for any number of them.
fn lines_fit(shown: &[String], came: &[String]) -> bool {
    match shown.split_first() {
        None => came.is_empty(),
        Some((line, rest)) if line.trim() == ANYTHING => {
            (0..=came.len()).any(|skipped| lines_fit(rest, &came[skipped..]))
        }
        Some((line, rest)) => came
            .split_first()
            .is_some_and(|(first, others)| line_fits(line, first) && lines_fit(rest, others)),
    }
}

/// Whether a line is what is shown, in which `...` stands for any part.
fn line_fits(shown: &str, came: &str) -> bool {
    let parts: Vec<&str> = shown.split(ANYTHING).collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    if parts.len() == 1 {
        return shown == came;
    }
    let Some(mut rest) = came.strip_prefix(first) else { return false };
    for part in &parts[1..parts.len() - 1] {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// What is wrong with who runs which command of a page.
pub(crate) fn unaccounted(page: &str, lanes: &Lanes, makefile: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for ((language, block), _) in shown(page) {
        if language == "sh" && !is_request(language, block) {
            seen.extend(commands(block));
        }
    }
    let has_target = |name: &str| makefile.contains(&format!("\n{name}: "));
    wrong.extend(
        seen.iter()
            .filter(|command| !lanes.contains_key(**command))
            .map(|command| format!("nobody runs `{command}`")),
    );
    for (command, row) in lanes {
        if !seen.contains(&command.as_str()) {
            wrong.push(format!("`{command}` is in lanes.json and not on the page"));
        }
        let target = row.lane.strip_prefix("make ").unwrap_or("readme");
        if !has_target(target) {
            wrong.push(format!("`{command}`: there is no `make {target}`"));
        }
        if (row.lane == "walk") != row.why.is_none() {
            wrong.push(format!("`{command}`: what the walk leaves out has a reason, and nothing else"));
        }
        if row.lane != "walk" && row.holds.is_empty() {
            wrong.push(format!("`{command}`: lanes.json does not say where `{}` runs it", row.lane));
        }
        for (file, texts) in &row.holds {
            let held = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            let absent = texts.iter().filter(|text| !held.contains(*text));
            wrong.extend(absent.map(|text| format!("`{command}`: {file} does not have `{text}`")));
        }
    }
    wrong
}

/// Make targets in the commands of a text that are not in the Makefile.
pub(crate) fn unknown_targets(page: &str, makefile: &str) -> Vec<String> {
    let code = page.split('`').skip(1).step_by(2).filter_map(|code| {
        let (_, after) =
            code.split_once("make ").filter(|(before, _)| before.is_empty() || before.ends_with(' '))?;
        after.split_whitespace().find(|word| !word.contains('='))
    });
    let absent = code.filter(|target| !makefile.contains(&format!("\n{target}: ")));
    absent.map(|target| format!("there is no `make {target}`")).collect()
}

/// The levels of a page's headings, in order.
pub(crate) fn headings(page: &str) -> Vec<usize> {
    let mut fenced = false;
    let mut levels = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            levels.push(line.chars().take_while(|c| *c == '#').count());
        }
    }
    levels
}

/// Where a page's links lead, sorted; those from one language to the other left out.
pub(crate) fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let mut targets: Vec<&str> =
        targets.filter(|target| !["README.md", "README.ko.md"].contains(target)).collect();
    targets.sort_unstable();
    targets
}

/// The rows of the page's table of figures: the numbers of a row's second cell, sorted, and the page that its third leads to.
pub(crate) fn figures(page: &str) -> Vec<(Vec<&str>, &str)> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains("| `make "));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [_, measured, again] = cells[..] else { panic!("three cells in {row}") };
        let (_, link) = again.split_once("](").expect("a row leads to the page that has its figures");
        let mut figures = numbers(measured);
        figures.sort_unstable();
        (figures, link.split(['#', ')']).next().unwrap_or_default())
    })
    .collect()
}

/// Numbers of a text; what follows a letter, as in p99, is none.
pub(crate) fn numbers(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_digit() || ".,".contains(c) || c.is_ascii_alphabetic();
    let words = text.split(|c| !is_part(c)).map(|word| word.trim_matches(['.', ',']));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).collect()
}

/// How many exports docs/models.md compares with Python: its table without the head of two lines.
pub(crate) fn rows_of_exports() -> usize {
    let text = read("docs/models.md");
    let table = text
        .split("<!-- exports: begin -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- exports: end -->").next());
    let rows = table
        .expect("docs/models.md marks its table of exports")
        .lines()
        .filter(|line| line.starts_with("| "));
    rows.count() - 2
}
