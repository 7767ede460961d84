//! Row 4: the API server alone, in process: creates that are on disk when they are answered, a long list, a start with many
//! objects, and what they take in memory.

use std::path::Path;
use std::time::Instant;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, PostParams};
use regatta::apiserver::{ApiServer, Options, User};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Scale;
use crate::processes;
use crate::report::{Report, percentile};

const WRITERS: usize = 16;
const LISTS: usize = 5;

pub fn run(runtime: &Runtime, scale: Scale, report: &mut Report) {
    let home = tempfile::tempdir().expect("a temporary home");
    let own = [std::process::id()];
    runtime.block_on(async {
        let server = open(home.path()).await;
        let before = processes::memory(&own);
        let api: Api<ConfigMap> = Api::default_namespaced(server.client(User::admin()));
        let mut made = 0;
        for (writers, count) in [(1, scale.creates), (WRITERS, scale.objects.saturating_sub(scale.creates))] {
            let started = Instant::now();
            let mut times = create(&api, writers, count / writers).await;
            let rate = times.len() as f64 / started.elapsed().as_secs_f64();
            made += times.len();
            let what = format!("create, {writers} writer{}", if writers == 1 { "" } else { "s" });
            report.row(&what, "/s", rate, None);
            report.row(&format!("{what}, p50"), "us", percentile(&mut times, 0.5), None);
            report.row(&format!("{what}, p99"), "us", percentile(&mut times, 0.99), None);
        }

        let mut lists = Vec::new();
        for _ in 0..LISTS {
            let started = Instant::now();
            let list = api.list(&ListParams::default()).await.expect("a list");
            lists.push(started.elapsed().as_secs_f64() * 1e3);
            assert_eq!(list.items.len(), made, "the list has every object");
        }
        report.row(&format!("list of {made}, parsed"), "ms", percentile(&mut lists, 0.5), None);
        report.row(&format!("memory of {made} objects"), "MiB", processes::memory(&own) - before, None);

        server.shutdown().await;
        let started = Instant::now();
        let server = open(home.path()).await;
        let opened = started.elapsed().as_secs_f64() * 1e3;
        report.row(&format!("start with {made} objects"), "ms", opened, None);
        server.shutdown().await;
    });
}

async fn open(home: &Path) -> ApiServer {
    let options = Options { database: home.join("api.db"), crds: regatta::api::crds() };
    ApiServer::open(options).await.expect("the API server opens")
}

/// Microseconds of each create.
async fn create(api: &Api<ConfigMap>, writers: usize, each: usize) -> Vec<f64> {
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let api = api.clone();
        tasks.spawn(async move {
            let mut times = Vec::with_capacity(each);
            for i in 0..each {
                let object = json!({
                    "metadata": {"name": format!("c-{writers}-{writer}-{i}"), "labels": {"writer": writer.to_string()}},
                    "data": {"padding": "x".repeat(500)},
                });
                let object = serde_json::from_value(object).expect("a ConfigMap");
                let started = Instant::now();
                api.create(&PostParams::default(), &object).await.expect("created");
                times.push(started.elapsed().as_secs_f64() * 1e6);
            }
            times
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}
