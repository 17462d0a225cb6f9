//! Reads a Rust file as far as the tidy rules need it: which text is code, which is production, where
//! functions begin and end.
//!
//! A scanner, not a parser: comments and the contents of literals become blanks, so that what a rule
//! finds is code and every line keeps its number.

use std::fs;
use std::path::{Path, PathBuf};

/// One file, cleaned for the rules.
pub(crate) struct Source {
    /// Path relative to the package.
    pub(crate) path: PathBuf,
    /// As written.
    pub(crate) text: String,
    /// The same lines with comments and contents of literals blanked.
    pub(crate) code: String,
    /// `code` with test modules blanked too.
    pub(crate) production: String,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Lines of its body that hold code.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = blank_comments_and_literals(&text);
        let is_test_file = path.file_name().is_some_and(|name| name == "tests.rs")
            || path.components().any(|part| part.as_os_str() == "tests");
        let production = if is_test_file { blank(&code) } else { blank_tests(&code) };
        Self { path, text, code, production }
    }

    /// Every `.rs` file under `folder`, sorted by path.
    pub(crate) fn all_under(package: &Path, folder: &str) -> Vec<Self> {
        let mut found = Vec::new();
        let mut folders = vec![package.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    found.push(Self::new(path.strip_prefix(package).unwrap(), text));
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// `path:line: message` for something at byte `offset`.
    pub(crate) fn at(&self, offset: usize, message: impl AsRef<str>) -> String {
        self.on_line(line_of(&self.code, offset), message)
    }

    /// `path:line: message`.
    pub(crate) fn on_line(&self, line: usize, message: impl AsRef<str>) -> String {
        format!("{}:{line}: {}", self.path.display(), message.as_ref())
    }

    /// Lines outside tests, comments and blank lines included.
    pub(crate) fn production_lines(&self) -> usize {
        let kept = self.code.lines().zip(self.production.lines());
        let is_kept =
            |(code, production): &(&str, &str)| code.trim().is_empty() || !production.trim().is_empty();
        let test_lines: usize = test_spans(&self.code)
            .into_iter()
            .map(|(from, to)| self.code[from..to].lines().filter(|line| line.trim().is_empty()).count())
            .sum();
        if self.production.trim().is_empty() { 0 } else { kept.filter(is_kept).count() - test_lines }
    }

    /// The functions of production code that have a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let code = &self.production;
        words(code, "fn").into_iter().filter_map(|at| function(code, at)).collect()
    }
}

/// Where `word` stands by itself.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .filter(|(at, _)| {
            let before = code[..*at].chars().next_back();
            let after = code[at + word.len()..].chars().next();
            let starts = word.starts_with(is_part) && before.is_some_and(is_part);
            let goes_on = word.ends_with(is_part) && after.is_some_and(is_part);
            !starts && !goes_on
        })
        .map(|(at, _)| at)
        .collect()
}

/// The identifier at the start of `text`.
pub(crate) fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// The index after the bracket that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn function(code: &str, at: usize) -> Option<Function> {
    let name = identifier(code[at + 2..].trim_start());
    if name.is_empty() {
        return None;
    }
    let mut cursor = at;
    loop {
        let next = cursor + code[cursor..].find(['{', ';', '(', '['])?;
        match code.as_bytes()[next] {
            b'{' => {
                let end = closing(code, next)?;
                let body = &code[next + 1..end - 1];
                let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
                return Some(Function { name: name.to_owned(), line: line_of(code, at), lines });
            }
            b';' => return None,
            _ => cursor = closing(code, next)?,
        }
    }
}

/// Items under `#[cfg(test)]`, as ranges of bytes.
fn test_spans(code: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        if spans.last().is_some_and(|(_, end)| start < *end) {
            continue;
        }
        let mut cursor = start + attribute.len();
        let end = loop {
            let Some(next) = code[cursor..].find(['{', ';', '(', '[']).map(|at| cursor + at) else {
                break code.len();
            };
            match code.as_bytes()[next] {
                b';' => break next + 1,
                b'{' => break closing(code, next).unwrap_or(code.len()),
                _ => cursor = closing(code, next).unwrap_or(code.len()),
            }
        };
        spans.push((start, end));
    }
    spans
}

fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

