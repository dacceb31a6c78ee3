//! Texts and numbers drawn piece by piece, where lists of examples end.

use super::Generator;

impl Generator<'_> {
    fn pieces(&mut self, pieces: &[&str], most: usize) -> String {
        let count = self.choices.below(most + 1);
        (0..count).map(|_| self.choices.pick(pieces)).collect()
    }

    fn digits(&mut self, most: usize) -> String {
        let first = self.choices.below(9) + 1;
        let count = self.choices.below(most);
        (0..count).fold(first.to_string(), |text, _| text + &self.choices.below(10).to_string())
    }

    /// One that Nix reads: not below the normal ones.
    pub(super) fn drawn_float(&mut self) -> String {
        let (whole, part) = (self.digits(9), self.digits(9));
        match self.choices.below(3) {
            0 => format!("{whole}.{part}"),
            1 => format!("{whole}.0e{}", self.choices.below(290)),
            _ => format!("{whole}.{part}e-{}", self.choices.below(290)),
        }
    }

    pub(super) fn drawn_version(&mut self) -> String {
        let pieces =
            [".", "-", "0", "1", "10", "00", "pre", "a", "rc", "z", "2147483648", "20261126170000", "_"];
        format!("\"{}\"", self.pieces(&pieces, 6))
    }

    /// A string literal.
    pub(super) fn drawn_text(&mut self) -> String {
        let pieces = [
            "a", "b", " ", "\\n", "\\t", "\\r", "\\\\", "\\\"", "\\${", "''", "é", "😀", "<", "&", "'", "/",
            ".", "..", "$", "{", "}", "\u{1}", "\u{7f}", "\u{2028}",
        ];
        format!("\"{}\"", self.pieces(&pieces, 8).replace("${", "\\${").replace("\\\\${", "\\${"))
    }

    pub(super) fn drawn_json(&mut self) -> String {
        let text = self.json_value(3);
        self.changed(text)
    }

    fn json_value(&mut self, depth: usize) -> String {
        match self.choices.below(if depth == 0 { 5 } else { 8 }) {
            0 => self.choices.pick(&["null", "true", "false", "-0", "-0.0", "0"]).to_owned(),
            1 => self.digits(22),
            2 => format!("-{}.{}", self.digits(5), self.digits(18)),
            3 => format!("{}e{}{}", self.digits(4), self.choices.pick(&["", "-", "+"]), self.digits(2)),
            4 => {
                let pieces =
                    ["a", "é", "\\n", "\\u00e9", "\\ud83d\\ude00", "\\/", "\\\"", " ", "$", "\\ud800", "\t"];
                format!("\"{}\"", self.pieces(&pieces, 4))
            }
            5 => format!("{{\"{}\":{}}}", self.pieces(&["a", "b", " "], 2), self.json_value(depth - 1)),
            _ => {
                let items: Vec<String> =
                    (0..self.choices.below(4)).map(|_| self.json_value(depth - 1)).collect();
                format!("[{}]", items.join(self.choices.pick(&[",", ", ", "\n,"])))
            }
        }
    }

    pub(super) fn drawn_toml(&mut self) -> String {
        let lines: Vec<String> = (0..=self.choices.below(3)).map(|_| self.toml_line()).collect();
        let text = lines.join("\n");
        self.changed(text)
    }

    fn toml_line(&mut self) -> String {
        let key = self.choices.pick(&["a", "b", "a.b", "\"x y\"", "'q'", "1", "a-b_", "b.\"c\".d"]);
        match self.choices.below(6) {
            0 => format!("[{key}]"),
            1 => format!("[[{key}]]"),
            _ => format!("{key} = {}", self.toml_value(2)),
        }
    }

    fn toml_value(&mut self, depth: usize) -> String {
        match self.choices.below(if depth == 0 { 4 } else { 7 }) {
            0 => self
                .choices
                .pick(&[
                    "true",
                    "inf",
                    "-0",
                    "+0.0",
                    "0x1F",
                    "0o17",
                    "0b11",
                    "1_000",
                    "-inf",
                    "1e5",
                    "6.02_2e+2",
                ])
                .to_owned(),
            1 => format!("{}{}", self.choices.pick(&["", "-", "+"]), self.digits(20)),
            2 => format!("{}.{}{}", self.digits(4), self.digits(12), self.choices.pick(&["", "e5", "E-7"])),
            3 => {
                let pieces =
                    ["a", "é", "\\n", "\\u00e9", "\\U0001F600", "\\\"", " ", "$", "\\\\", "#", "=", "'"];
                let text = self.pieces(&pieces, 4);
                match self.choices.below(3) {
                    0 => format!("'{}'", text.replace('\'', "")),
                    1 => format!("\"\"\"\n{text} \\\n  \"\"\""),
                    _ => format!("\"{text}\""),
                }
            }
            4 => format!("{{ {} = {} }}", self.choices.pick(&["a", "b.c"]), self.toml_value(depth - 1)),
            _ => {
                let items: Vec<String> =
                    (0..self.choices.below(4)).map(|_| self.toml_value(depth - 1)).collect();
                format!("[{}]", items.join(self.choices.pick(&[",", ", ", "\n,"])))
            }
        }
    }

    /// Sometimes with a character too many, few or other.
    fn changed(&mut self, text: String) -> String {
        if !self.choices.one_in(3) {
            return text;
        }
        let place = self.choices.below(text.chars().count() + 1);
        let piece = self
            .choices
            .pick(&["", "_", ".", "+", "-", "e", "0", ",", "\"", "'", "\\", "\\x41", "{", "}", ":", "="]);
        let kept = place + self.choices.below(2);
        text.chars().take(place).collect::<String>() + piece + &text.chars().skip(kept).collect::<String>()
    }
}

/// As a string literal.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${"))
}
