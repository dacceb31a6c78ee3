//! The syntax tree: nodes in one vector, their lists in others.
//!
//! Parentheses leave no node, calls of several arguments are one, and texts
//! stay where they are: a node says where its text begins and ends. So a tree
//! costs some three times its text and is gone once it was lowered.

use std::ops::Range;

/// A node's place in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lang) struct NodeId(pub(super) u32);

/// A part of one of the tree's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lang) struct Span {
    first: u32,
    count: u32,
}

impl Span {
    pub(super) fn new(first: usize, end: usize) -> Self {
        Self { first: first as u32, count: (end - first) as u32 }
    }

    fn range(self) -> Range<usize> {
        self.first as usize..self.first as usize + self.count as usize
    }
}

/// Where a text is: bytes `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lang) struct Place {
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Copy)]
pub(in crate::lang) struct Node {
    pub kind: Kind,
    /// Where the expression begins; an opening parenthesis is part of what
    /// follows it (`(f) x` begins there, `f` behind it).
    pub start: u32,
}

/// Texts without a `Place` begin where their node does.
#[derive(Clone, Copy)]
pub(in crate::lang) enum Kind {
    Variable {
        end: u32,
    },
    CurPos,
    Integer {
        end: u32,
    },
    Float {
        end: u32,
    },
    Uri {
        end: u32,
    },
    Str {
        indented: bool,
        pieces: Span,
    },
    /// The first piece is text.
    Path {
        kind: PathKind,
        pieces: Span,
    },
    /// `<x>`, brackets included.
    SearchPath {
        end: u32,
    },
    List {
        items: Span,
    },
    Apply {
        function: NodeId,
        arguments: Span,
    },
    /// By its index.
    Lambda(u32),
    Let {
        entries: Span,
        body: NodeId,
    },
    /// `let { … }`
    LegacyLet {
        entries: Span,
    },
    Set {
        recursive: bool,
        entries: Span,
    },
    If {
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
    },
    With {
        namespace: NodeId,
        body: NodeId,
    },
    /// The condition as written is in its place.
    Assert {
        condition: NodeId,
        written: Place,
        body: NodeId,
    },
    Select {
        base: NodeId,
        path: Span,
        default: Option<Otherwise>,
    },
    HasAttr {
        base: NodeId,
        path: Span,
    },
    Not(NodeId),
    Negate(NodeId),
    Binary {
        operator: BinaryOperator,
        operator_start: u32,
        left: NodeId,
        right: NodeId,
    },
}

/// `or` an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lang) struct Otherwise(std::num::NonZeroU32);

impl Otherwise {
    pub(super) fn new(node: NodeId) -> Self {
        Self(std::num::NonZeroU32::MIN.saturating_add(node.0))
    }

    pub(in crate::lang) fn node(self) -> NodeId {
        NodeId(self.0.get() - 1)
    }
}

const _: () = assert!(size_of::<Node>() == 24);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lang) enum PathKind {
    Absolute,
    Relative,
    Home,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lang) enum BinaryOperator {
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

/// A part of a string or path.
#[derive(Clone, Copy)]
pub(in crate::lang) enum Piece {
    Text(Place),
    Code(NodeId),
}

/// A member of an attribute path.
#[derive(Clone, Copy)]
pub(in crate::lang) enum Attr {
    Name(Place),
    /// `"…"`, whose node is a string.
    Str(NodeId),
    /// `${…}`, and where it begins.
    Computed {
        start: u32,
        code: NodeId,
    },
}

/// What stands in a set or `let`.
#[derive(Clone, Copy)]
pub(in crate::lang) enum Entry {
    Inherit { from: Option<NodeId>, names: Span },
    Bind { path: Span, value: NodeId },
}

#[derive(Clone, Copy)]
pub(in crate::lang) struct Lambda {
    /// `x:` or the `x` of `x@{ … }:`.
    pub argument: Option<Place>,
    pub pattern: Option<Pattern>,
    pub body: NodeId,
}

#[derive(Clone, Copy)]
pub(in crate::lang) struct Pattern {
    pub formals: Span,
    pub ellipsis: bool,
}

#[derive(Clone, Copy)]
pub(in crate::lang) struct Formal {
    pub name: Place,
    pub default: Option<NodeId>,
}

pub(in crate::lang) struct Tree<'t> {
    text: &'t [u8],
    pub(super) root: NodeId,
    pub(super) nodes: Vec<Node>,
    pub(super) lists: Lists,
    pub(super) names: Vec<Attr>,
}

/// What spans are parts of.
#[derive(Default)]
pub(super) struct Lists {
    pub items: Vec<NodeId>,
    pub pieces: Vec<Piece>,
    pub attrs: Vec<Attr>,
    pub entries: Vec<Entry>,
    pub formals: Vec<Formal>,
    pub lambdas: Vec<Lambda>,
}

impl<'t> Tree<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, root: NodeId(0), nodes: Vec::new(), lists: Lists::default(), names: Vec::new() }
    }

    pub(in crate::lang) fn root(&self) -> NodeId {
        self.root
    }

    pub(in crate::lang) fn node(&self, id: NodeId) -> Node {
        self.nodes[id.0 as usize]
    }

    pub(in crate::lang) fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
    }

    pub(in crate::lang) fn start(&self, id: NodeId) -> u32 {
        self.node(id).start
    }

    pub(in crate::lang) fn text(&self, start: u32, end: u32) -> &'t [u8] {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(in crate::lang) fn at(&self, place: Place) -> &'t [u8] {
        self.text(place.start, place.end)
    }

    /// Variables, attributes and arguments in the order in which Nix's parser
    /// is done with them: an argument comes after the function's body. Some
    /// attributes are no names but computed.
    pub(in crate::lang) fn names(&self) -> &[Attr] {
        &self.names
    }

    pub(in crate::lang) fn items(&self, span: Span) -> &[NodeId] {
        &self.lists.items[span.range()]
    }

    pub(in crate::lang) fn pieces(&self, span: Span) -> &[Piece] {
        &self.lists.pieces[span.range()]
    }

    pub(in crate::lang) fn attrs(&self, span: Span) -> &[Attr] {
        &self.lists.attrs[span.range()]
    }

    pub(in crate::lang) fn entries(&self, span: Span) -> &[Entry] {
        &self.lists.entries[span.range()]
    }

    pub(in crate::lang) fn formals(&self, span: Span) -> &[Formal] {
        &self.lists.formals[span.range()]
    }

    pub(in crate::lang) fn lambda(&self, index: u32) -> Lambda {
        self.lists.lambdas[index as usize]
    }
}
