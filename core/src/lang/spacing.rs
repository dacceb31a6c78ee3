//! Comments put into texts whose trees would be deep, so that parsing takes
//! time in proportion to their length.
//!
//! `rnix` builds its tree with `rowan`, which shares equal nodes of up to
//! three children and, whenever its table of them grows, computes the hash of
//! each anew by walking all that is below it. For `f x x x …` or `[[[[…` that
//! is quadratic: ten thousand links took half a second, a hundred thousand more
//! than a minute. A node with more children is not shared, and neither is any node
//! above it; so in a text that nests deeply or has very long expressions, some
//! empty comments between every few dozen tokens keep what is shared small.
//! Positions are counted without them.

use rnix::SyntaxKind;

/// Four tokens that mean nothing.
const SPACE: &str = " /**//**//**/";
/// How many tokens lie between two of them.
const DISTANCE: usize = 48;
/// Texts with less depth, and with shorter expressions, stay as they are.
const SHALLOW: usize = 100;
const SHORT: usize = 1000;

/// Where something was put in.
#[derive(Default)]
pub(super) struct Spacing {
    /// Offsets in the spaced text, ascending.
    places: Vec<u32>,
}

impl Spacing {
    /// The offset in the text as it was written.
    pub(super) fn original(&self, offset: u32) -> u32 {
        if self.places.is_empty() {
            return offset;
        }
        let before = self.places.partition_point(|place| *place < offset) as u32;
        offset - (before * SPACE.len() as u32).min(offset)
    }
}

/// The text with comments where it needs them; `None` where it does not.
pub(super) fn space(text: &str) -> Option<(String, Spacing)> {
    if !is_deep(text) {
        return None;
    }
    let mut spaced = String::with_capacity(text.len() + text.len() / 2);
    let mut spacing = Spacing::default();
    let mut since = 0;
    for (kind, token) in rnix::tokenize(text) {
        spaced.push_str(token);
        since += 1;
        if since >= DISTANCE && may_be_followed(kind) {
            spacing.places.push(u32::try_from(spaced.len()).ok()?);
            spaced.push_str(SPACE);
            since = 0;
        }
    }
    u32::try_from(spaced.len()).ok()?;
    Some((spaced, spacing))
}

fn is_deep(text: &str) -> bool {
    use SyntaxKind::*;
    let (mut depth, mut run, mut tails) = (0usize, 0usize, 0usize);
    for (kind, _) in rnix::tokenize(text) {
        match kind {
            TOKEN_L_BRACK | TOKEN_L_BRACE | TOKEN_L_PAREN | TOKEN_INTERPOL_START => depth += 1,
            TOKEN_R_BRACK | TOKEN_R_BRACE | TOKEN_R_PAREN | TOKEN_INTERPOL_END => {
                depth = depth.saturating_sub(1);
                tails = 0;
            }
            // These nest with semicolons between, and without brackets.
            TOKEN_WITH | TOKEN_ASSERT | TOKEN_LET => tails += 1,
            _ => {}
        }
        // Between two semicolons there is one expression.
        run = if kind == TOKEN_SEMICOLON { 0 } else { run + usize::from(!kind.is_trivia()) };
        if depth > SHALLOW || tails > SHALLOW || run > SHORT {
            return true;
        }
    }
    false
}

/// Tokens after which a comment changes nothing: none that is part of a string
/// or a path.
fn may_be_followed(kind: SyntaxKind) -> bool {
    use SyntaxKind::*;
    matches!(
        kind,
        TOKEN_WHITESPACE
            | TOKEN_IDENT
            | TOKEN_L_BRACK
            | TOKEN_R_BRACK
            | TOKEN_L_PAREN
            | TOKEN_R_PAREN
            | TOKEN_L_BRACE
            | TOKEN_DOT
            | TOKEN_SUB
            | TOKEN_INVERT
            | TOKEN_COLON
            | TOKEN_INTERPOL_START
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_text_as_written() {
        let text = format!("f {} last", "x ".repeat(3000));
        let (spaced, spacing) = space(&text).expect("it is long");
        assert!(spaced.len() > text.len());
        let place = spaced.find("last").expect("it is there");
        let original = text.find("last").expect("it is there");
        assert_eq!(spacing.original(place as u32), original as u32);
        assert_eq!(spacing.original(0), 0);
        assert!(space("{ a = 1; }").is_none());
    }
}
