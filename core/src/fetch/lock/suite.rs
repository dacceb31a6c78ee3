//! A suite's signed release file, and the indexes that it vouches for.

use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osbuild_store::{HashAlgorithm, NixHash};

use crate::fetch::control::stanzas;
use crate::fetch::download::Silent;
use crate::fetch::{FetchError, Fetcher, host};

/// What to do with an index whose `Valid-Until` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Enforce,
    /// A mirror that is frozen or lags behind.
    Ignore,
}

/// A suite whose signature was checked.
pub struct Suite<'f> {
    fetcher: &'f Fetcher,
    base: String,
    name: String,
    /// The release file's signed text.
    release: String,
}

impl<'f> Suite<'f> {
    /// Fetches a suite's release file from a mirror and checks its signature.
    ///
    /// # Errors
    /// No mirror, no keyring, no trusted signature, or it has expired.
    pub fn open(fetcher: &'f Fetcher, mirror: &str, suite: &str, expiry: Expiry) -> Result<Self, FetchError> {
        let keyring = host::keyring(fetcher.config()).ok_or_else(|| FetchError::Malformed {
            what: "the keyring of the distribution's archives".to_owned(),
            reason: "is not on this host; OSBUILD_KEYRING names one".to_owned(),
        })?;
        let mut last = None;
        for address in fetcher.addresses(&format!("mirror://{mirror}/dists/{suite}/InRelease"))? {
            let text = match fetcher.text(&address) {
                Ok(text) => text,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let release = keyring
                .verify_clearsigned(&text)
                .map_err(|source| FetchError::Untrusted { url: address.clone(), source })?;
            let base = address.trim_end_matches("/InRelease").to_owned();
            let found = Self { fetcher, base, name: suite.to_owned(), release };
            found.check_expiry(expiry)?;
            return Ok(found);
        }
        Err(last.unwrap_or(FetchError::NoMirror { name: mirror.to_owned() }))
    }

    /// The `Date` field as it stands.
    pub fn date(&self) -> String {
        self.field("Date").unwrap_or_default()
    }

    fn field(&self, name: &str) -> Option<String> {
        stanzas(&self.release).next().and_then(|stanza| stanza.get(name).map(str::to_owned))
    }

    fn check_expiry(&self, expiry: Expiry) -> Result<(), FetchError> {
        let Some(until) = self.field("Valid-Until") else { return Ok(()) };
        let malformed =
            |reason: String| FetchError::Malformed { what: format!("suite {}", self.name), reason };
        let end = parse_date(&until).ok_or_else(|| malformed(format!("'{until}' is no date")))?;
        if expiry == Expiry::Enforce && SystemTime::now() > end {
            return Err(malformed(format!(
                "its index was valid until {until}; --allow-expired takes it all the same"
            )));
        }
        Ok(())
    }

    /// Fetches and decompresses an index, `main/binary-amd64/Packages`.
    ///
    /// # Errors
    /// The release file does not list it, or it cannot be fetched as listed.
    pub fn index(&self, name: &str) -> Result<String, FetchError> {
        let file = format!("{name}.xz");
        let what = format!("{file} of suite {}", self.name);
        let malformed =
            |reason: &str| FetchError::Malformed { what: what.clone(), reason: reason.to_owned() };
        let hex = self.digest(&file).ok_or_else(|| malformed("is not in the suite's release file"))?;
        let expected =
            NixHash::parse(&hex, Some(HashAlgorithm::Sha256)).map_err(|e| malformed(&e.to_string()))?;
        let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
        let urls =
            [format!("{}/{directory}/by-hash/SHA256/{hex}", self.base), format!("{}/{file}", self.base)];
        let cache = self.fetcher.config().cache.join("indexes");
        std::fs::create_dir_all(&cache).map_err(FetchError::io("make the directory", &cache))?;
        let at = cache.join(&hex);
        let cached = crate::fetch::download::hash_file(&at, HashAlgorithm::Sha256).ok();
        if cached.as_ref() != Some(&expected) {
            self.fetcher.fetch(&what, &urls, &expected, &at, &Silent)?;
        }
        let packed = std::fs::File::open(&at).map_err(FetchError::io("open", &at))?;
        let mut text = String::new();
        liblzma::read::XzDecoder::new(std::io::BufReader::new(packed))
            .read_to_string(&mut text)
            .map_err(FetchError::io("decompress", &at))?;
        Ok(text)
    }

    fn digest(&self, file: &str) -> Option<String> {
        let list = self.field("SHA256")?;
        list.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let (digest, _, name) = (words.next()?, words.next()?, words.next()?);
            (name == file).then(|| digest.to_owned())
        })
    }
}

/// `Sat, 12 Sep 2026 07:55:41 UTC`.
fn parse_date(text: &str) -> Option<SystemTime> {
    let mut words = text.split_whitespace().skip(1);
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>());
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    // Days from the civil calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let day_of_year = (153 * m + 2) / 5 + day.checked_sub(1)?;
    let days = (365 * y + y / 4 - y / 100 + y / 400 + day_of_year).checked_sub(719_468)?;
    Some(UNIX_EPOCH + Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_seconds() {
        // date -u -d 'Sat, 12 Sep 2026 07:55:41 UTC' +%s
        let seconds = |text| parse_date(text).unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds("Sat, 12 Sep 2026 07:55:41 UTC"), 1_789_199_741);
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 UTC"), 0);
        assert_eq!(seconds("Thu, 29 Feb 2024 12:00:00 UTC"), 1_709_208_000);
        assert!(parse_date("tomorrow").is_none());
    }
}
