//! Forms of text that settings have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// What a text must look like. All but [`Format::Lines`] are one line without
/// control characters, so that no value can become two lines of a file that it
/// is written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Any one line.
    Line,
    /// Any text: scripts for containers, certificates.
    Lines,
    /// A name of our own: of a container, an interface, a disk.
    Name,
    Hostname,
    /// A host name or an address.
    Host,
    Ip,
    Ipv4,
    Ipv6,
    /// An address with the length of its prefix.
    Cidr,
    Mac,
    Interface,
    /// `host:port`.
    Endpoint,
    /// `http://` or `https://`.
    Url,
    /// What a proxy is not used for, as in `NO_PROXY`: a host, a domain with
    /// or without a leading dot, an address, a network.
    NoProxy,
    /// An absolute path without `.` and `..`.
    Path,
    /// `90s`, `5m`, `1h30m`: Go's form, which Kubernetes reads.
    Duration,
    /// Kubernetes' form of amounts: `100Mi`, `0.5`, `250m`.
    Quantity,
    /// `0` to `100`, and a percent sign.
    Percent,
    LabelKey,
    LabelValue,
    /// `value:Effect` of a node's taint.
    Taint,
    /// The name of a container image, with tag or digest.
    Image,
    Base64,
    /// One or more blocks of RFC 7468.
    Pem,
    /// A public key as in `authorized_keys`, without options.
    SshKey,
    SysctlKey,
    /// The word of a kernel command line.
    KernelWord,
}

impl Format {
    /// What is expected, to follow "expected".
    pub fn expects(self) -> &'static str {
        match self {
            Self::Line => "one line of text",
            Self::Lines => "text",
            Self::Name => "a name of at most 63 lower-case letters, digits and -",
            Self::Hostname => "a host name",
            Self::Host => "a host name or an address",
            Self::Ip => "an IPv4 or IPv6 address",
            Self::Ipv4 => "an IPv4 address",
            Self::Ipv6 => "an IPv6 address",
            Self::Cidr => "an address with a prefix length, as in 10.0.0.1/24",
            Self::Mac => "a MAC address, as in 52:54:00:12:34:56",
            Self::Interface => "a network interface's name of at most 15 bytes",
            Self::Endpoint => "a host and a port, as in example.com:443",
            Self::Url => "an http:// or https:// address",
            Self::NoProxy => "a host, a .domain, an address or a network",
            Self::Path => "an absolute path without . and ..",
            Self::Duration => "a duration, as in 90s, 5m or 1h30m",
            Self::Quantity => "an amount, as in 500m, 0.5 or 100Mi",
            Self::Percent => "a percentage, as in 85%",
            Self::LabelKey => "a label's name, as in example.com/role",
            Self::LabelValue => "a label's value of at most 63 letters, digits, -, _ and .",
            Self::Taint => "a taint's value and effect, as in gpu:NoSchedule",
            Self::Image => "a container image, as in registry.example/name:tag",
            Self::Base64 => "base64",
            Self::Pem => "PEM blocks (-----BEGIN …)",
            Self::SshKey => "a public key, as in ssh-ed25519 AAAA… comment",
            Self::SysctlKey => "a sysctl's name, as in net.core.somaxconn",
            Self::KernelWord => "a word of the kernel's command line",
        }
    }

    /// Whether a text has this form.
    pub fn accepts(self, text: &str) -> bool {
        if self != Self::Lines && self != Self::Pem && text.chars().any(char::is_control) {
            return false;
        }
        match self {
            Self::Line => true,
            Self::Lines => !text.contains('\0'),
            Self::Name => is_dns_label(text),
            Self::Hostname => is_hostname(text),
            Self::Host => is_hostname(text) || text.parse::<IpAddr>().is_ok(),
            Self::Ip => text.parse::<IpAddr>().is_ok(),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Cidr => is_cidr(text),
            Self::Mac => is_mac(text),
            Self::Interface => is_interface(text),
            Self::Endpoint => is_endpoint(text),
            Self::Url => is_url(text),
            Self::NoProxy => {
                is_hostname(text.strip_prefix('.').unwrap_or(text))
                    || text.parse::<IpAddr>().is_ok()
                    || is_cidr(text)
            }
            Self::Path => is_path(text),
            Self::Duration => is_duration(text),
            Self::Quantity => is_quantity(text),
            Self::Percent => {
                text.strip_suffix('%').and_then(|digits| number(digits, 3)).is_some_and(|value| value <= 100)
            }
            Self::LabelKey => is_label_key(text),
            Self::LabelValue => text.is_empty() || is_label_name(text),
            Self::Taint => is_taint(text),
            Self::Image => is_image(text),
            Self::Base64 => is_base64(text),
            Self::Pem => is_pem(text),
            Self::SshKey => is_ssh_key(text),
            Self::SysctlKey => is_sysctl_key(text),
            Self::KernelWord => {
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
            }
        }
    }
}

/// RFC 1123, 2.1.
fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_hostname(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    number(length, 3).is_some_and(|length| length <= most)
}

