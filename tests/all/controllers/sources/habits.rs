//! Every way in which editors and tools save a file, again and again: nothing may ever be deleted by it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::{WatchEvent, WatchParams};
use serde_json::json;

use super::super::world::{World, eventually, write};
use super::{nothing_goes, settles, source};

const FILE: &str = "fleet.yaml";
const SAVES: usize = 200;

fn fleet(number: usize) -> String {
    (0..3)
        .map(|i| {
            format!(
                "---\napiVersion: regatta.dev/v1alpha1\nkind: Agent\nmetadata: {{name: a{i}, labels: {{save: s{number}}}}}\nspec: {{run: Running}}\n"
            )
        })
        .collect()
}

/// One way to save; the pause is somewhere in the middle of it.
type Save = fn(&Path, &str, Duration);

const HABITS: [(&str, Save); 8] = [
    ("truncate and write", |directory, text, pause| {
        write(directory, FILE, "");
        std::thread::sleep(pause);
        write(directory, FILE, text);
    }),
    ("write in pieces", |directory, text, pause| {
        use std::io::Write;
        let mut file = std::fs::File::create(directory.join(FILE)).unwrap();
        let (first, rest) = text.split_at(text.len() / 2);
        file.write_all(first.as_bytes()).unwrap();
        std::thread::sleep(pause);
        file.write_all(rest.as_bytes()).unwrap();
    }),
    ("write aside and rename over", |directory, text, pause| {
        write(directory, ".fleet.yaml.new", text);
        std::thread::sleep(pause);
        std::fs::rename(directory.join(".fleet.yaml.new"), directory.join(FILE)).unwrap();
    }),
    ("rename away, write, remove the backup", |directory, text, pause| {
        std::fs::rename(directory.join(FILE), directory.join("fleet.yaml~")).unwrap();
        std::thread::sleep(pause);
        write(directory, FILE, text);
        std::fs::remove_file(directory.join("fleet.yaml~")).unwrap();
    }),
    ("swap file and a test file", |directory, text, pause| {
        write(directory, ".fleet.yaml.swp", "b0VIM");
        write(directory, "4913", "");
        std::fs::remove_file(directory.join("4913")).unwrap();
        std::thread::sleep(pause);
        write(directory, FILE, text);
        std::fs::remove_file(directory.join(".fleet.yaml.swp")).unwrap();
    }),
    ("unlink and create", |directory, text, pause| {
        std::fs::remove_file(directory.join(FILE)).unwrap();
        std::thread::sleep(pause);
        write(directory, FILE, text);
    }),
    ("change of mode", |directory, text, pause| {
        write(directory, FILE, text);
        let mode = |mode| std::fs::set_permissions(directory.join(FILE), PermissionsExt::from_mode(mode)).unwrap();
        mode(0o000);
        std::thread::sleep(pause);
        mode(0o644);
    }),
    ("another directory in its place", |directory, text, pause| {
        let aside = directory.with_extension("aside");
        std::fs::create_dir(&aside).unwrap();
        write(&aside, FILE, text);
        std::fs::rename(directory, directory.with_extension("old")).unwrap();
        std::thread::sleep(pause);
        std::fs::rename(&aside, directory).unwrap();
        std::fs::remove_dir_all(directory.with_extension("old")).unwrap();
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_saves_in_every_style_delete_nothing_and_the_last_one_counts() {
    let world = World::start().await;
    source(&world).await;
    write(&world.manifests(), FILE, &fleet(0));
    settles(&world, 3).await;
    let deletions = Arc::new(AtomicUsize::new(0));
    let uids = uids(&world).await;
    let agents = world.agents();
    let counted = deletions.clone();
    let counting = tokio::spawn(async move {
        let version = agents.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
        let mut events = agents.watch(&WatchParams::default(), &version).await.unwrap().boxed();
        while let Some(event) = events.try_next().await.unwrap() {
            let marked = matches!(&event, WatchEvent::Modified(a) if a.metadata.deletion_timestamp.is_some());
            if marked || matches!(event, WatchEvent::Deleted(_)) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let mut number = 0;
    for (habit, save) in HABITS {
        for round in 0..SAVES {
            number += 1;
            let (directory, text) = (world.manifests(), fleet(number));
            // Mostly quick, as editors are; now and then as slow as a loaded machine.
            let pause = Duration::from_millis(if round % 50 == 49 { 700 } else { (round % 7) as u64 });
            tokio::task::spawn_blocking(move || save(&directory, &text, pause)).await.unwrap();
        }
        let last = format!("s{number}");
        let saved = async || (json!(world.agent("a2").await)["metadata"]["labels"]["save"] == *last).then_some(());
        eventually(&format!("the last save by {habit:?}"), saved).await;
        assert_eq!(deletions.load(Ordering::Relaxed), 0, "{habit}");
    }
    nothing_goes(&world, 3).await;
    counting.abort();
    assert_eq!(deletions.load(Ordering::Relaxed), 0);
    assert_eq!(uids, self::uids(&world).await);
    println!("{number} saves, 0 deletions");
}

async fn uids(world: &World) -> Vec<Option<String>> {
    let mut agents = world.agents().list(&Default::default()).await.unwrap().items;
    agents.sort_by_key(|a| a.metadata.name.clone());
    agents.into_iter().map(|a| a.metadata.uid).collect()
}
