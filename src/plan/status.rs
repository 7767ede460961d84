//! What an Agent's status should say, from what its host observed: the fields that `host/<name>` owns, which are all but
//! hostName, number and condition Scheduled. Also how soon a difference deserves a write.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::agent_status::Exit;
use crate::api::conditions::{
    DIRTY_WORKTREE, READY, RECONCILING, SCHEDULED, STALLED, Truth, UNSUPPORTED, Verdict, find, shorten,
};
use crate::api::link::Observed;
use crate::api::{Activity, AgentStatus};

/// Reason of Ready while the link to the host is gone.
pub const HOST_LOST: &str = "HostLost";

/// How long a host may be silent before nothing it said is trusted: eight of its heartbeats.
pub const HOST_GRACE: Duration = Duration::from_secs(40);

/// A busy terminal moves its log all the time; people look at the log itself, so the numbers may lag.
const LOG_REFRESH: Duration = Duration::from_secs(30);

/// Messages, counters of changes and the like.
const REFRESH: Duration = Duration::from_secs(1);

/// `DirtyWorktree` and these reasons of Ready wait for a person; every other False is on its way.
const STALLING: [&str; 4] = ["Failed", "DirtyWorktree", "CannotStart", "InvalidSpec"];

/// When a difference between two statuses should be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// They say the same.
    Nothing,
    /// At the earliest this long after the last write.
    After(Duration),
    /// An edge that somebody waits for.
    Now,
}

/// What the control plane knows beside what the host observed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Why the agent cannot be started although it was placed.
    pub blocked: Option<&'a Verdict>,
    /// What of its spec this version does not act on.
    pub unsupported: Option<&'a Verdict>,
}

/// The status to apply after `observed`, given the one that is there. Transition times stay where nothing turned.
pub fn report(current: &AgentStatus, observed: &Observed, known: Known<'_>, now: Timestamp) -> AgentStatus {
    // Destructured in full: a new fact must be thought of here.
    let Observed {
        uid: _,
        namespace: _,
        name: _,
        version: _,
        desired_version: _,
        generation,
        verdicts,
        activity,
        activity_since_ms,
        activity_source,
        message,
        session,
        worktree,
        log,
        restarts,
        exit,
        effective,
        repo: _,
        removed: _,
    } = observed;
    let generation = Some(*generation);
    let others = [SCHEDULED, UNSUPPORTED];
    let mut verdicts: Vec<Verdict> = verdicts.iter().filter(|v| !others.contains(&v.kind.as_str())).cloned().collect();
    summarise(&mut verdicts, *activity, known.blocked);
    verdicts.extend(known.unsupported.cloned());
    AgentStatus {
        observed_generation: generation,
        host_name: None,
        number: None,
        activity: Some(*activity),
        activity_since: Timestamp::from_millisecond(*activity_since_ms).ok().map(to_seconds),
        activity_source: Some(shorten(activity_source, 64)).filter(|s| !s.is_empty()),
        message: Some(shorten(message, 200)).filter(|m| !m.is_empty()),
        session: session.clone(),
        worktree: worktree.clone(),
        pull_request: None,
        links: None,
        usage: None,
        log: *log,
        restarts: Some(*restarts),
        exit: exit.clone().map(|exit| Exit { time: to_seconds(exit.time.0), ..exit }),
        approvals: None,
        question: None,
        effective: effective.clone(),
        conditions: conditions(&current.conditions, &verdicts, generation, now),
    }
}

/// The status while the host cannot be heard: what was last seen stays, but nothing of it is trusted.
pub fn lost(current: &AgentStatus, host: &str, since: Timestamp, now: Timestamp) -> AgentStatus {
    let message = format!(
        "host {host:?} has not been heard from since {}; the agent may well be running there: start `regatta host run` on it",
        to_seconds(since).0
    );
    let generation = current.observed_generation;
    let mut status = owned(current);
    let unknown =
        Verdict::new(READY, Truth::Unknown, HOST_LOST, message).over(&current.conditions, generation, &to_seconds(now));
    status.conditions.retain(|c| ![READY, RECONCILING, STALLED].contains(&c.type_.as_str()));
    status.conditions.push(unknown);
    status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    if !matches!(status.activity, Some(Activity::Finished | Activity::Failed | Activity::Stopped | Activity::Unknown)) {
        status.activity = Some(Activity::Unknown);
        status.activity_since = Some(to_seconds(now));
        status.activity_source = Some("link".into());
    }
    status
}

