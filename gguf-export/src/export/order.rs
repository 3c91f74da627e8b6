//! Orders tiles so that shards are needed one after another.

use std::collections::BTreeSet;

use super::layout::Place;
use crate::checkpoint::Checkpoint;
use crate::plan::{Content, Plan};

/// Sorts tiles by the last shard that they need, then by the first, so that shards can be released early. Returns the
/// tiles, and for each the shards that it needs, ascending.
pub(super) fn by_shard(
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
