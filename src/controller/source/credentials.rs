//! What a Secret says about getting at a repository. Must not print any of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::api::SYSTEM_NAMESPACE;

/// Everything there may be; a public repository needs none.
#[derive(Default, PartialEq, Eq)]
pub struct Credentials {
    /// Name and password for http(s).
    pub basic: Option<(String, String)>,
    /// Private key and the server's public ones for ssh.
    pub ssh: Option<(String, String)>,
    /// Certificates of an authority that the server's own is from.
    pub authority: Option<String>,
}

/// A name is needed, and any will do with most tokens.
const ANY_USER: &str = "git";

pub async fn read(client: &Client, name: Option<&str>, url: &str) -> Result<Credentials, String> {
    let Some(name) = name else { return Ok(Credentials::default()) };
    let cannot = |why: String| format!("cannot use secret {SYSTEM_NAMESPACE}/{name} of spec.git.credentialsRef: {why}");
    let api: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let secret = api.get_opt(name).await.map_err(|e| cannot(e.to_string()))?;
    let secret = secret.ok_or_else(|| cannot("it does not exist; create it in that namespace".into()))?;
    let mut values = BTreeMap::new();
    for (key, value) in secret.data.unwrap_or_default() {
        let text = String::from_utf8(value.0).map_err(|_| cannot(format!("its {key} is not UTF-8 text")))?;
        values.insert(key, text);
    }
    understand(&values, url).map_err(cannot)
}

fn understand(values: &BTreeMap<String, String>, url: &str) -> Result<Credentials, String> {
    let line = |key: &str| match values.get(key).map(|v| v.trim_end_matches(['\r', '\n'])) {
        // A line end would be read as the next answer.
        Some(value) if value.contains(['\n', '\r', '\0']) => Err(format!("its {key} has several lines")),
        value => Ok(value.filter(|v| !v.is_empty()).map(str::to_owned)),
    };
    let is_http = url.starts_with("http://") || url.starts_with("https://");
    let password = line("password")?.or(line("token")?);
    let basic = match password {
        Some(password) if is_http => Some((line("username")?.unwrap_or_else(|| ANY_USER.into()), password)),
        Some(_) | None => None,
    };
    if basic.is_some() && url.starts_with("http://") && !is_loopback(url) {
        return Err(
            "spec.git.url is plain http, which would show the password to everybody on the way; use https".into()
        );
    }
    let ssh = match (values.get("ssh-privatekey"), values.get("known_hosts")) {
        _ if is_http => None,
        (Some(key), Some(known)) => Some((format!("{}\n", key.trim_end()), known.clone())),
        (Some(_), None) => {
            return Err("it has no known_hosts, without which nobody can tell whether the server is the right one; \
                        `ssh-keyscan HOST` prints what goes there, to be compared with what the server's owner says"
                .into());
        }
        (None, _) => None,
    };
    let authority = values.get("ca.crt").cloned();
    if basic.is_none() && ssh.is_none() && authority.is_none() {
        let needs = if is_http { "username and password, or token" } else { "ssh-privatekey and known_hosts" };
        return Err(format!("it has none of what {url} needs: {needs}"));
    }
    Ok(Credentials { basic, ssh, authority })
}

fn is_loopback(url: &str) -> bool {
    let host = url.trim_start_matches("http://").split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(values: &[(&str, &str)], url: &str) -> Result<Credentials, String> {
        understand(&values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), url)
    }

    #[test]
    fn a_secret_is_read_as_its_url_needs_it() {
        let https = "https://git.example/x.git";
        let basic = |url, values: &[(&str, &str)]| from(values, url).ok().and_then(|c| c.basic);
        assert_eq!(basic(https, &[("username", "me"), ("password", "s\n")]), Some(("me".into(), "s".into())));
        assert_eq!(basic(https, &[("token", "t")]), Some(("git".into(), "t".into())));
        let ssh = from(&[("ssh-privatekey", "KEY"), ("known_hosts", "H")], "git@git.example:x.git").ok().unwrap();
        assert_eq!((ssh.ssh, ssh.basic), (Some(("KEY\n".into(), "H".into())), None));
    }

    #[test]
    fn what_would_be_unsafe_or_useless_is_refused_with_words() {
        let refused = |values: &[(&str, &str)], url, word: &str| {
            let why = from(values, url).err().unwrap();
            assert!(why.contains(word), "{why}");
        };
        refused(&[("password", "a\nhost=evil")], "https://git.example/x", "several lines");
        refused(&[("password", "a")], "http://git.example/x", "plain http");
        refused(&[("ssh-privatekey", "a")], "ssh://git@git.example/x", "known_hosts");
        refused(&[("username", "a")], "https://git.example/x", "username and password");
        refused(&[("password", "a")], "ssh://git@git.example/x", "ssh-privatekey");
        assert!(from(&[("password", "a")], "http://127.0.0.1:8080/x").is_ok());
    }
}
