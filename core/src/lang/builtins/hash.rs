//! Hashes and their spellings.

use osbuild_store::{HashAlgorithm, NixHash};

use super::{Builtin, Eval, Evaluator, Pos, Value};

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("convertHash", 1, convert_hash),
    Builtin::new("hashFile", 2, hash_file),
    Builtin::new("hashString", 2, hash_string),
];

fn algorithm(e: &mut Evaluator, value: Value, pos: Pos) -> Eval<HashAlgorithm> {
    let name = e.force_plain(value, pos)?;
    let name = String::from_utf8_lossy(name);
    match HashAlgorithm::parse(&name) {
        Some(algorithm) => Ok(algorithm),
        None if name == "blake3" => {
            e.refuse("experimental Nix feature 'blake3-hashes' is disabled; use sha256 or sha512", pos)
        }
        None => e.refuse(
            format!("unknown hash algorithm '{name}', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'"),
            pos,
        ),
    }
}

fn hash_string(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let algorithm = algorithm(e, args[0], pos)?;
    let text = e.force_str(args[1], pos)?;
    let hash = NixHash::of(algorithm, text.bytes(e.heap));
    Ok(e.string(hash.to_hex().as_bytes()))
}

fn hash_file(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let algorithm = algorithm(e, args[0], pos)?;
    let (path, _) = e.readable_path(args[1], pos)?;
    let contents = e.host.file(&path).map_err(|error| e.host_fault(&error, pos))?;
    let hash = NixHash::of(algorithm, &contents);
    Ok(e.string(hash.to_hex().as_bytes()))
}

fn convert_hash(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let attrs = e.force_attrs(args[0], pos)?;
    let [hash, hash_algorithm, to_format] =
        [&b"hash"[..], b"hashAlgo", b"toHashFormat"].map(|name| e.symbols.intern(name));
    let text = e.required_attr(attrs, hash, pos)?;
    let text = String::from_utf8_lossy(e.force_plain(text, pos)?).into_owned();
    let algorithm = match attrs.get(hash_algorithm) {
        Some(attr) => Some(algorithm(e, attr.value, pos)?),
        None => None,
    };
    let format = e.required_attr(attrs, to_format, pos)?;
    let format = String::from_utf8_lossy(e.force_plain(format, pos)?).into_owned();
    let spell = match format.as_str() {
        "base16" => NixHash::to_hex,
        "nix32" | "base32" => NixHash::to_nix_base32,
        "base64" => NixHash::to_base64,
        "sri" => NixHash::to_sri,
        other => {
            return e.refuse(
                format!("unknown hash format '{other}', expect 'base16', 'base32', 'base64', or 'sri'"),
                pos,
            );
        }
    };
    let hash = match NixHash::parse(&text, algorithm) {
        Ok(hash) => hash,
        Err(error) => return e.refuse(error.to_string(), pos),
    };
    Ok(e.string(spell(&hash).as_bytes()))
}
