//! Which repository a forge's webhook speaks of, whatever the forge and however a Source spells its URL.

use std::collections::BTreeSet;

use serde_json::Value;

/// `host/path` of a repository's URL, the same for https, ssh and `git@host:path`; `None` where there is none.
pub fn repository(url: &str) -> Option<String> {
    let (host, path) = match url.split_once("://") {
        Some(("file", path)) => ("", path),
        Some((_, rest)) => rest.split_once('/')?,
        // scp's way: user@host:path
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = host.rsplit('@').next().unwrap_or(host);
    let host = match host.rsplit_once(':') {
        // A port says how to get there, not which repository: forges give ssh and https different ones.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then(|| format!("{}/{path}", host.to_ascii_lowercase()))
}

/// Every repository that a webhook's body names as the one it is about.
pub fn mentioned(body: &Value) -> BTreeSet<String> {
    let about = ["repository", "project"].into_iter().filter_map(|field| body.get(field)?.as_object());
    about
        .flat_map(|fields| fields.iter())
        .filter(|(name, _)| name.ends_with("url") || *name == "homepage")
        .filter_map(|(_, value)| repository(value.as_str()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_spellings_of_a_repository_are_one() {
        for url in [
            "https://github.com/acme/payments.git",
            "https://GitHub.com/acme/payments",
            "ssh://git@github.com/acme/payments.git",
            "ssh://git@github.com:2222/acme/payments.git/",
            "git@github.com:acme/payments.git",
            "git://github.com/acme/payments.git",
        ] {
            assert_eq!(repository(url).as_deref(), Some("github.com/acme/payments"), "{url}");
        }
        assert_eq!(repository("file:///srv/git/a.git").as_deref(), Some("/srv/git/a"));
        for none in ["", "payments", "https://github.com", "https://github.com/", "/srv/git/a.git"] {
            assert_eq!(repository(none), None, "{none}");
        }
        assert_ne!(repository("https://a.example/x/y"), repository("https://b.example/x/y"));
    }

    #[test]
    fn each_forge_s_body_names_its_repository() {
        let payments = BTreeSet::from(["github.com/acme/payments".to_owned()]);
        let github = json!({"ref": "refs/heads/main", "repository": {
            "clone_url": "https://github.com/acme/payments.git", "ssh_url": "git@github.com:acme/payments.git",
            "html_url": "https://github.com/acme/payments", "description": "https://evil.example/x"}});
        assert_eq!(mentioned(&github), payments);
        let gitlab = json!({"project": {"git_http_url": "https://github.com/acme/payments.git"},
            "repository": {"homepage": "https://github.com/acme/payments"}});
        assert_eq!(mentioned(&gitlab), payments);
        for nothing in [json!(null), json!([]), json!({"repository": "x"}), json!({"repository": {"url": 5}})] {
            assert!(mentioned(&nothing).is_empty(), "{nothing}");
        }
    }
}
