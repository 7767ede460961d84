//! `regatta version`: this program's version, and the server's where one runs.

use clap::Args;
use serde_json::json;

use super::failure::{DONE, Outcome};
use super::output::{Format, document, print};
use super::server::Global;
use super::up::Running;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Args, Debug)]
pub struct Version {
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

impl Version {
    pub fn run(self, global: &Global) -> Outcome {
        let server = Running::read(&global.home()?)?.map(|r| r.version);
        match self.output {
            Some(format @ (Format::Json | Format::Yaml)) => {
                print(document(format, &json!({"client": VERSION, "server": server}))?)?;
            }
            Some(Format::Name | Format::Wide) | None => {
                let server = server.map(|v| format!("server {v}\n")).unwrap_or_default();
                print(format_args!("regatta {VERSION}\n{server}"))?;
            }
        }
        DONE
    }
}
