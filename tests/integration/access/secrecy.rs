//! A key is nowhere but in its request: not in logs, spans, metrics or errors.

use super::{KeysFile, bearer, make, row, with_keys};
use crate::harness::Request;
use crate::harness::collector::Collector;

#[test]
fn logs_and_spans_have_the_name_of_a_key_and_never_the_key() {
    let collector = Collector::start();
    let web = make("web-shop", "predict", &[]);
    let file = KeysFile::new(&[&web]);
    let builder =
        with_keys(file.path()).env("ML_INFERENCE_LOG__ACCESS", "all").env("ML_INFERENCE_LOG__LEVEL", "debug");
    let mut server = collector.by_grpc(builder).start();
    let digest = web.entry.lines().find_map(|line| line.strip_prefix("sha256 = ")).unwrap();
    let tokens = [web.key.as_str(), "mia_wrong-token", digest.trim_matches('"')];
    let good = server.call(&bearer(row(), &web.key));
    assert_eq!(good.status, 200);
    let mut told = vec![good.text()];
    for request in
        [bearer(row(), tokens[1]), bearer(row(), tokens[2]), bearer(Request::get("/predict"), &web.key)]
    {
        let answer = server.call(&request);
        assert!(matches!(answer.status, 401 | 403), "{}", answer.text());
        told.push(format!("{} {:?}", answer.text(), answer.headers));
        for leak in [env!("CARGO_PKG_VERSION"), "keys.toml", "sha256"] {
            assert!(!answer.text().contains(leak), "{leak}: {}", answer.text());
        }
    }
    let trace = good.header("traceresponse").unwrap().split('-').nth(1).unwrap().to_owned();
    let spans = collector.trace(&trace, 6);
    let of_request = spans.iter().find(|span| span.name == "POST /predict/{model}").unwrap();
    assert_eq!(of_request.attributes["enduser.id"], "web-shop");
    assert!(!server.get("/metrics").text().contains("web-shop"));
    assert_eq!(server.terminate(), Some(0));
    let logged = server.process.stderr();
    assert!(logged.contains("\"caller\":\"web-shop\""), "{logged}");
    let everything = format!("{told:?}{logged}{:?}", collector.spans());
    for token in tokens {
        assert!(!everything.contains(token), "{token} in {everything}");
    }
}
