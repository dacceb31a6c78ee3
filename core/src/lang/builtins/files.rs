//! Reading files, and programs in files.

use std::path::{Path, PathBuf};

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::code::Expr;
use crate::lang::coerce::{Coercion, bytes_path};
use crate::lang::context::{Context, Element};
use crate::lang::error::{ErrorKind, Fault};
use crate::lang::host::FileKind;
use crate::lang::lower::{self, Surroundings};
use crate::lang::portable::{self, BuiltIns, Key};
use crate::lang::shipped;
use crate::lang::source::Base;
use crate::lang::source::Origin;
use crate::lang::symbol::Sym;
use crate::lang::syntax;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("findFile", 2, find_file),
    Builtin::new("getEnv", 1, get_env),
    Builtin::new("import", 1, import),
    Builtin::new("pathExists", 1, path_exists),
    Builtin::new("readDir", 1, read_dir),
    Builtin::new("readFile", 1, read_file),
    Builtin::new("readFileType", 1, read_file_type),
    Builtin::new("scopedImport", 2, scoped_import),
];

fn get_env(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let name = String::from_utf8_lossy(e.force_plain(args[0], pos)?).into_owned();
    let value = e.host.environment(&name).unwrap_or_default();
    Ok(e.string(value.as_bytes()))
}

fn read_file(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (path, _) = e.readable_path(args[0], pos)?;
    let contents = e.host.file(&path).map_err(|error| e.host_fault(&error, pos))?;
    if contents.contains(&0) {
        let shown = path.display();
        return e.refuse(
            format!("the contents of the file '{shown}' cannot be represented as a Nix string"),
            pos,
        );
    }
    // A file of the store may speak of what its object refers to.
    let mut elements = Vec::new();
    if let Ok((object, _)) = e.host.store_dir().split(&path.to_string_lossy()) {
        for reference in e.host.references(&object) {
            let hash = reference.hash_part().as_bytes();
            if contents.windows(hash.len()).any(|window| window == hash) {
                elements.push(Element::Opaque(reference));
            }
        }
    }
    let context = e.contexts.set(elements);
    Ok(e.string_with(&contents, context))
}

fn read_dir(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (path, _) = e.readable_path(args[0], pos)?;
    let entries = e.host.members(&path).map_err(|error| e.host_fault(&error, pos))?;
    let mut members = Vec::with_capacity(entries.len());
    for (name, kind) in entries {
        let name = e.symbols.intern(&name);
        let kind = e.string_static(kind.name().as_bytes(), Context::EMPTY);
        members.push(e.attr(name, kind));
    }
    Ok(e.attrs(members))
}

fn read_file_type(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (path, _) = e.readable_path(args[0], pos)?;
    match e.host.kind(&path).map_err(|error| e.host_fault(&error, pos))? {
        Some(kind) => Ok(e.string_static(kind.name().as_bytes(), Context::EMPTY)),
        None => {
            let message = format!("path '{}' does not exist", path.display());
            e.fail(ErrorKind::Host, message, pos)
        }
    }
}

/// A trailing slash (or `/.`) asks for a directory.
fn path_exists(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let value = e.force_at(args[0], pos)?;
    let text = e.coerce(value, Coercion::REFERENCE, pos)?;
    let bytes = text.bytes(e.heap);
    let wants_directory =
        matches!(value, Value::String(_)) && (bytes.ends_with(b"/") || bytes.ends_with(b"/."));
    let (path, _) = match e.readable_path(value, pos) {
        Ok(found) => found,
        Err(fault) if fault.kind() == ErrorKind::Host => return Ok(Value::Bool(false)),
        Err(fault) => return Err(fault),
    };
    let host = e.host.clone();
    let exists = match host.kind(&path) {
        Ok(None) | Err(_) => false,
        Ok(Some(FileKind::Directory)) => true,
        Ok(Some(FileKind::Symlink)) if wants_directory => host
            .resolve(&path)
            .is_ok_and(|real| matches!(host.file_kind(&real), Ok(Some(FileKind::Directory)))),
        Ok(Some(_)) => !wants_directory,
    };
    Ok(Value::Bool(exists))
}

pub(super) fn search_path_value(e: &mut Evaluator) -> Value {
    let entries = e.host.search_path();
    let items: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let path = e.string(entry.path.as_bytes());
            let prefix = e.string(entry.prefix.as_bytes());
            e.attrs(vec![e.attr(e.known.path, path), e.attr(e.known.prefix, prefix)])
        })
        .collect();
    e.list(&items)
}

