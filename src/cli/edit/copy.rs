//! The file in the editor. It stays until what is in it is on the server, and its path is said when it is not.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::failure::{DONE, Failure, Outcome, cannot};

pub struct Copy {
    path: PathBuf,
    /// Earlier texts that the object was made anew over.
    aside: Vec<PathBuf>,
}

impl Copy {
    /// A private file with a name that an editor knows as YAML.
    pub fn create(reference: &str, text: &str) -> Result<Copy, Failure> {
        let name: String =
            reference.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
        let directory = std::env::temp_dir();
        for number in 0..1000u32 {
            let path = directory.join(format!("regatta-edit-{name}-{}-{number}.yaml", std::process::id()));
            match write_new(&path, text) {
                Ok(()) => return Ok(Copy { path, aside: Vec::new() }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot(format_args!("write {}", path.display()), error)),
            }
        }
        Err(cannot(format_args!("write a file in {}", directory.display()), "every name is taken"))
    }

    /// Runs the editor on it, and reads what it left.
    pub fn edit(&self) -> Result<String, Failure> {
        let editor = editor();
        // An editor with arguments, such as `code --wait`, is a command line.
        let status = Command::new("sh")
            .args(["-c", &format!("{editor} \"$1\""), "sh"])
            .arg(&self.path)
            .status()
            .map_err(|e| cannot(format_args!("run the editor {editor:?}"), e))?;
        if !status.success() {
            let way_out = "EDITOR names another one";
            return Err(Failure::failed(format!("cannot edit: the editor {editor:?} ended with {status}; {way_out}")));
        }
        std::fs::read_to_string(&self.path).map_err(|e| cannot(format_args!("read {}", self.path.display()), e))
    }

    pub fn write(&self, text: &str) -> Result<(), Failure> {
        std::fs::write(&self.path, text).map_err(|e| cannot(format_args!("write {}", self.path.display()), e))
    }

    /// Keeps a text beside the one that is edited on.
    pub fn set_aside(&mut self, text: &str) -> Result<PathBuf, Failure> {
        let path = self.path.with_extension(format!("{}.yaml", self.aside.len() + 1));
        write_new(&path, text).map_err(|e| cannot(format_args!("write {}", path.display()), e))?;
        self.aside.push(path.clone());
        Ok(path)
    }

    /// The server has it: nothing of it stays.
    pub fn discard(self) -> Outcome {
        for path in self.aside.iter().chain([&self.path]) {
            std::fs::remove_file(path).map_err(|e| cannot(format_args!("remove {}", path.display()), e))?;
        }
        DONE
    }

    /// The failure, and where the text is.
    pub fn keep(&self, failure: Failure) -> Failure {
        let Failure { exit, message } = failure;
        Failure::new(exit, format!("{message}; what you wrote is kept in {}", self.path.display()))
    }
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// As git and kubectl choose it.
fn editor() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|e| !e.trim().is_empty());
    ["REGATTA_EDITOR", "KUBE_EDITOR", "VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| set(name))
        .unwrap_or_else(|| "vi".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_private_never_overwrite_and_go_when_done() {
        use std::os::unix::fs::PermissionsExt;
        let mut one = Copy::create("agent/a b", "one").unwrap();
        let two = Copy::create("agent/a b", "two").unwrap();
        assert_ne!(one.path, two.path);
        assert_eq!(std::fs::metadata(&one.path).unwrap().permissions().mode() & 0o777, 0o600);
        let aside = one.set_aside("earlier").unwrap();
        let kept = one.keep(Failure::failed("cannot edit"));
        assert!(kept.message.ends_with(&format!("kept in {}", one.path.display())), "{}", kept.message);
        let path = one.path.clone();
        one.discard().unwrap();
        assert!(!path.exists() && !aside.exists() && two.path.exists());
        two.discard().unwrap();
    }
}
