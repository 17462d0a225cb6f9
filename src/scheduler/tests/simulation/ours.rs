//! The scheduler itself as a strategy: `DeviceState` as the workers drive it, in virtual time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot::Receiver;

use super::clock::{Started, Step, Strategy};
use super::world::{CAPACITY, Model, World};
use crate::engine::{Interrupt, Run, RunError};
use crate::scheduler::device::{DeviceState, Done, Next, Work};
use crate::scheduler::pending::{Answer, Guard, Pending};
use crate::scheduler::queue::{QueueState, Taken};
use crate::scheduler::state::ModelFacts;
use crate::scheduler::{
    BatchLimits, BatchSummary, Buckets, DeviceKind, DeviceOptions, Grouping, JobRequest, JobTimes, Measured,
    ModelOptions,
};
use crate::telemetry::{BuildInfo, Metrics};
use crate::tensor::Tensor;

/// A session that only says which one it is.
struct Numbered {
    number: usize,
    said: Arc<AtomicUsize>,
}

impl Run for Numbered {
    fn run(&mut self, _: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.said.store(self.number, Ordering::Relaxed);
        Ok(Vec::new())
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::from_fn(|_| {})
    }
}

/// A request that was let in.
struct Held {
    job: Arc<Pending>,
    reply: Receiver<Answer>,
    queue: usize,
}

/// A run that goes on.
struct Running {
    members: Vec<Taken>,
    guard: Arc<Guard>,
    done: Done,
    dequeued: Instant,
}

pub(super) struct Ours {
    device: DeviceState,
    held: HashMap<usize, Held>,
    /// From a job's number to the request's.
    requests: Vec<usize>,
    running: Vec<Option<Running>>,
    said: Arc<AtomicUsize>,
}

impl Ours {
    pub(super) fn new(world: &World) -> Self {
        let said = Arc::new(AtomicUsize::new(0));
        let mut device = DeviceState::new(world.slots);
        let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
        for model in &world.models {
            device.queues.push(queue(model, &metrics, &said));
        }
        Self { device, held: HashMap::new(), requests: Vec::new(), running: Vec::new(), said }
    }

    fn begin(&mut self, work: Work, now: Instant) -> Option<Started> {
        let Work { batch, dequeued, mut done, .. } = work;
        let guard = Arc::new(Guard::new(done.session.interrupt()));
        let mut members = batch.members;
        members.retain(|member| member.job.begin(&guard, dequeued));
        if members.is_empty() {
            guard.close();
            self.device.give_back(done, now);
            return None;
        }
        done.session.run(&[]).expect("it only says its number");
        let lengths = |member: &Taken| {
            let job = Arc::clone(&member.job);
            member.rows.clone().filter_map(move |position| job.width_at(position)).collect::<Vec<_>>()
        };
        let lengths: Vec<usize> = members.iter().flat_map(lengths).collect();
        let rows: usize = members.iter().map(|member| member.rows.len()).sum();
        let run = self.running.iter().position(Option::is_none).unwrap_or(self.running.len());
        let request = |member: &Taken| self.requests[usize::try_from(member.job.id).expect("a small number")];
        let started = Started {
            run,
            model: done.queue,
            session: self.said.load(Ordering::Relaxed),
            members: members.iter().map(|member| (request(member), member.rows.clone())).collect(),
            tokens: if lengths.is_empty() { rows } else { lengths.iter().sum() },
            width: lengths.into_iter().max().unwrap_or(1),
        };
        if run == self.running.len() {
            self.running.push(None);
        }
        self.running[run] = Some(Running { members, guard, done, dequeued });
        Some(started)
    }
}

