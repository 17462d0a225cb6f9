//! Requests by the clock, whatever becomes of those before: each is sent once, and counted with its end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Interval;

use super::calls::Caller;
use super::client::Client;
use crate::harness::vectors;
use crate::harness::wait::PATIENCE;

/// A request without an answer by then has failed. The server's own limit is below it.
const NO_ANSWER: Duration = PATIENCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A connection for many requests.
    Kept,
    /// A connection for each request.
    Fresh,
    /// Through a proxy with connections of its own.
    Gateway,
    /// gRPC.
    Call,
}

/// A request and its end.
pub(super) struct Sent {
    pub(super) kind: Kind,
    /// When it was to be sent: what it waited for its turn is part of the time that it took.
    pub(super) due: Instant,
    pub(super) took: Duration,
    pub(super) failure: Option<String>,
}

/// What was sent.
#[derive(Default)]
pub(super) struct Log(Mutex<Vec<Sent>>);

impl Log {
    async fn note(&self, kind: Kind, due: Instant, sending: impl Future<Output = Result<(), String>>) {
        let end = tokio::time::timeout(NO_ANSWER, sending).await;
        let failure = end.unwrap_or_else(|_| Err("no answer in time".to_owned())).err();
        self.0.lock().unwrap().push(Sent { kind, due, took: due.elapsed(), failure });
    }

    /// How many have ended.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Whether the last request that has ended was due after `moment`.
    pub(super) fn reaches(&self, moment: Instant) -> bool {
        self.0.lock().unwrap().last().is_some_and(|sent| sent.due > moment)
    }

    /// How many of `kinds` have ended.
    pub(super) fn count(&self, kinds: &[Kind]) -> usize {
        self.0.lock().unwrap().iter().filter(|sent| kinds.contains(&sent.kind)).count()
    }

    /// How many failed, by kind and reason.
    pub(super) fn failures(&self) -> BTreeMap<(Kind, String), usize> {
        let mut failures = BTreeMap::new();
        for sent in self.0.lock().unwrap().iter() {
            if let Some(reason) = &sent.failure {
                *failures.entry((sent.kind, reason.clone())).or_default() += 1;
            }
        }
        failures
    }

    /// The 50th and the 99th percentile of what was due before `at`, and of the others.
    pub(super) fn percentiles(&self, kind: Kind, at: Instant) -> [Option<[Duration; 2]>; 2] {
        let log = self.0.lock().unwrap();
        let (before, behind): (Vec<_>, Vec<_>) =
            log.iter().filter(|sent| sent.kind == kind).partition(|sent| sent.due < at);
        [before, behind].map(|part| {
            let mut took: Vec<_> = part.iter().map(|sent| sent.took).collect();
            took.sort_unstable();
            (!took.is_empty()).then(|| [50, 99].map(|percent| took[(took.len() - 1) * percent / 100]))
        })
    }
}

/// Bodies with what scikit-learn says to each.
struct Samples {
    samples: Vec<(Bytes, Value)>,
    turn: AtomicUsize,
}

impl Samples {
    fn read() -> Self {
        let scores = vectors::fraud()["scores"].as_array().unwrap();
        let sample = |(index, scores): (usize, &Value)| {
            (Bytes::from(vectors::fraud_instance(index).to_string()), scores.clone())
        };
        Self { samples: scores.iter().enumerate().take(32).map(sample).collect(), turn: AtomicUsize::new(0) }
    }

    /// Sends the next one.
    async fn send(&self, client: &mut Client) -> Result<(), String> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (body, expected) = &self.samples[turn % self.samples.len()];
        let request = Request::post("/predict/fraud-detector")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))
            .unwrap();
        let answer = client.send(request).await?;
        if answer.status() != 200 {
            let text = String::from_utf8_lossy(answer.body());
            return Err(format!("answered {}: {text}", answer.status()));
        }
        let told: Value = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
        let is_right = |(class, place): (&str, usize)| {
            let (told, expected) = (told["scores"][class].as_f64(), expected[place].as_f64());
            told.zip(expected).is_some_and(|(told, expected)| (told - expected).abs() < 1e-5)
        };
        let are_right = [("legitimate", 0), ("fraud", 1)].into_iter().all(is_right);
        are_right.then_some(()).ok_or_else(|| "a wrong prediction".to_owned())
    }
}

