use super::*;
use crate::varint::{put, put_signed};

const OLD_BYTES: u64 = 10_000;

/// A head with this index; fields of the header can be bent.
fn head(index: &[u8], new_bytes: u64, bend: impl Fn(&mut [u8])) -> Vec<u8> {
    let packed = zstd::bulk::compress(index, 3).unwrap();
    let mut bytes = MAGIC.to_vec();
    let packer = zstd::zstd_safe::version_number();
    for field in [VERSION, packed.len() as u32, index.len() as u32, packer] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&(64_u64 << 20).to_le_bytes());
    for size in [OLD_BYTES, new_bytes] {
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&[7; 32]);
    }
    bend(&mut bytes);
    [bytes, packed].concat()
}

fn read(bytes: &[u8]) -> Result<Plan> {
    Plan::read(&mut &*bytes, &Limits { memory_bytes: 64 << 20, new_bytes: 1 << 30 })
}

fn copy(from: i64, bytes: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, COPY);
    put_signed(&mut out, from);
    put(&mut out, bytes);
    out
}

/// A step of one piece and one cut.
fn made(bytes: u64, reference_bytes: u64, piece: (i64, u64), cut: [u64; 3], streams: [u64; 3]) -> Vec<u8> {
    made_with(22, bytes, reference_bytes, piece, cut, streams)
}

fn made_with(
    window_log: u64,
    bytes: u64,
    reference_bytes: u64,
    piece: (i64, u64),
    cut: [u64; 3],
    streams: [u64; 3],
) -> Vec<u8> {
    let mut out = Vec::new();
    [MAKE, bytes, reference_bytes, 1].into_iter().for_each(|number| put(&mut out, number));
    put_signed(&mut out, piece.0);
    put(&mut out, piece.1);
    put(&mut out, 1);
    cut.into_iter().chain([window_log]).chain(streams).for_each(|number| put(&mut out, number));
    out
}

#[test]
fn a_plan_is_read() {
    let step = made(500, 4096, (100, 300 << 1 | 1), [1, 4096, 15 << 2 | 1], [10, 20, 30]);
    let index = [copy(0, 4000), step, copy(-4000, 100), copy(0, 50)].concat();
    let bytes = head(&index, 4650, |_| {});
    let plan = read(&bytes).unwrap();
    let places: Vec<_> = plan.steps().iter().map(|step| (step.output_offset, step.delta_bytes)).collect();
    assert_eq!(places, [(0, 0), (4000, 60), (4500, 0), (4600, 0)]);
    assert_eq!(plan.steps()[3].action, Action::Copy { old_offset: 100 });
    assert_eq!(plan.steps()[1].delta_offset, bytes.len() as u64);
    assert_eq!(plan.delta_bytes(), bytes.len() as u64 + 60);
    assert_eq!([0, 3999, 4000, 4649, 4650].map(|good| plan.resume_at(good)), [0, 0, 1, 3, 4]);
}

#[test]
fn what_is_no_plan_is_refused_by_name() {
    let block = [1, 4096, 15 << 2 | 1];
    let step = |reference, piece, cut, streams| made(500, reference, piece, cut, streams);
    for (index, new_bytes, expected) in [
        (copy(0, 100), 101, "another size"),
        (copy(0, OLD_BYTES + 1), OLD_BYTES + 1, "beyond the end"),
        (copy(1, OLD_BYTES), OLD_BYTES, "beyond the end"),
        (copy(-1, 100), 100, "before the begin"),
        (copy(i64::MAX, u64::MAX), 100, "beyond the end"),
        (copy(0, 0), 0, "makes nothing"),
        (vec![2, 0, 0], 100, "unknown kind"),
        (vec![0x80], 100, "cut off"),
        (vec![1, 100, 0, 0x7f], 100, "cut off"),
        (step(0, (0, 1), block, [0; 3]), 500, "a piece has an impossible size"),
        (step(0, (9999, 5 << 1), block, [0; 3]), 500, "beyond the end"),
        (step(0, (0, 2), [0, 4096, 61], [0; 3]), 500, "a frame has an impossible size"),
        (step(0, (0, 2), [1, 0, 61], [0; 3]), 500, "a frame has an impossible size"),
        (step(0, (0, 2), [1, (1 << 20) + 1, 61], [0; 3]), 500, "a frame has an impossible size"),
        (step(0, (0, 2), [1, 8193, 62], [0; 3]), 500, "a frame has an impossible size"),
        (step(0, (0, 2), [u64::MAX, 4096, 61], [0; 3]), 500, "a frame has an impossible size"),
        (step(0, (0, 2), [1, 4096, 23 << 2 | 1], [0; 3]), 500, "a form is unknown"),
        (step(0, (0, 2), [1, 4096, 1], [0; 3]), 500, "a form is unknown"),
        (made_with(9, 500, 0, (0, 2), block, [0; 3]), 500, "a window has an impossible size"),
        (made_with(27, 500, 0, (0, 2), block, [0; 3]), 500, "a window has an impossible size"),
        (step(0, (0, 2), block, [u64::MAX, 1, 0]), 500, "too long"),
        (step(0, (0, 2), block, [u64::MAX - 1, 0, 0]), 500, "too long"),
        (step(0, (0, 2), block, [1 << 40, 0, 0]), 500, "bytes of memory; 67108864"),
        (step(62 << 20, (0, 2), block, [0; 3]), 500, "bytes of memory; 67108864"),
        (step(0, (0, 2), [1, 1 << 20, 15 << 2 | 3], [0; 3]), 500, "fits"),
        (step(0, (0, 2), [30, 1 << 20, 22 << 2 | 1], [0; 3]), 500, "fits"),
        (step(0, (0, 2), [70, 1 << 20, 22 << 2 | 1], [0; 3]), 500, "bytes of unpacked data"),
        (made_with(24, 500, 0, (0, 2), [40, 1 << 20, 61], [0; 3]), 500, "fits"),
        (made_with(26, 500, 0, (0, 2), [60, 1 << 20, 61], [0; 3]), 500, "bytes of memory; 67108864"),
        (step(0, (0, 2), [1, u64::MAX, 0], [0; 3]), 500, "bytes of unpacked data"),
        (step(0, (0, 2), block, [0; 3]).repeat(100_000), 50_000_000, "bytes of index"),
    ] {
        match read(&head(&index, new_bytes, |_| {})) {
            Ok(_) => assert_eq!(expected, "fits"),
            Err(error) => assert!(error.to_string().contains(expected), "{error}, not {expected}"),
        }
    }
}

