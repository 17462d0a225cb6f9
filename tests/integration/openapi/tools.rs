//! Tools that read OpenAPI descriptions, and an engine that runs the page's script, all unmodified. What they
//! ask and expect is written below `tests/clients/`.

use std::process::Command;

use crate::access::{KeysFile, make, with_keys};
use crate::harness::{Repository, Server, settings};

#[test]
fn a_validator_and_schemathesis_find_nothing() {
    let repository = Repository::new().fixture("add-one").fixture("dtypes");
    let server = Server::builder()
        .models(settings::package("models/fraud-detector"))
        .models(settings::package("models/digits"))
        .repository(repository)
        .start();
    server.expects_strangers();
    let url = format!("http://{}", server.http);
    let mut command = Command::new(settings::schemathesis());
    command.arg(settings::package("tests/clients/openapi.py")).args([url.as_str(), "5", "1"]);
    command.current_dir(server.folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("HOME", server.folder.path()).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    let output = command.output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
}

/// Runs the page's script against a server; `key` where it asks for one.
#[track_caller]
fn page(server: &Server, key: Option<&str>) {
    server.expects_strangers();
    let jsdom = settings::jsdom();
    let mut command = Command::new(jsdom.join("node"));
    command.arg(settings::package("tests/clients/docs_page.mjs")).arg(&jsdom);
    command.arg(format!("http://{}", server.http)).args(key);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    let output = command.output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.starts_with("OK"), "{said}\n{complained}");
}

#[test]
fn the_page_shows_each_model_and_sends_its_example() {
    let server = Server::builder()
        .models(settings::package("models/fraud-detector"))
        .models(settings::package("models/digits"))
        .repository(
            Repository::new()
                .fixture("add-one")
                .version("versions", "1", "add-one")
                .version("versions", "2", "add-one"),
        )
        .start();
    page(&server, None);
}

#[test]
fn the_page_asks_for_a_key_where_there_are_keys() {
    let made = make("all", "predict,metadata", &[]);
    let file = KeysFile::new(&[&made]);
    let server = with_keys(file.path()).start();
    page(&server, Some(&made.key));
}
