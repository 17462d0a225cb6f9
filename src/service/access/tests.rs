//! Keys: what a file may hold, who is let in, and what a reload changes.

use std::time::{Duration, UNIX_EPOCH};

use super::file::parse;
use super::*;
use crate::telemetry::BuildInfo;

const NOW: SystemTime = UNIX_EPOCH;

fn entry(key: &str, name: &str, scopes: &[&str]) -> String {
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    key_entry(key, name, &scopes, None).unwrap()
}

fn access(text: &str) -> (tempfile::TempDir, Access) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    std::fs::write(&path, text).unwrap();
    let access = Access::from_file(&path).unwrap();
    (folder, access)
}

#[track_caller]
fn refused(access: &Access, token: Option<&str>, now: SystemTime) -> String {
    let error = access.identify(token, now).err().unwrap();
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    error.detail
}

fn told(text: &str) -> Vec<String> {
    parse(text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn each_key_is_its_own_caller_with_its_own_scopes() {
    let text = entry("first", "web", &["predict"]) + &entry("second", "batch", &["metadata", "admin"]);
    let (_folder, access) = access(&text);
    for (token, name, may) in
        [("first", "web", &[Scope::Predict][..]), ("second", "batch", &[Scope::Metadata, Scope::Admin])]
    {
        let caller = access.identify(Some(token), NOW).unwrap();
        assert_eq!(&**caller.name(), name);
        for scope in Scope::ALL {
            let code = caller.permit(scope).err().map(|error| error.code);
            assert_eq!(code.is_none(), may.contains(&scope), "{name} {scope:?}");
            assert!(code.is_none_or(|code| code == ErrorCode::Forbidden));
        }
    }
}

#[test]
fn what_is_no_key_is_refused_without_being_repeated() {
    let (_folder, access) = access(&entry("right", "web", &["predict"]));
    let digest = format!("{:x}", Sha256::digest("right"));
    let long = "x".repeat(MAX_TOKEN + 1);
    let tokens = [
        None,
        Some(""),
        Some("wrong"),
        Some("Right"),
        Some("right "),
        Some(&digest),
        Some(&long[1..]),
        Some(&long),
    ];
    for token in tokens {
        let detail = refused(&access, token, NOW);
        assert!(token.is_none_or(|token| token.is_empty() || !detail.contains(token)), "{detail}");
    }
    assert!(refused(&access, Some(&long), NOW).contains("4096"));
}

#[test]
fn a_key_ends_at_its_moment() {
    let text = key_entry("old", "web", &["predict".to_owned()], Some("2027-01-31T00:00:00Z")).unwrap();
    let (_folder, access) = access(&text);
    let end = UNIX_EPOCH + Duration::from_hours(500_376);
    assert!(access.identify(Some("old"), end - Duration::from_nanos(1)).is_ok());
    assert!(refused(&access, Some("old"), end).contains("expired"));
}

#[test]
fn every_mistake_is_told_with_its_entry_and_no_digest() {
    let digest = "AB".repeat(32);
    let text = format!(
        "key = 1\n[[keys]]\nname = \"a\"\nsha256 = \"{digest}\"\nscopes = [\"predict\"]\n\
         [[keys]]\nname = \"a\"\nsha256 = \"{}\"\nscopes = []\nexpires = \"soon\"\nkey = \"x\"\n\
         [[keys]]\nname = \"a b\"\nsha256 = \"{digest}0\"\nscopes = [\"predict\", \"all\"]\n\
         {}_ = 1\nexpires = 2027-01-31T00:00:00\n",
        digest.to_lowercase(),
        "m".repeat(40),
    );
    let told = told(&text);
    for expected in [
        "the file may hold nothing but [[keys]]",
        "entry 2 (\"a\"): `scopes` must be a list of at least one out of predict, metadata, admin",
        "entry 2 (\"a\"): `expires` must be a date, or a date-time with its offset, as in RFC 3339",
        "entry 2 (\"a\"): unknown field `key`: an entry has name, sha256, scopes, expires",
        "entry 2 (\"a\"): `name` must not be that of entry 1 (\"a\")",
        "entry 2 (\"a\"): `sha256` must not be that of entry 1 (\"a\")",
        "entry 3: `name` must be 1 to 64 letters, digits, dots, underscores or hyphens",
        "entry 3: `sha256` must be the 64 hexadecimal digits of the key's SHA-256",
        "entry 3: `scopes` must be a list of at least one out of predict, metadata, admin",
        "entry 3: `expires` must be a date, or a date-time with its offset, as in RFC 3339",
        "entry 3: unknown field `...`: an entry has name, sha256, scopes, expires",
    ] {
        assert!(told.iter().any(|problem| problem == expected), "{expected} in {told:#?}");
    }
    assert_eq!(told.len(), 11, "{told:#?}");
    assert!(!told.concat().to_uppercase().contains("ABAB"), "{told:#?}");
}

#[test]
fn files_without_a_key_are_mistakes() {
    for text in ["", "# nothing", "keys = []", "keys = 1", "[keys]\nname = \"a\""] {
        assert_eq!(told(text), ["the file must hold at least one [[keys]]"], "{text}");
    }
    assert_eq!(told("keys = [1]"), ["entry 1: must be a table"]);
    let broken = told("[[keys]]\nname = \"a\"\nmia_secret\n");
    assert!(broken.len() == 1 && broken[0].starts_with("line 3: not valid TOML: "), "{broken:?}");
    assert!(!broken[0].contains("mia_secret"), "{broken:?}");
}

#[test]
fn a_reload_replaces_the_keys_and_a_bad_file_does_not() {
    let metrics = Metrics::new(None, &BuildInfo::default());
    let (folder, access) = access(&entry("one", "a", &["predict"]));
    let path = folder.path().join("keys.toml");
    let is_in = |token| access.identify(Some(token), NOW).is_ok();
    std::fs::write(&path, entry("two", "b", &["predict"])).unwrap();
    access.reload(&metrics);
    assert!(is_in("two") && !is_in("one"));
    std::fs::write(&path, "[[keys]]\n").unwrap();
    access.reload(&metrics);
    std::fs::remove_file(&path).unwrap();
    access.reload(&metrics);
    assert!(is_in("two"), "the last good keys stay");
    let counted = metrics.render();
    for (result, times) in [("ok", 1), ("error", 2)] {
        let line = counted.lines().find(|line| line.contains("secret=\"keys\"") && line.contains(result));
        assert!(line.is_some_and(|line| line.ends_with(&format!(" {times}"))), "{result}: {line:?}");
    }
}
