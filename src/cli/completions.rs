//! `regatta completions`: what a shell needs to complete verbs and flags.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::failure::{DONE, Outcome};
use super::output::print;

#[derive(Args, Debug)]
pub struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "regatta", &mut script);
        print(String::from_utf8_lossy(&script))?;
        DONE
    }
}
