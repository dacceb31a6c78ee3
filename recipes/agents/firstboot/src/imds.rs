//! User data from EC2's metadata service, version 2: a token first, then
//! questions with it. Version 1 is not asked.
//!
//! Source: EC2 user guide, "Use the Instance Metadata Service".

use std::net::SocketAddr;
use std::time::Duration;

use osbuild_api::{Answer, Endpoint, Question};

use crate::text::MOST_BYTES;

/// There is user data, and it cannot be had; why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

/// The service.
pub(crate) struct Imds {
    endpoint: Endpoint,
    /// The pause after the first failure; it doubles up to the second.
    pauses: (Duration, Duration),
}

const LIMIT: Duration = Duration::from_secs(5);
/// As long as one may be: a start is soon over, and may be slow.
const TOKEN_SECONDS: &str = "21600";

/// Why there is no answer yet.
enum NotYet {
    /// It may come: the network is not there, the service is busy.
    Passing(String),
    Refused(Refused),
}

impl Imds {
    pub(crate) fn amazon() -> Self {
        let address = SocketAddr::from(([169, 254, 169, 254], 80));
        let pauses = (Duration::from_secs(1), Duration::from_secs(15));
        Self { endpoint: Endpoint::Tcp(address), pauses }
    }

    /// Asks until there is an answer. `tell` hears why it takes long: of each
    /// reason once.
    ///
    /// # Errors
    /// The service says no, and would again.
    pub(crate) fn wait_for_user_data(&self, tell: &mut dyn FnMut(&str)) -> Result<Option<Vec<u8>>, Refused> {
        let (mut pause, longest) = self.pauses;
        let mut told = String::new();
        loop {
            match self.user_data() {
                Ok(found) => return Ok(found),
                Err(NotYet::Refused(refused)) => return Err(refused),
                Err(NotYet::Passing(reason)) => {
                    if reason != told {
                        tell(&format!("not there yet: {reason}"));
                        told = reason;
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    fn user_data(&self) -> Result<Option<Vec<u8>>, NotYet> {
        let headers = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)];
        let token = self.ask("PUT", "/latest/api/token", &headers)?;
        let token = match token.status {
            200 => String::from_utf8(token.body).ok().filter(|text| is_token(text)),
            403 => return Err(NotYet::Refused(Refused("the metadata service is switched off".to_owned()))),
            status => return Err(NotYet::Passing(format!("{}: the token: status {status}", self.endpoint))),
        };
        let Some(token) = token else {
            return Err(NotYet::Passing(format!("{}: the token is none", self.endpoint)));
        };
        let answer = self.ask("GET", "/latest/user-data", &[("x-aws-ec2-metadata-token", &token)])?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            // 401: the token is too old by now; others: busy, or broken for a while.
            status => Err(NotYet::Passing(format!("{}: user data: status {status}", self.endpoint))),
        }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer, NotYet> {
        let most_bytes = MOST_BYTES + 1;
        let question = Question { method, path, headers, body: Vec::new(), limit: LIMIT, most_bytes };
        self.endpoint.ask(&question).map_err(|error| NotYet::Passing(error.to_string()))
    }
}

/// What may stand in a header.
fn is_token(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// What was found, the heads of what was asked, what was told.
    type Asked = (Result<Option<Vec<u8>>, Refused>, Vec<String>, Vec<String>);

    /// Answers connection after connection.
    fn asked(answers: &'static [&'static str]) -> Asked {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pauses = (Duration::from_millis(1), Duration::from_millis(4));
        let imds = Imds { endpoint: Endpoint::Tcp(listener.local_addr().unwrap()), pauses };
        let server = std::thread::spawn(move || {
            let mut heads = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                heads.push(String::from_utf8(head).unwrap().to_ascii_lowercase());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            heads
        });
        let mut told = Vec::new();
        let found = imds.wait_for_user_data(&mut |reason| told.push(reason.to_owned()));
        (found, server.join().unwrap(), told)
    }

    const TOKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nTOKEN";

    #[test]
    fn a_token_is_asked_for_and_shown() {
        let (found, heads, told) = asked(&[TOKEN, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na = 1"]);
        assert_eq!(found, Ok(Some(b"a = 1".to_vec())));
        assert!(heads[0].starts_with("put /latest/api/token http/1.1\r\n"), "{heads:?}");
        assert!(heads[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"), "{heads:?}");
        assert!(heads[1].starts_with("get /latest/user-data http/1.1\r\n"), "{heads:?}");
        assert!(heads[1].contains("x-aws-ec2-metadata-token: token\r\n"), "{heads:?}");
        assert!(told.is_empty());
    }

    #[test]
    fn no_user_data_is_an_answer() {
        let (found, _, _) = asked(&[TOKEN, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]);
        assert_eq!(found, Ok(None));
    }

    #[test]
    fn what_passes_is_waited_for_and_told_once() {
        const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        let (found, heads, told) = asked(&[
            "",
            BUSY,
            BUSY,
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\r\n",
            TOKEN,
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            TOKEN,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ]);
        assert_eq!((found, heads.len()), (Ok(Some(Vec::new())), 8));
        let kinds: Vec<bool> =
            told.iter().map(|line| line.starts_with("not there yet: 127.0.0.1:")).collect();
        assert_eq!(kinds, [true; 4], "{told:?}");
        assert!(
            told[1].ends_with("the token: status 503") && told[3].ends_with("user data: status 401"),
            "{told:?}"
        );
    }

    #[test]
    fn a_service_that_is_switched_off_is_not_waited_for() {
        let (found, _, _) = asked(&["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"]);
        assert_eq!(found, Err(Refused("the metadata service is switched off".to_owned())));
    }
}
