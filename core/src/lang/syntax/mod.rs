//! From text to a tree, or to a message that says where it stops being a
//! program.
//!
//! `rnix` finds the tokens; `grammar` makes a tree of them. (`rnix`'s own tree
//! takes five times as long, quadratic time for some texts, and accepts what
//! Nix refuses.)

mod grammar;
mod tokens;
mod tree;

pub(super) use tree::*;

/// A text that is no program.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub message: String,
    /// Byte offset.
    pub offset: u32,
    pub hint: Option<&'static str>,
}

impl SyntaxError {
    fn new(message: impl Into<String>, offset: u32) -> Self {
        Self { message: message.into(), offset, hint: None }
    }
}

/// The tree of a text, whose names may still be wrong. The stack must be deep.
pub(super) fn parse(text: &[u8]) -> Result<Tree<'_>, SyntaxError> {
    grammar::parse(text, &tokens::tokens(text)?)
}

/// Whether a program stops too early, so that further lines may complete it.
pub fn is_unfinished(text: &str) -> bool {
    parse(text.as_bytes()).is_err_and(|error| error.message.contains("unexpected end of file"))
}

/// Whether a text is a program; its names may still be wrong.
pub fn is_program(text: &str) -> bool {
    parse(text.as_bytes()).is_ok()
}
