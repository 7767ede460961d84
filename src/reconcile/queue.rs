//! Which keys need work, when. A key is worked on by one worker at a time; marks that come meanwhile make it due again
//! afterwards; failures wait longer each time. Holds no clock: `now` is passed in.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Look again then, although nothing failed.
    Again(Duration),
    /// Back off and try again.
    Failed,
}

#[derive(Debug)]
pub struct Queue<K> {
    due: VecDeque<K>,
    queued: HashSet<K>,
    /// Being worked on; true when marked again meanwhile.
    busy: HashMap<K, bool>,
    later: BTreeSet<(Instant, K)>,
    /// The one entry that each key has in `later`.
    alarms: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
    limit: usize,
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// At most `limit` keys are worked on at the same time.
    pub fn new(limit: usize) -> Queue<K> {
        Queue {
            due: VecDeque::new(),
            queued: HashSet::new(),
            busy: HashMap::new(),
            later: BTreeSet::new(),
            alarms: HashMap::new(),
            failures: HashMap::new(),
            limit,
        }
    }

    /// Something about this key changed.
    pub fn mark(&mut self, key: K) {
        if let Some(again) = self.busy.get_mut(&key) {
            *again = true;
        } else if self.queued.insert(key.clone()) {
            self.due.push_back(key);
        }
    }

    /// As `mark`, at that time, unless it is to be looked at earlier anyway.
    pub fn mark_at(&mut self, key: K, at: Instant) {
        if let Some(set) = self.alarms.get(&key).copied() {
            if set <= at {
                return;
            }
            self.later.remove(&(set, key.clone()));
        }
        self.alarms.insert(key.clone(), at);
        self.later.insert((at, key));
    }

    /// The next key to work on; the caller must say `done` for it.
    pub fn next(&mut self, now: Instant) -> Option<K> {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.later.pop_first() {
                self.alarms.remove(&key);
                self.mark(key);
            }
        }
        if self.busy.len() >= self.limit {
            return None;
        }
        let key = self.due.pop_front()?;
        self.queued.remove(&key);
        self.busy.insert(key.clone(), false);
        Some(key)
    }

    pub fn done(&mut self, key: K, outcome: Outcome, now: Instant) {
        let again = self.busy.remove(&key).unwrap_or(false);
        match outcome {
            Outcome::Done => {
                self.failures.remove(&key);
            }
            Outcome::Again(after) => {
                self.failures.remove(&key);
                self.mark_at(key.clone(), now + after);
            }
            Outcome::Failed => {
                let failures = self.failures.entry(key.clone()).or_default();
                let wait = FIRST_RETRY.saturating_mul(1 << (*failures).min(10)).min(LAST_RETRY);
                *failures += 1;
                self.mark_at(key.clone(), now + wait);
                return;
            }
        }
        if again {
            self.mark(key);
        }
    }

    /// When `next` may have something that it does not have now.
    pub fn wake(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }
}

/// Sleeps until then; for ever without a time.
pub async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_worked_on_once_at_a_time_and_again_when_marked_meanwhile() {
        let now = Instant::now();
        let mut queue = Queue::new(8);
        queue.mark("a");
        queue.mark("a");
        assert_eq!(queue.next(now), Some("a"));
        assert_eq!(queue.next(now), None);
        queue.mark("a");
        assert_eq!(queue.next(now), None, "it is being worked on");
        queue.done("a", Outcome::Done, now);
        assert_eq!(queue.next(now), Some("a"));
        queue.done("a", Outcome::Done, now);
        assert_eq!(queue.next(now), None);
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_a_bound() {
        let mut now = Instant::now();
        let mut queue = Queue::new(8);
        queue.mark("a");
        let mut waits = Vec::new();
        for _ in 0..10 {
            assert_eq!(queue.next(now), Some("a"));
            queue.done("a", Outcome::Failed, now);
            assert_eq!(queue.next(now), None);
            let wake = queue.wake().unwrap();
            waits.push(wake - now);
            now = wake;
        }
        assert_eq!(waits[..3], [FIRST_RETRY, FIRST_RETRY * 2, FIRST_RETRY * 4]);
        assert_eq!(waits[9], LAST_RETRY);
    }

    #[test]
    fn no_more_keys_are_handed_out_than_the_limit() {
        let now = Instant::now();
        let mut queue = Queue::new(1);
        queue.mark("a");
        queue.mark("b");
        assert_eq!(queue.next(now), Some("a"));
        assert_eq!(queue.next(now), None);
        queue.done("a", Outcome::Again(Duration::from_secs(1)), now);
        assert_eq!(queue.next(now), Some("b"));
    }
}
