//! What containers do to who looks into them: file systems that hang, links that are swapped, things that are no files.

mod fuse;
mod hang;
mod swaps;
