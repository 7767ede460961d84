//! `regatta wait`: until an agent, or another object, is as somebody needs it; for scripts.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use super::failure::{DONE, Exit, Failure, Outcome, cannot};
use super::kinds::Kinds;
use super::names;
use super::objects::{Bare, pointed};
use super::output::reference;
use super::request::{self, JSON, encoded};
use super::server::{Global, Server};
use super::until::{Seen, Waiting, until};
use crate::api::Agent;
use crate::api::units::GoDuration;

#[derive(Args, Debug)]
pub struct Wait {
    /// Agents by name, unambiguous beginning or number; other objects as KIND/NAME or KIND NAME…
    #[arg(required = true, value_name = "NAME|KIND/NAME")]
    objects: Vec<String>,
    /// condition=Ready, condition=Ready=False, activity=Idle, finished, or delete
    #[arg(long = "for", value_name = "WHAT", default_value = "finished", value_parser = goal)]
    goal: Goal,
    /// Give up after this long (30s, 10m) and exit with 4
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Exit with the agent's own exit code, 128 + n for signal n
    #[arg(long)]
    exit_code: bool,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    Condition { kind: String, status: String },
    Activity(String),
    Finished,
    Deleted,
}

const ACTIVITIES: [&str; 9] =
    ["Starting", "Working", "NeedsInput", "Idle", "RateLimited", "Finished", "Failed", "Stopped", "Unknown"];

fn goal(text: &str) -> Result<Goal, String> {
    let wrong = || format!("{text:?} is none of condition=TYPE[=STATUS], activity=ACTIVITY, finished, delete");
    match text.split_once('=') {
        None if text == "finished" => Ok(Goal::Finished),
        None if text == "delete" => Ok(Goal::Deleted),
        Some(("condition", rest)) => {
            let (kind, status) = rest.split_once('=').unwrap_or((rest, "True"));
            let status = ["True", "False", "Unknown"].into_iter().find(|s| s.eq_ignore_ascii_case(status));
            let status = status.filter(|_| !kind.is_empty()).ok_or_else(wrong)?;
            Ok(Goal::Condition { kind: kind.to_owned(), status: status.to_owned() })
        }
        Some(("activity", activity)) => {
            let known = ACTIVITIES.into_iter().find(|a| a.eq_ignore_ascii_case(activity));
            let activity =
                known.ok_or_else(|| format!("{activity:?} is no activity; they are {}", ACTIVITIES.join(", ")))?;
            Ok(Goal::Activity(activity.to_owned()))
        }
        _ => Err(wrong()),
    }
}

/// A duration such as 30s, 10m or 1h30m.
pub fn seconds(text: &str) -> Result<Duration, String> {
    GoDuration(text.to_owned()).get().ok_or_else(|| format!("{text:?} is no duration; write 30s, 10m or 1h30m"))
}

impl Goal {
    fn is_met_by(&self, object: &Value) -> bool {
        let status = &object["status"];
        match self {
            Goal::Condition { kind, status: wanted } => {
                // What was said about an older spec says nothing about this one.
                let generation = object["metadata"]["generation"].as_i64();
                status["conditions"].as_array().into_iter().flatten().any(|c| {
                    let stale = c["observedGeneration"].as_i64().zip(generation).is_some_and(|(seen, is)| seen < is);
                    c["type"] == kind.as_str() && c["status"] == wanted.as_str() && !stale
                })
            }
            Goal::Activity(wanted) => status["activity"] == wanted.as_str(),
            Goal::Finished => is_over(object),
            Goal::Deleted => false,
        }
    }
}

/// Whether the command ended and nothing starts it again.
pub fn is_over(object: &Value) -> bool {
    let status = &object["status"];
    let conditions = status["conditions"].as_array();
    let restarts = conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["reason"] == "CrashLoop");
    matches!(status["activity"].as_str(), Some("Finished" | "Failed" | "Stopped")) && !restarts
}

/// One object that is waited for.
struct Subject {
    path: String,
    name: String,
    uid: String,
    reference: String,
}

