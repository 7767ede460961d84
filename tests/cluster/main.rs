//! The API of `regatta up` beside a real control plane: the same requests and the same kubectl commands go to both, and
//! every difference that is not explained in `explained.yaml` fails. Run by `make test-cluster`, which builds the real one.
//!
//! To look at one thing: `CASE=part-of-a-name KUBECTLS=1.20,1.36 cargo test --test cluster http -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod apply;
mod compare;
mod generate;
mod http;
mod kubectl;
mod normal;
mod pair;
mod runner;
mod script;

use std::sync::Arc;

use futures::StreamExt;

use compare::{Explained, Verdict};
use kubectl::Kubectl;
use pair::Pair;
use script::Case;

/// Cases at a time: they mostly wait for each other's server.
const AT_ONCE: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_as_the_real_one_answers_it() {
    let cases = script::load("cases");
    let runs = cases.into_iter().map(|case| (case, None)).collect();
    judge("http", runs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kubectl_says_the_same_to_both() {
    let kubectls = kubectl::installed();
    let cases = script::load("kubectl");
    let mut runs = Vec::new();
    for kubectl in kubectls {
        let suits = |case: &&Arc<Case>| case.since.is_none_or(|since| kubectl.minor >= since);
        runs.extend(cases.iter().filter(suits).map(|case| (case.clone(), Some(kubectl.clone()))));
    }
    judge("kubectl", runs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_side_apply_merges_owns_and_conflicts_as_the_real_one_does() {
    let pair = Arc::new(Pair::connect().await);
    apply::compare(&pair).await;
}

async fn judge(section: &str, runs: Vec<(Arc<Case>, Option<Arc<Kubectl>>)>) {
    let wanted = std::env::var("CASE").ok();
    let pair = Arc::new(Pair::connect().await);
    let names = |(case, kubectl): &(Arc<Case>, Option<Arc<Kubectl>>)| match kubectl {
        Some(kubectl) => format!("kubectl {}/{}", kubectl.label, case.name),
        None => format!("http/{}", case.name),
    };
    let chosen: Vec<_> =
        runs.into_iter().filter(|run| wanted.as_ref().is_none_or(|wanted| names(run).contains(wanted))).collect();
    assert!(!chosen.is_empty(), "no case of {section} is named like {wanted:?}");
    let verdicts: Vec<Verdict> = futures::stream::iter(chosen)
        .map(|run| {
            let (pair, name) = (pair.clone(), names(&run));
            async move {
                let (real, ours) = tokio::join!(
                    runner::transcript(&run.0, &pair.real, run.1.as_deref()),
                    runner::transcript(&run.0, &pair.ours, run.1.as_deref())
                );
                Verdict::new(name, &real, &ours)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let explained = Explained::load();
    let failures = explained.judge(section, verdicts, wanted.is_none() && std::env::var_os("KUBECTLS").is_none());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
