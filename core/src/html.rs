//! Pages and XML: foreign text inside them, and templates with holes.

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

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

/// JSON that may stand in an HTML `script` element: neither `</script` nor
/// `<!--` can come up in it, and it means the same.
///
/// Outside its strings JSON has none of these characters.
pub(crate) fn json_in_html(json: &str) -> String {
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

/// What a policy calls an element's text.
pub(crate) fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)))
}

/// Puts texts where the template has `{{name}}`; what they hold is not looked
/// at again.
pub(crate) fn fill(template: &str, texts: &[(&str, &str)]) -> String {
    let mut out =
        String::with_capacity(template.len() + texts.iter().map(|(_, text)| text.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("holes of the template are closed");
        let text = texts.iter().find(|(known, _)| *known == name);
        out.push_str(before);
        out.push_str(text.unwrap_or_else(|| panic!("the template asks for {name}")).1);
        rest = after;
    }
    out.push_str(rest);
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
    fn json_stays_inside_its_element_and_means_the_same() {
        let json = serde_json::json!({ ATTACK: ATTACK }).to_string();
        let safe = json_in_html(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}']), "{safe}");
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&json).unwrap(), serde_json::from_str(&safe).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn holes_are_filled_once() {
        let check = |template: &str, expected: &str| {
            assert_eq!(fill(template, &[("a", "{{b}}"), ("b", "x")]), expected);
        };
        check("", "");
        check("1{{a}}2{{b}}3{{a}}", "1{{b}}2x3{{b}}");
    }
}
