//! What a spec asks for and this version does not act on. The API has the whole of every kind; what is behind a field may
//! come later, and until then the object says so. Where going on without would not be what was asked for, the agent is
//! refused; elsewhere it runs, and a condition names what it runs without.

use crate::api::agent::{
    AgentSpec, Interface, Isolation, IsolationMode, Prompt, WantedState, WorktreeChoice, WorktreeMode,
};
use crate::api::conditions::{NOT_IMPLEMENTED, Truth, UNSUPPORTED, Verdict};
use crate::api::repo::{PartialClone, WorktreeSetup};
use crate::api::{AgentClassSpec, HostSpec, RepoSpec};

/// A field that is not acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in `spec.healing`, with the value where only that one is meant.
    pub name: &'static str,
    /// What to do meanwhile, where the agent must not be started.
    pub refused: Option<&'static str>,
}

const fn noted(name: &'static str) -> Field {
    Field { name, refused: None }
}

const fn refused(name: &'static str, way_out: &'static str) -> Field {
    Field { name, refused: Some(way_out) }
}

pub fn agent(spec: &AgentSpec, class: Option<&AgentClassSpec>) -> Vec<Field> {
    // Destructured in full: whoever adds a field must say here whether it is acted on.
    let AgentSpec {
        class_ref: _,
        repo_ref: _,
        base_ref: _,
        branch: _,
        directory: _,
        worktree,
        adapter: _,
        options: _,
        args: _,
        command: _,
        prompt,
        system_prompt,
        env: _,
        skills,
        host: _,
        run,
        interface,
        quiet_after,
        resume_text,
        restart: _,
        on_delete: _,
        approval_policy_ref,
        account_ref,
        healing,
        hibernate_after,
        isolation,
        terminal: _,
        fork_from,
        ttl_after_finished,
        log: _,
    } = spec;
    let mut fields = Vec::new();
    if let Some(WorktreeChoice { mode, agent_ref: _, identity }) = worktree {
        if *mode == Some(WorktreeMode::Shared) {
            fields.push(refused("spec.worktree.mode: Shared", "give the agent a worktree of its own"));
        }
        if identity.is_some() {
            fields.push(refused("spec.worktree.identity", "set GIT_AUTHOR_NAME and the like in spec.env"));
        }
    }
    if let Some(Prompt { text: _, config_map_ref, task_ref }) = prompt {
        if config_map_ref.is_some() {
            fields.push(refused("spec.prompt.configMapRef", "put the words into spec.prompt.text"));
        }
        if task_ref.is_some() {
            fields.push(refused("spec.prompt.taskRef", "put the words into spec.prompt.text"));
        }
    }
    match run {
        WantedState::Running | WantedState::Stopped => {}
        WantedState::Hibernated => fields.push(refused("spec.run: Hibernated", "use Stopped")),
        WantedState::Archived => fields.push(refused("spec.run: Archived", "use Stopped")),
    }
    if *interface == Some(Interface::Headless) {
        fields.push(refused("spec.interface: Headless", "use Terminal"));
    }
    if !skills.is_empty() {
        fields.push(refused("spec.skills", "remove them"));
    }
    if account_ref.is_some() {
        fields.push(refused("spec.accountRef", "log in by spec.env, or on the host"));
    }
    if fork_from.is_some() {
        fields.push(refused("spec.forkFrom", "create an Agent without it"));
    }
    if system_prompt.is_some() {
        fields.push(refused("spec.systemPrompt", "put it into spec.prompt.text"));
    } else if class.is_some_and(|c| c.system_prompt.is_some()) {
        fields.push(refused("the class's spec.systemPrompt", "put it into the agents' spec.prompt.text"));
    }
    if isolates(isolation.as_ref()) {
        fields.push(refused("spec.isolation", "use mode None"));
    } else if isolation.is_none() && class.is_some_and(|c| isolates(c.isolation.as_ref())) {
        fields.push(refused("the class's spec.isolation", "use mode None, in the agent or in the class"));
    }
    let inherited = [
        (approval_policy_ref.is_some(), noted("spec.approvalPolicyRef")),
        (class.is_some_and(|c| c.approval_policy_ref.is_some()), noted("the class's spec.approvalPolicyRef")),
        (!healing.is_empty(), noted("spec.healing")),
        (class.is_some_and(|c| !c.healing.is_empty()), noted("the class's spec.healing")),
        (quiet_after.is_some(), noted("spec.quietAfter")),
        (resume_text.is_some(), noted("spec.resumeText")),
        (hibernate_after.is_some(), noted("spec.hibernateAfter")),
        (ttl_after_finished.is_some(), noted("spec.ttlAfterFinished")),
    ];
    fields.extend(inherited.into_iter().filter_map(|(set, field)| set.then_some(field)));
    fields
}

