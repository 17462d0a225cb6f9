//! The watch of GPUs over scripted devices, and over what this machine has.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::gpu;
use crate::telemetry::BuildInfo;

const LONG: Duration = Duration::from_secs(20);

/// What the thread did.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    Open(usize),
    Read(usize),
    Wait,
}

/// Devices 0 and 1, of which only 0 reports errors; 7 is the one that can't be had.
struct Scripted {
    did: Sender<Did>,
    xids: Receiver<(Vec<usize>, u64)>,
}

impl Devices for Scripted {
    fn open(&mut self, index: usize) -> Result<Facts, String> {
        self.did.send(Did::Open(index)).unwrap();
        if index == 7 {
            return Err("there is no driver".to_owned());
        }
        let driver = Driver { version: "580.95.05".to_owned(), cuda: (13, 0), devices: 2 };
        Ok(Facts { uuid: format!("GPU-{index}"), name: "H200".to_owned(), driver })
    }

    fn reports(&self, index: usize) -> bool {
        index == 0
    }

    fn read(&self, index: usize) -> Reading {
        self.did.send(Did::Read(index)).unwrap();
        Reading { utilization: Some(0.5), ..Reading::default() }
    }

    fn xid(&mut self, timeout: Duration) -> Option<(Vec<usize>, u64)> {
        // Nobody listens where the test has ended.
        self.did.send(Did::Wait).unwrap_or_default();
        self.xids.recv_timeout(timeout).ok()
    }
}

struct Stage {
    watch: GpuWatch,
    metrics: Arc<Metrics>,
    did: Receiver<Did>,
    sender: Sender<Did>,
    told: Receiver<(usize, u64)>,
}

impl Stage {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
        let (tell, told) = channel();
        let (sender, did) = channel();
        let watch = GpuWatch::new(&metrics, Visible::default(), move |index, number| {
            assert_ne!(number, 13, "the test wants a panic");
            tell.send((index, number)).unwrap();
        });
        Self { watch, metrics, did, sender, told }
    }

    /// Watches a scripted device; what comes back sends errors of the devices.
    fn watch(&self, index: usize) -> Sender<(Vec<usize>, u64)> {
        let (send, xids) = channel();
        self.watch.watch_by(index, || Scripted { did: self.sender.clone(), xids });
        send
    }

    /// What the thread does next, but for waiting.
    fn next(&self) -> Did {
        loop {
            match self.did.recv_timeout(LONG).unwrap() {
                Did::Wait => {}
                other => return other,
            }
        }
    }

    /// Until the thread has written what it read.
    fn settled(&self) {
        while self.did.recv_timeout(LONG).unwrap() != Did::Wait {}
    }

    /// Until there is no thread.
    fn idle(&self) {
        idle(&self.watch);
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.metrics)
    }
}

fn idle(watch: &GpuWatch) {
    let shared = &watch.shared;
    let running = |state: &mut State| state.is_running;
    let waited = shared.changed.wait_timeout_while(shared.lock(), LONG, running).unwrap();
    assert!(!waited.1.timed_out());
}

fn lines(metrics: &Metrics) -> Vec<String> {
    let text = metrics.render();
    text.lines().filter(|line| line.starts_with("gpu_")).map(str::to_owned).collect()
}

#[test]
fn each_device_is_opened_once_and_read_again_and_again() {
    let stage = Stage::new();
    assert_eq!(stage.lines(), [""; 0]);
    let _xids = stage.watch(0);
    assert_eq!((stage.next(), stage.next()), (Did::Open(0), Did::Read(0)));
    stage.settled();
    let expected = [
        "gpu_info{cuda=\"13.0\",device=\"cuda:0\",driver=\"580.95.05\",name=\"H200\",uuid=\"GPU-0\"} 1",
        "gpu_utilization_ratio{device=\"cuda:0\"} 0.5",
        "gpu_xid_errors_total{device=\"cuda:0\"} 0",
    ];
    assert_eq!(stage.lines(), expected);
    stage.watch(0);
    stage.watch(1);
    let until_second: Vec<Did> =
        std::iter::from_fn(|| Some(stage.next()).filter(|did| *did != Did::Open(1))).collect();
    assert!(until_second.iter().all(|did| *did == Did::Read(0)), "{until_second:?}");
    assert_eq!((stage.next(), stage.next()), (Did::Read(0), Did::Read(1)));
    assert_eq!((stage.next(), stage.next()), (Did::Read(0), Did::Read(1)), "after the interval");
    stage.settled();
    assert!(!stage.lines().iter().any(|line| line.starts_with("gpu_xid_errors_total{device=\"cuda:1\"}")));
}

#[test]
fn an_error_is_counted_and_told_for_each_device_that_it_hits() {
    let stage = Stage::new();
    let xids = stage.watch(0);
    stage.watch(1);
    while stage.next() != Did::Read(1) {}
    xids.send((vec![0], 79)).unwrap();
    xids.send((vec![0, 1], 48)).unwrap();
    let told = [(); 3].map(|()| stage.told.recv_timeout(LONG).unwrap());
    assert_eq!(told, [(0, 79), (0, 48), (1, 48)]);
    let counted: Vec<String> =
        stage.lines().into_iter().filter(|line| line.starts_with("gpu_xid_errors_total")).collect();
    let expected = ["gpu_xid_errors_total{device=\"cuda:0\"} 2", "gpu_xid_errors_total{device=\"cuda:1\"} 1"];
    assert_eq!(counted, expected);
}

#[test]
fn what_can_not_be_had_is_told_once_and_tried_again_when_wanted_again() {
    let stage = Stage::new();
    for _ in 0..2 {
        stage.watch(7);
        assert_eq!(stage.next(), Did::Open(7));
        stage.idle();
        assert_eq!(stage.lines(), [""; 0]);
        assert_eq!(stage.watch.shared.lock().told.len(), 1);
    }
    stage.watch(0);
    assert_eq!(stage.next(), Did::Open(0));
    stage.watch(7);
    while stage.next() != Did::Open(7) {}
    assert_eq!(stage.next(), Did::Read(0), "the others are watched on");
}

#[test]
fn the_end_comes_at_once_and_for_good() {
    let stage = Stage::new();
    stage.watch(0);
    stage.settled();
    let began = Instant::now();
    stage.watch.end();
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(!stage.watch.shared.lock().is_running);
    stage.watch(1);
    assert!(!stage.watch.shared.lock().is_running);
    let Stage { watch, .. } = Stage::new();
    drop(watch);
}

#[test]
fn a_panic_in_the_callers_closure_leaves_the_devices_to_be_watched_anew() {
    let stage = Stage::new();
    let xids = stage.watch(0);
    stage.settled();
    xids.send((vec![0], 13)).unwrap();
    stage.idle();
    stage.watch(0);
    while stage.next() != Did::Open(0) {}
}

#[test]
fn without_a_driver_nothing_appears_and_nothing_fails() {
    let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
    let watch = GpuWatch::new(&metrics, Visible::default(), |_, _| {});
    watch.watch(0);
    if gpu::driver().is_err() {
        idle(&watch);
        assert_eq!(lines(&metrics), [""; 0]);
        assert_eq!(watch.shared.lock().told.len(), 1);
    }
}
