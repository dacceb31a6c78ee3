//! Lowered code: what evaluation walks.
//!
//! Variables are resolved to a depth and a slot, attribute paths are merged,
//! strings unescaped. Nodes are small and live in the heap; a position is a
//! number inside them.

use super::source::Pos;
use super::symbol::Sym;
use super::value::Value;

pub enum Expr {
    Const(Value),
    Local {
        depth: u32,
        slot: u32,
        pos: Pos,
    },
    /// A variable that only a `with` can hold; depths of the `with` scopes,
    /// innermost first.
    With {
        name: Sym,
        depths: &'static [u32],
        pos: Pos,
    },
    Select {
        base: &'static Expr,
        path: &'static [Name],
        default: Option<&'static Expr>,
        pos: Pos,
    },
    /// `inherit (from) name`: `from` is in a slot of the innermost scope.
    InheritFrom {
        slot: u32,
        name: Sym,
        pos: Pos,
    },
    HasAttr {
        base: &'static Expr,
        path: &'static [Name],
    },
    Apply {
        function: &'static Expr,
        arguments: &'static [&'static Expr],
        pos: Pos,
    },
    Lambda(&'static Lambda),
    List(&'static [&'static Expr]),
    Attrs(&'static AttrsCode),
    RecAttrs(&'static AttrsCode),
    Let {
        bindings: &'static AttrsCode,
        body: &'static Expr,
    },
    OpenWith {
        namespace: &'static Expr,
        body: &'static Expr,
        pos: Pos,
    },
    If {
        condition: &'static Expr,
        then: &'static Expr,
        otherwise: &'static Expr,
        pos: Pos,
    },
    Assert {
        condition: &'static Expr,
        body: &'static Expr,
        /// The condition as written, for the message.
        text: &'static str,
        pos: Pos,
    },
    Not(&'static Expr, Pos),
    Binary {
        operator: Operator,
        left: &'static Expr,
        right: &'static Expr,
        pos: Pos,
    },
    /// String interpolation; a path literal with interpolation if `path`.
    Interpolate {
        parts: &'static [&'static Expr],
        path: bool,
        pos: Pos,
    },
    CurPos(Pos),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
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
}

/// A member of an attribute path.
#[derive(Clone, Copy)]
pub enum Name {
    Static(Sym, Pos),
    Dynamic(&'static Expr, Pos),
}

impl Name {
    pub fn pos(self) -> Pos {
        match self {
            Self::Static(_, pos) | Self::Dynamic(_, pos) => pos,
        }
    }
}

pub struct Lambda {
    /// The variable of `x:` or `x@{ … }:`, always slot 0 then.
    pub argument: Option<Sym>,
    pub formals: Option<Formals>,
    pub body: &'static Expr,
    pub slots: u32,
    /// The name of the attribute or variable it was bound to, for messages.
    pub name: Option<Sym>,
    pub pos: Pos,
}

pub struct Formals {
    /// Sorted by symbol; slots follow the argument's.
    pub entries: &'static [Formal],
    pub ellipsis: bool,
}

#[derive(Clone, Copy)]
pub struct Formal {
    pub name: Sym,
    pub pos: Pos,
    pub default: Option<&'static Expr>,
}

/// The bindings of a set or a `let`.
pub struct AttrsCode {
    /// Sorted by symbol; in `rec` and `let` the index is the slot.
    pub entries: &'static [Binding],
    pub dynamic: &'static [DynamicBinding],
    /// Sources of `inherit (from)`, evaluated once each.
    pub froms: &'static [&'static Expr],
    pub pos: Pos,
}

#[derive(Clone, Copy)]
pub struct Binding {
    pub name: Sym,
    pub pos: Pos,
    pub scope: BindingScope,
    pub code: &'static Expr,
}

/// In which environment a binding's code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingScope {
    /// In the set's own: `rec`'s for `rec`, the surrounding one otherwise.
    Inner,
    /// `inherit x`: in the surrounding one.
    Outer,
    /// `inherit (from) x`: in the one that holds the sources.
    From,
}

#[derive(Clone, Copy)]
pub struct DynamicBinding {
    pub name: &'static Expr,
    pub value: &'static Expr,
    pub pos: Pos,
}
