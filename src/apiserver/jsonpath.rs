//! The part of JSONPath that printer columns use: fields, quoted fields, indexes, `[*]` and one-comparison filters such as
//! `.status.conditions[?(@.type=="Ready")].status`.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    Every,
    Filter { path: Vec<Step>, test: Test },
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Exists,
    Equal(Value),
    Differ(Value),
}

impl JsonPath {
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        let inner = text.trim();
        let inner = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(inner);
        let inner = inner.strip_prefix('$').unwrap_or(inner);
        steps(inner).map(JsonPath).map_err(|why| format!("cannot read the JSON path {text:?}: {why}"))
    }

    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        walk(&self.0, value)
    }
}

fn walk<'a>(steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in steps {
        found = found.into_iter().flat_map(|value| take(step, value)).collect();
    }
    found
}

fn take<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match step {
        Step::Field(name) => value.get(name.as_str()).into_iter().collect(),
        Step::Index(index) => {
            let list = value.as_array().map_or(&[][..], Vec::as_slice);
            let index = if *index < 0 { list.len() as i64 + index } else { *index };
            usize::try_from(index).ok().and_then(|index| list.get(index)).into_iter().collect()
        }
        Step::Every => match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        },
        Step::Filter { path, test } => {
            let list = value.as_array().map_or(&[][..], Vec::as_slice);
            list.iter().filter(|item| holds(test, &walk(path, item))).collect()
        }
    }
}

fn holds(test: &Test, found: &[&Value]) -> bool {
    match test {
        Test::Exists => !found.is_empty(),
        Test::Equal(wanted) => found.contains(&wanted),
        Test::Differ(other) => found.iter().any(|value| *value != other),
    }
}

fn steps(mut rest: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after).ok_or("a '[' is not closed")?;
            steps.push(bracket(after[..end].trim())?);
            rest = &after[end + 1..];
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let (mut name, mut escaped, mut end) = (String::new(), false, rest.len());
        for (i, c) in rest.char_indices() {
            match c {
                _ if escaped => {
                    name.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '.' | '[' => {
                    end = i;
                    break;
                }
                _ => name.push(c),
            }
        }
        rest = &rest[end..];
        match name.as_str() {
            "" if rest.is_empty() => break,
            // `.items.[0]` and `..` are written by some; an empty step stays where it is.
            "" => {}
            "*" => steps.push(Step::Every),
            _ => steps.push(Step::Field(name)),
        }
    }
    Ok(steps)
}

/// Where the bracket ends, past quotes and inner brackets.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(i),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Result<Step, String> {
    if inner == "*" {
        return Ok(Step::Every);
    }
    if let Some(name) = quoted(inner) {
        return Ok(Step::Field(name));
    }
    if let Some(filter) = inner.strip_prefix("?(").and_then(|filter| filter.strip_suffix(')')) {
        for (sign, make) in [("==", Test::Equal as fn(Value) -> Test), ("!=", Test::Differ)] {
            if let Some((path, wanted)) = filter.split_once(sign) {
                let wanted = wanted.trim();
                let literal = quoted(wanted).map(Value::from).or_else(|| serde_json::from_str(wanted).ok());
                let literal = literal.ok_or_else(|| format!("{wanted:?} is no literal"))?;
                return Ok(Step::Filter { path: relative(path)?, test: make(literal) });
            }
        }
        return Ok(Step::Filter { path: relative(filter)?, test: Test::Exists });
    }
    inner.parse().map(Step::Index).map_err(|_| format!("[{inner}] is neither an index, a name, [*] nor a filter"))
}

fn relative(path: &str) -> Result<Vec<Step>, String> {
    steps(path.trim().strip_prefix('@').ok_or("a filter compares a path beginning with '@'")?)
}

fn quoted(text: &str) -> Option<String> {
    ['"', '\''].iter().find_map(|quote| {
        let inner = text.strip_prefix(*quote)?.strip_suffix(*quote)?;
        Some(inner.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_of_printer_columns_find_their_values() {
        let object = json!({"metadata": {"labels": {"app.kubernetes.io/name": "web"}}, "spec": {"list": [1, 2, 3]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}});
        for (path, expected) in [
            (".spec.list[0]", json!([1])),
            (".spec.list[-1]", json!([3])),
            ("{.spec.list[*]}", json!([1, 2, 3])),
            (r".metadata.labels.app\.kubernetes\.io/name", json!(["web"])),
            (".metadata.labels['app.kubernetes.io/name']", json!(["web"])),
            (r#".status.conditions[?(@.type=="Ready")].status"#, json!(["True"])),
            (".status.conditions[?(@.type != 'Ready')].type", json!(["Other"])),
            (".status.missing[0].x", json!([])),
        ] {
            let found = JsonPath::parse(path).unwrap();
            assert_eq!(json!(found.find(&object)), expected, "{path}");
        }
        assert!(JsonPath::parse(".a[").is_err());
        assert!(JsonPath::parse(".a[x]").is_err());
    }
}
