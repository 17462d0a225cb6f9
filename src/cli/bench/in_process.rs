//! A model in this process: its bare loop, then the same rows through service and scheduler, with
//! the decoding and encoding of `POST /predict` and without sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arguments::{BenchArguments, Bounds};
use super::drive::{Exchange, drive};
use super::figures::Reading;
use super::open::{self, Asks, Plan};
use super::progress::Progress;
use super::report::{self, Bare, Report, Run};
use super::{bare, cores, input};
use crate::cli::predict::load_one;
use crate::cli::{Failure, complain};
use crate::http::{decode_prediction, encode_prediction};
use crate::scheduler::Scheduler;
use crate::service::{ErrorCode, LoadedModel, Model, PredictRequest, Schedule, Service, ServiceOptions};
use crate::shutdown::Shutdown;
use crate::task::DecodeLimits;
use crate::telemetry::{BuildInfo, Metrics, Tracer};
use crate::tensor::Tensor;

/// As the server's own default.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the workers may take to leave.
const GRACE: Duration = Duration::from_secs(5);

/// Measures the model.
pub(super) fn run(arguments: &BenchArguments, path: &str, bounds: Bounds) -> Result<Report, Failure> {
    let (mut loaded, body) = load(arguments, path)?;
    let bare = measure_bare(arguments, &mut loaded, &body, bounds)?;
    let served = Served::new(loaded)?;
    let closed = arguments.closed_loops().into_iter();
    let mut runs: Vec<Run> = closed.map(|connections| served.measure(connections, &body, bounds)).collect();
    let plans = Plan::all(arguments, bounds, report::capacity(&runs)).map_err(Failure::failed);
    let opened = plans.map(|plans| plans.iter().map(|plan| served.measure_open(plan, &body)).collect());
    served.close();
    runs.extend::<Vec<Run>>(opened?);
    Ok(Report {
        target: path.to_owned(),
        mode: "in_process",
        kind: arguments.kind(),
        cores: cores(),
        input_bytes: body.len(),
        rows_per_request: input::rows(&body),
        bare,
        runs,
    })
}

/// The bare loop alone, beside a server that is measured over HTTP.
pub(super) fn bare_loop(
    arguments: &BenchArguments,
    path: &str,
    bounds: Bounds,
) -> Result<Vec<Bare>, Failure> {
    let (mut loaded, body) = load(arguments, path)?;
    measure_bare(arguments, &mut loaded, &body, bounds)
}

fn load(arguments: &BenchArguments, path: &str) -> Result<(LoadedModel, Arc<[u8]>), Failure> {
    let loaded = load_one(path)?;
    let body = match &arguments.input {
        Some(file) => input::read(file)?,
        None => serde_json::to_vec(&loaded.task.example())
            .map_err(|error| Failure::failed(format!("no example: {error}")))?,
    };
    Ok((loaded, body.into()))
}

fn measure_bare(
    arguments: &BenchArguments,
    loaded: &mut LoadedModel,
    body: &[u8],
    bounds: Bounds,
) -> Result<Vec<Bare>, Failure> {
    let row = first_row(loaded, body)?;
    bare::measure(loaded, &row, &arguments.batch, bounds).map_err(Failure::failed)
}

/// The inputs of the body's first row.
fn first_row(loaded: &LoadedModel, body: &[u8]) -> Result<Vec<Tensor>, Failure> {
    let bad = |error: crate::service::ServiceError| {
        let place = error.pointer.map(|pointer| format!(" at {pointer}")).unwrap_or_default();
        Failure::failed(format!("the input is refused{place}: {}: {}", error.code, error.detail))
    };
    let decoded = decode_prediction(body, &loaded.task, &DecodeLimits::default()).map_err(bad)?;
    let rows = loaded.task.encode(decoded).map_err(|error| bad(error.into()))?;
    if rows.rows <= 1 {
        return Ok(rows.inputs);
    }
    let sizes = [1, rows.rows - 1];
    let first = |tensor: &Tensor| {
        let mut pieces = crate::tensor::split(tensor, &sizes).map_err(|error| error.to_string())?;
        Ok(pieces.swap_remove(0))
    };
    rows.inputs.iter().map(first).collect::<Result<_, String>>().map_err(Failure::failed)
}