fn is_mac(text: &str) -> bool {
    text.len() == 17 && text.split(':').count() == 6 && text.split(':').all(|part| is_hex(part, 2))
}

/// What the kernel lets an interface be called (dev_valid_name).
fn is_interface(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text != "."
        && text != ".."
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte))
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()),
        None => is_hostname(text) || text.parse::<Ipv4Addr>().is_ok(),
    }
}

fn is_port(text: &str) -> bool {
    number(text, 5).is_some_and(|port| (1..=65_535).contains(&port))
}

fn is_endpoint(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port))
}

fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}@".contains(&byte));
    is_plain && (is_host(authority) || is_endpoint(authority))
}

fn is_path(text: &str) -> bool {
    text.len() <= 4095
        && text.strip_prefix('/').is_some_and(|rest| {
            rest.is_empty() || rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        })
}

/// Go, time.ParseDuration, without signs and with whole numbers.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 4] = ["h", "m", "s", "ms"];
    let mut rest = text;
    let mut last = None;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 || digits > 9 {
            return false;
        }
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let Some(unit) = UNITS.iter().position(|unit| *unit == &rest[..letters]) else { return false };
        // Each unit once, the larger first.
        if last.is_some_and(|last| unit <= last) {
            return false;
        }
        last = Some(unit);
        rest = &rest[letters..];
    }
    last.is_some()
}

/// Kubernetes, apimachinery, resource.Quantity, without signs and exponents.
fn is_quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 15] =
        ["", "n", "u", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |part: &str| (1..=18).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    is_digits(whole) && is_digits(fraction) && SUFFIXES.contains(&&text[number.len()..])
}

/// Kubernetes, apimachinery, validation.IsQualifiedName.
fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_hostname(prefix) && is_label_name(name),
        None => is_label_name(text),
    }
}

fn is_label_name(text: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && is_end(text.bytes().next())
        && is_end(text.bytes().last())
}

fn is_taint(text: &str) -> bool {
    let Some((value, effect)) = text.rsplit_once(':') else { return false };
    (value.is_empty() || is_label_name(value))
        && ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect)
}

/// Distribution's grammar of references.
fn is_image(text: &str) -> bool {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let last = named.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match named[last..].split_once(':') {
        Some((base, tag)) => (&named[..last + base.len()], Some(tag)),
        None => (named, None),
    };
    let is_component = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), path),
        _ => (None, name),
    };
    let is_tag = |tag: &str| {
        (1..=128).contains(&tag.len())
            && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && !tag.starts_with(['.', '-'])
    };
    text.len() <= 512
        && host.is_none_or(|host| is_host(host) || is_endpoint(host))
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(|digest| digest.strip_prefix("sha256:").is_some_and(|hex| is_hex(hex, 64)))
}

/// RFC 4648, 4, with padding.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len() % 4 == 0
        && text.len() - digits.len() <= 2
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
}

fn is_pem(text: &str) -> bool {
    let mut inside = None;
    let mut blocks = 0;
    for line in text.lines() {
        let label = |begin: &str| line.strip_prefix(begin).and_then(|rest| rest.strip_suffix("-----"));
        match (inside, label("-----BEGIN "), label("-----END ")) {
            (None, Some(begun), _) => inside = Some(begun),
            (Some(begun), _, Some(ended)) if begun == ended => {
                inside = None;
                blocks += 1;
            }
            (Some(_), None, None)
                if line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)) => {}
            (None, None, None) if line.is_empty() => {}
            _ => return false,
        }
    }
    inside.is_none() && blocks > 0
}

fn is_ssh_key(text: &str) -> bool {
    const TYPES: [&str; 6] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let mut words = text.split(' ');
    let (Some(kind), Some(key)) = (words.next(), words.next()) else { return false };
    TYPES.contains(&kind) && key.len() >= 32 && is_base64(key)
}

