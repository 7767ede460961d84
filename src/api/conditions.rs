//! Conditions: the one way in which an object says how it is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

pub const READY: &str = "Ready";
pub const RECONCILING: &str = "Reconciling";
pub const STALLED: &str = "Stalled";
pub const SCHEDULED: &str = "Scheduled";
pub const WORKTREE_READY: &str = "WorktreeReady";
pub const SESSION_READY: &str = "SessionReady";
pub const FINISHED: &str = "Finished";
pub const DIRTY_WORKTREE: &str = "DirtyWorktree";
pub const FETCHED: &str = "Fetched";
pub const CONVERGED: &str = "Converged";
pub const PRUNE_BLOCKED: &str = "PruneBlocked";

/// True while the spec asks for something that this version does not act on; absent otherwise.
pub const UNSUPPORTED: &str = "Unsupported";

/// The reason of everything that this version does not act on.
pub const NOT_IMPLEMENTED: &str = "NotImplemented";

/// True, False or Unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    pub fn as_str(self) -> &'static str {
        match self {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        }
    }
}

/// A condition as somebody decided it; when it last changed is known only by comparison with what was there before.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: Truth,
    pub reason: String,
    pub message: String,
}

impl Verdict {
    pub fn new(kind: &str, status: Truth, reason: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), status, reason: reason.into(), message: message.into() }
    }

    /// The condition to write: the transition time stays unless the status differs from what `before` holds.
    pub fn over(&self, before: &[Condition], generation: Option<i64>, now: &Time) -> Condition {
        let last = find(before, &self.kind).filter(|c| c.status == self.status.as_str());
        Condition {
            type_: self.kind.clone(),
            status: self.status.as_str().into(),
            reason: self.reason.clone(),
            message: shorten(&self.message, 2000),
            last_transition_time: last.map_or_else(|| now.clone(), |c| c.last_transition_time.clone()),
            observed_generation: generation,
        }
    }
}

pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}

pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|c| c.status == "True")
}

/// At most `max` bytes, cut at a character.
pub fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        serde_json::from_value(serde_json::json!(text)).expect("a time")
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let (early, late) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T01:00:00Z"));
        let first = Verdict::new(READY, Truth::False, "Starting", "").over(&[], Some(1), &early);
        let same = Verdict::new(READY, Truth::False, "Failed", "x").over(std::slice::from_ref(&first), Some(2), &late);
        assert_eq!(same.last_transition_time, early);
        let turned = Verdict::new(READY, Truth::True, "Running", "").over(&[same], Some(2), &late);
        assert_eq!(turned.last_transition_time, late);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(shorten("ab", 2), "ab");
        assert_eq!(shorten("ääää", 6), "ä…");
    }
}
