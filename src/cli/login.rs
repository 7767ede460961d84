//! `regatta login`: a link that logs a browser in, once.

use clap::Args;
use serde_json::json;

use super::failure::{DONE, Failure, Outcome, cannot};
use super::output::print;
use super::request;
use super::server::{Global, Place, Server};

#[derive(Args, Debug)]
pub struct Login {}

impl Login {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        if server.place == Place::Elsewhere {
            let why = "its address is not known from here; run `regatta login` on the server's machine";
            return Err(cannot("make a link to the web app", why));
        }
        let running = server
            .running()?
            .ok_or_else(|| Failure::failed("cannot make a link to the web app: the server does not say where it is"))?;
        let answer = request::post(&server.client, "/auth/codes", &json!({}))
            .await
            .map_err(|e| cannot("ask the server for a login code", e))?;
        let code = answer["code"].as_str().ok_or_else(|| cannot("ask the server for a login code", "it sent none"))?;
        print(format_args!("{}/#code={code}\n", running.web.trim_end_matches('/')))?;
        DONE
    }
}
