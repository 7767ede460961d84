//! Colours, for a person at a terminal only: never in a pipe, never where NO_COLOR or a dumb terminal says no. Decides
//! which words deserve one; knows nothing of where they stand.

use std::io::IsTerminal;

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Waiting,
    Bad,
    Added,
    Removed,
    Quiet,
    Strong,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    #[default]
    Plain,
    Coloured,
}

impl Palette {
    pub fn of_stdout() -> Palette {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|t| t.is_empty() || t == "dumb");
        if std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !dumb { Palette::Coloured } else { Palette::Plain }
    }

    pub fn paint(self, tone: Tone, text: &str) -> String {
        if self == Palette::Plain || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good | Tone::Added => "32",
            Tone::Waiting => "33",
            Tone::Bad | Tone::Removed => "31",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Columns in which a word is a state and not somebody's name.
const STATES: [&str; 7] = ["READY", "ACTIVITY", "STATUS", "VALID", "AVAILABLE", "CONVERGED", "TYPE"];

/// The colour of a table's cell.
pub fn of_cell(column: &str, text: &str) -> Option<Tone> {
    if !STATES.contains(&column) {
        return None;
    }
    // A condition's status alone says neither good nor bad: Stalled is fine when False.
    if column == "STATUS" && matches!(text, "True" | "False") {
        return None;
    }
    match text {
        "True" | "Working" | "Finished" | "Active" | "Ready" => Some(Tone::Good),
        "NeedsInput" | "RateLimited" | "Starting" | "Unknown" | "Warning" | "Terminating" => Some(Tone::Waiting),
        "False" | "Failed" => Some(Tone::Bad),
        "Stopped" | "Idle" | "Normal" => Some(Tone::Quiet),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_states_are_coloured_and_only_when_there_are_colours() {
        assert_eq!(of_cell("READY", "False"), Some(Tone::Bad));
        assert_eq!(of_cell("NAME", "False"), None);
        assert_eq!(of_cell("STATUS", "False"), None);
        assert_eq!(Palette::Plain.paint(Tone::Bad, "False"), "False");
        assert_eq!(Palette::Coloured.paint(Tone::Bad, "False"), "\u{1b}[31mFalse\u{1b}[0m");
        assert_eq!(Palette::Coloured.paint(Tone::Bad, ""), "");
    }
}
