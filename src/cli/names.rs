//! What people call objects: a name, an unambiguous beginning of one, or an agent's number.

use kube::api::ListParams;

use super::failure::{Exit, Failure, cannot};
use super::kinds::Kind;
use super::request;
use super::server::Server;
use crate::api::Agent;

/// A name that can be chosen, and its number where the kind has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    pub number: Option<i64>,
}

/// Which of the candidates a word means.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    One(&'a str),
    None,
    Several(Vec<&'a str>),
}

/// The whole name wins, then the number, then the only name that begins so.
pub fn choose<'a>(candidates: &'a [Candidate], word: &str) -> Choice<'a> {
    if let Some(exact) = candidates.iter().find(|c| c.name == word) {
        return Choice::One(&exact.name);
    }
    let number = word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse::<i64>().ok()).flatten();
    if let Some(numbered) = number.and_then(|n| candidates.iter().find(|c| c.number == Some(n))) {
        return Choice::One(&numbered.name);
    }
    let mut names: Vec<&str> = candidates.iter().map(|c| c.name.as_str()).collect();
    names.retain(|name| !word.is_empty() && name.starts_with(word));
    names.sort_unstable();
    match names.as_slice() {
        [] => Choice::None,
        [one] => Choice::One(one),
        _ => Choice::Several(names),
    }
}

/// The agent that a word means.
pub async fn agent(server: &Server, word: &str) -> Result<Agent, Failure> {
    let word = word.strip_prefix("agent/").or_else(|| word.strip_prefix("agents/")).unwrap_or(word);
    let attempt = || format!("find agent {word:?} in namespace {:?}", server.namespace);
    let api = server.agents();
    if is_name(word)
        && let Some(agent) = api.get_opt(word).await.map_err(|e| cannot(attempt(), e))?
    {
        return Ok(agent);
    }
    let agents = api.list(&ListParams::default()).await.map_err(|e| cannot(attempt(), e))?.items;
    let candidates: Vec<Candidate> = agents.iter().map(candidate).collect();
    let name = decide(&candidates, word, &attempt())?.to_owned();
    let chosen = agents.into_iter().find(|a| a.metadata.name.as_deref() == Some(name.as_str()));
    Ok(chosen.expect("the name was chosen from this list"))
}

/// The name of an object of any kind that a word means.
pub async fn object(server: &Server, kind: &Kind, word: &str) -> Result<String, Failure> {
    if kind.is_agent() {
        return Ok(agent(server, word).await?.metadata.name.unwrap_or_default());
    }
    let attempt = || format!("find {} {word:?}", kind.kind.to_ascii_lowercase());
    let path = kind.path(Some(&server.namespace));
    if is_name(word) {
        match request::get(&server.client, &format!("{path}/{}", request::encoded(word)), request::JSON).await {
            Ok(_) => return Ok(word.to_owned()),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(cannot(attempt(), error)),
        }
    }
    let list = request::get(&server.client, &path, request::JSON).await.map_err(|e| cannot(attempt(), e))?;
    let names = list["items"].as_array().into_iter().flatten().filter_map(|o| o["metadata"]["name"].as_str());
    let candidates: Vec<Candidate> = names.map(|n| Candidate { name: n.to_owned(), number: None }).collect();
    decide(&candidates, word, &attempt()).map(str::to_owned)
}

fn decide<'a>(candidates: &'a [Candidate], word: &str, attempt: &str) -> Result<&'a str, Failure> {
    match choose(candidates, word) {
        Choice::One(name) => Ok(name),
        Choice::None => Err(Failure::new(
            Exit::NotFound,
            format!("cannot {attempt}: there is none of that name, number or beginning"),
        )),
        Choice::Several(names) => Err(Failure::usage(format!("cannot {attempt}: it could be {}", names.join(", ")))),
    }
}

fn candidate(agent: &Agent) -> Candidate {
    Candidate {
        name: agent.metadata.name.clone().unwrap_or_default(),
        number: agent.status.as_ref().and_then(|s| s.number),
    }
}

/// Whether the server could have an object of this name at all.
fn is_name(word: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    !word.is_empty() && word.len() <= 253 && word.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Vec<Candidate> {
        [("fix-auth", 1), ("fix-auth-2", 2), ("fix-docs", 3), ("3", 4), ("review", 12)]
            .map(|(name, number)| Candidate { name: name.into(), number: Some(number) })
            .to_vec()
    }

    #[test]
    fn the_whole_name_wins_over_longer_ones_and_over_numbers() {
        assert_eq!(choose(&fleet(), "fix-auth"), Choice::One("fix-auth"));
        assert_eq!(choose(&fleet(), "3"), Choice::One("3"));
    }

    #[test]
    fn a_bare_number_is_the_agents_own() {
        assert_eq!(choose(&fleet(), "2"), Choice::One("fix-auth-2"));
        assert_eq!(choose(&fleet(), "12"), Choice::One("review"));
        assert_eq!(choose(&fleet(), "99"), Choice::None);
    }

    #[test]
    fn a_beginning_must_be_unambiguous() {
        assert_eq!(choose(&fleet(), "rev"), Choice::One("review"));
        assert_eq!(choose(&fleet(), "fix-"), Choice::Several(vec!["fix-auth", "fix-auth-2", "fix-docs"]));
        assert_eq!(choose(&fleet(), "x"), Choice::None);
        assert_eq!(choose(&fleet(), ""), Choice::None);
    }

    #[test]
    fn an_ambiguous_word_is_a_usage_error_that_lists_the_candidates() {
        let failure = decide(&fleet(), "fix", "find agent \"fix\"").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.ends_with("it could be fix-auth, fix-auth-2, fix-docs"), "{}", failure.message);
    }
}
