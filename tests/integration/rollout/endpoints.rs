//! The file of endpoints, and those who follow it: late, as proxies on nodes follow the API server.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How often a follower looks at the file.
const LOOK: Duration = Duration::from_millis(20);

/// Where a replica is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) http: SocketAddr,
    pub(super) grpc: SocketAddr,
}

/// The file: one replica a line, its address for HTTP and that for gRPC.
pub(super) struct Endpoints {
    folder: TempDir,
}

impl Endpoints {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("endpoints")
    }

    /// Replaces the file as a whole: a reader sees the list before or this one.
    pub(super) fn write(&self, replicas: impl Iterator<Item = Replica>) {
        let lines: Vec<_> = replicas.map(|replica| format!("{} {}", replica.http, replica.grpc)).collect();
        let beside = self.folder.path().join("part");
        fs::write(&beside, lines.join("\n")).unwrap();
        fs::rename(beside, self.path()).unwrap();
    }
}

fn read(path: &Path) -> io::Result<Vec<Replica>> {
    let text = fs::read_to_string(path)?;
    let replica = |line: &str| {
        let (http, grpc) = line.split_once(' ').unwrap();
        Replica { http: http.parse().unwrap(), grpc: grpc.parse().unwrap() }
    };
    Ok(text.lines().map(replica).collect())
}

/// How long a change takes to get to a proxy.
#[derive(Clone)]
pub(super) enum Lag {
    Always(Duration),
    /// Each change its own, at most this long.
    UpTo(Duration, fastrand::Rng),
}

impl Lag {
    fn draw(&mut self) -> Duration {
        match self {
            Self::Always(lag) => *lag,
            Self::UpTo(longest, rng) => longest.mul_f64(rng.f64()),
        }
    }
}

/// What a proxy knows of the file.
pub(super) struct Follower {
    known: Mutex<Vec<Replica>>,
    turn: AtomicUsize,
}

impl Follower {
    /// One that knows what the file says now.
    pub(super) fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self { known: Mutex::new(read(path).unwrap()), turn: AtomicUsize::new(0) })
    }

    /// Takes in every change of the file, each after its lag, until the file is gone.
    pub(super) async fn follow(self: Arc<Self>, path: PathBuf, mut lag: Lag) {
        let mut seen = self.known.lock().unwrap().clone();
        let mut coming: VecDeque<(Instant, Vec<Replica>)> = VecDeque::new();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            let (now, Ok(listed)) = (Instant::now(), read(&path)) else { break };
            if listed != seen {
                coming.push_back((now + lag.draw(), listed.clone()));
                seen = listed;
            }
            // A later change that is here already makes those before it old news.
            if let Some(newest) = coming.iter().rposition(|(due, _)| *due <= now)
                && let Some((_, listed)) = coming.drain(..=newest).next_back()
            {
                *self.known.lock().unwrap() = listed;
            }
        }
    }

    /// The next replica, in turn.
    pub(super) fn next(&self) -> Replica {
        let known = self.known.lock().unwrap();
        known[self.turn.fetch_add(1, Ordering::Relaxed) % known.len()]
    }

    /// Whether a replica with this address for HTTP is still known.
    pub(super) fn knows(&self, http: SocketAddr) -> bool {
        self.known.lock().unwrap().iter().any(|replica| replica.http == http)
    }
}
