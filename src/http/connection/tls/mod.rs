//! TLS of a listener: which certificate new connections are shown, and that it stays current.
//!
//! `cli` loads it before anything is bound, `app` has it followed, the connections' tasks take the
//! newest for each handshake. Invariant: there is always a certificate that works; a bad new file
//! changes nothing but the log and a metric.

mod expiry;
mod files;
mod handshake;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::interval;
use tokio_rustls::rustls::ServerConfig;

use crate::telemetry::Metrics;
use crate::watch;

use files::{Contents, Identity};
pub use files::{TlsFiles, TlsProblem};
pub(super) use handshake::handshake;

/// The listener's name in metrics.
const LISTENER: &str = "http";
/// The kind of secret in metrics.
const SECRET: &str = "tls";
/// A certificate that ends sooner is warned of, once a day.
const NOTICE: Duration = Duration::from_hours(14 * 24);
const DAY: Duration = Duration::from_hours(24);

/// The certificate, key and authorities of a listener.
pub struct Tls {
    files: TlsFiles,
    /// What was looked at last, good or bad.
    seen: AtomicU64,
    current: ArcSwap<Identity>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn load(files: TlsFiles) -> Result<Self, Vec<TlsProblem>> {
        let contents = Contents::read(&files);
        let identity = files::identity(&files, &contents)?;
        let seen = contents.fingerprint().into();
        Ok(Self { files, seen, current: ArcSwap::from_pointee(identity) })
    }

    /// What the next handshake is made with.
    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// Reads the files again whenever their content has changed, and tells daily of a certificate
    /// that ends soon; never returns.
    pub async fn follow(self: Arc<Self>, metrics: Arc<Metrics>) {
        let changed = Notify::new();
        let mut watching = pin!(watch::changes(self.files.paths(), watch::INTERVAL, || changed.notify_one()));
        let mut days = interval(DAY);
        loop {
            tokio::select! {
                biased;
                () = &mut watching => return,
                () = changed.notified() => {}
                // The first one comes at once: it sees what changed while the process started.
                _ = days.tick() => {}
            }
            let (tls, metrics) = (Arc::clone(&self), Arc::clone(&metrics));
            let looked = tokio::task::spawn_blocking(move || {
                tls.renew(&metrics);
                let ends = tls.current.load().ends;
                warn_of(ends, SystemTime::now());
                metrics.tls_expiry(LISTENER, ends);
            });
            if let Err(error) = looked.await {
                tracing::error!(%error, "the certificate could not be looked at");
            }
        }
    }

    /// Takes the files' content where it is new and good.
    fn renew(&self, metrics: &Metrics) {
        let contents = Contents::read(&self.files);
        let fingerprint = contents.fingerprint();
        if self.seen.swap(fingerprint, Relaxed) == fingerprint {
            return;
        }
        let renewed = files::identity(&self.files, &contents);
        metrics.secret_reloaded(SECRET, renewed.is_ok());
        match renewed {
            Ok(identity) => {
                self.current.store(Arc::new(identity));
                tracing::info!("the certificate was read again; new connections get it");
            }
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let problems = problems.join("; ");
                tracing::error!(problems, "the new certificate is not used, the one before it stays");
            }
        }
    }
}

/// Warns of a certificate that has ended or soon will.
fn warn_of(ends: SystemTime, now: SystemTime) {
    match ends.duration_since(now) {
        Err(_) => tracing::warn!("the certificate has ended: clients will refuse it"),
        Ok(left) if left < NOTICE => {
            let left_hours = left.as_secs() / 3600;
            tracing::warn!(left_hours, "the certificate ends soon");
        }
        Ok(_) => {}
    }
}
