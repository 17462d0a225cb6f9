//! Headers that are whole numbers.

use http::HeaderMap;
use http::header::HeaderName;

use crate::service::{ErrorCode, ServiceError};

/// The number in the header `name`, if it is there; `expected` is what a refusal asks for. A number
/// beyond 64 bits is the largest.
///
/// # Errors
/// `invalid_input` for anything but digits.
pub fn whole_number(
    headers: &HeaderMap,
    name: &HeaderName,
    expected: &str,
) -> Result<Option<u64>, ServiceError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = format!("{name}: expected {expected}");
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail));
    }
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}
