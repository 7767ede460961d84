//! `$REGATTA_HOME/kubeconfig`: how kubectl and every other client finds this control plane.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use serde_json::json;

use super::home::write_private;
use super::tls::Certificates;

/// Written at every start, because port and certificates may have changed.
pub fn write(path: &Path, server: &str, certificates: &Certificates) -> Result<()> {
    let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "regatta", "cluster": {
            "server": server,
            "certificate-authority-data": encode(&certificates.ca),
        }}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": encode(&certificates.admin),
            "client-key-data": encode(&certificates.admin_key),
        }}],
        "contexts": [{"name": "regatta", "context": {"cluster": "regatta", "user": "admin", "namespace": "default"}}],
        "current-context": "regatta",
    });
    let text = serde_saphyr::to_string(&config).context("cannot write the kubeconfig as YAML")?;
    write_private(path, text.as_bytes())
}
