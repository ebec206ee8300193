//! A path -> the admin socket, for this daemon and the group that it runs in.
//!
//! In: where the socket is to be. Out: [`Listener`], mode 0660 from its first moment. Never: a socket taken from a daemon that lives.

#![allow(clippy::disallowed_methods, reason = "the daemon's own socket: none of these paths is inside a container")]

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// Owner and group may ask; nobody else.
const MODE: u32 = 0o660;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// The admin socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A daemon answers on it.
    #[error("another daemon answers on {0}; stop it, or give this one its own --admin and --state-dir")]
    InUse(PathBuf),
    /// Something that is not a socket is there.
    #[error("{0} is there and is not a socket; remove it, or give another --admin")]
    NotASocket(PathBuf),
    /// The system says no.
    #[error("no admin socket at {path}")]
    Io {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Listener {
    /// Makes the directory and the socket. A socket that a killed daemon left behind is replaced. Needs a tokio runtime.
    ///
    /// # Errors
    /// Somebody listens on it already, something else is there, or the system says no.
    pub fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        clear(path)?;
        let socket = listen(path).and_then(UnixListener::from_std).map_err(failed)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Where its file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.socket.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It still listens, so nobody has put another one here. If the file is gone already, so much the better.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a socket that nobody listens on.
fn clear(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(Error::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    // Non-blocking: a daemon whose backlog is full says "again" at once, and is alive.
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map_err(failed)?;
    match probe.connect(&SockAddr::unix(path).map_err(failed)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(failed(error)),
        Ok(()) | Err(_) => Err(Error::InUse(path.to_owned())),
    }
}

fn listen(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    // Before `bind`, Linux takes this as the upper bound of the file's mode: there is no moment at which others may connect.
    fchmod(&socket, Mode::from_raw_mode(MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    // The umask may have taken the group's right to write.
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_owner_and_group_and_its_directory_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/lxcproxy/admin.sock");
        let listener = Listener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        drop(listener);
        assert!(!path.exists(), "the file goes with the listener");
    }

    #[tokio::test]
    async fn a_socket_that_somebody_listens_on_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let _first = Listener::bind(&path).unwrap();
        assert!(matches!(Listener::bind(&path), Err(Error::InUse(at)) if at == path));
        assert!(UnixStream::connect(&path).await.is_ok(), "the first one still answers");
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _listener = Listener::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Listener::bind(&path), Err(Error::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
