//! Servers that are slow, broken or hostile: each ends in time, with nothing
//! kept that is not due; and those that are only unlucky cost another try.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use osbuild_transfer::http::{Http, NoBytes, Part, Patience};
use reqwest::Url;

/// Short, so that a test need not wait as long as a node does.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    answer: Duration::from_secs(3),
    stretch: Duration::from_secs(1),
    stretch_bytes: 1000,
    tries: 3,
    pause: Duration::from_millis(10),
};
const CONTENTS: &[u8; 10_000] = &[b'x'; 10_000];

/// What a server does with a request, which is given in lower case.
type Answer = fn(&mut TcpStream, &str);

/// Answers the requests in turn, the last for ever after; where it is.
fn server(answers: Vec<Answer>) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/file", listener.local_addr().unwrap())).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let answer = answers[count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    request.push(byte[0]);
                }
                answer(&mut stream, &String::from_utf8_lossy(&request).to_lowercase());
            });
        }
    });
    (url, asked)
}

fn say(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
}

fn whole(stream: &mut TcpStream, _: &str) {
    say(stream, "200 OK\r\ncontent-length: 10000", CONTENTS);
}

/// What is left after the part that a request says it has.
fn from_there(stream: &mut TcpStream, request: &str) {
    let at = request.split("range: bytes=").nth(1).and_then(|rest| rest.split('-').next()?.parse().ok());
    let at: usize = at.unwrap_or(0);
    let head = format!(
        "206 Partial Content\r\ncontent-range: bytes {at}-9999/10000\r\ncontent-length: {}",
        10_000 - at
    );
    say(stream, &head, &CONTENTS[at..]);
}

fn cut(stream: &mut TcpStream, _: &str) {
    say(stream, "200 OK\r\ncontent-length: 10000", &CONTENTS[..4321]);
}

fn fetched(answers: Vec<Answer>) -> (Result<Vec<u8>, NoBytes>, usize, Duration) {
    let (url, asked) = server(answers);
    let since = Instant::now();
    let mut bytes = Vec::new();
    let http = Http::new(PATIENCE).unwrap();
    let outcome = http.get(&url, 0, CONTENTS.len() as u64, &mut |chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    });
    (outcome.map(|_| bytes), asked.load(Ordering::SeqCst), since.elapsed())
}

#[test]
fn an_unlucky_server_costs_another_try() {
    let unlucky: [(&str, Vec<Answer>); 5] = [
        ("busy once", vec![|s, _| say(s, "503 Service Unavailable\r\ncontent-length: 0", b""), whole]),
        ("silent once", vec![|_, _| {}, whole]),
        ("cut, then the rest", vec![cut, from_there]),
        ("cut, and no ranges", vec![cut, whole]),
        (
            "stuck once",
            vec![
                |s, _| {
                    say(s, "200 OK\r\ncontent-length: 10000", &CONTENTS[..10]);
                    std::thread::sleep(Duration::from_secs(5));
                },
                from_there,
            ],
        ),
    ];
    for (name, answers) in unlucky {
        let (outcome, asked, _) = fetched(answers);
        assert_eq!(outcome.as_deref().ok(), Some(&CONTENTS[..]), "{name}");
        assert_eq!(asked, 2, "{name}");
    }
}

#[test]
fn a_hostile_server_is_given_up_in_time() {
    let hostile: [(&str, Answer, &str); 7] = [
        (
            "drip",
            |s, _| {
                say(s, "200 OK\r\ncontent-length: 10000", b"");
                while s.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            },
            "slower than",
        ),
        (
            "stall",
            |s, _| {
                say(s, "200 OK\r\ncontent-length: 10000", b"");
                std::thread::sleep(Duration::from_secs(60));
            },
            "slower than",
        ),
        ("no head", |_, _| std::thread::sleep(Duration::from_secs(60)), "no answer in time"),
        (
            "drip of a head",
            |s, _| {
                while s.write_all(b"H").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            },
            "no answer in time",
        ),
        (
            "endless",
            |s, _| {
                say(s, "200 OK", b"");
                while s.write_all(CONTENTS).is_ok() {}
            },
            "more than the 10000 bytes",
        ),
        (
            "redirects to itself",
            |s, _| say(s, "302 Found\r\nlocation: /file\r\ncontent-length: 0", b""),
            "too many redirects",
        ),
        (
            "another part",
            |s, _| {
                say(
                    s,
                    "206 Partial Content\r\ncontent-range: bytes 5-9999/10000\r\ncontent-length: 10000",
                    CONTENTS,
                );
            },
            "another part",
        ),
    ];
    for (name, answer, expected) in hostile {
        let (outcome, _, took) = fetched(vec![answer]);
        let reason = outcome.expect_err(name).to_string();
        assert!(reason.contains(expected), "{name}: {reason}");
        assert!(took < Duration::from_secs(20), "{name}: {took:?}");
    }
}

