//! The scheduler over scripted sessions: what only a session that blocks, fails or panics on
//! command can show. The real runtime is in `tests/integration`.

mod policy;
mod properties;
mod simulation;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::engine::{Interrupt, RunError};
use crate::scheduler::job::FailureKind;
use crate::telemetry::{BuildInfo, Metrics};
use crate::tensor::{Data, Tensor};

/// Waits for a token before each run, then adds one to every number.
struct Gated {
    gate: mpsc::Receiver<Script>,
    started: mpsc::Sender<usize>,
}

enum Script {
    AddOne,
    Fail(RunError),
    Panic,
}

impl Run for Gated {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.started.send(inputs[0].rows()).expect("the test listens");
        match self.gate.recv().expect("the test sends a script for every run") {
            Script::Fail(error) => Err(error),
            Script::Panic => panic!("scripted"),
            Script::AddOne => {
                let Data::Fp32(values) = inputs[0].data() else { unreachable!("tests send FP32") };
                let sum: Vec<f32> = values.iter().map(|value| value + 1.0).collect();
                Ok(vec![Tensor::new(inputs[0].shape().to_vec(), sum).expect("same shape")])
            }
        }
    }

    fn run_with(&mut self, inputs: &[Tensor], _: &[(usize, Tensor)]) -> Result<Vec<Tensor>, RunError> {
        self.run(inputs)
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::from_fn(|_raised| {})
    }
}

impl Bench {
    /// Makes the scheduler believe that runs cost what `run` says.
    fn shared_cost(&self, run: Measured) {
        self.queue.learn(&[run; 64]);
    }
}

struct Bench {
    scheduler: Scheduler,
    queue: ModelQueue,
    script: mpsc::Sender<Script>,
    started: mpsc::Receiver<usize>,
}

fn with_sessions(
    sessions: Vec<Box<dyn Run>>,
    queue_capacity: usize,
    max_batch_size: usize,
) -> (Scheduler, ModelQueue) {
    let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
    let scheduler = Scheduler::new(Arc::clone(&metrics), Tracer::disabled());
    let queue = scheduler.add_model(ModelOptions {
        model: "m".into(),
        version: "1".into(),
        device: DeviceOptions { name: "cpu".into(), kind: DeviceKind::Cores, permits: 1 },
        provider: "cpu",
        cost: 1,
        sessions,
        limits: BatchLimits { max_rows: max_batch_size, max_tokens: None, max_delay: Duration::ZERO },
        grouping: Grouping { batchable: true, has_free_shape: false, pads: false },
        buckets: Buckets::default(),
        measured: Vec::new(),
        queue_capacity,
        metrics: metrics.model("m", "1", "cpu"),
    });
    (scheduler, queue.unwrap())
}

fn bench(queue_capacity: usize, max_batch_size: usize) -> Bench {
    let (script, gate) = mpsc::channel();
    let (started_sender, started) = mpsc::channel();
    let session = Gated { gate, started: started_sender };
    let (scheduler, queue) = with_sessions(vec![Box::new(session)], queue_capacity, max_batch_size);
    Bench { scheduler, queue, script, started }
}

fn job(values: &[f32]) -> JobRequest {
    JobRequest {
        inputs: vec![Tensor::new(vec![values.len(), 1], values.to_vec()).unwrap()],
        optional: Vec::new(),
        rows: values.len(),
        row_tokens: None,
        priority: 0,
        deadline: Instant::now() + Duration::from_secs(30),
        trace: None,
        input_length: 1,
    }
}

