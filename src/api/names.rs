//! References and slugs: how objects call each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A reference to an object of the same namespace (or to a cluster-scoped one), by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), extend("pattern" = SUBDOMAIN))]
    pub name: String,
}

impl LocalRef {
    pub fn to(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// RFC 1123 subdomain, the form of object names.
pub const SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// A name made from free text: the first `words` words, lower case, joined by dashes; `None` when nothing is left.
pub fn slug(text: &str, words: usize) -> Option<String> {
    let mut slug = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).take(words) {
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    slug.truncate(50);
    let slug = slug.trim_matches('-').to_owned();
    (!slug.is_empty()).then_some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_takes_the_first_words_and_nothing_else() {
        assert_eq!(slug("Fix the flaky test in auth", 4).as_deref(), Some("fix-the-flaky-test"));
        assert_eq!(slug("  `rm -rf /`; $(x)", 4).as_deref(), Some("rm-rf-x"));
        assert_eq!(slug("日本語", 4), None);
        assert!(slug(&"x".repeat(400), 4).is_some_and(|s| s.len() == 50));
    }
}
