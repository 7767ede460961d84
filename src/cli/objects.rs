//! How people point at objects on a command line: `agents`, `agents,repos`, `repo web`, `repo/web agent/fix`, or an
//! agent's bare name. Understands words; the server is asked elsewhere.

use super::failure::Failure;
use super::kinds::{Kind, Kinds};

/// A kind, and the words for objects of it; none for all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Pointed<'a> {
    pub kind: &'a Kind,
    pub names: Vec<&'a str>,
}

/// What a word that stands alone means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    Kind,
    Agent,
}

/// Understands the words. Those of one kind that follow each other come together, in the order given.
pub fn pointed<'a>(kinds: &'a Kinds, words: &'a [String], bare: Bare) -> Result<Vec<Pointed<'a>>, Failure> {
    let slashed = words.iter().filter(|w| w.contains('/')).count();
    let (Some(first), rest) = (words.first(), words.get(1..).unwrap_or_default()) else { return Ok(Vec::new()) };
    if slashed == 0 {
        let names_a_kind = || kinds.named(first).is_ok();
        if bare == Bare::Kind || (!rest.is_empty() && names_a_kind()) {
            return of_kinds(kinds, first, rest);
        }
        return Ok(vec![Pointed { kind: kinds.agents()?, names: words.iter().map(String::as_str).collect() }]);
    }
    let mut found: Vec<Pointed<'a>> = Vec::new();
    for word in words {
        let (kind, name) = match word.split_once('/') {
            Some((kind, name)) if !name.is_empty() && !name.contains('/') => (kinds.one(kind)?, name),
            None if bare == Bare::Agent => (kinds.agents()?, word.as_str()),
            _ => return Err(Failure::usage(format!("{word:?} is no KIND/NAME; write all of them so, or none"))),
        };
        match found.last_mut() {
            Some(last) if last.kind == kind => last.names.push(name),
            _ => found.push(Pointed { kind, names: vec![name] }),
        }
    }
    Ok(found)
}

fn of_kinds<'a>(kinds: &'a Kinds, first: &str, names: &'a [String]) -> Result<Vec<Pointed<'a>>, Failure> {
    let found = kinds.named(first)?;
    if found.len() > 1 && !names.is_empty() {
        return Err(Failure::usage(format!("{first:?} means {} kinds; name objects of one", found.len())));
    }
    Ok(found.into_iter().map(|kind| Pointed { kind, names: names.iter().map(String::as_str).collect() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::kinds::tests::kinds;

    fn read(words: &[&str], bare: Bare) -> Result<Vec<String>, Failure> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let found = pointed(&kinds(), &words, bare)?
            .into_iter()
            .map(|p| format!("{}: {}", p.kind.plural, p.names.join(" ")).trim_end().to_owned())
            .collect();
        Ok(found)
    }

    #[test]
    fn kinds_names_and_both_in_one_word_are_understood() {
        for (words, expected) in [
            (&["agents"][..], &["agents:"][..]),
            (&["ag,secrets"], &["agents:", "secrets:"]),
            (&["agent", "a", "b"], &["agents: a b"]),
            (&["agent/a", "ag/b", "host/c"], &["agents: a b", "hosts: c"]),
        ] {
            assert_eq!(read(words, Bare::Kind).unwrap(), expected, "{words:?}");
        }
    }

    #[test]
    fn where_agents_are_meant_a_bare_word_is_one() {
        assert_eq!(read(&["fix"], Bare::Agent).unwrap(), ["agents: fix"]);
        assert_eq!(read(&["fix", "host/c"], Bare::Agent).unwrap(), ["agents: fix", "hosts: c"]);
        assert_eq!(read(&["host", "c"], Bare::Agent).unwrap(), ["hosts: c"]);
        assert_eq!(read(&["host"], Bare::Agent).unwrap(), ["agents: host"], "an agent may be called so");
    }

    #[test]
    fn a_mixture_is_refused_with_the_way_to_write_it() {
        for words in [&["agents", "host/c"][..], &["host/"], &["a/b/c"], &["ag,secrets", "x"]] {
            assert!(read(words, Bare::Kind).is_err(), "{words:?}");
        }
    }
}
