//! Units, as the last word of a metric's name tells them.
//!
//! Both for OpenMetrics, where a unit must be that word, and for OTLP, where it is UCUM's sign.

/// Words and signs.
const UNITS: &[(&str, &str)] = &[
    ("seconds", "s"),
    ("bytes", "By"),
    ("ratio", "1"),
    ("joules", "J"),
    ("watts", "W"),
    ("celsius", "Cel"),
    ("hertz", "Hz"),
];

/// The name without what only counters end with.
pub(super) fn without_total(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// The unit's word and sign. A number of things has none: receivers of OTLP would append `_ratio` to a gauge of
/// unit `1`.
pub(super) fn of(name: &str) -> Option<(&'static str, &'static str)> {
    let (_, last) = without_total(name).rsplit_once('_')?;
    UNITS.iter().copied().find(|(word, _)| *word == last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_but_total_is_the_unit() {
        assert_eq!(of("http_request_duration_seconds"), Some(("seconds", "s")));
        assert_eq!(of("gpu_energy_joules_total"), Some(("joules", "J")));
        assert_eq!(of("http_request_body_bytes"), Some(("bytes", "By")));
        for none in ["http_requests_total", "inference_batch_size", "seconds", "inference_seconds_left"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
