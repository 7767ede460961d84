//! Which Host an agent goes to, and what keeps it from each. An agent that has a Host is never moved.

use std::collections::BTreeMap;

use kube::core::{Selector, SelectorExt};

use crate::api::HostSpec;
use crate::api::agent::HostChoice;
use crate::api::conditions::{SCHEDULED, Truth, Verdict};

/// Reasons of condition `Scheduled`.
pub const PLACED: &str = "Placed";
pub const NO_HOST_READY: &str = "NoHostReady";
pub const NO_HOST_FITS: &str = "NoHostFits";

/// How many hosts a message names before it only counts them.
const NAMED_HOSTS: usize = 8;

/// A Host as placement sees it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub name: &'a str,
    pub labels: Option<&'a BTreeMap<String, String>>,
    pub spec: &'a HostSpec,
    pub ready: bool,
    /// Agents already placed there, those placed a moment ago included.
    pub agents: usize,
}

/// What an agent asks of its Host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// The agent's own choice, or its class's.
    pub choice: Option<&'a HostChoice>,
    /// The Host that holds the agent's repository, where that is a directory of one machine.
    pub pinned: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    On { host: String, verdict: Verdict },
    Wait(Verdict),
}

/// The Ready host with the fewest agents among those that fit; of equals, the first by name.
pub fn place(wish: Wish<'_>, hosts: &[Candidate<'_>]) -> Placement {
    let selector = match selector(wish.choice) {
        Ok(selector) => selector,
        Err(message) => return Placement::Wait(Verdict::new(SCHEDULED, Truth::False, NO_HOST_FITS, message)),
    };
    let mut best: Option<&Candidate<'_>> = None;
    let mut kept_away = Vec::new();
    for host in hosts {
        match obstacle(wish, &selector, host) {
            Some(why) => kept_away.push((host, why)),
            None if best.is_none_or(|b| (host.agents, host.name) < (b.agents, b.name)) => best = Some(host),
            None => {}
        }
    }
    match best {
        Some(host) => Placement::On {
            host: host.name.to_owned(),
            verdict: Verdict::new(SCHEDULED, Truth::True, PLACED, format!("placed on host {:?}", host.name)),
        },
        None => Placement::Wait(explain(wish, kept_away)),
    }
}

/// What keeps an agent from a host.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstacle {
    OtherName,
    OtherRepository(String),
    Labels,
    NotReady,
    Unschedulable,
    Draining,
    Taint(String),
    Full(usize),
}

fn obstacle(wish: Wish<'_>, selector: &Selector, host: &Candidate<'_>) -> Option<Obstacle> {
    let HostSpec { unschedulable, taints, max_agents, drain } = host.spec;
    let no_labels = BTreeMap::new();
    if wish.choice.and_then(|c| c.name.as_deref()).is_some_and(|name| name != host.name) {
        return Some(Obstacle::OtherName);
    }
    if let Some(pinned) = wish.pinned.filter(|p| *p != host.name) {
        return Some(Obstacle::OtherRepository(pinned.to_owned()));
    }
    if !selector.matches(host.labels.unwrap_or(&no_labels)) {
        return Some(Obstacle::Labels);
    }
    if !host.ready {
        return Some(Obstacle::NotReady);
    }
    if unschedulable == &Some(true) {
        return Some(Obstacle::Unschedulable);
    }
    if drain.is_some() {
        return Some(Obstacle::Draining);
    }
    let tolerations = wish.choice.map_or(&[][..], |c| &c.tolerations);
    if let Some(taint) = taints.iter().find(|taint| !tolerations.iter().any(|t| t.tolerates(taint))) {
        return Some(Obstacle::Taint(taint.key.clone()));
    }
    let room = max_agents.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(0));
    (host.agents >= room).then_some(Obstacle::Full(room))
}

fn selector(choice: Option<&HostChoice>) -> Result<Selector, String> {
    let Some(selector) = choice.and_then(|c| c.selector.clone()) else {
        return Ok(Selector::default());
    };
    selector.try_into().map_err(|e| {
        format!("spec.host.selector cannot be read: {e}; use operator In, NotIn, Exists or DoesNotExist with values")
    })
}

