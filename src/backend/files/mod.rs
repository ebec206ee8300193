//! A path -> a file, a script or a directory of the container; a file, or what is in a directory -> the answer to GET or HEAD.
//!
//! In: the rule's candidates, filled in; the fields of the request. Out: [`Found`], then a response that streams. Never: a path that was
//! joined by hand, a script's bytes, anything but a regular file, a word on what exists but may not be seen.

mod answer;
mod body;
mod conditional;
mod docroot;
mod field;
#[cfg(test)]
mod fixture;
mod listing;
mod look_up;
mod multipart;
mod name;
mod opened;
mod range;
mod stand_in;
#[cfg(test)]
mod tests;

pub use answer::{ALLOWED, redirect, respond};
pub use body::FileBody;
pub use docroot::Found;
pub use listing::{Form, Shape, list};
pub use look_up::{find, look_up, open};
pub use multipart::MultipartBody;
pub use opened::Opened;
pub use stand_in::{StandIns, is_stand_in};