/// A model behind service and scheduler.
struct Served {
    executor: tokio::runtime::Runtime,
    service: Arc<Service>,
    scheduler: Arc<Scheduler>,
    metrics: Arc<Metrics>,
    model: Arc<Model>,
    _shutdown: Shutdown,
}

impl Served {
    fn new(loaded: LoadedModel) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("no threads: {error}"));
        let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
        let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
        let shutdown = Shutdown::new();
        let scheduler = Arc::new(Scheduler::new(Arc::clone(&metrics), Tracer::disabled()));
        let options = ServiceOptions {
            default_model: None,
            request_timeout: REQUEST_TIMEOUT,
            decode: DecodeLimits::default(),
            stuck_after: REQUEST_TIMEOUT,
            cores: cores(),
        };
        let service = Service::new(Arc::clone(&scheduler), Arc::clone(&metrics), options, shutdown.watch());
        service.serve(loaded).map_err(failed)?;
        let model = service.resolve(None, None).map_err(|error| Failure::failed(error.detail))?;
        Ok(Self { executor, service: Arc::new(service), scheduler, metrics, model, _shutdown: shutdown })
    }

    fn measure(&self, connections: usize, body: &Arc<[u8]>, bounds: Bounds) -> Run {
        let progress = Progress::new(format!("service, {connections} at once"), bounds);
        let caller = self.caller(body);
        let callers = (0..connections).map(|_| caller.clone());
        let probe = async || self.read();
        let measured = self.executor.block_on(drive(callers.collect(), bounds, &progress, probe));
        Run::closed(connections, input::rows(body), cores(), &measured)
    }

    fn measure_open(&self, plan: &Plan, body: &Arc<[u8]>) -> Run {
        let progress = Progress::new(plan.label(), plan.bounds());
        let caller = Arc::new(self.caller(body));
        let handle = self.executor.handle();
        let measured = open::measure_in_process(&caller, handle, plan, &progress, || self.read());
        Run::open(plan.in_flight(), input::rows(body), cores(), measured)
    }

    fn caller(&self, body: &Arc<[u8]>) -> Caller {
        Caller {
            service: Arc::clone(&self.service),
            model: Arc::clone(&self.model),
            body: Arc::clone(body),
            request_id: "bench".into(),
        }
    }

    fn read(&self) -> Reading {
        Reading { server_cpu: None, ..Reading::of(Some(&self.metrics.render())) }
    }

    /// Ends the workers, then the sessions: both before the runtime's own statics go.
    fn close(self) {
        self.scheduler.close();
        self.executor.shutdown_timeout(GRACE);
        if !self.scheduler.join(Instant::now() + GRACE) {
            complain("a worker did not end in time");
        }
        self.service.clear();
    }
}

/// Someone who asks the service again and again.
#[derive(Clone)]
struct Caller {
    service: Arc<Service>,
    model: Arc<Model>,
    body: Arc<[u8]>,
    request_id: Arc<str>,
}

impl Caller {
    async fn predict(&self, schedule: Schedule) -> Result<(), ErrorCode> {
        let request = PredictRequest {
            model: Arc::clone(&self.model),
            started: Instant::now(),
            schedule,
            trace: None,
            request_id: Arc::clone(&self.request_id),
            body_bytes: self.body.len(),
        };
        let body = Arc::clone(&self.body);
        let predicted = self
            .service
            .predict(
                request,
                move |task, limits| decode_prediction(&body, task, limits),
                |model, predictions| encode_prediction(&model.facts, predictions),
            )
            .await;
        predicted.result.map(drop).map_err(|error| error.code)
    }
}

impl Exchange for Caller {
    async fn once(&mut self) -> Result<(), String> {
        self.predict(Schedule::default()).await.map_err(|code| code.text().to_owned())
    }
}

impl Asks for Caller {
    async fn ask(&self, timeout: Option<Duration>) -> u16 {
        let schedule = Schedule { timeout, ..Schedule::default() };
        self.predict(schedule).await.map_or_else(ErrorCode::http_status, |()| 200)
    }
}