fn values(outputs: &[Tensor]) -> Vec<f32> {
    let Data::Fp32(values) = outputs[0].data() else { panic!("not FP32") };
    values.to_vec()
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_job_gets_its_own_answer() {
    let bench = bench(64, 8);
    let tickets: Vec<Ticket> =
        (0_u8..20).map(|i| bench.queue.try_submit(job(&[f32::from(i)])).unwrap()).collect();
    for _ in 0..20 {
        bench.script.send(Script::AddOne).unwrap();
    }
    for (ticket, i) in tickets.into_iter().zip(0_u8..) {
        assert_eq!(values(&ticket.await.unwrap().outputs), [f32::from(i) + 1.0]);
    }
    assert!(bench.scheduler.join(Instant::now() + SOON));
}

#[tokio::test]
async fn urgent_jobs_overtake_those_that_wait_and_equals_keep_their_order() {
    let bench = bench(64, 8);
    let of = |priority, rows: usize| JobRequest { priority, ..job(&vec![0.0; rows]) };
    let running = bench.queue.try_submit(of(2, 1)).unwrap();
    assert_eq!(bench.started.recv_timeout(SOON), Ok(1));
    let waiting: Vec<Ticket> = [(2, 2), (1, 3), (3, 4), (1, 5), (2, 6)]
        .map(|(level, rows)| bench.queue.try_submit(of(level, rows)).unwrap())
        .into();
    drop(bench.queue.try_submit(of(1, 7)).unwrap());
    for _ in 0..6 {
        bench.script.send(Script::AddOne).unwrap();
    }
    running.await.unwrap();
    for ticket in waiting {
        ticket.await.unwrap();
    }
    assert_eq!(bench.started.try_iter().collect::<Vec<_>>(), [3 + 5, 2 + 6, 4]);
}

#[tokio::test]
async fn a_large_job_is_cut_and_joined_again() {
    let bench = bench(64, 3);
    for _ in 0..3 {
        bench.script.send(Script::AddOne).unwrap();
    }
    let rows: Vec<f32> = (0_u8..8).map(f32::from).collect();
    let finished = bench.queue.try_submit(job(&rows)).unwrap().await.unwrap();
    assert_eq!(values(&finished.outputs), rows.iter().map(|value| value + 1.0).collect::<Vec<_>>());
    assert_eq!(bench.started.iter().take(3).collect::<Vec<_>>(), [3, 3, 2]);
}

#[tokio::test]
async fn a_job_with_optional_inputs_is_run_whole() {
    let bench = bench(64, 3);
    bench.script.send(Script::AddOne).unwrap();
    let mut whole = job(&[0.0; 8]);
    whole.optional = vec![(0, Tensor::new(vec![], vec![1.0_f32]).unwrap())];
    let finished = bench.queue.try_submit(whole).unwrap().await.unwrap();
    assert_eq!(values(&finished.outputs), [1.0; 8]);
    assert_eq!(bench.started.try_iter().collect::<Vec<_>>(), [8]);
}

#[tokio::test]
async fn optional_inputs_are_refused_by_a_session_that_knows_none() {
    let (scheduler, queue) = with_sessions(vec![Box::new(Quick)], 64, 8);
    let mut whole = job(&[0.0]);
    whole.optional = vec![(0, Tensor::new(vec![], vec![1.0_f32]).unwrap())];
    let failure = queue.try_submit(whole).unwrap().await.unwrap_err();
    assert!(matches!(failure.kind, FailureKind::InvalidInput(_)), "{failure:?}");
    scheduler.close();
    assert!(scheduler.join(Instant::now() + SOON));
}

#[tokio::test]
async fn a_full_queue_refuses_and_an_abandoned_job_makes_room() {
    let bench = bench(2, 8);
    let running = bench.queue.try_submit(job(&[1.0])).unwrap();
    assert_eq!(bench.started.recv_timeout(SOON), Ok(1));
    let waiting = bench.queue.try_submit(job(&[2.0, 3.0])).unwrap();
    assert!(bench.queue.is_full(1));
    let Err(SubmitError::Full { retry_after_s }) = bench.queue.try_submit(job(&[4.0])).map(drop) else {
        panic!("the queue takes more than its capacity");
    };
    assert!((1..=60).contains(&retry_after_s));
    drop(waiting);
    let last = bench.queue.try_submit(job(&[5.0])).unwrap();
    bench.script.send(Script::AddOne).unwrap();
    bench.script.send(Script::AddOne).unwrap();
    assert_eq!(values(&running.await.unwrap().outputs), [2.0]);
    assert_eq!(values(&last.await.unwrap().outputs), [6.0]);
}

#[tokio::test]
async fn an_expired_job_is_not_run() {
    let bench = bench(8, 8);
    let first = bench.queue.try_submit(job(&[1.0])).unwrap();
    assert_eq!(bench.started.recv_timeout(SOON), Ok(1));
    let mut late = job(&[2.0]);
    late.deadline = Instant::now();
    let late = bench.queue.try_submit(late).unwrap();
    bench.script.send(Script::AddOne).unwrap();
    assert!(first.await.is_ok());
    assert_eq!(late.await.unwrap_err().kind, FailureKind::Expired);
    bench.script.send(Script::AddOne).unwrap();
    assert!(bench.queue.try_submit(job(&[3.0])).unwrap().await.is_ok());
    assert_eq!(bench.started.try_iter().count(), 1, "only the last job was run after the first");
}

#[tokio::test]
async fn a_batch_that_fails_is_run_again_member_by_member() {
    let bench = bench(8, 8);
    let running = bench.queue.try_submit(job(&[0.0])).unwrap();
    assert_eq!(bench.started.recv_timeout(SOON), Ok(1));
    let tickets: Vec<Ticket> = (0..4).map(|_| bench.queue.try_submit(job(&[1.0])).unwrap()).collect();
    let scripts = [
        Script::AddOne,
        Script::Fail(RunError::Failed("the batch".into())),
        Script::Fail(RunError::InvalidInput("gather".into())),
        Script::Panic,
        Script::Fail(RunError::Failed("kernel".into())),
        Script::AddOne,
    ];
    for script in scripts {
        bench.script.send(script).unwrap();
    }
    assert!(running.await.is_ok());
    let mut kinds = Vec::new();
    for ticket in tickets {
        kinds.push(ticket.await.map(|finished| values(&finished.outputs)).map_err(|failure| failure.kind));
    }
    assert_eq!(
        kinds,
        [
            Err(FailureKind::InvalidInput("gather".into())),
            Err(FailureKind::Panicked),
            Err(FailureKind::Failed("kernel".into())),
            Ok(vec![2.0]),
        ]
    );
    assert_eq!(bench.started.try_iter().collect::<Vec<_>>(), [4, 1, 1, 1, 1]);
    assert!(bench.scheduler.join(Instant::now() + SOON));
}

#[tokio::test]
async fn a_run_goes_on_while_one_of_its_callers_waits_and_ends_with_the_last() {
    let (raised, interrupts) = mpsc::channel();
    let (script, gate) = mpsc::channel();
    let (started_sender, started) = mpsc::channel();
    let session = Interruptible { inner: Gated { gate, started: started_sender }, raised };
    let (scheduler, queue) = with_sessions(vec![Box::new(session)], 64, 8);
    let first = queue.try_submit(job(&[0.0])).unwrap();
    assert_eq!(started.recv_timeout(SOON), Ok(1));
    let mut together: Vec<Ticket> = (0..3).map(|_| queue.try_submit(job(&[1.0])).unwrap()).collect();
    script.send(Script::AddOne).unwrap();
    assert!(first.await.is_ok());
    assert_eq!(started.recv_timeout(SOON), Ok(3));
    let last = together.pop().unwrap();
    drop(together);
    assert!(interrupts.try_recv().is_err(), "one caller still waits");
    drop(last);
    assert_eq!(interrupts.recv_timeout(SOON), Ok(true));
    script.send(Script::Fail(RunError::Interrupted)).unwrap();
    script.send(Script::AddOne).unwrap();
    assert!(queue.try_submit(job(&[1.0])).unwrap().await.is_ok(), "the switch was put back");
    assert!(scheduler.join(Instant::now() + SOON));
}

/// Tells when its switch is raised and put back.
struct Interruptible {
    inner: Gated,
    raised: mpsc::Sender<bool>,
}

impl Run for Interruptible {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.inner.run(inputs)
    }

    fn interrupt(&self) -> Interrupt {
        let raised = self.raised.clone();
        Interrupt::from_fn(move |on| raised.send(on).unwrap_or_default())
    }
}

