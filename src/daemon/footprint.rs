//! The pages of the program -> those that serving needs.
//!
//! In: the mapping that this code is in. Out: the rest of it is not resident any more. Never: a page that could have been written to.

#![allow(unsafe_code, reason = "madvise(2) has no safe form")]
#![allow(clippy::disallowed_methods, reason = "reads what the kernel says of this process")]

use std::ffi::c_void;
use std::ops::Range;
use std::time::Duration;

use rustix::mm::{Advice, madvise};

/// What serving needs comes back after the first time, with what keeping the Apps and telling of them needs; after the second, that is over.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Gives back, twice, what only the start has needed.
pub(super) async fn settle() {
    let_go_of_the_start();
    tokio::time::sleep(AFTERMATH).await;
    let_go_of_the_start();
}

/// Gives back the code that only the start has needed: schemas, YAML, the command line. It stays in the page cache, and what is called again
/// is there again without a read. At rest that is most of what is resident: 14 of 18 MB.
fn let_go_of_the_start() {
    let here = let_go_of_the_start as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let Some(code) = maps.lines().filter_map(code).find(|code| code.contains(&here)) else { return };
    // SAFETY: the range is one mapping of ours, which can be read and executed and not written: each of its pages is as it is in the file,
    // and comes from there again.
    let advised = unsafe { madvise(code.start as *mut c_void, code.len(), Advice::LinuxDontNeed) };
    if let Err(error) = advised {
        tracing::debug!("the code that was needed for the start stays resident: {error}");
    }
}

/// A line of proc_pid_maps(5), if it is of code.
fn code(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    (fields.next()? == "r-xp").then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_written_is_code() {
        assert_eq!(code("7f00-8000 r-xp 00001000 fe:00 17 /usr/bin/lxcproxy"), Some(0x7f00..0x8000));
        for line in ["7f00-8000 rwxp 0 fe:00 17 /x", "7f00-8000 r--p 0 fe:00 17 /x", "7f00-8000", "x-y r-xp", ""] {
            assert_eq!(code(line), None, "{line}");
        }
    }

    #[test]
    fn the_program_goes_on_with_its_code() {
        let_go_of_the_start();
        assert_eq!("17".parse(), Ok(17));
    }
}
