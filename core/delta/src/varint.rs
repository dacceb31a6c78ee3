//! Numbers of few bytes: seven bits a byte, least first, the eighth set in all
//! but the last. Signed ones are folded so that small ones stay small: 0, -1,
//! 1, -2, …

/// Ten bytes hold sixty-four bits.
const MAX_BYTES: u32 = 10;

#[cfg(any(feature = "make", test))]
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(any(feature = "make", test))]
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1) as u64 ^ (value >> 63) as u64);
}

/// Takes a number from whatever gives bytes; `Ok(None)` if it does not end or
/// has more bits than fit.
pub(crate) fn read<E>(mut next: impl FnMut() -> Result<Option<u8>, E>) -> Result<Option<u64>, E> {
    let mut value = 0u64;
    for index in 0..MAX_BYTES {
        let Some(byte) = next()? else { return Ok(None) };
        let bits = u64::from(byte & 0x7f);
        if index == MAX_BYTES - 1 && bits > 1 {
            return Ok(None);
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

pub(crate) fn unfold(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Takes a number from the front of some bytes.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let next = || -> Result<Option<u8>, std::convert::Infallible> {
        let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
        *bytes = rest;
        Ok(Some(*first))
    };
    match read(next) {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(value in any::<u64>(), shift in 0..64u32, signed in any::<i64>()) {
            let (value, signed) = (value >> shift, signed >> shift);
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            put_signed(&mut bytes, signed);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take(&mut rest), Some(value));
            prop_assert_eq!(take(&mut rest).map(unfold), Some(signed));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn what_does_not_end_or_fit_is_none() {
        for bytes in
            [&[][..], &[0x80], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
        {
            assert_eq!(take(&mut &*bytes), None);
        }
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(take(&mut largest.as_slice()), Some(u64::MAX));
    }
}
