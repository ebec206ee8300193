//! A directory that was found without an index -> what is in it, as the client likes to read it.
//!
//! In: the directory, the request. Out: an answer. Never: a way up out of the rule; relative links on a path without its `/`.

use std::sync::Arc;

use http::Response;

use super::forward::Forward;
use super::page::prefers_json;
use super::rescue::Cause;
use crate::backend::files::{self, Form, Shape};
use crate::backend::{Error, ResponseBody};
use crate::route::{CompiledApp, Files};

/// Shows a directory. `prefix`: the length of the prefix that matched.
pub(super) async fn show(
    app: &CompiledApp,
    files: &Arc<Files>,
    directory: Box<[u8]>,
    forward: &Forward<'_>,
    prefix: Option<usize>,
) -> Result<Response<ResponseBody>, Cause> {
    let path = forward.matched();
    if !path.ends_with('/') {
        // A filter named the directory.
        return forward.to_directory();
    }
    let root = app.root.as_ref().ok_or(Cause::Backend(Error::Unavailable))?;
    let has_parent = !directory.is_empty() && path.len() > prefix.unwrap_or_default() + 1;
    let form = if prefers_json(forward.headers()) { Form::Json } else { Form::Html };
    let listed = files::list(root, files, directory, Shape { path, has_parent, form }, forward.method(), forward.headers()).await;
    listed.map_err(Cause::Backend)?.ok_or(Cause::NoFile)
}
