//! Whole numbers as text and back, without the machinery of the standard library: a page does not download it.

/// The digits of `number`.
pub(crate) fn decimal(mut number: u64) -> String {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return core::str::from_utf8(&digits[start..]).unwrap_or_default().to_owned();
        }
    }
}

/// The value of digits and nothing else, held at the largest number where it would overflow.
///
/// ```abnf
/// delta-seconds = 1*DIGIT
/// ```
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

/// The same where it fits into 32 bits.
pub(crate) fn small_number(text: &str) -> Option<u32> {
    u32::try_from(number(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{decimal, number, small_number};

    #[test]
    fn digits_are_those_of_display() {
        for number in [0, 9, 10, 3600, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
        }
    }

    #[test]
    fn numbers_are_digits_only_and_never_wrap() {
        assert_eq!(number("0068"), Some(68));
        assert_eq!(number("99999999999999999999999"), Some(u64::MAX));
        for bad in ["", "-1", "+1", " 1", "1a", "１"] {
            assert_eq!((number(bad), small_number(bad)), (None, None));
        }
    }

    #[test]
    fn a_small_number_fits_into_32_bits() {
        assert_eq!(small_number("4294967295"), Some(u32::MAX));
        assert_eq!(small_number("4294967296"), None);
    }
}
