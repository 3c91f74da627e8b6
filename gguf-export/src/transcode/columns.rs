//! Moves whole blocks of encoded rows to other columns.

use super::task::at;
use crate::arch::Columns;
use crate::ggml::GgmlType;

/// Brings the blocks of each row, which are in the order of the source, into the order of `columns`.
pub(super) fn reorder(columns: &Columns, ty: GgmlType, row_bytes: usize, rows: &mut [u8]) {
    let Columns::Runs(runs) = columns else { return };
    assert!(columns.keep_blocks(ty.block_len()), "a plan has no type whose blocks are split");
    let bytes = |count: u64| at(count / ty.block_len() * ty.block_bytes());
    let runs: Vec<_> = runs.iter().map(|&(start, len)| bytes(start)..bytes(start + len)).collect();
    let mut source = vec![0; row_bytes];
    for row in rows.chunks_exact_mut(row_bytes) {
        source.copy_from_slice(row);
        let mut rest = &mut *row;
        for run in &runs {
            let (here, after) = rest.split_at_mut(run.len());
            here.copy_from_slice(&source[run.clone()]);
            rest = after;
        }
        assert!(rest.is_empty(), "the runs must be all columns");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_move_as_a_whole() {
        let columns = Columns::Runs(vec![(32, 32), (96, 32), (0, 32), (64, 32)]);
        let row: Vec<u8> = (0..4).flat_map(|block| [block; 18]).collect();
        let mut rows = [row.clone(), row].concat();
        reorder(&columns, GgmlType::Q4_0, 72, &mut rows);
        let moved: Vec<u8> = [1, 3, 0, 2, 1, 3, 0, 2].iter().flat_map(|block| [*block; 18]).collect();
        assert_eq!(rows, moved);
    }

    #[test]
    fn single_values_move() {
        let mut row: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let columns = Columns::Runs(vec![(0, 1), (2, 1), (1, 1), (3, 1)]);
        reorder(&columns, GgmlType::F32, 16, &mut row);
        let moved: Vec<u8> = [1f32, 3.0, 2.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(row, moved);
    }
}
