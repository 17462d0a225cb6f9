//! Whose key a request came with, and whether it may be used for what is asked.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::context::RequestContext;
use crate::service::{Access, ErrorCode, Scope, ServiceError};

/// Admits a request whose key has `scope`, and notes in `context` whose it is.
///
/// # Errors
/// `unauthenticated` without a known key, `forbidden` where it lacks the scope.
pub fn identify(
    headers: &HeaderMap,
    access: &Access,
    context: &RequestContext,
    scope: Scope,
) -> Result<(), ServiceError> {
    let caller = access.identify(token(headers)?, SystemTime::now())?;
    context.called_by(caller.name());
    caller.permit(scope)
}

/// The token of the only `authorization` header; the scheme's name is in any case.
///
/// # Errors
/// `unauthenticated` where it is not one header of the scheme Bearer.
pub fn token(headers: &HeaderMap) -> Result<Option<&str>, ServiceError> {
    let refused = |detail: &str| ServiceError::new(ErrorCode::Unauthenticated, detail);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused("expected one authorization header, got several"));
    }
    let text = value.to_str().unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused("expected the authorization scheme Bearer, got another"));
    }
    Ok(Some(token.trim_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_of_the_scheme_bearer_in_any_case() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, http::HeaderValue::from_static(value));
            }
            token(&headers).map(|token| token.map(str::to_owned)).map_err(|error| error.code)
        };
        assert_eq!(of(&[]), Ok(None));
        for value in ["Bearer abc", "bearer abc", "BEARER   abc"] {
            assert_eq!(of(&[value]), Ok(Some("abc".to_owned())), "{value}");
        }
        assert_eq!(of(&["Bearer"]), Ok(Some(String::new())));
        let refused = Err(ErrorCode::Unauthenticated);
        for values in [&["Basic abc"][..], &["abc"], &[""], &["Bearerabc"], &["Bearer a", "Bearer a"]] {
            assert_eq!(of(values), refused, "{values:?}");
        }
    }
}