/// The part of a status that `host/<name>` owns.
pub fn owned(status: &AgentStatus) -> AgentStatus {
    let mut owned = status.clone();
    owned.host_name = None;
    owned.number = None;
    // The forge's and the approvals' controllers write these.
    owned.pull_request = None;
    owned.links = None;
    owned.approvals = None;
    owned.question = None;
    owned.conditions.retain(|c| c.type_ != SCHEDULED);
    owned.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    owned
}

/// How soon `after` should replace `before`; both are owned parts.
pub fn urgency(before: &AgentStatus, after: &AgentStatus) -> Urgency {
    if before == after {
        return Urgency::Nothing;
    }
    let without_log = |status: &AgentStatus| AgentStatus { log: None, ..status.clone() };
    if before.log.is_some() && without_log(before) == without_log(after) {
        return Urgency::After(LOG_REFRESH);
    }
    if edges(before) == edges(after) { Urgency::After(REFRESH) } else { Urgency::Now }
}

/// What somebody may be waiting for.
fn edges(status: &AgentStatus) -> impl PartialEq {
    (
        status.observed_generation,
        status.activity,
        status.session.as_ref().map(|s| (s.epoch, s.tmux.clone())),
        status.worktree.as_ref().map(|w| (w.path.clone(), w.branch.clone())),
        status.restarts,
        status.exit.clone(),
        status.effective.clone(),
        status
            .conditions
            .iter()
            .map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone(), c.observed_generation))
            .collect::<Vec<_>>(),
    )
}

/// Adds Reconciling or Stalled, the one that fits, to what the host decided; neither when all is well.
fn summarise(verdicts: &mut Vec<Verdict>, activity: Activity, blocked: Option<&Verdict>) {
    verdicts.retain(|v| ![RECONCILING, STALLED].contains(&v.kind.as_str()));
    if !verdicts.iter().any(|v| v.kind == READY) {
        verdicts.push(Verdict::new(READY, Truth::Unknown, "NotReported", "the host has not said how the agent is yet"));
    }
    let ready = verdicts.iter().find(|v| v.kind == READY).expect("added just above where it was missing").clone();
    if ready.status == Truth::True {
        return;
    }
    let dirty = verdicts.iter().any(|v| v.kind == DIRTY_WORKTREE && v.status == Truth::True);
    let is_blocked = blocked.is_some_and(|b| b.reason == ready.reason);
    let stalled = dirty || is_blocked || activity == Activity::Failed || STALLING.contains(&ready.reason.as_str());
    let kind = if stalled { STALLED } else { RECONCILING };
    verdicts.push(Verdict { kind: kind.into(), status: Truth::True, ..ready });
}

fn conditions(before: &[Condition], verdicts: &[Verdict], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let now = to_seconds(now);
    let mut conditions: Vec<Condition> = Vec::with_capacity(verdicts.len());
    for verdict in verdicts {
        // A host that names a type twice must not make the whole status unwritable; its first word counts.
        if find(&conditions, &verdict.kind).is_none() {
            conditions.push(verdict.over(before, generation, &now));
        }
    }
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    conditions
}

