//! Events have two shapes over one storage: core/v1, which kubectl describe reads, and events.k8s.io/v1, which controllers
//! write. Each field of one has exactly one counterpart in the other, so converting there and back changes nothing.

use serde_json::{Value, json};

/// (core, events.k8s.io)
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

pub fn to_new(event: &mut Value) {
    rename(event, |(core, new)| (core, new));
}

pub fn to_core(event: &mut Value) {
    rename(event, |(core, new)| (new, core));
    let Some(map) = event.as_object_mut() else { return };
    // The core shape has these always; kubectl's table reads them.
    map.entry("involvedObject").or_insert_with(|| json!({}));
    map.entry("source").or_insert_with(|| json!({}));
}

/// A field selector's path in the core shape.
pub fn core_field(path: &str) -> String {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let head = RENAMED.iter().find(|(_, new)| *new == head).map_or(head, |(core, _)| core);
    rest.map_or_else(|| head.to_string(), |rest| format!("{head}.{rest}"))
}

fn rename(event: &mut Value, way: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(map) = event.as_object_mut() else { return };
    for (from, to) in RENAMED.map(way) {
        if let Some(value) = map.remove(from) {
            map.insert(to.to_string(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_both_conversions() {
        let core = json!({"involvedObject": {"name": "a"}, "message": "m", "source": {"component": "c"}, "count": 3,
            "reportingComponent": "r", "reason": "Started", "series": {"count": 2}});
        let mut event = core.clone();
        to_new(&mut event);
        assert_eq!(event["regarding"]["name"], "a");
        assert_eq!(event["note"], "m");
        assert_eq!(event["deprecatedCount"], 3);
        to_core(&mut event);
        assert_eq!(event, core);
        assert_eq!(core_field("regarding.name"), "involvedObject.name");
        assert_eq!(core_field("reason"), "reason");
    }
}
