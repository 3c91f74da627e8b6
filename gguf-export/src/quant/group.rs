//! The group size: number of columns that share a scale.

use super::request::Request;
use crate::Result;
use crate::checkpoint::TensorId;

/// Columns per group, given the number of groups in the scales. `declared` is the group size by the configuration,
/// where -1 and 0 mean a whole row; it must match if it is `binding`.
pub(super) fn width(
    request: &Request<'_>,
    scales: TensorId,
    groups: u64,
    declared: Option<i64>,
    binding: bool,
) -> Result<u64> {
    let columns = request.columns;
    let whole = |n: i64| if n <= 0 { columns } else { n.unsigned_abs() };
    if let Some(width) = declared.map(whole) {
        if columns.div_ceil(width) == groups {
            return Ok(width);
        }
        if binding {
            return Err(request.wrong(
                scales,
                format!("it has {groups} groups"),
                format!("{} ({columns} columns, group size {width})", columns.div_ceil(width)),
            ));
        }
    }
    if groups > 0 && columns.is_multiple_of(groups) {
        return Ok(columns / groups);
    }
    Err(request.wrong(scales, format!("it has {groups} groups"), format!("a divisor of {columns} columns")))
}
