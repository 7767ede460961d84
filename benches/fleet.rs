//! Row 3: many agents from the first POST to the last Ready, and what they cost when nothing happens; beside as many
//! bare `tmux new-session` calls.

use std::time::{Duration, Instant};

use kube::api::{Api, PostParams};
use regatta::api::{Agent, conditions};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::Scale;
use crate::harness::{PATIENCE, Up};
use crate::processes;
use crate::pty::Tmux;
use crate::report::{Report, percentile};

pub fn run(runtime: &Runtime, scale: Scale, report: &mut Report) {
    for &count in scale.fleet {
        let tmux = Tmux::new("fleet");
        let started = Instant::now();
        for n in 0..count {
            tmux.run(&["new-session", "-d", "-s", &format!("s{n}"), "-x", "120", "-y", "36", "sleep", "86400"]);
        }
        let by_tmux = started.elapsed().as_secs_f64() * 1e3;
        drop(tmux);

        let up = Up::start();
        settle(&up, 1);
        let empty = processes::memory(&processes::of_home(up.home.path(), up.pid()));
        let ours = runtime.block_on(start(&up, count)).as_secs_f64() * 1e3;
        report.row(&format!("{count} agents, POST to Ready"), "ms", ours, Some(("tmux new-session", by_tmux)));

        settle(&up, 1 + count);
        let pids = processes::of_home(up.home.path(), up.pid());
        let full = processes::memory(&pids);
        report.row(&format!("memory per idle agent of {count}"), "MiB", (full - empty) / count as f64, None);
        let mut shims: Vec<f64> =
            pids.iter().filter(|p| processes::is_shim(**p)).map(|p| processes::private(*p)).collect();
        report.row("private memory of one shim", "KiB", percentile(&mut shims, 0.5), None);
        let before = processes::cpu(&pids);
        std::thread::sleep(Duration::from_secs(scale.idle_seconds));
        let used = (processes::cpu(&pids) - before) / scale.idle_seconds as f64 * 100.0;
        report.row(&format!("idle processor use, {count} agents"), "% of a core", used, None);
    }
    let up = Up::start();
    settle(&up, 1);
    report.row("memory, empty product", "MiB", processes::memory(&[up.pid()]), None);
}

/// Waits until the processes are as many as they should be at least, and use no more processor time.
fn settle(up: &Up, at_least: usize) {
    let deadline = Instant::now() + PATIENCE;
    let mut last = f64::NEG_INFINITY;
    loop {
        let pids = processes::of_home(up.home.path(), up.pid());
        let used = processes::cpu(&pids);
        if (pids.len() >= at_least && used - last < 0.1) || Instant::now() > deadline {
            return;
        }
        last = used;
        // Longer than anything that follows a start by itself: the first look at a worktree, coalesced status writes.
        std::thread::sleep(Duration::from_secs(4));
    }
}

async fn start(up: &Up, count: usize) -> Duration {
    let agents: Api<Agent> = Api::default_namespaced(up.client().await);
    let started = Instant::now();
    let mut posts = tokio::task::JoinSet::new();
    for n in 0..count {
        if posts.len() >= 32 {
            posts.join_next().await;
        }
        let agents = agents.clone();
        posts.spawn(async move {
            let agent = serde_json::from_value(json!({
                "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": format!("idle-{n}")},
                "spec": {"adapter": "command", "command": ["sleep", "86400"]},
            }));
            agents.create(&PostParams::default(), &agent.expect("an agent")).await.expect("created");
        });
    }
    while let Some(posted) = posts.join_next().await {
        posted.expect("created");
    }
    loop {
        let list = agents.list(&Default::default()).await.expect("a list");
        let ready = list
            .items
            .iter()
            .filter(|a| a.status.as_ref().is_some_and(|s| conditions::is_true(&s.conditions, conditions::READY)))
            .count();
        if ready == count {
            return started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(300), "{ready} of {count} agents are Ready after five minutes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