#[tokio::test]
async fn a_more_urgent_job_takes_the_place_of_the_least_urgent() {
    let bench = bench(2, 1);
    let of = |priority| JobRequest { priority, ..job(&[1.0]) };
    let running = bench.queue.try_submit(of(2)).unwrap();
    assert_eq!(bench.started.recv_timeout(SOON), Ok(1));
    let waiting = [2, 3].map(|level| bench.queue.try_submit(of(level)).unwrap());
    assert!(matches!(bench.queue.try_submit(of(3)).map(drop), Err(SubmitError::Full { .. })));
    let urgent = bench.queue.try_submit(of(1)).unwrap();
    for _ in 0..3 {
        bench.script.send(Script::AddOne).unwrap();
    }
    let [kept, displaced] = waiting;
    assert!(matches!(displaced.await.unwrap_err().kind, FailureKind::Displaced { retry_after_s: 1..=60 }));
    for ticket in [running, kept, urgent] {
        assert!(ticket.await.is_ok());
    }
}

#[tokio::test]
async fn what_cannot_be_in_time_is_refused_at_once_and_only_behind_others() {
    let bench = bench(64, 1);
    let within = |limit: Duration| JobRequest { deadline: Instant::now() + limit, ..job(&[1.0]) };
    bench.script.send(Script::AddOne).unwrap();
    bench.queue.try_submit(within(Duration::from_secs(30))).unwrap().await.unwrap();
    bench.started.recv_timeout(SOON).unwrap();
    bench.shared_cost(Measured { rows: 1, width: 1, took: Duration::from_secs(5) });
    let running = bench.queue.try_submit(within(Duration::from_mins(1))).unwrap();
    bench.started.recv_timeout(SOON).unwrap();
    let refused = bench.queue.try_submit(within(Duration::from_secs(1))).map(drop);
    assert!(
        matches!(refused, Err(SubmitError::DeadlineUnmeetable { retry_after_s: 1..=60 })),
        "five seconds of work are ahead"
    );
    let patient = bench.queue.try_submit(within(Duration::from_mins(1))).unwrap();
    bench.script.send(Script::AddOne).unwrap();
    bench.script.send(Script::AddOne).unwrap();
    assert!(running.await.is_ok() && patient.await.is_ok());
}

