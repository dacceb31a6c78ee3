//! Foreign text inside Graphviz's language.

/// A string of the DOT language that shows exactly this text, quotes included.
///
/// Inside quotes the language knows `\"` alone; labels then read escapes of
/// their own (`\n`, `\N`), which a doubled backslash keeps from them.
pub(super) fn dot(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // Labels also read HTML's entities.
            '&' => out.push_str("&amp;"),
            '\0'..'\u{20}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_ends_where_it_should() {
        let check = |text: &str, expected: &str| assert_eq!(dot(text), expected);
        check("zlib-1.3", r#""zlib-1.3""#);
        check(r#"a"]; b ["#, r#""a\"]; b [""#);
        check(r"ends in \", r#""ends in \\""#);
        check(r#"\" -> x"#, r#""\\\" -> x""#);
        check("two\nlines, no \\n", r#""two\nlines, no \\n""#);
        check("&quot;", r#""&amp;quot;""#);
        check("\u{1}", "\"\u{fffd}\"");
    }
}
