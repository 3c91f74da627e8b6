//! The limit on open files, which bounds the connections.

/// Files that are needed beside connections: the model, its devices, listeners, states.
const OTHER_FILES: u64 = 256;

/// Raises the soft limit on open files as far as these connections need it and the hard limit allows. Returns the limit,
/// or `None` if files are unlimited.
#[must_use]
pub fn raise_open_files(connections: usize) -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let now = getrlimit(Resource::Nofile);
        let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
        let soft = now.current?;
        let raised = wanted.min(now.maximum.unwrap_or(wanted)).max(soft);
        let limit = Rlimit { current: Some(raised), maximum: now.maximum };
        if raised > soft && setrlimit(Resource::Nofile, limit).is_err() {
            return Some(soft);
        }
        Some(raised)
    }
    #[cfg(not(unix))]
    {
        let _ = connections;
        None
    }
}

/// The connections that fit in a limit on open files.
#[must_use]
pub fn connections(open_files: Option<u64>, most: usize) -> usize {
    let fit = open_files
        .map_or(usize::MAX, |files| usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX));
    fit.min(most).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        for (files, expected) in
            [(Some(1024), 768), (Some(100_000), 16_384), (None, 16_384), (Some(256), 1), (Some(0), 1)]
        {
            assert_eq!(connections(files, 16_384), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_soft_limit_is_raised_within_the_hard_limit() {
        use rustix::process::{Resource, getrlimit};

        let raised = raise_open_files(512).unwrap();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, Some(raised));
        assert!(now.maximum.is_none_or(|hard| raised <= hard));
        assert!(raised >= 768 || now.maximum == Some(raised));
    }
}
