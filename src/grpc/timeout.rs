//! `grpc-timeout`: how long the caller is willing to wait, as gRPC writes it.

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderName;

use crate::exchange::requested_schedule;
use crate::service::{ErrorCode, Schedule, ServiceError};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Most digits that the protocol allows.
const MAX_DIGITS: usize = 8;

/// What the caller asks for: of two limits the shorter.
///
/// # Errors
/// `invalid_input` for what is no duration or no number.
pub(super) fn schedule(headers: &HeaderMap) -> Result<Schedule, ServiceError> {
    let schedule = requested_schedule(headers)?;
    let timeout = [schedule.timeout, timeout(headers)?].into_iter().flatten().min();
    Ok(Schedule { timeout, ..schedule })
}

/// The value of `grpc-timeout`.
///
/// # Errors
/// `invalid_input`.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, ServiceError> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(parse);
    parsed.map(Some).ok_or_else(|| {
        let detail = "grpc-timeout: expected at most 8 digits and a unit of H, M, S, m, u, n";
        ServiceError::new(ErrorCode::InvalidInput, detail)
    })
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("3S", Duration::from_secs(3)),
            ("250m", Duration::from_millis(250)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for bad in ["", "m", "1", "-1m", "1.5S", "1s", "123456789m", "1 m", "é", "1é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_shorter_of_two_limits_counts() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, http::HeaderValue::from_static(value));
            }
            schedule(&headers).map(|schedule| schedule.timeout).map_err(|error| error.code)
        };
        assert_eq!(of(&[]), Ok(None));
        let both = [("grpc-timeout", "1S"), ("x-request-timeout-ms", "20")];
        assert_eq!(of(&both), Ok(Some(Duration::from_millis(20))));
        assert_eq!(of(&both[..1]), Ok(Some(Duration::from_secs(1))));
        assert_eq!(of(&[("grpc-timeout", "soon")]), Err(ErrorCode::InvalidInput));
    }
}
