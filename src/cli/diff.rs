//! `regatta diff -f`: what applying files would change, as a unified diff. The server works it out by a dry run; nothing
//! is changed.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::apply::{self, Wish};
use super::colour::{Palette, Tone};
use super::failure::{DONE, Exit, Failure, Outcome, cannot};
use super::kinds::Kinds;
use super::manifest;
use super::output::{Format, document, print, reference};
use super::server::{Global, Server};
use super::table::printable;

/// Exits with 0 when nothing would change, with 1 when something would, and with 2 or more when it cannot tell.
#[derive(Args, Debug)]
pub struct Diff {
    /// A file, a directory of files, or - for stdin; may be given several times
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
    /// As if fields that somebody else set were taken over
    #[arg(long)]
    force_conflicts: bool,
}

/// There are differences, as diff(1) says it.
const DIFFERENT: u8 = 1;

impl Diff {
    pub async fn run(self, global: &Global) -> Outcome {
        self.differences(global).await.map_err(|failure| match failure.exit {
            // 1 says that there are differences; diff(1) calls trouble 2.
            Exit::Failed => Failure::new(Exit::Usage, failure.message),
            Exit::Done | Exit::Usage | Exit::NotFound | Exit::Timeout | Exit::Refused | Exit::NotDelivered => failure,
        })
    }

    async fn differences(&self, global: &Global) -> Outcome {
        let manifests = manifest::read_all(&self.file)?;
        let server = Server::reach(global).await?;
        let kinds = Kinds::discover(&server.client).await?;
        let palette = Palette::of_stdout();
        let wish = Wish { force_conflicts: self.force_conflicts, dry_run: true };
        let mut different = false;
        for manifest in &manifests {
            let applied = apply::one(&server, &kinds, manifest, wish).await?;
            let name = reference(&applied.kind.singular, manifest.text("/metadata/name").unwrap_or_default());
            let secret = applied.kind.group.is_empty() && applied.kind.plural == "secrets";
            let (before, after) = compared(applied.before.as_ref(), &applied.after, secret);
            let text = |value: Option<Value>| value.map_or(Ok(String::new()), |v| document(Format::Yaml, &v));
            let patch = unified(&name, &text(before)?, &text(Some(after))?)?;
            different |= !patch.is_empty();
            print(painted(&patch, palette))?;
        }
        if different { Ok(DIFFERENT) } else { DONE }
    }
}

/// Both states without what changes with every write or says nothing to people; secrets without their values.
fn compared(before: Option<&Value>, after: &Value, secret: bool) -> (Option<Value>, Value) {
    let mut after = shown(after);
    let mut before = before.map(shown);
    if secret {
        hide_values(before.as_mut(), &mut after);
    }
    (before, after)
}

fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"] {
            meta.remove(key);
        }
        // What kubectl keeps for itself says nothing to people, and of a Secret it says too much.
        if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    object
}

/// That a value changes may be seen, and no more.
fn hide_values(before: Option<&mut Value>, after: &mut Value) {
    let nothing = json!({});
    let mut nothing_before = nothing.clone();
    let before = before.unwrap_or(&mut nothing_before);
    for key in ["data", "stringData"] {
        let old: Map<String, Value> = before[key].as_object().cloned().unwrap_or_default();
        let new: Map<String, Value> = after[key].as_object().cloned().unwrap_or_default();
        if let Some(Value::Object(map)) = after.get_mut(key) {
            for (name, value) in map.iter_mut() {
                let same = old.get(name) == Some(value);
                *value = json!(if same { "(hidden)" } else { "(hidden, new)" });
            }
        }
        if let Some(Value::Object(map)) = before.get_mut(key) {
            for (name, value) in map.iter_mut() {
                let same = new.get(name) == Some(value);
                *value = json!(if same { "(hidden)" } else { "(hidden, old)" });
            }
        }
    }
}

/// A unified diff with three lines around each change; nothing for equal texts.
fn unified(name: &str, before: &str, after: &str) -> Result<String, Failure> {
    if before == after {
        return Ok(String::new());
    }
    let attempt = || format!("compare {name}");
    let patch = git2::Patch::from_buffers(before.as_bytes(), None, after.as_bytes(), None, None);
    let mut patch = patch.map_err(|e| cannot(attempt(), e.message().to_owned()))?;
    let mut text = format!("--- {name} (on the server)\n+++ {name} (applied)\n");
    patch
        .print(&mut |_, _, line| {
            let content = String::from_utf8_lossy(line.content());
            match line.origin() {
                'H' => text.push_str(&content),
                origin @ ('+' | '-' | ' ') => text.push_str(&format!("{origin}{content}")),
                // git's own file header, and remarks about missing newlines, which these texts never have.
                _ => {}
            }
            true
        })
        .map_err(|e| cannot(attempt(), e.message().to_owned()))?;
    Ok(text)
}

fn painted(patch: &str, palette: Palette) -> String {
    let tone = |line: &str| match line.as_bytes().first() {
        Some(b'-') if line.starts_with("---") => Some(Tone::Strong),
        Some(b'+') if line.starts_with("+++") => Some(Tone::Strong),
        Some(b'-') => Some(Tone::Removed),
        Some(b'+') => Some(Tone::Added),
        Some(b'@') => Some(Tone::Quiet),
        Some(_) | None => None,
    };
    patch
        .lines()
        .map(printable)
        .map(|line| tone(&line).map_or_else(|| line.clone(), |tone| palette.paint(tone, &line)) + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_unified_diff() {
        let before = "a: 1\nb: 2\nc: 3\n";
        assert_eq!(unified("x/y", before, before).unwrap(), "");
        assert_eq!(
            unified("x/y", before, "a: 1\nb: 5\nc: 3\n").unwrap(),
            "--- x/y (on the server)\n+++ x/y (applied)\n@@ -1,3 +1,3 @@\n a: 1\n-b: 2\n+b: 5\n c: 3\n"
        );
        let created = unified("x/y", "", "a: 1\n").unwrap();
        assert!(created.ends_with("@@ -0,0 +1 @@\n+a: 1\n"), "{created}");
    }

    #[test]
    fn what_every_write_changes_is_no_difference() {
        let object = |version: &str| json!({"metadata": {"name": "a", "resourceVersion": version, "generation": 1}, "status": {"v": version}});
        let (before, after) = compared(Some(&object("1")), &object("2"), false);
        assert_eq!(before, Some(after));
    }

    #[test]
    fn a_secrets_change_is_seen_and_its_values_are_not() {
        let secret = |a: &str| json!({"metadata": {"name": "s"}, "data": {"a": a, "b": "same"}});
        let (before, after) = compared(Some(&secret("b25l")), &secret("dHdv"), true);
        let patch = unified(
            "secret/s",
            &document(Format::Yaml, &before.unwrap()).unwrap(),
            &document(Format::Yaml, &after).unwrap(),
        )
        .unwrap();
        assert!(patch.contains("-  a: (hidden, old)\n+  a: (hidden, new)\n"), "{patch}");
        assert!(!patch.contains("b25l") && !patch.contains("dHdv") && !patch.contains("same"), "{patch}");
    }
}
