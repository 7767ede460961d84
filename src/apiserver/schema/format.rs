//! String formats a CRD may ask for. Unknown formats are ignored, as upstream does; known ones are checked without allocating.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine;
use regex::Regex;

use super::node::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::apiserver) enum Format {
    Int32,
    Int64,
    Float,
    Double,
    DateTime,
    Date,
    Duration,
    Byte,
    Password,
    Uri,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Cidr,
    Mac,
    Uuid,
    Uuid3,
    Uuid4,
    Uuid5,
    HexColor,
    RgbColor,
    BsonObjectId,
    CreditCard,
    Ssn,
    Isbn,
    Isbn10,
    Isbn13,
    ShortName,
    LongName,
}

impl Format {
    /// The format `name` where the type is `kind`; `None` when it is not enforced there.
    pub fn known(name: &str, kind: Kind) -> Option<Format> {
        let format = match (kind, name.replace('-', "").as_str()) {
            (Kind::Integer, "int32") => Format::Int32,
            (Kind::Integer, "int64") => Format::Int64,
            (Kind::Number, "float") => Format::Float,
            (Kind::Number, "double") => Format::Double,
            (Kind::String | Kind::Any, text) => match text {
                "datetime" => Format::DateTime,
                "date" => Format::Date,
                "duration" => Format::Duration,
                "byte" => Format::Byte,
                "password" => Format::Password,
                "uri" => Format::Uri,
                "email" => Format::Email,
                "hostname" => Format::Hostname,
                "ipv4" => Format::Ipv4,
                "ipv6" => Format::Ipv6,
                "cidr" => Format::Cidr,
                "mac" => Format::Mac,
                "uuid" => Format::Uuid,
                "uuid3" => Format::Uuid3,
                "uuid4" => Format::Uuid4,
                "uuid5" => Format::Uuid5,
                "hexcolor" => Format::HexColor,
                "rgbcolor" => Format::RgbColor,
                "bsonobjectid" => Format::BsonObjectId,
                "creditcard" => Format::CreditCard,
                "ssn" => Format::Ssn,
                "isbn" => Format::Isbn,
                "isbn10" => Format::Isbn10,
                "isbn13" => Format::Isbn13,
                "k8sshortname" => Format::ShortName,
                "k8slongname" => Format::LongName,
                _ => return None,
            },
            _ => return None,
        };
        Some(format)
    }

    /// The name messages use.
    pub fn name(self) -> &'static str {
        match self {
            Format::Int32 => "int32",
            Format::Int64 => "int64",
            Format::Float => "float",
            Format::Double => "double",
            Format::DateTime => "date-time",
            Format::Date => "date",
            Format::Duration => "duration",
            Format::Byte => "byte",
            Format::Password => "password",
            Format::Uri => "uri",
            Format::Email => "email",
            Format::Hostname => "hostname",
            Format::Ipv4 => "ipv4",
            Format::Ipv6 => "ipv6",
            Format::Cidr => "cidr",
            Format::Mac => "mac",
            Format::Uuid => "uuid",
            Format::Uuid3 => "uuid3",
            Format::Uuid4 => "uuid4",
            Format::Uuid5 => "uuid5",
            Format::HexColor => "hexcolor",
            Format::RgbColor => "rgbcolor",
            Format::BsonObjectId => "bsonobjectid",
            Format::CreditCard => "creditcard",
            Format::Ssn => "ssn",
            Format::Isbn => "isbn",
            Format::Isbn10 => "isbn10",
            Format::Isbn13 => "isbn13",
            Format::ShortName => "k8s-short-name",
            Format::LongName => "k8s-long-name",
        }
    }

    pub fn accepts(self, text: &str) -> bool {
        match self {
            Format::Int32 | Format::Int64 | Format::Float | Format::Double | Format::Password => true,
            Format::DateTime => is_date_time(text),
            Format::Date => is_date(text),
            Format::Duration => is_duration(text),
            Format::Byte => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
            Format::Uri => is_request_uri(text),
            Format::Email => EMAIL.is_match(text),
            Format::Hostname => text.len() <= 255 && HOSTNAME.is_match(text),
            Format::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Format::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Format::Cidr => is_cidr(text),
            Format::Mac => MAC.is_match(text),
            Format::Uuid => UUID.is_match(text),
            Format::Uuid3 => UUID.is_match(text) && uuid_digit(text, 12) == Some('3'),
            Format::Uuid4 => is_uuid_variant(text, '4'),
            Format::Uuid5 => is_uuid_variant(text, '5'),
            Format::HexColor => HEX_COLOR.is_match(text),
            Format::RgbColor => RGB_COLOR.is_match(text),
            Format::BsonObjectId => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
            Format::CreditCard => is_credit_card(text),
            Format::Ssn => SSN.is_match(text),
            Format::Isbn => is_isbn10(text) || is_isbn13(text),
            Format::Isbn10 => is_isbn10(text),
            Format::Isbn13 => is_isbn13(text),
            Format::ShortName => text.len() <= 63 && !text.contains('.') && LONG_NAME.is_match(text),
            Format::LongName => text.len() <= 253 && LONG_NAME.is_match(text),
        }
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern compiles")
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| regex(r"^[^\s@<>]+@[^\s@<>]+$"));
static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9])(\.([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]))*\.?$",
    )
});
static MAC: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)^([0-9a-f]{2}([:-][0-9a-f]{2}){5}([:-][0-9a-f]{2}[:-][0-9a-f]{2})?|[0-9a-f]{4}(\.[0-9a-f]{4}){2,3})$")
});
static UUID: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"));
static HEX_COLOR: LazyLock<Regex> = LazyLock::new(|| regex(r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"));
static RGB_COLOR: LazyLock<Regex> = LazyLock::new(|| {
    let part = r"\s*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])\s*";
    regex(&format!(r"^rgb\({part},{part},{part}\)$"))
});
static SSN: LazyLock<Regex> = LazyLock::new(|| regex(r"^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$"));
static LONG_NAME: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"));
static DATE_TIME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})([.,][0-9]+)?([Zz]|[+-]([0-9]{2}):([0-9]{2}))$",
    )
});
static GO_DURATION: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"));
static WORD_DURATION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^([0-9]+\s*(ns|nano|nanos|nanosecond|nanoseconds|us|µs|micro|micros|microsecond|microseconds|ms|milli|millis|millisecond|milliseconds|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hour|hours|d|day|days|w|week|weeks)\s*)+$",
    )
});

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_date_time(text: &str) -> bool {
    let Some(parts) = DATE_TIME.captures(text) else { return false };
    let below = |group: usize, limit: u8| {
        parts.get(group).is_none_or(|found| found.as_str().parse::<u8>().is_ok_and(|number| number < limit))
    };
    is_date(&parts[1]) && below(2, 24) && below(3, 60) && below(4, 61) && below(7, 24) && below(8, 60)
}

