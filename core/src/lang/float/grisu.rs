//! The digits of a float as JSON has them in Nix: those of Grisu2, which read
//! back the same and are the shortest in all but one of a thousand cases.
//!
//! Source: F. Loitsch, "Printing Floating-Point Numbers Quickly and Accurately
//! with Integers" (PLDI 2010), with the powers and the exponents (-60 to -32)
//! that the library of Nix chose; others would give other digits.

/// A number that is `significand` times two to the `exponent`.
#[derive(Clone, Copy)]
struct Binary {
    significand: u64,
    exponent: i32,
}

impl Binary {
    fn normal(self) -> Self {
        let shift = self.significand.leading_zeros();
        Self { significand: self.significand << shift, exponent: self.exponent - shift.cast_signed() }
    }

    /// The upper half of the product, rounded.
    fn times(self, other: Self) -> Self {
        let product = u128::from(self.significand) * u128::from(other.significand);
        let upper = (product + (1 << 63)) >> 64;
        Self {
            significand: u64::try_from(upper).expect("the upper half"),
            exponent: self.exponent + other.exponent + 64,
        }
    }
}

/// The decimal digits of a finite number above zero, and the power of ten that
/// the last of them counts.
pub(super) fn digits(number: f64) -> (Vec<u8>, i32) {
    const HIDDEN: u64 = 1 << 52;
    let bits = number.to_bits();
    let (fraction, biased) = (bits & (HIDDEN - 1), i32::try_from(bits >> 52).expect("twelve bits"));
    let value = match biased {
        0 => Binary { significand: fraction, exponent: -1074 },
        _ => Binary { significand: fraction | HIDDEN, exponent: biased - 1075 },
    };
    // Half way to the neighbours; the lower one of a power of two is nearer.
    let above = Binary { significand: 2 * value.significand + 1, exponent: value.exponent - 1 }.normal();
    let below = if fraction == 0 && biased > 1 {
        Binary { significand: 4 * value.significand - 1, exponent: value.exponent - 2 }
    } else {
        Binary { significand: 2 * value.significand - 1, exponent: value.exponent - 1 }
    };
    let below = Binary {
        significand: below.significand << (below.exponent - above.exponent),
        exponent: above.exponent,
    };
    let (power, decimal) = power_for(above.exponent);
    let [below, value, above] = [below, value.normal(), above].map(|x| x.times(power));
    // The products may be off by one: what lies between is certain.
    let (low, high) = (below.significand + 1, above.significand - 1);
    let mut digits = Vec::with_capacity(17);
    let place = generate(
        &mut digits,
        Binary { significand: high, exponent: above.exponent },
        high - low,
        high - value.significand,
    );
    (digits, place - decimal)
}

/// Digits of `high`, as few as lie within `width` of it, the last of them moved
/// towards the value at `distance`. Returns the power of ten of the last.
fn generate(digits: &mut Vec<u8>, high: Binary, mut width: u64, mut distance: u64) -> i32 {
    let shift = high.exponent.unsigned_abs();
    let unit = 1_u64 << shift;
    let (whole, mut part) = (high.significand >> shift, high.significand & (unit - 1));
    let mut whole = u32::try_from(whole).expect("exponents are -32 at most");
    let mut place = whole.max(1).ilog10();
    loop {
        let power = 10_u32.pow(place);
        digits.push(b'0' + u8::try_from(whole / power).expect("a digit"));
        whole %= power;
        let rest = (u64::from(whole) << shift) + part;
        if rest <= width {
            approach(digits, distance, width, rest, u64::from(power) << shift);
            return place.cast_signed();
        }
        if place == 0 {
            break;
        }
        place -= 1;
    }
    let mut place = 0;
    loop {
        part *= 10;
        digits.push(b'0' + u8::try_from(part >> shift).expect("a digit"));
        part &= unit - 1;
        place -= 1;
        width *= 10;
        distance *= 10;
        if part <= width {
            approach(digits, distance, width, part, unit);
            return place;
        }
    }
}

/// Lowers the last digit, each worth `step`, as long as that comes nearer.
fn approach(digits: &mut [u8], distance: u64, width: u64, mut rest: u64, step: u64) {
    while rest < distance
        && width - rest >= step
        && (rest + step < distance || distance - rest > rest + step - distance)
    {
        *digits.last_mut().expect("a digit was pushed") -= 1;
        rest += step;
    }
}

