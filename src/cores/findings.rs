//! What an operator should know about cores and threads, in sentences: for `check` and the start's log.

use super::{Cores, Throttling};

/// The threads of a model's sessions on the CPU.
#[derive(Clone, Copy, Debug)]
pub struct SessionThreads<'a> {
    /// The model, as the sentence names it.
    pub model: &'a str,
    /// Its sessions.
    pub instances: usize,
    /// Threads of each inside a run.
    pub intra_threads: usize,
}

/// What is worth a sentence; nothing where everything fits. `throttled` is what the kernel counted
/// while the models were loaded and tried.
pub fn findings(cores: &Cores, models: &[SessionThreads<'_>], throttled: Option<Throttling>) -> Vec<String> {
    let threads = cores.threads();
    let mut found = Vec::new();
    if let Some(quota) = cores.quota.filter(|&quota| quota < as_float(cores.allowed)) {
        found.push(format!(
            "the CPU quota is {quota:.2} of the machine's {} cores: {} at once",
            cores.online,
            counted(threads, "thread computes", "threads compute")
        ));
    }
    for model in models {
        let SessionThreads { model, instances, intra_threads } = *model;
        if intra_threads > threads {
            found.push(format!(
                "{model}: intra_threads = {intra_threads} on {}: its threads take turns, which makes \
                 each run slower; at most {threads}",
                counted(threads, "core", "cores")
            ));
        } else if instances * intra_threads > threads {
            let at_once = threads / intra_threads;
            found.push(format!(
                "{model}: instances = {instances} with intra_threads = {intra_threads} on {}: {} at \
                 once, the other sessions only take memory",
                counted(threads, "core", "cores"),
                counted(at_once, "runs", "run")
            ));
        }
    }
    if let Some(throttled) = throttled.filter(|throttled| throttled.throttled_periods > 0) {
        found.push(format!(
            "the CPU quota was used up in {} of {} periods during the load, and threads waited {:.1} s",
            throttled.throttled_periods,
            throttled.periods,
            throttled.throttled.as_secs_f64()
        ));
    }
    found
}

fn as_float(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of cores")]
    let float = count as f64;
    float
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
