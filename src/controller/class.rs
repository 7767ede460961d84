//! AgentClass status: how many agents name it, and whether its adapter is known.

use std::collections::HashMap;

use jiff::Timestamp;
use kube::{Client, ResourceExt};

use super::Stores;
use super::rounds::{Pace, Round};
use crate::adapter;
use crate::api::class::AgentClassStatus;
use crate::api::conditions::{READY, STALLED, Truth, Verdict};
use crate::api::{Agent, AgentClass};
use crate::plan::status::to_seconds;
use crate::plan::unsupported;
use crate::reconcile::watched::Key;
use crate::reconcile::write;

const MANAGER: &str = "class";

pub async fn run(client: Client, stores: Stores) {
    let mut pace = Pace::new(stores.agents.changes(), stores.classes.changes());
    stores.ready().await;
    loop {
        let outcome = round(&client, &stores).await;
        pace.after(outcome).await;
    }
}

async fn round(client: &Client, stores: &Stores) -> Round {
    let mut counts: HashMap<Key, i32> = HashMap::new();
    for agent in stores.agents.all() {
        if let Some(class) = class_of(&agent) {
            *counts.entry(class).or_default() += 1;
        }
    }
    let mut outcome = Round::Settled;
    for class in stores.classes.all() {
        let agents = counts.get(&Key::of(&*class)).copied().unwrap_or_default();
        let status = status(&class, agents, Timestamp::now());
        if class.status.as_ref() == Some(&status) {
            continue;
        }
        let written = write::status(&write::api_of(client, &*class), &*class, MANAGER, &status).await;
        if let Err(error) = written.map(|_| ())
            && !write::outdated(&error)
        {
            tracing::warn!(class = class.name_any(), %error, "cannot write the status of an agentclass");
            outcome = Round::Unfinished;
        }
    }
    outcome
}

fn status(class: &AgentClass, agents: i32, now: Timestamp) -> AgentClassStatus {
    let ready = match class.spec.adapter.as_deref() {
        Some(name) if adapter::find(name).is_none() => Verdict::new(
            READY,
            Truth::False,
            "UnknownAdapter",
            format!("adapter {name:?} is not known; change spec.adapter to one of {}", adapter::names().join(", ")),
        ),
        _ => Verdict::new(READY, Truth::True, "Accepted", "agents may name this class"),
    };
    let stalled =
        (ready.status != Truth::True).then(|| Verdict { kind: STALLED.into(), status: Truth::True, ..ready.clone() });
    let before = class.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let generation = class.metadata.generation;
    let unsupported = unsupported::verdict(&unsupported::class(&class.spec));
    let conditions = [Some(ready), stalled, unsupported].into_iter().flatten();
    AgentClassStatus {
        observed_generation: generation,
        agents: Some(agents),
        conditions: conditions.map(|v| v.over(before, generation, &to_seconds(now))).collect(),
    }
}

fn class_of(agent: &Agent) -> Option<Key> {
    let class = agent.spec.class_ref.as_ref()?;
    Some(Key::new(agent.namespace().unwrap_or_default(), &class.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::is_true;
    use serde_json::{from_value, json};

    fn class(adapter: &str) -> AgentClass {
        from_value(json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "AgentClass",
            "metadata": {"name": "c", "namespace": "default", "generation": 1}, "spec": {"adapter": adapter},
        }))
        .unwrap()
    }

    #[test]
    fn a_class_with_an_unknown_adapter_is_stalled_and_names_the_known_ones() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(is_true(&status(&class("command"), 2, now).conditions, READY));
        let broken = status(&class("commnad"), 0, now);
        assert!(is_true(&broken.conditions, STALLED));
        assert!(broken.conditions[0].message.contains("shell"), "{}", broken.conditions[0].message);
    }
}