/// Adds one at once.
struct Quick;

impl Run for Quick {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        let Data::Fp32(values) = inputs[0].data() else { unreachable!("tests send FP32") };
        assert!(values.iter().all(|value| value.is_finite()), "scripted");
        let sum: Vec<f32> = values.iter().map(|value| value + 1.0).collect();
        Ok(vec![Tensor::new(inputs[0].shape().to_vec(), sum).expect("same shape")])
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::from_fn(|_raised| {})
    }
}

#[tokio::test]
async fn short_runs_on_an_idle_device_are_done_where_the_caller_is() {
    let (scheduler, queue) = with_sessions(vec![Box::new(Quick)], 64, 8);
    assert!(queue.try_run_now(&job(&[1.0])).is_none(), "nothing is known of the model yet");
    let mut runs = 0;
    let finished = loop {
        if let Some(finished) = queue.try_run_now(&job(&[1.0])) {
            break finished.unwrap();
        }
        queue.try_submit(job(&[1.0])).unwrap().await.unwrap();
        runs += 1;
        assert!(runs < 1_000, "its runs take some microseconds");
    };
    assert_eq!(values(&finished.outputs), [2.0]);
    assert!(queue.try_run_now(&job(&[0.0; 9])).is_none(), "more rows than one run takes");
    let panicked = queue.try_run_now(&job(&[f32::NAN])).map(|answer| answer.unwrap_err().kind);
    assert_eq!(panicked, Some(FailureKind::Panicked));
    assert!(queue.try_run_now(&job(&[1.0])).is_some(), "the session and its permit were given back");
    scheduler.close();
    assert!(queue.try_run_now(&job(&[1.0])).is_none());
    assert!(scheduler.join(Instant::now() + SOON));
}

