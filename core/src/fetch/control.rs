//! The paragraph format of package indexes and source lists.
//!
//! Source: deb-control(5), deb822(5).

/// One paragraph's fields. Continuation lines stay in the value, separated by
/// line feeds, without their leading blank.
#[derive(Debug, Default)]
pub struct Stanza<'t> {
    fields: Vec<(&'t str, std::borrow::Cow<'t, str>)>,
}

impl Stanza<'_> {
    /// A field by name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }
}

/// All paragraphs of a text.
pub fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut stanza = Stanza::default();
        for line in lines.by_ref() {
            if line.starts_with('#') {
                continue;
            }
            if line.trim().is_empty() {
                if stanza.fields.is_empty() {
                    continue;
                }
                break;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = stanza.fields.last_mut() {
                    let value = value.to_mut();
                    value.push('\n');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                stanza.fields.push((name, value.trim().into()));
            }
        }
        (!stanza.fields.is_empty()).then_some(stanza)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_fields_and_continuations() {
        let text = "\nPackage: a\nFiles:\n one 1\n two 2\n\n\nPackage: b\n";
        let found: Vec<_> = stanzas(text).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].get("files"), Some("\none 1\ntwo 2"));
        assert_eq!(found[1].get("Package"), Some("b"));
    }
}
