//! `x-request-timeout-ms`: how long the caller is willing to wait.

use std::time::Duration;

use http::HeaderMap;

use crate::service::{ErrorCode, ServiceError};

const HEADER: &str = "x-request-timeout-ms";

/// The caller's limit, if there is one.
///
/// # Errors
/// `invalid_input` for anything but a whole number of milliseconds.
pub(super) fn requested(headers: &HeaderMap) -> Result<Option<Duration>, ServiceError> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        let detail = format!("{HEADER}: expected a whole number of milliseconds, 0 or more");
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail));
    }
    // More digits than fit are more milliseconds than anyone waits.
    Ok(Some(Duration::from_millis(text.parse().unwrap_or(u64::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_only() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, http::HeaderValue::from_static(text));
            requested(&headers).map_err(|error| error.code)
        };
        assert_eq!(of("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(of("250"), Ok(Some(Duration::from_millis(250))));
        assert!(of("99999999999999999999999").is_ok());
        for bad in ["", "-1", "1.5", "1s", "+1", "ten"] {
            assert_eq!(of(bad), Err(ErrorCode::InvalidInput), "{bad}");
        }
        assert_eq!(requested(&HeaderMap::new()).unwrap(), None);
    }
}
