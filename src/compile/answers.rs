//! `errorPages`, `internalFiles` -> files of the container that are sent in place of an answer.

use std::sync::Arc;

use http::StatusCode;

use super::{Error, error};
use crate::api::v1::{self, Hidden, Symlinks};
use crate::route::{ErrorPage, Files, InternalFiles, MediaTypes, path};

pub(super) fn error_page(written: &v1::ErrorPage, media: &MediaTypes) -> Result<ErrorPage, Error> {
    let status = |&status: &u16| StatusCode::from_u16(status).map_err(|_| error("spec.errorPages", format!("{status} is not a status")));
    Ok(ErrorPage {
        statuses: written.statuses.iter().map(status).collect::<Result<_, _>>()?,
        file: written.file.clone(),
        content_type: media.content_type(written.file.file_name().as_bytes()),
    })
}

pub(super) fn internal_files(written: &v1::InternalFiles, media: &Arc<MediaTypes>, field: &str) -> Result<InternalFiles, Error> {
    let decode = |text: &String| {
        let decoded = path::decode_for_lookup(text.trim_end_matches('/'));
        decoded.map(Into::into).ok_or_else(|| error(field, format!("`{}` names no files", text.escape_debug())))
    };
    Ok(InternalFiles {
        prefix: written.path.as_ref().map(decode).transpose()?,
        // The backend has chosen the file: nothing of it is hidden, and no script runs.
        files: Arc::new(Files {
            root: written.root.as_str().trim_end_matches('/').into(),
            index: Vec::new(),
            candidates: Vec::new(),
            scripts: Vec::new(),
            hidden: Hidden::Allow,
            symlinks: Symlinks::Follow,
            cache_control: None,
            listing: false,
            precompressed: Vec::new(),
            media: media.clone(),
        }),
    })
}
