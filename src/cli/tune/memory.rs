//! How much memory there is for another copy of a model.

/// Beyond what a copy took before, for what its runs will take.
const ROOM: f64 = 1.5;

/// Whether another copy that takes `grown` bytes fits; true where either is not known.
pub(super) fn fits(grown: Option<i64>) -> bool {
    let Some(grown) = grown.and_then(|bytes| u64::try_from(bytes).ok()) else { return true };
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let needed = grown as f64 * ROOM;
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let holds = |available: u64| available as f64 >= needed;
    available().is_none_or(holds)
}

/// The smaller of what the machine and the control group have left.
fn available() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_meminfo(&text));
    let number = |file: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok()
    };
    let group = number("memory.max").zip(number("memory.current")).map(|(max, now)| max.saturating_sub(now));
    machine.into_iter().chain(group).min()
}

fn of_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_available() {
        let text = "MemTotal:       24000000 kB\nMemFree:          100000 kB\nMemAvailable:    2000000 kB\n";
        assert_eq!(of_meminfo(text), Some(2_048_000_000));
        assert_eq!(of_meminfo("MemTotal: 1 kB\n"), None);
        assert!(fits(None) && fits(Some(1)));
        assert!(!fits(Some(i64::MAX)));
    }
}
