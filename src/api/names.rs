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

/// RFC 1123 label, the form of namespaces and of names inside an object.
pub const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// The value of a label.
pub const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// A key of a Secret or ConfigMap.
pub const CONFIG_KEY: &str = "^[-._a-zA-Z0-9]+$";

/// A branch or ref: never an option, never a path out of refs.
pub const GIT_REF: &str = "^[^\\s\\x00-\\x1f~^:?*\\[\\\\/.-][^\\s\\x00-\\x1f~^:?*\\[\\\\]*$";

/// A path from the root, on one line.
pub const ABSOLUTE_PATH: &str = "^/[^\\x00-\\x1f]*$";

/// A path below a directory: not from the root, not out of it, not an option.
pub const RELATIVE_PATH: &str = "^([^/\\x00-\\x1f.-][^/\\x00-\\x1f]*|\\.[^/.\\x00-\\x1f][^/\\x00-\\x1f]*)(/([^/\\x00-\\x1f.][^/\\x00-\\x1f]*|\\.[^/.\\x00-\\x1f][^/\\x00-\\x1f]*))*$";

/// One line of text.
pub const NO_CONTROL: &str = "^[^\\x00-\\x1f\\x7f]*$";

/// A key in tmux's names, such as `Enter`, `C-c` or `y`.
pub const KEY_NAME: &str = "^[!-~]+$";

/// A user, group or account as the API's authorisation names it.
pub const PERSON: &str = "^[^\\s\\x00-\\x1f]+$";

/// An IANA time zone, such as `Europe/Berlin`.
pub const TIME_ZONE: &str = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$";

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
