//! Reads a definition, which is an Adapter object in a file, and says what is wrong with it, so that a launch never meets a
//! malformed one, nor one that needs what this version does not have.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::launch::Word;
use crate::api::AdapterSpec;
use crate::api::adapter::{AdapterLaunch, Definition, PromptChannel};

/// Longer than this a person would give up waiting for a stop.
const MAX_STOP_MS: u64 = 120_000;

#[derive(Debug, Error)]
pub enum DefinitionError {
    #[error("cannot read the adapter: {0}")]
    Yaml(String),
    #[error("cannot read the adapter: it has no field {0:?}; remove it")]
    UnknownField(String),
    #[error("adapter name or alias {0:?} is not lower-case letters, digits and dashes")]
    Name(String),
    #[error("adapter {adapter:?} has an empty launch.argv; give at least the program to run")]
    NoArgv { adapter: String },
    #[error("adapter {adapter:?}: launch.argv word {word:?}: {why}")]
    Word { adapter: String, word: String, why: String },
    #[error("adapter {adapter:?}: its stop steps wait {ms} ms together; the most is {MAX_STOP_MS}")]
    SlowStop { adapter: String, ms: u64 },
    #[error("adapter {adapter:?}: this version does not act on {field}; remove it")]
    NotImplemented { adapter: String, field: &'static str },
}

/// An Adapter object as it stands in a file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: Kind,
    metadata: Metadata,
    spec: AdapterSpec,
}

#[derive(Deserialize)]
enum ApiVersion {
    #[serde(rename = "regatta.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Deserialize)]
enum Kind {
    Adapter,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
}

/// Reads one definition from YAML and checks it.
pub fn parse(text: &str) -> Result<Definition, DefinitionError> {
    let yaml = |error: serde_saphyr::Error| DefinitionError::Yaml(error.to_string());
    let File { _api_version, _kind, metadata: Metadata { name }, spec } = serde_saphyr::from_str(text).map_err(yaml)?;
    // Types that travel between versions let unknown fields pass; in a file they are slips of the pen.
    let written: Value = serde_saphyr::from_str(text).map_err(yaml)?;
    let read = serde_json::to_value(&spec).map_err(|error| DefinitionError::Yaml(error.to_string()))?;
    if let Some(field) = unknown(&written["spec"], &read, "spec") {
        return Err(DefinitionError::UnknownField(field));
    }
    let definition = Definition { name, spec };
    check(&definition)?;
    Ok(definition)
}

/// The path of a field that was written and not read. What is empty is left out of `read`, and means nothing.
fn unknown(written: &Value, read: &Value, path: &str) -> Option<String> {
    match (written, read) {
        (Value::Object(fields), Value::Object(known)) => fields.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match known.get(name) {
                Some(read) => unknown(value, read, &path),
                None => (!is_empty(value)).then_some(path),
            }
        }),
        (Value::Array(items), Value::Array(known)) => items
            .iter()
            .zip(known)
            .enumerate()
            .find_map(|(i, (item, read))| unknown(item, read, &format!("{path}[{i}]"))),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn check(definition: &Definition) -> Result<(), DefinitionError> {
    let Definition { name, spec } = definition;
    for text in std::iter::once(name).chain(&spec.aliases) {
        let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !fits {
            return Err(DefinitionError::Name(text.clone()));
        }
    }
    if let Some(field) = not_implemented(spec) {
        return Err(DefinitionError::NotImplemented { adapter: name.clone(), field });
    }
    if spec.launch.argv.is_empty() {
        return Err(DefinitionError::NoArgv { adapter: name.clone() });
    }
    for word in &spec.launch.argv {
        Word::parse(word).map_err(|why| DefinitionError::Word { adapter: name.clone(), word: word.clone(), why })?;
    }
    let ms = spec.stop.iter().fold(0u64, |sum, step| sum.saturating_add(step.wait_ms));
    if ms > MAX_STOP_MS {
        return Err(DefinitionError::SlowStop { adapter: name.clone(), ms });
    }
    Ok(())
}

/// What a definition may say one day, and a launch cannot do now.
fn not_implemented(spec: &AdapterSpec) -> Option<&'static str> {
    // Destructured in full: whoever adds a field must say here whether it is acted on.
    let AdapterSpec {
        aliases: _,
        disabled,
        detect,
        capabilities,
        launch,
        observe,
        approve,
        input,
        interrupt,
        stop,
        restart: _,
        exit_codes,
        screen,
        quick_keys,
        attachments,
        usage,
        limits,
        healing,
        fixtures,
    } = spec;
    let AdapterLaunch { argv: _, exec, resume, fork, env, unset, options, prompt, system_prompt, settings, server } =
        launch;
    let set = [
        (disabled.is_some(), "spec.disabled"),
        (detect.is_some(), "spec.detect"),
        (!capabilities.is_empty(), "spec.capabilities"),
        (exec.is_some(), "spec.launch.exec"),
        (resume.is_some(), "spec.launch.resume"),
        (!fork.is_empty(), "spec.launch.fork"),
        (!env.is_empty(), "spec.launch.env"),
        (!unset.is_empty(), "spec.launch.unset"),
        (!options.is_empty(), "spec.launch.options"),
        (matches!(prompt, PromptChannel::Paste | PromptChannel::Channel), "this value of spec.launch.prompt"),
        (!system_prompt.is_empty(), "spec.launch.systemPrompt"),
        (!settings.is_empty(), "spec.launch.settings"),
        (server.is_some(), "spec.launch.server"),
        (observe.is_some(), "spec.observe"),
        (approve.is_some(), "spec.approve"),
        (input.is_some(), "spec.input"),
        (interrupt.is_some(), "spec.interrupt"),
        (stop.iter().any(|step| step.signal.is_none()), "a step of spec.stop without a signal"),
        (!exit_codes.is_empty(), "spec.exitCodes"),
        (!screen.is_empty(), "spec.screen"),
        (!quick_keys.is_empty(), "spec.quickKeys"),
        (attachments.is_some(), "spec.attachments"),
        (usage.is_some(), "spec.usage"),
        (!limits.is_empty(), "spec.limits"),
        (!healing.is_empty(), "spec.healing"),
        (!fixtures.is_empty(), "spec.fixtures"),
    ];
    set.into_iter().find_map(|(set, field)| set.then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "{apiVersion: regatta.dev/v1alpha1, kind: Adapter, metadata: {name: x}, \
         spec: {launch: {argv: [x]}, stop: [], restart: {policy: Never}}}";

    #[test]
    fn a_wrong_definition_says_what_is_wrong() {
        parse(GOOD).unwrap();
        for (from, to, says) in [
            ("name: x", "name: 'X y'", "lower-case"),
            ("argv: [x]", "argv: []", "empty launch.argv"),
            ("argv: [x]", "argv: ['${what}']", "${what}"),
            ("argv: [x]", "argv: ['a${args}']", "alone"),
            ("stop: []", "stop: [{signal: SIGKILL, waitMs: 1}]", "SIGKILL"),
            ("stop: []", "stop: [{signal: SIGTERM, waitMs: 999999}]", "999999 ms"),
            ("stop: []", "stop: [{send: /exit, waitMs: 1}]", "without a signal"),
            ("argv: [x]", "argv: [x], prompt: Paste", "spec.launch.prompt"),
            ("argv: [x]", "argv: [x], unset: [CLAUDECODE]", "spec.launch.unset"),
            ("name: x", "name: x, nmae: y", "nmae"),
            ("argv: [x]", "argv: [x], agrv: [y]", "spec.launch.agrv"),
            ("kind: Adapter", "kind: Agent", "Agent"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
    }
}
