//! Lowered code as bytes, so that a text that was lowered once is not parsed
//! again.
//!
//! The bytes are code in the order of a walk from the root: a byte says which
//! kind of expression follows, numbers are LEB128, positions count from the
//! text's begin. Names are numbers in a table in front, which says in which
//! order they became symbols, so that symbols come out in the same order
//! whether a text was lowered or read. Built-in values are named, never
//! written: they belong to the process.
//!
//! Who reads must know that the bytes were written for the same text by the
//! same evaluator: see [`Key`]. Bytes that are no code are refused; bytes that
//! are other code are other code.

mod read;
mod write;

use std::path::Path;

pub(super) use read::{Around, read};
pub(super) use write::write;

use super::code::Expr;
use super::symbol::{FastMap, Sym};

/// The name under which a text's code is kept.
pub type CodeKey = [u8; 32];

/// Constants that stand for something built in, by the place of their code.
#[derive(Default)]
pub(super) struct BuiltIns(FastMap<*const Expr, BuiltIn>);

#[derive(Clone, Copy)]
enum BuiltIn {
    /// A name that every program sees.
    Global(Sym),
    /// A member of `builtins`.
    Member(Sym),
}

impl BuiltIns {
    pub(super) fn global(&mut self, code: &'static Expr, name: Sym) {
        self.0.insert(code, BuiltIn::Global(name));
    }

    pub(super) fn member(&mut self, code: &'static Expr, name: Sym) {
        self.0.insert(code, BuiltIn::Member(name));
    }

    pub(super) fn is_member(&self, code: &'static Expr) -> bool {
        matches!(self.0.get(&std::ptr::from_ref(code)), Some(BuiltIn::Member(_)))
    }
}

/// What lowering depends on, the text and what is around it.
pub(super) struct Key<'a> {
    pub text: &'a [u8],
    /// Of the names that are built in.
    pub globals: &'a blake3::Hash,
    /// Where paths begin.
    pub directory: &'a Path,
    pub home: Option<&'a Path>,
    /// Names of a scope around the whole text, in the order of slots.
    pub outermost: Option<Vec<&'a [u8]>>,
}

impl Key<'_> {
    pub(super) fn hash(&self) -> CodeKey {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"osbuild lowered code\0");
        hasher.update(env!("OSBUILD_LANGUAGE").as_bytes());
        hasher.update(self.globals.as_bytes());
        let path = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
        let names = self.outermost.as_ref().map(|names| names.join(&0));
        for part in [Some(path(self.directory)), self.home.map(path), names] {
            hasher.update(&[u8::from(part.is_some())]);
            let part = part.unwrap_or_default();
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(&part);
        }
        hasher.update(self.text);
        *hasher.finalize().as_bytes()
    }
}

/// Kinds of expressions.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const STRING: u8 = 5;
    pub(super) const PATH: u8 = 6;
    pub(super) const EMPTY_LIST: u8 = 7;
    pub(super) const EMPTY_SET: u8 = 8;
    pub(super) const GLOBAL: u8 = 9;
    pub(super) const MEMBER: u8 = 10;
    pub(super) const LOCAL: u8 = 11;
    pub(super) const WITH: u8 = 12;
    pub(super) const SELECT: u8 = 13;
    pub(super) const SELECT_OR: u8 = 14;
    pub(super) const INHERIT_FROM: u8 = 15;
    pub(super) const HAS_ATTR: u8 = 16;
    pub(super) const APPLY: u8 = 17;
    pub(super) const FUNCTION: u8 = 18;
    pub(super) const PATTERN: u8 = 19;
    pub(super) const LIST: u8 = 20;
    pub(super) const SET: u8 = 21;
    pub(super) const REC_SET: u8 = 22;
    pub(super) const LET: u8 = 23;
    pub(super) const OPEN_WITH: u8 = 24;
    pub(super) const IF: u8 = 25;
    pub(super) const ASSERT: u8 = 26;
    pub(super) const NOT: u8 = 27;
    pub(super) const BINARY: u8 = 28;
    pub(super) const INTERPOLATE: u8 = 29;
    pub(super) const PATH_WITH_CODE: u8 = 30;
    pub(super) const CUR_POS: u8 = 31;
}

/// In the order of their numbers.
const OPERATORS: [super::code::Operator; 15] = {
    use super::code::Operator::*;
    [
        Add,
        Sub,
        Mul,
        Div,
        Concat,
        Update,
        And,
        Or,
        Implies,
        Equal,
        NotEqual,
        Less,
        LessOrEqual,
        Greater,
        GreaterOrEqual,
    ]
};
