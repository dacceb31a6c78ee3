//! Attribute sets and `let`: merged first, then `inherit`s, plain members and
//! computed names, each group in the order in which Nix prints it.

use std::collections::BTreeMap;

use rnix::ast::{self, AstToken, Expr as Ast, HasEntry};

use super::Printer;
use crate::lang::lower::{string_pieces, strip_parens};

#[derive(Default)]
struct Draft<'a> {
    original: Option<&'a [u8]>,
    recursive: bool,
    members: BTreeMap<Vec<u8>, Definition<'a>>,
    computed: Vec<(ast::Attr, Definition<'a>)>,
    froms: Vec<Ast>,
}

enum Definition<'a> {
    Code(Ast),
    Inherit,
    InheritFrom(usize),
    Set(Draft<'a>),
}

impl<'a> Draft<'a> {
    fn read(entries: impl Iterator<Item = ast::Entry>, recursive: bool, original: Option<&'a [u8]>) -> Self {
        let mut draft = Self { original, recursive, ..Self::default() };
        for entry in entries {
            match entry {
                ast::Entry::Inherit(inherit) => draft.inherit(&inherit),
                ast::Entry::AttrpathValue(binding) => {
                    let (Some(path), Some(value)) = (binding.attrpath(), binding.value()) else { continue };
                    draft.bind(&path.attrs().collect::<Vec<_>>(), value);
                }
            }
        }
        draft
    }

    fn inherit(&mut self, inherit: &ast::Inherit) {
        let from = inherit.from().and_then(|from| from.expr()).map(|expr| {
            self.froms.push(expr);
            self.froms.len() - 1
        });
        for attr in inherit.attrs() {
            if let Some(name) = static_name(&attr, self.original) {
                let definition = from.map_or(Definition::Inherit, Definition::InheritFrom);
                self.members.insert(name, definition);
            }
        }
    }

    fn bind(&mut self, path: &[ast::Attr], value: Ast) {
        let Some((last, parents)) = path.split_last() else { return };
        let original = self.original;
        let empty = || Definition::Set(Self { original, ..Self::default() });
        let mut target = self;
        for attr in parents {
            let inner = match static_name(attr, original) {
                Some(name) => target.members.entry(name).or_insert_with(empty),
                None => {
                    target.computed.push((attr.clone(), empty()));
                    &mut target.computed.last_mut().expect("pushed above").1
                }
            };
            // Lowering has refused what is defined twice.
            let Definition::Set(inner) = inner else { return };
            target = inner;
        }
        let definition = match strip_parens(value) {
            Ast::AttrSet(set) => {
                Definition::Set(Self::read(set.entries(), set.rec_token().is_some(), original))
            }
            other => Definition::Code(other),
        };
        let Some(name) = static_name(last, original) else {
            target.computed.push((last.clone(), definition));
            return;
        };
        match (target.members.get_mut(&name), definition) {
            (Some(Definition::Set(into)), Definition::Set(from)) => into.join(from),
            (_, definition) => drop(target.members.insert(name, definition)),
        }
    }

    fn join(&mut self, from: Self) {
        let shift = self.froms.len();
        self.froms.extend(from.froms);
        for (name, mut definition) in from.members {
            if let Definition::InheritFrom(index) = &mut definition {
                *index += shift;
            }
            self.members.insert(name, definition);
        }
        self.computed.extend(from.computed);
    }
}

impl<'a> Printer<'a> {
    pub(super) fn set(&mut self, set: &ast::AttrSet) {
        self.draft_set(&Draft::read(set.entries(), set.rec_token().is_some(), self.original));
    }

    pub(super) fn bindings(&mut self, entries: impl Iterator<Item = ast::Entry>, recursive: bool) {
        self.draft(&Draft::read(entries, recursive, self.original));
    }

    fn draft_set(&mut self, draft: &Draft<'a>) {
        self.text(if draft.recursive { "rec { " } else { "{ " });
        self.draft(draft);
        self.text("}");
    }

    fn draft(&mut self, draft: &Draft<'a>) {
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
                self.expr(from);
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
            self.computed_name(attr);
            self.value(definition);
        }
    }

    fn value(&mut self, definition: &Definition<'a>) {
        self.text(" = ");
        match definition {
            Definition::Code(code) => self.expr(code),
            Definition::Set(draft) => self.draft_set(draft),
            Definition::Inherit | Definition::InheritFrom(_) => {}
        }
        self.text("; ");
    }

    pub(super) fn attr_path(&mut self, path: Option<ast::Attrpath>) {
        for (index, attr) in path.iter().flat_map(|path| path.attrs()).enumerate() {
            if index > 0 {
                self.text(".");
            }
            match static_name(&attr, self.original) {
                Some(name) => self.name(&name),
                None => self.computed_name(&attr),
            }
        }
    }

    fn computed_name(&mut self, attr: &ast::Attr) {
        self.text("\"${");
        match attr {
            ast::Attr::Dynamic(dynamic) => self.optional(dynamic.expr()),
            ast::Attr::Str(string) => self.string(string),
            ast::Attr::Ident(_) => {}
        }
        self.text("}\"");
    }
}

/// The name, unless it is computed: `"a"` and `${"a"}` are not.
fn static_name(attr: &ast::Attr, original: Option<&[u8]>) -> Option<Vec<u8>> {
    let string = match attr {
        ast::Attr::Ident(ident) => return Some(ident.to_string().trim().as_bytes().to_vec()),
        ast::Attr::Str(string) => string.clone(),
        ast::Attr::Dynamic(dynamic) => match strip_parens(dynamic.expr()?) {
            Ast::Str(string) => string,
            Ast::Literal(literal) => match literal.kind() {
                ast::LiteralKind::Uri(uri) => return Some(uri.syntax().text().as_bytes().to_vec()),
                _ => return None,
            },
            _ => return None,
        },
    };
    let (pieces, has_code) = string_pieces(&string, original);
    if has_code {
        return None;
    }
    Some(pieces.iter().flat_map(|piece| piece.text().iter().copied()).collect())
}
