//! Who may call which route: the key in `authorization`, asked of `service`'s [`Access`].
//!
//! Every route of a router enters it through a [`Door`], so that none can be added without a
//! decision. Invariant: a door stands before handlers alone (an unknown route and a wrong method are
//! told first), no handler sees a key, and where no keys are configured there is no layer at all.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use http::header::{AUTHORIZATION, HeaderName, ORIGIN};
use http::{HeaderMap, Request};

use super::{Api, predict};
use crate::exchange::{RequestContext, identify, token};
use crate::service::{Access, ErrorCode, Scope, ServiceError};

/// Methods of a route of which it is decided who may call them.
pub(super) struct Door(MethodRouter<Arc<Api>>);

/// For callers whose key has `scope`; for everyone where no keys are configured.
pub(super) fn guarded(api: &Arc<Api>, scope: Scope, methods: MethodRouter<Arc<Api>>) -> Door {
    let Some(access) = &api.options.access else { return Door(methods) };
    let guard = Guard { api: Arc::clone(api), access: Arc::clone(access), scope };
    Door(methods.route_layer(from_fn_with_state(guard, check)))
}

/// For who is on this machine, has the admin token, or has a key with the scope `admin`.
pub(super) fn restricted(api: &Arc<Api>, methods: MethodRouter<Arc<Api>>) -> Door {
    Door(methods.route_layer(from_fn_with_state(Arc::clone(api), check_admin)))
}

/// For everyone.
pub(super) fn open(methods: MethodRouter<Arc<Api>>) -> Door {
    Door(methods)
}

impl Door {
    /// Further methods of the same route.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }
}

/// A router whose every route has a door.
#[derive(Default)]
pub(super) struct Doors(Router<Arc<Api>>);

impl Doors {
    /// Adds a route.
    pub(super) fn route(self, path: &str, door: Door) -> Self {
        Self(self.0.route(path, door.0))
    }

    /// Adds the routes of another part.
    pub(super) fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    /// The router.
    pub(super) fn into_router(self) -> Router<Arc<Api>> {
        self.0
    }
}

#[derive(Clone)]
struct Guard {
    api: Arc<Api>,
    access: Arc<Access>,
    scope: Scope,
}

async fn check(
    State(guard): State<Guard>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let admitted = identify(request.headers(), &guard.access, &context, guard.scope);
    if let Err(error) = &admitted
        && guard.scope == Scope::Predict
    {
        guard.api.service.refused(None, error);
    }
    pass(admitted, request, next).await
}

/// Lets a request through without its key, or refuses it.
async fn pass(admitted: Result<(), ServiceError>, mut request: Request<Body>, next: Next) -> Response {
    let Err(error) = admitted else {
        request.headers_mut().remove(AUTHORIZATION);
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    predict::refuse(&parts, body, error).await
}

async fn check_admin(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let admitted =
        if is_local(&context, request.headers()) { Ok(()) } else { admit(&api, &context, request.headers()) };
    pass(admitted, request, next).await
}

/// Headers of what a proxy on this machine passes on, or a web page sends: its address is not the caller's.
const PASSED_ON: [HeaderName; 3] =
    [ORIGIN, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("forwarded")];

/// True for a caller who connects over the loopback interface by itself.
fn is_local(context: &RequestContext, headers: &HeaderMap) -> bool {
    let is_loopback = context.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    is_loopback && !PASSED_ON.iter().any(|name| headers.contains_key(name))
}

/// Lets in a caller by its token or key.
fn admit(api: &Api, context: &RequestContext, headers: &HeaderMap) -> Result<(), ServiceError> {
    let (admin, access) = (&api.options.admin_token, &api.options.access);
    if admin.is_none() && access.is_none() {
        let detail =
            "expected a caller on this machine: admin.token_file is not set, so nobody else is let in";
        return Err(ServiceError::new(ErrorCode::Forbidden, detail));
    }
    let token = token(headers)?;
    let by_token = admin.as_ref().map(|admin| admin.check(token));
    if matches!(by_token, Some(Ok(()))) {
        return Ok(());
    }
    let Some(access) = access else { return by_token.unwrap_or(Ok(())) };
    match access.identify(token, SystemTime::now()) {
        Ok(caller) => {
            context.called_by(caller.name());
            caller.permit(Scope::Admin)
        }
        Err(error) => by_token.unwrap_or(Err(error)),
    }
}