fn explain(wish: Wish<'_>, kept_away: Vec<(&Candidate<'_>, Obstacle)>) -> Verdict {
    let named = wish.choice.and_then(|c| c.name.as_deref());
    let wait = |reason, message: String| Verdict::new(SCHEDULED, Truth::False, reason, message);
    if let Some(name) = named
        && kept_away.iter().all(|(_, why)| *why == Obstacle::OtherName)
    {
        return wait(
            NO_HOST_FITS,
            format!(
                "spec.host.name asks for host {name:?}, which is not known; join it with `regatta host join`, or change spec.host"
            ),
        );
    }
    // Who was never meant says nothing about why the agent waits.
    let meant: Vec<_> = kept_away.into_iter().filter(|(_, why)| *why != Obstacle::OtherName).collect();
    if meant.iter().all(|(_, why)| *why == Obstacle::NotReady) {
        let who = match meant.len() {
            0 => "there is no host yet".to_owned(),
            _ => list(meant.iter().map(|(host, _)| format!("{:?}", host.name)), " not connected"),
        };
        return wait(
            NO_HOST_READY,
            format!("no host is Ready: {who}; start one with `regatta up`, or join one with `regatta host join`"),
        );
    }
    let why = list(meant.iter().map(|(host, why)| format!("{:?} {}", host.name, words(why))), "");
    wait(NO_HOST_FITS, format!("no host fits: {why}; change spec.host of the agent or its class, or the hosts"))
}

fn words(why: &Obstacle) -> String {
    match why {
        Obstacle::OtherName => "has another name than spec.host.name".into(),
        Obstacle::OtherRepository(host) => format!("does not have the repository, whose path is on host {host:?}"),
        Obstacle::Labels => "lacks labels that spec.host.selector asks for".into(),
        Obstacle::NotReady => "is not connected".into(),
        Obstacle::Unschedulable => "is cordoned (spec.unschedulable)".into(),
        Obstacle::Draining => "is being emptied (spec.drain)".into(),
        Obstacle::Taint(key) => format!("has taint {key:?}, which spec.host.tolerations does not name"),
        Obstacle::Full(max) => format!("is full (spec.maxAgents is {max})"),
    }
}

