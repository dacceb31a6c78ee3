//! The archive's grammar on the reading side: strict, and in bounded memory
//! whatever the bytes say.

use std::io::{self, Read};

use super::{MAGIC, MAX_DEPTH, NarError};

/// Is told what an archive holds, in order.
pub trait NarVisitor {
    type Error: From<NarError>;

    /// # Errors
    /// The visitor's own, as in every function here.
    fn directory(&mut self) -> Result<(), Self::Error>;
    /// The member that the next node is; names are checked and ascending.
    fn enter(&mut self, name: &[u8]) -> Result<(), Self::Error>;
    fn leave(&mut self) -> Result<(), Self::Error>;
    fn end_directory(&mut self) -> Result<(), Self::Error>;
    /// `contents` yields exactly `size` bytes; what is left unread is skipped.
    fn regular(&mut self, executable: bool, size: u64, contents: &mut dyn Read) -> Result<(), Self::Error>;
    fn symlink(&mut self, target: &[u8]) -> Result<(), Self::Error>;
}

/// Names and targets longer than these exist on no Linux file system.
const MAX_NAME_BYTES: u64 = 255;
const MAX_TARGET_BYTES: u64 = 4095;
/// The longest token of the grammar.
const MAX_TOKEN_BYTES: u64 = 16;

/// Reads one archive; bytes after it are left in `input`.
///
/// # Errors
/// [`NarError::Malformed`] for anything that [`super::NarWriter`] would not
/// have written, [`NarError::Stream`], or the visitor's own.
pub fn read_nar<V: NarVisitor>(input: &mut dyn Read, visitor: &mut V) -> Result<(), V::Error> {
    let mut reader = Reader { input, offset: 0 };
    reader.expect(MAGIC, "not a Nix archive")?;
    read_node(&mut reader, visitor, 0)
}

fn read_node<V: NarVisitor>(reader: &mut Reader<'_>, visitor: &mut V, depth: usize) -> Result<(), V::Error> {
    if depth > MAX_DEPTH {
        return Err(reader.malformed("directories nest too deep").into());
    }
    reader.expect(b"(", "expected '('")?;
    reader.expect(b"type", "expected 'type'")?;
    match reader.string(MAX_TOKEN_BYTES)?.as_slice() {
        b"regular" => {
            let mut token = reader.string(MAX_TOKEN_BYTES)?;
            let executable = token == b"executable";
            if executable {
                reader.expect(b"", "expected an empty string after 'executable'")?;
                token = reader.string(MAX_TOKEN_BYTES)?;
            }
            if token != b"contents" {
                return Err(reader.malformed("expected 'contents'").into());
            }
            read_contents(reader, visitor, executable)?;
            Ok(reader.expect(b")", "expected ')' after a file")?)
        }
        b"symlink" => {
            reader.expect(b"target", "expected 'target'")?;
            let target = reader.string(MAX_TARGET_BYTES)?;
            if target.is_empty() || target.contains(&0) {
                return Err(reader.malformed("a link's target is empty or holds a NUL").into());
            }
            visitor.symlink(&target)?;
            Ok(reader.expect(b")", "expected ')' after a link")?)
        }
        b"directory" => read_directory(reader, visitor, depth),
        _ => Err(reader.malformed("unknown type of file").into()),
    }
}

fn read_contents<V: NarVisitor>(
    reader: &mut Reader<'_>,
    visitor: &mut V,
    executable: bool,
) -> Result<(), V::Error> {
    let size = reader.number()?;
    let mut contents = Contents { reader, left: size, ended: false };
    visitor.regular(executable, size, &mut contents)?;
    io::copy(&mut contents, &mut io::sink()).map_err(|source| NarError::Stream { action: "read", source })?;
    if contents.ended {
        return Err(reader.malformed("the archive ends inside a file").into());
    }
    Ok(reader.padding(size)?)
}

fn read_directory<V: NarVisitor>(
    reader: &mut Reader<'_>,
    visitor: &mut V,
    depth: usize,
) -> Result<(), V::Error> {
    visitor.directory()?;
    let mut previous: Option<Vec<u8>> = None;
    loop {
        match reader.string(MAX_TOKEN_BYTES)?.as_slice() {
            b")" => return visitor.end_directory(),
            b"entry" => {}
            _ => return Err(reader.malformed("expected 'entry' or ')'").into()),
        }
        reader.expect(b"(", "expected '(' after 'entry'")?;
        reader.expect(b"name", "expected 'name'")?;
        let name = reader.string(MAX_NAME_BYTES)?;
        if name.is_empty() || name == b"." || name == b".." || name.iter().any(|b| *b == b'/' || *b == 0) {
            return Err(reader.malformed("a member's name is no file name").into());
        }
        if previous.as_ref().is_some_and(|previous| *previous >= name) {
            return Err(reader.malformed("members are not in ascending order").into());
        }
        reader.expect(b"node", "expected 'node'")?;
        visitor.enter(&name)?;
        read_node(reader, visitor, depth + 1)?;
        visitor.leave()?;
        reader.expect(b")", "expected ')' after a member")?;
        previous = Some(name);
    }
}

struct Reader<'r> {
    input: &'r mut dyn Read,
    offset: u64,
}

impl Reader<'_> {
    fn malformed(&self, reason: &'static str) -> NarError {
        NarError::Malformed { offset: self.offset, reason }
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), NarError> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.offset += bytes.len() as u64;
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.malformed("the archive ends too early"))
            }
            Err(source) => Err(NarError::Stream { action: "read", source }),
        }
    }

    fn number(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.exactly(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A string of at most `bound` bytes: checked before it is allocated.
    fn string(&mut self, bound: u64) -> Result<Vec<u8>, NarError> {
        let length = self.number()?;
        if length > bound {
            return Err(self.malformed("a string is longer than allowed here"));
        }
        let mut bytes = vec![0; length as usize];
        self.exactly(&mut bytes)?;
        self.padding(length)?;
        Ok(bytes)
    }

    fn expect(&mut self, token: &[u8], reason: &'static str) -> Result<(), NarError> {
        if self.string(MAX_TOKEN_BYTES)? == token { Ok(()) } else { Err(self.malformed(reason)) }
    }

    fn padding(&mut self, length: u64) -> Result<(), NarError> {
        let mut bytes = [0; 8];
        let padding = ((8 - length % 8) % 8) as usize;
        self.exactly(&mut bytes[..padding])?;
        if bytes != [0; 8] {
            return Err(self.malformed("padding is not zero"));
        }
        Ok(())
    }
}

/// A file's contents, cut from the stream.
struct Contents<'c, 'r> {
    reader: &'c mut Reader<'r>,
    left: u64,
    ended: bool,
}

impl Read for Contents<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if want == 0 || self.ended {
            return Ok(0);
        }
        let got = self.reader.input.read(&mut buffer[..want])?;
        self.ended = got == 0;
        self.left -= got as u64;
        self.reader.offset += got as u64;
        Ok(got)
    }
}
