//! Help everywhere, and 64 for what nobody understands.

use crate::harness::command::run;

const COMMANDS: [&str; 7] = ["serve", "check", "predict", "tune", "health", "config", "key"];

#[test]
fn every_command_has_help_with_examples() {
    let top = run(["--help"]).finish().exits(0);
    for command in COMMANDS {
        assert!(top.stdout.contains(command), "{command}: {}", top.stdout);
        let finished = run([command, "--help"]).finish().exits(0);
        assert!(finished.stdout.to_lowercase().contains("example"), "{command}: {}", finished.stdout);
        assert!(
            finished.stdout.contains(&format!("ml-inference-api {command}")),
            "{command}: {}",
            finished.stdout
        );
    }
    assert!(top.stdout.to_lowercase().contains("example"), "{}", top.stdout);
}

#[test]
fn the_version_is_the_packages() {
    assert!(run(["--version"]).finish().exits(0).stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_nobody_understands_is_64() {
    for arguments in [
        &["nonsense"][..],
        &["serve", "--no-such-flag"],
        &["serve", "--http", "nowhere"],
        &["serve", "--http"],
        &["check", "--format", "xml", "x"],
        &["config", "surplus"],
        &[],
    ] {
        let finished = run(arguments).finish();
        assert_eq!(finished.code, Some(64), "{arguments:?}: {}", finished.all());
        assert!(!finished.stderr.is_empty(), "{arguments:?}");
    }
}
