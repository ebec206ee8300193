//! FastCGI 1.0, as a web server speaks it with a responder.
//!
//! In: a [`Call`] to [`Pool::exchange`]. Out: a response whose body streams. Never: a request that is multiplexed with another one.
//!
//! `environment` writes the CGI variables through `params`; `upload` sends them and the `content`, which `spool` measures if nobody else did;
//! `record` reads what comes back, `head` its first lines, `stderr` the complaints; `transfer` does both at once, `exchange` up to the
//! answer's head, `body` from there on; `pool` keeps what can be used again.

mod body;
mod content;
mod environment;
mod exchange;
pub mod head;
pub mod params;
mod pool;
pub mod record;
mod spool;
mod stderr;
mod transfer;
mod upload;

#[cfg(test)]
mod tests;

pub use body::StdoutBody;
pub use content::Content;
pub use environment::{Request, Script};
pub use exchange::Call;
pub use pool::Pool;
