//! How releases are given out: the rollout documents, and what may be done to
//! them with the key that is online.

use std::collections::BTreeMap;
use std::time::Duration;

use osbuild_store::cache::place::Place;
use osbuild_tuf::metadata::Target;
use osbuild_tuf::time::Time;
use osbuild_update::documents::{Catalogue, Given, Pause, Release, Rollout};
use osbuild_update::names::Line;
use osbuild_update::wave::{EVERYBODY, Point, Wave};

use super::commit::{Bytes, Change, Committed, Signers, commit, describe};
use super::error::RepoError;
use super::tree::{Repository, State, small_target};

/// How long each part of the fleet is waited for, as a user writes it: `24h`
/// (evenly), `now`, or points `1%@1h,50%@1d,100%@3d`.
///
/// # Errors
/// [`RepoError::Argument`]
pub fn parse_wave(text: &str, start: Time) -> Result<Wave, RepoError> {
    let bad = |why: &str| {
        RepoError::Argument(format!(
            "--wave '{text}': {why}; give `now`, `24h`, or points as `1%@1h,50%@1d,100%@3d`"
        ))
    };
    let duration = |text: &str| humantime::parse_duration(text).map_err(|error| bad(&error.to_string()));
    let mut points = vec![Point { time: start, share: 0 }];
    let rows: Vec<(Duration, u32)> = match text {
        // Nobody comes at an instant, so it takes a second.
        "now" => vec![(Duration::from_secs(1), EVERYBODY)],
        _ if text.contains('@') => {
            let row = |row: &str| {
                let (share, time) = row.trim().split_once('@').ok_or_else(|| bad("a point has no @"))?;
                let percent = share.strip_suffix('%').and_then(|share| share.parse::<f64>().ok());
                let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
                let percent = percent.ok_or_else(|| bad("a share is 0% to 100%"))?;
                Ok((duration(time)?, (percent * f64::from(EVERYBODY) / 100.0).round() as u32))
            };
            text.split(',').map(row).collect::<Result<_, RepoError>>()?
        }
        _ => vec![(duration(text)?, EVERYBODY)],
    };
    points.extend(rows.into_iter().map(|(after, share)| Point { time: start.after(after), share }));
    Wave::new(points).map_err(|error| bad(&error.to_string()))
}

/// The two documents of a line.
#[derive(Clone, Debug)]
pub struct Documents {
    pub catalogue: Catalogue,
    pub rollout: Rollout,
}

/// What the repository has of a line; empty ones if nothing.
///
/// # Errors
/// What is there is not to be believed.
pub fn documents(repository: &Repository, state: &State, line: &Line) -> Result<Documents, RepoError> {
    documents_at(&repository.place, state, line)
}

/// The same of the public files alone.
pub(super) fn documents_at(place: &dyn Place, state: &State, line: &Line) -> Result<Documents, RepoError> {
    let catalogue = match small_target(place, &state.targets, &line.catalogue())? {
        Some(bytes) => Catalogue::parse(&bytes)?,
        None => Catalogue::empty(),
    };
    let rollout = match &state.rollout {
        Some(role) => small_target(place, role, &line.rollout())?,
        None => None,
    };
    let rollout = rollout.map_or_else(|| Ok(Rollout::empty()), |bytes| Rollout::parse(&bytes))?;
    Ok(Documents { catalogue, rollout })
}

/// All lines that there are.
pub fn lines(state: &State) -> Vec<Line> {
    state.targets.targets.keys().filter_map(|name| Line::of_catalogue(name)).collect()
}

