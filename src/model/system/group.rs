//! The limits of this process's control groups on memory and processors. Containers, services and users have groups.
//! Groups are nested, and the limits of every enclosing group apply.

use std::path::{Component, Path, PathBuf};

use super::files::{smaller, text};

/// The tightest limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The memory limit in bytes.
    pub memory: Option<u64>,
    /// Bytes left below the limit. Page cache that can be reclaimed counts as free.
    pub left: Option<u64>,
    /// The limit on processors, in hundredths.
    pub quota_percent: Option<u64>,
}

/// Reads both versions of control groups from files below `root`.
#[must_use]
pub fn limits(root: &Path) -> Limits {
    let own = text(root, "proc/self/cgroup").unwrap_or_default();
    let number = |folder: &Path, name: &str| text(root, folder.join(name))?.parse::<u64>().ok();
    let mut limits = Limits::default();
    for (controller, limit, used, idle) in [
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ] {
        for folder in folders(&own, controller) {
            let Some(limit) = number(&folder, limit) else { continue };
            let idle = text(root, folder.join("memory.stat")).and_then(|stat| counter(&stat, idle));
            let used = number(&folder, used).unwrap_or(0).saturating_sub(idle.unwrap_or(0));
            limits.memory = smaller(limits.memory, Some(limit));
            limits.left = smaller(limits.left, Some(limit.saturating_sub(used)));
        }
    }
    for folder in folders(&own, "") {
        let both = text(root, folder.join("cpu.max"));
        limits.quota_percent = smaller(limits.quota_percent, both.and_then(|both| quota(&both)));
    }
    for folder in folders(&own, "cpu") {
        let (quota, period) = (number(&folder, "cpu.cfs_quota_us"), number(&folder, "cpu.cfs_period_us"));
        let percent = quota.zip(period).and_then(|(quota, period)| percent(quota, period));
        limits.quota_percent = smaller(limits.quota_percent, percent);
    }
    limits
}

/// The folders of this process's group and of the enclosing ones. `controller` is empty for version 2 of control groups,
/// which has one tree for all controllers.
fn folders(own: &str, controller: &str) -> Vec<PathBuf> {
    let base = Path::new("sys/fs/cgroup").join(controller);
    // `4:memory:/a/b` in version 1, `0::/a/b` in version 2.
    let path = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    });
    let inside = Path::new(path.unwrap_or("/").trim_start_matches('/'));
    // The path of a group that is not visible in a container begins with `..`; the container's limits are at the top.
    let seen = inside.components().all(|part| matches!(part, Component::Normal(_)));
    let inside = if seen { inside } else { Path::new("") };
    inside.ancestors().map(|group| base.join(group)).collect()
}

/// The value of a counter, from lines of `name number`.
fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.split_once(' ').filter(|(key, _)| *key == name)?.1.trim().parse().ok())
}

/// Parses `cpu.max`: the microseconds per period, or `max`, and the period.
fn quota(text: &str) -> Option<u64> {
    let (quota, period) = text.split_once(' ')?;
    percent(quota.parse().ok()?, period.trim().parse().ok()?)
}

fn percent(quota: u64, period: u64) -> Option<u64> {
    quota.checked_mul(100)?.checked_div(period)
}

#[cfg(test)]
mod tests {
    use super::super::tests::machine;
    use super::*;

    #[test]
    fn the_tightest_limit_of_nested_groups_applies() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/user.slice/job\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "8000\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "5000\n"),
            ("sys/fs/cgroup/user.slice/memory.stat", "anon 7\ninactive_file 1000\n"),
            ("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/user.slice/job/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/other/memory.max", "1\n"),
        ]);
        let expected = Limits { memory: Some(8000), left: Some(4000), quota_percent: Some(150) };
        assert_eq!(limits(root.path()), expected);
    }

    #[test]
    fn version_1_of_control_groups_is_read() {
        let root = machine(&[
            ("proc/self/cgroup", "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/\n"),
            ("sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "4096\n"),
            ("sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes", "96\n"),
            ("sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
        ]);
        let expected = Limits { memory: Some(4096), left: Some(4000), quota_percent: Some(50) };
        assert_eq!(limits(root.path()), expected);
    }

    #[test]
    fn of_an_invisible_group_only_the_top_is_read() {
        let top = [PathBuf::from("sys/fs/cgroup/")];
        for own in ["", "0::/", "0::/../../etc", "0::/a/../../b", "garbage"] {
            assert_eq!(folders(own, ""), top, "{own}");
        }
        assert_eq!(limits(machine(&[]).path()), Limits::default());
    }
}