#[tokio::test]
async fn short_runs_of_several_callers_are_done_together_by_the_first_who_helps() {
    let (scheduler, queue) = with_sessions(vec![Box::new(Quick)], 64, 8);
    queue.learn(&[Measured { rows: 1, width: 1, took: Duration::from_micros(5) }; 64]);
    let mut tickets: Vec<Ticket> =
        (0_u8..3).map(|i| queue.try_submit_near(job(&[f32::from(i)])).unwrap()).collect();
    let leads: Vec<bool> = tickets.iter().map(Ticket::leads).collect();
    assert_eq!(leads, [true, false, false], "no worker was woken, and one comes back for all");
    assert_eq!(tickets[0].company(), 3);
    tickets[2].help();
    tickets[0].help();
    for (ticket, i) in tickets.into_iter().zip(0_u8..) {
        let finished = ticket.await.unwrap();
        assert_eq!(values(&finished.outputs), [f32::from(i) + 1.0]);
        assert_eq!((finished.batch.size, finished.batch.index), (3, usize::from(i)));
    }
    let large = queue.try_submit_near(job(&[1.0; 30])).unwrap();
    assert!(!large.leads(), "workers cut it");
    assert_eq!(values(&large.await.unwrap().outputs), [2.0; 30]);
    let mut crowd: Vec<Ticket> = (0..30).map(|_| queue.try_submit_near(job(&[1.0])).unwrap()).collect();
    crowd[0].help();
    for ticket in crowd {
        assert_eq!(values(&ticket.await.unwrap().outputs), [2.0], "what the first one leaves, workers run");
    }
    let abandoned = queue.try_submit_near(job(&[1.0])).unwrap();
    let follower = queue.try_submit_near(job(&[3.0])).unwrap();
    drop(abandoned);
    assert_eq!(values(&follower.await.unwrap().outputs), [4.0], "who leads and leaves still comes back");
    let by_worker = queue.try_submit(job(&[7.0])).unwrap();
    assert!(!by_worker.leads());
    assert_eq!(values(&by_worker.await.unwrap().outputs), [8.0]);
    assert!(scheduler.join(Instant::now() + SOON));
}

#[tokio::test]
async fn callers_who_cannot_help_leave_it_to_workers() {
    let bench = bench(64, 8);
    bench.shared_cost(Measured { rows: 1, width: 1, took: Duration::from_micros(5) });
    let running = bench.queue.try_submit(job(&[1.0])).unwrap();
    assert_eq!(bench.started.recv_timeout(SOON), Ok(1));
    let mut waiting = bench.queue.try_submit_near(job(&[2.0])).unwrap();
    waiting.help();
    for _ in 0..2 {
        bench.script.send(Script::AddOne).unwrap();
    }
    assert!(running.await.is_ok(), "its session was busy");
    assert_eq!(values(&waiting.await.unwrap().outputs), [3.0]);
    assert!(bench.scheduler.join(Instant::now() + SOON));
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_the_rest() {
    let bench = bench(8, 8);
    let tickets: Vec<Ticket> = (0..3).map(|_| bench.queue.try_submit(job(&[1.0])).unwrap()).collect();
    bench.scheduler.close();
    assert_eq!(bench.queue.try_submit(job(&[1.0])).map(drop), Err(SubmitError::Closed));
    for _ in 0..3 {
        bench.script.send(Script::AddOne).unwrap();
    }
    for ticket in tickets {
        assert!(ticket.await.is_ok());
    }
    assert!(bench.scheduler.join(Instant::now() + SOON));
}

#[tokio::test]
async fn a_worker_that_never_returns_is_stuck_and_is_not_waited_for() {
    let bench = bench(8, 8);
    let ticket = bench.queue.try_submit(job(&[1.0])).unwrap();
    assert_eq!(bench.started.recv_timeout(SOON), Ok(1));
    let later = Instant::now() + Duration::from_secs(100);
    assert_eq!(bench.scheduler.stuck_workers(Duration::from_secs(50), later), 1);
    assert_eq!(bench.scheduler.stuck_workers(Duration::from_secs(500), later), 0);
    assert!(!bench.scheduler.join(Instant::now() + Duration::from_millis(20)));
    bench.script.send(Script::AddOne).unwrap();
    assert!(ticket.await.is_ok());
}

/// Adds nothing; tells when it is dropped.
struct Counted {
    _alive: Arc<()>,
    inner: Option<Gated>,
}

impl Run for Counted {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.inner.as_mut().map_or_else(|| Ok(inputs.to_vec()), |gated| gated.run(inputs))
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::from_fn(|_raised| {})
    }
}

