//! Replicas come and go under traffic, as a Deployment has it, and no request fails.
//!
//! A replica that shall end gets its signal at once, but the proxies hear of it when they hear of it: here
//! between 0 and 5 s later. Until then they send it new connections. So the rule under test is that the
//! delay of the drain exceeds that lag, by as much as a request takes on a connection made at the last
//! moment. A delay below the lag must fail, or this would prove nothing.
//!
//! Requests are POSTs, sent once: no client and no proxy tries anything again.

mod balancer;
mod calls;
mod client;
mod endpoints;
mod gateway;
mod replicas;
mod traffic;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use self::balancer::balance;
use self::endpoints::{Follower, Lag};
use self::gateway::Gateway;
use self::replicas::Replicas;
use self::traffic::{Kind, Traffic};
use crate::harness::wait::{self, PATIENCE};

/// The longest lag of a proxy.
const LAG: Duration = Duration::from_secs(5);
const KINDS: [Kind; 4] = [Kind::Kept, Kind::Fresh, Kind::Gateway, Kind::Call];

/// Replicas behind proxies, and the traffic through these.
struct Rollout {
    replicas: Replicas,
    traffic: Traffic,
    begun: Instant,
    runtime: Runtime,
}

impl Rollout {
    /// Three replicas behind three nodes with these lags, and a gateway with the last of them. 200 requests a
    /// second go to the nodes, half over connections that are kept; 20 more to the gateway; and 30 calls.
    /// Returns after 2 seconds of that.
    fn begin(delay: Duration, lags: [Lag; 3]) -> Self {
        // One thread. On several, the HTTP library's client may lose a call between finding that the connection
        // takes it and handing it over.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let replicas = Replicas::start(runtime.handle(), 3, delay);
        let traffic = Traffic::new(runtime.handle());
        let mut rollout = Self { replicas, traffic, begun: Instant::now(), runtime };
        rollout.gateway(lags[2].clone());
        for lag in lags {
            rollout.node(lag);
        }
        wait::until("the first requests", PATIENCE, || (rollout.traffic.log.len() >= 500).then_some(()));
        rollout.begun = Instant::now();
        rollout
    }

    fn listen(&self) -> (TcpListener, SocketAddr) {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn follower(&self, lag: Lag) -> Arc<Follower> {
        let path = self.replicas.endpoints.path();
        let follower = Follower::new(&path);
        self.runtime.spawn(Arc::clone(&follower).follow(path, lag));
        follower
    }

    fn node(&mut self, lag: Lag) {
        let follower = self.follower(lag);
        let ((http, http_address), (grpc, grpc_address)) = (self.listen(), self.listen());
        self.runtime.spawn(balance(http, Arc::clone(&follower), |replica| replica.http));
        self.runtime.spawn(balance(grpc, follower, |replica| replica.grpc));
        self.traffic.kept(Kind::Kept, http_address, (10, Duration::from_millis(300)));
        // Idle for long, though not for as long as the delay.
        self.traffic.kept(Kind::Kept, http_address, (2, Duration::from_millis(2500)));
        self.traffic.fresh(http_address, Duration::from_millis(30));
        self.traffic.calls(grpc_address, Duration::from_millis(100));
    }

    fn gateway(&mut self, lag: Lag) {
        let (listener, address) = self.listen();
        self.runtime.spawn(Gateway::new(self.follower(lag)).serve(listener));
        self.traffic.kept(Kind::Gateway, address, (4, Duration::from_millis(200)));
    }

    /// As a Deployment with `maxSurge` 1 and `maxUnavailable` 0 does it: the next replica is replaced as soon
    /// as the one before has a ready successor, while it still drains.
    fn restart(&mut self) {
        for _ in 0..3 {
            self.replicas.add(1);
            self.replicas.remove(1);
        }
    }

    /// Waits for answers to requests that came when every proxy had heard of everything.
    fn wait_for_the_proxies(&self) {
        let heard = Instant::now() + LAG + Duration::from_secs(1);
        wait::until("late requests", PATIENCE, || self.traffic.log.reaches(heard).then_some(()));
    }

    fn assert_no_failure(&self) {
        let (failures, sent) = (self.traffic.log.failures(), self.traffic.log.len());
        assert!(failures.is_empty(), "of {sent} requests failed {failures:#?}");
    }

    /// Demands that every request was answered, and counted once by one of the replicas.
    fn end_without_failure(mut self) {
        self.traffic.end();
        let log = &self.traffic.log;
        for kind in KINDS {
            let told = log.percentiles(kind, self.begun).map(|part| format!("{part:.1?}"));
            #[expect(clippy::print_stdout, reason = "a measurement, which no limit would fit on any machine")]
            {
                println!(
                    "{kind:?}: {}, p50 and p99 {} before, then {}",
                    log.count(&[kind]),
                    told[0],
                    told[1]
                );
            }
        }
        self.assert_no_failure();
        let counted = self.replicas.end();
        let predictions: f64 = counted.iter().map(|counted| counted.predictions).sum();
        let calls: f64 = counted.iter().map(|counted| counted.calls).sum();
        let sent = [&KINDS[..3], &KINDS[3..]].map(|kinds| log.count(kinds).to_string());
        assert_eq!(sent, [predictions, calls].map(|count| count.to_string()), "{counted:?}");
    }

    /// Demands that requests of every kind fail.
    fn end_with_failures(mut self) {
        let log = &self.traffic.log;
        wait::until("failures of every kind", LAG * 4, || {
            let failures = log.failures();
            let kinds: BTreeSet<_> = failures.keys().map(|(kind, _)| *kind).collect();
            (kinds.len() == KINDS.len()).then_some(())
        });
        self.traffic.end();
        self.replicas.wait_for_the_leaving();
    }
}

/// A node that hears at once, one that hears sooner or later, one that is always late.
fn lags(seed: u64) -> [Lag; 3] {
    let some = |seed| Lag::UpTo(LAG, fastrand::Rng::with_seed(seed));
    [Lag::Always(Duration::ZERO), Lag::Always(LAG), some(seed)]
}

/// One after the other under the same traffic: two at once would be more than a small machine's share.
#[test]
fn a_rolling_restart_and_scaling_down_to_one_and_up_again_fail_no_request() {
    // The chart's delay.
    let mut rollout = Rollout::begin(Duration::from_secs(10), lags(7));
    rollout.restart();
    rollout.wait_for_the_proxies();
    rollout.assert_no_failure();
    rollout.replicas.remove(2);
    rollout.replicas.wait_for_the_leaving();
    rollout.replicas.add(2);
    rollout.wait_for_the_proxies();
    rollout.end_without_failure();
}

#[test]
fn without_a_delay_requests_fail() {
    let mut rollout = Rollout::begin(Duration::ZERO, [(); 3].map(|()| Lag::Always(LAG)));
    rollout.restart();
    rollout.end_with_failures();
}

#[test]
fn with_a_delay_below_the_lag_requests_fail() {
    let mut rollout = Rollout::begin(Duration::from_secs(1), [(); 3].map(|()| Lag::Always(LAG)));
    rollout.restart();
    rollout.end_with_failures();
}
