//! `key`: makes an API key out of the system's randomness, and its entry for the keys file.

use std::process::ExitCode;

use super::args::KeyArguments;
use super::{Failure, print};
use crate::service::{KeyProblem, key_entry};

/// Tells people and scanners of leaked secrets what it is.
const PREFIX: &str = "mia_";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Prints the key, an empty line, and the entry. The whole is no TOML, so that a key that is
/// appended to the file by mistake is found at the next start.
pub(super) fn run(arguments: &KeyArguments) -> Result<ExitCode, Failure> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
    let key = format!("{PREFIX}{}", base64url(&secret));
    let bad = |problems: Vec<KeyProblem>| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n"))
    };
    let entry = key_entry(&key, &arguments.name, &arguments.scopes, arguments.expires.as_deref());
    print(&format!("{key}\n\n{}", entry.map_err(bad)?.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

/// Base64 of RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    let digits = bytes.chunks(3).flat_map(|chunk| {
        let word = (0..3).fold(0, |word, at| word << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        (0..=chunk.len()).map(move |at| char::from(ALPHABET[word >> (18 - 6 * at) & 63]))
    });
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_that_of_the_rfc() {
        for (text, expected) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(base64url(text.as_bytes()), expected);
        }
        assert_eq!(base64url(&[0xfb, 0xff, 0xbf]), "-_-_");
    }
}