fn blank_tests(code: &str) -> String {
    let mut production = String::with_capacity(code.len());
    let mut cursor = 0;
    for (from, to) in test_spans(code) {
        production.push_str(&code[cursor..from]);
        production.push_str(&blank(&code[from..to]));
        cursor = to;
    }
    production.push_str(&code[cursor..]);
    production
}

/// What the scanner is inside of.
enum Inside {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
}

fn blank_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let (mut inside, mut at) = (Inside::Code, 0);
    while at < chars.len() {
        let (step, keep) = match &mut inside {
            Inside::Code => enter(&chars, at, &mut inside),
            Inside::LineComment => {
                if chars[at] == '\n' {
                    inside = Inside::Code;
                }
                (1, false)
            }
            Inside::BlockComment(depth) => {
                let pair = (chars[at], chars.get(at + 1).copied().unwrap_or(' '));
                let step = match pair {
                    ('/', '*') => {
                        *depth += 1;
                        2
                    }
                    ('*', '/') => {
                        *depth -= 1;
                        2
                    }
                    _ => 1,
                };
                if *depth == 0 {
                    inside = Inside::Code;
                }
                (step, false)
            }
            Inside::Text => match chars[at] {
                '\\' => (2, false),
                '"' => {
                    inside = Inside::Code;
                    (1, true)
                }
                _ => (1, false),
            },
            Inside::RawText(hashes) => {
                let hashes = *hashes;
                let ends = chars[at] == '"'
                    && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
                if ends {
                    inside = Inside::Code;
                }
                (if ends { 1 + hashes } else { 1 }, ends)
            }
        };
        for &c in &chars[at..(at + step).min(chars.len())] {
            code.push(if keep || c == '\n' { c } else { ' ' });
        }
        at += step;
    }
    code
}

/// How many characters of code begin at `at`, whether to keep them, and what comes after them.
fn enter(chars: &[char], at: usize, inside: &mut Inside) -> (usize, bool) {
    let next = |ahead: usize| chars.get(at + ahead).copied().unwrap_or(' ');
    match chars[at] {
        '/' if next(1) == '/' => {
            *inside = Inside::LineComment;
            (2, false)
        }
        '/' if next(1) == '*' => {
            *inside = Inside::BlockComment(1);
            (2, false)
        }
        '"' => {
            *inside = Inside::Text;
            (1, true)
        }
        'r' if matches!(next(1), '"' | '#')
            && (at == 0 || !is_name(chars[at - 1]) || chars[at - 1] == 'b') =>
        {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if next(1 + hashes) != '"' {
                return (1, true);
            }
            *inside = Inside::RawText(hashes);
            (2 + hashes, true)
        }
        '\'' if next(1) == '\\' => {
            let length = chars[at + 3..].iter().take_while(|c| **c != '\'').count();
            (4 + length, false)
        }
        '\'' if next(2) == '\'' => (3, false),
        _ => (1, true),
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "// crate::a\nlet x = \"crate::b \\\" {\"; /* { /* crate::c */ } */ let y = r#\"crate::d \" {\"#;\n\
                    let z = ('{', '\\'', '\\u{7b}', b\"{\", br\"{\"); fn f<'a>(r: &'a str) {}";
        let source = Source::new("src/a.rs", text);
        assert!(!source.code.contains("crate::"), "{}", source.code);
        assert_eq!(source.code.matches('{').count(), 1, "{}", source.code);
        assert_eq!(source.code.lines().count(), text.lines().count());
        assert_eq!(source.code.chars().count(), text.chars().count());
    }

    #[test]
    fn tests_are_no_production() {
        let text = "fn a() {}\n#[cfg(test)]\n#[expect(x, reason = \"y\")]\nmod tests {\n\n    fn b() { { } }\n}\nfn c() {}\n\
                    #[cfg(test)]\nmod more;\n";
        let source = Source::new("src/a.rs", text);
        let names: Vec<_> = source.functions().into_iter().map(|function| function.name).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(source.production_lines(), 2);
        assert_eq!(Source::new("src/a/tests.rs", text).production_lines(), 0);
    }

    #[test]
    fn functions_are_measured_by_lines_of_code() {
        let text = "fn a(\n    x: [u8; 2],\n) -> Vec<u8> {\n    // why\n\n    let f = |y: u8| {\n        y\n    };\n}\ntrait T { fn no_body(&self); }\ntype F = fn(u8);";
        let found = Source::new("src/a.rs", text).functions();
        assert_eq!(found, [Function { name: "a".into(), line: 1, lines: 3 }]);
    }
}
