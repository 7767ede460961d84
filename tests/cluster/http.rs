//! One request and its answer, as bytes: what a case sends is sent as it is, right or wrong.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub content_type: Option<String>,
    pub accept: Option<String>,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub content_type: String,
    pub warnings: Vec<String>,
    pub body: Bytes,
}

impl Ask {
    pub fn json(method: Method, path: &str, body: Option<&Value>) -> Ask {
        Ask {
            method,
            path: path.into(),
            content_type: body.map(|_| "application/json".into()),
            accept: None,
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        }
    }

    fn request(self) -> Result<Request<Body>, String> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.path)
            .header(header::USER_AGENT, "compare/1.0")
            .header(header::ACCEPT, self.accept.as_deref().unwrap_or("application/json"));
        if let Some(content_type) = &self.content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        request.body(Body::from(self.body)).map_err(|error| format!("{}: {error}", self.path))
    }

    /// The answer, whole. A broken connection is an answer with code 0.
    pub async fn send(self, client: &kube::Client) -> Answer {
        match self.open(client).await {
            Ok((mut answer, body)) => match body.collect().await {
                Ok(collected) => {
                    answer.body = collected.to_bytes();
                    answer
                }
                Err(error) => Answer::broken(format!("the body broke off: {error}")),
            },
            Err(error) => Answer::broken(error),
        }
    }

    /// The answer's head, and its body still to come.
    pub async fn open(self, client: &kube::Client) -> Result<(Answer, Body), String> {
        let response = client.send(self.request()?).await.map_err(|error| format!("no answer: {error:?}"))?;
        let (parts, body) = response.into_parts();
        let text = |value: &http::HeaderValue| value.to_str().unwrap_or("?").to_string();
        let answer = Answer {
            code: parts.status.as_u16(),
            content_type: parts.headers.get(header::CONTENT_TYPE).map(text).unwrap_or_default(),
            warnings: parts.headers.get_all(header::WARNING).iter().map(text).collect(),
            body: Bytes::new(),
        };
        Ok((answer, body))
    }
}

impl Answer {
    pub fn broken(why: String) -> Answer {
        Answer { code: 0, content_type: String::new(), warnings: Vec::new(), body: why.into() }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}
