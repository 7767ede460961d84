//! Looks at everything again soon after anything changed, but not for every change: counting a thousand agents must not
//! write a thousand times. The first change after a quiet time is answered at once.

use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::Instant;

use crate::reconcile::watched::Change;

/// Between two rounds. People see counters move twice a second; more often nobody can read them.
const PACE: Duration = Duration::from_millis(500);

/// After a round in which a write failed.
const RETRY: Duration = Duration::from_secs(5);

/// What a round found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    Settled,
    /// A write failed; the error was told.
    Unfinished,
}

/// Says when the next round is due: after changes of either kind.
pub struct Pace<A, B> {
    first: Receiver<Change<A>>,
    second: Receiver<Change<B>>,
    began: Instant,
}

impl<A, B> Pace<A, B> {
    pub fn new(first: Receiver<Change<A>>, second: Receiver<Change<B>>) -> Pace<A, B> {
        Pace { first, second, began: Instant::now() }
    }

    pub async fn after(&mut self, round: Round) {
        tokio::time::sleep_until(self.began + PACE).await;
        let waiting = async {
            // Lagging is a change as well; the mirrors behind the channels live as long as this loop.
            tokio::select! {
                _ = self.first.recv() => {}
                _ = self.second.recv() => {}
            }
        };
        match round {
            Round::Settled => waiting.await,
            Round::Unfinished => drop(tokio::time::timeout_at(self.began + RETRY, waiting).await),
        }
        drain(&mut self.first);
        drain(&mut self.second);
        self.began = Instant::now();
    }
}

/// The round that follows sees all of them.
fn drain<K>(changes: &mut Receiver<Change<K>>) {
    while !matches!(changes.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
}
