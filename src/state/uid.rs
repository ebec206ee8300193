//! Nothing -> an identifier that no other object has.
//!
//! In: the kernel's random numbers. Out: a UUID as text. Never: the same twice, also where `/proc` is not mounted.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A new `metadata.uid`: a random UUID (RFC 9562 section 5.4).
#[must_use]
pub fn new_uid() -> String {
    match fs::read_to_string("/proc/sys/kernel/random/uuid") {
        Ok(uid) if uid.trim().len() == 36 => uid.trim().to_owned(),
        _ => without_proc(),
    }
}

/// From the standard library's random keys, the time, the process and a counter.
fn without_proc() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    let half = || u128::from(RandomState::new().hash_one((count, time, process::id())));
    let bits = half() << 64 | half();
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_a_random_uuid_with_and_without_proc() {
        for make in [new_uid, without_proc] {
            let (one, two) = (make(), make());
            assert_ne!(one, two);
            let parts: Vec<_> = one.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{one}");
            assert!(one.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
            assert!(one.as_bytes()[14] == b'4' && b"89ab".contains(&one.as_bytes()[19]), "{one}");
        }
    }
}