pub fn class(spec: &AgentClassSpec) -> Vec<Field> {
    let AgentClassSpec {
        adapter: _,
        options: _,
        system_prompt,
        env: _,
        approval_policy_ref,
        isolation,
        healing,
        host: _,
        limit_per_repo,
        restart: _,
        on_delete: _,
        log: _,
    } = spec;
    let set = [
        (system_prompt.is_some(), "spec.systemPrompt"),
        (approval_policy_ref.is_some(), "spec.approvalPolicyRef"),
        (isolates(isolation.as_ref()), "spec.isolation"),
        (!healing.is_empty(), "spec.healing"),
        (limit_per_repo.is_some(), "spec.limitPerRepo"),
    ];
    set.into_iter().filter_map(|(set, name)| set.then_some(noted(name))).collect()
}

pub fn repo(spec: &RepoSpec) -> Vec<Field> {
    let RepoSpec {
        url: _,
        path: _,
        initialize: _,
        default_branch: _,
        credentials_ref,
        fetch_period,
        partial_clone,
        worktree,
        forge,
    } = spec;
    let nothing = WorktreeSetup::default();
    let WorktreeSetup { branch_template, setup, copy_files, links, max_worktrees } =
        worktree.as_ref().unwrap_or(&nothing);
    let set = [
        (credentials_ref.is_some(), "spec.credentialsRef"),
        (fetch_period.is_some(), "spec.fetchPeriod"),
        (partial_clone.is_some_and(|clone| clone != PartialClone::Full), "spec.partialClone"),
        (branch_template.is_some(), "spec.worktree.branchTemplate"),
        (!setup.is_empty(), "spec.worktree.setup"),
        (!copy_files.is_empty(), "spec.worktree.copyFiles"),
        (!links.is_empty(), "spec.worktree.links"),
        (max_worktrees.is_some(), "spec.worktree.maxWorktrees"),
        (forge.is_some(), "spec.forge"),
    ];
    set.into_iter().filter_map(|(set, name)| set.then_some(noted(name))).collect()
}

pub fn host(spec: &HostSpec) -> Vec<Field> {
    let HostSpec { unschedulable: _, taints: _, max_agents: _, drain } = spec;
    let deadline = drain.as_ref().is_some_and(|drain| drain.deadline.is_some());
    deadline.then_some(noted("spec.drain.deadline")).into_iter().collect()
}

/// Why an agent is not started; nothing when all of it can be done without harm.
pub fn obstacle(fields: &[Field]) -> Option<String> {
    let refused: Vec<String> = fields.iter().filter_map(|f| Some(format!("{} ({})", f.name, f.refused?))).collect();
    (!refused.is_empty()).then(|| {
        format!(
            "not started: this version does not act on {}; without, it would not be what was asked for",
            refused.join(", ")
        )
    })
}

/// The condition that names all of it; nothing when there is nothing to name.
pub fn verdict(fields: &[Field]) -> Option<Verdict> {
    let names: Vec<&str> = fields.iter().map(|f| f.name).collect();
    (!names.is_empty()).then(|| {
        let message = format!("this version does not act on {}; remove what you do not want ignored", names.join(", "));
        Verdict::new(UNSUPPORTED, Truth::True, NOT_IMPLEMENTED, message)
    })
}

