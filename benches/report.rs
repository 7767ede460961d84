//! The table and the JSON.

use std::process::Command;

use serde_json::{Value, json};

pub struct Report {
    rows: Vec<Value>,
}

impl Report {
    pub fn new() -> Report {
        println!("{}\n", machine());
        println!("{:<44} {:>14} {:>14} {:>8}", "what", "regatta", "baseline", "ratio");
        Report { rows: Vec::new() }
    }

    /// One figure beside its baseline; the ratio is ours over theirs.
    pub fn row(&mut self, what: &str, unit: &str, ours: f64, baseline: Option<(&str, f64)>) {
        let show = |value: f64| format!("{value:.1} {unit}");
        let (against, theirs, ratio) = match baseline {
            Some((name, value)) => (name, show(value), format!("{:.2}", ours / value)),
            None => ("", String::new(), String::new()),
        };
        println!("{what:<44} {:>14} {theirs:>14} {ratio:>8}  {against}", show(ours));
        self.rows.push(json!({
            "what": what, "unit": unit, "regatta": ours,
            "baseline": baseline.map(|(name, value)| json!({"name": name, "value": value})),
        }));
    }

    pub fn finish(self) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench.json");
        let text = serde_json::to_string_pretty(&json!({"machine": machine(), "rows": self.rows})).expect("JSON");
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/target")).expect("the target directory");
        std::fs::write(path, text).expect("the target directory takes a file");
        println!("\n{} rows; JSON in target/bench.json", self.rows.len());
    }
}

fn machine() -> String {
    let first = |program: &str, arg: &str| {
        let output = Command::new(program).arg(arg).output().map(|o| o.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} x {cpu}; Linux {}; {}; {}", first("uname", "-r"), first("tmux", "-V"), first("git", "--version"))
}

/// The value below which `share` of the samples lie.
pub fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[((samples.len() - 1) as f64 * share).round() as usize]
}