fn is_sysctl_key(text: &str) -> bool {
    text.split('.').count() >= 2
        && text.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-/*".contains(&byte))
                && !part.split('/').any(|piece| piece.is_empty())
        })
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A whole number without sign or leading zeros.
fn number(text: &str, most_digits: usize) -> Option<u32> {
    let is_plain = (1..=most_digits).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// Every format, for tests.
#[cfg(test)]
pub(crate) fn all() -> Vec<Format> {
    serde_json::from_value(serde_json::json!([
        "line",
        "lines",
        "name",
        "hostname",
        "host",
        "ip",
        "ipv4",
        "ipv6",
        "cidr",
        "mac",
        "interface",
        "endpoint",
        "url",
        "no-proxy",
        "path",
        "duration",
        "quantity",
        "percent",
        "label-key",
        "label-value",
        "taint",
        "image",
        "base64",
        "pem",
        "ssh-key",
        "sysctl-key",
        "kernel-word",
    ]))
    .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/A";

    /// What each accepts, and what it refuses.
    #[test]
    fn every_format_knows_its_own() {
        let cases: [(Format, &[&str], &[&str]); 27] = [
            (Format::Line, &["", "a b", "ä"], &["a\nb", "\0", "\u{7f}", "tab\t"]),
            (Format::Lines, &["", "a\nb\n\tc"], &["\0"]),
            (Format::Name, &["a", "a-1"], &["", "-a", "a-", "A", "a.b", "a/b", ".."]),
            (Format::Hostname, &["a", "node-1.example.com", "1.2"], &["", ".", "a.", "a..b", "a_b", "A.b"]),
            (Format::Host, &["a.b", "10.0.0.1", "::1"], &["", "a b", "[::1]", "a:1", ".a"]),
            (Format::Ip, &["10.0.0.1", "::1"], &["", "10.0.0", "10.0.0.256", "[::1]", "::1%eth0"]),
            (Format::Ipv4, &["10.0.0.1"], &["::1", "010.0.0.1"]),
            (Format::Ipv6, &["fe80::1"], &["10.0.0.1"]),
            (Format::Cidr, &["10.0.0.1/24", "::/0"], &["10.0.0.1", "10.0.0.1/33", "::/129", "::/", "::/01"]),
            (
                Format::Mac,
                &["52:54:00:12:34:56"],
                &["52:54:00:12:34", "52:54:00:12:34:5G", "52-54-00-12-34-56"],
            ),
            (
                Format::Interface,
                &["eth0", "br-lan.5"],
                &["", ".", "a/b", "a b", "abcdefghijklmnop", "a:b", "%d"],
            ),
            (
                Format::Endpoint,
                &["a:1", "10.0.0.1:65535", "[::1]:80"],
                &["a", ":1", "a:0", "a:65536", "::1:80"],
            ),
            (
                Format::Url,
                &["http://a", "https://a.b:8443/c?d=e#f", "http://[::1]:80/"],
                &["", "a", "ftp://a", "http://", "http://a b", "http://u@h", "http://a:0", "https:///x"],
            ),
            (
                Format::NoProxy,
                &["a", ".a.b", "10.0.0.1", "::1", "10.0.0.0/8"],
                &["", ".", "..a", "a,b", "*", "a b", "10.0.0.0/33"],
            ),
            (Format::Path, &["/", "/a/b.c"], &["", "a", "/a/", "//a", "/../a", "/a/./b"]),
            (
                Format::Duration,
                &["0s", "90s", "1h30m", "5m0s", "100ms"],
                &["", "5", "s", "1m1h", "1s1s", "-1s", "1.5h"],
            ),
            (
                Format::Quantity,
                &["0", "500m", "0.5", "100Mi", "1Gi"],
                &["", "-1", "1e3", "Mi", "1 Mi", "1.", ".5", "1mb"],
            ),
            (Format::Percent, &["0%", "85%", "100%"], &["", "85", "101%", "-1%", "8.5%", "085%"]),
            (Format::LabelKey, &["a", "example.com/a_b.C"], &["", "/a", "a/", "-a", "a/b/c", "Ex.com/a"]),
            (Format::LabelValue, &["", "a", "A.b_c-1"], &["-a", "a/b", "a b"]),
            (Format::Taint, &["a:NoSchedule", ":NoExecute"], &["a", "a:", "a:Never", "a b:NoSchedule"]),
            (
                Format::Image,
                &[
                    "a",
                    "a/b:tag",
                    "r.example:5000/a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000",
                ],
                &["", "A", "a:", "a@sha256:00", "a b", "-a", "a//b", "r.example:x/a", "../a"],
            ),
            (Format::Base64, &["", "YQ==", "YWI=", "YWJj"], &["Y", "YQ=", "Y===", "YQ==YQ==", "Y Q="]),
            (
                Format::Pem,
                &["-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"],
                &[
                    "",
                    "YQ==",
                    "-----BEGIN A-----\n",
                    "-----BEGIN A-----\nYQ==\n-----END B-----",
                    "x\n-----BEGIN A-----\n-----END A-----",
                ],
            ),
            (
                Format::SshKey,
                &[KEY],
                &["", "ssh-ed25519", "ssh-dss AAAA", "command=\"x\" ssh-rsa AAAA", "ssh-ed25519 AAAA"],
            ),
            (
                Format::SysctlKey,
                &["net.core.somaxconn", "net.ipv4.conf.eth0/1.rp_filter"],
                &["", "net", "net..x", "../x.y", "a.b c"],
            ),
            (Format::KernelWord, &["quiet", "a.b=c,d"], &["", "a b", "a=\"b c\"", "ä"]),
        ];
        for (format, good, bent) in cases {
            for text in good {
                assert!(format.accepts(text), "{format:?} {text:?}");
            }
            for text in bent {
                assert!(!format.accepts(text), "{format:?} {text:?}");
            }
            // Nothing becomes a second line where it is written.
            if format != Format::Lines && format != Format::Pem {
                for text in good {
                    assert!(!format.accepts(&format!("{text}\nx")), "{format:?} {text:?}");
                }
            }
        }
    }

    #[test]
    fn no_text_makes_a_format_panic() {
        for text in
            ["", ":", "/", "@", "=", "ä", "a@ä", "1ä", "%", "a:ä", "[", "[]", "]:1", "-----BEGIN ä-----"]
        {
            for format in all() {
                let _ = format.accepts(text);
            }
        }
    }
}
