//! What goes to stdout, and in which form. Talk goes to stderr, by [`say`].

use std::fmt::Display;
use std::io::Write;

use clap::ValueEnum;
use serde_json::Value;

use super::failure::{Failure, cannot};

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with every column.
    Wide,
    Json,
    Yaml,
    /// KIND/NAME, one a line.
    Name,
}

/// Data to stdout; a reader that left early ends the verb quietly.
pub fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(|e| cannot("write to stdout", e))
}

/// A line of talk to stderr. A stderr that is gone is nobody to talk to.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A value as one JSON or YAML document, newline included.
pub fn document(format: Format, value: &Value) -> Result<String, Failure> {
    match format {
        Format::Yaml => serde_saphyr::to_string(value).map_err(|e| cannot("write the object as YAML", e.to_string())),
        Format::Json | Format::Name | Format::Wide => {
            let text = serde_json::to_string_pretty(value).map_err(|e| cannot("write the object as JSON", e))?;
            Ok(text + "\n")
        }
    }
}

/// Who set which field is for machines; people ask for it.
pub fn without_managed_fields(mut object: Value) -> Value {
    let drop = |o: &mut Value| {
        if let Some(meta) = o.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("managedFields");
        }
    };
    drop(&mut object);
    if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(drop);
    }
    object
}

/// `agent/fix-auth`, the form in which objects are named on stdout.
pub fn reference(kind: &str, name: &str) -> String {
    format!("{}/{name}", kind.to_ascii_lowercase())
}
