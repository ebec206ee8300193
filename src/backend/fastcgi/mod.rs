//! FastCGI 1.0, as a web server speaks it with a responder.
//!
//! In: a [`Call`] to [`Pool::exchange`]. Out: a response whose body streams. Never: a request that is multiplexed with another one.
//!
//! `record`, the framing; `params`, what the application is told; `exchange`, one request and its answer; `pool`, the connections that can be
//! used again; `timers`, which are used again, too.

pub mod exchange;
pub mod params;
mod pool;
pub mod record;
mod timers;

#[cfg(test)]
mod tests;

pub use exchange::{Call, Content, LocalRedirect, StdoutBody};
pub use params::environment::{Request, Script};
pub use pool::Pool;
