//! `docs/cli.md`: the help of every verb as one page, made from the same definitions that parse the command line.

use clap::CommandFactory;

/// The whole page.
pub fn page() -> String {
    let mut root = super::Cli::command().term_width(100).color(clap::ColorChoice::Never);
    root.build();
    let mut page =
        String::from("# The command line\n\nMade from the program's own help; `make generate` writes it anew.\n");
    page.push_str(&section("regatta", &mut root.clone()));
    for verb in root.get_subcommands_mut().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        page.push_str(&sections("regatta", verb));
    }
    page.push_str(EXIT_CODES);
    page
}

/// A verb, and the verbs below it.
fn sections(above: &str, verb: &mut clap::Command) -> String {
    let title = format!("{above} {}", verb.get_name());
    let mut text = section(&title, verb);
    for below in verb.get_subcommands_mut().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        text.push_str(&sections(&title, below));
    }
    text
}

fn section(title: &str, command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!("\n## {title}\n\n```text\n{}\n```\n", lines.join("\n").trim_end())
}

const EXIT_CODES: &str = "
## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | the command line is wrong |
| 3 | not found |
| 4 | the time is up |
| 5 | refused: not allowed |
| 6 | not delivered: a question is open, or the agent is gone |

`diff` exits with 1 when there are differences, and with 2 or more when it cannot tell. `wait --exit-code` exits with
the agent's own code.
";
