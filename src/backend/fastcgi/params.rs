//! What an application is told of a request -> the head of a FastCGI request.
//!
//! In: a request as it was matched. Out: one run of bytes. Never: I/O.
//!
//! `environment` says which variables there are, `pairs` puts them into records.

pub mod environment;
mod pairs;
#[cfg(test)]
mod read_back;

pub use pairs::Params;

/// Reads a head back, as text: what the next reader of these bytes sees.
#[cfg(test)]
pub(super) fn read_back(head: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    read_back::read_back(head).unwrap().into_iter().map(|(name, value)| (text(name), text(value))).collect()
}
