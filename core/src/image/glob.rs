//! Patterns over relative paths, as exclude and attribute tables write them.
//!
//! `*` and `?` stay within a component, `[a-z]` and `[!a-z]` name one
//! character, `**` as a whole component stands for any number of components.
//! A leading slash means nothing. There are no braces and no escapes.

/// A pattern, cut into components.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    components: Vec<String>,
}

impl Glob {
    pub fn new(text: &str) -> Self {
        let components = text.split('/').filter(|c| !c.is_empty()).map(str::to_owned).collect();
        Self { text: text.to_owned(), components }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True if the whole path fits the pattern.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').filter(|c| !c.is_empty()).collect();
        components_match(&self.components, &path)
    }

    /// True if the path or a directory above it fits: naming a directory
    /// names all that is in it.
    pub fn covers(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').filter(|c| !c.is_empty()).collect();
        (1..=path.len()).any(|length| components_match(&self.components, &path[..length]))
    }
}

fn components_match(pattern: &[String], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == "**" => {
            (0..=path.len()).any(|skipped| components_match(rest, &path[skipped..]))
        }
        Some((first, rest)) => path.split_first().is_some_and(|(name, names)| {
            name_matches(first.as_bytes(), name.as_bytes()) && components_match(rest, names)
        }),
    }
}

fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], _) => name.is_empty(),
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| name_matches(rest, &name[skipped..])),
        ([b'?', rest @ ..], [_, names @ ..]) => name_matches(rest, names),
        ([b'[', class @ ..], [byte, names @ ..]) => match class.iter().skip(1).position(|b| *b == b']') {
            Some(end) => {
                let (class, rest) = (&class[..=end], &class[end + 2..]);
                in_class(class, *byte) && name_matches(rest, names)
            }
            None => *byte == b'[' && name_matches(class, names),
        },
        ([first, rest @ ..], [byte, names @ ..]) => first == byte && name_matches(rest, names),
        (_, []) => false,
    }
}

fn in_class(class: &[u8], byte: u8) -> bool {
    let (negated, mut class) = match class {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let [first, rest @ ..] = class {
        if let [b'-', last, after @ ..] = rest {
            found |= (*first..=*last).contains(&byte);
            class = after;
        } else {
            found |= *first == byte;
            class = rest;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths() {
        let cases = [
            ("usr/share/doc", "usr/share/doc", true),
            ("/usr/share/doc", "usr/share/doc", true),
            ("usr/share/doc", "usr/share/doc/x", false),
            ("usr/*/x", "usr/a/x", true),
            ("usr/*/x", "usr/a/b/x", false),
            ("usr/**/x", "usr/a/b/x", true),
            ("usr/**/x", "usr/x", true),
            ("**/*.a", "usr/lib/libc.a", true),
            ("**/*.a", "libc.a", true),
            ("**/*.a", "libc.so", false),
            ("usr/lib/lib?.so.[0-9]", "usr/lib/liba.so.6", true),
            ("usr/lib/lib?.so.[!0-9]", "usr/lib/liba.so.6", false),
            ("**", "anything/at/all", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(Glob::new(pattern).matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn naming_a_directory_covers_what_is_in_it() {
        assert!(Glob::new("usr/share/doc").covers("usr/share/doc/a/b"));
        assert!(Glob::new("usr/share/{doc}").covers("usr/share/{doc}/a"));
        assert!(!Glob::new("usr/share/doc").covers("usr/share/docs"));
        assert!(!Glob::new("usr/share/doc").covers("usr/share"));
    }
}
