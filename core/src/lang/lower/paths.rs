//! Path literals, made absolute, and `<x>`.

use std::path::{Component, Path, PathBuf};

use rnix::SyntaxKind;
use rnix::ast;
use rowan::ast::AstNode;

use super::{Lowered, Lowerer};
use crate::lang::code::Expr;
use crate::lang::context::Context;
use crate::lang::value::{Str, Value};

impl Lowerer<'_> {
    /// `<x>` is `__findFile __nixPath "x"`, both of which may be shadowed.
    pub(super) fn search_path(&mut self, path: &ast::PathSearch) -> Lowered<&'static Expr> {
        let pos = self.pos(path.syntax());
        let text = path.syntax().text().to_string();
        let inner = text.trim().trim_start_matches('<').trim_end_matches('>');
        let find_file = self.symbol("__findFile");
        let nix_path = self.symbol("__nixPath");
        let function = self.variable(find_file, pos)?;
        let places = self.variable(nix_path, pos)?;
        let wanted = self.constant(self.string(inner.as_bytes()));
        Ok(self.call(function, &[places, wanted], pos))
    }

    pub(super) fn path(&mut self, node: &rnix::SyntaxNode, kind: SyntaxKind) -> Lowered<&'static Expr> {
        let pos = self.pos(node);
        let mut parts: Vec<&'static Expr> = Vec::new();
        for child in node.children_with_tokens() {
            match child {
                rnix::NodeOrToken::Token(token) => {
                    let text = token.text();
                    if parts.is_empty() {
                        let start = path_start(text, kind, self.around.directory, self.around.home);
                        let Some(bytes) = start else {
                            return self
                                .error(format!("the path '{text}' can not be resolved in pure mode"), pos);
                        };
                        let bytes = self.heap().bytes(&bytes);
                        let path = self.heap().cell(Str::flat(bytes, Context::EMPTY));
                        parts.push(self.constant(Value::Path(path)));
                    } else {
                        parts.push(self.constant(self.string(text.as_bytes())));
                    }
                }
                rnix::NodeOrToken::Node(node) => {
                    let Some(interpol) = ast::Interpol::cast(node) else { continue };
                    parts.push(self.required(interpol.expr(), interpol.syntax())?);
                }
            }
        }
        Ok(match parts.as_slice() {
            [single] => single,
            parts => self.put(Expr::Interpolate { parts: self.heap().slice(parts), path: true, pos }),
        })
    }
}

/// The first part of a path literal, absolute; a slash at its end stays for
/// what is interpolated after it. `None`: programs may not know the home.
pub(in crate::lang) fn path_start(
    text: &str,
    kind: SyntaxKind,
    directory: &Path,
    home: Option<&Path>,
) -> Option<Vec<u8>> {
    let absolute = match kind {
        SyntaxKind::TOKEN_PATH_ABS => PathBuf::from(text),
        SyntaxKind::TOKEN_PATH_HOME => home?.join(text.trim_start_matches("~/")),
        _ => directory.join(text),
    };
    let mut bytes = normal(&absolute);
    if text.ends_with('/') && bytes != b"/" {
        bytes.push(b'/');
    }
    Some(bytes)
}

/// An absolute path without `.`, `..`, doubled or trailing slashes.
pub(in crate::lang) fn normal(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut parts: Vec<&[u8]> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.as_bytes()),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if parts.is_empty() {
        return b"/".to_vec();
    }
    let mut out = Vec::new();
    for part in parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    out
}
