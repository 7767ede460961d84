//! What an agent really runs with: Agent over AgentClass over adapter over built-in.

use std::collections::BTreeMap;

use crate::api::AgentClassSpec;
use crate::api::adapter::Definition;
use crate::api::agent::{AgentSpec, EnvVar, LogBounds, OnDelete};
use crate::api::agent_status::Effective;

/// How much of the terminal's output is kept when nobody says otherwise.
pub const LOG_MAX_BYTES: u64 = 256 << 20;

/// The adapter's name or alias: the agent's, the class's, else what an agent without any is: its command, or a shell.
pub fn adapter_name<'a>(agent: &'a AgentSpec, class: Option<&'a AgentClassSpec>) -> &'a str {
    let named = agent.adapter.as_deref().or(class.and_then(|c| c.adapter.as_deref()));
    named.unwrap_or(if agent.command.is_empty() { "shell" } else { "command" })
}

pub fn effective(agent: &AgentSpec, class: Option<&AgentClassSpec>, adapter: &Definition) -> Effective {
    let mut options = class.map(|c| c.options.clone()).unwrap_or_default();
    options.extend(agent.options.clone());
    let restart = agent.restart.as_ref().or(class.and_then(|c| c.restart.as_ref())).unwrap_or(&adapter.spec.restart);
    let of_class = class.and_then(|c| c.on_delete.clone()).unwrap_or_default();
    let own = agent.on_delete.clone().unwrap_or_default();
    Effective {
        adapter: adapter.name.clone(),
        options,
        restart: restart.clone(),
        on_delete: OnDelete {
            worktree: Some(own.worktree.or(of_class.worktree).unwrap_or_default()),
            branch: Some(own.branch.or(of_class.branch).unwrap_or_default()),
        },
        terminal: agent.terminal.unwrap_or_default(),
        log_max_bytes: log_max_bytes(agent.log.as_ref())
            .or_else(|| log_max_bytes(class.and_then(|c| c.log.as_ref())))
            .unwrap_or(LOG_MAX_BYTES as i64),
    }
}

/// The class's entries in their order, each replaced by the agent's of the same name, then the agent's others.
pub fn env<'a>(agent: &'a AgentSpec, class: Option<&'a AgentClassSpec>) -> Vec<&'a EnvVar> {
    let own: BTreeMap<&str, &EnvVar> = agent.env.iter().map(|v| (v.name.as_str(), v)).collect();
    let inherited = class.map_or(&[][..], |c| &c.env);
    let mut merged: Vec<&EnvVar> = inherited.iter().map(|v| own.get(v.name.as_str()).copied().unwrap_or(v)).collect();
    merged.extend(agent.env.iter().filter(|v| !inherited.iter().any(|i| i.name == v.name)));
    merged
}

fn log_max_bytes(bounds: Option<&LogBounds>) -> Option<i64> {
    i64::try_from(bounds?.max_bytes.as_ref()?.get()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AdapterSpec;
    use crate::api::adapter::{AdapterLaunch, PromptChannel};
    use crate::api::agent::{BranchFate, Restart, RestartPolicy, WorktreeFate};
    use serde_json::{from_value, json};

    fn adapter() -> Definition {
        let launch =
            AdapterLaunch { argv: vec!["claude".into()], prompt: PromptChannel::Argv, ..AdapterLaunch::default() };
        let restart = Restart { policy: RestartPolicy::OnFailure, limit: Some(5) };
        Definition { name: "claude-code".into(), spec: AdapterSpec { launch, restart, ..AdapterSpec::default() } }
    }

    #[test]
    fn the_agent_beats_its_class_beats_the_adapter_beats_the_built_in() {
        let agent: AgentSpec = from_value(json!({
            "options": {"model": "opus"}, "onDelete": {"branch": "DeleteWhenMerged"}, "log": {"maxBytes": "1Mi"},
        }))
        .unwrap();
        let class: AgentClassSpec = from_value(json!({
            "options": {"model": "haiku", "mode": "plan"}, "onDelete": {"worktree": "Discard"},
            "log": {"maxBytes": 5},
        }))
        .unwrap();
        let both = effective(&agent, Some(&class), &adapter());
        assert_eq!(both.adapter, "claude-code");
        assert_eq!(json!(both.options), json!({"model": "opus", "mode": "plan"}));
        assert_eq!(both.restart, adapter().spec.restart);
        assert_eq!(both.on_delete.worktree, Some(WorktreeFate::Discard));
        assert_eq!(both.on_delete.branch, Some(BranchFate::DeleteWhenMerged));
        assert_eq!(both.log_max_bytes, 1 << 20);

        let bare = effective(&AgentSpec::default(), None, &adapter());
        assert_eq!(bare.on_delete.worktree, Some(WorktreeFate::DeleteWhenClean));
        assert_eq!(bare.on_delete.branch, Some(BranchFate::Keep));
        assert_eq!(bare.log_max_bytes, 256 << 20);
        assert_eq!((bare.terminal.cols, bare.terminal.rows), (120, 36));
    }

    #[test]
    fn an_agent_without_adapter_is_its_command_or_a_shell() {
        let class: AgentClassSpec = from_value(json!({"adapter": "claude"})).unwrap();
        let command: AgentSpec = from_value(json!({"command": ["top"]})).unwrap();
        let own: AgentSpec = from_value(json!({"adapter": "codex"})).unwrap();
        assert_eq!(adapter_name(&AgentSpec::default(), None), "shell");
        assert_eq!(adapter_name(&command, None), "command");
        assert_eq!(adapter_name(&AgentSpec::default(), Some(&class)), "claude");
        assert_eq!(adapter_name(&own, Some(&class)), "codex");
    }

    #[test]
    fn environment_keeps_the_class_order_and_the_agents_values() {
        let agent: AgentSpec =
            from_value(json!({"env": [{"name": "C", "value": "own"}, {"name": "A", "value": "own"}]})).unwrap();
        let class: AgentClassSpec =
            from_value(json!({"env": [{"name": "A", "value": "class"}, {"name": "B", "value": "class"}]})).unwrap();
        let merged: Vec<_> =
            env(&agent, Some(&class)).iter().map(|v| (v.name.clone(), v.value.clone().unwrap())).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(merged, [pair("A", "own"), pair("B", "class"), pair("C", "own")]);
    }
}