/// The line that a user means: by `CHANNEL/VARIANT`, `VARIANT` or nothing, if
/// that leaves one.
///
/// # Errors
/// [`RepoError::Argument`], with those that there are.
pub fn find_line(state: &State, wanted: Option<&str>) -> Result<Line, RepoError> {
    let all = lines(state);
    let (channel, variant) = match wanted.map(|wanted| wanted.split_once('/').ok_or(wanted)) {
        None => (None, None),
        Some(Ok((channel, variant))) => (Some(channel), Some(variant)),
        Some(Err(variant)) => (None, Some(variant)),
    };
    let is_meant = |line: &&Line| {
        channel.is_none_or(|channel| channel == line.channel)
            && variant.is_none_or(|variant| variant == line.variant)
    };
    let meant: Vec<&Line> = all.iter().filter(is_meant).collect();
    match meant[..] {
        [line] => Ok(line.clone()),
        _ => {
            let names: Vec<String> =
                all.iter().map(|line| format!("{}/{}", line.channel, line.variant)).collect();
            let what =
                if meant.is_empty() { "nothing of that name is published" } else { "that could be several" };
            Err(RepoError::Argument(format!(
                "{what}; there are: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )))
        }
    }
}

/// What may be done to how a release is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Anew from now on.
    Set(String),
    Pause {
        why: String,
    },
    Resume,
}

/// Changes how one release is given out; the newest unless a version is given.
///
/// # Errors
/// [`RepoError::Argument`], or what `commit` says.
pub fn change(
    repository: &Repository,
    state: &State,
    line: &Line,
    version: Option<&str>,
    order: &Order,
    signers: &Signers<'_>,
    now: Time,
) -> Result<(String, Committed), RepoError> {
    let Documents { catalogue, mut rollout } = documents(repository, state, line)?;
    let release = release_of(&catalogue, version)?;
    let version = release.version.clone();
    let given = rollout.releases.remove(&release.root_hash);
    let missing =
        || RepoError::Argument(format!("{version} is not given out to anybody yet: `waves set` begins"));
    let given = match order {
        Order::Set(wave) => Given { version: version.clone(), wave: parse_wave(wave, now)?, paused: None },
        Order::Pause { why } => {
            let given = given.ok_or_else(missing)?;
            // A pause in a pause goes on from where the first began.
            let since = given.paused.as_ref().map_or(now, |pause| pause.since);
            Given { paused: Some(Pause { since, why: why.clone() }), ..given }
        }
        Order::Resume => given.ok_or_else(missing)?.resumed(now),
    };
    rollout.releases.insert(release.root_hash.clone(), given);
    let action = format!("waves {} {line} {version}", order.verb());
    let (targets, files) = with_rollout(state, line, &rollout);
    let change = Change { action, rollout: Some(targets), files, ..Change::default() };
    Ok((version, commit(repository, Some(state), change, signers, now)?))
}

impl Order {
    fn verb(&self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
        }
    }
}

pub(super) fn release_of<'c>(
    catalogue: &'c Catalogue,
    version: Option<&str>,
) -> Result<&'c Release, RepoError> {
    let found = match version {
        Some(version) => catalogue.of_version(version),
        None => catalogue.releases.last(),
    };
    found.ok_or_else(|| {
        let versions: Vec<&str> = catalogue.releases.iter().map(|release| release.version.as_str()).collect();
        RepoError::Argument(format!("no such release; there are: {}", versions.join(", ")))
    })
}

/// The targets of the rollout role with this document in place of the line's.
pub(super) fn with_rollout(
    state: &State,
    line: &Line,
    rollout: &Rollout,
) -> (BTreeMap<String, Target>, BTreeMap<String, Bytes>) {
    let mut targets = state.rollout.as_ref().map(|role| role.targets.clone()).unwrap_or_default();
    let bytes = rollout.to_bytes();
    targets.insert(line.rollout(), describe(&bytes, None));
    (targets, BTreeMap::from([(line.rollout(), Bytes::Small(bytes))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_as_users_write_them() {
        let points = |text: &str| -> Vec<(u64, u32)> {
            let wave = parse_wave(text, Time(100)).unwrap();
            wave.points().iter().map(|point| (point.time.0, point.share)).collect()
        };
        assert_eq!(points("now"), [(100, 0), (101, EVERYBODY)]);
        assert_eq!(points("24h"), [(100, 0), (86_500, EVERYBODY)]);
        assert_eq!(points("0.5%@1h, 100%@2h"), [(100, 0), (3700, 50), (7300, EVERYBODY)]);
        for (wrong, said) in [
            ("soon", "24h"),
            ("50%@1h", "ends with"),
            ("50%@2h,100%@1h", "not after"),
            ("150%@1h", "0% to 100%"),
            ("0s", "not after"),
        ] {
            let error = parse_wave(wrong, Time(100)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
