//! The `.drv` format: ATerm, as Nix writes it byte for byte.
//!
//! Source: Nix manual, "Derivation ATerm format".

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use osbuild_store::action::OutputName;
use osbuild_store::{HashAlgorithm, NixHash, StoreDir, StorePath};
use sha2::{Digest, Sha256};

use super::{Derivation, Output};

/// A `.drv` file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtermError {
    /// The bytes at `offset` are not what the grammar asks for.
    #[error("malformed derivation at byte {offset}: expected {expected}")]
    Syntax { offset: usize, expected: &'static str },
    /// A list that must be strictly ascending is not.
    #[error("malformed derivation at byte {offset}: entries are not in ascending order")]
    Order { offset: usize },
    /// A field holds an ill-formed store path, output name or hash.
    #[error("malformed derivation: {0}")]
    Field(String),
}

/// Writes a derivation.
pub fn to_aterm(derivation: &Derivation, store_dir: &StoreDir) -> Vec<u8> {
    Aterm::of(derivation, store_dir).text
}

/// A derivation as it is written.
pub struct Aterm {
    text: Vec<u8>,
    /// Where the list of input derivations stands.
    inputs: Range<usize>,
}

impl Aterm {
    pub fn of(derivation: &Derivation, store_dir: &StoreDir) -> Self {
        write(derivation, store_dir)
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The SHA-256 of the text with its input derivations given by other
    /// names: by their hash modulo fixed outputs, in hexadecimal.
    pub(super) fn hash_with_inputs(&self, inputs: &BTreeMap<String, BTreeSet<OutputName>>) -> [u8; 32] {
        let mut list = Vec::with_capacity(100 * inputs.len() + 2);
        write_list(&mut list, inputs.iter(), |out, (hex, outputs)| {
            out.push(b'(');
            write_plain(out, hex.as_bytes());
            write_input_outputs(out, outputs);
        });
        let hasher = Sha256::new().chain_update(&self.text[..self.inputs.start]);
        hasher.chain_update(list).chain_update(&self.text[self.inputs.end..]).finalize().into()
    }
}

fn write_input_outputs(out: &mut Vec<u8>, outputs: &BTreeSet<OutputName>) {
    out.push(b',');
    write_list(out, outputs.iter(), |out, name| write_plain(out, name.as_str().as_bytes()));
    out.push(b')');
}

fn write(derivation: &Derivation, store_dir: &StoreDir) -> Aterm {
    let mut text = Vec::with_capacity(size_estimate(derivation));
    let out = &mut text;
    out.extend_from_slice(b"Derive(");
    write_list(out, derivation.outputs.iter(), |out, (name, output)| {
        let (path, method, hash) = output_fields(output, store_dir);
        out.push(b'(');
        for (index, field) in [name.as_str(), &path, &method, &hash].into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_plain(out, field.as_bytes());
        }
        out.push(b')');
    });
    out.push(b',');
    let start = out.len();
    write_list(out, derivation.input_derivations.iter(), |out, (path, outputs)| {
        out.push(b'(');
        write_path(out, path, store_dir);
        write_input_outputs(out, outputs);
    });
    let inputs = start..out.len();
    out.push(b',');
    let sources = derivation.input_sources.iter();
    write_list(out, sources, |out, path| write_path(out, path, store_dir));
    out.push(b',');
    write_plain(out, &derivation.system);
    out.push(b',');
    write_string(out, &derivation.builder);
    out.push(b',');
    write_list(out, derivation.arguments.iter(), |out, argument| write_string(out, argument));
    out.push(b',');
    write_list(out, derivation.environment.iter(), |out, (name, value)| {
        out.push(b'(');
        write_string(out, name);
        out.push(b',');
        write_string(out, value);
        out.push(b')');
    });
    out.push(b')');
    Aterm { text, inputs }
}

/// About as many bytes as a derivation's text has: enough for most, so that
/// writing it seldom moves it.
fn size_estimate(derivation: &Derivation) -> usize {
    let strings = derivation.environment.iter().map(|(name, value)| name.len() + value.len() + 10);
    let arguments = derivation.arguments.iter().map(|argument| argument.len() + 5);
    let paths =
        derivation.outputs.len() + derivation.input_derivations.len() + derivation.input_sources.len();
    derivation.builder.len() + strings.chain(arguments).sum::<usize>() + 120 * paths + 100
}

