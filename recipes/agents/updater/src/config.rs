//! Where updates come from: what is baked into the image, and what was set.

use std::collections::BTreeMap;
use std::time::Duration;

use osbuild_sys::{Failed, Result};
use osbuild_tuf::key::{Key, KeyId};
use osbuild_tuf::metadata::RoleKeys;
use osbuild_tuf::time::Time;
use osbuild_update::decide::Wishes;
use serde::Deserialize;
use url::Url;

/// Part of the verified root.
const IMAGE: &str = "/usr/share/osbuild/update.json";
/// The beginning of the chain of roots.
const ROOT: &str = "/usr/share/osbuild/root.json";
/// Who has to have made a release again; an image that asks nobody has none.
const REBUILDERS: &str = "/usr/share/osbuild/rebuilders.json";
/// Written from the settings.
const SETTINGS: &str = "/etc/osbuild/update.json";

/// What the image says, if it follows anybody.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    /// `None`: whatever is followed is handed in.
    repository: Option<Url>,
    channel: String,
    /// When its packages were listed: it is certainly not earlier.
    epoch: Time,
}

/// So many of these have to have made a release again, bit for bit, before it is
/// installed.
#[derive(Clone, Debug)]
pub struct Rebuilders {
    pub keys: BTreeMap<KeyId, Key>,
    pub role: RoleKeys,
}

impl Rebuilders {
    fn read() -> Result<Option<Self>> {
        match std::fs::read(REBUILDERS) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failed::at("read", REBUILDERS)(error)),
            Ok(text) => Self::of(&text).map(Some),
        }
    }

    fn of(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Written {
            threshold: u64,
            /// PEM.
            keys: Vec<String>,
        }
        let Written { threshold, keys: pems } = parse(REBUILDERS, text)?;
        let keys: BTreeMap<KeyId, Key> =
            pems.iter().filter_map(|pem| Key::from_pem(pem)).map(|key| (key.id(), key)).collect();
        // A key that was not understood could be one of those that are missing.
        if keys.len() != pems.len() || threshold == 0 || threshold > keys.len() as u64 {
            let what =
                format!("{threshold} of {} different keys, {} of them understood", pems.len(), keys.len());
            return Err(Failed::at("understand", REBUILDERS)(std::io::Error::other(what)));
        }
        let role = RoleKeys { keyids: keys.keys().cloned().collect(), threshold };
        Ok(Self { keys, role })
    }
}

/// What was set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    channel: Option<String>,
    /// Asked before the image's repository.
    mirrors: Vec<Url>,
    version_lock: Option<String>,
    delay_seconds: u64,
    pub check_seconds: u64,
    scrub_seconds: u64,
    /// Installs what it finds by itself.
    pub automatic: bool,
    /// Restarts into it by itself.
    pub reboot: bool,
}

/// Both.
#[derive(Clone, Debug)]
pub struct Config {
    pub root: Vec<u8>,
    pub channel: String,
    /// Each ends with a slash.
    pub places: Vec<Url>,
    pub epoch: Time,
    pub rebuilders: Option<Rebuilders>,
    pub settings: Settings,
}

impl Config {
    /// `Err` within: why this image follows nobody.
    ///
    /// # Errors
    /// A file is missing or cannot be understood.
    pub fn read() -> Result<std::result::Result<Self, String>> {
        #[derive(Deserialize)]
        struct Nobody {
            reason: String,
        }
        let read = |path: &'static str| std::fs::read(path).map_err(Failed::at("read", path));
        let text = read(IMAGE)?;
        if let Ok(Nobody { reason }) = serde_json::from_slice(&text) {
            return Ok(Err(reason));
        }
        let image: Image = parse(IMAGE, &text)?;
        let settings: Settings = parse(SETTINGS, &read(SETTINGS)?)?;
        Ok(Ok(Self { rebuilders: Rebuilders::read()?, ..Self::of(image, read(ROOT)?, settings) }))
    }

    fn of(image: Image, root: Vec<u8>, settings: Settings) -> Self {
        let mut places = settings.mirrors.clone();
        places.extend(image.repository);
        Self {
            root,
            channel: settings.channel.clone().unwrap_or(image.channel),
            places: places.into_iter().map(with_slash).collect(),
            epoch: image.epoch,
            rebuilders: None,
            settings,
        }
    }

    pub fn wishes(&self, now: bool) -> Wishes {
        let Settings { version_lock, delay_seconds, .. } = &self.settings;
        Wishes { version_lock: version_lock.clone(), delay: Duration::from_secs(*delay_seconds), now }
    }
}

/// How long from one scrub of the slots to the next; also where there is nobody
/// to follow.
pub fn scrub_every() -> Duration {
    const DAY: Duration = Duration::from_secs(86400);
    let read = std::fs::read(SETTINGS).ok().and_then(|text| parse::<Settings>(SETTINGS, &text).ok());
    match read.map_or(0, |settings| settings.scrub_seconds) {
        0 => DAY,
        seconds => Duration::from_secs(seconds),
    }
}

/// So that what is joined to it is below it.
fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

fn parse<T: serde::de::DeserializeOwned>(path: &str, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(std::io::Error::other).map_err(Failed::at("understand", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebuilders_are_counted_by_keys_that_differ() {
        // The keys of the examples of RFC 8410 and of RFC 8032.
        let [first, second] = [
            "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
            "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ]
        .map(|key| format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n"));
        let [first, second] = [first.as_str(), second.as_str()];
        let read = |threshold: u64, keys: &[&str]| {
            Rebuilders::of(serde_json::json!({ "threshold": threshold, "keys": keys }).to_string().as_bytes())
        };
        assert_eq!(read(2, &[first, second]).unwrap().role.threshold, 2);
        for (threshold, keys) in
            [(0, vec![first]), (2, vec![first]), (2, vec![first, first]), (1, vec![first, "no key"])]
        {
            assert!(read(threshold, &keys).is_err(), "{threshold} {keys:?}");
        }
    }

    #[test]
    fn what_is_set_comes_before_the_image() {
        let image =
            r#"{"schema":1,"repository":"https://a/b","channel":"stable","epoch":"2026-11-28T00:00:00Z"}"#;
        let settings = r#"{"channel":"test","mirrors":["http://near/"],"delay-seconds":60,"check-seconds":3600,"automatic":true}"#;
        let config = |settings: &str| {
            let image: Image = serde_json::from_str(image).unwrap();
            Config::of(image, Vec::new(), serde_json::from_str(settings).unwrap())
        };
        let set = config(settings);
        let places: Vec<&str> = set.places.iter().map(Url::as_str).collect();
        assert_eq!((set.channel.as_str(), places), ("test", vec!["http://near/", "https://a/b/"]));
        assert_eq!(set.wishes(false).delay, Duration::from_secs(60));
        assert_eq!(config("{}").channel, "stable");
        let alone: Image = serde_json::from_str(&image.replace("\"https://a/b\"", "null")).unwrap();
        assert_eq!(Config::of(alone, Vec::new(), Settings::default()).places, []);
        assert!(serde_json::from_str::<Settings>(r#"{"chanel":"x"}"#).is_err());
    }
}
