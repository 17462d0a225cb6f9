//! Quotas of both versions of control groups: trees of files, and groups of the running kernel.

use super::*;

/// A machine of files: 8 cores, all allowed, in the group that `cgroup` and `mounts` say.
fn machine(cgroup: &str, mounts: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let fixed = [
        ("proc/self/cgroup", cgroup),
        ("proc/self/mountinfo", mounts),
        ("proc/self/status", "Name:\ttest\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n"),
        ("sys/devices/system/cpu/online", "0-7\n"),
    ];
    for (path, text) in fixed.iter().chain(files) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn quota(root: &tempfile::TempDir) -> Option<f64> {
    Cores::read_under(root.path()).quota
}

/// As inside a container with a namespace of its own.
const OWN_NAMESPACE: &str =
    "1423 1409 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw\n";
const STAT: &str = "usage_usec 90\nuser_usec 60\nsystem_usec 30\nnr_periods 41\nnr_throttled 7\nthrottled_usec 1250000\nnr_bursts 0\n";

#[test]
fn a_container_reads_the_quota_of_its_own_namespace() {
    let files = [("sys/fs/cgroup/cpu.max", "150000 100000\n"), ("sys/fs/cgroup/cpu.stat", STAT)];
    let root = machine("0::/\n", OWN_NAMESPACE, &files);
    let cores = Cores::read_under(root.path());
    assert_eq!(cores, Cores { online: 8, allowed: 8, quota: Some(1.5) });
    assert_eq!(cores.threads(), 1);
    let limit = Group::find(root.path()).unwrap().tightest().unwrap();
    let counted = Throttling { periods: 41, throttled_periods: 7, throttled: Duration::from_millis(1250) };
    assert_eq!(limit.throttling(), Some(counted));
    let unlimited = machine("0::/\n", OWN_NAMESPACE, &[("sys/fs/cgroup/cpu.max", "max 100000\n")]);
    assert_eq!(Cores::read_under(unlimited.path()).threads(), 8);
}

#[test]
fn the_smallest_quota_above_the_group_counts() {
    let group = "kubepods.slice/pod1.slice/cri-1.scope";
    let max = |folder: &str| format!("sys/fs/cgroup/{folder}/cpu.max");
    let (own, pod, all) = (max(group), max("kubepods.slice/pod1.slice"), max("kubepods.slice"));
    let files = [
        (own.as_str(), "max 100000\n"),
        (pod.as_str(), "250000 100000\n"),
        (all.as_str(), "600000 100000\n"),
    ];
    let root = machine(&format!("0::/{group}\n"), OWN_NAMESPACE, &files);
    assert_eq!(quota(&root), Some(2.5));
    assert_eq!(Cores::read_under(root.path()).threads(), 2);
}

#[test]
fn version_1_is_read_where_it_has_the_controller() {
    let groups = "4:cpu,cpuacct:/docker/abc/inner\n3:memory:/docker/abc\n0::/docker/abc\n";
    // Docker without a namespace: the mount shows the container's group as its root.
    let mounts = "30 23 0:25 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,relatime master:9 - cgroup cgroup rw,cpu,cpuacct\n\
                  31 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let at = "sys/fs/cgroup/cpu,cpuacct";
    let files = [
        (format!("{at}/cpu.cfs_quota_us"), "50000\n"),
        (format!("{at}/cpu.cfs_period_us"), "100000\n"),
        (format!("{at}/cpu.stat"), "nr_periods 4\nnr_throttled 3\nthrottled_time 2000000000\n"),
        (format!("{at}/inner/cpu.cfs_quota_us"), "-1\n"),
        (format!("{at}/inner/cpu.cfs_period_us"), "100000\n"),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let root = machine(groups, mounts, &files);
    assert_eq!(quota(&root), Some(0.5));
    assert_eq!(Cores::read_under(root.path()).threads(), 1);
    let limit = Group::find(root.path()).unwrap().tightest().unwrap();
    assert_eq!(limit.throttling().unwrap().throttled, Duration::from_secs(2));
}

#[test]
fn what_cannot_be_read_is_no_limit() {
    let group_elsewhere = machine("0::/../other\n", OWN_NAMESPACE, &[("sys/fs/cgroup/cpu.max", "1 100000")]);
    assert_eq!(quota(&group_elsewhere), None);
    let nonsense = machine("0::/\n", OWN_NAMESPACE, &[("sys/fs/cgroup/cpu.max", "many\n")]);
    assert_eq!(quota(&nonsense), None);
    let empty = tempfile::tempdir().unwrap();
    let cores = Cores::read_under(empty.path());
    assert_eq!((cores.threads(), cores.quota), (1, None));
}

#[test]
fn lists_of_cores_are_counted() {
    assert_eq!(count_of_list("0-3,8\n"), Some(5));
    assert_eq!(count_of_list("0"), Some(1));
    assert_eq!(count_of_list("3-1"), None);
    assert_eq!(count_of_list(""), None);
}

#[test]
fn this_process_agrees_with_the_standard_library() {
    let std = std::thread::available_parallelism().unwrap().get();
    assert_eq!(Cores::read().threads(), std);
}

#[test]
fn what_does_not_fit_has_a_sentence() {
    let cores = Cores { online: 8, allowed: 8, quota: Some(2.5) };
    let model = |instances, intra_threads| SessionThreads { model: "m", instances, intra_threads };
    let of = |models: &[SessionThreads<'_>]| findings(&cores, models, None);
    assert_eq!(
        of(&[model(2, 1)]),
        ["the CPU quota is 2.50 of the machine's 8 cores: 2 threads compute at once"]
    );
    assert!(of(&[model(1, 4)])[1].starts_with("m: intra_threads = 4 on 2 cores: its threads take turns"));
    assert!(
        of(&[model(2, 2)])[1].contains("on 2 cores: 1 runs at once, the other sessions only take memory")
    );
    let whole = Cores { online: 2, allowed: 2, quota: None };
    assert!(findings(&whole, &[model(2, 1)], Some(Throttling::default())).is_empty());
    let narrow = Cores { online: 8, allowed: 2, quota: Some(4.0) };
    assert!(findings(&narrow, &[], None).is_empty());
    let throttled = Throttling { periods: 9, throttled_periods: 4, throttled: Duration::from_millis(300) };
    assert_eq!(
        findings(&whole, &[], Some(throttled)),
        ["the CPU quota was used up in 4 of 9 periods during the load, and threads waited 0.3 s"]
    );
}