fn find_file(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let entries = e.force_list(args[0], pos)?;
    // All places are read before the name is; what they hold only then.
    let mut places = Vec::with_capacity(entries.len());
    for entry in entries {
        let entry = e.force_attrs(*entry, pos)?;
        let prefix = match entry.get(e.known.prefix) {
            Some(attr) => e.force_plain(attr.value, attr.pos)?,
            None => b"",
        };
        let path = e.required_attr(entry, e.known.path, pos)?;
        places.push((prefix, e.coerce(path, Coercion::REFERENCE, pos)?));
    }
    let wanted = e.force_plain(args[1], pos)?;
    for (prefix, base) in places {
        let rest = if prefix.is_empty() {
            wanted
        } else {
            match wanted.strip_prefix(prefix) {
                Some(b"") => b"",
                Some([b'/', rest @ ..]) => rest,
                _ => continue,
            }
        };
        // Relative ones, which only the command line and NIX_PATH give, begin
        // where the command was started.
        let base = match e.host.working_directory() {
            Some(directory) if base.context.is_empty() && base.bytes(e.heap).first() != Some(&b'/') => {
                directory.join(bytes_path(base.bytes(e.heap)))
            }
            _ if base.bytes(e.heap).first() != Some(&b'/') => continue,
            _ => match e.readable_path(Value::String(base), pos) {
                Ok((path, _)) => path,
                Err(fault) if fault.kind() == ErrorKind::Invalid => {
                    let shown = String::from_utf8_lossy(base.bytes(e.heap));
                    let message = format!("cannot find '{shown}', since {}", fault.message());
                    return e.fail(ErrorKind::Invalid, message, pos);
                }
                Err(fault) => return Err(fault),
            },
        };
        let candidate = base.join(bytes_path(rest));
        let candidate = bytes_path(&lower::normal(&candidate));
        if matches!(e.host.file_kind(&candidate), Ok(Some(_))) {
            use std::os::unix::ffi::OsStrExt;
            return Ok(e.path(candidate.as_os_str().as_bytes()));
        }
    }
    if let Some(path) = shipped::path(wanted) {
        return Ok(e.path(&path));
    }
    let shown = String::from_utf8_lossy(wanted);
    if e.host.is_pure() {
        let message = format!("cannot look up '<{shown}>' in pure evaluation mode");
        return e.fail(ErrorKind::Lookup, message, pos);
    }
    let message =
        format!("file '{shown}' was not found in the Nix search path (add it using $NIX_PATH or -I)");
    e.fail(ErrorKind::Lookup, message, pos)
}

fn import(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (path, _) = e.readable_path(args[0], pos)?;
    if let Some((object, derivation)) = e.derivation_at(&path) {
        return e.imported_derivation(&object, &derivation, pos);
    }
    e.import(&path, pos)
}

/// `scopedImport scope path`: the members of `scope` are variables there.
fn scoped_import(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (path, _) = e.readable_path(args[1], pos)?;
    let scope = e.force_attrs(args[0], pos)?;
    let path = e.program_path(&path, pos)?;
    let entries = scope.entries(e.heap);
    let names: Vec<Sym> = entries.iter().map(|a| a.name).collect();
    let code = e.lower_file(&path, Some(&names), pos)?;
    let env = e.scope(None, entries.len());
    for (slot, attr) in entries.iter().enumerate() {
        env.slots[slot].set(attr.value);
    }
    e.eval(code, env)
}

impl Evaluator {
    /// The value of a file, read once in a run.
    pub fn import(&mut self, path: &Path, pos: Pos) -> Eval {
        let path = self.program_path(path, pos)?;
        if let Some(value) = self.imports.get(&path) {
            let value = *value;
            return self.force_at(value, pos);
        }
        let code = self.lower_file(&path, None, pos)?;
        let env = self.scope(None, 0);
        let value = self.eval(code, env)?;
        self.imports.insert(path, value);
        Ok(value)
    }

    /// The file that a path means as a program: links followed, `default.nix`
    /// in a directory.
    fn program_path(&mut self, path: &Path, pos: Pos) -> Eval<PathBuf> {
        let mut path = path.to_owned();
        let host = self.host.clone();
        for _ in 0..1024 {
            match host.kind(&path).map_err(|error| self.host_fault(&error, pos))? {
                Some(FileKind::Symlink) => {
                    let target = host.read_link(&path).map_err(|error| self.host_fault(&error, pos))?;
                    let base = path.parent().unwrap_or(Path::new("/"));
                    path = bytes_path(&lower::normal(&base.join(bytes_path(&target))));
                }
                Some(FileKind::Directory) => return Ok(path.join("default.nix")),
                _ => return Ok(path),
            }
        }
        let message =
            format!("too many symbolic links encountered while traversing the path '{}'", path.display());
        self.fail(ErrorKind::Host, message, pos)
    }

