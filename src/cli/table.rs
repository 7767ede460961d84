//! Rows and columns for people, aligned as kubectl aligns them. Knows nothing of what is in the cells.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::colour::{self, Palette, Tone};

/// A `Table` as the server renders it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    #[serde(default)]
    pub column_definitions: Vec<Column>,
    #[serde(default)]
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(default, rename = "type")]
    pub kind: String,
    /// 0 is always shown, anything above only with `-o wide`.
    #[serde(default)]
    pub priority: i32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    #[serde(default)]
    pub cells: Vec<Value>,
    #[serde(default)]
    pub object: Value,
}

/// Which columns are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Normal,
    Wide,
}

/// Whether a column with the namespace leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    One,
    All,
}

impl Table {
    pub fn header(&self, width: Width, scope: Scope) -> Vec<String> {
        let namespace = (scope == Scope::All).then(|| "NAMESPACE".to_owned());
        let shown = self.column_definitions.iter().filter(|c| shows(c, width)).map(|c| c.name.to_uppercase());
        namespace.into_iter().chain(shown).collect()
    }

    pub fn lines(&self, width: Width, scope: Scope, now: Timestamp) -> Vec<Vec<String>> {
        self.rows
            .iter()
            .map(|row| {
                let namespace = (scope == Scope::All)
                    .then(|| row.object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned());
                let cells = self
                    .column_definitions
                    .iter()
                    .zip(row.cells.iter())
                    .filter(|(column, _)| shows(column, width))
                    .map(|(column, value)| cell(column, value, now));
                namespace.into_iter().chain(cells).collect()
            })
            .collect()
    }
}

fn shows(column: &Column, width: Width) -> bool {
    column.priority == 0 || width == Width::Wide
}

fn cell(column: &Column, value: &Value, now: Timestamp) -> String {
    let text = match value {
        Value::Null => return "<none>".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let time = if column.kind == "date" { text.parse::<Timestamp>().ok() } else { None };
    time.map_or(text, |time| since(time, now))
}

/// Columns that keep their place over several prints, as a watch needs it: widths only grow.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    widths: Vec<usize>,
    columns: Vec<String>,
    palette: Palette,
}

impl Layout {
    pub fn new(palette: Palette) -> Layout {
        Layout { palette, ..Layout::default() }
    }

    /// Columns three spaces apart, the last one unpadded; nothing at all for no rows.
    pub fn text(&mut self, header: Option<&[String]>, rows: &[Vec<String>]) -> String {
        if let Some(header) = header {
            self.columns = header.to_vec();
        }
        for row in header.into_iter().chain(rows.iter().map(Vec::as_slice)) {
            for (i, cell) in row.iter().enumerate() {
                let width = shown_width(cell);
                match self.widths.get_mut(i) {
                    Some(w) => *w = (*w).max(width),
                    None => self.widths.push(width),
                }
            }
        }
        let mut text = String::new();
        for (row, is_header) in header.map(|h| (h, true)).into_iter().chain(rows.iter().map(|r| (r.as_slice(), false)))
        {
            let last = row.iter().rposition(|cell| !cell.is_empty()).unwrap_or(0);
            for (i, cell) in row.iter().enumerate().take(last + 1) {
                text.push_str(&self.painted(i, &printable(cell), is_header));
                if i < last {
                    text.extend(std::iter::repeat_n(' ', self.widths[i] - shown_width(cell) + 3));
                }
            }
            text.push('\n');
        }
        text
    }

    fn painted(&self, column: usize, cell: &str, is_header: bool) -> String {
        let of_cell = || colour::of_cell(self.columns.get(column).map_or("", String::as_str), cell);
        let tone = if is_header { Some(Tone::Strong) } else { of_cell() };
        tone.map_or_else(|| cell.to_owned(), |tone| self.palette.paint(tone, cell))
    }
}

/// `label  text`, one a line; text from elsewhere cannot speak to the terminal.
pub fn labelled(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    lines.iter().map(|(label, text)| format!("{label:width$}  {}\n", printable(text))).collect()
}

/// Columns of a terminal, not characters: a wide one takes two.
fn shown_width(cell: &str) -> usize {
    UnicodeWidthStr::width(printable(cell).as_str())
}

/// A cell must neither break the line nor speak to the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How long ago, in kubectl's words.
pub fn since(time: Timestamp, now: Timestamp) -> String {
    duration(now.as_second().saturating_sub(time.as_second()))
}

/// Two units at most, and only where the second still says something.
pub fn duration(seconds: i64) -> String {
    let s = seconds.max(0);
    let (minutes, hours, days) = (s / 60, s / 3600, s / 86_400);
    let two = |a: i64, au: &str, b: i64, bu: &str| if b == 0 { format!("{a}{au}") } else { format!("{a}{au}{b}{bu}") };
    match s {
        0..120 => format!("{s}s"),
        120..600 => two(minutes, "m", s % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn align(header: Option<&[String]>, rows: &[Vec<String>]) -> String {
        Layout::default().text(header, rows)
    }

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|r| r.iter().map(|c| (*c).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_are_three_spaces_apart_and_lines_end_without_any() {
        let header: Vec<String> = ["NAME", "READY", "AGE"].map(String::from).to_vec();
        let text = align(Some(&header), &rows(&[&["fix-auth", "True", ""], &["ä", "", "3m"]]));
        assert_eq!(text, "NAME       READY   AGE\nfix-auth   True\nä                  3m\n");
    }

    #[test]
    fn wide_characters_take_two_columns_and_colours_take_none() {
        assert_eq!(align(None, &rows(&[&["修复", "x"], &["abcd", "y"]])), "修复   x\nabcd   y\n");
        let header: Vec<String> = ["NAME", "READY"].map(String::from).to_vec();
        let text = Layout::new(Palette::Coloured).text(Some(&header), &rows(&[&["a", "False"]]));
        assert_eq!(text, "\u{1b}[1mNAME\u{1b}[0m   \u{1b}[1mREADY\u{1b}[0m\na      \u{1b}[31mFalse\u{1b}[0m\n");
    }

    #[test]
    fn a_watch_keeps_its_columns() {
        let mut layout = Layout::default();
        layout.text(None, &rows(&[&["long-name", "x"]]));
        assert_eq!(layout.text(None, &rows(&[&["a", "y"]])), "a           y\n");
    }

    #[test]
    fn a_cell_cannot_speak_to_the_terminal() {
        assert_eq!(align(None, &rows(&[&["a\u{1b}[31m\nb", "c"]])), "a [31m b   c\n");
    }

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3600, "60m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (-5, "0s"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn wide_columns_and_dates_are_rendered_on_demand() {
        let table: Table = serde_json::from_value(json!({
            "columnDefinitions": [
                {"name": "Name", "type": "string"},
                {"name": "Branch", "type": "string", "priority": 1},
                {"name": "Age", "type": "date"}],
            "rows": [{"cells": ["a", null, "2026-01-01T00:00:00Z"], "object": {"metadata": {"namespace": "n"}}}]
        }))
        .unwrap();
        let now: Timestamp = "2026-01-01T00:00:30Z".parse().unwrap();
        assert_eq!(table.header(Width::Normal, Scope::One), ["NAME", "AGE"]);
        assert_eq!(table.lines(Width::Normal, Scope::One, now), rows(&[&["a", "30s"]]));
        assert_eq!(table.header(Width::Wide, Scope::All), ["NAMESPACE", "NAME", "BRANCH", "AGE"]);
        assert_eq!(table.lines(Width::Wide, Scope::All, now), rows(&[&["n", "a", "<none>", "30s"]]));
    }
}
