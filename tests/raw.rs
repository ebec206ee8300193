//! Raw bytes against the running daemon: what is refused, with which status, and what a backend sees of the rest.
//!
//! In: tables of bytes. Out: for each of them, sent in one piece, byte by byte and in random pieces, the same answers and the same requests
//! at a recording backend. Never: a request that was refused and that a backend has heard of.

mod answers;
mod case;
mod chunks;
mod fields;
mod hosts;
mod lengths;
mod limits;
mod lines;
mod log;
mod paths;
mod sequences;
mod tunnels;