fn is_duration(text: &str) -> bool {
    GO_DURATION.is_match(text) || WORD_DURATION.is_match(text)
}

/// An absolute URI or an absolute path, what Go's `ParseRequestURI` accepts.
fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|b| b.is_ascii_control() || b == b' ') {
        return false;
    }
    if text.starts_with('/') {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !rest.is_empty()
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(bits) = bits.parse::<u8>() else { return false };
    (address.parse::<Ipv4Addr>().is_ok() && bits <= 32) || (address.parse::<Ipv6Addr>().is_ok() && bits <= 128)
}

fn uuid_digit(text: &str, index: usize) -> Option<char> {
    text.chars().filter(|c| *c != '-').nth(index)
}

fn is_uuid_variant(text: &str, version: char) -> bool {
    UUID.is_match(text)
        && uuid_digit(text, 12) == Some(version)
        && uuid_digit(text, 16).is_some_and(|c| matches!(c.to_ascii_lowercase(), '8' | '9' | 'a' | 'b'))
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn is_credit_card(text: &str) -> bool {
    let digits = digits(text);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    (13..=16).contains(&digits.len()) && sum.is_multiple_of(10)
}

fn is_isbn10(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    if plain.len() != 10 || !plain.is_ascii() {
        return false;
    }
    let mut sum = 0;
    for (i, c) in plain.chars().enumerate() {
        let value = match c.to_digit(10) {
            Some(digit) => digit,
            None if i == 9 && c == 'X' => 10,
            None => return false,
        };
        sum += (i as u32 + 1) * value;
    }
    sum.is_multiple_of(11)
}

fn is_isbn13(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    let digits = digits(&plain);
    let sum: u32 = digits.iter().enumerate().map(|(i, digit)| if i % 2 == 0 { *digit } else { digit * 3 }).sum();
    plain.len() == 13 && digits.len() == 13 && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_accept_and_refuse_by_table() {
        let table: &[(Format, &[&str], &[&str])] = &[
            (
                Format::DateTime,
                &["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123+02:00"],
                &["2026-13-02T03:04:05Z", "2026-01-02", "x"],
            ),
            (Format::Date, &["2026-02-28"], &["2026-02-30", "26-02-28"]),
            (Format::Duration, &["1h30m", "22 ns", "0", "1.5s", "3 days"], &["", "1 fortnight", "h"]),
            (Format::Byte, &["aGk=", ""], &["%%"]),
            (Format::Uri, &["https://a.b/c", "/x", "mailto:a@b"], &["a.b/c", "", "ht tp://x"]),
            (Format::Email, &["a@b.c"], &["a", "a b@c"]),
            (Format::Hostname, &["a.b-c", "localhost"], &["-a", "a..b", "a_b"]),
            (Format::Ipv4, &["10.0.0.1"], &["10.0.0.256", "::1"]),
            (Format::Ipv6, &["::1"], &["10.0.0.1"]),
            (Format::Cidr, &["10.0.0.0/8", "::/0"], &["10.0.0.0", "10.0.0.0/33"]),
            (Format::Mac, &["01:23:45:67:89:ab"], &["01:23"]),
            (Format::Uuid4, &["25a78b5c-4b2e-4b2e-9b2e-25a78b5c4b2e"], &["25a78b5c-4b2e-1b2e-9b2e-25a78b5c4b2e"]),
            (Format::Isbn10, &["0321751043"], &["0321751044"]),
            (Format::Isbn13, &["978-0321751041"], &["978-0321751042"]),
            (Format::HexColor, &["#fff", "00ff00"], &["#ff"]),
            (Format::ShortName, &["a-b"], &["a.b", "A"]),
            (Format::LongName, &["a.b"], &["a..b"]),
        ];
        for (format, good, bad) in table {
            for text in *good {
                assert!(format.accepts(text), "{format:?} should accept {text:?}");
            }
            for text in *bad {
                assert!(!format.accepts(text), "{format:?} should refuse {text:?}");
            }
        }
    }

    #[test]
    fn a_format_that_does_not_fit_the_type_is_ignored() {
        assert_eq!(Format::known("int32", Kind::String), None);
        assert_eq!(Format::known("date-time", Kind::Integer), None);
        assert_eq!(Format::known("no-such", Kind::String), None);
    }
}