/// Kubernetes times are whole seconds; a fraction would make every comparison with a stored status differ.
pub fn to_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::agent_status::{LogRange, Session};
    use crate::api::conditions::is_true;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn observed(verdicts: Vec<Verdict>, activity: Activity) -> Observed {
        Observed {
            uid: "u".into(),
            namespace: "default".into(),
            name: "a".into(),
            version: String::new(),
            desired_version: "v".into(),
            generation: 2,
            verdicts,
            activity,
            activity_since_ms: 1_800_000_000_750,
            activity_source: "session".into(),
            message: String::new(),
            session: Some(Session { tmux: "regatta-1 ag-u".into(), conversation_id: None, pid: Some(7), epoch: 1 }),
            worktree: None,
            log: Some(LogRange { first: 0, head: 10 }),
            restarts: 0,
            exit: None,
            effective: None,
            repo: None,
            removed: false,
        }
    }

    fn ready(status: Truth, reason: &str) -> Verdict {
        Verdict::new(READY, status, reason, "")
    }

    fn kinds(status: &AgentStatus) -> Vec<&str> {
        status.conditions.iter().map(|c| c.type_.as_str()).collect()
    }

    #[test]
    fn the_same_observation_twice_is_no_difference_even_after_storage() {
        let seen = observed(vec![ready(Truth::True, "Running")], Activity::Working);
        let first = report(&AgentStatus::default(), &seen, Known::default(), at(0));
        let stored: AgentStatus = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
        let again = report(&stored, &seen, Known::default(), at(60));
        assert_eq!(urgency(&owned(&stored), &again), Urgency::Nothing);
    }

    #[test]
    fn ready_carries_the_generation_that_the_host_acted_on() {
        let seen = observed(vec![ready(Truth::True, "Running")], Activity::Working);
        let status = report(&AgentStatus::default(), &seen, Known::default(), at(0));
        assert_eq!(status.observed_generation, Some(2));
        assert_eq!(find(&status.conditions, READY).unwrap().observed_generation, Some(2));
    }

    #[test]
    fn abnormal_conditions_are_absent_when_all_is_well() {
        let table = [
            (ready(Truth::True, "Running"), Activity::Working, vec![READY]),
            (ready(Truth::False, "Starting"), Activity::Starting, vec![READY, RECONCILING]),
            (ready(Truth::False, "CrashLoop"), Activity::Starting, vec![READY, RECONCILING]),
            (ready(Truth::False, "Failed"), Activity::Failed, vec![READY, STALLED]),
            (ready(Truth::False, "DirtyWorktree"), Activity::Stopped, vec![READY, STALLED]),
        ];
        for (verdict, activity, expected) in table {
            let reason = verdict.reason.clone();
            let status = report(&AgentStatus::default(), &observed(vec![verdict], activity), Known::default(), at(0));
            assert_eq!(kinds(&status), expected, "{reason}");
        }
    }

    #[test]
    fn what_blocks_the_agent_stalls_it() {
        let blocked = ready(Truth::False, "RepoNotFound");
        let seen = observed(vec![blocked.clone()], Activity::Unknown);
        assert!(is_true(
            &report(&AgentStatus::default(), &seen, Known { blocked: Some(&blocked), unsupported: None }, at(0))
                .conditions,
            STALLED
        ));
    }

    #[test]
    fn what_is_not_acted_on_is_said_beside_ready_and_goes_with_the_wish() {
        let unsupported = Verdict::new(UNSUPPORTED, Truth::True, "NotImplemented", "spec.healing");
        let seen = observed(vec![ready(Truth::True, "Running")], Activity::Working);
        let known = Known { blocked: None, unsupported: Some(&unsupported) };
        let said = report(&AgentStatus::default(), &seen, known, at(0));
        assert_eq!(kinds(&said), [READY, UNSUPPORTED]);
        assert_eq!(urgency(&owned(&said), &report(&said, &seen, known, at(60))), Urgency::Nothing);
        assert_eq!(kinds(&report(&said, &seen, Known::default(), at(60))), [READY]);
    }

    #[test]
    fn placement_s_fields_are_never_part_of_what_a_host_says() {
        let mut seen = observed(vec![ready(Truth::True, "Running")], Activity::Idle);
        seen.verdicts.push(Verdict::new(SCHEDULED, Truth::False, "Nonsense", ""));
        let status = report(&AgentStatus::default(), &seen, Known::default(), at(0));
        assert_eq!((status.host_name.as_ref(), status.number), (None, None));
        assert!(find(&status.conditions, SCHEDULED).is_none());
    }

    #[test]
    fn edges_are_written_at_once_and_a_moving_log_seldom() {
        let mut seen = observed(vec![ready(Truth::True, "Running")], Activity::Working);
        let before = report(&AgentStatus::default(), &seen, Known::default(), at(0));
        seen.log = Some(LogRange { first: 0, head: 99 });
        let moved = report(&before, &seen, Known::default(), at(1));
        assert_eq!(urgency(&before, &moved), Urgency::After(LOG_REFRESH));
        seen.message = "compiling".into();
        assert_eq!(urgency(&before, &report(&before, &seen, Known::default(), at(1))), Urgency::After(REFRESH));
        seen.activity = Activity::NeedsInput;
        assert_eq!(urgency(&before, &report(&before, &seen, Known::default(), at(1))), Urgency::Now);
    }

    #[test]
    fn a_lost_host_makes_ready_unknown_and_its_return_restores_it() {
        let seen = observed(vec![ready(Truth::True, "Running")], Activity::Working);
        let before = report(&AgentStatus::default(), &seen, Known::default(), at(0));
        let gone = lost(&before, "fermi", at(0), at(41));
        let condition = find(&gone.conditions, READY).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("Unknown", HOST_LOST));
        assert!(condition.message.contains("fermi"));
        assert_eq!(gone.session, before.session);
        assert_eq!(gone.activity, Some(Activity::Unknown));
        assert_eq!(urgency(&gone, &lost(&gone, "fermi", at(0), at(50))), Urgency::Nothing);
        let back = report(&gone, &seen, Known::default(), at(60));
        assert!(is_true(&back.conditions, READY));
        assert_eq!(urgency(&gone, &back), Urgency::Now);
    }
}
