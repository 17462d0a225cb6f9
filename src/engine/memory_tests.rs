//! Memory over many shapes, each time in a process of its own: other tests' memory would blur it.

use std::process::Command;

use super::tests::{load_with, one_session, variable};
use super::*;
use crate::tensor::Tensor;

/// The setting that a child process measures: `served`, or `kept`, which keeps outputs as a leak would.
const SETTING: &str = "ENGINE_TEST_MEMORY";
/// Runs until the arena has seen the largest shapes, and runs after that; fewer show a leak.
const WARM: usize = 1_000;
const MEASURED: usize = 5_000;
const KEPT: usize = 1_000;
/// Most bytes that the measured runs may add: what one of them holds for its widest product.
const FLAT: usize = 2 << 20;

/// Anonymous memory of this process that is resident.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<usize>().unwrap() * 1024
}

/// Numbers that look random and are the same in every run (Knuth's multiplier).
struct Random(u64);

impl Random {
    fn up_to(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// By how much the second part of a run over random shapes grew the process.
fn growth(setting: &str) -> usize {
    let mut graph = load_with("encoder", &one_session()).unwrap();
    let mut random = Random(1);
    let mut kept = Vec::new();
    let mut warm = 0;
    let measured = if setting == "kept" { KEPT } else { MEASURED };
    for index in 0..WARM + measured {
        let (rows, width) = (random.up_to(8), random.up_to(128));
        let ids = vec![3_i64; rows * width];
        let outputs = graph.sessions[0].run(&[Tensor::new(vec![rows, width], ids).unwrap()]).unwrap();
        assert_eq!(outputs[0].shape(), [rows, width, 16]);
        if setting == "kept" && index % 2 == 0 {
            kept.push(outputs);
        }
        if index == WARM {
            warm = resident();
        }
    }
    resident().saturating_sub(warm)
}

/// Does nothing but in the child processes of the tests below.
#[test]
fn child_measures_memory() {
    let Some(setting) = variable(SETTING) else { return };
    let growth = growth(setting.to_str().unwrap());
    assert!(growth <= FLAT, "the process grew by {} KiB", growth >> 10);
}

/// What the child said, if it found too much growth.
fn complaint(setting: &str) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "engine::memory_tests::child_measures_memory", "--nocapture"])
        .env(SETTING, setting);
    let done = child.output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(text.contains("running 1 test"), "{text}");
    (!done.status.success()).then(|| text.into_owned())
}

#[test]
fn memory_is_flat_over_many_shapes() {
    assert_eq!(complaint("served"), None);
}

#[test]
fn memory_that_is_kept_would_be_seen() {
    let complaint = complaint("kept").expect("growth is found");
    assert!(complaint.contains("the process grew by"), "{complaint}");
}