/// Path, method-and-algorithm, digest in hexadecimal; empty where unknown.
fn output_fields(output: &Output, store_dir: &StoreDir) -> (String, String, String) {
    let method = |recursive: bool, algorithm: HashAlgorithm| {
        format!("{}{}", if recursive { "r:" } else { "" }, algorithm.name())
    };
    match output {
        Output::InputAddressed(path) => (store_dir.display(path), String::new(), String::new()),
        Output::Fixed { path, recursive, hash } => {
            (store_dir.display(path), method(*recursive, hash.algorithm()), hash.to_hex())
        }
        Output::Floating { recursive, algorithm } => {
            (String::new(), method(*recursive, *algorithm), String::new())
        }
        Output::Deferred => Default::default(),
    }
}

fn write_list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, write_item: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_item(out, item);
    }
    out.push(b']');
}

fn write_path(out: &mut Vec<u8>, path: &StorePath, store_dir: &StoreDir) {
    out.push(b'"');
    for part in [store_dir.as_str(), "/", path.as_str()] {
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

fn write_plain(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.push(b'"');
}

fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.iter().any(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t')) {
        return write_plain(out, bytes);
    }
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// Reads a derivation; the whole input must be consumed.
///
/// # Errors
/// See [`AtermError`]. Whatever [`to_aterm`] would not have written is refused
/// (unsorted or duplicate entries, needless escapes, hashes in another
/// spelling): a derivation is named by its bytes.
pub fn from_aterm(bytes: &[u8], store_dir: &StoreDir) -> Result<Derivation, AtermError> {
    let mut reader = Reader { bytes, offset: 0, store_dir };
    reader.token(b"Derive(", "Derive(")?;
    let outputs = reader.ascending(|r| {
        r.token(b"(", "(")?;
        let name = r.output_name()?;
        r.token(b",", ",")?;
        let path = r.text()?;
        r.token(b",", ",")?;
        let method = r.text()?;
        r.token(b",", ",")?;
        let hash = r.text()?;
        r.token(b")", ")")?;
        Ok((name, parse_output(&path, &method, &hash, store_dir)?))
    })?;
    reader.token(b",", ",")?;
    let input_derivations = reader.ascending(|r| {
        r.token(b"(", "(")?;
        let path = r.store_path()?;
        r.token(b",", ",")?;
        let names = r.ascending(|r| Ok((r.output_name()?, ())))?;
        r.token(b")", ")")?;
        Ok((path, names.into_keys().collect()))
    })?;
    reader.token(b",", ",")?;
    let input_sources = reader.ascending(|r| Ok((r.store_path()?, ())))?;
    reader.token(b",", ",")?;
    let system = reader.plain()?.to_owned();
    reader.token(b",", ",")?;
    let builder = reader.string()?;
    reader.token(b",", ",")?;
    let arguments = reader.list(Reader::string)?;
    reader.token(b",", ",")?;
    let environment = reader.ascending(|r| {
        r.token(b"(", "(")?;
        let name = r.string()?;
        r.token(b",", ",")?;
        let value = r.string()?;
        r.token(b")", ")")?;
        Ok((name, value))
    })?;
    reader.token(b")", ")")?;
    if reader.offset != bytes.len() {
        return Err(reader.expected("end of file"));
    }
    Ok(Derivation {
        outputs,
        input_derivations,
        input_sources: input_sources.into_keys().collect(),
        system,
        builder,
        arguments,
        environment,
    })
}

fn parse_output(path: &str, method: &str, hash: &str, store_dir: &StoreDir) -> Result<Output, AtermError> {
    let field = |e: &dyn std::fmt::Display| AtermError::Field(e.to_string());
    let parse_path = || store_dir.parse(path).map_err(|e| field(&e));
    if method.is_empty() {
        return match (path, hash) {
            ("", "") => Ok(Output::Deferred),
            (_, "") => Ok(Output::InputAddressed(parse_path()?)),
            _ => Err(AtermError::Field("an output has a hash but no algorithm".to_owned())),
        };
    }
    let (recursive, name) = match method.strip_prefix("r:") {
        Some(name) => (true, name),
        None => (false, method),
    };
    let algorithm = HashAlgorithm::parse(name)
        .ok_or_else(|| AtermError::Field(format!("unknown hash algorithm '{name}'")))?;
    if hash.is_empty() {
        if !path.is_empty() {
            return Err(AtermError::Field("a floating output names a path".to_owned()));
        }
        return Ok(Output::Floating { recursive, algorithm });
    }
    let text = hash;
    let hash = NixHash::parse(text, Some(algorithm)).map_err(|e| field(&e))?;
    if hash.to_hex() != text {
        return Err(AtermError::Field(format!("the hash '{text}' is not in lower-case hexadecimal")));
    }
    Ok(Output::Fixed { path: parse_path()?, recursive, hash })
}

struct Reader<'b> {
    bytes: &'b [u8],
    offset: usize,
    store_dir: &'b StoreDir,
}

impl Reader<'_> {
    fn expected(&self, expected: &'static str) -> AtermError {
        AtermError::Syntax { offset: self.offset, expected }
    }

    fn token(&mut self, token: &[u8], expected: &'static str) -> Result<(), AtermError> {
        if !self.bytes[self.offset..].starts_with(token) {
            return Err(self.expected(expected));
        }
        self.offset += token.len();
        Ok(())
    }

    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, AtermError>,
    ) -> Result<Vec<T>, AtermError> {
        self.token(b"[", "[")?;
        let mut items = Vec::new();
        while self.bytes.get(self.offset) != Some(&b']') {
            if !items.is_empty() {
                self.token(b",", ", or ]")?;
            }
            items.push(item(self)?);
        }
        self.offset += 1;
        Ok(items)
    }

    fn ascending<K: Ord, V>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<(K, V), AtermError>,
    ) -> Result<BTreeMap<K, V>, AtermError> {
        let start = self.offset;
        let items = self.list(item)?;
        if items.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(AtermError::Order { offset: start });
        }
        Ok(items.into_iter().collect())
    }

    fn string(&mut self) -> Result<Vec<u8>, AtermError> {
        self.token(b"\"", "a string")?;
        let mut value = Vec::new();
        loop {
            let byte = *self.bytes.get(self.offset).ok_or_else(|| self.expected("a closing quote"))?;
            self.offset += 1;
            match byte {
                b'"' => return Ok(value),
                b'\\' => {
                    let escaped = *self.bytes.get(self.offset).ok_or_else(|| self.expected("an escape"))?;
                    self.offset += 1;
                    value.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'"' | b'\\' => escaped,
                        _ => return Err(self.expected("an escape that Nix writes")),
                    });
                }
                b'\n' | b'\r' | b'\t' => return Err(self.expected("an escape for a control character")),
                other => value.push(other),
            }
        }
    }

    /// A string that is written as it is, so that it can hold neither a quote
    /// nor, as Nix would read it back as something else, a backslash.
    fn plain(&mut self) -> Result<&[u8], AtermError> {
        self.token(b"\"", "a string")?;
        let rest = &self.bytes[self.offset..];
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(length) if rest[length] == b'"' => {
                self.offset += length + 1;
                Ok(&rest[..length])
            }
            Some(length) => {
                self.offset += length;
                Err(self.expected("a field without escapes"))
            }
            None => Err(self.expected("a closing quote")),
        }
    }

    fn text(&mut self) -> Result<String, AtermError> {
        let text = std::str::from_utf8(self.plain()?).map(str::to_owned);
        text.map_err(|_| self.expected("UTF-8"))
    }

    fn store_path(&mut self) -> Result<StorePath, AtermError> {
        let text = self.text()?;
        self.store_dir.parse(&text).map_err(|e| AtermError::Field(e.to_string()))
    }

    fn output_name(&mut self) -> Result<OutputName, AtermError> {
        let text = self.text()?;
        OutputName::new(&text).ok_or_else(|| AtermError::Field(format!("bad output name '{text}'")))
    }
}
