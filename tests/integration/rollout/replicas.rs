//! What a Deployment, its kubelets and the controller of endpoints do to the replicas of a service.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::client::Client;
use super::endpoints::{Endpoints, Replica};
use crate::harness::grpc::INFER;
use crate::harness::metrics::Metrics;
use crate::harness::wait::{self, PATIENCE};
use crate::harness::{Connection, Repository, Request as Probe, Server, settings};

/// `terminationGracePeriodSeconds`: a replica that is still there by then would be killed.
const GRACE: Duration = Duration::from_mins(1);
/// Between two looks at the counts of a replica that leaves.
const LOOK: Duration = Duration::from_millis(500);

/// Requests that a replica has counted, whatever became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) predictions: f64,
    pub(super) calls: f64,
}

/// How a replica left.
struct Left {
    code: Option<i32>,
    took: Duration,
    counted: Counted,
}

pub(super) struct Replicas {
    runtime: Handle,
    delay: Duration,
    pub(super) endpoints: Endpoints,
    running: Vec<Server>,
    leaving: Vec<JoinHandle<Left>>,
    counted: Vec<Counted>,
}

impl Replicas {
    /// `count` replicas whose drain begins with `delay`.
    pub(super) fn start(runtime: &Handle, count: usize, delay: Duration) -> Self {
        let mut replicas = Self {
            runtime: runtime.clone(),
            delay,
            endpoints: Endpoints::new(),
            running: Vec::new(),
            leaving: Vec::new(),
            counted: Vec::new(),
        };
        replicas.add(count);
        replicas
    }

    /// Starts more of them, and lists them once they are ready.
    pub(super) fn add(&mut self, count: usize) {
        let started = thread::scope(|scope| {
            let delay = self.delay;
            let starting: Vec<_> = (0..count).map(|_| scope.spawn(move || started(delay))).collect();
            starting.into_iter().map(|server| server.join().unwrap()).collect::<Vec<_>>()
        });
        self.running.extend(started);
        self.list();
    }

    fn list(&self) {
        let replica = |server: &Server| Replica { http: server.http, grpc: server.grpc };
        self.endpoints.write(self.running.iter().map(replica));
    }

    /// Takes the oldest from the list and has them end. As in Kubernetes nobody puts the two in order, and
    /// nobody waits for the end.
    pub(super) fn remove(&mut self, count: usize) {
        let leaving: Vec<_> = self.running.drain(..count).collect();
        let begun = Instant::now();
        thread::scope(|scope| {
            for server in &leaving {
                scope.spawn(|| server.process.signal("TERM"));
            }
            self.list();
        });
        self.leaving.extend(leaving.into_iter().map(|server| self.runtime.spawn(leave(server, begun))));
    }

    /// Waits for those that leave. Each must take its delay, not much more, and end well.
    pub(super) fn wait_for_the_leaving(&mut self) {
        for leaving in self.leaving.drain(..) {
            let left = self.runtime.block_on(leaving).unwrap();
            assert_eq!(left.code, Some(0), "a replica cut something");
            assert!(left.took >= self.delay && left.took < GRACE, "it took {:?} to leave", left.took);
            self.counted.push(left.counted);
        }
    }

    /// Ends those that run, once there is no traffic any more. What each of all replicas has counted. New ones
    /// may have got no calls: the connections of those are kept where they are.
    pub(super) fn end(&mut self) -> Vec<Counted> {
        self.wait_for_the_leaving();
        for server in &mut self.running {
            server.wait_for_no_request_in_flight();
            let counted = self.runtime.block_on(counted(server.admin)).unwrap();
            assert!(counted.predictions > 0.5, "a replica has served nothing");
            self.counted.push(counted);
            server.process.signal("INT");
            assert_eq!(server.exit_code(GRACE), Some(0));
        }
        std::mem::take(&mut self.counted)
    }
}

fn started(delay: Duration) -> Server {
    let server = Server::builder()
        .models(settings::package("models/fraud-detector"))
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_DRAIN__DELAY", format!("{}ms", delay.as_millis()))
        .start();
    wait::until("readiness", PATIENCE, || {
        let answer = Connection::open(server.admin).call(&Probe::get("/health/ready"));
        (answer.status == 200).then_some(())
    });
    // What is sent to the proxies is held against the counts of all replicas together.
    server.expects_strangers();
    server
}

/// Follows a replica that was asked to end.
async fn leave(mut server: Server, begun: Instant) -> Left {
    let (mut last, mut looks) = (Counted::default(), tokio::time::interval(LOOK));
    while server.process.ended().is_none() && begun.elapsed() < GRACE {
        looks.tick().await;
        // Its last requests come long before it stops to tell of them.
        last = counted(server.admin).await.unwrap_or(last);
    }
    let took = begun.elapsed();
    let code = tokio::task::spawn_blocking(move || server.exit_code(Duration::ZERO)).await.unwrap();
    Left { code, took, counted: last }
}

async fn counted(admin: SocketAddr) -> Option<Counted> {
    let request = Request::get("/metrics").header("host", "localhost").body(Full::default()).unwrap();
    let answer = Client::new(admin).send(request).await.ok().filter(|answer| answer.status() == 200)?;
    let text = std::str::from_utf8(answer.body()).unwrap().lines();
    let lines: Vec<_> = text.filter(|line| line.starts_with("http_requests_total{")).collect();
    let metrics = Metrics::parse(&lines.join("\n"));
    let of = |route| metrics.sum("http_requests_total", &[("route", route)]);
    Some(Counted { predictions: of("/predict/{model}"), calls: of(INFER) })
}
