//! Foreign text inside other languages.

/// Text for XML and HTML, between tags or in a quoted attribute.
///
/// Characters that XML 1.0 §2.2 forbids, however they are written, become
/// U+FFFD.
pub(crate) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(character),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

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

/// JSON that may stand in an HTML `script` element: neither `</script` nor
/// `<!--` can come up in it, and it means the same.
///
/// Outside its strings JSON has none of these characters.
pub(super) fn json_in_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACK: &str = "</script><!--<script>\"';&\\N\u{2028}\u{1}]]>";

    #[test]
    fn xml_shows_what_it_was_given_and_does_nothing() {
        let check = |text: &str, expected: &str| assert_eq!(xml(text), expected);
        check("gcc-14.2.0+b1_amd64.deb", "gcc-14.2.0+b1_amd64.deb");
        check("a\" onload='x'", "a&quot; onload=&#39;x&#39;");
        check("<b>&amp;", "&lt;b&gt;&amp;amp;");
        check("\u{1b}[0m\0", "\u{fffd}[0m\u{fffd}");
        check(ATTACK, "&lt;/script&gt;&lt;!--&lt;script&gt;&quot;&#39;;&amp;\\N\u{2028}\u{fffd}]]&gt;");
    }

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

    #[test]
    fn json_stays_inside_its_element_and_means_the_same() {
        let json = serde_json::json!({ ATTACK: ATTACK }).to_string();
        let safe = json_in_html(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}']), "{safe}");
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&json).unwrap(), serde_json::from_str(&safe).unwrap());
        assert_eq!(before, after);
    }
}
