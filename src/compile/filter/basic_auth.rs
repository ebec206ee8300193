//! `BasicAuth` -> who may pass, and the challenge for everybody else.

use super::Scope;
use crate::api::v1;
use crate::compile::{Error, error, header_value};
use crate::resolve::PasswordFile;
use crate::route::BasicAuth;

pub(super) fn compile(written: &v1::BasicAuth, field: &str, scope: Scope<'_>) -> Result<BasicAuth, Error> {
    let file = PasswordFile::of(written).ok_or_else(|| error(field, "neither `file` nor `hostFile` names a file"))?;
    let realm = written.realm.as_deref().unwrap_or(scope.resolved.app.metadata.name.as_str());
    // A quoted string (RFC 9110 section 5.6.4).
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(BasicAuth {
        passwords: scope.resolved.passwords.find(&file).cloned(),
        challenge: header_value(&format!("Basic realm=\"{quoted}\", charset=\"UTF-8\""), field)?,
    })
}
