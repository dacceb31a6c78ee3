//! Path literals, made absolute, and `<x>`.

use std::path::{Component, Path, PathBuf};

use super::{Lowered, Lowerer};
use crate::lang::code::Expr;
use crate::lang::context::Context;
use crate::lang::source::Pos;
use crate::lang::syntax::{PathKind, Piece};
use crate::lang::value::{Str, Value};

impl Lowerer<'_> {
    /// `<x>` is `__findFile __nixPath "x"`, both of which may be shadowed.
    pub(super) fn search_path(&mut self, text: &[u8], pos: Pos) -> Lowered {
        let find_file = self.symbol(b"__findFile");
        let nix_path = self.symbol(b"__nixPath");
        let function = self.variable(find_file, pos)?;
        let places = self.variable(nix_path, pos)?;
        let wanted = self.constant(self.string(within_brackets(text)));
        Ok(self.call(function, &[places, wanted], pos))
    }

    pub(super) fn path(&mut self, kind: PathKind, pieces: &[Piece], pos: Pos) -> Lowered {
        let mut parts: Vec<&'static Expr> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let part = match piece {
                Piece::Text(place) if parts.is_empty() => {
                    let text = self.tree.at(*place);
                    let start = path_start(text, kind, self.around.directory, self.around.home);
                    let Some(bytes) = start else {
                        let text = String::from_utf8_lossy(text);
                        return self
                            .error(format!("the path '{text}' can not be resolved in pure mode"), pos);
                    };
                    let bytes = self.heap().bytes(&bytes);
                    self.constant(Value::Path(self.heap().cell(Str::flat(bytes, Context::EMPTY))))
                }
                Piece::Text(place) => self.constant(self.string(self.tree.at(*place))),
                Piece::Code(code) => self.expr(*code)?,
            };
            parts.push(part);
        }
        Ok(match parts.as_slice() {
            [single] => single,
            parts => self.put(Expr::Interpolate { parts: self.heap().slice(parts), path: true, pos }),
        })
    }
}

/// `x` of `<x>`.
pub(in crate::lang) fn within_brackets(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"<").unwrap_or(text);
    text.strip_suffix(b">").unwrap_or(text)
}

/// The first part of a path literal, absolute; a slash at its end stays for
/// what is interpolated after it. `None`: programs may not know the home.
pub(in crate::lang) fn path_start(
    text: &[u8],
    kind: PathKind,
    directory: &Path,
    home: Option<&Path>,
) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let path = |text| Path::new(std::ffi::OsStr::from_bytes(text));
    let absolute = match kind {
        PathKind::Absolute => PathBuf::from(path(text)),
        PathKind::Home => home?.join(path(text.strip_prefix(b"~/").unwrap_or(text))),
        PathKind::Relative => directory.join(path(text)),
    };
    let mut bytes = normal(&absolute);
    if text.ends_with(b"/") && bytes != b"/" {
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
