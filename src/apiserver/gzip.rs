//! Compressed answers for clients that ask for them, as upstream does it: only gzip, only what is large, and never a watch,
//! whose lines must not wait for each other.

use std::io::Write;

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, header};

/// Upstream's bound: below it, compressing costs more than it saves.
const THRESHOLD: usize = 128 * 1024;
/// Upstream's level: fast, and JSON still shrinks to a tenth.
const LEVEL: u32 = 1;

pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip")) && !parts.any(|p| p == "q=0" || p == "q=0.0")
    })
}

/// The answer, compressed if it is large. Reads ahead up to the threshold to find out.
pub async fn compress(response: Response) -> Response {
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let mut data = body.into_data_stream();
    let mut ahead: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while length <= THRESHOLD {
        match data.next().await {
            None => return Response::from_parts(parts, Body::from(ahead.concat())),
            Some(Ok(piece)) => {
                length += piece.len();
                ahead.push(piece);
            }
            // The body breaks off here; so does what is passed on.
            Some(Err(error)) => {
                let broken = ahead.into_iter().map(Ok).chain([Err(error)]);
                return Response::from_parts(parts, Body::from_stream(futures::stream::iter(broken)));
            }
        }
    }
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    let all = futures::stream::iter(ahead.into_iter().map(Ok)).chain(data);
    let start = Some((GzEncoder::new(Vec::new(), Compression::new(LEVEL)), Box::pin(all)));
    let packed = futures::stream::unfold(start, |state| async move {
        let (mut encoder, mut rest) = state?;
        loop {
            let next = match rest.next().await {
                None => return Some((encoder.finish().map(Bytes::from).map_err(axum::Error::new), None)),
                Some(Err(error)) => return Some((Err(error), None)),
                Some(Ok(piece)) => encoder.write_all(&piece),
            };
            if let Err(error) = next {
                return Some((Err(axum::Error::new(error)), None));
            }
            if !encoder.get_ref().is_empty() {
                let ready = BytesMut::from(&encoder.get_ref()[..]).freeze();
                encoder.get_mut().clear();
                return Some((Ok(ready), Some((encoder, rest))));
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(packed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn wanted(accept: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
        is_wanted(&headers)
    }

    #[test]
    fn only_who_asks_is_served() {
        assert!(wanted("gzip") && wanted("br, GZIP;q=0.8") && wanted("gzip, deflate"));
        assert!(!wanted("br") && !wanted("gzip;q=0") && !wanted(""));
    }

    #[tokio::test]
    async fn large_answers_come_back_whole() {
        for (size, packed) in [(10, false), (THRESHOLD, false), (THRESHOLD + 1, true), (5 << 20, true)] {
            let text: Vec<u8> = (0..size).map(|i| b"abcdefghij"[i * i % 10]).collect();
            let pieces: Vec<Result<Bytes, std::convert::Infallible>> =
                text.chunks(64 * 1024).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let response = compress(Response::new(Body::from_stream(futures::stream::iter(pieces)))).await;
            assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), packed, "{size}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let plain = if packed {
                assert!(body.len() < size / 5);
                let mut decoder = flate2::write::GzDecoder::new(Vec::new());
                decoder.write_all(&body).unwrap();
                decoder.finish().unwrap()
            } else {
                body.to_vec()
            };
            assert!(plain == text, "{size}");
        }
    }
}
