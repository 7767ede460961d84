//! The web app's files, built into the binary (a debug build reads them from `web/dist` at each request). Must not know
//! what is in them, except that `index.html` answers every address of the app and `assets/` has names with hashes.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::status::Failure;

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Web;

const MISSING: &str = "<!doctype html><meta charset=utf-8><title>Regatta</title>\
    <h1>The web app is not in this binary</h1><p>Build it with <code>make build</code>, then start again. \
    The API and the CLI work without it.</p>";

/// Everything no other route answers.
pub async fn serve(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let what = format!("{} {}", request.method(), request.uri().path());
        return Failure::not_found(format!("cannot {what}: there is no such path")).into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let wanted = if path.is_empty() { "index.html" } else { path };
    if let Some(response) = file(wanted, request.headers()) {
        return response;
    }
    // An address of the app, such as /agents/default/api-fix: the app itself reads it. Anything that looks like a file,
    // or like a resource of ours, is missing.
    let last = path.rsplit('/').next().unwrap_or_default();
    let first = path.split('/').next().unwrap_or_default();
    let not_the_app = ["api", "apis", "openapi", "auth", "assets", "watch", "version"].contains(&first);
    if not_the_app || (last.contains('.') && !accepts_html(request.headers())) {
        return Failure::not_found(format!("cannot get /{path}: there is no such path")).into_response();
    }
    file("index.html", request.headers()).unwrap_or_else(|| {
        let plain = (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], MISSING);
        plain.into_response()
    })
}

fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let (file, encoding) = find(path, headers)?;
    let tag = tag(&file, encoding);
    let fresh = headers.get(header::IF_NONE_MATCH).is_some_and(|known| {
        let known = known.as_bytes();
        known == b"*" || known.split(|byte| *byte == b',').any(|one| trim_weak(one) == tag.as_bytes())
    });
    let mut response = match fresh {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(file.data).into_response(),
    };
    // What has a hash in its name never changes; the rest is asked for each time, and usually answered with 304.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    out.insert(header::ETAG, HeaderValue::try_from(tag).expect("hex and a short word are header text"));
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime(path)));
    if let Some(encoding) = encoding {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Some(response)
}

/// The smallest form of the file that the build made and the browser takes.
fn find(path: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    // In a debug build this is a path on the disk.
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") || path.contains(['\\', '\0']) {
        return None;
    }
    for (encoding, suffix) in [("br", "br"), ("gzip", "gz")] {
        if accepts(headers, encoding)
            && let Some(file) = Web::get(&format!("{path}.{suffix}"))
        {
            return Some((file, Some(encoding)));
        }
    }
    Some((Web::get(path)?, None))
}

fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|part| {
        let (name, weight) = part.split_once(';').unwrap_or((part, ""));
        name.trim().eq_ignore_ascii_case(encoding) && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"))
}

fn tag(file: &EmbeddedFile, encoding: Option<&str>) -> String {
    let hash: String = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}-{}\"", encoding.unwrap_or("plain"))
}

fn trim_weak(tag: &[u8]) -> &[u8] {
    let tag = tag.trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The kinds of file a web build makes. Anything else is offered as bytes, which no browser runs.
fn mime(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &str) -> Response {
        serve(Request::builder().uri(path).body(Body::empty()).unwrap()).await
    }

    #[tokio::test]
    async fn paths_do_not_leave_the_folder() {
        for path in ["/../Cargo.toml", "/assets/../../Cargo.toml", "/./x.js", "//etc/passwd.txt", "/a\\b.js"] {
            let Ok(request) = Request::builder().uri(path).body(Body::empty()) else { continue };
            let response = serve(request).await;
            assert_ne!(response.status(), StatusCode::OK, "{path}");
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_not_the_app() {
        for path in ["/assets/nothing.js", "/favicon-that-is-not.png", "/api/v9", "/auth/nothing"] {
            assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn encodings_are_read_with_their_weight() {
        let headers = |value: &str| HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]);
        assert!(accepts(&headers("gzip, deflate, br;q=0.9"), "br"));
        assert!(!accepts(&headers("gzip, br;q=0"), "br"));
        assert!(!accepts(&headers("brotli"), "br"));
        assert!(!accepts(&HeaderMap::new(), "br"));
    }
}
