//! Reads a definition and says what is wrong with it, so that a launch never meets a malformed one.

use thiserror::Error;

use super::launch::Word;
use crate::api::AdapterSpec;
use crate::api::adapter::StopStep;

/// Signals that ask; KILL is what comes after them by itself.
const POLITE: [&str; 3] = ["SIGHUP", "SIGINT", "SIGTERM"];

/// Longer than this a person would give up waiting for a stop.
const MAX_STOP_MS: u64 = 120_000;

#[derive(Debug, Error)]
pub enum DefinitionError {
    #[error("cannot read the adapter: {0}")]
    Yaml(String),
    #[error("adapter name or alias {0:?} is not lower-case letters, digits and dashes")]
    Name(String),
    #[error("adapter {adapter:?} has an empty launch.argv; give at least the program to run")]
    NoArgv { adapter: String },
    #[error("adapter {adapter:?}: launch.argv word {word:?}: {why}")]
    Word { adapter: String, word: String, why: String },
    #[error("adapter {adapter:?}: stop signal {signal:?} is not one of SIGHUP, SIGINT, SIGTERM")]
    Signal { adapter: String, signal: String },
    #[error("adapter {adapter:?}: its stop steps wait {ms} ms together; the most is {MAX_STOP_MS}")]
    SlowStop { adapter: String, ms: u64 },
}

/// Reads one definition from YAML and checks it.
pub fn parse(text: &str) -> Result<AdapterSpec, DefinitionError> {
    let spec: AdapterSpec = serde_saphyr::from_str(text).map_err(|error| DefinitionError::Yaml(error.to_string()))?;
    check(&spec)?;
    Ok(spec)
}

fn check(spec: &AdapterSpec) -> Result<(), DefinitionError> {
    let AdapterSpec { name, aliases, launch, stop, restart: _ } = spec;
    for text in std::iter::once(name).chain(aliases) {
        let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !fits {
            return Err(DefinitionError::Name(text.clone()));
        }
    }
    if launch.argv.is_empty() {
        return Err(DefinitionError::NoArgv { adapter: name.clone() });
    }
    for word in &launch.argv {
        Word::parse(word).map_err(|why| DefinitionError::Word { adapter: name.clone(), word: word.clone(), why })?;
    }
    for StopStep { signal, wait_ms: _ } in stop {
        if !POLITE.contains(&signal.as_str()) {
            return Err(DefinitionError::Signal { adapter: name.clone(), signal: signal.clone() });
        }
    }
    let ms = stop.iter().fold(0u64, |sum, step| sum.saturating_add(step.wait_ms));
    if ms > MAX_STOP_MS {
        return Err(DefinitionError::SlowStop { adapter: name.clone(), ms });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "{name: x, launch: {argv: [x]}, stop: [], restart: {policy: Never}}";

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
            ("name: x", "name: x, nmae: y", "nmae"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
    }
}
