//! Tells news as Events (events.k8s.io). An Event is named after its agent and its key, so that the same news told again,
//! by a controller that crashed in between, is told once.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource, ResourceExt};

use crate::api::Agent;
use crate::api::conditions::shorten;
use crate::plan::news::{News, Tone};

/// Events are supplementary: one that cannot be written is logged and never holds up the work.
pub async fn tell(client: &Client, agent: &Agent, component: &str, news: &[News]) {
    for piece in news {
        let event = event(agent, component, piece);
        let api: Api<Event> = Api::namespaced(client.clone(), &agent.namespace().unwrap_or_default());
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => {
                tracing::warn!(agent = agent.name_any(), reason = piece.reason, %error, "cannot record an event");
            }
        }
    }
}

fn event(agent: &Agent, component: &str, News { key, tone, reason, action, note }: &News) -> Event {
    let uid = agent.uid().unwrap_or_default();
    let name = format!("{}.{}.{key}", shorten_name(&agent.name_any()), uid.get(..8).unwrap_or(&uid));
    Event {
        metadata: ObjectMeta { name: Some(name), namespace: agent.namespace(), ..ObjectMeta::default() },
        action: Some((*action).to_owned()),
        reason: Some((*reason).to_owned()),
        note: Some(shorten(note, 1000)),
        type_: Some(match tone {
            Tone::Normal => "Normal".to_owned(),
            Tone::Warning => "Warning".to_owned(),
        }),
        event_time: Some(MicroTime(Timestamp::now())),
        regarding: Some(ObjectReference {
            api_version: Some(Agent::api_version(&()).into_owned()),
            kind: Some(Agent::kind(&()).into_owned()),
            name: Some(agent.name_any()),
            namespace: agent.namespace(),
            uid: agent.uid(),
            ..ObjectReference::default()
        }),
        reporting_controller: Some("regatta.dev/".to_owned() + component.split('/').next().unwrap_or(component)),
        reporting_instance: Some(component.to_owned()),
        ..Event::default()
    }
}

/// Names end at 253 characters; uid and key need some of them.
fn shorten_name(name: &str) -> &str {
    name.get(..190).unwrap_or(name).trim_end_matches(['-', '.'])
}