/// When the requests of a stream are due.
struct Clock {
    ticks: Interval,
    /// Requests that are due later are not sent any more.
    stop: watch::Receiver<Option<Instant>>,
}

impl Clock {
    /// Waits for the next one; none once there shall be no more. One that is late is not left out.
    async fn next(&mut self) -> Option<Instant> {
        let due = tokio::select! {
            biased;
            due = self.ticks.tick() => due.into(),
            _ = self.stop.wait_for(Option::is_some) => return None,
        };
        self.stop.borrow().is_none_or(|stop| due <= stop).then_some(due)
    }
}

/// All requests of a test.
pub(super) struct Traffic {
    runtime: Handle,
    pub(super) log: Arc<Log>,
    samples: Arc<Samples>,
    stop: watch::Sender<Option<Instant>>,
    streams: Vec<JoinHandle<()>>,
    begun: Instant,
    per_second: f64,
}

impl Traffic {
    pub(super) fn new(runtime: &Handle) -> Self {
        Self {
            runtime: runtime.clone(),
            log: Arc::default(),
            samples: Arc::new(Samples::read()),
            stop: watch::Sender::new(None),
            streams: Vec::new(),
            begun: Instant::now(),
            per_second: 0.0,
        }
    }

    /// A clock that begins `share` of a period from now.
    fn clock(&mut self, period: Duration, share: f64) -> Clock {
        let _inside = self.runtime.enter();
        self.per_second += 1.0 / period.as_secs_f64();
        let first = Instant::now() + period.mul_f64(share);
        // A tick that comes late is made up for: the rate is kept.
        Clock { ticks: tokio::time::interval_at(first.into(), period), stop: self.stop.subscribe() }
    }

    /// Connections with a request each period.
    pub(super) fn kept(&mut self, kind: Kind, address: SocketAddr, (count, period): (u32, Duration)) {
        for n in 0..count {
            let mut clock = self.clock(period, f64::from(n) / f64::from(count));
            let (log, samples) = (Arc::clone(&self.log), Arc::clone(&self.samples));
            self.streams.push(self.runtime.spawn(async move {
                let mut client = Client::new(address);
                while let Some(due) = clock.next().await {
                    log.note(kind, due, samples.send(&mut client)).await;
                }
            }));
        }
    }

    /// A connection with one request each period.
    pub(super) fn fresh(&mut self, address: SocketAddr, period: Duration) {
        let mut clock = self.clock(period, 0.0);
        let (log, samples) = (Arc::clone(&self.log), Arc::clone(&self.samples));
        self.streams.push(self.runtime.spawn(async move {
            let mut sending = JoinSet::new();
            while let Some(due) = clock.next().await {
                let (log, samples) = (Arc::clone(&log), Arc::clone(&samples));
                sending.spawn(async move {
                    let mut client = Client::new(address);
                    log.note(Kind::Fresh, due, samples.send(&mut client)).await;
                });
                while let Some(sent) = sending.try_join_next() {
                    sent.unwrap();
                }
            }
            sending.join_all().await;
        }));
    }

    /// A call each period, all over one connection.
    pub(super) fn calls(&mut self, address: SocketAddr, period: Duration) {
        let mut clock = self.clock(period, 0.0);
        let log = Arc::clone(&self.log);
        self.streams.push(self.runtime.spawn(async move {
            let (caller, mut sending) = (Arc::new(Caller::new(address)), JoinSet::new());
            for number in 0_u16.. {
                let Some(due) = clock.next().await else { break };
                let (log, caller) = (Arc::clone(&log), Arc::clone(&caller));
                sending.spawn(async move { log.note(Kind::Call, due, caller.call(f32::from(number))).await });
                while let Some(sent) = sending.try_join_next() {
                    sent.unwrap();
                }
            }
            sending.join_all().await;
        }));
    }

    /// Ends it, and waits for every answer. Demands that as much was sent as was said.
    pub(super) fn end(&mut self) {
        let stop = Instant::now();
        self.stop.send_replace(Some(stop));
        let elapsed = stop - self.begun;
        for stream in self.streams.drain(..) {
            self.runtime.block_on(stream).unwrap();
        }
        let due = elapsed.as_secs_f64() * self.per_second;
        let sent = u32::try_from(self.log.len()).unwrap();
        assert!(f64::from(sent) > due * 0.95, "only {sent} requests were sent, not {due:.0}");
    }
}
