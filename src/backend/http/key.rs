//! An address -> the identity that kept connections are found by.
//!
//! In: [`Address`]. Out: [`Key`]. Never: a hold on a container: a root or network that nobody else holds is let go.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use crate::container::netns::Network;
use crate::container::rootfs::Rootfs;
use crate::dial::Address;
use crate::names::ContainerPath;

/// Which backend a connection leads to. It outlives a change of the App that leaves the backend alone, and not the container: a new root
/// is a new identity. The weak references keep an address in memory from being used again, so two identities never get mixed up.
#[derive(Debug)]
pub(super) enum Key {
    Unix { root: Weak<Rootfs>, path: ContainerPath },
    Tcp(Arc<str>),
    Port { network: Option<Weak<OwnedFd>>, port: u16 },
}

impl Key {
    pub(super) fn of(address: &Address) -> Self {
        match address {
            Address::Unix { root, path } => Self::Unix { root: Arc::downgrade(root), path: path.clone() },
            Address::Tcp(target) => Self::Tcp(target.clone()),
            Address::Port { network, port } => Self::Port { network: namespace(network).map(Arc::downgrade), port: *port },
        }
    }

    pub(super) fn is(&self, address: &Address) -> bool {
        match (self, address) {
            (Self::Unix { root, path }, Address::Unix { root: its_root, path: its_path }) => {
                std::ptr::eq(root.as_ptr(), Arc::as_ptr(its_root)) && path == its_path
            }
            (Self::Tcp(target), Address::Tcp(its_target)) => target == its_target,
            (Self::Port { network, port }, Address::Port { network: its_network, port: its_port }) => {
                network.as_ref().map(Weak::as_ptr) == namespace(its_network).map(Arc::as_ptr) && port == its_port
            }
            _ => false,
        }
    }

    /// Whether anybody could still ask for it: the container's root or network is held by someone.
    pub(super) fn is_alive(&self) -> bool {
        match self {
            Self::Unix { root, .. } => root.strong_count() > 0,
            Self::Tcp(_) | Self::Port { network: None, .. } => true,
            Self::Port { network: Some(network), .. } => network.strong_count() > 0,
        }
    }
}

/// Equal for equal identities; a look-up needs no key to be made.
pub(super) fn fingerprint(address: &Address) -> u64 {
    let mut hasher = Words::default();
    match address {
        Address::Unix { root, path } => (Arc::as_ptr(root), path.as_str()).hash(&mut hasher),
        Address::Tcp(target) => target.hash(&mut hasher),
        Address::Port { network, port } => (namespace(network).map(Arc::as_ptr), port).hash(&mut hasher),
    }
    hasher.finish()
}

/// Finds by what is a fingerprint already.
pub(super) type ByFingerprint = BuildHasherDefault<Words>;

/// A hash for addresses: they come from manifests, not from clients, so it need not withstand anybody. Eight bytes at a time; with SipHash
/// a look-up costs some 400 instructions more.
#[derive(Debug, Default)]
pub(super) struct Words(u64);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, word: u64) {
        // An odd number without a pattern: pi, as others use it.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        // The high bits are the good ones, and tables look at both ends.
        self.0 ^ self.0 >> 32
    }
}

fn namespace(network: &Network) -> Option<&Arc<OwnedFd>> {
    match network {
        Network::Host => None,
        Network::Namespace(namespace) => Some(namespace),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn unix(root: &Arc<Rootfs>, path: &str) -> Address {
        Address::Unix { root: root.clone(), path: path.parse().unwrap() }
    }

    #[test]
    fn the_same_path_in_another_root_is_another_backend() {
        let (one, two) = (Arc::new(Rootfs::open(Path::new("/")).unwrap()), Arc::new(Rootfs::open(Path::new("/")).unwrap()));
        let key = Key::of(&unix(&one, "/run/app.sock"));
        assert!(key.is(&unix(&one, "/run/app.sock")));
        assert_eq!(fingerprint(&unix(&one, "/run/app.sock")), fingerprint(&unix(&one, "/run/app.sock")));
        assert!(!key.is(&unix(&two, "/run/app.sock")));
        assert!(!key.is(&unix(&one, "/run/other.sock")));
        assert!(!key.is(&Address::Tcp("/run/app.sock".into())));
    }

    #[test]
    fn a_key_does_not_keep_a_root_open() {
        let root = Arc::new(Rootfs::open(Path::new("/")).unwrap());
        let key = Key::of(&unix(&root, "/run/app.sock"));
        assert!(key.is_alive());
        drop(root);
        assert!(!key.is_alive());
    }
}
