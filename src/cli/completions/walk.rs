//! Where the cursor is on a command line, and what may stand there, from the definitions that parse the command line.
//! Pure: what only the server knows is named, not asked.

use clap::{Arg, Command, ValueHint};

/// A word that fits, and a line about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub word: String,
    pub help: String,
}

/// What only the server, or the home, can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Kinds; after a kind, names of its objects; after `kind/` too.
    Objects,
    /// The same, and agents by their bare names.
    AgentsOrObjects,
    Agents,
    Namespaces,
    Contexts,
    Adapters,
    Repos,
    Classes,
    Hosts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    These(Vec<Candidate>),
    Names(Names),
    Files,
    Nothing,
}

/// The place of the cursor.
#[derive(Clone, Debug)]
pub struct Place {
    pub wanted: Wanted,
    /// What is already there of the word that is completed, and what comes before it in the same word.
    pub current: String,
    pub prefix: String,
    /// The positional words before it, after the verb.
    pub before: Vec<String>,
    /// Flags with values, by their long names.
    pub flags: Vec<(String, String)>,
}

/// Reads the words up to the cursor; the last is the one at it.
pub fn walk(root: &Command, words: &[String]) -> Place {
    let words = rejoined(words);
    let (current, before) = words.split_last().map_or((String::new(), &[][..]), |(last, rest)| (last.clone(), rest));
    let mut state = State { command: root, verbs: Vec::new(), positionals: Vec::new(), flags: Vec::new(), open: None };
    let mut only_words = false;
    for word in before {
        if let Some(arg) = state.open.take() {
            state.note(arg, word);
        } else if only_words || !word.starts_with('-') || word == "-" {
            state.word(word, only_words);
        } else if word == "--" {
            only_words = true;
        } else {
            state.flag(word);
        }
    }
    let (wanted, prefix) = match state.open {
        Some(arg) => (state.values(arg), String::new()),
        None if !only_words && current.starts_with("--") && current.contains('=') => {
            let (flag, _) = current.split_once('=').unwrap_or_default();
            let wanted = state.long(&flag[2..]).map_or(Wanted::Nothing, |arg| state.values(arg));
            (wanted, format!("{flag}="))
        }
        None if !only_words && current.starts_with('-') => (Wanted::These(state.all_flags()), String::new()),
        None => (state.next(), String::new()),
    };
    let current = current.strip_prefix(&prefix).unwrap_or(&current).to_owned();
    Place { wanted, current, prefix, before: state.positionals, flags: state.flags }
}

/// Bash takes `--flag=value` apart at the equals sign.
fn rejoined(words: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (n, word) in words.iter().enumerate() {
        let after_flag = n > 0 && words[n - 1].starts_with("--");
        if word == "=" && after_flag {
            if n + 1 == words.len() {
                out.push(String::new());
            }
            continue;
        }
        out.push(word.clone());
    }
    out
}

struct State<'a> {
    command: &'a Command,
    verbs: Vec<String>,
    positionals: Vec<String>,
    flags: Vec<(String, String)>,
    /// A flag that waits for its value.
    open: Option<&'a Arg>,
}

impl<'a> State<'a> {
    fn word(&mut self, word: &str, only_words: bool) {
        let verb = if only_words || !self.positionals.is_empty() { None } else { self.command.find_subcommand(word) };
        match verb {
            Some(command) => {
                self.verbs.push(command.get_name().to_owned());
                self.command = command;
            }
            None => self.positionals.push(word.to_owned()),
        }
    }

    fn flag(&mut self, word: &str) {
        if let Some(name) = word.strip_prefix("--") {
            match name.split_once('=') {
                Some((name, value)) => {
                    if let Some(arg) = self.long(name) {
                        self.note(arg, value);
                    }
                }
                None => self.open = self.long(name).filter(|arg| waits(arg)),
            }
            return;
        }
        let letters: Vec<char> = word.chars().skip(1).collect();
        for (n, letter) in letters.iter().enumerate() {
            let arg = self.command.get_arguments().find(|a| a.get_short() == Some(*letter));
            if let Some(arg) = arg.filter(|a| waits(a)) {
                let value: String = letters[n + 1..].iter().collect();
                if value.is_empty() {
                    self.open = Some(arg)
                } else {
                    self.note(arg, &value)
                }
                return;
            }
        }
    }

    fn note(&mut self, arg: &Arg, value: &str) {
        self.flags.push((arg.get_long().unwrap_or_default().to_owned(), value.to_owned()));
    }

