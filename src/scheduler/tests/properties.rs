//! An answer belongs to its request: random arrivals, shapes, lengths, cancellations and failures over
//! real threads, and a hundred thousand distinct requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{SOON, Scheduler};
use crate::engine::{Interrupt, Run, RunError};
use crate::scheduler::{
    BatchLimits, Buckets, DeviceKind, DeviceOptions, FailureKind, Grouping, JobRequest, ModelOptions,
    ModelQueue, SubmitError, Ticket,
};
use crate::telemetry::{BuildInfo, Metrics, Tracer};
use crate::tensor::{Data, Tensor};

/// A value that the model refuses, one on which it fails, and one on which it panics.
const REFUSED: f32 = -1.0;
const FAILS: f32 = -2.0;
const PANICS: f32 = -3.0;

/// Gives the sum of each row, whatever its padding, and its first number; refuses, fails or panics on some
/// numbers. Counts the rows of its runs.
struct Sums {
    rows: Arc<AtomicUsize>,
    largest: Arc<AtomicUsize>,
}

impl Run for Sums {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        let Data::Fp32(values) = inputs[0].data() else { unreachable!("tests send FP32") };
        let has = |value: f32| values.contains(&value);
        assert!(!has(PANICS), "scripted");
        if has(REFUSED) {
            return Err(RunError::InvalidInput("refused".into()));
        }
        if has(FAILS) {
            return Err(RunError::Failed("failed".into()));
        }
        let rows = inputs[0].rows();
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.largest.fetch_max(rows, Ordering::Relaxed);
        let width = inputs[0].row_len();
        let of = |row: &[f32]| [row.iter().sum(), row[0]];
        let sums: Vec<f32> = values.chunks(width).flat_map(of).collect();
        Ok(vec![Tensor::new(vec![rows, 2], sums).expect("two numbers a row")])
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::from_fn(|_| {})
    }
}

struct House {
    scheduler: Scheduler,
    queue: ModelQueue,
    metrics: Arc<Metrics>,
    rows: Arc<AtomicUsize>,
    largest: Arc<AtomicUsize>,
}

fn house(sessions: usize, limits: BatchLimits, capacity: usize, buckets: Buckets) -> House {
    let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
    let scheduler = Scheduler::new(Arc::clone(&metrics), Tracer::disabled());
    let (rows, largest) = (Arc::default(), Arc::default());
    let is_exact = buckets == Buckets::default();
    let kind = if is_exact { DeviceKind::Cores } else { DeviceKind::Accelerator };
    let session =
        |_| -> Box<dyn Run> { Box::new(Sums { rows: Arc::clone(&rows), largest: Arc::clone(&largest) }) };
    let queue = scheduler.add_model(ModelOptions {
        model: "m".into(),
        version: "1".into(),
        device: DeviceOptions { name: "cpu".into(), kind, permits: sessions },
        provider: "cpu",
        cost: 1,
        sessions: (0..sessions).map(session).collect(),
        limits,
        grouping: Grouping { batchable: true, has_free_shape: true, pads: true },
        buckets,
        measured: Vec::new(),
        queue_capacity: capacity,
        metrics: metrics.model("m", "1", "cpu"),
    });
    House { scheduler, queue: queue.unwrap(), metrics, rows, largest }
}

/// What one caller sends and does.
#[derive(Clone, Debug)]
struct Call {
    /// One number for each token of each row.
    rows: Vec<Vec<f32>>,
    /// Its rows have lengths and are padded to the longest; else they are all of the first one's.
    has_tokens: bool,
    gives_up: bool,
    pause: bool,
}

fn call() -> impl Strategy<Value = Call> {
    let number = prop_oneof![60 => (1..1000_u16).prop_map(f32::from), 1 => Just(REFUSED), 1 => Just(FAILS), 1 => Just(PANICS)];
    let row = prop::collection::vec(number, 1..6);
    let rows = prop::collection::vec(row, 1..12);
    (rows, any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
        |(mut rows, has_tokens, gives_up, pause)| {
            if !has_tokens {
                let width = rows[0].len();
                for row in &mut rows {
                    row.resize(width, 5.0);
                }
            }
            Call { rows, has_tokens, gives_up, pause }
        },
    )
}

