//! Who of several control planes acts: one Lease, and what to do about it as a function of what it says and of how long it
//! has said so by one's own clock. Clocks of others are not trusted: only the time since the record last changed counts.

use std::time::Duration;

/// How long others wait for a leader that went silent.
pub const LEASE: Duration = Duration::from_secs(15);

/// A leader that could not renew for this long stops acting. The rest of `LEASE` is for what it already sent.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Between two renewals, and between two looks at somebody else's Lease.
pub const RETRY: Duration = Duration::from_secs(2);

/// The Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Nobody where it was given back.
    pub holder: Option<String>,
    /// What the holder asked for.
    pub lease: Duration,
    /// Changes with every renewal.
    pub version: String,
    pub transitions: i32,
}

/// A record, and for how long it has been the same.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub record: &'a Record,
    pub unchanged_for: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no Lease.
    Create,
    /// Nobody has it, or whoever had it has been silent for too long.
    Take { transitions: i32 },
    /// It is ours.
    Renew { transitions: i32 },
    /// Somebody else's: look again after this time at the latest.
    Wait(Duration),
}

pub fn step(seen: Option<Seen<'_>>, me: &str) -> Step {
    let Some(Seen { record, unchanged_for }) = seen else { return Step::Create };
    let Record { holder, lease, version: _, transitions } = record;
    match holder.as_deref() {
        None | Some("") => Step::Take { transitions: transitions.saturating_add(1) },
        Some(holder) if holder == me => Step::Renew { transitions: *transitions },
        Some(_) if unchanged_for >= *lease => Step::Take { transitions: transitions.saturating_add(1) },
        Some(_) => Step::Wait((*lease - unchanged_for).min(RETRY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: Option<&str>) -> Record {
        Record { holder: holder.map(Into::into), lease: LEASE, version: "7".into(), transitions: 3 }
    }

    fn after(record: &Record, seconds: u64) -> Step {
        step(Some(Seen { record, unchanged_for: Duration::from_secs(seconds) }), "me")
    }

    #[test]
    fn a_lease_is_taken_when_it_is_nobody_s_or_its_holder_is_silent() {
        assert_eq!(step(None, "me"), Step::Create);
        assert_eq!(after(&record(None), 0), Step::Take { transitions: 4 });
        assert_eq!(after(&record(Some("")), 0), Step::Take { transitions: 4 });
        assert_eq!(after(&record(Some("other")), 15), Step::Take { transitions: 4 });
    }

    #[test]
    fn a_lease_of_somebody_who_renews_is_left_alone() {
        assert_eq!(after(&record(Some("other")), 0), Step::Wait(RETRY));
        assert_eq!(after(&record(Some("other")), 14), Step::Wait(Duration::from_secs(1)));
    }

    #[test]
    fn one_s_own_is_renewed_without_a_transition() {
        assert_eq!(after(&record(Some("me")), 100), Step::Renew { transitions: 3 });
    }

    #[test]
    fn a_leader_stops_before_another_may_begin() {
        assert!(DEADLINE + RETRY < LEASE);
    }
}
