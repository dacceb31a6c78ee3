//! What was measured, as tables.

use crate::measure::Spread;

/// One thing that was measured, at one or more sizes.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// At its largest size.
    pub(crate) what: String,
    /// What there is more of at a larger size.
    pub(crate) item: &'static str,
    /// The smallest first.
    pub(crate) sizes: Vec<Size>,
    pub(crate) target: Option<Target>,
}

pub(crate) struct Size {
    pub(crate) items: usize,
    pub(crate) nix: Option<Spread>,
    pub(crate) ours: Spread,
}

/// What is to be reached, and whether it was.
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) is_met: bool,
}

impl Row {
    fn largest(&self) -> &Size {
        self.sizes.last().expect("a row has a size")
    }

    /// The row of the first table.
    pub(crate) fn line(&self) -> String {
        let Size { nix, ours, .. } = self.largest();
        let ratio = nix.as_ref().map_or("–".to_owned(), |nix| number(ours.least() / nix.least()));
        let (target, met) = match &self.target {
            Some(target) => (target.what.as_str(), if target.is_met { "yes" } else { "**no**" }),
            None => ("–", "–"),
        };
        let nix = nix.as_ref().map_or("–".to_owned(), times);
        format!("| **{}**: {} | {nix} | {} | {ratio} | {target} | {met} |", self.name, self.what, times(ours))
    }
}

/// Each row at its largest size.
pub(crate) fn results(rows: &[Row]) -> String {
    let head = "| What | Nix ms (median) | osbuild ms (median) | Ratio | Target | Met |\n|---|---|---|---|---|---|\n";
    rows.iter().fold(head.to_owned(), |table, row| table + &row.line() + "\n")
}

/// What one item takes at each size, of rows with several.
pub(crate) fn growth(rows: &[Row]) -> String {
    let mut table =
        "| What | Sizes | Nix µs each | osbuild µs each | Last ÷ first |\n|---|---|---|---|---|\n".to_owned();
    for row in rows.iter().filter(|row| row.sizes.len() > 1) {
        let list = |of: &dyn Fn(&Size) -> String| row.sizes.iter().map(of).collect::<Vec<_>>().join(", ");
        let each = |spread: &Spread, size: &Size| spread.least() * 1e3 / size.items as f64;
        let (first, last) = (&row.sizes[0], row.largest());
        table += &format!(
            "| {}, each {} | {} | {} | {} | {} |\n",
            row.name,
            row.item,
            list(&|size| size.items.to_string()),
            list(&|size| size.nix.as_ref().map_or("–".to_owned(), |nix| number(each(nix, size)))),
            list(&|size| number(each(&size.ours, size))),
            number(each(&last.ours, last) / each(&first.ours, first)),
        );
    }
    table
}

fn times(spread: &Spread) -> String {
    format!("{} ({})", number(spread.least()), number(spread.median()))
}

/// Three digits, or what is left of the point.
pub(crate) fn number(number: f64) -> String {
    match number.abs() {
        size if size < 10.0 => format!("{number:.2}"),
        size if size < 100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}
