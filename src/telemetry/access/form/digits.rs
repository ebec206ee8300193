//! Numbers and addresses -> digits (pure).
//!
//! In: a number. Out: bytes behind those that are there. Never: `core::fmt`, which takes ten times the instructions.

use std::io::Write as _;
use std::net::IpAddr;

/// A number as it is written.
pub(super) fn number(value: u64, out: &mut Vec<u8>) {
    // 2^64 has 20 digits.
    let (mut digits, mut at, mut left) = ([b'0'; 20], 19, value);
    while left >= 10 {
        digits[at] = last_digit(left);
        (at, left) = (at - 1, left / 10);
    }
    digits[at] = last_digit(left);
    out.extend_from_slice(&digits[at..]);
}

/// The last so many digits of a number, zeros first.
pub(super) fn padded<const WIDTH: usize>(value: u64, out: &mut Vec<u8>) {
    let (mut digits, mut left) = ([b'0'; WIDTH], value);
    for digit in digits.iter_mut().rev() {
        *digit = last_digit(left);
        left /= 10;
    }
    out.extend_from_slice(&digits);
}

/// An address as it is written.
pub(super) fn address(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                number(octet.into(), out);
            }
        }
        // Writing to a Vec does not fail.
        IpAddr::V6(ip) => drop(write!(out, "{ip}")),
    }
}

fn last_digit(value: u64) -> u8 {
    b"0123456789"[(value % 10) as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_least_and_the_greatest_number_are_whole() {
        for value in [0, 9, 10, u64::MAX] {
            assert_eq!(written(|out| number(value, out)), value.to_string());
        }
    }

    proptest! {
        #[test]
        fn digits_are_those_of_std(value: u64, ip: IpAddr) {
            prop_assert_eq!(written(|out| number(value, out)), value.to_string());
            prop_assert_eq!(written(|out| padded::<3>(value % 1000, out)), format!("{:03}", value % 1000));
            prop_assert_eq!(written(|out| address(ip, out)), ip.to_string());
        }
    }
}
