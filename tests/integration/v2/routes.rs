//! What every route of the protocol has in common: HEAD, methods, labels.

use crate::harness::{Connection, Repository, Request, Server, assert_problem, shared};

/// Each GET route, as asked and as it is labelled.
const ROUTES: [(&str, &str); 14] = [
    ("/v2", "/v2"),
    ("/v2/", "/v2/"),
    ("/v2/health/live", "/v2/health/live"),
    ("/v2/health/ready", "/v2/health/ready"),
    ("/v2/models", "/v2/models"),
    ("/v2/models/stats", "/v2/models/stats"),
    ("/v2/models/add-one", "/v2/models/{model}"),
    ("/v2/models/add-one/versions/1", "/v2/models/{model}/versions/{version}"),
    ("/v2/models/add-one/ready", "/v2/models/{model}/ready"),
    ("/v2/models/add-one/versions/1/ready", "/v2/models/{model}/versions/{version}/ready"),
    ("/v2/models/add-one/config", "/v2/models/{model}/config"),
    ("/v2/models/add-one/versions/1/config", "/v2/models/{model}/versions/{version}/config"),
    ("/v2/models/add-one/stats", "/v2/models/{model}/stats"),
    ("/v2/models/add-one/versions/1/stats", "/v2/models/{model}/versions/{version}/stats"),
];

#[test]
fn get_and_head_answer_alike() {
    let mut connection = Connection::open(shared().http);
    for (target, _) in ROUTES {
        let got = connection.call(&Request::get(target));
        got.ok();
        let head = connection.call(&Request::new("HEAD", target));
        assert_eq!(head.status, 200, "{target}");
        for name in ["content-type", "x-request-id"] {
            assert!(head.header(name).is_some(), "{target}: {name}");
        }
        assert_eq!(head.header("content-type"), got.header("content-type"), "{target}");
        assert_eq!(got.header("content-type"), Some("application/json"), "{target}");
    }
    // Nothing of a body was left on the connection.
    connection.call(&Request::get("/v2")).ok();
}

#[test]
fn other_methods_are_405_and_name_those_that_work() {
    for (target, _) in ROUTES {
        for method in ["POST", "DELETE", "PUT"] {
            let answer = shared().call(&Request::new(method, target));
            assert_problem(&answer, 405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method} {target}");
        }
    }
    for method in ["GET", "HEAD", "DELETE"] {
        let mut connection = Connection::open(shared().http);
        let answer = connection.call(&Request::new(method, "/v2/repository/index"));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
}

#[test]
fn each_route_counts_under_its_own_label() {
    let server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    let count = |method: &str, route: &str, status: &str| {
        let metrics = server.metrics();
        let labels = [("method", method), ("route", route), ("status", status)];
        let samples: Vec<f64> =
            metrics.with("http_requests_total", &labels).map(|sample| sample.value).collect();
        assert_eq!(samples.len(), 1, "{labels:?}");
        samples[0]
    };
    for (_, route) in ROUTES {
        for status in ["200", "404", "503"] {
            assert!(count("GET", route, status).abs() < 0.5, "{route} exists at zero");
        }
    }
    assert!(count("POST", "/v2/repository/index", "400").abs() < 0.5);
    for (target, _) in ROUTES {
        server.get(target).ok();
    }
    server.call(&Request::new("POST", "/v2/repository/index").body("")).ok();
    for (_, route) in ROUTES {
        let labels = [("method", "GET"), ("route", route), ("status", "200")];
        server.wait_for_metric("http_requests_total", &labels, 1.0);
    }
    let index = [("method", "POST"), ("route", "/v2/repository/index"), ("status", "200")];
    server.wait_for_metric("http_requests_total", &index, 1.0);
    assert!(server.get("/").text().contains("GET /v2/models/{model}/stats"), "the index lists them");
}
