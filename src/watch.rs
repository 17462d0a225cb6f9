//! Files that may change while the process runs: keys, certificates.
//!
//! Looks at contents, not at times: secrets are swapped by symlink, copied over with old times, or
//! written in place. Whoever watches reads the files itself when it is told.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// How often files are looked at.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Calls `changed` whenever the content of one of `files` differs from what it was at the look
/// before; a file that appears or vanishes has changed. Looks every `every`; never returns.
pub async fn changes(files: Vec<PathBuf>, every: Duration, mut changed: impl FnMut()) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = fingerprint(&files).await;
    loop {
        ticks.tick().await;
        let now = fingerprint(&files).await;
        if now != last {
            last = now;
            changed();
        }
    }
}

async fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        tokio::fs::read(file).await.ok().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_a_loss_and_a_return_are_told_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "one").unwrap();
        let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let every = Duration::from_millis(5);
        let watch = tokio::spawn(changes(vec![file.clone()], every, move || told.send(()).unwrap()));
        let silence = Duration::from_millis(50);
        assert!(tokio::time::timeout(silence, hears.recv()).await.is_err());
        // Rewriting the same content is no change. The write itself may be seen half done.
        let other = folder.path().join("other");
        for content in [Some("two"), None, Some("two")] {
            match content {
                Some(text) => {
                    std::fs::write(&other, text).unwrap();
                    std::fs::rename(&other, &file).unwrap();
                }
                None => std::fs::remove_file(&file).unwrap(),
            }
            hears.recv().await.unwrap();
        }
        std::fs::write(&other, "two").unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert!(tokio::time::timeout(silence, hears.recv()).await.is_err());
        watch.abort();
    }
}
