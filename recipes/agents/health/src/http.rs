//! One GET on loopback, as kubelet's own endpoints need it. HTTP/1.0, so that
//! the body ends with the connection; no TLS, nothing leaves the node.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::checks::Finding;

const LIMIT: Duration = Duration::from_secs(5);
const MAX_BODY: u64 = 4 << 20;

pub fn get(url: &str, contains: Option<&str>) -> Finding {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url} is not http://"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddr = host.parse().map_err(|_| format!("{host} is not ADDRESS:PORT"))?;
    if !address.ip().is_loopback() {
        return Err(format!("{host} is not a loopback address"));
    }
    let response = exchange(address, host, path).map_err(|error| format!("{url}: {error}"))?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let status = head.split(' ').nth(1).unwrap_or("");
    if status != "200" {
        return Err(format!("{url} answered {status}"));
    }
    match contains {
        Some(text) if !body.contains(text) => Err(format!("{url} does not say {text}")),
        _ => Ok(json!({ "url": url, "status": 200 })),
    }
}

fn exchange(address: SocketAddr, host: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\nAccept: */*\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.take(MAX_BODY).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
