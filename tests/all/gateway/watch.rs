//! `/watch`: lists, changes, resuming, screens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::world::{Socket, World, until};

const AGENTS: &str = "/apis/regatta.dev/v1alpha1/agents";

async fn subscribed(world: &World, version: &str) -> Socket {
    let login = world.login().await;
    let mut socket = world.open("/watch", &login).await;
    socket.say(json!({"type": "subscribe", "id": "agents", "path": AGENTS, "resourceVersion": version})).await;
    socket
}

#[tokio::test]
async fn a_list_comes_once_and_then_the_changes() {
    let world = World::new().await;
    world.api.put("a", "u-1", None);
    world.api.put("b", "u-2", None);
    let mut socket = subscribed(&world, "").await;
    let list = socket.hear().await;
    assert_eq!((&list["type"], &list["id"]), (&json!("list"), &json!("agents")));
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert_eq!(list["resourceVersion"], world.api.head());
    world.api.put("c", "u-3", None);
    world.api.put("a", "u-1", Some("fermi"));
    let added = socket.hear().await;
    assert_eq!((&added["type"], &added["event"]), (&json!("event"), &json!("ADDED")));
    assert_eq!(added["object"]["metadata"]["name"], "c");
    let modified = socket.hear().await;
    assert_eq!((&modified["event"], &modified["object"]["status"]["hostName"]), (&json!("MODIFIED"), &json!("fermi")));
}

#[tokio::test]
async fn a_page_that_was_away_gets_only_what_it_missed() {
    let world = World::new().await;
    world.api.put("a", "u-1", None);
    let version = world.api.head();
    world.api.put("b", "u-2", None);
    let mut socket = subscribed(&world, &version).await;
    let missed = socket.hear().await;
    assert_eq!((&missed["type"], &missed["object"]["metadata"]["name"]), (&json!("event"), &json!("b")));
    assert!(world.api.watches().contains(&version));
}

#[tokio::test]
async fn a_page_that_was_away_too_long_is_told_to_start_over() {
    let world = World::new().await;
    world.api.put("a", "u-1", None);
    let version = world.api.head();
    world.api.put("b", "u-2", None);
    world.api.forget();
    let mut socket = subscribed(&world, &version).await;
    assert_eq!(socket.hear().await, json!({"type": "resync", "id": "agents"}));
    assert_eq!(socket.hear().await["items"].as_array().unwrap().len(), 2);
    world.api.put("c", "u-3", None);
    assert_eq!(socket.hear().await["object"]["metadata"]["name"], "c");
}

#[tokio::test]
async fn many_subscriptions_share_a_socket_and_end_one_by_one() {
    let world = World::new().await;
    let login = world.login().await;
    let mut socket = world.open("/watch", &login).await;
    for id in ["one", "two \"quoted\""] {
        socket.say(json!({"type": "subscribe", "id": id, "path": AGENTS})).await;
        assert_eq!(socket.hear().await["id"], id);
    }
    socket.say(json!({"type": "unsubscribe", "id": "one"})).await;
    socket.say(json!({"type": "ping", "t": 12.5})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong", "t": 12.5}));
    world.api.put("a", "u-1", None);
    assert_eq!(socket.hear().await["id"], "two \"quoted\"");
    socket.say(json!({"type": "ping", "t": 1})).await;
    assert_eq!(socket.hear().await["type"], "pong", "nothing more of the first");
}

#[tokio::test]
async fn what_cannot_be_watched_is_an_error_for_that_subscription_only() {
    let world = World::new().await;
    let login = world.login().await;
    let mut socket = world.open("/watch", &login).await;
    for path in ["/auth/session", "/apis/../x", "/apis/regatta.dev/v1alpha1/nothing", "/api/v1/whoami"] {
        socket.say(json!({"type": "subscribe", "id": "x", "path": path})).await;
        let error = socket.hear().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("x")), "{path}");
        assert_eq!(error["status"]["kind"], "Status");
    }
    for message in [json!({"type": "nonsense"}), json!([]), json!({"type": "subscribe"})] {
        socket.say(message).await;
        assert_eq!(socket.hear().await["type"], "error");
    }
    socket.say(json!({"type": "subscribe", "id": "agents", "path": AGENTS})).await;
    assert_eq!(socket.hear().await["type"], "list");
}

#[tokio::test]
async fn a_page_that_cannot_keep_up_gets_a_new_list_and_holds_up_nobody() {
    let world = World::new().await;
    let mut slow = subscribed(&world, "").await;
    let mut quick = subscribed(&world, "").await;
    assert_eq!(slow.hear().await["type"], "list");
    assert_eq!(quick.hear().await["type"], "list");
    // Far more than sockets and queues hold; the quick one reads along.
    let host = "h".repeat(60_000);
    for n in 0..400 {
        world.api.put(&format!("agent-{}", n % 20), &format!("u-{}", n % 20), Some(&host));
        loop {
            let heard = quick.hear().await;
            assert_eq!(heard["type"], "event", "the quick one keeps up");
            if heard["object"]["metadata"]["resourceVersion"] == world.api.head() {
                break;
            }
        }
    }
    slow.hear_of("resync").await;
    let list = slow.hear_of("list").await;
    assert_eq!((&list["resourceVersion"], list["items"].as_array().unwrap().len()), (&json!(world.api.head()), 20));
}

#[tokio::test]
async fn screens_come_for_visible_agents_only_when_they_change_and_at_most_twice_a_second() {
    let world = World::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let line = Arc::new(AtomicUsize::new(0));
    let router = {
        let (asked, line) = (asked.clone(), line.clone());
        Router::new().route(
            "/screens",
            post(move |Json(wanted): Json<Value>| async move {
                asked.fetch_add(1, Ordering::SeqCst);
                let screens: Vec<Value> = wanted["uids"].as_array().unwrap().iter().map(|uid| {
                    json!({"uid": uid, "lines": [format!("{}", line.load(Ordering::SeqCst))], "cols": 80, "rows": 24,
                        "wake": [], "updated": asked.load(Ordering::SeqCst)})
                }).collect();
                Json(json!({ "screens": screens }))
            }),
        )
    };
    world.link("fermi", router).await;
    world.api.put("a", "u-1", Some("fermi"));
    world.api.put("b", "u-2", Some("fermi"));
    let login = world.login().await;
    let (mut one, mut two) = (world.open("/watch", &login).await, world.open("/watch", &login).await);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody looks yet");
    for socket in [&mut one, &mut two] {
        socket.say(json!({"type": "screens", "agents": [{"namespace": "default", "name": "a"}]})).await;
        let message = socket.hear().await;
        assert_eq!(message["type"], "screens");
        let screens = message["screens"].as_array().unwrap();
        assert_eq!((screens.len(), &screens[0]["name"], &screens[0]["lines"][0]), (1, &json!("a"), &json!("0")));
    }
    let (begin, before) = (Instant::now(), asked.load(Ordering::SeqCst));
    until("asked a few times more", || asked.load(Ordering::SeqCst) >= before + 3).await;
    assert!(begin.elapsed() >= Duration::from_millis(900), "twice a second for both browsers together");
    line.store(1, Ordering::SeqCst);
    for socket in [&mut one, &mut two] {
        let message = socket.hear().await;
        assert_eq!(message["screens"][0]["lines"][0], "1", "nothing was sent in between");
        socket.say(json!({"type": "screens", "agents": []})).await;
        socket.say(json!({"type": "ping", "t": 0})).await;
        socket.hear_of("pong").await;
    }
    let quiet = asked.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(asked.load(Ordering::SeqCst) <= quiet + 1, "nobody looks any more");
}
