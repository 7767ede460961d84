//! Which of several control planes acts: holds the Lease, runs the work while it is held, and stops it before another may
//! begin. What to do with a Lease is `plan::leader`'s.
//!
//! Guarantees: the work runs only between a renewal and `DEADLINE` after it; its writes are refused here when that time is
//! over, also when the process was stopped and goes on later. Assumptions: clocks run at about the same speed; a request that
//! was sent arrives within the rest of the Lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{Stream, StreamExt};
use http::{Method, Request};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::client::Body;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::plan::leader::{DEADLINE, LEASE, RETRY, Record, Seen, Step, step};

/// The Lease's name.
pub const NAME: &str = "regatta-controllers";

/// How long one question to the API may take: several fit into a Lease.
const PATIENCE: Duration = Duration::from_secs(4);

pub struct Election {
    api: Api<Lease>,
    me: String,
}

/// Until when a leader may act.
#[derive(Clone)]
pub struct Fence {
    start: Instant,
    until_ms: Arc<AtomicU64>,
}

impl Fence {
    fn new() -> Fence {
        Fence { start: Instant::now(), until_ms: Arc::default() }
    }

    fn extend(&self, from: Instant) {
        let until = from.saturating_duration_since(self.start) + DEADLINE;
        self.until_ms.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    fn end(&self) -> Instant {
        self.start + Duration::from_millis(self.until_ms.load(Ordering::Acquire))
    }

    fn holds(&self) -> bool {
        Instant::now() < self.end()
    }

    /// A client that changes nothing once the time is over.
    pub fn around(&self, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let fence = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, fence) = (client.clone(), fence.clone());
            async move {
                let reads = matches!(*request.method(), Method::GET | Method::HEAD);
                match reads || fence.holds() {
                    true => client.send(request).await.map_err(Into::into),
                    false => Err::<_, tower::BoxError>("this control plane leads no longer: nothing is written".into()),
                }
            }
        });
        Client::new(service, namespace)
    }
}

/// Why the work ended.
enum End {
    Told,
    Lost(String),
    ByItself(Result<()>),
}

impl Election {
    pub fn new(client: &Client, namespace: &str, me: String) -> Election {
        Election { api: Api::namespaced(client.clone(), namespace), me }
    }

    /// Does `work` whenever this control plane leads, until told to stop. The work has to end soon after its token.
    pub async fn run<F>(self, shutdown: CancellationToken, work: impl Fn(Fence, CancellationToken) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        loop {
            let won = tokio::select! {
                won = self.win() => won,
                () = shutdown.cancelled() => return Ok(()),
            };
            let (fence, lease) = won;
            tracing::info!(lease = NAME, identity = self.me, "this control plane leads");
            let stop = CancellationToken::new();
            let end = {
                let mut working = std::pin::pin!(work(fence.clone(), stop.clone()));
                let end = tokio::select! {
                    ended = &mut working => End::ByItself(ended),
                    why = self.keep(&fence, lease) => End::Lost(why),
                    () = shutdown.cancelled() => End::Told,
                };
                if !matches!(end, End::ByItself(_)) {
                    stop.cancel();
                    // What does not end in time is dropped, which ends it as well.
                    drop(tokio::time::timeout_at(fence.end().into(), working).await);
                }
                end
            };
            match end {
                End::Told => return self.give_back().await,
                End::Lost(why) => tracing::warn!(lease = NAME, why, "this control plane leads no longer"),
                End::ByItself(ended) => {
                    self.give_back().await?;
                    return ended;
                }
            }
        }
    }

