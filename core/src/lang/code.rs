//! Lowered code: what evaluation walks.
//!
//! Variables are resolved to a depth and a slot, attribute paths are merged,
//! strings unescaped. Nodes are small and live in the heap; a position is a
//! number inside them.

use std::cell::Cell;

use super::heap::Heap;
use super::source::Pos;
use super::symbol::Sym;
use super::value::{Attr, Env, Value};

pub enum Expr {
    Const(Value),
    Local {
        depth: u32,
        slot: u32,
        pos: Pos,
    },
    /// A variable that only a `with` can hold.
    With(&'static WithVariable),
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
        arguments: &'static [Delayed],
        pos: Pos,
    },
    Lambda(&'static Lambda),
    List(&'static [Delayed]),
    Attrs(&'static AttrsCode),
    RecAttrs(&'static AttrsCode),
    Let {
        bindings: &'static AttrsCode,
        body: &'static Expr,
    },
    OpenWith {
        namespace: Delayed,
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
        /// Where the condition's text begins and how long it is, for the
        /// message.
        written: (Pos, u32),
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

pub struct WithVariable {
    pub name: Sym,
    /// Of the `with` scopes, innermost first.
    pub depths: &'static [u32],
    pub pos: Pos,
    /// Where it was found last.
    pub found: Cell<Option<Found>>,
}

/// The attribute that a variable meant in an innermost `with` scope, and so in
/// all that are around it.
#[derive(Clone, Copy)]
pub struct Found {
    pub scope: &'static Env,
    pub attr: &'static Attr,
}

/// An expression whose value may wait until it is needed.
#[derive(Clone, Copy)]
pub struct Delayed {
    pub code: &'static Expr,
    /// Of the code in the evaluator's table.
    pub number: u32,
    pub delay: Delay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// A constant, a variable or a function: its value is there already.
    Ready,
    /// Numbers computed or compared, or a member of a set: worth trying at
    /// once where the variables have their values, since that costs less than
    /// to remember it.
    Quick,
    Thunk,
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

/// A function. `x: y: body` is one function of two arguments, whose variables
/// are in one scope; called with one it becomes the function `rest`, which
/// holds that one.
pub struct Lambda {
    /// The variable of `x:` or `x@{ … }:`.
    pub argument: Option<Sym>,
    pub formals: Option<Formals>,
    pub body: &'static Expr,
    pub slots: u32,
    /// Slots that its closure's own scope has filled already.
    pub held: u32,
    /// Arguments until the body can run; one if there are formals.
    pub takes: u32,
    /// What is left after one argument.
    pub rest: Option<&'static Lambda>,
    /// The name of the attribute or variable it was bound to, for messages.
    pub name: Option<Sym>,
    pub pos: Pos,
}

impl Lambda {
    /// A function of arguments without patterns; none if there are none.
    pub(super) fn simple(
        arguments: &[(Sym, Pos)],
        body: &'static Expr,
        name: Option<Sym>,
        heap: Heap,
    ) -> Option<&'static Self> {
        let slots = arguments.len() as u32;
        let mut rest = None;
        for (held, (argument, pos)) in (0..slots).zip(arguments).rev() {
            rest = Some(heap.cell(Self {
                argument: Some(*argument),
                formals: None,
                body,
                slots,
                held,
                takes: slots - held,
                rest,
                name,
                pos: *pos,
            }));
        }
        rest
    }
}

pub struct Formals {
    /// Sorted by symbol.
    pub entries: &'static [Formal],
    pub ellipsis: bool,
}

#[derive(Clone, Copy)]
pub struct Formal {
    pub name: Sym,
    pub pos: Pos,
    /// Of the function's scope; the first is the argument's if it has a name.
    pub slot: u32,
    pub default: Option<Delayed>,
}

/// The bindings of a set or a `let`.
pub struct AttrsCode {
    /// Sorted by symbol.
    pub entries: &'static [Binding],
    pub dynamic: &'static [DynamicBinding],
    /// Sources of `inherit (from)`, evaluated once each.
    pub froms: &'static [Delayed],
    pub pos: Pos,
}

#[derive(Clone, Copy)]
pub struct Binding {
    pub name: Sym,
    pub pos: Pos,
    /// Of the scope that `rec` and `let` open, where those of the sources of
    /// `inherit` follow.
    pub slot: u32,
    pub scope: BindingScope,
    pub code: Delayed,
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
    pub value: Delayed,
    pub pos: Pos,
}
