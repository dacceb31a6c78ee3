//! The three ways in which Nix writes floats.

mod grisu;

/// `%g`: six significant digits, as values are printed.
pub fn general(number: f64) -> String {
    if !number.is_finite() {
        return special(number);
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{number:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-4..6).contains(&exponent) {
        let digits = (5 - exponent).max(0) as usize;
        return trim_zeros(&format!("{number:.digits$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.abs())
}

/// `%f`: six decimals, as `toString` gives.
pub fn fixed(number: f64) -> String {
    if number.is_finite() { format!("{number:.6}") } else { special(number) }
}

/// A short text that reads back the same, as JSON has it; `null` if there is
/// none.
pub fn json(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let (digits, last) = grisu::digits(number.abs());
    let digits = String::from_utf8(digits).expect("digits are ASCII");
    let count = digits.len() as i32;
    let point = last + count;
    let exponent = point - 1;
    let body = if count <= point && point <= 15 {
        format!("{digits}{}.0", "0".repeat((point - count) as usize))
    } else if 0 < point && point <= 15 {
        format!("{}.{}", &digits[..point as usize], &digits[point as usize..])
    } else if -4 < point && point <= 0 {
        format!("0.{}{digits}", "0".repeat(-point as usize))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let rest = if count > 1 { format!(".{}", &digits[1..]) } else { String::new() };
        format!("{}{rest}e{sign}{:02}", &digits[..1], exponent.abs())
    };
    format!("{sign}{body}")
}

fn special(number: f64) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if number > 0.0 { "inf" } else { "-inf" }.to_owned()
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