#[tokio::test]
async fn a_dropped_queue_frees_its_sessions_and_its_place_serves_the_next() {
    let alive = Arc::new(());
    let session = || Box::new(Counted { _alive: Arc::clone(&alive), inner: None }) as Box<dyn Run>;
    let (scheduler, first) = with_sessions(vec![session(), session()], 8, 4);
    let again = |sessions| {
        let metrics = Metrics::new(None, &BuildInfo::default()).model("m", "1", "cpu");
        let device = DeviceOptions { name: "cpu".into(), kind: DeviceKind::Cores, permits: 1 };
        let options = ModelOptions {
            model: "m".into(),
            version: "1".into(),
            device,
            provider: "cpu",
            cost: 1,
            sessions,
            limits: BatchLimits { max_rows: 4, max_tokens: None, max_delay: Duration::ZERO },
            grouping: Grouping { batchable: true, has_free_shape: false, pads: false },
            buckets: Buckets::default(),
            measured: Vec::new(),
            queue_capacity: 8,
            metrics,
        };
        scheduler.add_model(options).unwrap()
    };
    for _ in 0..100 {
        let queue = again(vec![session()]);
        assert_eq!(queue.index, 1, "the place of the one before");
        assert_eq!(values(&queue.try_submit(job(&[7.0])).unwrap().await.unwrap().outputs), [7.0]);
        assert_eq!(Arc::strong_count(&alive), 4);
        drop(queue);
        // A worker may still be on its way back with the session.
        let freed = (0..1000).any(|_| {
            let is_freed = Arc::strong_count(&alive) == 3;
            if !is_freed {
                std::thread::yield_now();
                std::thread::park_timeout(Duration::from_millis(1));
            }
            is_freed
        });
        assert!(freed);
    }
    assert_eq!(values(&first.try_submit(job(&[1.0])).unwrap().await.unwrap().outputs), [1.0]);
    drop(first);
    assert!(scheduler.join(Instant::now() + SOON));
    assert_eq!(Arc::strong_count(&alive), 1, "every session is freed");
}

#[tokio::test]
async fn a_session_that_runs_when_its_queue_goes_is_freed_after_the_run() {
    let (script, gate) = mpsc::channel();
    let (started_sender, started) = mpsc::channel();
    let alive = Arc::new(());
    let gated = Gated { gate, started: started_sender };
    let session = Box::new(Counted { _alive: Arc::clone(&alive), inner: Some(gated) });
    let (scheduler, queue) = with_sessions(vec![session], 8, 1);
    let running = queue.try_submit(job(&[1.0])).unwrap();
    assert_eq!(started.recv_timeout(SOON), Ok(1));
    let waiting = queue.try_submit(job(&[2.0])).unwrap();
    drop(queue);
    assert_eq!(waiting.await.unwrap_err().kind, FailureKind::Cancelled, "nobody is left to run it");
    assert_eq!(Arc::strong_count(&alive), 2, "it runs");
    script.send(Script::AddOne).unwrap();
    assert_eq!(values(&running.await.unwrap().outputs), [2.0]);
    assert!(scheduler.join(Instant::now() + SOON));
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// What any run takes on the accelerator of these tests.
const ONE_RUN: Duration = Duration::from_millis(5);

/// Notes the shapes it runs, and gives back what it is given.
struct Shapes(mpsc::Sender<Vec<usize>>);

impl Run for Shapes {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.0.send(inputs[0].shape().to_vec()).expect("the test listens");
        std::thread::sleep(ONE_RUN);
        Ok(inputs.to_vec())
    }

    fn run_with(&mut self, inputs: &[Tensor], _: &[(usize, Tensor)]) -> Result<Vec<Tensor>, RunError> {
        self.run(inputs)
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::from_fn(|_raised| {})
    }
}

fn on_accelerator(sessions: Vec<Box<dyn Run>>, metrics: &Arc<Metrics>) -> ModelOptions {
    ModelOptions {
        model: "m".into(),
        version: "1".into(),
        device: DeviceOptions {
            name: "cuda:0".into(),
            kind: DeviceKind::Accelerator,
            permits: sessions.len(),
        },
        provider: "cuda",
        cost: 1,
        sessions,
        limits: BatchLimits { max_rows: 8, max_tokens: None, max_delay: Duration::ZERO },
        grouping: Grouping { batchable: true, has_free_shape: true, pads: true },
        buckets: Buckets::new([1, 4, 8], [4, 16]),
        // Company costs nothing.
        measured: [(1, 4), (4, 4), (8, 4), (1, 16), (4, 16), (8, 16)]
            .map(|(rows, width)| Measured { rows, width, took: ONE_RUN })
            .into(),
        queue_capacity: 64,
        metrics: metrics.model("m", "1", "cuda:0"),
    }
}

