//! One listener for HTTP and gRPC: who calls by gRPC says so in the content type, over HTTP/2.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Version};
use tower::Service;

use super::connection::RequestBody;
use super::shortcut::Routes;

/// Routes, and beside them what answers the calls of gRPC.
#[derive(Clone)]
pub struct Split<C> {
    routes: Routes,
    calls: C,
}

impl<C> Split<C> {
    /// Gives gRPC's requests to `calls` and all others to `routes`.
    pub fn new(routes: Routes, calls: C) -> Self {
        Self { routes, calls }
    }
}

impl<C, F, B> Service<Request<RequestBody>> for Split<C>
where
    C: Fn(Request<RequestBody>) -> F,
    F: Future<Output = http::Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        if !is_grpc(&request) {
            return self.routes.call(request);
        }
        let answer = (self.calls)(request);
        Box::pin(async move { Ok(answer.await.map(Body::new)) })
    }
}

/// Whether the request is a call. gRPC for browsers, which has another framing, is none.
fn is_grpc<B>(request: &Request<B>) -> bool {
    let rest = || request.headers().get(CONTENT_TYPE)?.as_bytes().strip_prefix(b"application/grpc");
    request.version() == Version::HTTP_2 && rest().is_some_and(|rest| !rest.starts_with(b"-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_over_http_2_and_say_what_they_are() {
        let of = |version, content_type: Option<&str>| {
            let mut request = Request::builder().version(version);
            if let Some(content_type) = content_type {
                request = request.header(CONTENT_TYPE, content_type);
            }
            is_grpc(&request.body(()).unwrap())
        };
        for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert!(of(Version::HTTP_2, Some(content_type)), "{content_type}");
            assert!(!of(Version::HTTP_11, Some(content_type)), "{content_type}");
        }
        for content_type in ["application/grpc-web", "application/grpc-web+proto", "application/json", ""] {
            assert!(!of(Version::HTTP_2, Some(content_type)), "{content_type}");
        }
        assert!(!of(Version::HTTP_2, None));
    }
}
