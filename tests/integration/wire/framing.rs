//! A16, A17, C7: headers and bodies whose end two readers could see at different places, too much of a
//! header, and many requests at once.

use super::{Raw, builder, statuses};
use crate::harness::{Invariants, Server};

/// Behind every offence; never to be parsed.
const SMUGGLED: &str = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";

/// Headers of a POST that are refused: its first line and its host come before them.
const HEADERS: [&str; 24] = [
    "content-length: 4\r\ntransfer-encoding: chunked\r\n",
    "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    "content-length: 4\r\ncontent-length: 4\r\n",
    "content-length: 4\r\ncontent-length: 5\r\n",
    "content-length: 4, 4\r\n",
    "content-length: +4\r\n",
    "content-length: -4\r\n",
    "content-length: 0x4\r\n",
    "content-length: 4 4\r\n",
    "content-length:\r\n",
    "content-length: 18446744073709551617\r\n",
    "content-length : 4\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "transfer-encoding: chunked, identity\r\n",
    "transfer-encoding: identity\r\n",
    "transfer-encoding: xchunked\r\n",
    "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    "transfer-encoding : chunked\r\n",
    "x: 1\r\n transfer-encoding: chunked\r\n",
    "x: 1\r\n\tfolded\r\n",
    "x: 1\n",
    "x: 1\rcontent-length: 4\r\n",
    "host: b\r\n",
];

/// Whole headers that are refused.
const WHOLE: [&str; 11] = [
    "GARBAGE\r\n\r\n",
    "GET /health HTTP/1.1\r\nhost : a\r\n\r\n",
    "GET /health HTTP/1.1\r\n\r\n",
    "GET http://a/health HTTP/1.1\r\n\r\n",
    "GET /health HTTP/1.1\r\nhost: a b\r\n\r\n",
    "GET /health HTTP/1.1\r\nhost: a/b\r\n\r\n",
    "GET /health HTTP/1.1\nhost: a\n\n",
    "\nGET /health HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /health HTTP/1.1\r\nhost: a\r\n\n",
    "GET /health HTTP/9.9\r\nhost: a\r\n\r\n",
    "\u{16}\u{3}\u{1} a TLS client\r\n\r\n",
];

fn offences() -> Vec<String> {
    let post = |headers: &&str| {
        format!("POST /predict/add-one HTTP/1.1\r\nhost: a\r\n{headers}\r\n0\r\n\r\n{SMUGGLED}")
    };
    let whole = WHOLE.iter().map(|head| format!("{head}{SMUGGLED}"));
    HEADERS.iter().map(post).chain(whole).collect()
}

#[track_caller]
fn assert_one_400_and_the_end(server: &Server, bytes: &[u8], send: impl Fn(&mut Raw, &[u8])) {
    let mut raw = Raw::open(server.http);
    send(&mut raw, bytes);
    let text = raw.rest();
    assert_eq!(statuses(&text), [400], "{:?} got {text}", String::from_utf8_lossy(bytes));
}

#[test]
fn a17_headers_that_two_readers_could_read_differently_are_400_and_the_end() {
    let server = builder().start();
    let (invariants, offences) = (Invariants::before(&server), offences());
    for offence in &offences {
        assert_one_400_and_the_end(&server, offence.as_bytes(), Raw::send);
        assert_one_400_and_the_end(&server, offence.as_bytes(), Raw::send_slowly);
    }
    let refused = f64::from(u32::try_from(2 * offences.len()).unwrap());
    server.wait_for_metric("http_connection_errors_total", &[("kind", "protocol")], refused);
    invariants.hold(0);
}

#[test]
fn a17_an_offence_behind_good_requests_ends_the_connection_there() {
    let server = builder().start();
    let (invariants, offences) = (Invariants::before(&server), offences());
    let good = concat!(
        "POST /predict/add-one HTTP/1.1\r\nhost: a\r\ncontent-length: 13\r\n\r\n{\"x\":[1,2,3]}",
        "POST /predict/add-one HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nd;x=\"\r\n{\"x\":[1,2,3]}\r\n0\r\nx: y\r\n\r\n",
    );
    for offence in &offences {
        let mut raw = Raw::open(server.http);
        raw.send(format!("{good}{offence}").as_bytes());
        let text = raw.rest();
        assert_eq!(statuses(&text), [200, 200, 400], "{offence:?} got {text}");
    }
    invariants.hold(u32::try_from(2 * offences.len()).unwrap());
}

