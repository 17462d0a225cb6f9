//! The page for people: from the binary alone, under a policy, and of use without scripts.

use crate::harness::{Request, assert_problem, shared};

#[test]
fn the_page_lists_models_and_routes_without_scripts() {
    let page = shared().get("/docs");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = page.text();
    for told in ["fraud-detector version 1", "versions version 10", "POST /v2/models/{model}/infer"] {
        assert!(text.contains(told), "{told}");
    }
    assert!(!text.contains("{{"), "every place is filled");
}

#[test]
fn nothing_but_what_comes_from_here_may_run() {
    for target in ["/docs", "/docs/page.js", "/docs/page.css"] {
        let answer = shared().get(target);
        assert_eq!(answer.status, 200, "{target}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(part), "{target}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
    }
    assert_problem(&shared().get("/docs/other.js"), 404, "not_found");
    assert_problem(&shared().call(&Request::new("POST", "/docs")), 405, "method_not_allowed");
}

#[test]
fn a_browser_that_asks_for_the_root_is_sent_to_the_page_and_nobody_else() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let sent = shared().call(&Request::get("/").header("accept", browser));
    assert_eq!((sent.status, sent.header("location")), (303, Some("/docs")));
    for accept in ["*/*", "application/json"] {
        let index = shared().call(&Request::get("/").header("accept", accept));
        assert!(index.ok()["routes"].is_array());
        assert_eq!(index.header("vary"), Some("accept"));
    }
}
