//! One question by HTTP/1.1, over the node's own socket or to a host: with a
//! limit on time and on what is taken in. No redirects, no compression, no TLS:
//! whoever needs more asks somebody else.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// The socket of the node's API.
pub const SOCKET: &str = "/run/osbuild/api/socket";

/// For the service manager to start the server anew.
const STARTING: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(50);

/// Who is asked.
#[derive(Clone, Debug)]
pub enum Endpoint {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'q> {
    pub method: &'q str,
    /// With what follows the question mark.
    pub path: &'q str,
    pub headers: &'q [(&'q str, &'q str)],
    pub body: Vec<u8>,
    /// For all of it.
    pub limit: Duration,
    /// Of the answer's body.
    pub most_bytes: usize,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// There is no answer; why, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer(pub String);

impl Endpoint {
    /// # Errors
    /// It cannot be reached, says nothing in time, or breaks the protocol.
    pub fn ask(&self, question: &Question<'_>) -> Result<Answer, NoAnswer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| NoAnswer(format!("cannot wait: {error}")))?;
        runtime.block_on(async {
            match tokio::time::timeout(question.limit, self.connect_and_ask(question)).await {
                Ok(answer) => answer,
                Err(_) => {
                    Err(NoAnswer(format!("{self}: no answer within {} s", question.limit.as_secs_f32())))
                }
            }
        })
    }

    async fn connect_and_ask(&self, question: &Question<'_>) -> Result<Answer, NoAnswer> {
        let fail = |error: std::io::Error| NoAnswer(format!("{self}: {error}"));
        match self {
            Self::Unix(path) => {
                let stream = connect(path).await.map_err(fail)?;
                self.exchange(stream, question, "localhost").await
            }
            Self::Tcp(address) => {
                let stream = tokio::net::TcpStream::connect(address).await.map_err(fail)?;
                self.exchange(stream, question, &address.to_string()).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        question: &Question<'_>,
        host: &str,
    ) -> Result<Answer, NoAnswer> {
        let fail = |error: &dyn fmt::Display| NoAnswer(format!("{self}: {error}"));
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| fail(&error))?;
        let mut request =
            hyper::Request::builder().method(question.method).uri(question.path).header(HOST, host);
        for (name, value) in question.headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(Full::new(Bytes::from(question.body.clone()))).map_err(|error| fail(&error))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| fail(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), question.most_bytes).collect().await;
            let body = body.map_err(|error| fail(&error))?.to_bytes().to_vec();
            Ok(Answer { status, body })
        };
        alongside(answer, connection).await
    }
}

/// Waits a while for a server that is about to start, or to start again.
async fn connect(path: &Path) -> io::Result<UnixStream> {
    let deadline = Instant::now() + STARTING;
    loop {
        match UnixStream::connect(path).await {
            Err(error)
                if [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind())
                    && Instant::now() < deadline =>
            {
                tokio::time::sleep(RETRY).await;
            }
            outcome => return outcome,
        }
    }
}

/// Waits for `answer` while the connection is worked on.
async fn alongside<T>(
    answer: impl Future<Output = T>,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) -> T {
    let (mut answer, mut connection) = (std::pin::pin!(answer), std::pin::pin!(connection));
    let mut is_over = false;
    std::future::poll_fn(|context| {
        // That it broke, the answer tells.
        if !is_over && connection.as_mut().poll(context).is_ready() {
            is_over = true;
        }
        answer.as_mut().poll(context)
    })
    .await
}

/// Asks the node's own API, whose answers are JSON.
///
/// # Errors
/// There is no answer, or none of the API's.
pub fn ask_node(
    method: &str,
    path: &str,
    body: Option<&Value>,
    limit: Duration,
) -> Result<(u16, Value), NoAnswer> {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    hand_to_node(method, path, ("application/json", body), limit)
}

/// The same with any bytes, and of which kind they are.
///
/// # Errors
/// As [`ask_node`].
pub fn hand_to_node(
    method: &str,
    path: &str,
    (kind, body): (&str, Vec<u8>),
    limit: Duration,
) -> Result<(u16, Value), NoAnswer> {
    let headers = &[(CONTENT_TYPE.as_str(), kind)];
    let question = Question { method, path, headers, body, limit, most_bytes: 16 << 20 };
    let Answer { status, body } = Endpoint::Unix(SOCKET.into()).ask(&question)?;
    let body = serde_json::from_slice(&body)
        .map_err(|error| NoAnswer(format!("{SOCKET}: no answer of the API: {error}")))?;
    Ok((status, body))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoAnswer {}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Says `answer` to the first who asks; what was asked.
    fn server(answer: &'static [u8]) -> (Endpoint, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 1024];
            while !asked.ends_with(b"body") {
                let got = stream.read(&mut buffer).unwrap();
                asked.extend_from_slice(&buffer[..got]);
                if got == 0 {
                    break;
                }
            }
            let _ = stream.write_all(answer);
            // Silence, until whoever asked hangs up.
            let _ = stream.read(&mut buffer);
            String::from_utf8(asked).unwrap()
        });
        (endpoint, asked)
    }

    #[test]
    fn a_server_that_starts_anew_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("socket");
        let socket = path.clone();
        let server = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
            std::thread::sleep(Duration::from_millis(200));
            std::fs::remove_file(&socket).unwrap();
            let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").unwrap();
        });
        let question = Question {
            method: "GET",
            path: "/",
            headers: &[],
            body: Vec::new(),
            limit: Duration::from_secs(10),
            most_bytes: 10,
        };
        assert_eq!(Endpoint::Unix(path).ask(&question).unwrap().status, 204);
        server.join().unwrap();
    }

    fn ask(answer: &'static [u8]) -> (Result<Answer, String>, String) {
        let (endpoint, asked) = server(answer);
        let question = Question {
            method: "PUT",
            path: "/a?b=c",
            headers: &[("x-ttl", "60")],
            body: b"body".to_vec(),
            limit: Duration::from_millis(500),
            most_bytes: 10,
        };
        let answer = endpoint.ask(&question).map_err(|error| error.to_string());
        (answer, asked.join().unwrap())
    }

    #[test]
    fn a_question_is_asked_and_answered() {
        let (answer, asked) = ask(b"HTTP/1.1 201 x\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(answer, Ok(Answer { status: 201, body: b"ok".to_vec() }));
        assert!(asked.starts_with("PUT /a?b=c HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("x-ttl: 60\r\n") && asked.contains("host: 127.0.0.1:"), "{asked}");
        let (chunked, _) = ask(b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        assert_eq!(chunked, Ok(Answer { status: 200, body: b"ok".to_vec() }));
    }

    #[test]
    fn what_is_no_answer_is_an_error_within_the_time() {
        for (text, expected) in [
            (&b""[..], "no answer within"),
            (b"nonsense\r\n\r\n", "invalid HTTP"),
            (b"HTTP/1.1 200 x\r\nContent-Length: 11\r\n\r\n01234567890", "length limit exceeded"),
            (b"HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n012", "no answer within"),
        ] {
            let (answer, _) = ask(text);
            let error = answer.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let nowhere = Endpoint::Unix("/nonexistent/socket".into());
        let question = Question {
            method: "GET",
            path: "/",
            headers: &[],
            body: Vec::new(),
            limit: Duration::from_secs(5),
            most_bytes: 10,
        };
        assert!(
            nowhere.ask(&question).unwrap_err().to_string().starts_with("/nonexistent/socket: No such file")
        );
    }
}
