//! How many, and when.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::chrono::{DateTime, Datelike, NaiveTime, TimeDelta, Utc, Weekday};

use crate::resources::{Day, UpdatePolicySpec, Window};

/// How many of so many nodes may be away. A share is rounded down, so that it is
/// never exceeded; but a small cluster should get on, too, and `10%` of five is
/// taken for one. What cannot be understood allows nothing.
pub fn allowed(policy: &UpdatePolicySpec, nodes: usize) -> usize {
    match &policy.max_unavailable {
        IntOrString::Int(count) => usize::try_from(*count).unwrap_or(0),
        IntOrString::String(text) => match text.strip_suffix('%').map(str::parse::<u32>) {
            Some(Ok(0) | Err(_)) => 0,
            Some(Ok(percent)) => (nodes * percent.min(100) as usize / 100).max(1),
            None => text.parse().unwrap_or(0),
        },
    }
}

/// Whether any node may be begun; else why not.
pub(super) fn gate(
    policy: Option<&UpdatePolicySpec>,
    failed: &BTreeSet<&str>,
    now: DateTime<Utc>,
) -> Result<(), String> {
    let Some(policy) = policy else { return Err("waits: there is no policy called default".to_owned()) };
    if policy.paused {
        return Err("waits: the policy is paused".to_owned());
    }
    if failed.len() > policy.failures_allowed as usize {
        let first = failed.first().expect("it is more than a number that is not negative");
        return Err(match failed.len() {
            1 => format!("waits: {first} failed"),
            many => format!("waits: {first} and {} more failed", many - 1),
        });
    }
    if !policy.windows.is_empty() && !policy.windows.iter().any(|window| is_within(window, now)) {
        return Err("waits: outside the policy's windows".to_owned());
    }
    Ok(())
}

/// Whether it is open. A window belongs to the day on which it begins; the
/// longest lasts a week.
pub fn is_within(window: &Window, now: DateTime<Utc>) -> bool {
    let Ok(start) = NaiveTime::parse_from_str(&window.start, "%H:%M") else { return false };
    let length = TimeDelta::hours(i64::from(window.hours.min(7 * 24)));
    (0..=7).any(|days_ago| {
        let date = now.date_naive() - TimeDelta::days(days_ago);
        let opened = date.and_time(start).and_utc();
        let is_its_day =
            window.days.is_empty() || window.days.iter().any(|day| weekday(*day) == date.weekday());
        is_its_day && opened <= now && now < opened + length
    })
}

const fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Mon,
        Day::Tue => Weekday::Tue,
        Day::Wed => Weekday::Wed,
        Day::Thu => Weekday::Thu,
        Day::Fri => Weekday::Fri,
        Day::Sat => Weekday::Sat,
        Day::Sun => Weekday::Sun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_to_at_least_one() {
        for (text, nodes, expected) in [
            ("10%", 5, 1),
            ("10%", 39, 3),
            ("100%", 4, 4),
            ("900%", 4, 4),
            ("0%", 100, 0),
            ("3", 100, 3),
            ("-1", 100, 0),
            ("some", 100, 0),
            ("-5%", 100, 0),
            ("10%", 0, 1),
        ] {
            let max_unavailable = IntOrString::String(text.to_owned());
            let policy = UpdatePolicySpec { max_unavailable, ..UpdatePolicySpec::default() };
            assert_eq!(allowed(&policy, nodes), expected, "{text} of {nodes}");
        }
        for (count, expected) in [(0, 0), (-1, 0), (2, 2)] {
            let policy =
                UpdatePolicySpec { max_unavailable: IntOrString::Int(count), ..UpdatePolicySpec::default() };
            assert_eq!(allowed(&policy, 10), expected, "{count}");
        }
    }

    #[test]
    fn a_window_is_open_from_its_day_on() {
        // The 2nd of November 2026 is a Monday.
        for (days, start, hours, now, expected) in [
            (&[][..], "22:00", 4, "2026-11-02T22:00:00Z", true),
            (&[], "22:00", 4, "2026-11-02T21:59:59Z", false),
            (&[], "22:00", 4, "2026-11-03T01:59:59Z", true),
            (&[], "22:00", 4, "2026-11-03T02:00:00Z", false),
            (&[Day::Mon], "22:00", 4, "2026-11-03T01:00:00Z", true),
            (&[Day::Tue], "22:00", 4, "2026-11-03T01:00:00Z", false),
            (&[Day::Sat], "00:00", 48, "2026-11-01T23:00:00Z", true),
            (&[Day::Sat], "00:00", 48, "2026-11-02T00:00:00Z", false),
            (&[Day::Mon], "10:00", 168, "2026-11-09T09:59:59Z", true),
            (&[], "25:00", 24, "2026-11-02T12:00:00Z", false),
        ] {
            let window = Window { days: days.to_vec(), start: start.to_owned(), hours };
            let now = now.parse().unwrap();
            assert_eq!(is_within(&window, now), expected, "{days:?} {start} {hours} h at {now}");
        }
    }
}
