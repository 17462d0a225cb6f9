//! `GET /docs`: the description for people, from the binary alone.
//!
//! The page lists models and routes as the server writes it, so that it serves without scripts; its script
//! reads `/openapi.json` and adds fields, examples and a form to try each model. Invariant: nothing is
//! asked of any other host, which the page's policy enforces, and nothing of a model is shown without a key
//! where keys are configured.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Api, routes};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// Only what comes from here runs, and only here is asked.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /docs`.
pub(super) async fn page(State(api): State<Arc<Api>>) -> Response {
    let text = PAGE
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{models}}", &models(&api))
        .replace("{{routes}}", &route_list());
    respond(text, "text/html; charset=utf-8")
}

/// `GET /docs/page.js`.
pub(super) async fn script() -> Response {
    respond(SCRIPT.to_owned(), "text/javascript; charset=utf-8")
}

/// `GET /docs/page.css`.
pub(super) async fn style() -> Response {
    respond(STYLE.to_owned(), "text/css; charset=utf-8")
}

/// Where a browser that asks for `/` is sent; none for who takes the index.
pub(super) fn instead_of_index(headers: &HeaderMap) -> Option<Response> {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut media = accepts.flat_map(|value| value.split(',')).map(str::trim);
    media.any(|one| one.split(';').next().is_some_and(|kind| kind.trim() == "text/html")).then(|| {
        let headers = [(LOCATION, "/docs"), (VARY, "accept")];
        (StatusCode::SEE_OTHER, headers).into_response()
    })
}

fn respond(text: String, media: &'static str) -> Response {
    let mut response = Response::new(text.into());
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, media),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The models as list items.
fn models(api: &Api) -> String {
    if api.options.access.is_some() {
        return "<li>Models are shown to callers with a key.</li>".to_owned();
    }
    let mut items = String::new();
    for (name, version, state) in api.service.models().all() {
        let facts = state.ready().map(|model| &model.facts);
        let task = facts.map_or(state.text(), |facts| facts.task.name());
        let about = facts.and_then(|facts| facts.description.as_deref());
        let about = about.map(|about| format!(": {}", escaped(about))).unwrap_or_default();
        // Names are letters, digits, dots, underscores and hyphens.
        let item = format!(
            "<li><a href=\"/predict/{name}/versions/{version}\">{name} version {version}</a> ({task}){about}</li>\n"
        );
        items.push_str(&item);
    }
    if items.is_empty() { "<li>No model is loaded.</li>".to_owned() } else { items }
}

fn route_list() -> String {
    routes::all().fold(String::new(), |mut items, route| {
        items.push_str("<li><code>");
        items.push_str(&escaped(&route));
        items.push_str("</code></li>\n");
        items
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_html_is_sent_to_the_page() {
        let of = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            instead_of_index(&headers).is_some()
        };
        assert!(of("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(of("application/json;q=0.5, text/html;q=0.9"));
        for other in ["*/*", "application/json", "text/*", "text/html5"] {
            assert!(!of(other), "{other}");
        }
        assert!(instead_of_index(&HeaderMap::new()).is_none());
    }

    #[test]
    fn the_page_asks_no_other_host_and_holds_nothing_inline() {
        for (name, text) in [("page.html", PAGE), ("page.js", SCRIPT), ("page.css", STYLE)] {
            assert!(
                !text.contains("//cdn") && !text.contains("http://") && !text.contains("https://"),
                "{name}"
            );
        }
        assert!(!PAGE.contains("<style") && !PAGE.contains("style=") && !PAGE.contains("onclick"));
        assert_eq!(PAGE.matches("<script").count(), 1);
        assert!(!SCRIPT.contains("innerHTML"), "what a model says of itself is text");
    }
}