/// A model's queue after its warm-up, which measures one width.
fn queue(model: &Model, metrics: &Arc<Metrics>, said: &Arc<AtomicUsize>) -> QueueState {
    let width = if model.has_lengths { 16 } else { 1 };
    let sizes =
        std::iter::successors(Some(1), |rows| Some(rows * 2)).take_while(|rows| *rows <= model.most_rows);
    let took = |rows| Duration::from_secs_f64(model.truth.seconds(rows, width));
    let metrics = metrics.model("m", "1", "cpu");
    let session = |number| Box::new(Numbered { number, said: Arc::clone(said) }) as Box<dyn Run>;
    let limits = BatchLimits { max_rows: model.most_rows, max_tokens: None, max_delay: Duration::ZERO };
    let options = ModelOptions {
        model: "m".into(),
        version: "1".into(),
        device: DeviceOptions { name: "cpu".into(), kind: DeviceKind::Cores, permits: 2 },
        provider: "cpu",
        cost: 1,
        sessions: (0..model.sessions).map(session).collect(),
        limits,
        grouping: Grouping { batchable: true, has_free_shape: model.has_lengths, pads: model.has_lengths },
        buckets: Buckets::default(),
        measured: sizes.map(|rows| Measured { rows, width, took: took(rows) }).collect(),
        queue_capacity: CAPACITY,
        metrics: Arc::clone(&metrics),
    };
    let facts = ModelFacts {
        model: "m".into(),
        version: "1".into(),
        provider: "cpu",
        cost: 1,
        device: DeviceKind::Cores,
        limits,
        buckets: Buckets::default(),
        metrics,
    };
    QueueState::new(Arc::new(facts), options)
}

impl Strategy for Ours {
    fn submit(&mut self, request: usize, world: &World, now: Instant) -> bool {
        let arrival = &world.arrivals[request];
        let job = JobRequest {
            inputs: Vec::new(),
            optional: Vec::new(),
            rows: arrival.lengths.len(),
            row_tokens: world.models[arrival.model].has_lengths.then(|| arrival.lengths.to_vec()),
            priority: 0,
            deadline: now + Duration::from_secs_f64(world.deadline),
            trace: None,
            input_length: 0,
        };
        let Ok((job, reply)) = self.device.submit(arrival.model, job, now) else { return false };
        assert_eq!(usize::try_from(job.id), Ok(self.requests.len()), "jobs are numbered as they come");
        self.requests.push(request);
        self.held.insert(request, Held { job, reply, queue: arrival.model });
        true
    }

    fn leave(&mut self, request: usize, now: Instant) {
        let Some(held) = self.held.get(&request) else { return };
        held.job.abandon();
        self.device.withdraw(held.queue, held.job.place(), now);
    }

    fn next(&mut self, _: &World, now: Instant) -> Step {
        loop {
            match self.device.next(now) {
                Next::Idle(until) => return Step::Idle(until),
                Next::Work(work) => {
                    if let Some(started) = self.begin(work, now) {
                        return Step::Run(started);
                    }
                }
            }
        }
    }

    fn ended(&mut self, run: usize, took: Duration, now: Instant) -> Vec<usize> {
        let Running { members, guard, mut done, dequeued } = self.running[run].take().expect("it ran");
        guard.close();
        let rows = members.iter().map(|member| member.rows.len()).sum();
        done.ran = Some(Measured { rows, width: done.width, took });
        done.missed = members.iter().filter(|member| member.job.request.deadline < now).count();
        let mut answered = Vec::new();
        for member in members {
            let (job, rows) = (member.job, member.rows);
            let request = self.requests[usize::try_from(job.id).expect("a small number")];
            let times = JobTimes { enqueued: job.enqueued, dequeued, assembled: dequeued, executed: now };
            let batch = BatchSummary { size: rows.len(), index: 0, context: None, depth_at_enqueue: 0 };
            job.part_done(rows, Vec::new(), (times, batch));
            let held = self.held.get_mut(&request).expect("it was let in");
            if held.reply.try_recv().is_ok_and(|answer| answer.is_ok()) {
                answered.push(request);
            }
        }
        self.device.give_back(done, now);
        answered
    }

    fn gave_up(&self, request: usize) -> bool {
        self.held.get(&request).is_some_and(|held| held.job.is_over())
    }
}
