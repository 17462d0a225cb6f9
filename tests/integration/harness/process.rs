//! A child process that does not outlive the test, with its output on hand.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::wait::{self, PATIENCE};

/// A child, its folder, and a guard that ends it should the tests be killed.
pub(crate) struct Process {
    child: Child,
    guard: Child,
    folder: TempDir,
    ended: Option<ExitStatus>,
    is_asked_to_end: AtomicBool,
}

impl Process {
    /// Starts `command`; its output goes to files in a folder of its own.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let folder = TempDir::new().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // Reads until this process is gone, however it went.
        let guard = Command::new("sh")
            .args(["-c", "read -r _; kill -KILL \"$0\"", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, guard, folder, ended: None, is_asked_to_end: AtomicBool::new(false) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        self.is_asked_to_end.fetch_or(name != "HUP", Ordering::Relaxed);
        let sent =
            Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &self.id().to_string()]).status();
        assert!(sent.unwrap().success(), "signal {name} to {} failed", self.id());
    }

    /// True while it runs and nobody has asked it to end.
    pub(crate) fn is_at_work(&mut self) -> bool {
        !self.is_asked_to_end.load(Ordering::Relaxed) && self.ended().is_none()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
            if self.ended.is_some() {
                self.dismiss_guard();
            }
        }
        self.ended
    }

    /// Waits for its end; the exit code, or none when a signal ended it.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<i32> {
        wait::until("the end of the process", limit, || self.ended()).code()
    }

    fn dismiss_guard(&mut self) {
        drop(self.guard.kill());
        drop(self.guard.wait());
    }

    /// Asks it to end and returns its exit code; kills it when it does not listen.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        if self.ended().is_none() {
            self.signal("TERM");
            wait::at_most(PATIENCE, || self.ended());
            if self.ended().is_none() {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                self.dismiss_guard();
                return None;
            }
        }
        self.ended.and_then(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            #[expect(clippy::print_stderr, reason = "what the child said belongs to the failure")]
            {
                eprintln!("--- stdout of {}\n{}--- stderr\n{}---", self.id(), self.stdout(), self.stderr());
            }
        }
        self.stop();
    }
}
