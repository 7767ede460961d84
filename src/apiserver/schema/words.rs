//! How upstream words values and errors, which clients and people compare: Go's `%q` and `%v`, and one constructor per cause.

use serde_json::Value;

use super::FieldError;

/// The path of the object itself, as upstream prints a missing path.
const NOWHERE: &str = "<nil>";

fn at(field: &str) -> String {
    if field.is_empty() { NOWHERE.to_owned() } else { field.to_owned() }
}

pub(super) fn invalid(field: &str, value: &Value, detail: &str) -> FieldError {
    FieldError {
        reason: "FieldValueInvalid",
        field: at(field),
        message: with_detail(&format!("Invalid value: {}", render(value)), detail),
    }
}

/// An invalid value too big to show.
pub(super) fn invalid_omitted(field: &str, detail: &str) -> FieldError {
    FieldError { reason: "FieldValueInvalid", field: at(field), message: with_detail("Invalid value", detail) }
}

pub(super) fn wrong_type(field: &str, found: &str, detail: &str) -> FieldError {
    FieldError {
        reason: "FieldValueTypeInvalid",
        field: at(field),
        message: with_detail(&format!("Invalid value: {}", quote(found)), detail),
    }
}

pub(super) fn required(field: &str, detail: &str) -> FieldError {
    FieldError { reason: "FieldValueRequired", field: at(field), message: with_detail("Required value", detail) }
}

pub(super) fn forbidden(field: &str, detail: &str) -> FieldError {
    FieldError { reason: "FieldValueForbidden", field: at(field), message: with_detail("Forbidden", detail) }
}

pub(super) fn duplicate(field: &str, value: Option<&Value>) -> FieldError {
    let message = match value {
        Some(value) => format!("Duplicate value: {}", render(value)),
        None => "Duplicate value".to_owned(),
    };
    FieldError { reason: "FieldValueDuplicate", field: at(field), message }
}

pub(super) fn not_supported(field: &str, value: &Value, options: &[Value]) -> FieldError {
    let options: Vec<String> = options
        .iter()
        .map(|option| match option {
            Value::String(text) => quote(text),
            other => quote(&other.to_string()),
        })
        .collect();
    FieldError {
        reason: "FieldValueNotSupported",
        field: at(field),
        message: format!("Unsupported value: {}: supported values: {}", render(value), options.join(", ")),
    }
}

pub(super) fn too_long(field: &str, max: i64) -> FieldError {
    let unit = if max == 1 { "byte" } else { "bytes" };
    FieldError {
        reason: "FieldValueTooLong",
        field: at(field),
        message: format!("Too long: may not be more than {max} {unit}"),
    }
}

pub(super) fn too_many(field: &str, actual: usize, max: i64) -> FieldError {
    let unit = if max == 1 { "item" } else { "items" };
    FieldError {
        reason: "FieldValueTooMany",
        field: at(field),
        message: format!("Too many: {actual}: must have at most {max} {unit}"),
    }
}

fn with_detail(start: &str, detail: &str) -> String {
    if detail.is_empty() { start.to_owned() } else { format!("{start}: {detail}") }
}

pub(super) fn render(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => go_float(float),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Go's `%q`.
pub(in crate::apiserver) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's `%v` of a float: exponents from 1e21 up and below 1e-4.
pub(in crate::apiserver) fn go_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_rendered_as_go_prints_them() {
        assert_eq!(render(&json!("a\"b\n")), r#""a\"b\n""#);
        assert_eq!(render(&json!(7)), "7");
        assert_eq!(render(&json!(0.5)), "0.5");
        assert_eq!(render(&json!(5.0)), "5");
        assert_eq!(render(&json!(1e21)), "1e+21");
        assert_eq!(render(&json!(0.00001)), "1e-05");
        assert_eq!(render(&json!({"a": [1]})), r#"{"a":[1]}"#);
    }
}
