//! The definitions that come with the binary, the files of `adapters/`.

use std::sync::LazyLock;

use super::validate::parse;
use crate::api::adapter::Definition;

const FILES: [&str; 2] = [include_str!("../../adapters/command.yaml"), include_str!("../../adapters/shell.yaml")];

static SHIPPED: LazyLock<Vec<Definition>> =
    LazyLock::new(|| FILES.iter().map(|text| parse(text).expect("the shipped files are checked by a test")).collect());

/// Every adapter that comes with the binary.
pub fn shipped() -> &'static [Definition] {
    &SHIPPED
}

/// The adapter with this name or alias.
pub fn find(name: &str) -> Option<&'static Definition> {
    shipped()
        .iter()
        .find(|a| a.name == name)
        .or_else(|| shipped().iter().find(|a| a.spec.aliases.iter().any(|x| x == name)))
}

/// Every adapter's own name, for the message that one is unknown.
pub fn names() -> Vec<&'static str> {
    shipped().iter().map(|a| a.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_adapter_is_valid_and_no_two_share_a_name() {
        let mut all: Vec<&str> = shipped()
            .iter()
            .flat_map(|a| std::iter::once(&a.name).chain(&a.spec.aliases))
            .map(String::as_str)
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "an alias is used twice: {all:?}");
    }

    #[test]
    fn an_alias_finds_its_adapter() {
        assert_eq!(find("bash").map(|a| a.name.as_str()), Some("shell"));
        assert_eq!(find("command").map(|a| a.name.as_str()), Some("command"));
        assert!(find("emacs").is_none());
    }
}
