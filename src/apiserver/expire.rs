//! Events are kept for an hour after they were last seen, as upstream keeps them: without an end they would fill the disk.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::object;

/// How often old events are looked for: they live a little longer, and an idle server hardly wakes.
pub const PERIOD: Duration = Duration::from_secs(300);
const KEEP_SECONDS: i64 = 3600;

/// Whether a core event was last seen too long ago. One without any time is left alone.
pub fn is_expired(event: &Value, now: Timestamp) -> bool {
    let seen = ["series.lastObservedTime", "lastTimestamp", "eventTime", "metadata.creationTimestamp"]
        .iter()
        .filter_map(|path| object::at(event, path)?.as_str()?.parse::<Timestamp>().ok())
        .max();
    seen.is_some_and(|seen| now.as_second() - seen.as_second() > KEEP_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_expires_an_hour_after_it_was_last_seen() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let event =
            |last: &str| json!({"metadata": {"creationTimestamp": "2026-01-01T01:00:00Z"}, "lastTimestamp": last});
        assert!(is_expired(&event("2026-01-01T10:00:00Z"), now));
        assert!(!is_expired(&event("2026-01-01T11:30:00Z"), now));
        assert!(!is_expired(&json!({}), now));
    }
}