    fn long(&self, name: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|a| a.get_long() == Some(name))
    }

    fn all_flags(&self) -> Vec<Candidate> {
        let flags = self.command.get_arguments().filter(|a| !a.is_hide_set());
        let mut found: Vec<Candidate> = flags
            .filter_map(|a| {
                let help = a.get_help().map(ToString::to_string).unwrap_or_default();
                let word = match (a.get_long(), a.get_short()) {
                    (Some(long), _) => format!("--{long}"),
                    (None, Some(short)) => format!("-{short}"),
                    (None, None) => return None,
                };
                Some(Candidate { word, help })
            })
            .collect();
        found.sort_by(|a, b| a.word.cmp(&b.word));
        found
    }

    /// What may be the next word that is no flag.
    fn next(&self) -> Wanted {
        if self.command.has_subcommands() && self.positionals.is_empty() {
            let verbs = self.command.get_subcommands().filter(|c| !c.is_hide_set());
            let candidate = |c: &Command| Candidate {
                word: c.get_name().to_owned(),
                help: c.get_about().map(ToString::to_string).unwrap_or_default(),
            };
            return Wanted::These(verbs.map(candidate).collect());
        }
        let places: Vec<&Arg> = self.command.get_positionals().collect();
        let many = |arg: &&Arg| arg.get_num_args().is_some_and(|n| n.max_values() > 1);
        let place = places.get(self.positionals.len()).or_else(|| places.last().filter(|a| many(a)));
        place.map_or(Wanted::Nothing, |arg| self.values(arg))
    }

    fn values(&self, arg: &Arg) -> Wanted {
        let possible: Vec<Candidate> = arg
            .get_possible_values()
            .into_iter()
            .filter(|v| !v.is_hide_set())
            .map(|v| Candidate {
                word: v.get_name().to_owned(),
                help: v.get_help().map(ToString::to_string).unwrap_or_default(),
            })
            .collect();
        if !possible.is_empty() {
            return Wanted::These(possible);
        }
        if let Some(names) = names(&self.verbs, arg.get_id().as_str()) {
            return Wanted::Names(names);
        }
        match arg.get_value_hint() {
            ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath | ValueHint::ExecutablePath => Wanted::Files,
            _ => Wanted::Nothing,
        }
    }
}

/// Whether a flag takes the next word for its value.
fn waits(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// Which names an argument takes, by the verb and its own.
fn names(verbs: &[String], id: &str) -> Option<Names> {
    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
    Some(match (verbs.as_slice(), id) {
        (_, "namespace") => Names::Namespaces,
        (_, "context") | (["context", "use"], "name") => Names::Contexts,
        (["get" | "describe"], "objects") => Names::Objects,
        (["delete" | "wait"], "objects") | (["edit"], "object") => Names::AgentsOrObjects,
        (["attach" | "logs" | "send" | "status" | "stop" | "start"], "name" | "names") => Names::Agents,
        (["run"], "adapter") => Names::Adapters,
        (["run"], "repo") => Names::Repos,
        (["run"], "class") => Names::Classes,
        (["run"], "host") => Names::Hosts,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn at(words: &[&str]) -> Place {
        let mut root = crate::cli::Cli::command();
        root.build();
        walk(&root, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    fn words(place: &Place) -> Vec<&str> {
        let Wanted::These(these) = &place.wanted else { panic!("{place:?}") };
        these.iter().map(|c| c.word.as_str()).filter(|w| w.starts_with(&place.current)).collect()
    }

    #[test]
    fn verbs_and_flags_come_from_the_definitions() {
        assert_eq!(words(&at(&["de"])), ["delete", "describe"]);
        assert!(!words(&at(&[""])).contains(&"complete"), "hidden");
        assert_eq!(words(&at(&["get", "--all"])), ["--all-namespaces"]);
        assert_eq!(words(&at(&["context", "u"])), ["use"]);
        assert_eq!(words(&at(&["completions", ""])), ["bash", "zsh", "fish"]);
    }

    #[test]
    fn values_of_flags_are_completed_in_every_spelling() {
        for line in [&["get", "agents", "-o", "j"][..], &["get", "--output", "j"], &["get", "--output", "=", "j"]] {
            assert_eq!(words(&at(line)), ["json"], "{line:?}");
        }
        let place = at(&["get", "--output=j"]);
        assert_eq!((words(&place), place.prefix.as_str()), (vec!["json"], "--output="));
        assert_eq!(at(&["apply", "-f", ""]).wanted, Wanted::Files);
    }

    #[test]
    fn names_are_asked_for_where_they_go() {
        for (line, wanted) in [
            (&["get", ""][..], Names::Objects),
            (&["get", "agents", ""], Names::Objects),
            (&["describe", "ag"], Names::Objects),
            (&["delete", "--wait", "x"], Names::AgentsOrObjects),
            (&["-n", "team", "attach", ""], Names::Agents),
            (&["stop", "a", ""], Names::Agents),
            (&["-n", ""], Names::Namespaces),
            (&["context", "use", ""], Names::Contexts),
            (&["run", ""], Names::Adapters),
        ] {
            assert_eq!(at(line).wanted, Wanted::Names(wanted), "{line:?}");
        }
        let place = at(&["-n", "team", "get", "ag", "--server=https://x", "fi"]);
        assert_eq!(place.before, ["ag"]);
        let said = |name: &str| place.flags.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!((said("namespace"), said("server")), (Some("team"), Some("https://x")));
        assert_eq!(at(&["attach", "a", ""]).wanted, Wanted::Nothing);
    }
}
