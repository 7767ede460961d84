//! Regular expressions as Kubernetes means them: Go's RE2 dialect, run by the `regex` crate. Both guarantee linear time; they differ
//! in what `\d`, `\w`, `\s` and `\b` mean (ASCII in Go) and in the set operators of character classes (none in Go).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

/// Compiled size limit: generous for a pattern of a schema, small enough that a hostile one cannot eat memory.
const SIZE_LIMIT: usize = 2 << 20;

/// Kinds repeat the same few patterns in hundreds of fields. This many are remembered.
const REMEMBERED: usize = 256;
static COMPILED: Mutex<Option<HashMap<String, Regex>>> = Mutex::new(None);

#[derive(Clone, Debug)]
pub(in crate::apiserver) struct Pattern {
    /// As the schema spells it: error messages quote it.
    pub source: String,
    regex: Regex,
}

impl Pattern {
    pub fn compile(source: &str) -> Result<Pattern, regex::Error> {
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = compiled.get_or_insert_default();
        let regex = match compiled.get(source) {
            Some(regex) => regex.clone(),
            None => {
                let regex = RegexBuilder::new(&translate(source)).size_limit(SIZE_LIMIT).build()?;
                if compiled.len() >= REMEMBERED {
                    compiled.clear();
                }
                compiled.insert(source.to_owned(), regex.clone());
                regex
            }
        };
        Ok(Pattern { source: source.to_owned(), regex })
    }

    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

fn translate(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    let mut chars = source.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escape) => out.push_str(&escaped(escape, in_class)),
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket right at the start is a literal.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' if chars.peek() == Some(&':') => {
                // [:alpha:] keeps its meaning; its closing bracket must not end the class.
                out.push('[');
                while let Some(inner) = chars.next() {
                    out.push(inner);
                    if inner == ':' && chars.peek() == Some(&']') {
                        out.extend(chars.next());
                        break;
                    }
                }
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

fn escaped(c: char, in_class: bool) -> String {
    let class = match c {
        'd' | 'D' => "0-9",
        'w' | 'W' => "0-9A-Za-z_",
        's' | 'S' => "\\t\\n\\f\\r ",
        'b' | 'B' if !in_class => return format!("(?-u:\\{c})"),
        other => return format!("\\{other}"),
    };
    match (in_class, c.is_ascii_lowercase()) {
        (true, true) => class.to_owned(),
        // The engine knows nested negated classes, Go spells them as the escape.
        (_, false) => format!("[^{class}]"),
        (false, true) => format!("[{class}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::compile(pattern).unwrap().matches(text)
    }

    #[test]
    fn digits_and_words_are_ascii_as_in_go() {
        assert!(matches(r"^\d+$", "123"));
        assert!(!matches(r"^\d+$", "١٢٣"));
        assert!(matches(r"^[\w-]+$", "a-b_c"));
        assert!(!matches(r"^\w+$", "ä"));
        assert!(matches(r"^[^\s]+$", "a"));
        assert!(matches(r"^[\S]$", "a"));
    }

    #[test]
    fn brackets_and_ampersands_inside_a_class_are_literals() {
        assert!(matches(r"^[a&&b]+$", "a&b"));
        assert!(matches(r"^[[x]+$", "[x"));
        assert!(matches(r"^[[:alpha:]]+$", "abc"));
        assert!(matches(r"^[]]$", "]"));
    }

    #[test]
    fn the_end_anchor_does_not_match_before_a_line_break() {
        assert!(!matches("^a$", "a\n"));
    }

    #[test]
    fn an_unclosed_group_is_an_error() {
        assert!(Pattern::compile("(").is_err());
    }
}
