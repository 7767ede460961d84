//! From which page a browser's request comes: the Host and Origin headers. This is what keeps foreign pages out, DNS
//! rebinding included; it must not depend on whether the caller is logged in.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri, header};

use super::status::Failure;

/// Names under which this gateway may be addressed: loopback always, others as configured.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    configured: Vec<Origin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    /// Lower case, with the port if it is not the scheme's own.
    authority: String,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot allow origin {origin:?}: it must look like https://regatta.example.org or http://10.0.0.5:7600")]
pub struct InvalidOrigin {
    origin: String,
}

impl Origins {
    pub fn new(configured: &[String]) -> Result<Origins, InvalidOrigin> {
        let parse = |origin: &String| Origin::parse(origin).ok_or_else(|| InvalidOrigin { origin: origin.clone() });
        Ok(Origins { configured: configured.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// A page that made its own name point at this machine sends its own name here.
    pub fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(host) = host(uri, headers) else {
            return Err(Failure::bad_request("cannot answer a request without exactly one valid Host header"));
        };
        let known = is_loopback(host.host()) || self.configured.iter().any(|origin| origin.has_authority(&host));
        if known {
            return Ok(());
        }
        Err(Failure::forbidden(format!(
            "cannot answer for host {:?}: only loopback names are allowed; to serve it, start with its origin allowed",
            host.as_str()
        )))
    }

    /// For every mutation and every WebSocket: the browser must say that the request comes from this gateway's own
    /// page. A page on another port of the same machine counts as the same *site* to a browser, so SameSite cookies
    /// alone would not do.
    pub fn check_origin(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Failure::forbidden("cannot accept the request without exactly one Origin header"));
        };
        let origin = value.to_str().ok().and_then(Origin::parse);
        let own = origin.as_ref().is_some_and(|origin| {
            host(uri, headers).is_some_and(|host| origin.has_authority(&host)) || self.configured.contains(origin)
        });
        if own {
            return Ok(());
        }
        Err(Failure::forbidden(format!("cannot accept a request from origin {value:?}: it is not this gateway's own")))
    }

    /// Whether the page was loaded over TLS, so that its cookie may be limited to TLS.
    pub fn is_secure(headers: &HeaderMap) -> bool {
        headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
    }
}

/// Requests that change something; they need an Origin, and a CSRF token when a cookie vouches for them.
pub fn is_mutation(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

impl Origin {
    fn parse(text: &str) -> Option<Origin> {
        let (scheme, rest) = text.split_once("://")?;
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let authority: Authority = rest.parse().ok()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let authority = authority.as_str().to_ascii_lowercase();
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority).to_owned();
        Some(Origin { scheme: scheme.to_owned(), authority })
    }

    fn has_authority(&self, host: &Authority) -> bool {
        let text = format!("{}://{host}", self.scheme);
        Origin::parse(&text).is_some_and(|origin| origin.authority == self.authority)
    }
}

fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    // HTTP/2 says it in the request line.
    if let Some(authority) = uri.authority() {
        return Some(authority.clone());
    }
    let mut values = headers.get_all(header::HOST).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let authority: Authority = value.to_str().ok()?.parse().ok()?;
    (!authority.as_str().contains('@')).then_some(authority)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    fn origins() -> Origins {
        Origins::new(&["https://regatta.example.org".into(), "http://10.0.0.5:7600".into()]).unwrap()
    }

    #[test]
    fn only_loopback_and_configured_hosts_are_answered() {
        let uri = Uri::from_static("/");
        for host in ["localhost", "LOCALHOST:7600", "127.0.0.1:1", "127.9.9.9", "[::1]:7600", "regatta.localhost:7600"]
        {
            assert!(origins().check_host(&uri, &headers(host, None)).is_ok(), "{host}");
        }
        for host in ["regatta.example.org", "regatta.example.org:443", "10.0.0.5:7600"] {
            assert!(origins().check_host(&uri, &headers(host, None)).is_ok(), "{host}");
        }
        let foreign = [
            "evil.example",
            "evil.example:7600",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.5",
            "10.0.0.5:7601",
            "0.0.0.0:7600",
            "192.168.1.2",
            "a@localhost",
            "",
        ];
        for host in foreign {
            assert!(origins().check_host(&uri, &headers(host, None)).is_err(), "{host}");
        }
        assert!(origins().check_host(&uri, &HeaderMap::new()).is_err());
        let mut two = headers("localhost", None);
        two.append(header::HOST, "evil.example".parse().unwrap());
        assert!(origins().check_host(&uri, &two).is_err());
    }

    #[test]
    fn an_origin_must_be_the_gateways_own_to_the_port() {
        let uri = Uri::from_static("/");
        let allowed = [
            ("localhost:7600", "http://localhost:7600"),
            ("localhost", "http://localhost"),
            ("localhost", "http://localhost:80"),
            ("127.0.0.1:7600", "http://127.0.0.1:7600"),
            ("localhost:7600", "https://regatta.example.org"),
            ("regatta.example.org", "https://regatta.example.org"),
        ];
        for (host, origin) in allowed {
            assert!(origins().check_origin(&uri, &headers(host, Some(origin))).is_ok(), "{host} {origin}");
        }
        let refused = [
            "http://localhost:7601",
            "http://localhost",
            "http://127.0.0.1:7600",
            "http://evil.example",
            "http://localhost:7600.evil.example",
            "http://a@localhost:7600",
            "null",
            "file://",
            "",
        ];
        for origin in refused {
            assert!(origins().check_origin(&uri, &headers("localhost:7600", Some(origin))).is_err(), "{origin}");
        }
        assert!(origins().check_origin(&uri, &headers("localhost:7600", None)).is_err(), "none is refused");
    }

    #[test]
    fn a_malformed_configured_origin_is_an_error() {
        for origin in ["regatta.example.org", "ftp://x", "https://", "*"] {
            assert!(Origins::new(&[origin.into()]).is_err(), "{origin}");
        }
    }
}