    /// A program's file, as [`Evaluator::import`] finds it, and its bytes.
    pub fn read_program(&mut self, path: &Path, pos: Pos) -> Eval<(PathBuf, Vec<u8>)> {
        let path = self.program_path(path, pos)?;
        let contents = self.host.file(&path).map_err(|error| self.host_fault(&error, pos))?;
        Ok((path, contents))
    }

    fn lower_file(&mut self, path: &Path, outermost: Option<&[Sym]>, pos: Pos) -> Eval<&'static Expr> {
        let contents = self.host.file(path).map_err(|error| self.host_fault(&error, pos))?;
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        self.lower_text(&contents, Origin::File(path.to_owned()), &directory, outermost)
    }

    /// The file that `<name>` means.
    pub fn look_up(&mut self, name: &[u8]) -> Eval<PathBuf> {
        let entries = search_path_value(self);
        let name = self.string(name);
        match find_file(self, &[entries, name], Pos::NONE)? {
            Value::Path(path) => Ok(bytes_path(path.bytes(self.heap))),
            other => Err(self.wrong_type("a path", other, Pos::NONE)),
        }
    }

    /// Reads a program; relative paths in it begin at `directory`. Strings and
    /// comments may hold any bytes.
    pub fn lower_text(
        &mut self,
        text: impl AsRef<[u8]>,
        origin: Origin,
        directory: &Path,
        outermost: Option<&[Sym]>,
    ) -> Eval<&'static Expr> {
        let text = text.as_ref();
        let Some(base) = self.sources.add(origin.clone(), text, directory) else {
            return self.fail(ErrorKind::Syntax, "more than 4 GiB of source text", Pos::NONE);
        };
        let home = self.host.home();
        let key = (matches!(origin, Origin::File(_)) && self.host.keeps_code()).then(|| {
            let globals = self.globals_hash();
            let outermost = outermost.map(|names| names.iter().map(|n| self.symbols.text(*n)).collect());
            Key { text, globals: &globals, directory, home: home.as_deref(), outermost }.hash()
        });
        if let Some(key) = &key
            && let Some(bytes) = self.host.kept_code(key)
            && let Some(code) = self.read_kept(&bytes, base)
        {
            return Ok(code);
        }
        self.files_parsed += usize::from(matches!(origin, Origin::File(_)));
        let tree = syntax::parse(text).map_err(|error| {
            let fault = self.fault(ErrorKind::Syntax, &error.message, base.at(error.offset));
            self.hinted(fault, error.hint)
        })?;
        let mut built_ins = BuiltIns::default();
        let lowered = lower::lower(
            &tree,
            Surroundings {
                heap: self.heap,
                symbols: &mut self.symbols,
                known: &self.known,
                globals: &self.globals,
                codes: &mut self.codes,
                scopes: &mut self.scopes,
                built_ins: &mut built_ins,
                base,
                origin: &origin,
                directory,
                home: home.as_deref(),
                outermost,
            },
        );
        drop(tree);
        if let (Ok(code), Some(key)) = (&lowered, key)
            && let Some(bytes) = portable::write(code, base, &built_ins, &self.symbols, self.heap)
        {
            self.host.keep_code(key, bytes);
        }
        lowered.map_err(|error| {
            let fault = self.fault(ErrorKind::Syntax, &error.message, error.pos);
            self.hinted(fault, error.hint.as_deref())
        })
    }

    fn hinted(&self, fault: Fault, hint: Option<&str>) -> Fault {
        match hint {
            Some(hint) => fault.with_hint(self.heap, hint),
            None => fault,
        }
    }

    fn read_kept(&mut self, bytes: &[u8], base: Base) -> Option<&'static Expr> {
        let (heap, builtins) = (self.heap, self.builtins);
        let (symbols, globals, codes) = (&mut self.symbols, &self.globals, &mut self.codes);
        portable::read(bytes, portable::Around { heap, symbols, globals, builtins, codes, base })
    }

    /// Of the names that are built in, which a host decides.
    fn globals_hash(&mut self) -> blake3::Hash {
        *self.globals_hash.get_or_insert_with(|| {
            let mut names: Vec<&[u8]> = self.globals.keys().map(|name| self.symbols.text(*name)).collect();
            names.sort_unstable();
            blake3::hash(&names.join(&0))
        })
    }
}
