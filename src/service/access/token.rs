//! The token of the admin listener: one line in a file, read again when it changes. Held as its SHA-256.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{KeyProblem, MAX_TOKEN};
use crate::service::{ErrorCode, ServiceError};
use crate::telemetry::Metrics;
use crate::watch;

/// Fewest characters: what is shorter can be guessed.
const MIN_TOKEN: usize = 16;

/// The token in force, and the file that it comes from.
pub struct AdminToken {
    path: PathBuf,
    sha256: ArcSwap<[u8; 32]>,
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminToken").field("path", &self.path).finish_non_exhaustive()
    }
}

impl AdminToken {
    /// Reads the token.
    ///
    /// # Errors
    /// When the file can't be read or holds no token.
    pub fn from_file(path: &Path) -> Result<Self, KeyProblem> {
        Ok(Self { path: path.to_owned(), sha256: ArcSwap::from_pointee(read(path)?) })
    }

    /// Lets in who has the token.
    ///
    /// # Errors
    /// `unauthenticated` for one that is absent, too long or another.
    pub fn check(&self, token: Option<&str>) -> Result<(), ServiceError> {
        let refused = |detail: &str| ServiceError::new(ErrorCode::Unauthenticated, detail);
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Err(refused("expected the admin token as `authorization: Bearer TOKEN`, got none"));
        };
        if token.len() > MAX_TOKEN {
            return Err(refused("expected the admin token, got one that is too long"));
        }
        let sha256: [u8; 32] = Sha256::digest(token).into();
        if bool::from(self.sha256.load().as_slice().ct_eq(&sha256)) {
            return Ok(());
        }
        Err(refused("expected the admin token, got another"))
    }

    /// Reads the file again whenever it changes; never returns.
    pub async fn watch(self: Arc<Self>, metrics: Arc<Metrics>) {
        // It may have changed since the start, before the first look.
        if let Ok(sha256) = read(&self.path) {
            self.sha256.store(Arc::new(sha256));
        }
        watch::changes(vec![self.path.clone()], watch::INTERVAL, || self.reload(&metrics)).await;
    }

    fn reload(&self, metrics: &Metrics) {
        let token = read(&self.path);
        metrics.secret_reloaded("admin_token", token.is_ok());
        match token {
            Ok(sha256) => {
                self.sha256.store(Arc::new(sha256));
                tracing::info!("admin token read again");
            }
            Err(cause) => {
                let file = self.path.display();
                tracing::error!(%file, %cause, "the token file is wrong: the token read before stays in force");
            }
        }
    }
}

fn read(path: &Path) -> Result<[u8; 32], KeyProblem> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| KeyProblem(format!("the file cannot be read ({})", error.kind())))?;
    let token = text.trim();
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain || !(MIN_TOKEN..=MAX_TOKEN).contains(&token.len()) {
        let form =
            format!("the file must hold one token of {MIN_TOKEN} to {MAX_TOKEN} visible ASCII characters");
        return Err(KeyProblem(form));
    }
    Ok(Sha256::digest(token).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_of_some_length_is_let_in_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for bad in ["", "short", "two words of sixteen", "sixteen-and-\u{e9}-more"] {
            std::fs::write(&path, bad).unwrap();
            assert!(AdminToken::from_file(&path).is_err(), "{bad}");
        }
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let token = AdminToken::from_file(&path).unwrap();
        assert!(token.check(Some("0123456789abcdef")).is_ok());
        let long = "x".repeat(MAX_TOKEN + 1);
        for wrong in
            [None, Some(""), Some("0123456789abcdeF"), Some("0123456789abcdef\n"), Some(long.as_str())]
        {
            assert_eq!(token.check(wrong).unwrap_err().code, ErrorCode::Unauthenticated);
        }
        assert!(!format!("{token:?}").contains("0123"));
    }
}