#[test]
fn a17_chunks_that_two_readers_could_read_differently_are_400_and_the_end() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let chunks = [
        "G\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        " 2\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2;x\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}}\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\n\rX",
    ];
    for chunks in chunks {
        let head = "POST /predict/add-one HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let bytes = format!("{head}{chunks}{SMUGGLED}");
        assert_one_400_and_the_end(&server, bytes.as_bytes(), Raw::send);
        assert_one_400_and_the_end(&server, bytes.as_bytes(), Raw::send_slowly);
    }
    // Each was a request whose header was good.
    invariants.hold(2 * u32::try_from(chunks.len()).unwrap());
}

#[test]
fn a17_what_is_unusual_but_allowed_is_served() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let requests = [
        "\r\n\r\nGET /health HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /health HTTP/1.1\r\nHOST:\r\n\r\n",
        "GET http://b/health HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost:\ta.b-c_d:80 \r\nhosts: a, b\r\ncontent-length: 00\r\n\r\n",
        "POST /predict/add-one HTTP/1.1\r\nhost: a\r\ncontent-length: 013\r\n\r\n{\"x\":[1,2,3]}",
        "POST /predict/add-one HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n00D ;a=b;c=\"\u{e9}\"\r\n{\"x\":[1,2,3]}\r\n000\r\ncontent-length: 7\r\nhost: b\r\n\r\n",
        "GET /health HTTP/1.0\r\n\r\n",
    ];
    let all = requests.concat();
    for send in [Raw::send, Raw::send_slowly] {
        let mut raw = Raw::open(server.http);
        send(&mut raw, all.as_bytes());
        let text = raw.rest();
        assert_eq!(text.matches(" 200 OK\r\n").count(), requests.len(), "{text}");
    }
    invariants.hold(2 * u32::try_from(requests.len()).unwrap());
}

#[test]
fn a16_headers_without_an_end_cost_a_connection_what_the_limit_says_and_no_more() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    // 150 times 400 KB would be 60 MB; the limit is 64 KiB.
    let mut crowd: Vec<Raw> = (0..150).map(|_| Raw::open(server.http)).collect();
    for (raw, start) in
        crowd.iter_mut().zip(["GET /health HTTP/1.1\r\nhost: a\r\nx: ", "GET /"].iter().cycle())
    {
        raw.send(start.as_bytes());
        raw.send(&vec![b'a'; 60 * 1024]);
    }
    invariants.hold(0);
    for raw in &mut crowd {
        raw.send(&vec![b'a'; 400 * 1024]);
        let statuses = statuses(&raw.rest());
        assert!(statuses == [431] || statuses.is_empty(), "{statuses:?}");
    }
    server.wait_for_metric("http_connection_errors_total", &[("kind", "protocol")], 150.0);
    // The probe of the first time is a request as well.
    invariants.hold(1);
}

#[test]
fn c7_a_thousand_requests_at_once_are_answered_in_order() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let request = |n: u32| {
        let body = format!("{{\"x\":[{n},0,0]}}");
        format!("POST /predict/add-one HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let all: String = (0..1000).map(request).collect();
    let mut raw = Raw::open(server.http);
    let mut writing = raw.second();
    let text = std::thread::scope(|scope| {
        scope.spawn(move || {
            writing.send(all.as_bytes());
            drop(writing.0.shutdown(std::net::Shutdown::Write));
        });
        raw.rest()
    });
    let firsts: Vec<f64> = text
        .split("\"y\":[")
        .skip(1)
        .map(|answer| answer.split(',').next().unwrap().parse().unwrap())
        .collect();
    let expected: Vec<f64> = (1..=1000).map(f64::from).collect();
    assert_eq!(firsts, expected);
    invariants.hold(1000);
}
