//! What happened to an agent that people want to read in `kubectl describe`: the difference of two statuses as Events.
//! Each piece of news has a key of its own, so that telling it twice tells it once.

use crate::api::agent_status::Exit;
use crate::api::conditions::{DIRTY_WORKTREE, READY, find, is_true};
use crate::api::{Activity, AgentStatus};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Normal,
    Warning,
}

/// One Event to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Distinguishes it from all other news of the same agent.
    pub key: String,
    pub tone: Tone,
    pub reason: &'static str,
    pub action: &'static str,
    pub note: String,
}

/// What `after` says that `before` did not.
pub fn between(before: &AgentStatus, after: &AgentStatus) -> Vec<News> {
    let mut news = Vec::new();
    if let Some(session) = &after.session
        && before.session.as_ref().is_none_or(|s| s.epoch < session.epoch)
        && session.epoch > 0
    {
        let note = match session.epoch {
            1 => format!("started in tmux session {}", session.tmux),
            n => format!("started again (epoch {n}) in tmux session {}", session.tmux),
        };
        news.push(News {
            key: format!("started-{}", session.epoch),
            tone: Tone::Normal,
            reason: "Started",
            action: "Start",
            note,
        });
    }
    if let Some(exit) = &after.exit
        && before.exit.as_ref().is_none_or(|e| e.epoch != exit.epoch)
    {
        news.push(ended(exit, after.activity));
    }
    if is_true(&after.conditions, DIRTY_WORKTREE)
        && !is_true(&before.conditions, DIRTY_WORKTREE)
        && let Some(condition) = find(&after.conditions, DIRTY_WORKTREE)
    {
        news.push(News {
            key: format!("dirty-{}", condition.last_transition_time.0.as_second()),
            tone: Tone::Warning,
            reason: "DirtyWorktree",
            action: "Delete",
            note: condition.message.clone(),
        });
    }
    if let Some(worktree) = &after.worktree
        && before.worktree.as_ref().is_none_or(|w| w.path != worktree.path)
    {
        let branch = worktree.branch.as_deref().map(|b| format!(" on branch {b}")).unwrap_or_default();
        news.push(News {
            key: "worktree".into(),
            tone: Tone::Normal,
            reason: "WorktreeReady",
            action: "Checkout",
            note: format!("works in {}{branch}", worktree.path),
        });
    }
    if let Some(ready) = find(&after.conditions, READY)
        && ready.status == "False"
        && ready.reason == "CrashLoop"
        && find(&before.conditions, READY).is_none_or(|r| r.reason != ready.reason)
    {
        news.push(News {
            key: format!("crash-loop-{}", after.restarts.unwrap_or_default()),
            tone: Tone::Warning,
            reason: "CrashLoop",
            action: "Restart",
            note: ready.message.clone(),
        });
    }
    news
}

/// The last word about an agent whose object goes.
pub fn removed(message: &str) -> News {
    let note = if message.is_empty() { "ended, and its worktree was put away" } else { message };
    News { key: "removed".into(), tone: Tone::Normal, reason: "Removed", action: "Delete", note: note.to_owned() }
}

pub fn placed(host: &str) -> News {
    let note = format!("placed on host {host:?}");
    News { key: "scheduled".into(), tone: Tone::Normal, reason: "Scheduled", action: "Place", note }
}

fn ended(exit: &Exit, activity: Option<Activity>) -> News {
    let how = match (&exit.signal, exit.code) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("code {code}"),
        (None, None) => "no exit code".to_owned(),
    };
    let (tone, reason) = match activity {
        Some(Activity::Stopped) => (Tone::Normal, "Stopped"),
        _ if exit.code == Some(0) && exit.signal.is_none() => (Tone::Normal, "Finished"),
        _ => (Tone::Warning, "Failed"),
    };
    let note = format!("ended with {how} ({}) in epoch {}", exit.reason, exit.epoch);
    News { key: format!("ended-{}", exit.epoch), tone, reason, action: "End", note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn status(value: Value) -> AgentStatus {
        from_value(value).unwrap()
    }

    fn reasons(before: &AgentStatus, after: &AgentStatus) -> Vec<&'static str> {
        between(before, after).iter().map(|n| n.reason).collect()
    }

    #[test]
    fn a_start_is_told_once_per_epoch() {
        let none = AgentStatus::default();
        let first = status(json!({"session": {"tmux": "s", "epoch": 1}}));
        let second = status(json!({"session": {"tmux": "s", "epoch": 2}}));
        assert_eq!(reasons(&none, &first), ["Started"]);
        assert_eq!(reasons(&first, &first), [""; 0]);
        assert_ne!(between(&none, &first)[0].key, between(&first, &second)[0].key);
    }

    #[test]
    fn an_end_is_told_with_its_true_cause() {
        let end = |exit: Value, activity: &str| {
            let mut exit = exit;
            exit["epoch"] = json!(1);
            exit["reason"] = json!("Exited");
            exit["time"] = json!("2026-01-01T00:00:00Z");
            let after = status(json!({"exit": exit, "activity": activity}));
            between(&AgentStatus::default(), &after).remove(0)
        };
        let cases = [
            (end(json!({"code": 0}), "Finished"), "Finished", Tone::Normal, "code 0"),
            (end(json!({"code": 3}), "Failed"), "Failed", Tone::Warning, "code 3"),
            (end(json!({"signal": "SIGKILL"}), "Failed"), "Failed", Tone::Warning, "signal SIGKILL"),
            (end(json!({"signal": "SIGTERM"}), "Stopped"), "Stopped", Tone::Normal, "signal SIGTERM"),
            // Restarted already: the activity is that of the next epoch.
            (end(json!({"code": 1}), "Starting"), "Failed", Tone::Warning, "code 1"),
        ];
        for (news, reason, tone, how) in cases {
            assert_eq!((news.reason, news.tone), (reason, tone));
            assert!(news.note.contains(how), "{}", news.note);
        }
    }

    #[test]
    fn a_dirty_worktree_is_told_when_it_turns_so() {
        let dirty = status(json!({"conditions": [{"type": "DirtyWorktree", "status": "True", "reason": "Uncommitted",
            "message": "2 files", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}));
        assert_eq!(reasons(&AgentStatus::default(), &dirty), ["DirtyWorktree"]);
        assert_eq!(reasons(&dirty, &dirty), [""; 0]);
    }
}
