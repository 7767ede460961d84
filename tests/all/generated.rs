//! Generated files are committed and compared; `UPDATE=1 cargo test generated` writes them anew.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with the way out when the committed file is not what the types say now.
pub fn compare(path: &Path, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == text, "{} is stale: run `make generate` and commit the result", path.display());
}

#[test]
fn the_committed_crds_are_those_of_the_types() {
    for (name, text) in regatta::cli::crd::documents().unwrap() {
        compare(&root().join("crd").join(name), &text);
    }
}

#[test]
fn the_committed_command_line_page_is_the_programs_own_help() {
    compare(&root().join("docs/cli.md"), &regatta::cli::help::page());
}
