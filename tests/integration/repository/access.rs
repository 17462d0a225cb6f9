//! Who may load and unload: this machine, or whoever has the token; and never on the public port.

use std::fs;

use tempfile::TempDir;

use crate::harness::{Connection, Repository, Request, Server, assert_problem, shared, wait};

const ROUTES: [&str; 3] =
    ["/v2/repository/index", "/v2/repository/models/add-one/load", "/v2/repository/models/add-one/unload"];

#[test]
fn the_public_port_has_neither() {
    for route in &ROUTES[1..] {
        assert_problem(&shared().call(&Request::new("POST", route)), 404, "not_found");
    }
    let index = shared().get("/").text();
    assert!(!index.contains("/load") && !index.contains("/unload"), "{index}");
    let wrong = Connection::open(shared().admin).call(&Request::get(ROUTES[1]));
    assert_problem(&wrong, 405, "method_not_allowed");
}

#[test]
fn what_a_proxy_or_a_page_sends_is_not_this_machine() {
    let mut connection = Connection::open(shared().admin);
    for (name, value) in
        [("origin", "http://localhost"), ("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1")]
    {
        for route in ROUTES {
            let answer = connection.call(&Request::new("POST", route).header(name, value));
            let problem = assert_problem(&answer, 403, "forbidden");
            assert!(problem["detail"].as_str().unwrap().contains("admin.token_file"), "{problem}");
        }
    }
}

#[test]
fn the_token_lets_in_and_is_read_again_when_it_changes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "the-first-token-of-all\n").unwrap();
    let repository = Repository::new().fixture("add-one");
    let server = Server::builder()
        .repository(repository)
        .env("ML_INFERENCE_ADMIN__TOKEN_FILE", path.to_str().unwrap())
        .start();
    let call = |authorization: Option<&str>| {
        let request = Request::new("POST", ROUTES[1]).header("x-forwarded-for", "192.0.2.1");
        let request =
            authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
        Connection::open(server.admin).call(&request)
    };
    assert_eq!(call(Some("Bearer the-first-token-of-all")).status, 200);
    for wrong in [None, Some("Bearer another-token-altogether"), Some("Basic abc"), Some("Bearer ")] {
        let refused = call(wrong);
        assert_problem(&refused, 401, "unauthenticated");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(Connection::open(server.admin).call(&Request::new("POST", ROUTES[1])).status, 200, "loopback");
    fs::write(folder.path().join("new"), "the-second-token-of-all").unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    wait::until("the new token", wait::PATIENCE, || {
        (call(Some("Bearer the-second-token-of-all")).status == 200).then_some(())
    });
    assert_problem(&call(Some("Bearer the-first-token-of-all")), 401, "unauthenticated");
}