fn list(items: impl ExactSizeIterator<Item = String>, ending: &str) -> String {
    let more = items.len().saturating_sub(NAMED_HOSTS);
    let named = items.take(NAMED_HOSTS).collect::<Vec<_>>().join(", ");
    if more == 0 { format!("{named}{ending}") } else { format!("{named} and {more} more{ending}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::host::{Taint, Toleration};

    fn candidate<'a>(name: &'a str, spec: &'a HostSpec, agents: usize) -> Candidate<'a> {
        Candidate { name, labels: None, spec, ready: true, agents }
    }

    fn on(placement: &Placement) -> &str {
        match placement {
            Placement::On { host, .. } => host,
            Placement::Wait(verdict) => panic!("waits: {}", verdict.message),
        }
    }

    fn waits(placement: Placement) -> (String, String) {
        match placement {
            Placement::On { host, .. } => panic!("placed on {host}"),
            Placement::Wait(verdict) => (verdict.reason, verdict.message),
        }
    }

    fn named(name: &str) -> HostChoice {
        HostChoice { name: Some(name.into()), ..Default::default() }
    }

    #[test]
    fn the_least_loaded_host_wins_and_of_equals_the_first_by_name() {
        let free = HostSpec::default();
        let hosts = [candidate("c", &free, 1), candidate("b", &free, 1), candidate("a", &free, 2)];
        assert_eq!(on(&place(Wish::default(), &hosts)), "b");
    }

    #[test]
    fn without_any_host_the_agent_waits_and_is_told_how_to_get_one() {
        let (reason, message) = waits(place(Wish::default(), &[]));
        assert_eq!(reason, NO_HOST_READY);
        assert!(message.contains("regatta up"), "{message}");
    }

    #[test]
    fn a_host_that_is_not_connected_takes_nothing() {
        let free = HostSpec::default();
        let gone = Candidate { ready: false, ..candidate("fermi", &free, 0) };
        let (reason, message) = waits(place(Wish::default(), &[gone]));
        assert_eq!(reason, NO_HOST_READY);
        assert!(message.contains("\"fermi\""), "{message}");
    }

    #[test]
    fn each_host_is_named_with_what_keeps_the_agent_away() {
        let cordoned = HostSpec { unschedulable: Some(true), ..Default::default() };
        let full = HostSpec { max_agents: Some(2), ..Default::default() };
        let tainted = HostSpec { taints: vec![Taint { key: "gpu".into(), value: None }], ..Default::default() };
        let hosts = [candidate("a", &cordoned, 0), candidate("b", &full, 2), candidate("c", &tainted, 0)];
        let (reason, message) = waits(place(Wish::default(), &hosts));
        assert_eq!(reason, NO_HOST_FITS);
        for part in ["\"a\" is cordoned", "\"b\" is full (spec.maxAgents is 2)", "\"c\" has taint \"gpu\""] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }

    #[test]
    fn a_toleration_lets_the_agent_onto_a_tainted_host() {
        let tainted =
            HostSpec { taints: vec![Taint { key: "gpu".into(), value: Some("a100".into()) }], ..Default::default() };
        let choice = |value: Option<&str>| HostChoice {
            tolerations: vec![Toleration { key: "gpu".into(), value: value.map(Into::into) }],
            ..Default::default()
        };
        let hosts = [candidate("c", &tainted, 0)];
        for fits in [choice(None), choice(Some("a100"))] {
            assert_eq!(on(&place(Wish { choice: Some(&fits), pinned: None }, &hosts)), "c");
        }
        waits(place(Wish { choice: Some(&choice(Some("h100"))), pinned: None }, &hosts));
    }

    #[test]
    fn a_named_host_is_the_only_one_however_full_the_others_are() {
        let free = HostSpec::default();
        let hosts = [candidate("a", &free, 0), candidate("b", &free, 7)];
        assert_eq!(on(&place(Wish { choice: Some(&named("b")), pinned: None }, &hosts)), "b");
        let (reason, message) = waits(place(Wish { choice: Some(&named("z")), pinned: None }, &hosts));
        assert_eq!(reason, NO_HOST_FITS);
        assert!(message.contains("\"z\", which is not known"), "{message}");
        let away = [Candidate { ready: false, ..candidate("b", &free, 0) }, candidate("a", &free, 0)];
        let (reason, message) = waits(place(Wish { choice: Some(&named("b")), pinned: None }, &away));
        assert_eq!(reason, NO_HOST_READY);
        assert!(message.contains("\"b\"") && !message.contains("\"a\""), "{message}");
    }

    #[test]
    fn labels_select_hosts() {
        let free = HostSpec::default();
        let gpu = BTreeMap::from([("gpu".to_owned(), "yes".to_owned())]);
        let hosts = [candidate("a", &free, 0), Candidate { labels: Some(&gpu), ..candidate("b", &free, 5) }];
        let choice: HostChoice =
            serde_json::from_value(serde_json::json!({"selector": {"matchLabels": {"gpu": "yes"}}})).unwrap();
        assert_eq!(on(&place(Wish { choice: Some(&choice), pinned: None }, &hosts)), "b");
        let broken: HostChoice = serde_json::from_value(
            serde_json::json!({"selector": {"matchExpressions": [{"key": "gpu", "operator": "Near"}]}}),
        )
        .unwrap();
        assert!(waits(place(Wish { choice: Some(&broken), pinned: None }, &hosts)).1.contains("spec.host.selector"));
    }

    #[test]
    fn a_repository_that_is_a_directory_keeps_its_agents_on_its_machine() {
        let free = HostSpec::default();
        let hosts = [candidate("a", &free, 0), candidate("b", &free, 9)];
        assert_eq!(on(&place(Wish { choice: None, pinned: Some("b") }, &hosts)), "b");
    }
}
