//! A request as it arrived, and an answer as the server gave it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use hyper::{Method, Response, StatusCode, Uri};
use serde_json::Value;

use super::Refusal;
use super::units::is_charged;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// A checksum of the body, which does not hold for another one.
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-crc32");

/// What HTTP says of one connection, not of the request or the answer.
const OF_CONNECTION: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

pub(super) struct Request {
    method: Method,
    path: Uri,
    headers: HeaderMap,
    bytes: Bytes,
    /// As in `PutItem`; empty where it is none of DynamoDB's.
    pub(super) operation: String,
    /// `null` where it is no JSON.
    pub(super) body: Value,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Request {
    /// Takes it in; `None` if its sender was gone before the end.
    pub(super) async fn receive(request: hyper::Request<Incoming>) -> Option<Self> {
        let (head, body) = request.into_parts();
        let bytes = body.collect().await.ok()?.to_bytes();
        let target = head.headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit_once('.').map_or("", |(_, operation)| operation).to_owned();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Some(Self { method: head.method, path: head.uri, headers: head.headers, bytes, operation, body })
    }

    /// How long its body was when it arrived.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// A question about a table by the same caller.
    pub(super) fn describe(&self, table: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.insert(TARGET, HeaderValue::from_static("DynamoDB_20120810.DescribeTable"));
        let body = serde_json::json!({ "TableName": table });
        Self {
            method: self.method.clone(),
            path: self.path.clone(),
            headers,
            bytes: body.to_string().into(),
            operation: "DescribeTable".to_owned(),
            body,
        }
    }

    /// After its body was changed.
    pub(super) fn body_changed(&mut self) {
        self.bytes = self.body.to_string().into();
    }

    /// As it goes on to the server. Unless its sender has a wish of his own, the server is to say what it counts.
    pub(super) fn to(&self, server: &Uri) -> hyper::Request<Full<Bytes>> {
        let asks = self.body.get("ReturnConsumedCapacity").is_some();
        let bytes = match self.bytes.strip_prefix(b"{") {
            Some(rest) if is_charged(&self.operation) && !asks => {
                [br#"{"ReturnConsumedCapacity":"TOTAL","#, rest].concat().into()
            }
            _ => self.bytes.clone(),
        };
        let mut parts = server.clone().into_parts();
        parts.path_and_query = self.path.path_and_query().cloned();
        let mut request = hyper::Request::new(Full::new(bytes));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| server.clone());
        *request.headers_mut() = self.headers.clone();
        OF_CONNECTION.iter().for_each(|name| drop(request.headers_mut().remove(name)));
        // The signature would cover the host; a server that looks at signatures is none that this can stand before.
        request.headers_mut().remove(HOST);
        request
    }
}

impl Answer {
    /// `None` if the server was gone before the end.
    pub(super) async fn receive(answer: Response<Incoming>) -> Option<Self> {
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.ok()?.to_bytes();
        Some(Self { status: head.status, headers: head.headers, bytes })
    }

    pub(super) fn refusal(refusal: Refusal) -> Self {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"))]);
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers, bytes: refusal.body().to_string().into() }
    }

    pub(super) fn body(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    pub(super) fn with_body(mut self, body: &Value) -> Self {
        self.bytes = body.to_string().into();
        self.headers.remove(CHECKSUM);
        self
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.bytes));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        OF_CONNECTION.iter().for_each(|name| drop(response.headers_mut().remove(name)));
        response
    }
}
