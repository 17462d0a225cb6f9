//! B13: an HTTP/2 peer that sends more than anybody needs. It loses its connection; others notice nothing.

use std::iter::repeat_n;
use std::thread;
use std::time::{Duration, Instant};

use super::builder;
use crate::harness::http2::{
    ACK, CONTINUATION, DATA, END_STREAM, Frames, HEADERS, PING, PRIORITY, SETTINGS, WINDOW_UPDATE, cancel,
    frame, post,
};
use crate::harness::{Invariants, Server, wait};

/// More than any bound: some MiB.
const FRAMES: usize = 400_000;
/// Longer than a probe takes on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// Sends all floods side by side while it asks for health; every one must be stopped. Returns how
/// often it asked.
#[track_caller]
fn are_stopped<I: Iterator<Item = Vec<u8>> + Send>(server: &Server, floods: Vec<(&'static str, I)>) -> u32 {
    let count = floods.len();
    let asked = thread::scope(|scope| {
        let floods: Vec<_> = floods
            .into_iter()
            .map(|(name, pieces)| (name, scope.spawn(|| Frames::open(server.http).flood(pieces))))
            .collect();
        let mut asked = 0;
        while floods.iter().any(|(_, flood)| !flood.is_finished()) {
            let begun = Instant::now();
            assert_eq!(server.get("/health").status, 200);
            assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
            asked += 1;
        }
        for (name, flood) in floods {
            assert!(flood.join().unwrap(), "{name}: all of it was taken");
        }
        asked
    });
    let told = f64::from(u32::try_from(count).unwrap());
    server.wait_for_metric("http_connection_errors_total", &[("kind", "reset_flood")], told);
    asked
}

/// Demands that the processor is left alone once nobody sends any more.
#[track_caller]
fn is_calm(server: &Server) {
    let used = || server.metrics().sum("process_cpu_seconds_total", &[]);
    wait::until("the processor to be left alone", Duration::from_secs(20), || {
        let (begun, before) = (Instant::now(), used());
        wait::at_most(Duration::from_millis(100), || None::<()>);
        (used() - before < begun.elapsed().as_secs_f64() / 2.0).then_some(())
    });
}

#[test]
fn b13_frames_that_carry_nothing_have_a_bound() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let ping = [0; 8];
    let floods = [
        ("pings", vec![], frame(PING, 0, 0, &ping)),
        ("answers to no ping", vec![], frame(PING, ACK, 0, &ping)),
        ("settings", vec![], frame(SETTINGS, 0, 0, &[])),
        ("priorities", vec![], frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("window updates", vec![], frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("frames that nobody knows", vec![], frame(0xee, 0, 0, &[])),
        ("empty data", post(1, "/predict/add-one", 0), frame(DATA, 0, 1, &[])),
        ("continuations", frame(HEADERS, 0, 1, &[0x83]), frame(CONTINUATION, 0, 1, &[])),
    ];
    let pieces = floods.map(|(name, opening, frame)| {
        (name, std::iter::once(opening).chain(repeat_n(frame.repeat(1000), FRAMES / 1000)))
    });
    let asked = are_stopped(&server, pieces.into());
    is_calm(&server);
    // The empty data had a request before it.
    invariants.hold(asked + 1);
    let lines = server.process.stderr().lines().count();
    assert!(lines < 200, "a flood of frames is no flood of {lines} log lines");
}

#[test]
fn b13_ten_thousand_streams_on_one_connection_are_too_many() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let streams = (0..10_000).map(|n| post(2 * n + 1, "/predict/add-one", 0));
    let asked = are_stopped(&server, vec![("streams without an end", streams)]);
    is_calm(&server);
    // No more than may be open at once were handed to a route.
    invariants.hold_between(asked..=asked + 256);
}

#[test]
fn b13_requests_that_are_cancelled_at_once_are_not_worked_on() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let pairs = |n: u32| [post(2 * n + 1, "/predict/add-one", END_STREAM), cancel(2 * n + 1)].concat();
    let resets = (0..100).map(move |n| (n * 100..(n + 1) * 100).flat_map(pairs).collect());
    let asked = are_stopped(&server, vec![("resets", resets)]);
    is_calm(&server);
    invariants.hold_between(asked..=asked + 1000);
}

#[test]
fn b13_requests_that_are_cancelled_once_they_are_taken_have_a_bound() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let mut frames = Frames::open(server.http);
    let taken = (0..1000_u32).take_while(|turn| take_and_cancel(&mut frames, turn * TURN).is_ok()).count();
    assert!((10..1000).contains(&taken), "{taken} times {TURN} requests were taken");
    server.wait_for_metric("http_connection_errors_total", &[("kind", "reset_flood")], 1.0);
    is_calm(&server);
    invariants.hold_between(500..=1000 * TURN);
}

/// Requests of a turn: fewer than may be open at once.
const TURN: u32 = 64;

/// Opens some requests, waits until each has the first part of its answer, and cancels them.
fn take_and_cancel(frames: &mut Frames, first: u32) -> std::io::Result<()> {
    let streams = || (first..first + TURN).map(|n| 2 * n + 1);
    let opening: Vec<u8> = streams().flat_map(|stream| post(stream, "/predict/nobody", 0)).collect();
    frames.try_write(&opening)?;
    let mut answered = 0;
    while answered < TURN {
        answered += u32::from(frames.read()?.0 == HEADERS);
    }
    let resets: Vec<u8> = streams().flat_map(cancel).collect();
    frames.try_write(&resets)
}
