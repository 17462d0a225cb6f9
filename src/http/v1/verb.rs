//! `:predict` and other verbs at the end of a path.
//!
//! The router matches whole segments, so that `{model}:predict` would be a name to it. A verb is put into a
//! segment of its own before the router sees the path: then an unknown verb is an unknown path and a wrong
//! method is one, as everywhere. Invariant: such a segment can come from nowhere else.

use std::borrow::Cow;

use http::Request;
use http::uri::{PathAndQuery, Uri};

use crate::exchange::SentUri;

/// Where paths with verbs begin.
const MODELS: &str = "/v1/models/";

/// How a verb's segment begins.
const MARK: &str = "/%3A";

/// The path of a route as the router has it: a `:` before a verb begins a segment.
pub(in crate::http) fn routed(route: &str) -> String {
    route.replace(':', MARK)
}

/// The route as it is told, of a path that the router matched.
pub(in crate::http) fn told(matched: &str) -> Cow<'_, str> {
    if matched.contains(MARK) { matched.replace(MARK, ":").into() } else { matched.into() }
}

/// True of a path that ends in a verb.
pub(in crate::http) fn has_verb(path: &str) -> bool {
    path.starts_with(MODELS) && path.contains(MARK)
}

/// Gives a verb its own segment.
pub(in crate::http) fn separate<B>(request: &mut Request<B>) {
    let Some(path) = separated(request.uri().path()) else { return };
    let path = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    // Made of pieces of a path: it is one.
    let Ok(path) = PathAndQuery::try_from(path) else { return };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    let sent = std::mem::replace(request.uri_mut(), uri);
    request.extensions_mut().insert(SentUri(sent));
}

/// The path with its verb apart; none where it has no verb.
fn separated(path: &str) -> Option<String> {
    let rest = path.strip_prefix(MODELS)?;
    let (before, last) = rest.rsplit_once('/').unwrap_or(("", rest));
    // Some clients escape the colon.
    let colons = [
        last.rfind(':').map(|at| (at, 1)),
        last.rfind("%3A").map(|at| (at, 3)),
        last.rfind("%3a").map(|at| (at, 3)),
    ];
    let (at, length) = colons.into_iter().flatten().max()?;
    let slash = if before.is_empty() && !rest.starts_with('/') { "" } else { "/" };
    // No name begins with a colon: what does so is no path of ours, and must not look like one.
    let name = if at == 0 { "%3A" } else { &last[..at] };
    Some(format!("{MODELS}{before}{slash}{name}{MARK}{}", &last[at + length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_gets_a_segment_of_its_own() {
        let of = |path: &str| separated(path);
        let found = |path: &str| Some(path.to_owned());
        assert_eq!(of("/v1/models/m:predict"), found("/v1/models/m/%3Apredict"));
        assert_eq!(of("/v1/models/m%3Apredict"), found("/v1/models/m/%3Apredict"));
        assert_eq!(of("/v1/models/m%3apredict"), found("/v1/models/m/%3Apredict"));
        assert_eq!(of("/v1/models/m/versions/2:predict"), found("/v1/models/m/versions/2/%3Apredict"));
        assert_eq!(of("/v1/models/m:"), found("/v1/models/m/%3A"));
        assert_eq!(of("/v1/models/a:b:predict"), found("/v1/models/a:b/%3Apredict"));
        // What a client writes as such a segment is moved away from the routes.
        assert_eq!(of("/v1/models/m/%3Apredict"), found("/v1/models/m/%3A/%3Apredict"));
        assert_eq!(of("/v1/models/m/:predict"), found("/v1/models/m/%3A/%3Apredict"));
        for path in
            ["/v1/models/m", "/v1/models", "/predict/m:predict", "/v1/embeddings", "/v2/models/m:x", "/"]
        {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn the_rest_of_the_address_stays_and_the_sent_path_is_kept() {
        let mut request = Request::builder().uri("http://host:1/v1/models/m:predict?a=:b").body(()).unwrap();
        separate(&mut request);
        assert_eq!(request.uri(), "http://host:1/v1/models/m/%3Apredict?a=:b");
        assert_eq!(request.extensions().get::<SentUri>().unwrap().0.path(), "/v1/models/m:predict");
        assert_eq!(told(&routed("/v1/models/{model}:predict")), "/v1/models/{model}:predict");
        assert!(has_verb(request.uri().path()) && !has_verb("/v1/models/m"));
    }
}
