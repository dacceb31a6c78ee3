//! Times and sizes as people say them.

/// A time, rounded to what a person would say.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = (ms + 500) / 1000;
    match (ms, seconds) {
        (0..100, _) => "under 0.1 s".to_owned(),
        (..9_950, _) => format!("{:.1} s", ms as f64 / 1000.0),
        (_, ..60) => format!("{seconds} s"),
        (_, 60..3600) => match seconds % 60 {
            0 => format!("{} min", seconds / 60),
            rest => format!("{} min {rest} s", seconds / 60),
        },
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A size in powers of 1024.
pub(crate) fn size(bytes: u64) -> String {
    let scaled = |shift: u32| bytes as f64 / (1u64 << shift) as f64;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{:.0} KiB", scaled(10)),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", scaled(20)),
        _ => format!("{:.1} GiB", scaled(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_do() {
        let check = |ms: u64, expected: &str| assert_eq!(duration(ms), expected, "{ms} ms");
        check(0, "under 0.1 s");
        check(99, "under 0.1 s");
        check(100, "0.1 s");
        check(9_949, "9.9 s");
        check(9_950, "10 s");
        check(59_499, "59 s");
        check(59_500, "1 min");
        check(200_000, "3 min 20 s");
        check(3_599_500, "1 h 0 min");
        check(7_380_000, "2 h 3 min");
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        let check = |bytes: u64, expected: &str| assert_eq!(size(bytes), expected);
        check(1023, "1023 B");
        check(1024, "1 KiB");
        check(1 << 20, "1.0 MiB");
        check(3 << 29, "1.5 GiB");
    }
}
