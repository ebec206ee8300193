//! `ForwardAuth` -> the backend that is asked, and what goes there and back.

use super::Scope;
use super::headers::name;
use super::mirror::http_backend;
use crate::api::v1;
use crate::compile::Error;
use crate::route::ForwardAuth;

pub(super) fn compile(written: &v1::ForwardAuth, field: &str, scope: Scope<'_>) -> Result<ForwardAuth, Error> {
    let names = |texts: &[String]| texts.iter().map(|text| name(text, field)).collect::<Result<Vec<_>, Error>>();
    let shown = names(&written.allowed_headers)?;
    Ok(ForwardAuth {
        backend: http_backend(&written.backend_ref, field, scope)?,
        path: written.path.as_deref().map(Into::into),
        shown: (!shown.is_empty()).then_some(shown),
        taken: names(&written.allowed_response_headers)?,
    })
}