fn isolates(isolation: Option<&Isolation>) -> bool {
    isolation.is_some_and(|isolation| match isolation.mode {
        IsolationMode::None => false,
        IsolationMode::Sandbox | IsolationMode::Container | IsolationMode::Pod => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn of(spec: Value, of_class: Value) -> (Vec<&'static str>, bool) {
        let class: AgentClassSpec = from_value(of_class).unwrap();
        let fields = agent(&from_value(spec).unwrap(), Some(&class));
        (fields.iter().map(|f| f.name).collect(), obstacle(&fields).is_some())
    }

    #[test]
    fn what_would_not_be_what_was_asked_for_is_refused_and_the_rest_is_named() {
        let nothing: Vec<&str> = Vec::new();
        let table = [
            (json!({"isolation": {"mode": "None"}, "interface": "Terminal"}), json!({}), nothing, false),
            (json!({"isolation": {"mode": "Sandbox"}}), json!({}), vec!["spec.isolation"], true),
            (json!({}), json!({"isolation": {"mode": "Pod", "image": "x"}}), vec!["the class's spec.isolation"], true),
            (json!({"isolation": {"mode": "None"}}), json!({"isolation": {"mode": "Sandbox"}}), vec![], false),
            (json!({"interface": "Headless"}), json!({}), vec!["spec.interface: Headless"], true),
            (json!({"run": "Archived"}), json!({}), vec!["spec.run: Archived"], true),
            (json!({"run": "Stopped"}), json!({}), vec![], false),
            (json!({"prompt": {"taskRef": {"name": "t"}}}), json!({}), vec!["spec.prompt.taskRef"], true),
            (json!({"prompt": {"text": "t"}}), json!({}), vec![], false),
            (json!({"systemPrompt": "x"}), json!({"systemPrompt": "y"}), vec!["spec.systemPrompt"], true),
            (json!({"worktree": {"mode": "Own"}}), json!({}), vec![], false),
            (
                json!({"worktree": {"mode": "Shared", "agentRef": {"name": "a"}}}),
                json!({}),
                vec!["spec.worktree.mode: Shared"],
                true,
            ),
            (
                json!({"skills": [{"name": "s"}], "accountRef": {"name": "a"}}),
                json!({}),
                vec!["spec.skills", "spec.accountRef"],
                true,
            ),
            (json!({"forkFrom": {"agent": "a"}}), json!({}), vec!["spec.forkFrom"], true),
            (
                json!({"hibernateAfter": "1h", "quietAfter": "5m", "ttlAfterFinished": "1h", "resumeText": "go on"}),
                json!({"approvalPolicyRef": {"name": "p"}, "healing": [{"name": "h", "when": {"idleFor": "1h"}, "do": [{"action": "Notify"}]}]}),
                vec![
                    "the class's spec.approvalPolicyRef",
                    "the class's spec.healing",
                    "spec.quietAfter",
                    "spec.resumeText",
                    "spec.hibernateAfter",
                    "spec.ttlAfterFinished",
                ],
                false,
            ),
        ];
        for (spec, class, names, is_refused) in table {
            assert_eq!(of(spec.clone(), class), (names, is_refused), "{spec}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_the_way_out() {
        let fields = [refused("spec.run: Archived", "use Stopped"), noted("spec.healing")];
        let words = obstacle(&fields).unwrap();
        assert!(words.contains("spec.run: Archived (use Stopped)") && !words.contains("healing"), "{words}");
        let condition = verdict(&fields).unwrap();
        assert!(condition.message.contains("spec.run: Archived, spec.healing"), "{}", condition.message);
        assert_eq!(verdict(&[]), None);
    }

    #[test]
    fn repos_hosts_and_classes_name_theirs() {
        let names = |fields: Vec<Field>| fields.iter().map(|f| f.name).collect::<Vec<_>>();
        let plain: RepoSpec = from_value(json!({"url": "https://x.example/r", "partialClone": "Full"})).unwrap();
        assert_eq!(repo(&plain), []);
        let rich: RepoSpec = from_value(
            json!({"url": "https://x.example/r", "fetchPeriod": "5m", "worktree": {"setup": ["make deps"], "copyFiles": [".env"]}}),
        )
        .unwrap();
        assert_eq!(names(repo(&rich)), ["spec.fetchPeriod", "spec.worktree.setup", "spec.worktree.copyFiles"]);
        assert_eq!(host(&from_value(json!({"drain": {}})).unwrap()), []);
        assert_eq!(names(host(&from_value(json!({"drain": {"deadline": "1h"}})).unwrap())), ["spec.drain.deadline"]);
        assert_eq!(names(class(&from_value(json!({"limitPerRepo": 1})).unwrap())), ["spec.limitPerRepo"]);
    }
}
