//! Applications that speak CGI, by FastCGI: what their answers may look like, and peers that people run.

mod flup;
mod git;
mod heads;
mod local;

/// The manifest for git, unmodified.
pub const GIT: (&str, &str) = ("git.yaml", include_str!("../../manifests/git.yaml"));