#[test]
fn a_bent_header_is_refused_by_name() {
    let index = copy(0, 100);
    for (at, value, expected) in [
        (0, b'O', "does not begin as one"),
        (8, 2, "version 2"),
        (12, 1, "does not decompress"),
        (14, 0xff, "bytes of index"),
        (16, 1, "does not decompress"),
        (16, 0xff, "does not decompress"),
        (18, 0xff, "bytes of index"),
        (30, 1, "bytes of memory"),
        (27, 0, "bytes of memory"),
        (77, 1, "bytes of space"),
    ] {
        let error = read(&head(&index, 100, |header| header[at] = value)).unwrap_err().to_string();
        assert!(error.contains(expected), "{at}: {error}, not {expected}");
    }
    let whole = head(&index, 100, |_| {});
    assert!(read(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
}

/// A compressor of another version is of no use, unless nothing is compressed.
#[test]
fn another_compressor_is_refused_where_it_matters() {
    let other = |header: &mut [u8]| header[20] ^= 1;
    let block = made(500, 0, (0, 2), [1, 4096, 61], [0; 3]);
    let plain = made(500, 0, (0, 2), [1, 500, 0], [0; 3]);
    assert!(read(&head(&block, 500, |_| {})).is_ok());
    assert!(matches!(read(&head(&block, 500, other)), Err(Error::Compressor { .. })));
    assert!(read(&head(&plain, 500, other)).is_ok());
    assert!(read(&head(&copy(0, 500), 500, other)).is_ok());
}

/// What a frame is reckoned to take is what libzstd takes, at any level.
#[test]
fn packing_and_reading_stay_within_what_is_reckoned() {
    use zstd::zstd_safe::{CCtx, CParameter, DCtx, InBuffer, OutBuffer};
    let bytes: Vec<u8> = (0..3 << 20_u32).map(|index: u32| (index.wrapping_mul(index) >> 11) as u8).collect();
    for size in [100, 4096, 8192, 100_000, 128 << 10, 1 << 20] {
        for level in 1..=22 {
            let mut context = CCtx::create();
            context.set_parameter(CParameter::CompressionLevel(level)).unwrap();
            let mut out = vec![0; 2 * size + 1000];
            context.compress2(&mut out[..], &bytes[..size]).unwrap();
            let taken = (context.sizeof() + 2 * size) as u64;
            let reckoned = Form::Block { level }.memory_bytes(size as u64);
            assert!(taken <= reckoned, "{size} at level {level}: {taken}, not {reckoned}");
        }
    }
    for log in [20, 25] {
        let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
        compressor.set_parameter(CParameter::WindowLog(log)).unwrap();
        let packed = compressor.compress(&bytes).unwrap();
        let (mut context, mut out) = (DCtx::create(), vec![0; bytes.len() / 2]);
        context
            .decompress_stream(&mut OutBuffer::around(&mut out[..]), &mut InBuffer::around(&packed))
            .unwrap();
        // Its reader holds a part of what is stored besides.
        let taken = (context.sizeof() + zstd::Decoder::<&[u8]>::recommended_output_size()) as u64;
        let reckoned = (1 << log).min(bytes.len() as u64) + STREAM_BYTES;
        assert!((1 << 20..=reckoned).contains(&taken), "{taken}, not {reckoned}");
    }
}
