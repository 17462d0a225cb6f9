//! The formats of `/metrics`.

use crate::harness::{Connection, Repository, Request, Server};

fn server(name: &str, value: &str) -> Server {
    Server::builder().repository(Repository::new().fixture("add-one")).env(name, value).start()
}

/// What Prometheus 2.42 sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

#[test]
fn prometheus_gets_openmetrics_and_everyone_else_text() {
    let server = server("OTEL_SERVICE_NAME", "cards");
    for address in [server.http, server.admin] {
        let mut connection = Connection::open(address);
        let mut get = |accept: Option<&str>| {
            let request = Request::get("/metrics");
            let answer =
                connection.call(&accept.into_iter().fold(request, |it, value| it.header("accept", value)));
            assert_eq!((answer.status, answer.header("vary")), (200, Some("accept")), "{:?}", answer.headers);
            (answer.header("content-type").unwrap().to_owned(), answer.text())
        };
        for (accept, version) in
            [(PROMETHEUS, "1.0.0"), ("application/openmetrics-text;version=0.0.1", "0.0.1")]
        {
            let (media, text) = get(Some(accept));
            assert_eq!(media, format!("application/openmetrics-text; version={version}; charset=utf-8"));
            assert!(text.ends_with("# EOF\n") && text.contains("\n# TYPE http_requests counter\n"), "{text}");
            assert!(text.contains("\nhttp_requests_total{"), "{text}");
        }
        for accept in [None, Some("*/*"), Some("text/plain"), Some("text/html,*/*;q=0.8"), Some("image/png")]
        {
            let (media, text) = get(accept);
            assert_eq!(media, "text/plain; version=0.0.4; charset=utf-8", "{accept:?}");
            assert!(text.contains("\n# TYPE http_requests_total counter\n") && !text.contains("# EOF"));
        }
    }
}
