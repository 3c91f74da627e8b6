//! How busy the processors are with other programs.

use std::path::Path;

use super::text;

/// The average number of threads that ran or waited for a processor in the last minute. Linux only.
#[must_use]
pub fn load_average(root: &Path) -> Option<f64> {
    let text = text(root, "proc/loadavg")?;
    text.split_whitespace().next()?.parse().ok().filter(|load: &f64| load.is_finite() && *load >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::system::tests::machine;

    #[test]
    fn the_load_is_that_of_the_last_minute() {
        for (file, load) in [
            ("6.31 2.95 2.83 3/283 12345\n", Some(6.31)),
            ("", None),
            ("NaN 0 0", None),
            ("-1 0 0", None),
            ("many", None),
        ] {
            assert_eq!(load_average(machine(&[("proc/loadavg", file)]).path()), load, "{file}");
        }
        assert_eq!(load_average(machine(&[]).path()), None);
    }
}
