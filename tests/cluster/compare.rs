//! Two transcripts into a verdict: the lines that differ, under the step they belong to, and which of them are explained.

use std::fmt::Write;

use regex::Regex;
use serde::Deserialize;

use crate::pair::ROOT;

/// The head of a step's lines in a transcript.
pub const STEP: &str = "» ";

pub struct Verdict {
    pub name: String,
    pub hunks: Vec<Hunk>,
}

/// What differs in one step: lines of the real one begin with `-`, ours with `+`.
pub struct Hunk {
    pub step: String,
    pub lines: Vec<String>,
}

impl Verdict {
    pub fn new(name: String, real: &[String], ours: &[String]) -> Verdict {
        let mut hunks: Vec<Hunk> = Vec::new();
        let mut step = String::new();
        for (sign, line) in diff(real, ours) {
            if sign == ' ' {
                if line.starts_with(STEP) {
                    step = line.to_string();
                }
                continue;
            }
            match hunks.last_mut() {
                Some(hunk) if hunk.step == step => hunk.lines.push(format!("{sign} {line}")),
                _ => hunks.push(Hunk { step: step.clone(), lines: vec![format!("{sign} {line}")] }),
            }
        }
        Verdict { name, hunks }
    }
}

/// The longest common subsequence, after the common beginning and end; transcripts are some hundred lines.
fn diff<'a>(real: &'a [String], ours: &'a [String]) -> Vec<(char, &'a str)> {
    let (rows, columns) = (real.len(), ours.len());
    let mut lengths = vec![vec![0u32; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            lengths[i][j] =
                if real[i] == ours[j] { lengths[i + 1][j + 1] + 1 } else { lengths[i + 1][j].max(lengths[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < rows || j < columns {
        if i < rows && j < columns && real[i] == ours[j] {
            out.push((' ', real[i].as_str()));
            (i, j) = (i + 1, j + 1);
        } else if j == columns || (i < rows && lengths[i + 1][j] >= lengths[i][j + 1]) {
            out.push(('-', real[i].as_str()));
            i += 1;
        } else {
            out.push(('+', ours[j].as_str()));
            j += 1;
        }
    }
    out
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The section, or the beginning of a case's name after it: `http/crud`, `kubectl 1.20/`.
    case: String,
    /// Matches the differing lines with their sign.
    lines: String,
    /// Why this difference is meant.
    why: String,
}

/// The differences that are meant, each with its reason.
pub struct Explained(Vec<(Entry, Regex, Regex)>);

impl Explained {
    pub fn load() -> Explained {
        let path = format!("{ROOT}/tests/cluster/explained.yaml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let entries: Vec<Entry> = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let compiled = entries.into_iter().map(|entry| {
            assert!(!entry.why.trim().is_empty(), "{path}: {} has no reason", entry.case);
            let case = Regex::new(&format!("^(?:{})", entry.case)).unwrap();
            let lines = Regex::new(&entry.lines).unwrap();
            (entry, case, lines)
        });
        Explained(compiled.collect())
    }

    /// Prints every case's verdict, and returns what makes the run fail. `whole`: no case was left out, so that an
    /// explanation nobody needed is stale.
    pub fn judge(&self, section: &str, verdicts: Vec<Verdict>, whole: bool) -> Vec<String> {
        let mut used = vec![false; self.0.len()];
        let (mut failures, mut same, mut meant) = (Vec::new(), 0, 0);
        let total = verdicts.len();
        let mut verdicts = verdicts;
        verdicts.sort_by(|a, b| a.name.cmp(&b.name));
        for Verdict { name, hunks } in verdicts {
            if hunks.is_empty() {
                same += 1;
                continue;
            }
            let mut text = String::new();
            for hunk in hunks {
                let mut rest = Vec::new();
                for line in hunk.lines {
                    let known =
                        self.0.iter().position(|(_, case, lines)| case.is_match(&name) && lines.is_match(&line));
                    match known {
                        Some(entry) => used[entry] = true,
                        None => rest.push(line),
                    }
                }
                if !rest.is_empty() {
                    writeln!(text, "    {}\n        {}", hunk.step, rest.join("\n        ")).expect("a String");
                }
            }
            if text.is_empty() {
                meant += 1;
            } else {
                println!("✗ {name}\n{text}");
                failures.push(format!("{name} differs (see above)"));
            }
        }
        println!("{section}: {total} cases: {same} the same, {meant} with meant differences, {} not", failures.len());
        for ((entry, ..), used) in self.0.iter().zip(used) {
            if whole && !used && entry.case.starts_with(section) {
                failures.push(format!(
                    "explained.yaml: {} / {} ({}) no longer occurs; drop it",
                    entry.case, entry.lines, entry.why
                ));
            }
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ').map(|word| word.replace('_', " ")).collect()
    }

    #[test]
    fn a_difference_is_shown_under_its_step() {
        let verdict = Verdict::new("x".into(), &lines("»_one a b »_two c"), &lines("»_one a b »_two d"));
        assert_eq!(verdict.hunks.len(), 1);
        assert_eq!(verdict.hunks[0].step, "» two");
        assert_eq!(verdict.hunks[0].lines, ["- c", "+ d"]);
        assert!(Verdict::new("x".into(), &lines("a b"), &lines("a b")).hunks.is_empty());
    }

    #[test]
    fn a_difference_nobody_explained_and_an_explanation_nobody_needs_both_fail() {
        let entry = Entry { case: "http/x".into(), lines: "^. c".into(), why: "because".into() };
        let explained = Explained(vec![(entry, Regex::new("^http/x").unwrap(), Regex::new("^. c").unwrap())]);
        let verdict = |ours: &str| vec![Verdict::new("http/x".into(), &lines("a"), &lines(ours))];
        assert_eq!(explained.judge("http", verdict("a c"), true), Vec::<String>::new());
        assert_eq!(explained.judge("http", verdict("a d"), true).len(), 2);
        assert_eq!(explained.judge("http", verdict("a"), false), Vec::<String>::new());
        assert_eq!(explained.judge("http", verdict("a"), true).len(), 1);
    }
}
