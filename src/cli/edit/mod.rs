//! `regatta edit`: an object in your editor, and what you changed back onto the server. What is wrong with it comes back
//! into the editor as comments; what others changed meanwhile stays. Nothing you wrote is lost: a copy is kept until the
//! server has it.

mod copy;
mod merge;
mod text;

use clap::Args;
use http::Method;
use serde_json::Value;

use self::copy::Copy;
use self::merge::merge;
use self::text::{overlay, page, read, visible};
use super::failure::{Cause, Exit, Failure, Outcome, cannot};
use super::kinds::Kinds;
use super::names;
use super::objects::{Bare, pointed};
use super::output::{print, reference, say};
use super::request::{self, JSON, encoded, query};
use super::server::{Global, Server};

/// Who sets the fields that are edited by hand.
const MANAGER: &str = "regatta-edit";

/// Others write too, an agent's status above all; a write that came too late is tried again on what is there then.
const TRIES: usize = 10;

#[derive(Args, Debug)]
pub struct Edit {
    /// KIND/NAME, KIND NAME, or an agent by name, unambiguous beginning or number
    #[arg(required = true, num_args = 1..=2, value_name = "NAME|KIND/NAME")]
    object: Vec<String>,
    /// Let the server check the change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The object that is edited.
struct Subject<'a> {
    server: &'a Server,
    path: String,
    reference: String,
    dry_run: bool,
}

/// What one attempt to hand in the text came to.
enum Verdict {
    Unchanged,
    Done,
    /// The person has to look again: why, the state that was looked at, and the text to go on with.
    Again {
        why: Vec<String>,
        base: Value,
        body: String,
    },
}

impl Edit {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        let kinds = Kinds::discover(&server.client).await?;
        let found = pointed(&kinds, &self.object, Bare::Agent)?;
        let [found] = found.as_slice() else { return Err(Failure::usage("one object is edited at a time")) };
        let [word] = found.names.as_slice() else { return Err(Failure::usage("one object is edited at a time")) };
        let name = names::object(&server, found.kind, word).await?;
        let path = format!("{}/{}", found.kind.path(Some(&server.namespace)), encoded(&name));
        let reference = reference(&found.kind.singular, &name);
        Subject { server: &server, path, reference, dry_run: self.dry_run }.edit().await
    }
}

impl Subject<'_> {
    async fn edit(&self) -> Outcome {
        let mut base = visible(&self.live().await?);
        let mut given = page(&self.reference, &[], &text::yaml(&base)?);
        let mut copy = Copy::create(&self.reference, &given)?;
        let mut first = true;
        loop {
            // The editor takes the terminal; nothing else of ours runs meanwhile.
            let written = copy.edit().map_err(|failure| copy.keep(failure))?;
            if written == given || text::is_empty(&written) {
                if first {
                    say(format_args!("{} not edited: nothing was changed", self.reference));
                    return copy.discard();
                }
                let failure =
                    Failure::failed(format!("cannot edit {}: what was refused was not changed", self.reference));
                return Err(copy.keep(failure));
            }
            first = false;
            match self.hand_in(&base, text::without_header(&written)).await {
                Ok(Verdict::Unchanged) => {
                    say(format_args!("{} not edited: nothing was changed", self.reference));
                    return copy.discard();
                }
                Ok(Verdict::Done) => {
                    let dry = if self.dry_run { " (dry run)" } else { "" };
                    print(format_args!("{} edited{dry}\n", self.reference))?;
                    return copy.discard();
                }
                Ok(Verdict::Again { mut why, base: seen, body }) => {
                    if body != text::without_header(&written) {
                        let kept = copy.set_aside(&written)?;
                        why.push(format!("what you had written is kept in {}", kept.display()));
                    }
                    base = seen;
                    given = page(&self.reference, &why, &body);
                    copy.write(&given)?;
                }
                Err(failure) => return Err(copy.keep(failure)),
            }
        }
    }

    async fn live(&self) -> Result<Value, Failure> {
        let live = request::get(&self.server.client, &self.path, JSON).await;
        live.map_err(|e| cannot(format_args!("edit {}", self.reference), e))
    }

    async fn hand_in(&self, base: &Value, body: &str) -> Result<Verdict, Failure> {
        let again = |why: Vec<String>| Verdict::Again { why, base: base.clone(), body: body.to_owned() };
        let edited = match read(body, base) {
            Ok(edited) => edited,
            Err(why) => return Ok(again(vec![why])),
        };
        if edited == *base {
            return Ok(Verdict::Unchanged);
        }
        for _ in 0..TRIES {
            let live = self.live().await?;
            let seen = visible(&live);
            let (merged, conflicts) = merge(base, &edited, &seen);
            if !conflicts.is_empty() {
                let mut why: Vec<String> = vec!["somebody else changed the same; yours is below, theirs was:".into()];
                why.extend(conflicts.iter().map(|c| format!("  {}: {}", c.field, c.theirs)));
                why.push("to keep yours, delete these lines and save".into());
                return Ok(Verdict::Again { why, base: seen, body: text::yaml(&merged)? });
            }
            let options = query(&[
                ("fieldManager", Some(MANAGER.into())),
                ("fieldValidation", Some("Strict".into())),
                ("dryRun", self.dry_run.then(|| "All".into())),
            ]);
            let path = format!("{}{options}", self.path);
            let object = overlay(&live, &merged);
            match request::send(&self.server.client, Method::PUT, &path, JSON, &object).await {
                Ok(_) => return Ok(Verdict::Done),
                Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "Conflict" => {}
                Err(kube::Error::Api(status)) if matches!(status.code, 400 | 409 | 413 | 415 | 422) => {
                    return Ok(again(complaints(&status)));
                }
                Err(error) => {
                    let Cause { exit, text } = error.into();
                    return Err(Failure::new(exit, format!("cannot edit {}: {text}", self.reference)));
                }
            }
        }
        let why = format!("cannot edit {}: others changed it {TRIES} times meanwhile; try again", self.reference);
        Err(Failure::new(Exit::Failed, why))
    }
}

/// The server's complaints, one a line.
fn complaints(status: &kube::core::Status) -> Vec<String> {
    let causes = status.details.as_ref().map(|d| d.causes.as_slice()).unwrap_or_default();
    let named: Vec<String> =
        causes.iter().filter(|c| !c.field.is_empty()).map(|c| format!("{}: {}", c.field, c.message)).collect();
    if named.is_empty() { status.message.lines().map(str::to_owned).collect() } else { named }
}
