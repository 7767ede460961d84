//! What a pass came to, as the Source's status and in the log. Values in, values out, but for the log.

use jiff::Timestamp;
use kube::ResourceExt;

use super::origin;
use super::ready::Readiness;
use crate::api::conditions::{CONVERGED, PRUNE_BLOCKED, READY, RECONCILING, STALLED, Truth, Verdict, shorten};
use crate::api::source::{Failure, InventoryItem};
use crate::api::{Source, SourceStatus};
use crate::plan::status::to_seconds;

/// How many objects that are waited for a message names.
const NAMED: usize = 5;

const MAX_FAILURES: usize = 100;

/// What a pass came to.
pub struct Pass<'a> {
    pub revision: &'a str,
    pub failures: &'a [Failure],
    /// Why objects that are missing from the files stay.
    pub blocked: Option<&'a str>,
    pub readiness: &'a Result<Readiness, String>,
    /// How the remote was, for a repository.
    pub fetched: Option<&'a Verdict>,
    pub inventory: &'a [InventoryItem],
}

pub fn status(source: &Source, before: Option<&SourceStatus>, pass: &Pass<'_>, now: Timestamp) -> SourceStatus {
    let Pass { revision, failures, blocked, readiness, fetched, inventory } = pass;
    let complete = failures.is_empty();
    let ready = ready(failures, *fetched, inventory.len());
    let mut verdicts = Vec::new();
    if ready.status != Truth::True {
        verdicts.push(Verdict { kind: STALLED.into(), status: Truth::True, ..ready.clone() });
    }
    let converged = match readiness {
        Ok(readiness) => convergence(readiness, complete),
        Err(message) => Verdict::new(CONVERGED, Truth::Unknown, "Unknown", message.clone()),
    };
    if ready.status == Truth::True && converged.status != Truth::True {
        verdicts.push(Verdict { kind: RECONCILING.into(), status: Truth::True, ..converged.clone() });
    }
    verdicts.extend(fetched.cloned());
    verdicts.extend(blocked.map(|why| Verdict::new(PRUNE_BLOCKED, Truth::True, "Guarded", why)));
    verdicts.extend([ready, converged]);
    verdicts.sort_by(|a, b| a.kind.cmp(&b.kind));
    let (generation, now) = (source.metadata.generation, to_seconds(now));
    let conditions = before.map_or(&[][..], |s| &s.conditions);
    let count = |n: usize| Some(i32::try_from(n).unwrap_or(i32::MAX));
    SourceStatus {
        observed_generation: generation,
        location: origin::location(source),
        revision: match complete {
            true => Some((*revision).to_owned()),
            false => before.and_then(|s| s.revision.clone()),
        },
        applied: count(inventory.iter().filter(|i| !i.uid.is_empty()).count()),
        failed: count(failures.len()),
        failures: failures.iter().take(MAX_FAILURES).cloned().collect(),
        inventory: inventory.to_vec(),
        conditions: verdicts.iter().map(|v| v.over(conditions, generation, &now)).collect(),
    }
}

fn ready(failures: &[Failure], fetched: Option<&Verdict>, objects: usize) -> Verdict {
    // A remote that does not answer is behind everything else that may be wrong.
    if let Some(fetched) = fetched.filter(|f| f.status != Truth::True) {
        return Verdict { kind: READY.into(), status: Truth::False, ..fetched.clone() };
    }
    let Some(first) = failures.first() else {
        return Verdict::new(READY, Truth::True, "Applied", format!("{objects} objects"));
    };
    let more = if failures.len() > 1 { format!(" (and {} more)", failures.len() - 1) } else { String::new() };
    let message = shorten(&format!("{}{}{more}", place(first), first.message), 1000);
    Verdict::new(READY, Truth::False, "Failed", message)
}

/// `file:line:column: `, as far as each is known.
fn place(failure: &Failure) -> String {
    let Failure { file, line, column, message: _, snippet: _ } = failure;
    let number = |n: &Option<i64>| n.map(|n| format!(":{n}")).unwrap_or_default();
    if file.is_empty() { String::new() } else { format!("{file}{}{}: ", number(line), number(column)) }
}

pub fn convergence(readiness: &Readiness, complete: bool) -> Verdict {
    let Readiness { waiting, missing: _ } = readiness;
    match waiting.len() {
        0 if complete => Verdict::new(CONVERGED, Truth::True, "AllReady", "every object is Ready at its generation"),
        0 => Verdict::new(CONVERGED, Truth::False, "Failed", "some manifests could not be applied; see failures"),
        n => {
            let named = waiting.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
            let more = n.saturating_sub(NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            Verdict::new(CONVERGED, Truth::False, "Waiting", shorten(&format!("{named}{more}"), 1000))
        }
    }
}

/// Says each failure once, and once that it is over.
pub fn tell(source: &Source, before: Option<&SourceStatus>, after: &SourceStatus) {
    let name = source.name_any();
    let known = before.map_or(&[][..], |s| &s.failures);
    for failure in after.failures.iter().filter(|f| !known.contains(f)) {
        let snippet = failure.snippet.as_deref().map(|s| format!("\n{s}")).unwrap_or_default();
        tracing::warn!(source = name, "{}{}{snippet}", place(failure), failure.message);
    }
    if after.failures.is_empty() && !known.is_empty() {
        tracing::info!(source = name, "every manifest is applied again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::{FETCHED, find, is_true};

    fn failure(file: &str) -> Failure {
        Failure { file: file.into(), line: Some(3), column: Some(5), message: "no such field".into(), snippet: None }
    }

    fn said(failures: &[Failure], fetched: Option<&Verdict>, blocked: Option<&str>) -> SourceStatus {
        let source = serde_json::from_value(serde_json::json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Source",
            "metadata": {"name": "s", "generation": 2}, "spec": {"path": "/srv/m"},
        }))
        .unwrap();
        let readiness = Ok(Readiness::default());
        let pass = Pass { revision: "r2", failures, blocked, readiness: &readiness, fetched, inventory: &[] };
        let before = SourceStatus { revision: Some("r1".into()), ..SourceStatus::default() };
        status(&source, Some(&before), &pass, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_pass_without_failures_is_ready_at_its_revision() {
        let status = said(&[], None, None);
        assert!(is_true(&status.conditions, READY) && is_true(&status.conditions, CONVERGED));
        assert_eq!((status.revision.as_deref(), status.location.as_deref()), (Some("r2"), Some("/srv/m")));
    }

    #[test]
    fn a_failure_keeps_the_revision_and_says_where_it_is() {
        let status = said(&[failure("a.yaml"), failure("b.yaml")], None, None);
        assert_eq!((status.revision.as_deref(), status.failed), (Some("r1"), Some(2)));
        let ready = find(&status.conditions, READY).unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.message.as_str()),
            ("False", "a.yaml:3:5: no such field (and 1 more)")
        );
        assert!(is_true(&status.conditions, STALLED) && !is_true(&status.conditions, CONVERGED));
    }

    #[test]
    fn a_remote_that_fails_is_the_reason() {
        let fetched = Verdict::new(FETCHED, Truth::False, "RefNotFound", "no branch");
        let status = said(&[], Some(&fetched), Some("3 objects stay"));
        assert_eq!(find(&status.conditions, READY).unwrap().reason, "RefNotFound");
        assert!(is_true(&status.conditions, STALLED) && is_true(&status.conditions, PRUNE_BLOCKED));
    }
}
