//! Who may call which route: the key in `authorization`, asked of `service`'s [`Access`].
//!
//! Every route of a router enters it through a [`Door`], so that none can be added without a
//! decision. Invariant: a door stands before handlers alone (an unknown route and a wrong method are
//! told first), no handler sees a key, and where no keys are configured there is no layer at all.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use http::Request;
use http::header::AUTHORIZATION;

use super::{Api, predict};
use crate::exchange::{RequestContext, identify};
use crate::service::{Access, Scope};

/// Methods of a route of which it is decided who may call them.
pub(super) struct Door(MethodRouter<Arc<Api>>);

/// For callers whose key has `scope`; for everyone where no keys are configured.
pub(super) fn guarded(api: &Arc<Api>, scope: Scope, methods: MethodRouter<Arc<Api>>) -> Door {
    let Some(access) = &api.options.access else { return Door(methods) };
    let guard = Guard { api: Arc::clone(api), access: Arc::clone(access), scope };
    Door(methods.route_layer(from_fn_with_state(guard, check)))
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
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let admitted = identify(request.headers(), &guard.access, &context, guard.scope);
    let Err(error) = admitted else {
        request.headers_mut().remove(AUTHORIZATION);
        return next.run(request).await;
    };
    if guard.scope == Scope::Predict {
        guard.api.service.refused(None, &error);
    }
    let (parts, body) = request.into_parts();
    predict::refuse(&parts, body, error).await
}
