//! A `pidFile` -> what is known of the container whose init it names.
//!
//! In: a file of the host that holds a pid in decimal. Out: [`Instance`]. Never: a pid of which nothing runs any more.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::init::Init;
use super::{Error, Instance, host_file};

/// What the file says now. `rootfs`: the root on disk, if the manifest tells one.
///
/// # Errors
/// The file can't be read, or holds something else than a pid. That it is not there is no error: the container is stopped.
pub(super) fn inspect(file: &Path, rootfs: Option<&Path>) -> Result<Instance, Error> {
    let text = host_file::read(file).map_err(|error| {
        let message = format!("pidFile {} can't be read: {error}", file.display());
        if error.kind() == io::ErrorKind::PermissionDenied { Error::PermissionDenied(message) } else { Error::Failed(message) }
    })?;
    // Empty: it is being written, or its container has ended.
    let text = text.as_deref().map(str::trim_ascii).filter(|text| !text.is_empty());
    let no_pid = || Error::Failed(format!("pidFile {} holds no pid; expected decimal digits and nothing else", file.display()));
    let pid = text.map(|text| parse(text).ok_or_else(no_pid)).transpose()?;
    Ok(Instance { rootfs: rootfs.map(Path::to_path_buf), init_pid: pid.filter(|pid| runs(*pid)) })
}

fn parse(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|pid| digits && (1..=i32::MAX.unsigned_abs()).contains(pid))
}

/// Whether a process runs that has this pid. One that can't be looked at does, as far as is known: to enter it fails, and says why.
fn runs(pid: u32) -> bool {
    match Init::open(pid) {
        Ok(init) => init.is_running(),
        Err(error) => !(error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_pid_is_decimal_digits() {
        for (text, pid) in [("77", 77), ("007", 7), ("2147483647", 2_147_483_647)] {
            assert_eq!(parse(text), Some(pid), "{text:?}");
        }
        for garbage in ["0", "-1", "+77", "0x4d", "77 78", "77\n/run", "2147483648", "99999999999999999999", "７７", "pid", "\0"] {
            assert_eq!(parse(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn a_container_is_stopped_while_its_pid_file_is_missing_or_empty_or_of_a_process_that_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pid");
        let stopped =
            || assert_eq!(inspect(&file, Some(dir.path())).unwrap(), Instance { rootfs: Some(dir.path().into()), init_pid: None });
        stopped();
        std::fs::write(&file, "\n").unwrap();
        stopped();
        let mut child = Command::new("true").spawn().unwrap();
        std::fs::write(&file, child.id().to_string()).unwrap();
        // A zombie first, and then nothing.
        while Init::open(child.id()).unwrap().is_running() {
            std::thread::yield_now();
        }
        stopped();
        child.wait().unwrap();
        stopped();
        std::fs::write(&file, format!(" {}\r\n\n", std::process::id())).unwrap();
        assert_eq!(inspect(&file, None).unwrap().init_pid, Some(std::process::id()));
    }

    #[test]
    fn what_is_no_pid_is_refused_and_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pid");
        std::fs::write(&file, "\x1b[31mroot").unwrap();
        let error = inspect(&file, None).unwrap_err();
        assert!(matches!(&error, Error::Failed(text) if text.contains("holds no pid") && !text.contains("root")), "{error}");
        let error = inspect(dir.path(), None).unwrap_err();
        assert!(matches!(&error, Error::Failed(text) if text.contains("regular file")), "{error}");
    }
}
