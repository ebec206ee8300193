//! The manifest's vocabulary, by version.
//!
//! In: nothing. Out: types that are written in manifests and read back from the admin socket. Never: policy, I/O.

pub mod v1;
