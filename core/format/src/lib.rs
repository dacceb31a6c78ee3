//! Image formats: bytes in, bytes out.
