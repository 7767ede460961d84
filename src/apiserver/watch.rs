//! WATCH: a stream of JSON lines. Each watcher is a position in the collection's shared window, so a slow one costs nothing
//! and is told "too old" when the window has moved past it. That is an ERROR event in the stream, never an HTTP 410:
//! clients retry the same version on a 410 for ever, but list again on the event.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inner, object,
    reply::{self, Form},
    request::WatchOptions,
    resource::Resource,
    select::Selection,
    status::Failure,
    storage::{Change, Event, Since, Store, Stored},
    table,
};

/// Upstream's rhythm: well within the 75 s for which changes are kept.
const BOOKMARK: Duration = Duration::from_secs(60);
/// Upstream ends watches after 30 to 60 minutes when the client names no timeout.
const LONGEST: Duration = Duration::from_secs(45 * 60);
/// Changes taken from the window at once.
const BATCH: usize = 256;

struct Watch {
    store: Store,
    resource: Arc<Resource>,
    namespace: Option<String>,
    selection: Selection,
    form: Form,
    position: u64,
    newest: watch::Receiver<u64>,
    initial: Option<Vec<Arc<Stored>>>,
    mark_initial: bool,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    stopping: CancellationToken,
    headed: bool,
    ended: bool,
}

pub fn watch(
    inner: &Inner,
    resource: &Arc<Resource>,
    namespace: Option<&str>,
    name: Option<&str>,
    options: WatchOptions,
    form: Form,
) -> Result<Response, Failure> {
    let mut selection = resource.select(&options.selection)?;
    if let Some(name) = name {
        selection.fields.push(super::select::FieldTerm {
            path: "metadata.name".into(),
            value: name.into(),
            equal: true,
        });
    }
    let current = inner.store.current();
    // Subscribed before anything is read: a change in between wakes this watch at once.
    let newest = resource.collection.subscribe();
    let with_state =
        options.initial_events == Some(true) || (options.from.is_none() && options.initial_events.is_none());
    let mut too_old = None;
    let (initial, position) = match options.from {
        _ if with_state => {
            let read = resource.collection.read(namespace, current);
            (Some(read.objects), read.version)
        }
        Some(from) if from > current || inner.store.in_gap(from) => {
            too_old = Some(Failure::too_old(from, current));
            (None, from)
        }
        Some(from) => (None, from),
        None => (None, current),
    };
    let now = Instant::now();
    let timeout = options.timeout_seconds.map_or(LONGEST, Duration::from_secs).min(LONGEST * 4);
    let watch = Watch {
        store: inner.store.clone(),
        resource: resource.clone(),
        namespace: namespace.map(str::to_string),
        selection,
        form,
        position,
        newest,
        initial,
        mark_initial: options.initial_events == Some(true) && options.bookmarks,
        bookmarks: options.bookmarks,
        next_bookmark: now + BOOKMARK,
        end: now + timeout,
        stopping: inner.stopping.clone(),
        headed: false,
        ended: false,
    };
    let body = match too_old {
        Some(failure) => Body::from(error_line(&failure)),
        None => Body::from_stream(futures::stream::unfold(watch, |mut watch| async move {
            let piece = watch.next().await?;
            Some((Ok::<Bytes, Infallible>(piece), watch))
        })),
    };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

fn error_line(failure: &Failure) -> Bytes {
    format!("{}\n", json!({"type": "ERROR", "object": failure.body()})).into()
}

impl Watch {
    /// The next lines, or the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(initial) = self.initial.take() {
            let lines = self.initial_lines(&initial);
            if !lines.is_empty() {
                return Some(lines);
            }
        }
        loop {
            if self.ended {
                return None;
            }
            // Marked as seen before reading, so that a change after the read wakes the wait below.
            self.newest.mark_unchanged();
            match self.resource.collection.since(self.position, BATCH) {
                Since::TooOld(oldest) => {
                    self.ended = true;
                    return Some(error_line(&Failure::too_old(self.position, oldest)));
                }
                Since::Events(events) => {
                    let more = events.len() == BATCH;
                    let mut lines = BytesMut::new();
                    for event in &events {
                        self.event_lines(event, &mut lines);
                        self.position = event.version();
                    }
                    if !lines.is_empty() {
                        return Some(lines.freeze());
                    }
                    if more {
                        continue;
                    }
                }
            }
            tokio::select! {
                changed = self.newest.changed() => if changed.is_err() { return None },
                () = self.stopping.cancelled() => return None,
                () = self.resource.retired.cancelled() => return None,
                () = sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK;
                    if let Some(line) = self.bookmark() {
                        return Some(line);
                    }
                }
                () = sleep_until(self.end) => {
                    self.ended = true;
                    // The client can resume from here.
                    return self.bookmarks.then(|| self.bookmark()).flatten();
                }
            }
        }
    }

    fn initial_lines(&mut self, initial: &[Arc<Stored>]) -> Bytes {
        let mut lines = BytesMut::new();
        for stored in initial {
            if self.selection.matches(stored) {
                self.line("ADDED", stored, &mut lines);
            }
        }
        if self.mark_initial {
            let annotations = json!({"k8s.io/initial-events-end": "true"});
            lines.extend_from_slice(&self.bookmark_line(self.position, Some(annotations)));
        }
        lines.freeze()
    }

    fn wants(&self, stored: &Stored) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == stored.namespace) && self.selection.matches(stored)
    }

    fn event_lines(&mut self, event: &Event, lines: &mut BytesMut) {
        use super::storage::Before;
        let wanted = event.change != Change::Deleted && self.wants(&event.object);
        let was_wanted = match &event.before {
            Before::Nothing => false,
            Before::Object(before) => self.wants(before),
            // Better to say twice that something is gone than never.
            Before::Unknown => {
                self.namespace.as_ref().is_none_or(|namespace| *namespace == event.object.namespace)
                    && self.selection.name().is_none_or(|name| name == event.object.name)
            }
        };
        match (wanted, was_wanted) {
            (true, false) => self.line("ADDED", &event.object, lines),
            (true, true) => self.line("MODIFIED", &event.object, lines),
            (false, false) => {}
            (false, true) => match (&event.before, event.change) {
                // It left the selection: the watcher knows it as it was, gone as of this version.
                (Before::Object(before), Change::Modified | Change::Added) => {
                    let mut value = before.value();
                    object::set_meta(&mut value, "resourceVersion", event.version().to_string());
                    self.line("DELETED", &Stored::new(&value, event.version()), lines);
                }
                _ => self.line("DELETED", &event.object, lines),
            },
        }
    }

    fn line(&mut self, kind: &str, stored: &Stored, lines: &mut BytesMut) {
        lines.extend_from_slice(b"{\"type\":\"");
        lines.extend_from_slice(kind.as_bytes());
        lines.extend_from_slice(b"\",\"object\":");
        match self.form {
            // A stream has no YAML form; upstream's is not one any client reads.
            Form::Json | Form::Yaml => lines.extend_from_slice(&self.resource.render(stored)),
            Form::Metadata => {
                let partial = reply::partial(&self.resource.value(stored));
                lines.extend_from_slice(partial.to_string().as_bytes());
            }
            Form::Table { include } => {
                let value = self.resource.value(stored);
                let metadata = json!({"resourceVersion": stored.version.to_string()});
                // Only the first table of a stream names its columns.
                let head = !std::mem::replace(&mut self.headed, true);
                let table = table::table(&self.resource, std::slice::from_ref(&value), include, metadata, head);
                lines.extend_from_slice(table.to_string().as_bytes());
            }
        }
        lines.extend_from_slice(b"}\n");
    }

    /// A bookmark at the newest version of which nothing can be missing.
    fn bookmark(&mut self) -> Option<Bytes> {
        let current = self.store.current();
        match self.resource.collection.since(self.position, 1) {
            Since::Events(events) if events.is_empty() => {
                self.position = self.position.max(current);
                Some(self.bookmark_line(self.position, None))
            }
            _ => None,
        }
    }

    fn bookmark_line(&self, version: u64, annotations: Option<Value>) -> Bytes {
        let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        let object = match self.form {
            Form::Json | Form::Yaml => {
                json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata})
            }
            Form::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Form::Table { include } => {
                let object = json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(),
                    "metadata": metadata});
                let metadata = json!({"resourceVersion": version.to_string()});
                table::table(&self.resource, std::slice::from_ref(&object), include, metadata, false)
            }
        };
        format!("{}\n", json!({"type": "BOOKMARK", "object": object})).into()
    }
}