impl Wait {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        let deadline = self.timeout.map(|t| Instant::now() + t);
        let subjects = self.subjects(&server).await?;
        if self.exit_code && subjects.len() > 1 {
            return Err(Failure::usage("--exit-code goes with one agent"));
        }
        let mut code = None;
        for subject in &subjects {
            let last = self.wait(&server, subject, deadline).await?;
            if self.exit_code {
                code = Some(self.own_code(subject, last)?);
            }
        }
        code.map_or(DONE, Ok)
    }

    /// What the words mean. Somebody who waits for an end does not mind that it has come.
    async fn subjects(&self, server: &Server) -> Result<Vec<Subject>, Failure> {
        let kinds = Kinds::discover(&server.client).await?;
        let mut subjects = Vec::new();
        for found in pointed(&kinds, &self.objects, Bare::Agent)? {
            let kind = found.kind;
            if !kind.is_agent() && matches!(self.goal, Goal::Finished | Goal::Activity(_)) {
                let what = kind.kind.to_ascii_lowercase();
                return Err(Failure::usage(format!(
                    "only agents have an activity and finish; for a {what} say --for condition=Ready or --for delete"
                )));
            }
            if found.names.is_empty() {
                return Err(Failure::usage(format!("name the {} to wait for", kind.plural)));
            }
            for word in found.names {
                let name = match names::object(server, kind, word).await {
                    Err(failure) if failure.exit == Exit::NotFound && self.goal == Goal::Deleted => continue,
                    name => name?,
                };
                let (path, reference) = (kind.path(Some(&server.namespace)), reference(&kind.singular, &name));
                let object = match request::get(&server.client, &format!("{path}/{}", encoded(&name)), JSON).await {
                    Err(kube::Error::Api(status)) if status.code == 404 && self.goal == Goal::Deleted => continue,
                    object => object.map_err(|e| cannot(format_args!("wait for {reference}"), e))?,
                };
                let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
                subjects.push(Subject { path, name, uid, reference });
            }
        }
        Ok(subjects)
    }

    /// The last state that was seen; none when it is gone.
    async fn wait(
        &self,
        server: &Server,
        subject: &Subject,
        deadline: Option<Instant>,
    ) -> Result<Option<Value>, Failure> {
        let Subject { path, name, uid, reference } = subject;
        let what = format!("{reference} to be {}", self.goal.words());
        let waiting = Waiting { client: &server.client, path: path.clone(), name, deadline, what };
        until(&waiting, |seen| match seen {
            // An object of the same name that came later is another one.
            Seen::Object(object) if object["metadata"]["uid"] == uid.as_str() => {
                self.goal.is_met_by(object).then(|| Ok(Some(object.clone())))
            }
            Seen::Object(_) | Seen::Gone if self.goal == Goal::Deleted => Some(Ok(None)),
            Seen::Object(_) | Seen::Gone => {
                Some(Err(Failure::new(Exit::NotFound, format!("gave up waiting for {reference}: it was deleted"))))
            }
        })
        .await?
    }

    fn own_code(&self, subject: &Subject, last: Option<Value>) -> Outcome {
        let agent: Option<Agent> = last.and_then(|o| serde_json::from_value(o).ok());
        let exit = agent.and_then(|a| a.status).and_then(|s| s.exit);
        exit.map(|e| own_code(e.code, e.signal.as_deref())).ok_or_else(|| {
            let why = self.goal.words_without_exit();
            Failure::failed(format!("{} has no exit code: it {why}", subject.reference))
        })
    }
}

impl Goal {
    fn words(&self) -> String {
        match self {
            Goal::Condition { kind, status } if status == "True" => kind.clone(),
            Goal::Condition { kind, status } => format!("{kind}={status}"),
            Goal::Activity(activity) => activity.clone(),
            Goal::Finished => "finished".into(),
            Goal::Deleted => "deleted".into(),
        }
    }

    fn words_without_exit(&self) -> &'static str {
        match self {
            Goal::Finished => "ended before its command was started",
            Goal::Condition { .. } | Goal::Activity(_) | Goal::Deleted => "has not ended; wait for `finished`",
        }
    }
}

/// As a shell says it: the code itself, or 128 and the signal's number.
fn own_code(code: Option<i32>, signal: Option<&str>) -> u8 {
    let number = signal.and_then(|s| s.parse::<nix::sys::signal::Signal>().ok()).map(|s| s as i32);
    match (number, code) {
        (Some(number), _) => u8::try_from(128 + number).unwrap_or(u8::MAX),
        (None, Some(code)) => u8::try_from(code & 0xff).expect("eight bits fit"),
        (None, None) => Exit::Failed as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn goals_are_read_as_documented() {
        let ready = |status: &str| Goal::Condition { kind: "Ready".into(), status: status.into() };
        assert_eq!(goal("condition=Ready"), Ok(ready("True")));
        assert_eq!(goal("condition=Ready=false"), Ok(ready("False")));
        assert_eq!(goal("activity=idle"), Ok(Goal::Activity("Idle".into())));
        assert_eq!(goal("finished"), Ok(Goal::Finished));
        assert_eq!(goal("delete"), Ok(Goal::Deleted));
        for bad in ["ready", "condition=", "activity=Sleeping", "condition=Ready=Maybe"] {
            assert!(goal(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_condition_about_an_older_spec_does_not_count() {
        let ready = goal("condition=Ready").unwrap();
        let object = |seen: i64| {
            json!({"metadata": {"generation": 2}, "status": {"conditions": [
                {"type": "Ready", "status": "True", "observedGeneration": seen}]}})
        };
        assert!(ready.is_met_by(&object(2)));
        assert!(!ready.is_met_by(&object(1)));
    }

    #[test]
    fn an_agent_that_will_be_restarted_is_not_over() {
        let object = |activity: &str, reason: &str| json!({"status": {"activity": activity, "conditions": [{"type": "Ready", "status": "False", "reason": reason}]}});
        assert!(is_over(&object("Failed", "Failed")));
        assert!(!is_over(&object("Failed", "CrashLoop")));
        assert!(!is_over(&object("Working", "Running")));
    }

    #[test]
    fn the_agents_own_exit_code_is_that_of_a_shell() {
        assert_eq!(own_code(Some(7), None), 7);
        assert_eq!(own_code(None, Some("SIGKILL")), 137);
        assert_eq!(own_code(None, Some("SIGTERM")), 143);
    }
}
