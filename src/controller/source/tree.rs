//! Files of manifests as they were found, whoever found them: a directory or a commit. Owns which names are manifests and
//! how much of them is too much; knows neither YAML nor the API.

use crate::api::yaml;

/// Far beyond any tree of manifests; a link to `/` ends here.
pub const MAX_FILES: usize = 5_000;

/// All files together: what one pass may hold in memory.
pub const MAX_BYTES: u64 = 64 << 20;

/// Every file of a Source.
#[derive(Debug, Default)]
pub struct Tree {
    /// In order of name.
    pub files: Vec<File>,
    /// Why there may be more than this. Whatever is missing then proves nothing.
    pub unclear: Option<String>,
    /// What is wrong although no manifest says so.
    pub oddities: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct File {
    /// Relative to the top of the Source.
    pub name: String,
    /// Or why it cannot be read.
    pub content: Result<Vec<u8>, String>,
}

impl Tree {
    /// Nothing can be seen.
    pub fn unclear(why: String) -> Tree {
        Tree { unclear: Some(why), ..Tree::default() }
    }
}

/// Hidden files and editors' leavings are none, and neither is what lies in hidden directories.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '#']) || name.ends_with('~')
}

pub fn is_manifest(name: &str) -> bool {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    !is_hidden(name) && matches!(suffix, Some("yaml" | "yml"))
}

/// Why a file of this size is not read.
pub fn too_large(size: u64) -> Option<String> {
    let largest = yaml::MAX_FILE as u64;
    (size > largest).then(|| format!("the file has {size} bytes, more than {largest}; split it"))
}

/// Why this many files are not read.
pub fn too_many(files: usize) -> Option<String> {
    (files > MAX_FILES).then(|| format!("there are more than {MAX_FILES} manifests; split the source"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_leavings_are_no_manifests() {
        for name in ["a.yaml", "b.yml", "a.b.yaml"] {
            assert!(is_manifest(name), "{name}");
        }
        for name in [".a.yaml", "#a.yaml", "#a.yaml#", "a.yaml~", "a.yaml.swp", ".a.yaml.swp", "a.txt", "yaml", "4913"]
        {
            assert!(!is_manifest(name), "{name}");
        }
    }
}
