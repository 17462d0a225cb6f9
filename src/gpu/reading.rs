//! What one look at a device tells.

use nvml_wrapper::bitmasks::device::ThrottleReasons;

/// A device at one moment. What it doesn't tell is `None`: slices and virtual GPUs lack some of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Memory in use by all processes, in bytes.
    pub memory_used: Option<u64>,
    /// Memory that it has, in bytes.
    pub memory_total: Option<u64>,
    /// Memory in use by this process, in bytes. `None` also where the driver lists other process numbers
    /// than this process has, as in most containers.
    pub memory_of_process: Option<u64>,
    /// Share of the last sample period (up to a second) in which some kernel ran, from 0 to 1.
    pub utilization: Option<f64>,
    /// Share of it in which memory was read or written, from 0 to 1.
    pub memory_utilization: Option<f64>,
    /// Power drawn, in watts.
    pub power: Option<f64>,
    /// Power that it may draw, in watts.
    pub power_limit: Option<f64>,
    /// Temperature of the chip, in degrees Celsius.
    pub temperature: Option<f64>,
    /// Clock of its processors, in hertz.
    pub sm_clock: Option<f64>,
    /// Energy used since the driver was loaded, in joules.
    pub energy: Option<f64>,
    /// What holds its clocks down.
    pub throttled: Option<Throttled>,
    /// Errors of its memories that could not be corrected, since the driver was loaded.
    pub ecc_errors: Option<u64>,
}

/// What holds a device's clocks down. Several can at once; being idle does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    /// The power limit, or a brake of the power supply.
    pub power: bool,
    /// The temperature of chip or memory.
    pub thermal: bool,
    /// Clocks set by hand, a group that keeps step, or a slowdown without a given cause.
    pub other: bool,
}

impl From<ThrottleReasons> for Throttled {
    fn from(reasons: ThrottleReasons) -> Self {
        let power = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN;
        let thermal = ThrottleReasons::SW_THERMAL_SLOWDOWN | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        let told = ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        let mut other = ThrottleReasons::APPLICATIONS_CLOCKS_SETTING
            | ThrottleReasons::SYNC_BOOST
            | ThrottleReasons::DISPLAY_CLOCK_SETTING;
        // Set together with what caused it, where the device knows that.
        if !reasons.intersects(told) {
            other |= ThrottleReasons::HW_SLOWDOWN;
        }
        Self {
            power: reasons.intersects(power),
            thermal: reasons.intersects(thermal),
            other: reasons.intersects(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fall_into_the_closed_list() {
        let of = |reasons: ThrottleReasons| {
            let Throttled { power, thermal, other } = reasons.into();
            (power, thermal, other)
        };
        assert_eq!(of(ThrottleReasons::NONE), (false, false, false));
        assert_eq!(of(ThrottleReasons::GPU_IDLE), (false, false, false));
        assert_eq!(of(ThrottleReasons::SW_POWER_CAP), (true, false, false));
        assert_eq!(of(ThrottleReasons::SW_THERMAL_SLOWDOWN), (false, true, false));
        assert_eq!(of(ThrottleReasons::APPLICATIONS_CLOCKS_SETTING), (false, false, true));
        assert_eq!(of(ThrottleReasons::SW_POWER_CAP | ThrottleReasons::SYNC_BOOST), (true, false, true));
    }

    #[test]
    fn a_slowdown_with_a_cause_counts_as_that_cause() {
        let hot = ThrottleReasons::HW_SLOWDOWN | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        assert_eq!(Throttled::from(hot), Throttled { thermal: true, ..Throttled::default() });
        let braked = ThrottleReasons::HW_SLOWDOWN | ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN;
        assert_eq!(Throttled::from(braked), Throttled { power: true, ..Throttled::default() });
        let unexplained = Throttled::from(ThrottleReasons::HW_SLOWDOWN);
        assert_eq!(unexplained, Throttled { other: true, ..Throttled::default() });
    }
}
