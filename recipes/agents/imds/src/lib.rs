//! EC2's metadata service, version 2: a token first, then questions with it.
//! Version 1 is not asked.
//!
//! Source: EC2 user guide, "Use the Instance Metadata Service".

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use osbuild_api::{Answer, Endpoint, Question};

/// The service.
pub struct Imds {
    endpoint: Endpoint,
    /// The pause after the first failure; it doubles up to the second.
    pauses: (Duration, Duration),
    /// Of an answer; what has more is cut there.
    most_bytes: usize,
    token: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoMetadata {
    /// It may come: the network is not there, the service is busy.
    Passing(String),
    /// It will not.
    Off,
}

const LIMIT: Duration = Duration::from_secs(5);
/// As long as one may be.
const TOKEN_SECONDS: &str = "21600";

/// Where the kernel shows its view of the SMBIOS.
pub const DMI: &str = "/sys/class/dmi/id";

/// Whether this machine says that it is one of EC2's (EC2 user guide,
/// "Identify EC2 instances"), by the kernel's view of its SMBIOS.
pub fn is_on_ec2(dmi: &Path) -> bool {
    std::fs::read_to_string(dmi.join("sys_vendor")).is_ok_and(|vendor| vendor.trim() == "Amazon EC2")
}

impl Imds {
    pub fn amazon(most_bytes: usize) -> Self {
        let address = SocketAddr::from(([169, 254, 169, 254], 80));
        Self::at(address, (Duration::from_secs(1), Duration::from_secs(15)), most_bytes)
    }

    /// Somewhere else, with other pauses.
    pub fn at(address: SocketAddr, pauses: (Duration, Duration), most_bytes: usize) -> Self {
        Self { endpoint: Endpoint::Tcp(address), pauses, most_bytes, token: None }
    }

    /// What the service has at a path; `None` if it has nothing there.
    ///
    /// # Errors
    /// See [`NoMetadata`].
    pub fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, NoMetadata> {
        let token = match self.token.clone() {
            Some(token) => token,
            None => self.fetch_token()?,
        };
        let answer = self.ask("GET", path, &[("x-aws-ec2-metadata-token", &token)]);
        let answer = answer.inspect_err(|_| self.token = None)?;
        match answer.status {
            200 => {
                self.token = Some(token);
                Ok(Some(answer.body))
            }
            404 => {
                self.token = Some(token);
                Ok(None)
            }
            // 401: the token is too old by now; others: busy, or broken for a while.
            status => {
                self.token = None;
                Err(NoMetadata::Passing(format!("{}: {path}: status {status}", self.endpoint)))
            }
        }
    }

    /// As [`Imds::get`], until there is an answer. `tell` hears why it takes
    /// long: of each reason once.
    ///
    /// # Errors
    /// [`NoMetadata::Off`].
    pub fn wait_for(
        &mut self,
        path: &str,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Option<Vec<u8>>, NoMetadata> {
        let (mut pause, longest) = self.pauses;
        let mut told = String::new();
        loop {
            match self.get(path) {
                Err(NoMetadata::Passing(reason)) => {
                    if reason != told {
                        tell(&reason);
                        told = reason;
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(longest);
                }
                other => return other,
            }
        }
    }

    fn fetch_token(&self) -> Result<String, NoMetadata> {
        let headers = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)];
        let answer = self.ask("PUT", "/latest/api/token", &headers)?;
        let token = match answer.status {
            200 => String::from_utf8(answer.body).ok().filter(|text| is_token(text)),
            403 => return Err(NoMetadata::Off),
            status => {
                return Err(NoMetadata::Passing(format!("{}: the token: status {status}", self.endpoint)));
            }
        };
        token.ok_or_else(|| NoMetadata::Passing(format!("{}: the token is none", self.endpoint)))
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer, NoMetadata> {
        let most_bytes = self.most_bytes;
        let question = Question { method, path, headers, body: Vec::new(), limit: LIMIT, most_bytes };
        self.endpoint.ask(&question).map_err(|error| NoMetadata::Passing(error.to_string()))
    }
}

/// What may stand in a header.
fn is_token(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Display for NoMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passing(reason) => f.write_str(reason),
            Self::Off => f.write_str("the metadata service is switched off"),
        }
    }
}

impl std::error::Error for NoMetadata {}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// What was found, the heads of what was asked, what was told.
    type Asked = (Vec<Result<Option<Vec<u8>>, NoMetadata>>, Vec<String>, Vec<String>);

    /// Answers connection after connection, while paths are asked for.
    fn asked(paths: &[&str], answers: &'static [&'static str]) -> Asked {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pauses = (Duration::from_millis(1), Duration::from_millis(4));
        let mut imds = Imds::at(listener.local_addr().unwrap(), pauses, 100);
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
        let found = paths
            .iter()
            .map(|path| imds.wait_for(path, &mut |reason| told.push(reason.to_owned())))
            .collect();
        (found, server.join().unwrap(), told)
    }

    const TOKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nTOKEN";
    const NOTHING: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn a_token_is_asked_for_once_and_shown() {
        let (found, heads, told) =
            asked(&["/a", "/b"], &[TOKEN, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na = 1", NOTHING]);
        assert_eq!(found, [Ok(Some(b"a = 1".to_vec())), Ok(None)]);
        assert!(heads[0].starts_with("put /latest/api/token http/1.1\r\n"), "{heads:?}");
        assert!(heads[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"), "{heads:?}");
        for (head, path) in heads[1..].iter().zip(["/a", "/b"]) {
            assert!(head.starts_with(&format!("get {path} http/1.1\r\n")), "{head}");
            assert!(head.contains("x-aws-ec2-metadata-token: token\r\n"), "{head}");
        }
        assert!(told.is_empty());
    }

    #[test]
    fn what_passes_is_waited_for_and_told_once() {
        let (found, heads, told) = asked(
            &["/a"],
            &[
                "",
                BUSY,
                BUSY,
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\r\n",
                TOKEN,
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
                TOKEN,
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ],
        );
        assert_eq!((found, heads.len()), (vec![Ok(Some(Vec::new()))], 8));
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.iter().all(|line| line.starts_with("127.0.0.1:")), "{told:?}");
        assert!(
            told[1].ends_with("the token: status 503") && told[3].ends_with("/a: status 401"),
            "{told:?}"
        );
    }

    #[test]
    fn a_service_that_is_switched_off_is_not_waited_for() {
        let (found, _, _) = asked(&["/a"], &["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"]);
        assert_eq!(found, [Err(NoMetadata::Off)]);
    }

    #[test]
    fn a_machine_says_where_it_is() {
        let place = std::env::temp_dir().join(format!("imds-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        assert!(!is_on_ec2(&place));
        std::fs::write(place.join("sys_vendor"), "Amazon EC2\n").unwrap();
        assert!(is_on_ec2(&place));
        std::fs::write(place.join("sys_vendor"), "QEMU\n").unwrap();
        assert!(!is_on_ec2(&place));
        std::fs::remove_dir_all(&place).unwrap();
    }
}
