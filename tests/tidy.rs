//! The house rules as a test: which room may know which, which crate is named where, how long files
//! and functions may be. Every failure names file and line.
//!
//! `tidy/house.rs` is the table, `tidy/rules.rs` the rules with bad samples that each must catch.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot go on fails")]

#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use house::{EXTERNALS, ROOMS, TOP};
use source::Source;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_source_keeps_the_rules_of_the_house() {
    let sources = Source::all_under(package(), "src");
    assert!(sources.len() > ROOMS.len(), "found only {} files under src", sources.len());
    assert_none(&sources.iter().flat_map(rules::problems_of_source).collect::<Vec<_>>());
}

#[test]
fn the_tests_keep_the_rules_of_the_house() {
    // Samples of bad code stand in string literals, which are no code to the scanner.
    let mut problems: Vec<_> =
        Source::all_under(package(), "tests").iter().flat_map(rules::problems_of_test).collect();
    for source in Source::all_under(package(), "src") {
        let ignored = source.code.match_indices("#[ignore").map(|(at, _)| source.at(at, "no ignored tests"));
        problems.extend(ignored);
    }
    assert_none(&problems);
}

#[test]
fn no_room_reaches_itself_through_others() {
    let mut arrows = BTreeSet::new();
    for source in Source::all_under(package(), "src") {
        let from = rules::room_of(&source.path);
        for (to, _) in rules::rooms_named(&source) {
            arrows.insert((from.clone(), to));
        }
    }
    let arrows: Vec<_> = arrows.into_iter().collect();
    assert!(arrows.len() > 5, "the scan found only {arrows:?}");
    assert_none(&rules::cycles(&arrows));
}

#[test]
fn the_table_itself_has_no_cycle_and_nobody_knows_the_top() {
    let arrows: Vec<_> = ROOMS
        .iter()
        .flat_map(|room| room.knows.iter().map(|to| (room.name.to_owned(), (*to).to_owned())))
        .collect();
    assert_none(&rules::cycles(&arrows));
    for room in ROOMS.iter().filter(|room| !TOP.contains(&room.name)) {
        assert!(!room.knows.iter().any(|to| TOP.contains(to)), "{} must not know the top", room.name);
    }
    for (_, to) in &arrows {
        assert!(ROOMS.iter().any(|room| room.name == to), "{to} is in the table and is no room");
    }
}

#[test]
fn every_room_of_the_table_exists() {
    let existing: BTreeSet<_> =
        Source::all_under(package(), "src").iter().map(|source| rules::room_of(&source.path)).collect();
    let missing: Vec<_> =
        ROOMS.iter().filter(|room| !existing.contains(room.name)).map(|room| room.name.to_owned()).collect();
    assert_none(&missing);
}

#[test]
fn every_dependency_has_its_rooms_and_no_other_is_listed() {
    let text = fs::read_to_string(package().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let declared: BTreeSet<_> = manifest["dependencies"].as_table().unwrap().keys().cloned().collect();
    let listed: BTreeSet<_> = EXTERNALS.iter().map(|external| external.package.to_owned()).collect();
    assert_eq!(declared, listed, "left: Cargo.toml, right: tests/tidy/house.rs");
}
