//! The complete record of what one agent's host should do. What is missing for it becomes a `blocked` verdict with a way
//! out, never a record that says less: the host goes on with what already runs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use crate::api::adapter::Definition;
use crate::api::agent::{EnvVar, Run, WantedState};
use crate::api::conditions::{NOT_IMPLEMENTED, READY, Truth, Verdict};
use crate::api::link::{Desired, DesiredRepo, Workspace};
use crate::api::{AdapterSpec, Agent, AgentClass, AgentSpec, Repo};

use super::{effective, unsupported};

/// Everything that an agent may refer to, as far as it exists.
pub struct Referred<'a> {
    pub class: Option<&'a AgentClass>,
    pub repo: Option<&'a Repo>,
    /// Secrets of the agent's namespace by name.
    pub secrets: BTreeMap<&'a str, &'a Secret>,
    /// The adapter that `effective::adapter_name` names.
    pub adapter: Option<&'a Definition>,
}

/// Names of the Secrets whose values the agent's environment takes.
pub fn secrets_of<'a>(agent: &'a Agent, class: Option<&'a AgentClass>) -> impl Iterator<Item = &'a str> {
    let entries = effective::env(&agent.spec, class.map(|c| &c.spec));
    entries.into_iter().filter_map(|v| v.value_from.as_ref()).map(|from| from.secret_key_ref.name.as_str())
}

pub fn build(agent: &Agent, referred: &Referred<'_>) -> Desired {
    let class = referred.class.map(|c| &c.spec);
    let mut blocked = Blocked(None);
    // Destructured in full: a new field of the spec must be thought of here.
    let AgentSpec {
        class_ref,
        repo_ref,
        base_ref,
        branch,
        directory,
        adapter: _,
        options: _,
        args,
        command,
        prompt,
        env: _,
        host: _,
        run,
        restart: _,
        on_delete: _,
        terminal: _,
        log: _,
        // Not acted on yet, which `unsupported` says.
        worktree: _,
        system_prompt: _,
        skills: _,
        interface: _,
        quiet_after: _,
        resume_text: _,
        approval_policy_ref: _,
        account_ref: _,
        healing: _,
        hibernate_after: _,
        isolation: _,
        fork_from: _,
        ttl_after_finished: _,
    } = &agent.spec;

    if let Some(class_ref) = class_ref.as_ref().filter(|_| class.is_none()) {
        blocked.by("ClassNotFound", || {
            format!(
                "agentclass {:?} does not exist in this namespace; create it, or change spec.classRef",
                class_ref.name
            )
        });
    }
    if let Some(why) = unsupported::obstacle(&unsupported::agent(&agent.spec, class)) {
        blocked.by(NOT_IMPLEMENTED, || why);
    }
    let name = effective::adapter_name(&agent.spec, class);
    let adapter = referred.adapter.cloned().unwrap_or_else(|| {
        blocked.by("UnknownAdapter", || {
            format!("adapter {name:?} is not known; `regatta doctor` lists those that are, or use adapter `command`")
        });
        placeholder(name)
    });
    let workspace = match (repo_ref, directory) {
        (Some(repo_ref), _) => {
            let repo = referred.repo.map(|repo| DesiredRepo {
                uid: repo.uid().unwrap_or_default(),
                name: repo.name_any(),
                spec: Box::new(repo.spec.clone()),
            });
            Workspace::Worktree {
                repo: repo.unwrap_or_else(|| {
                    blocked.by("RepoNotFound", || {
                        format!(
                            "repo {:?} does not exist in this namespace; create it, and the agent starts",
                            repo_ref.name
                        )
                    });
                    DesiredRepo { uid: String::new(), name: repo_ref.name.clone(), spec: Box::default() }
                }),
                base_ref: base_ref.clone(),
                branch: branch.clone().unwrap_or_else(|| format!("agent/{}", agent.name_any())),
            }
        }
        (None, Some(path)) => Workspace::Directory { path: path.clone() },
        (None, None) => Workspace::Scratch,
    };

    let (mut plain, mut secret) = (Vec::new(), Vec::new());
    for EnvVar { name, value, value_from } in effective::env(&agent.spec, class) {
        match value_from {
            None => plain.push((name.clone(), value.clone().unwrap_or_default())),
            Some(from) => {
                let key = &from.secret_key_ref;
                match secret_value(referred.secrets.get(key.name.as_str()).copied(), &key.key) {
                    Ok(value) => secret.push((name.clone(), value)),
                    Err(why) => blocked.by("SecretNotUsable", || {
                        format!(
                            "environment variable {name} comes from key {:?} of secret {:?}: {why}",
                            key.key, key.name
                        )
                    }),
                }
            }
        }
    }

    let effective = effective::effective(&agent.spec, class, &adapter);
    Desired {
        uid: agent.uid().unwrap_or_default(),
        namespace: agent.namespace().unwrap_or_default(),
        name: agent.name_any(),
        version: String::new(),
        generation: agent.metadata.generation.unwrap_or_default(),
        deleting: agent.metadata.deletion_timestamp.is_some(),
        run: match run {
            // An agent that is blocked goes on as it is: ending it would lose what these would have kept.
            WantedState::Running | WantedState::Hibernated | WantedState::Archived => Run::Running,
            WantedState::Stopped => Run::Stopped,
        },
        terminal: effective.terminal,
        adapter,
        effective,
        workspace,
        args: args.clone(),
        command: command.clone(),
        prompt: prompt.as_ref().and_then(|p| p.text.clone()),
        env: plain,
        secret_env: secret,
        blocked: blocked.0,
    }
    .sealed()
}

