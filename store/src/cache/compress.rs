//! Archives as caches keep them.

use std::io::{self, BufReader, Read};

use crate::narinfo::Compression;

/// Reads what a cache keeps as what it is.
///
/// # Errors
/// The decoder cannot be set up.
pub(super) fn decoder<'s>(
    compression: Compression,
    stream: impl Read + 's,
) -> io::Result<Box<dyn Read + 's>> {
    Ok(match compression {
        Compression::None => Box::new(stream),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(stream)),
        Compression::Xz => {
            // What Nix's own caches were made with fits into less.
            let decoder =
                liblzma::stream::Stream::new_stream_decoder(256 << 20, liblzma::stream::CONCATENATED);
            let decoder = decoder.map_err(io::Error::other)?;
            Box::new(liblzma::read::XzDecoder::new_stream(stream, decoder))
        }
        Compression::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(1 << 17, stream))?;
            // The largest window of a level that anybody uses (`--ultra -22`).
            decoder.window_log_max(27)?;
            Box::new(decoder)
        }
    })
}
