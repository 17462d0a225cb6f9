//! The open loop against servers that stall, refuse and close, over real sockets and in process.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::cli::bench::arguments::tests::parse;
use crate::cli::bench::connection::Server;
use crate::cli::bench::progress::Progress;
use crate::cli::bench::tally;

const STALL: Duration = Duration::from_millis(300);

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED: &[u8] = b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n";

/// A server with a thread for each connection that answers request number `n` as told; nothing is the
/// end of the connection.
fn server(answer: fn(u64) -> &'static [u8]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri: http::Uri = format!("http://{}/x", listener.local_addr().unwrap()).parse().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || serve(stream.unwrap(), &count, answer));
        }
    });
    Server::find(&uri).unwrap()
}

fn serve(mut stream: TcpStream, count: &AtomicU64, answer: fn(u64) -> &'static [u8]) {
    let (mut buffer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        while !buffer.ends_with(b"{}") {
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return,
                Ok(size) => buffer.extend_from_slice(&part[..size]),
            }
        }
        buffer.clear();
        let answer = answer(count.fetch_add(1, Ordering::Relaxed));
        if answer.is_empty() || stream.write_all(answer).is_err() {
            return;
        }
    }
}

/// A scripted server takes its time.
fn busy_for(time: Duration) {
    let (_kept, never) = std::sync::mpsc::channel::<()>();
    assert!(never.recv_timeout(time).is_err());
}

fn plan(line: &str) -> Plan {
    let arguments = parse(line);
    Plan::all(&arguments, arguments.bounds().unwrap(), 0.0).unwrap().remove(0)
}

fn measured(server: &Server, line: &str) -> MeasuredOpen<()> {
    let plan = plan(line);
    let request = server.request("/x", Some(b"{}"), plan.deadline);
    let mut client = Client::new(server, request, plan.in_flight()).unwrap();
    client.measure(&plan, &Progress::hidden(), || ()).unwrap()
}

#[test]
fn every_request_of_the_schedule_is_sent_once_and_counted_as_what_came_of_it() {
    let server = server(|n| match n % 10 {
        3 => CHUNKED,
        7 => b"HTTP/1.1 504 Late\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        _ => OK,
    });
    let (measured, open) = measured(&server, "m --rate 5000 --requests 200 --warmup 0s --connections 4");
    assert_eq!((open.sent, open.unsent, measured.tally.ok()), (200, 0, 160));
    assert_eq!((open.refused["503"], open.refused["504"]), (20, 20));
    assert!(measured.tally.errors().is_empty(), "{:?}", measured.tally.errors());
    assert!(open.refusal_latency_ms.max > 0.0);
    assert!((1..=4).contains(&open.most_in_flight));
}

#[test]
fn faults_and_other_answers_are_no_refusals() {
    let server = server(|n| match n % 4 {
        1 => b"",
        2 => b"HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n",
        3 => b"SSH-2.0\r\n\r\n",
        _ => OK,
    });
    let (measured, open) = measured(&server, "m --rate 2000 --requests 40 --warmup 0s --connections 1");
    let errors = measured.tally.errors();
    assert_eq!((measured.tally.ok(), errors["closed"], errors["400"], errors["malformed"]), (10, 10, 10, 10));
    assert!(open.refused.is_empty());
}

#[test]
fn a_server_that_is_not_there_is_a_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri: http::Uri = format!("http://{}/x", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let server = Server::find(&uri).unwrap();
    let (measured, open) = measured(&server, "m --rate 1000 --requests 5 --warmup 0s");
    assert_eq!((open.sent, measured.tally.errors().values().sum::<u64>()), (5, 5));
    assert_eq!(measured.tally.ok(), 0);
}

/// The check on coordinated omission: a stall is seen by all who came while it lasted, not by those
/// alone whose requests it held.
#[test]
fn a_stall_is_in_the_latency_of_all_who_came_meanwhile() {
    let server = server(|n| {
        if n == 50 {
            busy_for(STALL);
        }
        OK
    });
    let line = "m --rate 1000 --arrivals constant --duration 600ms --warmup 0s --connections 1";
    let (measured, open) = measured(&server, line);
    assert_eq!(open.sent + open.unsent, 600);
    // 300 of 600 come during the stall. A closed loop would have one slow answer of hundreds.
    assert!(open.waited + open.unsent >= 290, "{open:?}");
    let latency = measured.tally.latency();
    assert!(latency.p90 >= STALL.as_secs_f64() * 1e3 * 0.7, "{latency:?}");
    assert_eq!(open.most_in_flight, 1);
}

#[test]
fn answers_beyond_the_deadline_are_no_goodput_and_hopeless_requests_are_not_sent() {
    let server = server(|n| {
        if n == 50 {
            busy_for(STALL);
        }
        OK
    });
    let line =
        "m --rate 1000 --arrivals constant --duration 600ms --warmup 0s --connections 1 --deadline 150ms";
    let (measured, open) = measured(&server, line);
    assert_eq!(open.sent + open.unsent, 600);
    // The one that was held; and those of the stall's first half, which waited for it too long.
    assert!(open.late >= 1, "{open:?}");
    assert!(open.unsent >= 140, "{open:?}");
    let all = tally::rate(measured.tally.ok(), measured.elapsed);
    assert!(open.goodput_per_second < all, "{open:?}");
}

#[test]
fn more_than_the_bound_is_never_in_flight_and_what_was_not_sent_is_told() {
    let server = server(|_| {
        busy_for(Duration::from_millis(50));
        OK
    });
    let (measured, open) = measured(&server, "m --rate 1000 --duration 200ms --warmup 0s --connections 3");
    assert_eq!(open.most_in_flight, 3);
    // Three at a time for a fifth of a second.
    assert!(open.sent <= 18 && open.unsent >= 100, "{open:?}");
    assert_eq!(measured.tally.ok(), open.sent);
}

/// Answers after `delay`: every third time with 503, and the fifth time with a panic.
struct Scripted {
    count: AtomicU64,
    delay: Duration,
}

impl Asks for Scripted {
    async fn ask(&self, timeout: Option<Duration>) -> u16 {
        assert_eq!(timeout, Some(Duration::from_secs(9)));
        tokio::time::sleep(self.delay).await;
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        assert!(count != 4, "the panic that is counted");
        if count.is_multiple_of(3) { 503 } else { 200 }
    }
}

#[test]
fn in_process_everything_ends_once_also_what_panics() {
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let asks = Arc::new(Scripted { count: AtomicU64::new(0), delay: Duration::ZERO });
    let plan = plan("m --rate 5000 --requests 90 --warmup 0s --connections 4 --deadline 9s");
    let begun = Instant::now();
    let (measured, open) =
        measure_in_process(&asks, executor.handle(), &plan, &Progress::hidden(), || begun.elapsed());
    assert_eq!((open.sent, measured.tally.ok(), open.refused["503"]), (90, 59, 30));
    assert_eq!(measured.tally.errors().get("panic"), Some(&1));
    assert!(open.most_in_flight <= 4);
    assert!(measured.readings.0 < measured.readings.1);
}

#[test]
fn in_process_the_bound_holds_too() {
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let asks = Arc::new(Scripted { count: AtomicU64::new(10), delay: Duration::from_millis(50) });
    let plan = plan("m --rate 1000 --duration 200ms --warmup 0s --connections 3 --deadline 9s");
    let (_, open) = measure_in_process(&asks, executor.handle(), &plan, &Progress::hidden(), || ());
    assert_eq!(open.most_in_flight, 3);
    assert!(open.sent <= 18 && open.unsent >= 100, "{open:?}");
}
