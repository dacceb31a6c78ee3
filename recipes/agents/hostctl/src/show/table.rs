//! Columns, and text of unknown origin made fit for a terminal.

/// Rows below their headings, each column as wide as its widest cell.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(headings[column].len())
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    std::iter::once(&headings).chain(rows).map(|row| line(row)).collect()
}

/// One line without what a terminal would obey: a container writes to the
/// journal what it likes.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => cleaned.push_str(" ⏎ "),
            '\t' => cleaned.push(' '),
            character if character.is_control() => cleaned.extend(character.escape_default()),
            character => cleaned.push(character),
        }
    }
    cleaned
}

/// `512 KiB`, `3.4 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            table(&["A", "LONG", "C"], &[row(["aaa", "ä", ""]), row(["b", "", "last"])]),
            "A    LONG  C\naaa  ä\nb          last\n"
        );
    }

    #[test]
    fn nothing_obeys_what_was_logged() {
        assert_eq!(clean("a\u{1b}[2J\tb\nc\u{7f}\u{9b}ä"), "a\\u{1b}[2J b ⏎ c\\u{7f}\\u{9b}ä");
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0.0 KiB"),
            (512, "0.5 KiB"),
            (20 << 20, "20 MiB"),
            (3_650_000_000, "3.4 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
