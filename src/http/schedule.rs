//! `x-request-timeout-ms` and `x-request-priority`: how long the caller is willing to wait, and how
//! urgent it is.

use std::time::Duration;

use http::HeaderMap;

use crate::service::{ErrorCode, Schedule, ServiceError};

const TIMEOUT: &str = "x-request-timeout-ms";
const PRIORITY: &str = "x-request-priority";

/// What the caller asks for.
///
/// # Errors
/// `invalid_input` for anything but whole numbers.
pub(super) fn requested(headers: &HeaderMap) -> Result<Schedule, ServiceError> {
    let timeout = whole_number(headers, TIMEOUT, "a whole number of milliseconds, 0 or more")?;
    let priority = whole_number(headers, PRIORITY, "a whole number, 1 the most urgent")?;
    Ok(Schedule { timeout: timeout.map(Duration::from_millis), priority })
}

fn whole_number(headers: &HeaderMap, name: &str, expected: &str) -> Result<Option<u64>, ServiceError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = format!("{name}: expected {expected}");
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail));
    }
    // More digits than fit are longer than anyone waits, and beyond every level.
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_only() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, http::HeaderValue::from_static(text));
            requested(&headers).map(|schedule| schedule.timeout).map_err(|error| error.code)
        };
        assert_eq!(of("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(of("250"), Ok(Some(Duration::from_millis(250))));
        assert!(of("99999999999999999999999").is_ok());
        for bad in ["", "-1", "1.5", "1s", "+1", "ten"] {
            assert_eq!(of(bad), Err(ErrorCode::InvalidInput), "{bad}");
        }
        assert_eq!(requested(&HeaderMap::new()).unwrap(), Schedule::default());
        let mut headers = HeaderMap::new();
        headers.insert(PRIORITY, http::HeaderValue::from_static("2"));
        assert_eq!(requested(&headers).unwrap().priority, Some(2));
        headers.insert(PRIORITY, http::HeaderValue::from_static("high"));
        assert!(requested(&headers).is_err());
    }
}
