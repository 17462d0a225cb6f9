//! The control group of this process, in version 1 or 2: its CPU quota and what was counted of it.
//!
//! Used by the rest of the room. The standard library knows quotas too, but not their fractions, and
//! not what was throttled. The group's folder is found by the table of mounts, so that containers
//! with and without a namespace of their own are read alike.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::Throttling;

/// Which files a hierarchy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// This process's group in the hierarchy that controls the CPU.
#[derive(Debug)]
pub(super) struct Group {
    version: Version,
    /// Where the hierarchy is mounted: nothing above it is ours.
    mount: PathBuf,
    /// The group, inside `mount`.
    folder: PathBuf,
}

/// A group with a quota.
#[derive(Debug)]
pub(super) struct Limit {
    version: Version,
    folder: PathBuf,
    pub(super) cores: f64,
}

impl Group {
    /// The group of this process, as `root` shows it.
    pub(super) fn find(root: &Path) -> Option<Self> {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
        // A hierarchy of version 1 that names the controller has it; version 2 has what is left.
        let (version, path) = own_path(&groups, Version::One).or_else(|| own_path(&groups, Version::Two))?;
        let mut known = mounts.lines().filter_map(|line| Mount::parse(line, version));
        known.find_map(|found| {
            let mount = root.join(found.at.strip_prefix("/").ok()?);
            let inside = Path::new(path).strip_prefix(found.shows).ok()?;
            // A process outside its own namespace has a path with `..`: its group is not shown here.
            let is_plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
            let folder = mount.join(inside);
            (is_plain && folder.is_dir()).then_some(Self { version, mount, folder })
        })
    }

    /// The group among this one and those above whose quota is the smallest.
    pub(super) fn tightest(&self) -> Option<Limit> {
        let groups = self.folder.ancestors().take_while(|folder| folder.starts_with(&self.mount));
        let limits = groups.filter_map(|folder| {
            let cores = quota(self.version, folder)?;
            Some(Limit { version: self.version, folder: folder.to_path_buf(), cores })
        });
        limits.min_by(|a, b| a.cores.total_cmp(&b.cores))
    }
}

impl Limit {
    /// What the kernel has counted.
    pub(super) fn throttling(&self) -> Option<Throttling> {
        let text = fs::read_to_string(self.folder.join("cpu.stat")).ok()?;
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            value.trim().parse::<u64>().ok()
        };
        let throttled = match self.version {
            Version::One => Duration::from_nanos(field("throttled_time")?),
            Version::Two => Duration::from_micros(field("throttled_usec")?),
        };
        Some(Throttling {
            periods: field("nr_periods")?,
            throttled_periods: field("nr_throttled")?,
            throttled,
        })
    }
}

/// The path of this process's group in the hierarchy of `version` that can control the CPU.
fn own_path(groups: &str, version: Version) -> Option<(Version, &str)> {
    groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = match version {
            Version::One => controllers.split(',').any(|controller| controller == "cpu"),
            Version::Two => number == "0" && controllers.is_empty(),
        };
        fits.then_some((version, path))
    })
}

/// One line of the table of mounts.
struct Mount<'a> {
    /// The group that is the mount's root.
    shows: &'a str,
    at: &'a Path,
}

impl<'a> Mount<'a> {
    /// `36 35 0:30 ROOT MOUNTPOINT OPTIONS... - TYPE SOURCE SUPER_OPTIONS`, proc(5).
    fn parse(line: &'a str, wanted: Version) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (file_system, options) = (kind.next()?, kind.nth(1)?);
        let fits = match wanted {
            Version::One => file_system == "cgroup" && options.split(',').any(|option| option == "cpu"),
            Version::Two => file_system == "cgroup2",
        };
        let mut place = place.split(' ').skip(3);
        let (shows, at) = (place.next()?, place.next()?);
        fits.then_some(Self { shows, at: Path::new(at) })
    }
}

/// The quota of a group, in cores.
fn quota(version: Version, folder: &Path) -> Option<f64> {
    let file = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let (quota, period) = match version {
        Version::One => (file("cpu.cfs_quota_us")?, file("cpu.cfs_period_us")?),
        Version::Two => {
            let text = file("cpu.max")?;
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.to_owned(), period.to_owned())
        }
    };
    // Without a limit: `-1` in version 1, `max` in version 2.
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}
