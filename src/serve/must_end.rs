//! When a request must end, because the server ends.

use tokio::sync::watch;

use super::drain::{Stage, reached};
use super::tally::Tally;

/// Waits until a request must end with an error: at once if it waits for a slot when the server drains, else once the time
/// to drain is over.
pub(super) async fn must_end(stage: &mut watch::Receiver<Stage>, tally: &Tally) {
    reached(stage, Stage::Draining).await;
    if tally.has_begun() {
        reached(stage, Stage::Ending).await;
    }
}