    /// Returns when the Lease is ours.
    async fn win(&self) -> (Fence, Lease) {
        let mut changes = std::pin::pin!(self.changes());
        let mut known: Option<(Record, Instant)> = None;
        let mut told = None;
        loop {
            let asked = Instant::now();
            let pause = match self.try_once(&mut known).await {
                Ok(Ok(lease)) => {
                    let fence = Fence::new();
                    fence.extend(asked);
                    return (fence, lease);
                }
                Ok(Err(pause)) => {
                    let holder = known.as_ref().and_then(|(record, _)| record.holder.clone());
                    if told != holder {
                        tracing::info!(lease = NAME, holder, "another control plane leads");
                        told = holder;
                    }
                    pause
                }
                Err(error) => {
                    tracing::warn!(lease = NAME, error = format!("{error:#}"), "cannot ask who leads");
                    RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Some(()) = changes.next() => {}
            }
        }
    }

    /// Looks, and takes the Lease if it may be taken; else says how long to wait.
    async fn try_once(&self, known: &mut Option<(Record, Instant)>) -> Result<std::result::Result<Lease, Duration>> {
        let now = Instant::now();
        let lease = within(self.api.get_opt(NAME)).await.context("cannot read the lease")?;
        match lease.as_ref().map(record) {
            None => *known = None,
            Some(record) => {
                if known.as_ref().is_none_or(|(known, _)| known.version != record.version) {
                    *known = Some((record, now));
                }
            }
        }
        let seen = known.as_ref().map(|(record, since)| Seen { record, unchanged_for: now.duration_since(*since) });
        let transitions = match step(seen, &self.me) {
            Step::Wait(pause) => return Ok(Err(pause)),
            Step::Create => 0,
            Step::Take { transitions } | Step::Renew { transitions } => transitions,
        };
        let written = match lease {
            None => within(self.api.create(&PostParams::default(), &self.lease(None, transitions))).await,
            Some(lease) => within(self.write(&lease, transitions)).await,
        };
        match written {
            Ok(lease) => Ok(Ok(lease)),
            // Somebody was faster.
            Err(error) if is_conflict(&error) => Ok(Err(Duration::ZERO)),
            Err(error) => Err(error).context("cannot take the lease"),
        }
    }

    /// Renews until that fails for too long; says why.
    async fn keep(&self, fence: &Fence, mut lease: Lease) -> String {
        loop {
            tokio::time::sleep(RETRY.min(fence.end().saturating_duration_since(Instant::now()))).await;
            let asked = Instant::now();
            let transitions = record(&lease).transitions;
            let renewed = tokio::time::timeout_at(fence.end().into(), within(self.write(&lease, transitions))).await;
            let error = match renewed {
                Ok(Ok(fresh)) => {
                    fence.extend(asked);
                    lease = fresh;
                    continue;
                }
                Ok(Err(error)) if is_conflict(&error) => match within(self.api.get_opt(NAME)).await {
                    // Our own renewal whose answer got lost, or somebody's label.
                    Ok(Some(now)) if record(&now).holder.as_deref() == Some(&self.me) => {
                        lease = now;
                        continue;
                    }
                    Ok(Some(now)) => return format!("{} holds the lease", record(&now).holder.unwrap_or_default()),
                    Ok(None) => return "the lease was deleted".into(),
                    Err(error) => error,
                },
                Ok(Err(error)) => error,
                Err(_) => anyhow::anyhow!("no answer in time"),
            };
            if !fence.holds() {
                return format!("the lease could not be renewed for {} s: {error:#}", DEADLINE.as_secs());
            }
            tracing::debug!(error = format!("{error:#}"), "cannot renew the lease yet");
        }
    }

    /// So that nobody has to wait.
    async fn give_back(&self) -> Result<()> {
        let Some(lease) = within(self.api.get_opt(NAME)).await.context("cannot read the lease")? else { return Ok(()) };
        let Record { holder, transitions, .. } = record(&lease);
        if holder.as_deref() != Some(&self.me) {
            return Ok(());
        }
        let mut free = self.lease(Some(&lease), transitions);
        if let Some(spec) = &mut free.spec {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
        }
        within(self.api.replace(NAME, &PostParams::default(), &free))
            .await
            .map(|_| ())
            .context("cannot give the lease back")
    }

    async fn write(&self, before: &Lease, transitions: i32) -> kube::Result<Lease> {
        // The resourceVersion inside makes this a compare-and-set.
        self.api.replace(NAME, &PostParams::default(), &self.lease(Some(before), transitions)).await
    }

    fn lease(&self, before: Option<&Lease>, transitions: i32) -> Lease {
        let now = MicroTime(Timestamp::now());
        let held = before.and_then(|l| l.spec.as_ref()).filter(|s| s.holder_identity.as_deref() == Some(&self.me));
        let metadata = ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() };
        Lease {
            metadata: before.map_or(metadata, |lease| lease.metadata.clone()),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
                acquire_time: held.and_then(|s| s.acquire_time.clone()).or_else(|| Some(now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Something about the Lease changed: a hint to look, no more.
    fn changes(&self) -> impl Stream<Item = ()> {
        let only = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        watcher(self.api.clone(), only).default_backoff().filter_map(async |event| match event {
            Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => Some(()),
            Ok(watcher::Event::Init | watcher::Event::InitApply(_) | watcher::Event::InitDone) | Err(_) => None,
        })
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    Record {
        holder: spec.and_then(|s| s.holder_identity.clone()),
        lease: spec.and_then(|s| u64::try_from(s.lease_duration_seconds?).ok()).map_or(LEASE, Duration::from_secs),
        version: lease.resource_version().unwrap_or_default(),
        transitions: spec.and_then(|s| s.lease_transitions).unwrap_or_default(),
    }
}

async fn within<T>(asking: impl Future<Output = kube::Result<T>>) -> Result<T> {
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    Ok(answer.with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))??)
}

fn is_conflict(error: &anyhow::Error) -> bool {
    let status = error.downcast_ref::<kube::Error>();
    matches!(status, Some(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists())
}
