//! A8 and A13: bodies that are larger than they look, packed or as JSON. Each is bounded by what it
//! becomes, in memory as in its answer.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::json;

use crate::harness::problem::assert_problem_at;
use crate::harness::{Connection, Repository, Request, Server, assert_problem, shared};

const ROW: &[u8] = br#"{"x":[1,2,3]}"#;
const MIB: usize = 1 << 20;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn raw(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn packed(encoding: &str, body: &[u8]) -> Request {
    Request::new("POST", "/predict/add-one")
        .header("content-type", "application/json")
        .header("content-encoding", encoding)
        .body(body)
}

/// A valid body of `size` bytes.
fn row_of(size: usize) -> Vec<u8> {
    [vec![b' '; size - ROW.len()], ROW.to_vec()].concat()
}

fn with_limit(bytes: usize) -> Server {
    Server::builder()
        .repository(Repository::new().fixture("add-one").fixture("passthrough"))
        .env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", format!("{bytes}B"))
        .start()
}

#[test]
fn a13_packed_bodies_are_answered_like_plain_ones() {
    let members = [gzip(&ROW[..5]), gzip(&ROW[5..])].concat();
    for (encoding, body) in [
        ("gzip", gzip(ROW)),
        ("X-GZIP", gzip(ROW)),
        ("identity, gzip", gzip(ROW)),
        ("gzip", members),
        ("deflate", zlib(ROW)),
        ("deflate", raw(ROW)),
        ("gzip", gzip(&row_of(3 * MIB))),
    ] {
        let request = packed(encoding, &body);
        assert_eq!(shared().call(&request).ok()["y"], json!([2.0, 3.0, 4.0]), "{encoding}");
        let mut connection = Connection::open(shared().http);
        connection.write(&request.chunked(7));
        assert_eq!(connection.read().ok()["y"], json!([2.0, 3.0, 4.0]), "{encoding}");
    }
    shared().adds_up();
}

#[test]
fn a13_the_limit_is_that_of_the_unpacked_body() {
    let server = with_limit(100_000);
    server.call(&packed("gzip", &gzip(&row_of(100_000)))).ok();
    for body in [gzip(&row_of(100_001)), gzip(&vec![0; 64 * MIB])] {
        assert!(body.len() < 100_000);
        assert_problem(&server.call(&packed("gzip", &body)), 413, "payload_too_large");
    }
    assert_problem(&server.call(&packed("deflate", &zlib(&row_of(100_001)))), 413, "payload_too_large");
    shared().adds_up();
}

#[test]
fn a13_what_is_no_whole_stream_and_nothing_else_is_refused() {
    let whole = gzip(ROW);
    let cut = &whole[..whole.len() - 3];
    let junk = [&whole, &b"junk"[..]].concat();
    for body in [cut, &junk, ROW, b"\x1f\x8b"] {
        let problem = assert_problem(&shared().call(&packed("gzip", body)), 400, "invalid_input");
        assert_eq!(problem["detail"], "the body is not valid gzip");
    }
    assert_problem(&shared().call(&packed("deflate", ROW)), 400, "invalid_input");
    // What is packed twice and says so once is unpacked once; what says so twice is not taken.
    let nested = gzip(&gzip(&vec![b' '; 16 * MIB]));
    assert_problem(&shared().call(&packed("gzip", &nested)), 400, "invalid_json");
    for several in ["gzip, gzip", "gzip, deflate", "br", "zstd"] {
        let problem =
            assert_problem(&shared().call(&packed(several, &nested)), 415, "unsupported_media_type");
        assert!(problem["detail"].as_str().unwrap().contains("gzip or deflate"), "{problem}");
    }
    shared().adds_up();
}

#[test]
fn a13_bombs_take_no_more_memory_than_the_limit_allows() {
    let limit = 8 * MIB;
    let server = with_limit(limit);
    server.call(&packed("gzip", &gzip(&row_of(limit)))).ok();
    let before = server.peak_memory();
    let bomb = gzip(&vec![0; 64 * MIB]);
    for _ in 0..10 {
        assert_problem(&server.call(&packed("gzip", &bomb)), 413, "payload_too_large");
    }
    let grown = server.peak_memory() - before;
    assert!(grown < 4 * limit as u64, "{grown} bytes");
    shared().adds_up();
}

#[test]
fn a13_unpacked_bytes_count_among_those_held_and_are_given_back() {
    let server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_LIMITS__MAX_INFLIGHT_BYTES", "1MiB")
        .start();
    for _ in 0..3 {
        let answer = server.call(&packed("gzip", &gzip(&row_of(2 * MIB))));
        assert_problem(&answer, 503, "overloaded");
        server.call(&packed("gzip", &gzip(&row_of(MIB / 2)))).ok();
    }
}

#[test]
fn a8_json_that_stands_for_more_than_the_limit_is_refused() {
    let server = with_limit(4096);
    let numbers = |count: usize| json!({ "x": vec![1; count] });
    server.post("/predict/passthrough", &numbers(1024)).ok();
    let answer = server.post("/predict/passthrough", &numbers(1025));
    assert_problem_at(&answer, 413, "payload_too_large", "/x/1024");
    let rows = json!({ "instances": vec![json!([1, 1, 1]); 400] });
    assert!(rows.to_string().len() < 4096);
    let answer = server.post("/predict/add-one", &rows);
    assert_problem_at(&answer, 413, "payload_too_large", "/instances/341/1");
    shared().adds_up();
}

#[test]
fn a8_decoded_bytes_count_among_those_held() {
    let server = Server::builder()
        .repository(Repository::new().fixture("passthrough"))
        .env("ML_INFERENCE_LIMITS__MAX_INFLIGHT_BYTES", "100000B")
        .start();
    let numbers = |count: usize| json!({ "x": vec![1; count] });
    for _ in 0..3 {
        assert_problem(&server.post("/predict/passthrough", &numbers(20_000)), 503, "overloaded");
        server.post("/predict/passthrough", &numbers(15_000)).ok();
    }
}
