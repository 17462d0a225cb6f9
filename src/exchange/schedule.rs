//! `x-request-timeout-ms` and `x-request-priority`: how long the caller is willing to wait, and how
//! urgent it is.

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderName;

use super::whole_number::whole_number;
use crate::service::{Schedule, ServiceError};

const TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");
const PRIORITY: HeaderName = HeaderName::from_static("x-request-priority");

/// What the caller asks for.
///
/// # Errors
/// `invalid_input` for anything but whole numbers.
pub fn requested_schedule(headers: &HeaderMap) -> Result<Schedule, ServiceError> {
    // What is beyond 64 bits is longer than anyone waits, and beyond every level.
    let timeout = whole_number(headers, &TIMEOUT, "a whole number of milliseconds, 0 or more")?;
    let priority = whole_number(headers, &PRIORITY, "a whole number, 1 the most urgent")?;
    Ok(Schedule { timeout: timeout.map(Duration::from_millis), priority })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::ErrorCode;

    #[test]
    fn whole_numbers_only() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, http::HeaderValue::from_static(text));
            requested_schedule(&headers).map(|schedule| schedule.timeout).map_err(|error| error.code)
        };
        assert_eq!(of("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(of("250"), Ok(Some(Duration::from_millis(250))));
        assert!(of("99999999999999999999999").is_ok());
        for bad in ["", "-1", "1.5", "1s", "+1", "ten"] {
            assert_eq!(of(bad), Err(ErrorCode::InvalidInput), "{bad}");
        }
        assert_eq!(requested_schedule(&HeaderMap::new()).unwrap(), Schedule::default());
        let mut headers = HeaderMap::new();
        headers.insert(PRIORITY, http::HeaderValue::from_static("2"));
        assert_eq!(requested_schedule(&headers).unwrap().priority, Some(2));
        headers.insert(PRIORITY, http::HeaderValue::from_static("high"));
        assert!(requested_schedule(&headers).is_err());
    }
}
