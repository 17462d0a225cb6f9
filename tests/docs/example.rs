//! Examples in Markdown: finding them, reading their `curl`, comparing their answer.
//!
//! An example is a fenced `sh` block that holds one `curl` to `localhost:8080`, followed by a fenced
//! `json` block with the answer. In an answer the text `"..."` stands for any value, and as an element
//! of an array for any number of elements. Numbers compare within 1e-5.

use std::collections::BTreeSet;

use serde_json::Value;

const TOLERANCE: f64 = 1e-5;
const ANYTHING: &str = "...";

/// What a `curl` sends.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// A request, and the answer that a document shows.
pub(crate) struct Example {
    pub(crate) request: Request,
    pub(crate) answer: Value,
}

/// Fenced blocks: language and text.
pub(crate) fn blocks(text: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (language, after) = after.split_once('\n').expect("a fence ends its line");
        let (block, after) = after.split_once("\n```").expect("a fenced block is closed");
        blocks.push((language, block));
        rest = after;
    }
    blocks
}

/// The examples of a document.
pub(crate) fn examples(text: &str) -> Vec<Example> {
    let blocks = blocks(text);
    let pairs = blocks.windows(2).filter_map(|pair| match pair {
        [("sh", command), ("json", answer)] if command.starts_with("curl ") => Some((*command, *answer)),
        _ => None,
    });
    pairs
        .map(|(command, answer)| Example {
            request: request(command),
            answer: serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error} in\n{answer}")),
        })
        .collect()
}

/// What a `curl` command sends.
fn request(command: &str) -> Request {
    let mut request =
        Request { method: String::new(), path: String::new(), headers: Vec::new(), body: String::new() };
    let mut words = shell_words(command).into_iter().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} has no value in\n{command}"));
        match word.as_str() {
            "-s" => {}
            "-X" => request.method = value(),
            "-H" => request.headers.push(value()),
            "-d" | "--data-binary" => request.body = value(),
            url => match url.strip_prefix("localhost:8080") {
                Some(path) => request.path.push_str(path),
                None => panic!("{url} is nothing that this test understands in\n{command}"),
            },
        }
    }
    if request.method.is_empty() {
        request.method.push_str(if request.body.is_empty() { "GET" } else { "POST" });
    }
    request
}

/// Splits a command at blanks; single quotes hold a word together, a backslash joins two lines.
fn shell_words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.replace("\\\n", " ").chars() {
        match c {
            '\'' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is always a word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Where and how `came` differs from `wanted`.
///
/// # Errors
/// The first difference.
pub(crate) fn compare(at: &str, wanted: &Value, came: &Value) -> Result<(), String> {
    match (wanted, came) {
        (Value::String(text), _) if text == ANYTHING => Ok(()),
        (Value::Number(wanted), Value::Number(came)) => {
            let close = wanted
                .as_f64()
                .zip(came.as_f64())
                .is_some_and(|(one, other)| (one - other).abs() <= TOLERANCE);
            if close { Ok(()) } else { Err(format!("{at}: {came}, documented {wanted}")) }
        }
        (Value::Array(wanted), Value::Array(came)) => compare_lists(at, wanted, came),
        (Value::Object(wanted), Value::Object(came)) => {
            let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            if names(wanted) != names(came) {
                return Err(format!("{at}: members {:?}, documented {:?}", names(came), names(wanted)));
            }
            wanted.iter().try_for_each(|(name, value)| compare(&format!("{at}/{name}"), value, &came[name]))
        }
        _ if wanted == came => Ok(()),
        _ => Err(format!("{at}: {came}, documented {wanted}")),
    }
}

/// Compares what stands before and after the one `"..."`, or all.
fn compare_lists(at: &str, wanted: &[Value], came: &[Value]) -> Result<(), String> {
    let gap = wanted.iter().position(|value| value == ANYTHING);
    let (before, after) = gap.map_or((wanted, &[][..]), |gap| (&wanted[..gap], &wanted[gap + 1..]));
    let shown = before.len() + after.len();
    if came.len() < shown || (gap.is_none() && came.len() != shown) {
        return Err(format!("{at}: {} elements, documented {shown}", came.len()));
    }
    let pairs = before.iter().zip(came).chain(after.iter().zip(&came[came.len() - after.len()..]));
    pairs.enumerate().try_for_each(|(index, (wanted, came))| compare(&format!("{at}/{index}"), wanted, came))
}
