//! Attribute sets and `let`: merged first, then `inherit`s, plain members and
//! computed names, each group in the order in which Nix prints it.

use std::collections::BTreeMap;

use super::Printer;
use crate::lang::lower::string_parts;
use crate::lang::syntax::{Attr, Entry, Kind, NodeId, Span, Tree};

#[derive(Default)]
struct Draft {
    recursive: bool,
    members: BTreeMap<Vec<u8>, Definition>,
    computed: Vec<(Attr, Definition)>,
    froms: Vec<NodeId>,
}

enum Definition {
    Code(NodeId),
    Inherit,
    InheritFrom(usize),
    Set(Draft),
}

impl Definition {
    fn empty_set() -> Self {
        Self::Set(Draft::default())
    }
}

impl Draft {
    fn read(tree: &Tree<'_>, entries: Span, recursive: bool) -> Self {
        let mut draft = Self { recursive, ..Self::default() };
        for entry in tree.entries(entries) {
            match *entry {
                Entry::Inherit { from, names } => draft.inherit(tree, from, tree.attrs(names)),
                Entry::Bind { path, value } => draft.bind(tree, tree.attrs(path), value),
            }
        }
        draft
    }

    fn inherit(&mut self, tree: &Tree<'_>, from: Option<NodeId>, names: &[Attr]) {
        let from = from.map(|from| {
            self.froms.push(from);
            self.froms.len() - 1
        });
        for attr in names {
            if let Some(name) = static_name(tree, *attr) {
                let definition = from.map_or(Definition::Inherit, Definition::InheritFrom);
                self.members.insert(name, definition);
            }
        }
    }

    fn bind(&mut self, tree: &Tree<'_>, path: &[Attr], value: NodeId) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut target = self;
        for attr in parents {
            let inner = match static_name(tree, *attr) {
                Some(name) => target.members.entry(name).or_insert_with(Definition::empty_set),
                None => {
                    target.computed.push((*attr, Definition::empty_set()));
                    &mut target.computed.last_mut().expect("pushed above").1
                }
            };
            // Lowering has refused what is defined twice.
            let Definition::Set(inner) = inner else { return };
            target = inner;
        }
        let definition = match tree.kind(value) {
            Kind::Set { recursive, entries } => Definition::Set(Self::read(tree, entries, recursive)),
            _ => Definition::Code(value),
        };
        let Some(name) = static_name(tree, *last) else {
            target.computed.push((*last, definition));
            return;
        };
        target.add(name, definition);
    }

    fn add(&mut self, name: Vec<u8>, definition: Definition) {
        match (self.members.get_mut(&name), definition) {
            (Some(Definition::Set(into)), Definition::Set(from)) => into.join(from),
            (_, definition) => drop(self.members.insert(name, definition)),
        }
    }

    fn join(&mut self, from: Self) {
        let shift = self.froms.len();
        self.froms.extend(from.froms);
        for (name, mut definition) in from.members {
            if let Definition::InheritFrom(index) = &mut definition {
                *index += shift;
            }
            self.add(name, definition);
        }
        self.computed.extend(from.computed);
    }
}

impl Printer<'_> {
    pub(super) fn set(&mut self, recursive: bool, entries: Span) {
        self.draft_set(&Draft::read(self.tree, entries, recursive));
    }

    pub(super) fn bindings(&mut self, entries: Span, recursive: bool) {
        self.draft(&Draft::read(self.tree, entries, recursive));
    }

    fn draft_set(&mut self, draft: &Draft) {
        self.text(if draft.recursive { "rec { " } else { "{ " });
        self.draft(draft);
        self.text("}");
    }

    fn draft(&mut self, draft: &Draft) {
        let of = |wanted: Option<usize>| {
            let names = draft.members.iter().filter(move |(_, definition)| match definition {
                Definition::Inherit => wanted.is_none(),
                Definition::InheritFrom(index) => wanted == Some(*index),
                _ => false,
            });
            names.map(|(name, _)| name).collect::<Vec<_>>()
        };
        for (from, names) in std::iter::once((None, of(None)))
            .chain(draft.froms.iter().enumerate().map(|(index, from)| (Some(from), of(Some(index)))))
        {
            if names.is_empty() {
                continue;
            }
            self.text("inherit");
            if let Some(from) = from {
                self.text(" (");
                self.expr(*from);
                self.text(")");
            }
            for name in names {
                self.text(" ");
                self.name(name);
            }
            self.text("; ");
        }
        for (name, definition) in &draft.members {
            if matches!(definition, Definition::Code(_) | Definition::Set(_)) {
                self.name(name);
                self.value(definition);
            }
        }
        for (attr, definition) in &draft.computed {
            self.computed_name(*attr);
            self.value(definition);
        }
    }

    fn value(&mut self, definition: &Definition) {
        self.text(" = ");
        match definition {
            Definition::Code(code) => self.expr(*code),
            Definition::Set(draft) => self.draft_set(draft),
            Definition::Inherit | Definition::InheritFrom(_) => {}
        }
        self.text("; ");
    }

    pub(super) fn attr_path(&mut self, path: Span) {
        for (index, attr) in self.tree.attrs(path).iter().enumerate() {
            if index > 0 {
                self.text(".");
            }
            match static_name(self.tree, *attr) {
                Some(name) => self.name(&name),
                None => self.computed_name(*attr),
            }
        }
    }

    fn computed_name(&mut self, attr: Attr) {
        self.text("\"${");
        match attr {
            Attr::Computed { code, .. } | Attr::Str(code) => self.expr(code),
            Attr::Name(place) => self.name(self.tree.at(place)),
        }
        self.text("}\"");
    }
}

/// The name, unless it is computed: `"a"` and `${"a"}` are not.
fn static_name(tree: &Tree<'_>, attr: Attr) -> Option<Vec<u8>> {
    let code = match attr {
        Attr::Name(place) => return Some(tree.at(place).to_vec()),
        Attr::Str(code) | Attr::Computed { code, .. } => code,
    };
    match tree.kind(code) {
        Kind::Str { indented, pieces } => {
            let (parts, has_code) = string_parts(tree, indented, tree.pieces(pieces));
            let text = || parts.iter().flat_map(|part| part.text().iter().copied()).collect();
            (!has_code).then(text)
        }
        Kind::Uri { end } => Some(tree.text(tree.start(code), end).to_vec()),
        _ => None,
    }
}
