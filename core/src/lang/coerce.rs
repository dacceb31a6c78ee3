//! Turning values into strings: interpolation, `+`, `toString`, derivations.

use std::path::{Path, PathBuf};

use osbuild_store::store::{Ingestion, SourceTree};
use osbuild_store::{StorePath, path::check_name};

use super::context::{Context, Element, Gathered};
use super::error::ErrorKind;
use super::eval::{Eval, Evaluator};
use super::float;
use super::host::{FileKind, StandIns};
use super::shipped;
use super::source::Pos;
use super::value::{Attr, Str, Value};

/// How far coercion goes.
#[derive(Clone, Copy)]
pub struct Coercion {
    /// Numbers, booleans, null and lists too.
    pub more: bool,
    /// Paths become store paths, the files copied.
    pub copy: bool,
}

impl Coercion {
    /// Interpolation: paths are copied.
    pub const INTERPOLATE: Self = Self { more: false, copy: true };
    /// Strings and paths as they are.
    pub const REFERENCE: Self = Self { more: false, copy: false };
    /// `toString`.
    pub const TO_STRING: Self = Self { more: true, copy: false };
    /// The environment of a derivation.
    pub const DERIVATION: Self = Self { more: true, copy: true };
}

impl Evaluator {
    pub fn coerce(&mut self, value: Value, how: Coercion, pos: Pos) -> Eval<&'static Str> {
        if let Value::String(text) = value {
            return Ok(text);
        }
        self.coerce_inside(value, how, pos)
    }

    #[inline(never)]
    fn coerce_inside(&mut self, value: Value, how: Coercion, pos: Pos) -> Eval<&'static Str> {
        self.descend(pos, |e| e.coerce_any(value, how, pos))
    }

    fn coerce_any(&mut self, value: Value, how: Coercion, pos: Pos) -> Eval<&'static Str> {
        let value = self.force_at(value, pos)?;
        let text: Vec<u8> = match value {
            Value::String(text) => return Ok(text),
            Value::Path(path) if how.copy => return self.copy_path(path, pos),
            Value::Path(path) => match shipped::within(path.bytes(self.heap)) {
                None => return Ok(path),
                Some(plain) => plain.to_vec(),
            },
            Value::Attrs(attrs) => {
                if let Some(to_string) = attrs.get(self.known.to_string) {
                    return self.call_to_string(to_string, value, how, pos);
                }
                match attrs.get(self.known.out_path) {
                    Some(path) => return self.coerce_inside(path.value, how, path.pos),
                    None => return Err(self.cannot_coerce(value, pos)),
                }
            }
            Value::Bool(true) if how.more => b"1".to_vec(),
            Value::Bool(false) | Value::Null if how.more => Vec::new(),
            Value::Int(number) if how.more => number.to_string().into_bytes(),
            Value::Float(number) if how.more => float::fixed(number).into_bytes(),
            Value::List(list) if how.more => {
                let mut text = Vec::new();
                let mut context = Gathered::default();
                for (index, item) in list.items.iter().enumerate() {
                    let part = self.coerce_inside(*item, how, pos)?;
                    text.extend_from_slice(part.bytes(self.heap));
                    context.add(part.context);
                    // An empty list inside leaves no space behind it.
                    let empty = matches!(self.force(*item)?, Value::List(l) if l.items.is_empty());
                    if index + 1 < list.items.len() && !empty {
                        text.push(b' ');
                    }
                }
                let context = self.contexts.join(context);
                return Ok(self.heap.cell(Str::flat(self.heap.bytes(&text), context)));
            }
            other => return Err(self.cannot_coerce(other, pos)),
        };
        Ok(self.heap.cell(Str::flat(self.heap.bytes(&text), Context::EMPTY)))
    }

    /// What a set's `__toString` says of it.
    pub(super) fn call_to_string(
        &mut self,
        to_string: &'static Attr,
        set: Value,
        how: Coercion,
        pos: Pos,
    ) -> Eval<&'static Str> {
        let function = self.force_at(to_string.value, to_string.pos)?;
        let result = self.call(function, &[set], pos)?;
        self.coerce_inside(result, how, pos)
    }

    #[cold]
    fn cannot_coerce(&self, value: Value, pos: Pos) -> super::error::Fault {
        let shown = self.show_brief(value);
        let message = format!("cannot coerce {} to a string: {shown}", value.kind_with_article());
        self.fault(ErrorKind::Type, message, pos)
    }

    /// `"…${…}…"` and `string + …`.
    pub(super) fn join_strings(&mut self, values: &[Value], pos: Pos) -> Eval {
        let mut parts = Vec::with_capacity(values.len());
        for value in values {
            parts.push(self.coerce(*value, Coercion::INTERPOLATE, pos)?);
        }
        Ok(self.join(&parts))
    }

    pub(super) fn join(&mut self, parts: &[&'static Str]) -> Value {
        let context = parts.iter().fold(Context::EMPTY, |all, p| self.contexts.union(all, p.context));
        if let [left, right] = parts {
            // An accumulator that grows stays a rope.
            if right.is_empty() && left.context == context {
                return Value::String(left);
            }
            return Value::String(self.heap.cell(Str::join(left, right, context, self.heap)));
        }
        let length = parts.iter().map(|p| p.len()).sum();
        let mut text = Vec::with_capacity(length);
        for part in parts {
            text.extend_from_slice(part.bytes(self.heap));
        }
        self.string_with(&text, context)
    }

    /// `path + …` and path literals with interpolation: a path again.
    pub(super) fn join_path(&mut self, values: &[Value], pos: Pos) -> Eval {
        let mut text = Vec::new();
        for value in values {
            let part = self.coerce(*value, Coercion::REFERENCE, pos)?;
            if !part.context.is_empty() {
                let message = "a string that refers to a store path cannot be appended to a path";
                return self.fail(ErrorKind::Value, message, pos);
            }
            text.extend_from_slice(part.bytes(self.heap));
        }
        let normal = super::lower::normal(&bytes_path(&text));
        Ok(self.path(&normal))
    }

    /// A value that names a file: its absolute path and what it depends on.
    pub fn coerce_path(&mut self, value: Value, pos: Pos) -> Eval<(PathBuf, Context)> {
        let value = self.force_at(value, pos)?;
        if let Value::Path(path) = value
            && shipped::within(path.bytes(self.heap)).is_some()
        {
            return Ok((bytes_path(path.bytes(self.heap)), Context::EMPTY));
        }
        let text = self.coerce(value, Coercion::REFERENCE, pos)?;
        let bytes = text.bytes(self.heap);
        if bytes.first() != Some(&b'/') {
            let shown = String::from_utf8_lossy(bytes);
            let message = format!("string '{shown}' doesn't represent an absolute path");
            return self.fail(ErrorKind::Value, message, pos);
        }
        let normal = super::lower::normal(&bytes_path(bytes));
        Ok((bytes_path(&normal), text.context))
    }

    /// As [`Evaluator::coerce_path`], with the file made to exist if it is the
    /// output of a derivation.
    pub fn readable_path(&mut self, value: Value, pos: Pos) -> Eval<(PathBuf, Context)> {
        let (path, context) = self.coerce_path(value, pos)?;
        if context.is_empty() {
            return Ok((path, context));
        }
        let realised = self.host.realise(&self.contexts.elements(context)).map_err(|unrealised| {
            let doing = format!("while realising the context of path '{}'", path.display());
            self.host_fault(&unrealised.error, pos).of_kind(self.heap, unrealised.kind).within_text(
                self.heap,
                &doing,
                Pos::NONE,
            )
        })?;
        Ok((with_outputs(path, &realised), context))
    }

    fn copy_path(&mut self, path: &'static Str, pos: Pos) -> Eval<&'static Str> {
        let path = bytes_path(path.bytes(self.heap));
        let store_path = self.add_path(&path, pos)?;
        let text = self.host.store_dir().display(&store_path);
        let context = self.contexts.single(Element::Opaque(store_path));
        Ok(self.heap.cell(Str::flat(self.heap.bytes(text.as_bytes()), context)))
    }

    /// Copies a path to the store under its own name, once in a run.
    pub fn add_path(&mut self, path: &Path, pos: Pos) -> Eval<StorePath> {
        if let Some(known) = self.copied.get(path) {
            return Ok(known.clone());
        }
        let name = shipped::base_name(path);
        if name.ends_with(".drv") {
            return self.fail(ErrorKind::Value, "file names are not allowed to end in '.drv'", pos);
        }
        let host = self.host.clone();
        if host.kind(path).map_err(|error| self.host_fault(&error, pos))?.is_none() {
            let message = format!("path '{}' does not exist", path.display());
            return self.fail(ErrorKind::Host, message, pos);
        }
        if let Err(error) = check_name(&name) {
            return self.fail(ErrorKind::Value, error.to_string(), pos);
        }
        let tree = self.source_tree(path, pos, &mut |_, _, _| Ok(true))?;
        let store_path = host
            .add_source(&name, &tree, Ingestion::Recursive)
            .map_err(|error| self.host_fault(&error, pos))?;
        self.copied.insert(path.to_owned(), store_path.clone());
        Ok(store_path)
    }

    /// Describes a tree of files; `keep` decides about everything below the
    /// root.
    pub fn source_tree(
        &mut self,
        path: &Path,
        pos: Pos,
        keep: &mut dyn FnMut(&mut Self, &Path, FileKind) -> Eval<bool>,
    ) -> Eval<SourceTree> {
        self.check_stack(pos)?;
        let host = self.host.clone();
        let kind = host.kind(path).map_err(|error| self.host_fault(&error, pos))?;
        match kind {
            None => {
                let message = format!("path '{}' does not exist", path.display());
                self.fail(ErrorKind::Host, message, pos)
            }
            Some(FileKind::Regular { executable }) => {
                host.leaf(path, executable).map_err(|error| self.host_fault(&error, pos))
            }
            Some(FileKind::Symlink) => {
                let target = host.read_link(path).map_err(|error| self.host_fault(&error, pos))?;
                Ok(SourceTree::Symlink { target })
            }
            Some(FileKind::Directory) => {
                let mut entries = host.members(path).map_err(|error| self.host_fault(&error, pos))?;
                entries.sort();
                let mut members = std::collections::BTreeMap::new();
                for (name, kind) in entries {
                    let member = shipped::member(path, &name);
                    if keep(self, &member, kind)? {
                        members.insert(name, self.source_tree(&member, pos, keep)?);
                    }
                }
                Ok(SourceTree::Directory(members))
            }
            Some(FileKind::Special) => {
                let message = format!("file '{}' has an unsupported type", path.display());
                self.fail(ErrorKind::Host, message, pos)
            }
        }
    }
}

/// A path with the outputs themselves instead of what stood in for them.
fn with_outputs(path: PathBuf, stand_ins: &StandIns) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let mut text = path.as_os_str().as_bytes().to_vec();
    for (stand_in, output) in stand_ins {
        let stand_in = stand_in.as_bytes();
        while let Some(at) = text.windows(stand_in.len()).position(|window| window == stand_in) {
            text.splice(at..at + stand_in.len(), output.bytes());
        }
    }
    bytes_path(&text)
}

pub fn bytes_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}
