//! Which bodies are taken as what: content types, charsets, encodings.

use crate::harness::{Request, Response, assert_problem, shared};

const ROW: &str = "{\"x\":[1,2,3]}";

fn send(content_type: &str, body: &str) -> Response {
    shared().call(&Request::text("/predict/add-one", content_type, body))
}

#[test]
fn json_by_any_of_its_names() {
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/vnd.example+json",
        "application/x-www-form-urlencoded",
    ] {
        let answer = send(content_type, ROW);
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.text());
    }
    let untyped = shared().call(&Request::new("POST", "/predict/add-one").body(ROW));
    assert_eq!(untyped.status, 200, "{}", untyped.text());
    shared().adds_up();
}

#[test]
fn other_types_are_refused_and_told_what_to_send() {
    for content_type in [
        "text/plain",
        "application/xml",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "nonsense",
        "text/json/x",
    ] {
        let body = assert_problem(&send(content_type, ROW), 415, "unsupported_media_type");
        assert!(body["detail"].as_str().unwrap().contains("application/json"), "{body}");
    }
    // A real form, not what `curl -d` sends with JSON.
    assert_problem(&send("application/x-www-form-urlencoded", "x=1&y=2"), 415, "unsupported_media_type");
    shared().adds_up();
}

#[test]
fn other_charsets_and_encodings_are_refused() {
    for content_type in [
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "text/csv; charset=iso-8859-1",
    ] {
        assert_problem(&send(content_type, ROW), 415, "unsupported_media_type");
    }
    for encoding in ["br", "zstd", "gzip, gzip", "gzip, deflate", "x-unknown"] {
        let request =
            Request::text("/predict/add-one", "application/json", ROW).header("content-encoding", encoding);
        assert_problem(&shared().call(&request), 415, "unsupported_media_type");
    }
    let identity =
        Request::text("/predict/add-one", "application/json", ROW).header("content-encoding", "identity");
    assert_eq!(shared().call(&identity).status, 200);
    shared().adds_up();
}
