//! A listener's routes: the router, and the way past it for the routes that are asked thousands of times
//! a second.
//!
//! The router boxes a request's future at every layer and tells handlers through extensions what it
//! matched; on a small model that costs as much as decoding the body. A path is taken here only if the
//! router would match it to the same handler with the same name: whatever else it may be (another
//! method, an escaped name, a version, a trailing slash) is the router's to decide.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request};
use tower::Service;

use super::connection::RequestBody;
use super::observe::observed;
use super::target::Target;
use super::v1::verb;
use super::{Api, predict, v2};
use crate::exchange::RequestContext;

/// Labels of the routes taken here, as the router has them.
const PREDICT: &str = "/predict/{model}";
const INFER: &str = "/v2/models/{model}/infer";

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// A listener's routes, ready to serve.
#[derive(Clone)]
pub struct Routes {
    router: Router,
    /// Given where nothing stands between the router and its handlers.
    direct: Option<Arc<Api>>,
}

impl Routes {
    /// The router's alone.
    pub(super) fn new(router: Router) -> Self {
        Self { router, direct: None }
    }

    /// The router's, which adds nothing to a prediction's way but its handler.
    pub(super) fn with_shortcut(router: Router, api: &Arc<Api>) -> Self {
        Self { router, direct: Some(Arc::clone(api)) }
    }
}

impl Service<Request<RequestBody>> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let Some((api, (label, model))) = self.direct.clone().zip(matched(&request)) else {
            verb::separate(&mut request);
            return Box::pin(self.router.call(request));
        };
        let target = Target { model: Some(model.to_owned()), version: None };
        let request = request.map(Body::new);
        if label == PREDICT {
            Box::pin(async move {
                let (api, target) = (&*api, &target);
                let handle = move |context: Arc<RequestContext>, request| async move {
                    predict::handle(api, &context, target, request).await
                };
                Ok(observed(api, label, request, handle).await)
            })
        } else {
            Box::pin(async move {
                let (api, target) = (&*api, &target);
                let handle = move |context: Arc<RequestContext>, request| async move {
                    v2::infer(api, &context, target, request).await
                };
                Ok(observed(api, label, request, handle).await)
            })
        }
    }
}

/// The label and the model of a request that needs no router.
fn matched<B>(request: &Request<B>) -> Option<(&'static str, &str)> {
    if request.method() != Method::POST {
        return None;
    }
    let path = request.uri().path();
    let (label, model) = if let Some(model) = path.strip_prefix("/predict/") {
        (PREDICT, model)
    } else {
        (INFER, path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?)
    };
    let is_plain = !model.is_empty() && !model.bytes().any(|byte| matches!(byte, b'/' | b'%'));
    is_plain.then_some((label, model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::is_prediction;

    #[test]
    fn only_a_plain_name_behind_a_known_path_goes_past_the_router() {
        let of = |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            matched(&request).map(|(label, model)| (label, model.to_owned()))
        };
        let found = |label, model: &str| Some((label, model.to_owned()));
        assert_eq!(of("POST", "/predict/a.b-1?x=/y"), found(PREDICT, "a.b-1"));
        assert_eq!(of("POST", "/v2/models/m/infer"), found(INFER, "m"));
        for path in [
            "/predict",
            "/predict/",
            "/predict/m/",
            "/predict/m/versions/1",
            "/predict/a%62",
            "/predictm",
            "/v2/models//infer",
            "/v2/models/infer",
            "/v2/models/m/versions/1/infer",
            "/v2/models/m/infer/",
            "/v2/models/m",
            "/",
            "/metrics",
        ] {
            assert_eq!(of("POST", path), None, "{path}");
        }
        for method in ["GET", "HEAD", "PUT", "OPTIONS", "post"] {
            assert_eq!(of(method, "/predict/m"), None, "{method}");
        }
        assert!(is_prediction(PREDICT) && is_prediction(INFER));
    }
}
