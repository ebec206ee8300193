//! HTTP/1.1 or HTTP/2 towards a backend, over kept connections of this thread.
//!
//! In: a request in origin form with its end-to-end fields, and an address. Out: a response that streams; a 101 carries its connection.
//! Never: a change to end-to-end fields, a status for an error, a second attempt at what may have been
//! worked on and is not idempotent.

mod answer;
mod body;
mod decoder;
mod exchange;
mod h2;
mod head;
mod key;
mod link;
mod outgoing;
mod pool;
#[cfg(test)]
mod tests;
mod upgrade;

pub use body::UpstreamBody;
pub use exchange::{Call, Unsent};
pub use head::{Head, Ours};
pub use pool::Pool;
pub use upgrade::{Carried, Switched, tunnel};
