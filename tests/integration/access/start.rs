//! What is wrong with keys or origins is told at start; what is open is warned of.

use super::{KeysFile, builder, make, with_keys};
use crate::harness::command::run;
use crate::harness::server::Builder;
use crate::harness::wait::PATIENCE;

#[track_caller]
fn refuses(builder: &Builder) -> String {
    let mut process = builder.spawn();
    assert_eq!(process.wait(PATIENCE), Some(64), "{}", process.stderr());
    process.stderr()
}

#[test]
fn every_mistake_of_the_keys_file_is_told_with_the_rest_of_the_configuration() {
    let made = make("web", "predict", &[]);
    let file = KeysFile::new(&[]);
    let second = made.entry.replace("predict", "all");
    file.write(&format!("{}{second}extra = 1\n", made.entry));
    let said = refuses(&with_keys(file.path()).env("ML_INFERENCE_LIMITS__MAX_INSTANCES", "many"));
    for told in [
        "ML_INFERENCE_LIMITS__MAX_INSTANCES",
        "auth.keys_file",
        "ML_INFERENCE_AUTH__KEYS_FILE",
        "entry 2 (\"web\"): `scopes`",
        "entry 2 (\"web\"): `name` must not be that of entry 1",
        "entry 2 (\"web\"): `sha256` must not be that of entry 1",
        "unknown field `extra`",
    ] {
        assert!(said.contains(told), "{told} is missing in:\n{said}");
    }
    let digest = made.entry.lines().find_map(|line| line.strip_prefix("sha256 = ")).unwrap();
    assert!(!said.contains(digest.trim_matches('"')), "{said}");
}

#[test]
fn locks_that_would_not_lock_are_mistakes() {
    let empty = KeysFile::new(&[]);
    assert!(refuses(&with_keys(empty.path())).contains("at least one [[keys]]"));
    // What the command prints, appended as a whole: the key itself must not stay in the file.
    let made = make("web", "predict", &[]);
    empty.write(&format!("{}\n\n{}", made.key, made.entry));
    let said = refuses(&with_keys(empty.path()));
    assert!(said.contains("not valid TOML") && !said.contains(&made.key), "{said}");
    let said = refuses(&builder().env("ML_INFERENCE_AUTH__PROTECT_METRICS", "true"));
    assert!(said.contains("auth.protect_metrics") && said.contains("auth.keys_file"), "{said}");
    let token = refuses(&builder().env("ML_INFERENCE_ADMIN__TOKEN_FILE", "/dev/null"));
    assert!(token.contains("admin.token_file"), "{token}");
}

#[test]
fn the_command_makes_a_new_key_each_time_and_refuses_what_no_entry_may_have() {
    let (one, two) =
        (make("a", "predict", &[]), make("a", "predict", &["--expires", "2030-01-01T00:00:00Z"]));
    assert_ne!(one.key, two.key);
    assert!(one.key.starts_with("mia_") && one.key.len() == 47, "256 bits in base64url");
    assert!(!one.entry.contains(&one.key), "{}", one.entry);
    let bad = run(["key", "--name", "a b", "--scopes", "all", "--expires", "soon"]).finish().exits(64);
    for told in ["`name`", "`scopes`", "`expires`"] {
        assert!(bad.stderr.contains(told), "{told}: {}", bad.stderr);
    }
    assert_eq!(bad.stdout, "");
}

#[test]
fn a_port_that_is_open_to_all_is_warned_of_once() {
    const WARNING: &str = "can ask for predictions";
    let file = KeysFile::new(&[&make("web", "predict", &[])]);
    let anywhere = || "0.0.0.0:0".parse().unwrap();
    let loopback = || "127.0.0.1:0".parse().unwrap();
    for (builder, times) in [
        (builder().addresses(anywhere(), loopback()), 1),
        (builder(), 0),
        (with_keys(file.path()).addresses(anywhere(), loopback()), 0),
    ] {
        let mut server = builder.start();
        assert_eq!(server.terminate(), Some(0));
        let logged = server.process.stderr();
        let warned: Vec<&str> = logged.lines().filter(|line| line.contains(WARNING)).collect();
        assert_eq!(warned.len(), times, "{logged}");
        assert!(warned.iter().all(|line| line.contains("auth.keys_file")), "{warned:?}");
    }
}

#[test]
fn origins_that_no_browser_sends_are_mistakes() {
    for origin in [
        "app.example.com",
        "https://app.example.com/",
        "https://App.example.com",
        "https://app.example.com:443",
        "https://app.example.com:0",
        "https://me@app.example.com",
        "https://*.example.com",
        "https://",
        "null",
        "*,https://app.example.com",
    ] {
        let said = refuses(&builder().env("ML_INFERENCE_HTTP__CORS_ORIGINS", origin));
        assert!(said.contains("http.cors_origins") && said.contains("https://app.example.com"), "{said}");
    }
}