/// The first obstacle; one at a time is what a person can act on.
struct Blocked(Option<Verdict>);

impl Blocked {
    fn by(&mut self, reason: &str, message: impl FnOnce() -> String) {
        if self.0.is_none() {
            self.0 = Some(Verdict::new(READY, Truth::False, reason, message()));
        }
    }
}

fn secret_value(secret: Option<&Secret>, key: &str) -> Result<String, &'static str> {
    let secret = secret.ok_or("the secret does not exist in this namespace; create it, and the agent starts")?;
    let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|b| b.0.as_slice());
    let bytes = bytes.ok_or("the secret has no such key; add it, or name another")?;
    if bytes.contains(&0) {
        return Err("the value contains a NUL byte, which no environment variable can hold");
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| "the value is not UTF-8 text")
}

/// Stands in a record that is blocked because its adapter is unknown. Nothing is launched by it.
fn placeholder(name: &str) -> Definition {
    Definition { name: name.to_owned(), spec: AdapterSpec::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn agent(spec: Value) -> Agent {
        from_value(json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent",
            "metadata": {"name": "api-fix", "namespace": "default", "uid": "u-1", "generation": 3},
            "spec": spec,
        }))
        .unwrap()
    }

    fn repo() -> Repo {
        from_value(json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Repo",
            "metadata": {"name": "payments", "namespace": "default", "uid": "r-1"},
            "spec": {"url": "https://example.com/p.git"},
        }))
        .unwrap()
    }

    fn nothing<'a>() -> Referred<'a> {
        Referred { class: None, repo: None, secrets: BTreeMap::new(), adapter: None }
    }

    fn reason(desired: &Desired) -> Option<&str> {
        desired.blocked.as_ref().map(|v| v.reason.as_str())
    }

    #[test]
    fn a_worktree_gets_a_branch_named_after_the_agent() {
        let (adapter, repo) = (placeholder("command"), repo());
        let referred = Referred { repo: Some(&repo), adapter: Some(&adapter), ..nothing() };
        let desired = build(&agent(json!({"repoRef": {"name": "payments"}, "command": ["true"]})), &referred);
        assert_eq!(desired.blocked, None);
        assert_eq!(desired.generation, 3);
        match desired.workspace {
            Workspace::Worktree { repo, base_ref, branch } => {
                assert_eq!((repo.uid.as_str(), base_ref, branch.as_str()), ("r-1", None, "agent/api-fix"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_missing_blocks_the_agent_and_says_the_way_out() {
        let adapter = placeholder("shell");
        let known = || Referred { adapter: Some(&adapter), ..nothing() };
        let cases = [
            (json!({"adapter": "nope"}), nothing(), "UnknownAdapter"),
            (json!({"classRef": {"name": "careful"}}), known(), "ClassNotFound"),
            (json!({"repoRef": {"name": "payments"}}), known(), "RepoNotFound"),
            (json!({"isolation": {"mode": "Sandbox"}}), known(), "NotImplemented"),
            (json!({"run": "Hibernated"}), known(), "NotImplemented"),
            (
                json!({"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
                known(),
                "SecretNotUsable",
            ),
        ];
        for (spec, referred, expected) in cases {
            let desired = build(&agent(spec), &referred);
            assert_eq!(reason(&desired), Some(expected));
            assert!(desired.blocked.unwrap().message.contains(';'), "{expected} names a way out");
        }
    }

    #[test]
    fn secrets_become_environment_and_change_the_version() {
        let adapter = placeholder("shell");
        let spec = json!({"env": [
            {"name": "PLAIN", "value": "1"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]});
        let with = |value: &str| {
            let secret: Secret = from_value(json!({"metadata": {"name": "s"}, "data": {"k": value}})).unwrap();
            let referred = Referred { secrets: BTreeMap::from([("s", &secret)]), adapter: Some(&adapter), ..nothing() };
            build(&agent(spec.clone()), &referred)
        };
        let (one, two) = (with("YQ=="), with("Yg=="));
        assert_eq!(one.secret_env, [("TOKEN".to_owned(), "a".to_owned())]);
        assert_eq!(one.env, [("PLAIN".to_owned(), "1".to_owned())]);
        assert_ne!(one.version, two.version);
        assert_eq!(one.version, with("YQ==").version);
        assert_eq!(reason(&with("AA==")), Some("SecretNotUsable"));
        assert_eq!(reason(&with("/w==")), Some("SecretNotUsable"));
    }

    #[test]
    fn deletion_is_part_of_the_record() {
        let adapter = placeholder("shell");
        let referred = Referred { adapter: Some(&adapter), ..nothing() };
        let mut agent = agent(json!({}));
        assert!(!build(&agent, &referred).deleting);
        agent.metadata.deletion_timestamp = from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert!(build(&agent, &referred).deleting);
    }
}
