//! The wake of an agent: how much it printed in each of the last sixty minutes, and what it was doing.

use super::log::Index;
use serde::Serialize;
use std::collections::VecDeque;

pub const MINUTES: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WakeState {
    Working,
    Needs,
    Limited,
    Idle,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WakeBar {
    #[serde(rename = "b")]
    pub bytes: u64,
    #[serde(rename = "s")]
    pub state: WakeState,
}

/// Bars up to `minute`, the last one still growing. A bar without a state shows what its bytes suggest.
pub struct Wake {
    minute: i64,
    bars: VecDeque<(u64, Option<WakeState>)>,
}

impl Wake {
    pub fn from_index(index: &Index, now_ms: i64, head: u64) -> Wake {
        let bars = index.bytes_per_minute(now_ms, MINUTES, head).into_iter().map(|bytes| (bytes, None)).collect();
        Wake { minute: now_ms.div_euclid(60_000), bars }
    }

    pub fn add(&mut self, now_ms: i64, bytes: u64) {
        self.current(now_ms).0 += bytes;
    }

    pub fn set_state(&mut self, now_ms: i64, state: WakeState) {
        self.current(now_ms).1 = Some(state);
    }

    pub fn bars(&mut self, now_ms: i64, alive: bool) -> Vec<WakeBar> {
        self.current(now_ms);
        let last = self.bars.len() - 1;
        let bar = |(i, (bytes, state)): (usize, &(u64, Option<WakeState>))| {
            let suggested = match (*bytes, alive || i < last) {
                (0, true) => WakeState::Idle,
                (0, false) => WakeState::End,
                (_, _) => WakeState::Working,
            };
            WakeBar { bytes: *bytes, state: state.unwrap_or(suggested) }
        };
        self.bars.iter().enumerate().map(bar).collect()
    }

    fn current(&mut self, now_ms: i64) -> &mut (u64, Option<WakeState>) {
        let minute = now_ms.div_euclid(60_000);
        // A clock set back goes on in the present bar.
        let passed = usize::try_from(minute - self.minute).unwrap_or(0).min(MINUTES);
        for _ in 0..passed {
            if self.bars.len() == MINUTES {
                self.bars.pop_front();
            }
            // What an agent was doing it goes on doing until somebody says otherwise.
            let state = self.bars.back().and_then(|(_, state)| *state);
            self.bars.push_back((0, state));
        }
        self.minute = self.minute.max(minute);
        let last = self.bars.len() - 1;
        &mut self.bars[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_agent_has_as_many_bars_as_minutes() {
        let mut wake = Wake { minute: 100, bars: VecDeque::from([(3, None)]) };
        assert_eq!(wake.bars(101 * 60_000, true).len(), 2);
        assert_eq!(wake.bars(500 * 60_000, true).len(), MINUTES);
    }

    #[test]
    fn bars_move_with_the_minutes_and_never_back() {
        let mut wake = Wake { minute: 100, bars: VecDeque::from([(0, None); MINUTES]) };
        wake.add(100 * 60_000, 5);
        wake.add(102 * 60_000, 7);
        wake.add(101 * 60_000, 1);
        let bars = wake.bars(102 * 60_000, true);
        let tail: Vec<u64> = bars[MINUTES - 3..].iter().map(|bar| bar.bytes).collect();
        assert_eq!((bars.len(), tail), (MINUTES, vec![5, 0, 8]));
        assert_eq!((bars[0].state, bars[MINUTES - 1].state), (WakeState::Idle, WakeState::Working));
        wake.set_state(103 * 60_000, WakeState::Needs);
        assert_eq!(wake.bars(104 * 60_000, true)[MINUTES - 1], WakeBar { bytes: 0, state: WakeState::Needs });
        assert_eq!(wake.bars(i64::MAX, false).len(), MINUTES);
    }
}
