//! The accept loop: takes connections, keeps count of them, and brings them to an end.
//!
//! Invariants: at most `max_connections` are kept; an error of the system slows the loop down but
//! never ends or spins it; [`serve`] returns only when every connection is gone.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tower::Service;

use super::activity::Activity;
use super::drive::{Common, drive};
use super::options::{ConnectionErrorKind, ConnectionObserver, ConnectionOptions, ServeReport};
use super::request::RequestBody;
use crate::shutdown::{Phase, ShutdownWatch};

/// First and longest pause after the system refused to give a connection.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
/// A connection that waits for its client for less than this is not closed in favour of a new one:
/// its next request may be on the way.
const SPARED: Duration = Duration::from_secs(1);
/// Connections picked in one search for those that wait longest.
const PICKED: usize = 64;
/// How soon a search that found nothing is repeated.
const SEARCH_PAUSE: Duration = Duration::from_millis(100);
/// How long cut connections may take to be dropped: one poll, unless a handler blocks.
const CUT_WAIT: Duration = Duration::from_secs(1);

/// A listener that is being served.
#[derive(Debug)]
pub struct Listening {
    /// The bound address.
    pub address: SocketAddr,
    /// Ends with [`serve`].
    pub serving: JoinHandle<io::Result<ServeReport>>,
}

/// Begins to [`serve`].
///
/// # Errors
/// When the listener has no address any more.
pub fn spawn<S>(
    listener: std::net::TcpListener,
    service: S,
    options: ConnectionOptions,
    observer: Arc<dyn ConnectionObserver>,
    shutdown: ShutdownWatch,
) -> io::Result<Listening>
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let address = listener.local_addr()?;
    let serving = tokio::spawn(serve(listener, service, options, observer, shutdown));
    Ok(Listening { address, serving })
}

/// Serves `service` on `listener` until `shutdown` says stop and every connection is gone.
///
/// # Errors
/// When the runtime can't take the listener; never later.
pub async fn serve<S>(
    listener: std::net::TcpListener,
    service: S,
    options: ConnectionOptions,
    observer: Arc<dyn ConnectionObserver>,
    mut shutdown: ShutdownWatch,
) -> io::Result<ServeReport>
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let mut house = House::new(Common::new(options, observer), shutdown.phase());
    let mut pause = Pause::default();
    while house.phase < Phase::Stopping {
        let next = if house.phase < Phase::Draining { Phase::Draining } else { Phase::Stopping };
        tokio::select! {
            () = shutdown.reached(next) => house.enter(shutdown.phase()),
            Some(()) = house.reap() => {}
            accepted = pause.then_accept(&listener) => match accepted {
                Ok((stream, peer)) => house.take(stream, peer, &service),
                Err(error) if is_the_clients(&error) => house.common.observer.error(ConnectionErrorKind::Accept),
                Err(error) => {
                    let pause_ms = pause.lengthen().as_millis();
                    tracing::warn!(%error, pause_ms, "accepting a connection failed");
                    house.common.observer.error(ConnectionErrorKind::Accept);
                    // Mostly descriptors are wanting, and connections that wait hold some.
                    house.make_room();
                }
            },
        }
    }
    drop(listener);
    drop(service);
    while house.phase < Phase::Cut && !house.tasks.is_empty() {
        tokio::select! {
            () = shutdown.reached(Phase::Cut) => house.enter(Phase::Cut),
            _ = house.reap() => {}
        }
    }
    Ok(ServeReport { forced: house.cut().await })
}

/// Whether the error is about the one connection that was to be taken, not about us.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The pause before the next try to accept.
#[derive(Debug, Default)]
struct Pause {
    length: Duration,
    until: Option<Instant>,
}

impl Pause {
    fn lengthen(&mut self) -> Duration {
        self.length = (self.length * 2).clamp(PAUSES.0, PAUSES.1);
        self.until = Some(Instant::now() + self.length);
        self.length
    }

    /// Accepts once the pause is over. Nothing is lost when the future is dropped.
    async fn then_accept(&mut self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        if let Some(until) = self.until {
            sleep_until(until).await;
        }
        let accepted = listener.accept().await?;
        *self = Self::default();
        Ok(accepted)
    }
}

