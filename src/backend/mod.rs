//! What answers a request: files of the container, FastCGI, HTTP.
//!
//! In: a request that was matched and changed, and where it goes. Out: a response that streams, or an [`Error`]. Never: a status code
//! for an error, a look at the routes.

mod body;
mod copy;
mod digits;
mod encode;
mod error;
mod failed;
pub mod fastcgi;
pub mod files;
pub mod http;
mod replay;
mod silence;
mod wire;

pub use body::{RequestBody, ResponseBody};
pub use copy::Fate;
pub use encode::EncodedBody;
pub use error::{Error, Phase};
pub use failed::Failed;
pub use replay::Replay;
