//! HTTP metrics: one observation per request, counted exactly once whatever becomes of it.
//!
//! `http/` registers its routes at start, then begins an observation per request. Invariant: an
//! observation dropped before `finish` counts as status 499.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use prometheus::{IntCounter, IntGauge};

use super::catalogue::Catalogue;
use super::family::Family;
use super::histogram::Histogram;
use super::semantic::{ObservedEnd, Semantic, SemanticMetrics, Spoken};
use crate::telemetry::labels::ConnectionError;

/// Statuses that exist at zero for every route, so that alerts see the first one.
const ZEROED: [u16; 7] = [200, 400, 404, 429, 500, 503, 504];
/// The client went away before the answer was out.
const CLIENT_GONE: u16 = 499;
const FIRST_STATUS: u16 = 100;
const STATUSES: usize = 500;

/// Handles of everything counted per HTTP request or connection.
#[derive(Debug)]
pub struct HttpMetrics {
    catalogue: Arc<Catalogue>,
    semantic: Option<Arc<Semantic>>,
    routes: RwLock<HashMap<(&'static str, &'static str), Arc<Route>>>,
    errors: [IntCounter; ConnectionError::ALL.len()],
    active: IntGauge,
    idle: IntGauge,
}

impl HttpMetrics {
    pub(super) fn new(catalogue: &Arc<Catalogue>, semantic: SemanticMetrics) -> Self {
        let error =
            |kind: ConnectionError| catalogue.http_connection_errors.with_label_values(&[kind.as_str()]);
        Self {
            catalogue: Arc::clone(catalogue),
            semantic: Semantic::new(catalogue, semantic),
            routes: RwLock::default(),
            errors: ConnectionError::ALL.map(error),
            active: catalogue.http_connections.with_label_values(&["active"]),
            idle: catalogue.http_connections.with_label_values(&["idle"]),
        }
    }

    /// Makes the series of a route exist at zero. `route` is the router's pattern, or `unmatched`.
    pub fn register_route(&self, method: &'static str, route: &'static str) {
        let entry = self.route(method, route);
        for status in ZEROED {
            entry.status(status);
        }
    }

    /// Begins a request that started at `started`; `method` comes from [`known_method`](crate::telemetry::known_method).
    pub fn begin(&self, method: &'static str, route: &'static str, started: Instant) -> HttpObservation {
        let route = self.route(method, route);
        route.in_flight.inc();
        let (spoken, end) = (Spoken::default(), ObservedEnd::default());
        HttpObservation { route, started, spoken, end, finished: false }
    }

    /// A connection was accepted; it is idle until a request comes.
    pub fn connection_opened(&self) {
        self.idle.inc();
    }

    /// A connection ended (after its last request did).
    pub fn connection_closed(&self) {
        self.idle.dec();
    }

    /// A connection went from idle to serving requests.
    pub fn connection_active(&self) {
        self.active.inc();
        self.idle.dec();
    }

    /// A connection went back to idle.
    pub fn connection_idle(&self) {
        self.idle.inc();
        self.active.dec();
    }

    /// A connection was refused or ended by a fault.
    pub fn connection_error(&self, kind: ConnectionError) {
        self.errors[kind as usize].inc();
    }

    fn route(&self, method: &'static str, route: &'static str) -> Arc<Route> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = routes.get(&(method, route)) {
            return Arc::clone(entry);
        }
        drop(routes);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Route::new(self, method, route));
        Arc::clone(routes.entry((method, route)).or_insert_with(made))
    }
}

/// One route's handles; statuses are resolved at their first use.
#[derive(Debug)]
struct Route {
    labels: (&'static str, &'static str),
    in_flight: IntGauge,
    request_body: Histogram,
    response_body: Histogram,
    requests: Family<IntCounter>,
    durations: Family<Histogram>,
    semantic: Option<Arc<Semantic>>,
    statuses: Box<[OnceLock<Status>]>,
}

#[derive(Debug)]
struct Status {
    requests: IntCounter,
    /// Made with the first observation only: zeroed statuses need no empty histogram.
    duration: OnceLock<Histogram>,
}

impl Route {
    fn new(http: &HttpMetrics, method: &'static str, route: &'static str) -> Self {
        let catalogue = &*http.catalogue;
        Self {
            labels: (method, route),
            in_flight: catalogue.http_in_flight.with_label_values(&[route]),
            request_body: catalogue.http_request_body.with_label_values(&[route]),
            response_body: catalogue.http_response_body.with_label_values(&[route]),
            requests: catalogue.http_requests.clone(),
            durations: catalogue.http_duration.clone(),
            semantic: http.semantic.clone(),
            statuses: (0..STATUSES).map(|_| OnceLock::new()).collect(),
        }
    }

    fn status(&self, code: u16) -> &Status {
        self.statuses[usize::from(code - FIRST_STATUS)].get_or_init(|| {
            let (method, route) = self.labels;
            let requests = self.requests.with_label_values(&[method, route, code.to_string().as_str()]);
            Status { requests, duration: OnceLock::new() }
        })
    }

    fn count(&self, code: u16, started: Instant, spoken: Spoken, end: &ObservedEnd) {
        // A status outside 100-599 cannot be sent; should one be passed, it counts as our fault.
        let sendable = usize::from(code.wrapping_sub(FIRST_STATUS)) < STATUSES;
        let code = if sendable { code } else { 500 };
        let status = self.status(code);
        status.requests.inc();
        let (method, route) = self.labels;
        let made = || self.durations.with_label_values(&[method, route, code.to_string().as_str()]);
        let seconds = started.elapsed().as_secs_f64();
        status.duration.get_or_init(made).observe_in(seconds, end.span);
        if let Some(semantic) = &self.semantic {
            semantic.observe(self.labels, (spoken, code), end, seconds);
        }
    }
}

/// A request being served. Finish it when the last byte is out.
#[derive(Debug)]
#[must_use = "a dropped observation counts as status 499"]
pub struct HttpObservation {
    route: Arc<Route>,
    started: Instant,
    spoken: Spoken,
    end: ObservedEnd,
    finished: bool,
}

impl HttpObservation {
    /// What the request speaks, where it is not plain HTTP.
    pub fn speaks(&mut self, spoken: Spoken) {
        self.spoken = spoken;
    }

    /// What else is known of the end that is to be counted.
    pub fn ends(&mut self, end: ObservedEnd) {
        self.end = end;
    }

    /// Records the size of the request's body, once it is known.
    pub fn request_bytes(&self, bytes: u64) {
        #[expect(clippy::cast_precision_loss, reason = "bodies are far below 2^53 bytes")]
        self.route.request_body.observe(bytes as f64);
    }

    /// Counts the request under its status.
    pub fn finish(mut self, status: u16, response_bytes: u64) {
        self.finished = true;
        #[expect(clippy::cast_precision_loss, reason = "bodies are far below 2^53 bytes")]
        self.route.response_body.observe(response_bytes as f64);
        self.route.count(status, self.started, self.spoken, &self.end);
    }
}

impl Drop for HttpObservation {
    fn drop(&mut self) {
        self.route.in_flight.dec();
        if !self.finished {
            self.route.count(CLIENT_GONE, self.started, self.spoken, &self.end);
        }
    }
}