fn request(call: &Call) -> JobRequest {
    let width = call.rows.iter().map(Vec::len).max().unwrap_or(1);
    let mut values = Vec::new();
    for row in &call.rows {
        values.extend(row);
        values.resize(values.len() + width - row.len(), 0.0);
    }
    let tokens = || call.rows.iter().map(|row| u32::try_from(row.len()).unwrap()).collect();
    JobRequest {
        inputs: vec![Tensor::new(vec![call.rows.len(), width], values).unwrap()],
        optional: Vec::new(),
        rows: call.rows.len(),
        row_tokens: call.has_tokens.then(tokens),
        priority: 0,
        deadline: Instant::now() + Duration::from_mins(1),
        trace: None,
        input_length: 1,
    }
}

async fn check(call: &Call, ticket: Ticket) -> Result<(), TestCaseError> {
    let has = |value: f32| call.rows.iter().any(|row| row.contains(&value));
    match ticket.await {
        Ok(finished) => {
            let Data::Fp32(values) = finished.outputs[0].data() else { panic!("not FP32") };
            let expected: Vec<f32> = call.rows.iter().flat_map(|row| [row.iter().sum(), row[0]]).collect();
            prop_assert_eq!(values.to_vec(), expected);
            prop_assert!(![REFUSED, FAILS, PANICS].into_iter().any(has));
            let times = finished.times;
            prop_assert!(times.enqueued <= times.dequeued && times.dequeued <= times.assembled);
            prop_assert!(times.assembled <= times.executed);
        }
        Err(failure) => {
            let expected = match failure.kind {
                FailureKind::InvalidInput(_) => has(REFUSED),
                FailureKind::Failed(_) => has(FAILS),
                FailureKind::Panicked => has(PANICS),
                _ => false,
            };
            prop_assert!(expected, "{:?} of {:?}", failure.kind, call);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_caller_gets_what_its_own_rows_give(
        calls in prop::collection::vec(call(), 1..60),
        sessions in 1..4_usize,
        max_rows in 1..9_usize,
        max_tokens in prop::option::of(4..30_usize),
        delay_ms in 0..2_u64,
        fills in any::<bool>(),
    ) {
        let max_delay = Duration::from_millis(delay_ms);
        let sizes = [1, 2, 4, 8].into_iter().filter(|&size| size < max_rows).chain([max_rows]);
        let buckets = if fills { Buckets::new(sizes, [2, 5]) } else { Buckets::default() };
        let limits = BatchLimits { max_rows, max_tokens, max_delay };
        let house = house(sessions, limits, 100_000, buckets);
        let executor = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        executor.block_on(async {
            let mut tickets = Vec::new();
            for call in &calls {
                let ticket = house.queue.try_submit(request(call)).unwrap();
                if !call.gives_up {
                    tickets.push((call, ticket));
                }
                if call.pause {
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            }
            for (call, ticket) in tickets {
                check(call, ticket).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
        prop_assert!(house.scheduler.join(Instant::now() + SOON));
        prop_assert!(house.largest.load(Ordering::Relaxed) <= max_rows);
        let text = house.metrics.render();
        for gauge in ["inference_queue_depth{model=\"m\",version=\"1\"} 0", "state=\"busy\"} 0"] {
            prop_assert!(text.contains(gauge), "{}", gauge);
        }
    }
}

/// A hundred thousand requests, no two alike, from many callers at once: each gets its own answer.
#[test]
fn a_hundred_thousand_distinct_requests_are_not_mixed_up() {
    const CALLERS: u32 = 100;
    const EACH: u32 = 1_000;
    let limits = BatchLimits { max_rows: 32, max_tokens: None, max_delay: Duration::ZERO };
    let house = Arc::new(house(2, limits, 256, Buckets::default()));
    let executor =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    executor.block_on(async {
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let house = Arc::clone(&house);
            callers.spawn(async move {
                for number in 0..EACH {
                    #[expect(clippy::cast_precision_loss, reason = "below 2^24")]
                    let value = (caller * EACH + number + 1) as f32;
                    let call =
                        Call { rows: vec![vec![value]], has_tokens: false, gives_up: false, pause: false };
                    let ticket = loop {
                        match house.queue.try_submit(request(&call)) {
                            Ok(ticket) => break ticket,
                            Err(SubmitError::Full { .. }) => tokio::task::yield_now().await,
                            Err(other) => panic!("{other:?}"),
                        }
                    };
                    check(&call, ticket).await.unwrap();
                }
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended.unwrap();
        }
    });
    assert_eq!(house.rows.load(Ordering::Relaxed), (CALLERS * EACH) as usize, "each row ran once");
    assert!(house.largest.load(Ordering::Relaxed) > 1, "and together with others");
    assert!(house.scheduler.join(Instant::now() + SOON));
}
