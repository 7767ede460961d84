//! `regatta crd`: the CustomResourceDefinitions of every kind, for a cluster or for reading.

use clap::Args;

use super::failure::{DONE, Outcome, cannot};
use super::output::print;

#[derive(Args, Debug)]
pub struct Crd {}

impl Crd {
    pub(super) fn run(self) -> Outcome {
        let documents = documents().map_err(|e| cannot("write the definitions as YAML", e.to_string()))?;
        let texts: Vec<String> = documents.into_iter().map(|(_, text)| text).collect();
        print(texts.join("---\n"))?;
        DONE
    }
}

/// One YAML document a kind, in the order of [`crate::api::crds`].
pub fn documents() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    crate::api::crds()
        .into_iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.spec.names.plural);
            // Through a JSON value: its maps are sorted, so the same types always give the same text.
            let value = serde_json::to_value(&crd).expect("a definition of strings and maps is always JSON");
            Ok((name, serde_saphyr::to_string(&value)?))
        })
        .collect()
}