/// A connection as the accept loop knows it.
struct Guest {
    activity: Arc<Activity>,
    task: AbortHandle,
}

/// All connections of a listener.
struct House {
    common: Arc<Common>,
    phase: Phase,
    tasks: JoinSet<()>,
    guests: HashMap<Id, Guest>,
    /// Those that waited longest at the last search, the longest last.
    picked: Vec<(std::time::Instant, Id)>,
    search_again: Option<std::time::Instant>,
}

impl House {
    fn new(common: Common, phase: Phase) -> Self {
        Self {
            common: Arc::new(common),
            phase,
            tasks: JoinSet::new(),
            guests: HashMap::new(),
            picked: Vec::new(),
            search_again: None,
        }
    }

    /// Takes a new connection, or closes it when there is no room.
    ///
    /// At the cap the connection that has waited longest for its client makes room: a crowd that is
    /// idle, or trickles headers, must not shut out a health probe. Where all are at work the new
    /// one is closed at once, so that its client can go elsewhere rather than wait unanswered.
    fn take<S>(&mut self, stream: TcpStream, peer: SocketAddr, service: &S)
    where
        S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
    {
        let cap = self.common.options.max_connections;
        while self.guests.len() >= cap
            && let Some(ended) = self.tasks.try_join_next_with_id()
        {
            self.forget(ended);
        }
        if self.guests.len() >= cap && !self.make_room() {
            self.common.observer.error(ConnectionErrorKind::Limit);
            return;
        }
        // Responses are written whole: to wait for more to send would only delay them.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let activity = Arc::new(Activity::new(self.phase));
        let driver = drive(stream, peer, service.clone(), Arc::clone(&self.common), Arc::clone(&activity));
        let task = self.tasks.spawn(driver);
        self.guests.insert(task.id(), Guest { activity, task });
    }

    /// Closes the connection that has waited longest for its client, if one may be closed.
    fn make_room(&mut self) -> bool {
        let now = std::time::Instant::now();
        if self.picked.is_empty() && self.search_again.is_none_or(|at| at <= now) {
            self.search(now);
        }
        while let Some((since, id)) = self.picked.pop() {
            // It may have gone, or been used, since the search.
            let unused = |guest: &Guest| guest.activity.waiting_since() == Some(since);
            if self.guests.get(&id).is_some_and(unused)
                && let Some(guest) = self.guests.remove(&id)
            {
                guest.task.abort();
                self.common.observer.error(ConnectionErrorKind::Limit);
                return true;
            }
        }
        false
    }

    fn search(&mut self, now: std::time::Instant) {
        let waiting =
            self.guests.iter().filter_map(|(id, guest)| Some((guest.activity.waiting_since()?, *id)));
        self.picked = waiting.filter(|(since, _)| now.saturating_duration_since(*since) >= SPARED).collect();
        self.picked.sort_unstable_by_key(|(since, _)| std::cmp::Reverse(*since));
        self.picked.drain(..self.picked.len().saturating_sub(PICKED));
        self.search_again = self.picked.is_empty().then(|| now + SEARCH_PAUSE);
    }

    /// Tells every connection of a phase.
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        for guest in self.guests.values() {
            guest.activity.tell(phase);
        }
    }

    /// Waits for a connection to end; none when there is none.
    async fn reap(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        self.forget(ended);
        Some(())
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("the task of a connection panicked");
                }
                error.id()
            }
        };
        self.guests.remove(&id);
    }

    /// Ends what is left. Returns how many connections had a request in flight.
    async fn cut(mut self) -> usize {
        let forced = self.guests.values().filter(|guest| guest.activity.is_busy()).count();
        for _ in 0..forced {
            self.common.observer.forced();
        }
        self.tasks.abort_all();
        if timeout(CUT_WAIT, async { while self.reap().await.is_some() {} }).await.is_err() {
            tracing::error!("connections are held by handlers that block");
        }
        forced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_its_limit() {
        let mut pause = Pause::default();
        let lengths: Vec<_> = (0..10).map(|_| pause.lengthen().as_millis()).collect();
        assert_eq!(lengths, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }
}
