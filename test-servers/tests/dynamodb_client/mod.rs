//! As much of a DynamoDB client as the tests here need: one request, one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

/// Status and body of the answer; an error where the connection ends without a whole one.
pub(crate) fn ask(address: SocketAddr, operation: &str, body: &Value) -> std::io::Result<(u16, Value)> {
    answer(send(address, operation, body)?)
}

/// Sends a request, and does not wait.
pub(crate) fn send(address: SocketAddr, operation: &str, body: &Value) -> std::io::Result<TcpStream> {
    let body = body.to_string();
    let mut connection = TcpStream::connect(address)?;
    write!(
        connection,
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
         X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=00\r\n\r\n{body}",
        body.len()
    )?;
    Ok(connection)
}

/// Waits for what a request is answered.
pub(crate) fn answer(mut connection: TcpStream) -> std::io::Result<(u16, Value)> {
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let torn = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(torn)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(torn)?;
    Ok((status, serde_json::from_str(body).map_err(|_| torn())?))
}