/// A power of ten that takes numbers of this exponent to exponents from -60 to
/// -32, and which power it is.
fn power_for(exponent: i32) -> (Binary, i32) {
    let wanted = -61 - exponent;
    // The logarithm of two in units of 2^-18.
    let decimal = wanted * 78_913 / (1 << 18) + i32::from(wanted > 0);
    let index = (300 + decimal + 7) / 8;
    let (significand, exponent) = POWERS[usize::try_from(index).expect("the table begins at 10^-300")];
    (Binary { significand, exponent: i32::from(exponent) }, index * 8 - 300)
}

/// Ten to the powers -300, -292, … 324.
#[rustfmt::skip]
const POWERS: [(u64, i16); 79] = [
    (0xab70fe17c79ac6ca, -1060), (0xff77b1fcbebcdc4f, -1034), (0xbe5691ef416bd60c, -1007),
    (0x8dd01fad907ffc3c, -980), (0xd3515c2831559a83, -954), (0x9d71ac8fada6c9b5, -927),
    (0xea9c227723ee8bcb, -901), (0xaecc49914078536d, -874), (0x823c12795db6ce57, -847),
    (0xc21094364dfb5637, -821), (0x9096ea6f3848984f, -794), (0xd77485cb25823ac7, -768),
    (0xa086cfcd97bf97f4, -741), (0xef340a98172aace5, -715), (0xb23867fb2a35b28e, -688),
    (0x84c8d4dfd2c63f3b, -661), (0xc5dd44271ad3cdba, -635), (0x936b9fcebb25c996, -608),
    (0xdbac6c247d62a584, -582), (0xa3ab66580d5fdaf6, -555), (0xf3e2f893dec3f126, -529),
    (0xb5b5ada8aaff80b8, -502), (0x87625f056c7c4a8b, -475), (0xc9bcff6034c13053, -449),
    (0x964e858c91ba2655, -422), (0xdff9772470297ebd, -396), (0xa6dfbd9fb8e5b88f, -369),
    (0xf8a95fcf88747d94, -343), (0xb94470938fa89bcf, -316), (0x8a08f0f8bf0f156b, -289),
    (0xcdb02555653131b6, -263), (0x993fe2c6d07b7fac, -236), (0xe45c10c42a2b3b06, -210),
    (0xaa242499697392d3, -183), (0xfd87b5f28300ca0e, -157), (0xbce5086492111aeb, -130),
    (0x8cbccc096f5088cc, -103), (0xd1b71758e219652c, -77), (0x9c40000000000000, -50),
    (0xe8d4a51000000000, -24), (0xad78ebc5ac620000, 3), (0x813f3978f8940984, 30),
    (0xc097ce7bc90715b3, 56), (0x8f7e32ce7bea5c70, 83), (0xd5d238a4abe98068, 109),
    (0x9f4f2726179a2245, 136), (0xed63a231d4c4fb27, 162), (0xb0de65388cc8ada8, 189),
    (0x83c7088e1aab65db, 216), (0xc45d1df942711d9a, 242), (0x924d692ca61be758, 269),
    (0xda01ee641a708dea, 295), (0xa26da3999aef774a, 322), (0xf209787bb47d6b85, 348),
    (0xb454e4a179dd1877, 375), (0x865b86925b9bc5c2, 402), (0xc83553c5c8965d3d, 428),
    (0x952ab45cfa97a0b3, 455), (0xde469fbd99a05fe3, 481), (0xa59bc234db398c25, 508),
    (0xf6c69a72a3989f5c, 534), (0xb7dcbf5354e9bece, 561), (0x88fcf317f22241e2, 588),
    (0xcc20ce9bd35c78a5, 614), (0x98165af37b2153df, 641), (0xe2a0b5dc971f303a, 667),
    (0xa8d9d1535ce3b396, 694), (0xfb9b7cd9a4a7443c, 720), (0xbb764c4ca7a44410, 747),
    (0x8bab8eefb6409c1a, 774), (0xd01fef10a657842c, 800), (0x9b10a4e5e9913129, 827),
    (0xe7109bfba19c0c9d, 853), (0xac2820d9623bf429, 880), (0x80444b5e7aa7cf85, 907),
    (0xbf21e44003acdd2d, 933), (0x8e679c2f5e44ff8f, 960), (0xd433179d9c8cb841, 986),
    (0x9e19db92b4e31ba9, 1013),
];
