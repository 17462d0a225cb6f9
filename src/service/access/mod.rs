//! Who may call what: API keys, known by their SHA-256 alone. Every protocol asks here.
//!
//! Keys are random and long, so that nothing slower than SHA-256 is needed to keep them from being
//! guessed out of the file. Invariant: a lookup compares every entry in constant time, whichever
//! matches; a file that became bad leaves the last good keys in force; no token and no digest is
//! ever part of a text.

mod expiry;
mod file;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

pub use file::{KeyProblem, key_entry};
pub use token::AdminToken;

use super::{ErrorCode, ServiceError};
use crate::telemetry::Metrics;
use crate::watch;

/// Longest token that is looked at, in bytes. Keys of ours have 47.
const MAX_TOKEN: usize = 4096;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Predictions.
    Predict,
    /// What there is, what it takes and how it does: descriptions, statistics, protected metrics.
    Metadata,
    /// Loading and unloading.
    Admin,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Predict, Self::Metadata, Self::Admin];

    /// The scope as it stands in the keys file.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Metadata => "metadata",
            Self::Admin => "admin",
        }
    }
}

/// One entry of the file.
struct Key {
    name: Arc<str>,
    sha256: [u8; 32],
    scopes: Vec<Scope>,
    /// The first moment at which it counts no more.
    expires: Option<SystemTime>,
}

/// A caller whose key is known and has not expired.
pub struct Caller(Arc<Key>);

impl Caller {
    /// The key's name, for logs and spans; never for a metric's label.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Allows what the key may be used for.
    ///
    /// # Errors
    /// `forbidden` where the key lacks `scope`.
    pub fn permit(&self, scope: Scope) -> Result<(), ServiceError> {
        if self.0.scopes.contains(&scope) {
            return Ok(());
        }
        let detail = format!("expected a key with the scope {}, got one without it", scope.text());
        Err(ServiceError::new(ErrorCode::Forbidden, detail))
    }
}

/// The keys in force, and the file that they come from.
pub struct Access {
    path: PathBuf,
    keys: ArcSwap<Vec<Arc<Key>>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Access {
    /// Reads the keys.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn from_file(path: &Path) -> Result<Self, Vec<KeyProblem>> {
        let keys = ArcSwap::from_pointee(file::read(path)?);
        Ok(Self { path: path.to_owned(), keys })
    }

    /// The caller that a token belongs to.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is absent, unknown, too long or expired at `now`.
    pub fn identify(&self, token: Option<&str>, now: SystemTime) -> Result<Caller, ServiceError> {
        let refused = |detail: &str| ServiceError::new(ErrorCode::Unauthenticated, detail);
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Err(refused("expected a key as `authorization: Bearer KEY`, got none"));
        };
        if token.len() > MAX_TOKEN {
            let detail = format!("expected a key of at most {MAX_TOKEN} bytes, got {}", token.len());
            return Err(refused(&detail));
        }
        let Some(key) = find(&self.keys.load(), token) else {
            return Err(refused("expected a known key, got one that is not"));
        };
        if key.expires.is_some_and(|end| end <= now) {
            return Err(refused("expected a key in force, got one that has expired"));
        }
        Ok(Caller(key))
    }

    /// Reads the file again whenever it changes; never returns.
    pub async fn watch(self: Arc<Self>, metrics: Arc<Metrics>) {
        // It may have changed since the start, before the first look.
        match self.replace() {
            Ok(keys) => tracing::info!(keys, "callers need an API key"),
            Err(problems) => self.keep(&metrics, &problems),
        }
        watch::changes(vec![self.path.clone()], watch::INTERVAL, || self.reload(&metrics)).await;
    }

    fn reload(&self, metrics: &Metrics) {
        match self.replace() {
            Ok(keys) => {
                metrics.secret_reloaded("keys", true);
                tracing::info!(keys, "API keys read again");
            }
            Err(problems) => self.keep(metrics, &problems),
        }
    }

    fn replace(&self) -> Result<usize, Vec<KeyProblem>> {
        let keys = file::read(&self.path)?;
        let count = keys.len();
        self.keys.store(Arc::new(keys));
        Ok(count)
    }

    fn keep(&self, metrics: &Metrics, problems: &[KeyProblem]) {
        metrics.secret_reloaded("keys", false);
        let cause = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let file = self.path.display();
        tracing::error!(%file, cause, "the keys file is wrong: the keys read before stay in force");
    }
}

/// Looks at every entry whatever it finds, so that the time tells nothing.
fn find(keys: &[Arc<Key>], token: &str) -> Option<Arc<Key>> {
    let sha256: [u8; 32] = Sha256::digest(token).into();
    let mut found = u64::MAX;
    for (index, key) in (0..).zip(keys) {
        found.conditional_assign(&index, key.sha256.as_slice().ct_eq(&sha256));
    }
    keys.get(usize::try_from(found).ok()?).cloned()
}
