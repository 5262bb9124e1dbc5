//! Whole numbers as text, without the formatting machinery of the standard library: a page does not download it.

/// The digits of `number`.
pub(crate) fn decimal(mut number: u64) -> String {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return digits[start..].iter().map(|digit| char::from(*digit)).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn digits_are_those_of_display() {
        for number in [0, 9, 10, 3600, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
        }
    }
}