#[tokio::test]
async fn every_run_on_an_accelerator_is_of_a_bucket_and_every_answer_is_its_own() {
    let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
    let scheduler = Scheduler::new(Arc::clone(&metrics), Tracer::disabled());
    let (sender, shapes) = mpsc::channel();
    let queue = scheduler.add_model(on_accelerator(vec![Box::new(Shapes(sender))], &metrics)).unwrap();
    let of = |rows: usize, width: usize, tokens: Option<u32>| {
        let values: Vec<f32> = (0_u8..).take(rows * width).map(f32::from).collect();
        let row_tokens = tokens.map(|tokens| vec![tokens; rows]);
        let inputs = vec![Tensor::new(vec![rows, width], values).unwrap()];
        JobRequest { inputs, rows, row_tokens, ..job(&[0.0]) }
    };
    for (rows, width, tokens, shape) in [
        (1, 4, Some(4), [1, 4]),
        (2, 3, Some(3), [4, 4]),
        (5, 5, Some(5), [8, 16]),
        (4, 16, Some(16), [4, 16]),
        (3, 17, Some(17), [4, 17]),
        (2, 3, None, [4, 3]),
    ] {
        let request = of(rows, width, tokens);
        let given = request.inputs[0].clone();
        let answer = queue.try_submit(request).unwrap().await.unwrap();
        assert_eq!(shapes.recv_timeout(SOON).unwrap(), shape);
        let ours = crate::tensor::with_width(&answer.outputs[0], width).unwrap();
        assert_eq!(ours, given, "{rows} x {width}");
        assert_eq!(answer.batch.size, rows, "what is filled up is nobody's");
    }
    let text = metrics.render();
    let padding = r#"inference_batch_padding_ratio_sum{model="m",version="1"} "#;
    let padding = text.lines().find_map(|line| line.strip_prefix(padding)).expect("it is observed");
    let expected = 0.0 + (1.0 - 6.0 / 16.0) + (1.0 - 25.0 / 128.0) + 0.0 + 0.25 + 0.5;
    assert!((padding.parse::<f64>().unwrap() - expected).abs() < 1e-9, "{padding}, expected {expected}");
    assert!(scheduler.join(Instant::now() + SOON));
}

#[tokio::test]
async fn a_second_model_brings_the_permits_that_it_wants_and_devices_take_turns() {
    struct Numbered(usize, mpsc::Sender<usize>);
    impl Run for Numbered {
        fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
            self.1.send(self.0).expect("the test listens");
            Ok(inputs.to_vec())
        }
        fn interrupt(&self) -> Interrupt {
            Interrupt::from_fn(|_raised| {})
        }
    }
    let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
    let scheduler = Scheduler::new(Arc::clone(&metrics), Tracer::disabled());
    let (sender, ran) = mpsc::channel();
    let sessions = |count: usize| {
        (0..count).map(|number| Box::new(Numbered(number, sender.clone())) as Box<dyn Run>).collect()
    };
    let one = scheduler.add_model(on_accelerator(sessions(1), &metrics)).unwrap();
    let workers = |state: &str, count: usize| {
        let line = format!(r#"inference_workers{{device="cuda:0",state="{state}"}} {count}"#);
        (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            metrics.render().lines().any(|found| found == line)
        })
    };
    assert!(workers("idle", 1));
    let three = scheduler.add_model(on_accelerator(sessions(3), &metrics)).unwrap();
    assert!(workers("idle", 3));
    assert_eq!(values(&one.try_submit(job(&[1.0])).unwrap().await.unwrap().outputs), [1.0]);
    assert_eq!(ran.recv_timeout(SOON), Ok(0));
    let mut turns = Vec::new();
    for _ in 0..6 {
        three.try_submit(job(&[1.0])).unwrap().await.unwrap();
        turns.push(ran.recv_timeout(SOON).unwrap());
        assert!(workers("idle", 3));
    }
    assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    assert!(scheduler.join(Instant::now() + SOON));
}
