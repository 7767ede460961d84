//! `make bench`: what Regatta costs, each row beside its baseline in the same run. Prints a table; writes JSON to
//! `target/bench.json`. `SCALE=small` for a quick look; `cargo bench -- echo` for one row,
//! `cluster` among them.

mod api;
mod cluster;
mod echo;
mod fleet;
#[path = "../tests/all/harness.rs"]
mod harness;

mod output;
mod processes;
mod pty;
mod report;
mod shim;

use report::Report;

/// How much to do.
#[derive(Clone, Copy)]
pub struct Scale {
    pub output_bytes: usize,
    pub viewers: &'static [usize],
    pub keys: usize,
    pub fleet: &'static [usize],
    pub idle_seconds: u64,
    /// By one writer; all writers together make `objects`.
    pub creates: usize,
    pub objects: usize,
    /// Seen by every watcher.
    pub updates: usize,
}

const FULL: Scale = Scale {
    output_bytes: 200 << 20,
    viewers: &[1, 10, 100],
    keys: 2000,
    fleet: &[100, 1000],
    idle_seconds: 20,
    creates: 500,
    objects: 10_000,
    updates: 1_000,
};
const SMALL: Scale = Scale {
    output_bytes: 20 << 20,
    viewers: &[1, 10],
    keys: 300,
    fleet: &[50],
    idle_seconds: 3,
    creates: 500,
    objects: 1_000,
    updates: 200,
};

fn main() {
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let scale = match std::env::var("SCALE").as_deref() {
        Ok("small") => SMALL,
        Ok("full") | Err(_) => FULL,
        Ok(other) => panic!("SCALE={other}: small or full"),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let wanted = |row: &str| only.as_deref().is_none_or(|o| o == row);
    let mut report = Report::new();
    if wanted("output") {
        output::run(&runtime, scale, &mut report);
    }
    if wanted("echo") {
        echo::run(&runtime, scale, &mut report);
    }
    if wanted("shim") {
        shim::run(scale, &mut report);
    }
    if wanted("api") {
        api::run(&runtime, scale, &mut report);
    }
    // Only when asked for: it needs `make target/kube/kube`, a real control plane.
    if only.as_deref() == Some("cluster") {
        cluster::run(&runtime, scale, &mut report);
    }
    if wanted("fleet") {
        fleet::run(&runtime, scale, &mut report);
    }
    report.finish();
}
