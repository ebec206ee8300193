//! How much a manifest file may hold.

/// Bytes in a file, at most.
pub(super) const FILE_BYTES: usize = 1 << 20;
/// Lists and objects in each other, at most.
pub(super) const DEPTH: usize = 32;
/// Values in a file, at most.
pub(super) const NODES: usize = 20_000;
