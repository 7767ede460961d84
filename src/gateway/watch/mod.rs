//! `/watch`: one WebSocket that carries all the state a page shows. This file owns the socket and its messages; what a
//! subscription does is in `subscription`, screens are in `super::screens`.
//!
//! Nothing here waits for a slow browser: what it cannot take is dropped and replaced by a fresh list later, and a
//! browser that takes nothing at all is let go.

mod subscription;

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::response::Response;
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::Gateway;
use super::agents::AgentName;
use super::api::may;
use super::guard::Caller;
use super::screens::Viewer;
use super::status::Failure;
use crate::apiserver::User;
use subscription::Subscription;

/// Messages on their way to one browser. When it is full, a subscription gives up its watch and lists anew later.
const QUEUE: usize = 256;

/// Subscriptions of one page.
const MAX_SUBSCRIPTIONS: usize = 64;

/// A browser that does not take one message in this time has gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How often we ask whether the browser is still there, and how long it may be silent.
const PING_EVERY: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(75);

/// Checks of rights under way at once, for one page.
const CHECKS: usize = 16;

/// The longest list of visible agents.
const MAX_MESSAGE: usize = 128 * 1024;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Request {
    Subscribe {
        id: String,
        path: String,
        #[serde(default, rename = "resourceVersion")]
        resource_version: Option<String>,
    },
    Unsubscribe {
        id: String,
    },
    Screens {
        agents: Vec<AgentName>,
    },
    Ping {
        #[serde(default)]
        t: Value,
    },
}

pub async fn open(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|error| {
        Failure::bad_request(format!("cannot watch by a plain request: /watch is a WebSocket ({error})"))
    })?;
    // An idle page should cost little: the library's own buffers are 128 KiB each.
    let upgrade = upgrade.read_buffer_size(4096).max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| {
        let tasks = gateway.shared.tasks.clone();
        tasks.track_future(serve(socket, gateway, caller))
    }))
}

async fn serve(socket: WebSocket, gateway: Gateway, caller: Caller) {
    let (sink, mut incoming) = socket.split();
    let (out, queue) = mpsc::channel(QUEUE);
    let mut writer = std::pin::pin!(write(sink, queue));
    let mut page = Page {
        viewer: gateway.shared.screens.viewer(),
        wanted: Vec::new(),
        looking: JoinSet::new(),
        subscriptions: HashMap::new(),
        tasks: JoinSet::new(),
        gateway: gateway.clone(),
        caller: caller.clone(),
        out,
    };
    let mut pings = tokio::time::interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            () = &mut writer => return,
            () = caller.ended.cancelled() => return,
            () = gateway.shared.stop.cancelled() => return,
            message = incoming.next() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => page.take(&text),
                    Some(Ok(Message::Binary(_))) => page.fail("", &Failure::bad_request("cannot read a binary message")),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                }
            }
            () = page.viewer.changed() => page.send_screens(),
            Some(visible) = page.looking.join_next() => {
                // A check that was overtaken by a newer one says nothing.
                if let Ok(visible) = visible {
                    page.viewer.look_at(visible);
                }
            }
            Some(_) = page.tasks.join_next() => {}
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE {
                    return;
                }
                // When there is no room, something else is on its way and will tell as much.
                drop(page.out.try_send(Message::Ping(bytes::Bytes::new())));
                page.send_screens();
                page.look();
            }
        }
    }
}

/// Those of the agents whose terminals somebody may see.
async fn visible(gateway: Gateway, user: User, agents: Vec<AgentName>) -> Vec<AgentName> {
    let checked = agents.into_iter().map(|agent| {
        let (gateway, user) = (&gateway, &user);
        async move {
            // Without an answer nobody sees anything; the next round asks again.
            may(gateway, user, "get", "terminal", &agent).await.unwrap_or(false).then_some(agent)
        }
    });
    futures::stream::iter(checked).buffered(CHECKS).filter_map(async |agent| agent).collect().await
}

/// Writes until the browser stops taking.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut queue: mpsc::Receiver<Message>) {
    while let Some(message) = queue.recv().await {
        let sent = tokio::time::timeout(SEND_TIMEOUT, async {
            sink.feed(message).await?;
            // A burst goes out together.
            while let Ok(message) = queue.try_recv() {
                sink.feed(message).await?;
            }
            sink.flush().await
        });
        if !matches!(sent.await, Ok(Ok(()))) {
            return;
        }
    }
}

struct Page {
    gateway: Gateway,
    caller: Caller,
    out: mpsc::Sender<Message>,
    viewer: Viewer,
    /// What the page asked to look at, and the check of what of that it may.
    wanted: Vec<AgentName>,
    looking: JoinSet<Vec<AgentName>>,
    subscriptions: HashMap<String, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Page {
    fn take(&mut self, text: &Utf8Bytes) {
        match serde_json::from_str(text) {
            Ok(Request::Subscribe { id, path, resource_version }) => self.subscribe(id, &path, resource_version),
            Ok(Request::Unsubscribe { id }) => {
                if let Some(task) = self.subscriptions.remove(&id) {
                    task.abort();
                }
            }
            Ok(Request::Screens { agents }) => {
                self.wanted = agents;
                self.look();
            }
            Ok(Request::Ping { t }) => self.send(&json!({ "type": "pong", "t": t })),
            Err(error) => self.fail("", &Failure::bad_request(format!("cannot read the message: {error}"))),
        }
    }

    fn subscribe(&mut self, id: String, path: &str, resource_version: Option<String>) {
        if let Some(old) = self.subscriptions.remove(&id) {
            old.abort();
        }
        self.subscriptions.retain(|_, task| !task.is_finished());
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            let message = format!("cannot subscribe: there are {MAX_SUBSCRIPTIONS} subscriptions already");
            return self.fail(&id, &Failure::too_many_requests(message, 1));
        }
        let api = self.gateway.shared.api.clone();
        match Subscription::new(id.clone(), path, api, self.caller.user.clone(), self.out.clone()) {
            Ok(subscription) => {
                let version = resource_version.filter(|version| !version.is_empty());
                self.subscriptions.insert(id, self.tasks.spawn(subscription.run(version)));
            }
            Err(failure) => self.fail(&id, &failure),
        }
    }

    /// Checks anew what of the wanted screens may be seen: at every wish, and with every ping, since rights change.
    fn look(&mut self) {
        self.looking.abort_all();
        let wanted = self.wanted.clone();
        if wanted.is_empty() {
            return self.viewer.look_at(wanted);
        }
        self.looking.spawn(visible(self.gateway.clone(), self.caller.user.clone(), wanted));
    }

    fn send_screens(&mut self) {
        let news = self.viewer.news();
        if news.is_empty() {
            return;
        }
        let screens: Vec<&Value> = news.iter().map(|(_, _, screen)| &**screen).collect();
        let message = json!({ "type": "screens", "screens": screens }).to_string();
        // Without room it is told with the next change, or the next ping: only the latest counts.
        if self.out.try_send(Message::Text(message.into())).is_ok() {
            self.viewer.told(news.into_iter().map(|(agent, change, _)| (agent, change)));
        }
    }

    fn fail(&mut self, id: &str, failure: &Failure) {
        self.send(&json!({ "type": "error", "id": id, "status": failure.status() }));
    }

    /// For answers to the browser's own messages. One that asks without reading answers loses some of them.
    fn send(&mut self, message: &Value) {
        drop(self.out.try_send(Message::Text(message.to_string().into())));
    }
}