/// A server may be slow for ever, as long as it is not below the floor: no
/// limit on the whole time ends what an honest one sends.
#[test]
fn slow_but_steady_is_waited_for() {
    let (outcome, asked, took) = fetched(vec![|s, _| {
        say(s, "200 OK\r\ncontent-length: 10000", b"");
        for part in CONTENTS.chunks(500) {
            let _ = s.write_all(part);
            std::thread::sleep(Duration::from_millis(150));
        }
    }]);
    assert_eq!(outcome.as_deref().ok(), Some(&CONTENTS[..]));
    assert!(asked == 1 && took > Duration::from_secs(2), "{asked}, {took:?}");
}

#[test]
fn what_is_not_there_is_not_asked_for_again() {
    let (outcome, asked, _) = fetched(vec![|s, _| say(s, "404 Not Found\r\ncontent-length: 0", b"")]);
    assert!(matches!(outcome, Err(NoBytes::Missing)) && asked == 1);
}

/// Part of a file in which each byte tells where it is.
fn part(answers: Vec<Answer>) -> (Result<Vec<u8>, NoBytes>, usize) {
    let (url, asked) = server(answers);
    let http = Http::new(PATIENCE).unwrap();
    let mut body = http.open(&url, Part::Exactly { start: 100, end: 300 });
    let mut bytes = Vec::new();
    let outcome = loop {
        match body.chunk() {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break Ok(bytes),
            Err(error) => break Err(error),
        }
    };
    (outcome, asked.load(Ordering::SeqCst))
}

fn numbered(from: usize, to: usize) -> Vec<u8> {
    (from..to).map(|at| (at % 251) as u8).collect()
}

fn part_of(stream: &mut TcpStream, request: &str, cut_at: usize) {
    let range = request.split("range: bytes=").nth(1).and_then(|rest| rest.split("\r\n").next());
    let (first, last) = range.and_then(|range| range.split_once('-')).unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.trim().parse().unwrap());
    let length = last - first + 1;
    let head = format!(
        "206 Partial Content\r\ncontent-range: bytes {first}-{last}/10000\r\ncontent-length: {length}"
    );
    say(stream, &head, &numbered(first, last + 1)[..length.min(cut_at)]);
}

#[test]
fn a_part_is_what_was_asked_for_and_no_more() {
    let good: [(&str, Vec<Answer>, usize); 3] = [
        ("as asked", vec![|s, r| part_of(s, r, usize::MAX)], 1),
        ("broken off", vec![|s, r| part_of(s, r, 50), |s, r| part_of(s, r, usize::MAX)], 2),
        (
            "more than asked",
            vec![|s, _| {
                let head =
                    "206 Partial Content\r\ncontent-range: bytes 100-9999/10000\r\ncontent-length: 9900";
                say(s, head, &numbered(100, 10_000));
            }],
            1,
        ),
    ];
    for (what, answers, requests) in good {
        let (outcome, asked) = part(answers);
        assert_eq!((outcome.unwrap(), asked), (numbered(100, 300), requests), "{what}");
    }
    let bad: [(&str, Answer, &str); 3] = [
        ("no parts", whole, "gives no parts"),
        (
            "another part",
            |s, _| {
                say(
                    s,
                    "206 Partial Content\r\ncontent-range: bytes 0-199/10000\r\ncontent-length: 200",
                    &[0; 200],
                )
            },
            "another part",
        ),
        (
            "always short",
            |s, _| {
                say(s, "206 Partial Content\r\ncontent-range: bytes 100-100/10000\r\ncontent-length: 0", b"")
            },
            "early",
        ),
    ];
    for (what, answer, said) in bad {
        let error = part(vec![answer]).0.unwrap_err().to_string();
        assert!(error.contains(said), "{what}: {error}");
    }
}
