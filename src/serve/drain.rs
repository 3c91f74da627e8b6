//! How a server ends: it first accepts nothing new, and after a while ends what still runs.

use std::time::Duration;

use tokio::sync::watch;

/// How far the end of the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Everything is served.
    Running,
    /// Connections and requests are refused; requests that wait for a slot are answered with an error, and those that run
    /// finish.
    Draining,
    /// Requests that still run are ended with an error.
    Ending,
}

/// Moves a server through its stages.
#[derive(Debug)]
pub struct Drain(watch::Sender<Stage>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::channel(Stage::Running).0)
    }
}

impl Drain {
    /// The stage, which can be awaited.
    #[must_use]
    pub fn stage(&self) -> watch::Receiver<Stage> {
        self.0.subscribe()
    }

    /// Whether the server is about to end.
    pub(super) fn has_begun(&self) -> bool {
        *self.0.borrow() > Stage::Running
    }

    /// Moves on to a stage; never back.
    pub(super) fn advance(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let later = stage > *now;
            *now = stage.max(*now);
            later
        });
    }

    /// Begins to drain, and ends what runs after this time.
    pub async fn begin(&self, time: Duration) {
        self.advance(Stage::Draining);
        tokio::time::sleep(time).await;
        self.advance(Stage::Ending);
    }
}

/// Waits until a server is at this stage or past it.
pub(super) async fn reached(stage: &mut watch::Receiver<Stage>, wanted: Stage) {
    // A server whose stages cannot change any more ends nothing.
    if stage.wait_for(|stage| *stage >= wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_only_move_forward_and_can_be_awaited() {
        let drain = Drain::default();
        let mut stage = drain.stage();
        assert_eq!(*stage.borrow(), Stage::Running);
        drain.begin(Duration::from_millis(1)).await;
        drain.advance(Stage::Draining);
        reached(&mut stage, Stage::Draining).await;
        assert_eq!(*stage.borrow(), Stage::Ending);
    }
}
