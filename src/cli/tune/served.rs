//! Candidates as they are served: service and scheduler in this process, without sockets. All of them
//! stand side by side in one service, so that rounds can go back and forth; one at a time has load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::judge::Sample;
use crate::cli::bench::own_cpu;
use crate::cli::{Failure, complain};
use crate::http::{decode_prediction, encode_prediction};
use crate::model::ModelName;
use crate::scheduler::Scheduler;
use crate::service::{ErrorCode, LoadedModel, Model, PredictRequest, Schedule, Service, ServiceOptions};
use crate::shutdown::Shutdown;
use crate::task::DecodeLimits;
use crate::telemetry::{BuildInfo, Metrics, Outcome, Tracer};

/// As the server's own default.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the workers may take to leave.
const GRACE: Duration = Duration::from_secs(5);
/// No more requests at once: beyond it the load generator itself is what is measured.
const MOST_CALLERS: usize = 256;
/// Of each slice this share goes by before anything is counted.
const WARM: f64 = 0.15;

/// The load of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Requests in flight at saturation.
    pub(super) callers: usize,
    /// Requests a second of the moderate load.
    pub(super) per_second: f64,
    /// Length of each of the two.
    pub(super) slice: Duration,
    /// The moderate load comes at the same moments for all settings of a round.
    pub(super) seed: u64,
}

impl Load {
    /// Keeps `rows` rows at work and as many waiting.
    pub(super) fn of_rows(rows: usize) -> Self {
        let callers = (2 * rows).clamp(8, MOST_CALLERS);
        Self { callers, per_second: 0.0, slice: Duration::ZERO, seed: 0 }
    }
}

/// Models behind one service.
pub(super) struct Served {
    executor: tokio::runtime::Runtime,
    service: Arc<Service>,
    scheduler: Arc<Scheduler>,
    bodies: Arc<[Vec<u8>]>,
    models: Vec<Arc<Model>>,
    _shutdown: Shutdown,
}

