//! Between the controller and the API server: counts what is written, and says
//! so before whoever wrote it has the answer.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use crate::plane::text;

/// A write that reached the API server; whoever gets it lets the answer go by
/// notifying.
pub type Written = (String, Arc<Notify>);

/// Its address, and what is written through it. Leases are no step of an update.
pub async fn start(client: Client) -> Result<(String, mpsc::UnboundedReceiver<Written>), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    let url = format!("http://{}", listener.local_addr().map_err(text)?);
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (client, sender) = (client.clone(), sender.clone());
            tokio::spawn(async move {
                let service = service_fn(|request| pass(client.clone(), sender.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok((url, receiver))
}

async fn pass(
    client: Client,
    sender: mpsc::UnboundedSender<Written>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut head, body) = request.into_parts();
    let what = format!("{} {}", head.method, head.uri.path());
    let is_step = head.method != "GET" && !what.contains("/leases");
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    head.headers.remove("host");
    let answered = client.send(Request::from_parts(head, body.into())).await;
    let (status, body) = match answered {
        Ok(response) => {
            let status = response.status();
            let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            (status.as_u16(), body)
        }
        Err(error) => (502, Bytes::from(error.to_string())),
    };
    if is_step && status < 300 {
        let goes_on = Arc::new(Notify::new());
        if sender.send((what, Arc::clone(&goes_on))).is_ok() {
            goes_on.notified().await;
        }
    }
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(body)).expect("it is valid"))
}
