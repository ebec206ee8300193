//! A number -> its digits (pure).
//!
//! In: a number. Out: bytes behind others. Never: a use of `fmt`, which knows a hundred ways to write a number.

/// A number to a base of at most 16.
#[expect(clippy::cast_possible_truncation, reason = "a remainder is below its base")]
pub(super) fn digits(out: &mut Vec<u8>, mut number: u64, base: u64) {
    let mut text = [0; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        // A remainder of ten or sixteen is one of these.
        text[at] = b"0123456789abcdef"[usize::from((number % base) as u8 & 15)];
        number /= base;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_they_are(number in any::<u64>()) {
            let (mut ten, mut sixteen) = (Vec::new(), Vec::new());
            digits(&mut ten, number, 10);
            digits(&mut sixteen, number, 16);
            prop_assert_eq!(ten, number.to_string().into_bytes());
            prop_assert_eq!(sixteen, format!("{number:x}").into_bytes());
        }
    }
}
