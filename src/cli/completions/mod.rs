//! `regatta completions`: a small script for a shell, which asks this program again, by the hidden verb `complete`, for
//! what can stand at the cursor: verbs, flags, and the names of kinds and objects that the server has now.

mod names;
mod walk;

use clap::{Args, CommandFactory, ValueEnum};

use self::walk::{Candidate, Wanted};
use super::failure::{DONE, Outcome};
use super::output::print;
use super::target::Global;

/// Prints a script to source: `source <(regatta completions bash)`, or for fish
/// `regatta completions fish | source`.
#[derive(Args, Debug)]
pub struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub fn run(self) -> Outcome {
        print(match self.shell {
            Shell::Bash => include_str!("bash.sh"),
            Shell::Zsh => include_str!("zsh.zsh"),
            Shell::Fish => include_str!("fish.fish"),
        })?;
        DONE
    }
}

/// What can stand at the end of the given words, one a line: the word, a tab, what it is. A line `:files` asks the shell
/// for its own.
#[derive(Args, Debug)]
pub struct Complete {
    /// The command line so far, without the program; the last word is the one at the cursor, maybe empty
    #[arg(last = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Complete {
    pub async fn run(self, global: &Global) -> Outcome {
        let mut root = super::Cli::command();
        root.build();
        let place = walk::walk(&root, &self.words);
        let global = overlaid(global, &place.flags);
        let candidates = match &place.wanted {
            Wanted::These(candidates) => candidates.clone(),
            Wanted::Names(which) => names::ask(&global, *which, &place.before).await,
            Wanted::Files => vec![Candidate { word: ":files".into(), help: String::new() }],
            Wanted::Nothing => Vec::new(),
        };
        let fits = |c: &&Candidate| c.word.starts_with(&place.current) || c.word.starts_with(':');
        let line = |c: &Candidate| match c.word.starts_with(':') {
            true => format!("{}\n", c.word),
            false => format!("{}{}\t{}\n", place.prefix, c.word, c.help.lines().next().unwrap_or_default()),
        };
        print(candidates.iter().filter(fits).map(line).collect::<String>())?;
        DONE
    }
}

/// The flags that are already on the line say which server is asked.
fn overlaid(global: &Global, flags: &[(String, String)]) -> Global {
    let said = |name: &str| flags.iter().rev().find(|(flag, _)| flag == name).map(|(_, value)| value.clone());
    Global {
        home: said("home").map(Into::into).or_else(|| global.home.clone()),
        server: said("server").or_else(|| global.server.clone()),
        kubeconfig: said("kubeconfig").map(Into::into).or_else(|| global.kubeconfig.clone()),
        context: said("context").or_else(|| global.context.clone()),
        namespace: said("namespace").or_else(|| global.namespace.clone()),
    }
}
