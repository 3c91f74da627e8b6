//! In which order tiles are written, so that shards are needed one after the other.

use std::collections::BTreeSet;

use super::layout::Place;
use crate::checkpoint::Checkpoint;
use crate::plan::{Content, Plan};

/// Tiles with the shards that each is made from, ascending, in the order in which the last of these are needed; those that
/// are made from an earlier one, too, come first, so that it can go soon.
pub(super) fn in_order(
    checkpoint: &Checkpoint,
    plan: &Plan,
    places: Vec<Place>,
) -> (Vec<Place>, Vec<Vec<usize>>) {
    let weights: Vec<BTreeSet<usize>> = plan.weights.iter().map(|weight| weight.shards(checkpoint)).collect();
    let needs = |place: &Place| -> Vec<usize> {
        let tensor = &plan.tensors[place.tensor];
        let (mut needs, mut first) = (BTreeSet::new(), 0);
        for piece in &tensor.pieces {
            let last = first + piece.rows;
            let is_inside = first < place.rows.end && last > place.rows.start;
            if is_inside || tensor.content == Content::Factors {
                needs.extend(&weights[piece.weight as usize]);
            }
            first = last;
        }
        needs.into_iter().collect()
    };
    let mut both: Vec<(Place, Vec<usize>)> = places
        .into_iter()
        .map(|place| {
            let needs = needs(&place);
            (place, needs)
        })
        .collect();
    both.sort_by_key(|(_, needs)| (needs.last().copied(), needs.first().copied()));
    both.into_iter().unzip()
}
