//! When which signal goes out, once the end has come: a pure decision over deadlines, acted upon by the session.
//! TERM first, HUP for those (interactive shells) that ignore it, KILL for the whole tree when the grace is over.

use crate::wire::ExitReason;

/// After the command has exited by itself, how long what it started may take to end.
const LEFTOVER_GRACE_MS: i64 = 2000;
/// Once everybody has been killed, how long to wait for the terminal's last bytes.
const LAST_BYTES_MS: i64 = 1000;
const HUP_AFTER_MS: i64 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// To the process groups; to the whole tree as well once the command itself has gone.
    Term,
    Hup,
    /// To everybody that can be found. Repeated until nobody is left.
    Kill,
    /// Write the exit record.
    Finish,
}

#[derive(Debug, Default)]
pub struct Ending {
    asked: Option<Asked>,
    exited_ms: Option<i64>,
    /// The next step of each kind is still to be taken.
    term_sent: bool,
    hup_sent: bool,
    leftovers_termed: bool,
}

#[derive(Debug)]
struct Asked {
    why: ExitReason,
    since_ms: i64,
    kill_ms: i64,
}

/// What the session sees around it.
pub struct Sight {
    pub now_ms: i64,
    /// Nobody has the command's terminal open any more and everything has been read from it.
    pub terminal_drained: bool,
    /// Anybody of the tree still lives.
    pub survivors: bool,
}

impl Ending {
    /// A second request can only shorten the first one.
    pub fn ask(&mut self, why: ExitReason, now_ms: i64, grace_ms: u32) {
        let kill_ms = now_ms + i64::from(grace_ms);
        match &mut self.asked {
            Some(asked) => asked.kill_ms = asked.kill_ms.min(kill_ms),
            None => self.asked = Some(Asked { why, since_ms: now_ms, kill_ms }),
        }
    }

    pub fn command_exited(&mut self, now_ms: i64) {
        self.exited_ms.get_or_insert(now_ms);
    }

    /// Who asked for the end before it came.
    pub fn asked(&self) -> Option<ExitReason> {
        self.asked.as_ref().map(|asked| asked.why)
    }

    pub fn under_way(&self) -> bool {
        self.asked.is_some() || self.exited_ms.is_some()
    }

    /// No more than the terminal's own buffer can come now; nobody needs to be waited for.
    pub fn killing(&self, now_ms: i64) -> bool {
        self.kill_at().is_some_and(|at| now_ms >= at)
    }

    fn kill_at(&self) -> Option<i64> {
        let leftovers = self.exited_ms.map(|at| at + LEFTOVER_GRACE_MS);
        let asked = self.asked.as_ref().map(|asked| asked.kill_ms);
        leftovers.into_iter().chain(asked).min()
    }

    pub fn step(&mut self, sight: &Sight) -> Step {
        let Some(kill_at) = self.kill_at() else { return Step::Nothing };
        let now_ms = sight.now_ms;
        if self.exited_ms.is_some() {
            let patience_over = now_ms >= kill_at + LAST_BYTES_MS;
            if patience_over || (sight.terminal_drained && !sight.survivors) {
                return Step::Finish;
            }
            if now_ms >= kill_at {
                return if sight.survivors { Step::Kill } else { Step::Nothing };
            }
            if sight.survivors && !std::mem::replace(&mut self.leftovers_termed, true) {
                return Step::Term;
            }
            return Step::Nothing;
        }
        if now_ms >= kill_at {
            return Step::Kill;
        }
        let Some(asked) = &self.asked else { return Step::Nothing };
        if !std::mem::replace(&mut self.term_sent, true) {
            return Step::Term;
        }
        let hup_at = asked.since_ms + HUP_AFTER_MS.min((kill_at - asked.since_ms) / 2);
        if now_ms >= hup_at && !std::mem::replace(&mut self.hup_sent, true) {
            return Step::Hup;
        }
        Step::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(now_ms: i64, terminal_drained: bool, survivors: bool) -> Sight {
        Sight { now_ms, terminal_drained, survivors }
    }

    #[test]
    fn a_stop_escalates_from_term_over_hup_to_kill() {
        let mut ending = Ending::default();
        assert_eq!(ending.step(&sight(0, false, true)), Step::Nothing);
        ending.ask(ExitReason::Stopped, 1000, 10_000);
        let steps: Vec<Step> =
            [1000, 1001, 1500, 1501, 10_999, 11_000, 11_050].map(|t| ending.step(&sight(t, false, true))).into();
        use Step::*;
        assert_eq!(steps, [Term, Nothing, Hup, Nothing, Nothing, Kill, Kill]);
        ending.command_exited(11_060);
        assert_eq!(ending.step(&sight(11_060, false, true)), Kill);
        assert_eq!(ending.step(&sight(11_070, true, false)), Finish);
        assert_eq!(ending.asked(), Some(ExitReason::Stopped));
    }

    #[test]
    fn no_grace_kills_at_once_and_a_second_request_only_shortens() {
        let mut ending = Ending::default();
        ending.ask(ExitReason::Stopped, 0, 60_000);
        assert_eq!(ending.step(&sight(0, false, true)), Step::Term);
        ending.ask(ExitReason::TerminalLost, 100, 0);
        assert_eq!(ending.step(&sight(100, false, true)), Step::Kill);
        ending.ask(ExitReason::Stopped, 100, 60_000);
        assert_eq!(ending.step(&sight(101, false, true)), Step::Kill);
        assert_eq!(ending.asked(), Some(ExitReason::Stopped));
    }

    #[test]
    fn a_command_that_exits_alone_finishes_when_its_terminal_is_empty() {
        let mut ending = Ending::default();
        ending.command_exited(0);
        assert_eq!(ending.step(&sight(0, false, false)), Step::Nothing);
        assert_eq!(ending.step(&sight(20, true, false)), Step::Finish);
    }

    #[test]
    fn what_a_command_leaves_behind_is_termed_then_killed_and_cannot_hold_up_the_end() {
        let mut ending = Ending::default();
        ending.command_exited(0);
        assert_eq!(ending.step(&sight(0, true, true)), Step::Term);
        assert_eq!(ending.step(&sight(100, true, true)), Step::Nothing);
        assert_eq!(ending.step(&sight(2000, true, true)), Step::Kill);
        assert_eq!(ending.step(&sight(3000, false, true)), Step::Finish);
    }
}