impl Served {
    /// A service without models; its requests will have these bodies, in turn.
    pub(super) fn new(bodies: Vec<Vec<u8>>, cores: usize) -> Result<Self, Failure> {
        let executor = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| no_threads(&error))?;
        let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
        let shutdown = Shutdown::new();
        let scheduler = Arc::new(Scheduler::new(Arc::clone(&metrics), Tracer::disabled()));
        let options = ServiceOptions {
            default_model: None,
            request_timeout: REQUEST_TIMEOUT,
            decode: DecodeLimits::default(),
            stuck_after: REQUEST_TIMEOUT,
            cores,
        };
        let service = Arc::new(Service::new(Arc::clone(&scheduler), metrics, options, shutdown.watch()));
        let (bodies, models) = (bodies.into(), Vec::new());
        Ok(Self { executor, service, scheduler, bodies, models, _shutdown: shutdown })
    }

    /// Adds a model; its index is the number of those before it.
    pub(super) fn add(&mut self, mut loaded: LoadedModel) -> Result<(), Failure> {
        let name: ModelName = format!("setting-{}", self.models.len())
            .parse()
            .map_err(|error| Failure::failed(format!("a model's name: {error}")))?;
        loaded.facts.name = name.clone();
        self.service.serve(loaded).map_err(|error| no_threads(&error))?;
        let model = self.service.resolve(Some(name.as_str()), None);
        self.models.push(model.map_err(|error| Failure::failed(error.detail))?);
        Ok(())
    }

    /// One round of one model: saturation, then the moderate load.
    pub(super) fn round(&self, index: usize, load: Load) -> Result<Sample, String> {
        let (rows_per_second, cpu_us_per_row) = self.saturate(index, load)?;
        let latencies = self.moderate(index, load)?;
        let at = |share: f64| percentile(&latencies, share).as_secs_f64() * 1e3;
        Ok(Sample { rows_per_second, cpu_us_per_row, p50_ms: at(0.50), p99_ms: at(0.99) })
    }

    /// Rows per second, and CPU time of this process for each row.
    fn saturate(&self, index: usize, load: Load) -> Result<(f64, f64), String> {
        let caller = self.caller(index);
        let begun = Instant::now();
        let counted_from = begun + load.slice.mul_f64(WARM);
        let until = counted_from + load.slice;
        let (done, cpu) = self.executor.block_on(async {
            let callers = (0..load.callers).map(|_| {
                let caller = caller.clone();
                tokio::spawn(async move { caller.repeat(counted_from, until).await })
            });
            let callers: Vec<_> = callers.collect();
            tokio::time::sleep_until(counted_from.into()).await;
            let before = own_cpu();
            tokio::time::sleep_until(until.into()).await;
            let cpu = own_cpu() - before;
            let mut done = 0;
            for caller in callers {
                done += caller.await.map_err(|error| error.to_string())??;
            }
            Ok::<_, String>((done, cpu))
        })?;
        let rows = f64::from(done);
        Ok((rows / load.slice.as_secs_f64(), cpu * 1e6 / rows.max(1.0)))
    }

    /// Latencies, sorted, from the moments when the requests were due: arrivals at random with the
    /// rate given, whether or not earlier ones are answered.
    fn moderate(&self, index: usize, load: Load) -> Result<Vec<Duration>, String> {
        let caller = self.caller(index);
        let (answered, answers) = mpsc::channel();
        let mut random = fastrand::Rng::with_seed(load.seed);
        let begun = Instant::now();
        let mut due = Duration::ZERO;
        loop {
            due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / load.per_second.max(1e-3));
            if due > load.slice {
                break;
            }
            // The executor's own timer has a grain of a millisecond, which is many requests.
            while let Some(left) = due.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
                std::thread::park_timeout(left);
            }
            let (caller, answered, from) = (caller.clone(), answered.clone(), begun + due);
            self.executor.spawn(async move {
                let result = match caller.once().await {
                    Ok(()) => Ok(from.elapsed()),
                    // A machine that stood still for a while brings its backlog at once: what is refused then
                    // counts as late as can be, and is no fault of the settings.
                    Err(code) if code.outcome() == Outcome::Rejected => Ok(load.slice),
                    Err(code) => Err(failed(code)),
                };
                // The receiver is there until every answer has come.
                drop(answered.send(result));
            });
        }
        drop(answered);
        let mut latencies: Vec<Duration> = answers.into_iter().collect::<Result<_, _>>()?;
        latencies.sort();
        Ok(latencies)
    }

    fn caller(&self, index: usize) -> Caller {
        Caller {
            service: Arc::clone(&self.service),
            model: Arc::clone(&self.models[index]),
            bodies: Arc::clone(&self.bodies),
            request_id: "tune".into(),
            next: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Ends the workers, then the sessions: both before the runtime's own statics go.
    pub(super) fn close(self) {
        self.scheduler.close();
        self.executor.shutdown_timeout(GRACE);
        if !self.scheduler.join(Instant::now() + GRACE) {
            complain("a worker did not end in time");
        }
        self.service.clear();
    }
}

/// Someone who asks the service; clones take their bodies from the same row.
#[derive(Clone)]
struct Caller {
    service: Arc<Service>,
    model: Arc<Model>,
    bodies: Arc<[Vec<u8>]>,
    request_id: Arc<str>,
    next: Arc<AtomicUsize>,
}

impl Caller {
    /// Asks until `until`; how many answers came in time, those before `counted_from` left out.
    async fn repeat(&self, counted_from: Instant, until: Instant) -> Result<u32, String> {
        let mut counted = 0;
        while Instant::now() < until {
            self.once().await.map_err(failed)?;
            let now = Instant::now();
            counted += u32::from(now >= counted_from && now < until);
        }
        Ok(counted)
    }

    async fn once(&self) -> Result<(), ErrorCode> {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.bodies.len();
        let request = PredictRequest {
            model: Arc::clone(&self.model),
            started: Instant::now(),
            schedule: Schedule::default(),
            trace: None,
            request_id: Arc::clone(&self.request_id),
            body_bytes: self.bodies[index].len(),
        };
        let bodies = Arc::clone(&self.bodies);
        let predicted = self
            .service
            .predict(
                request,
                move |task, limits| decode_prediction(&bodies[index], task, limits),
                |model, predictions| encode_prediction(&model.facts, predictions),
            )
            .await;
        predicted.result.map(drop).map_err(|error| error.code)
    }
}

fn failed(code: ErrorCode) -> String {
    format!("a request failed: {}", code.text())
}

fn no_threads(error: &std::io::Error) -> Failure {
    Failure::failed(format!("no threads: {error}"))
}

/// The value below which `share` of the sorted ones lie; zero of none.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank"
    )]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&sorted, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
