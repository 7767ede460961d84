//! `regatta version`: this program's version, and the server's where one runs. Starts none.

use clap::Args;
use serde_json::json;

use super::failure::{DONE, Failure, Outcome, cannot};
use super::output::{Format, document, print};
use super::request::{self, JSON};
use super::server::{Global, Place, Server};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Args, Debug)]
pub struct Version {
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

impl Version {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = match Server::find(global).await? {
            Ok(server) => Some(Found::ask(&server).await?),
            // No server is no failure here, unless one was named.
            Err(why) if global.target()?.place == Place::Elsewhere => return Err(cannot("reach the server", why)),
            Err(_) => None,
        };
        match self.output {
            Some(format @ (Format::Json | Format::Yaml)) => {
                let (version, api, url) = match server {
                    Some(Found { version, api, url }) => (version, Some(api), Some(url)),
                    None => (None, None, None),
                };
                let value = json!({"client": VERSION, "server": version, "kubernetes": api, "url": url});
                print(document(format, &value)?)?;
            }
            Some(Format::Name | Format::Wide) | None => {
                let server = match server {
                    Some(Found { version: Some(version), api, url }) => {
                        format!("server {version} (Kubernetes API {api}) at {url}\n")
                    }
                    Some(Found { version: None, api, url }) => format!("server Kubernetes {api} at {url}\n"),
                    None => String::new(),
                };
                print(format_args!("regatta {VERSION}\n{server}"))?;
            }
        }
        DONE
    }
}

/// What a server says about itself. Only one on this machine says which Regatta it is.
struct Found {
    version: Option<String>,
    api: String,
    url: String,
}

impl Found {
    async fn ask(server: &Server) -> Result<Found, Failure> {
        let answer = request::get(&server.client, "/version", JSON).await;
        let answer = answer.map_err(|e| cannot("ask the server for its version", e))?;
        let api = answer["gitVersion"].as_str().unwrap_or("of an unknown version").to_owned();
        Ok(Found { version: server.running()?.map(|r| r.version), api, url: server.url.clone() })
    }
}
