//! From an adapter and an agent's values to the argument vector. Words of the vector are whole arguments from beginning to
//! end: nothing is split, quoted or expanded, so whatever a person wrote stays data.

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use crate::api::adapter::{Definition, PromptChannel};

/// What an agent brings to a launch.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub options: &'a BTreeMap<String, Value>,
    pub args: &'a [String],
    pub command: &'a [String],
    pub prompt: Option<&'a str>,
}

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    pub argv: Vec<String>,
    /// To be typed into the terminal as one line, once, when the command reads it.
    pub typed: Option<String>,
}

/// What in the agent's spec makes a launch impossible. All of these wait for a changed spec: trying again is no use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    #[error("adapter \"{adapter}\" runs spec.command, which is empty; set it, such as [\"make\", \"test\"]")]
    NoCommand { adapter: String },
    #[error("spec.command[0] is empty: it names the program to run")]
    NoProgram,
    #[error("adapter \"{adapter}\" does not use spec.command; remove it, or set spec.adapter to \"command\"")]
    UnwantedCommand { adapter: String },
    #[error("adapter \"{adapter}\" has no option \"{option}\"{}", known(.valid))]
    UnknownOption { adapter: String, option: String, valid: Vec<String> },
    #[error(
        "adapter \"{adapter}\" takes no prompt; remove spec.prompt, or put the text into spec.command or spec.args"
    )]
    UnwantedPrompt { adapter: String },
    #[error("{field} contains a NUL character, which no program can be given")]
    Nul { field: String },
}

fn known(valid: &[String]) -> String {
    if valid.is_empty() { "; it has none".into() } else { format!("; it has {}", valid.join(", ")) }
}

/// One word of `launch.argv`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    Literal(&'a str),
    Command,
    Args,
    Environment { name: &'a str, default: &'a str },
}

impl<'a> Word<'a> {
    pub(super) fn parse(word: &'a str) -> Result<Word<'a>, String> {
        let Some(start) = word.find("${") else { return Ok(Word::Literal(word)) };
        let inner = word[start + 2..].strip_suffix('}').filter(|_| start == 0);
        let Some(inner) = inner else { return Err("a ${…} must be the word alone".into()) };
        match inner {
            "command" => Ok(Word::Command),
            "args" => Ok(Word::Args),
            _ => match inner.strip_prefix("env:").and_then(|rest| rest.split_once(":-")) {
                Some((name, default)) if !name.is_empty() => Ok(Word::Environment { name, default }),
                _ => Err(format!("${{{inner}}} is none of ${{command}}, ${{args}}, ${{env:NAME:-default}}")),
            },
        }
    }
}

/// What to start for an agent with these values. `environment` looks a name up in the host's own environment.
pub fn launch(
    adapter: &Definition,
    inputs: Inputs<'_>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Launch, SpecError> {
    let Inputs { options, args, command, prompt } = inputs;
    if let Some(option) = options.keys().next() {
        return Err(SpecError::UnknownOption {
            adapter: adapter.name.clone(),
            option: option.clone(),
            valid: Vec::new(),
        });
    }
    let mut argv = Vec::new();
    let mut takes_command = false;
    for word in &adapter.spec.launch.argv {
        match Word::parse(word).unwrap_or(Word::Literal(word)) {
            Word::Literal(text) => argv.push(text.to_owned()),
            Word::Command => {
                takes_command = true;
                match command.first() {
                    None => return Err(SpecError::NoCommand { adapter: adapter.name.clone() }),
                    Some(program) if program.is_empty() => return Err(SpecError::NoProgram),
                    Some(_) => argv.extend_from_slice(command),
                }
            }
            Word::Args => argv.extend_from_slice(args),
            Word::Environment { name, default } => {
                argv.push(environment(name).filter(|v| !v.is_empty()).unwrap_or_else(|| default.to_owned()));
            }
        }
    }
    if !takes_command && !command.is_empty() {
        return Err(SpecError::UnwantedCommand { adapter: adapter.name.clone() });
    }
    let mut typed = None;
    if let Some(prompt) = prompt.filter(|p| !p.is_empty()) {
        match adapter.spec.launch.prompt {
            // `validate` lets no definition through whose channel this version does not have.
            PromptChannel::None | PromptChannel::Paste | PromptChannel::Channel => {
                return Err(SpecError::UnwantedPrompt { adapter: adapter.name.clone() });
            }
            PromptChannel::Argv => argv.push(prompt.to_owned()),
            PromptChannel::Line => typed = Some(prompt.to_owned()),
        }
    }
    if argv.iter().any(|word| word.contains('\0')) {
        return Err(SpecError::Nul { field: "the command line".into() });
    }
    Ok(Launch { argv, typed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::find;

    fn run(adapter: &str, command: &[&str], args: &[&str], prompt: Option<&str>) -> Result<Launch, SpecError> {
        let own = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        let (command, args) = (own(command), own(args));
        let inputs = Inputs { options: &BTreeMap::new(), args: &args, command: &command, prompt };
        launch(find(adapter).unwrap(), inputs, |name| (name == "SHELL").then(|| "/bin/zsh".into()))
    }

    #[test]
    fn a_command_is_run_exactly_as_typed() {
        let odd = ["-x", "a b", "$(rm -rf /)", "it's \"quoted\"", "line\nbreak", "${args}", "", "~"];
        let launch = run("command", &odd, &["--flag"], None).unwrap();
        assert_eq!(launch.argv[..odd.len()], odd);
        assert_eq!(launch.argv[odd.len()..], ["--flag"]);
        assert_eq!(launch.typed, None);
    }

    #[test]
    fn a_shell_is_the_users_own_and_its_prompt_is_typed() {
        let launch = run("shell", &[], &["-l"], Some("make test")).unwrap();
        assert_eq!(launch.argv, ["/bin/zsh", "-l"]);
        assert_eq!(launch.typed.as_deref(), Some("make test"));
    }

    #[test]
    fn what_cannot_be_launched_says_why_and_what_to_change() {
        for (got, says) in [
            (run("command", &[], &[], None), "spec.command, which is empty"),
            (run("command", &[""], &[], None), "spec.command[0] is empty"),
            (run("command", &["x"], &[], Some("hello")), "takes no prompt"),
            (run("shell", &["x"], &[], None), "does not use spec.command"),
            (run("command", &["a\0b"], &[], None), "NUL"),
        ] {
            let error = got.unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
        let options = BTreeMap::from([("model".to_owned(), Value::from("opus"))]);
        let inputs = Inputs { options: &options, args: &[], command: &["x".into()], prompt: None };
        let error = launch(find("command").unwrap(), inputs, |_| None).unwrap_err();
        assert_eq!(error.to_string(), "adapter \"command\" has no option \"model\"; it has none");
    }
}
