//! Durations, sizes, money and times of day as people write them in YAML, parsed once.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A Go-style duration, such as `90s`, `30m` or `1h30m`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GoDuration(pub String);

impl GoDuration {
    /// The duration, or `None` where the text is not one (the schema's pattern keeps such text out of stored objects).
    pub fn get(&self) -> Option<Duration> {
        let mut total = 0f64;
        let mut rest = self.0.as_str();
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let value: f64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            total += value
                * match &rest[..unit_end] {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "m" => 60.0,
                    "h" => 3600.0,
                    _ => return None,
                };
            rest = &rest[unit_end..];
        }
        Duration::try_from_secs_f64(total).ok()
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "GoDuration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 32, "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"})
    }
}

/// An amount of money in US dollars, as a decimal: a float could not hold ten cents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub String);

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 20, "pattern": "^[0-9]{1,10}(\\.[0-9]{1,8})?$"})
    }
}

/// A time of day, such as `22:30`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeOfDay(pub String);

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"})
    }
}

/// A number of bytes: an integer, or a quantity such as `256Mi`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ByteSize {
    Bytes(i64),
    Quantity(String),
}

impl ByteSize {
    pub fn get(&self) -> Option<u64> {
        match self {
            ByteSize::Bytes(n) => u64::try_from(*n).ok(),
            ByteSize::Quantity(text) => {
                let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
                let value: u64 = text[..digits].parse().ok()?;
                let factor = match &text[digits..] {
                    "" => 1,
                    "k" => 1_000,
                    "M" => 1_000_000,
                    "G" => 1_000_000_000,
                    "Ki" => 1 << 10,
                    "Mi" => 1 << 20,
                    "Gi" => 1 << 30,
                    _ => return None,
                };
                value.checked_mul(factor)
            }
        }
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 20,
            "pattern": "^[0-9]+(k|M|G|Ki|Mi|Gi)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        let get = |s: &str| GoDuration(s.into()).get();
        assert_eq!(get("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(get("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(get("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", "5", "m", "5x", "-1s", "1h-"] {
            assert_eq!(get(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_read_as_quantities() {
        assert_eq!(ByteSize::Quantity("256Mi".into()).get(), Some(256 << 20));
        assert_eq!(ByteSize::Quantity("1k".into()).get(), Some(1000));
        assert_eq!(ByteSize::Bytes(7).get(), Some(7));
        assert_eq!(ByteSize::Quantity("99999999999999999999Gi".into()).get(), None);
    }
}
