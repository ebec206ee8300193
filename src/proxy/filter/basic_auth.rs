//! `BasicAuth`: name and password (RFC 7617).
//!
//! In: a request. Out: the request, with the name of who sent it; or why it may not pass. Never: a request that passes because a file is
//! missing; a password in a log.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::proxy::Proxy;
use crate::proxy::forward::Forward;
use crate::proxy::rescue::Cause;
use crate::route::BasicAuth;

/// Padding is asked for (RFC 4648 section 3.2), and some clients leave it out.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Lets the request pass, or says why not.
pub(super) async fn check(proxy: &Proxy, auth: &BasicAuth, forward: &mut Forward<'_>) -> Result<(), Cause> {
    let passwords = auth.passwords.as_ref().ok_or(Cause::NoPasswords)?;
    let refused = || Cause::NotAuthenticated(auth.challenge.clone());
    let (name, password) = credentials(forward.headers()).ok_or_else(refused)?;
    if !proxy.verdicts.is_right(passwords, &name, &password).await? {
        return Err(refused());
    }
    forward.set_user(name);
    Ok(())
}

/// Name and password; none: there are none, or more than one of each.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (field, None) = (fields.next()?.to_str().ok()?, fields.next()) else { return None };
    let (scheme, token) = field.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut name = BASE64.decode(token.trim()).ok()?;
    let colon = name.iter().position(|byte| *byte == b':')?;
    let password = name.split_off(colon + 1);
    name.truncate(colon);
    Some((String::from_utf8(name).ok()?, password))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(fields: &[&str]) -> Option<(String, Vec<u8>)> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, HeaderValue::from_str(field).unwrap());
        }
        credentials(&headers)
    }

    #[test]
    fn a_name_ends_at_the_first_colon() {
        let aladdin = ("Aladdin".to_owned(), b"open sesame".to_vec());
        for field in ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ"] {
            assert_eq!(read(&[field]).as_ref(), Some(&aladdin), "{field}");
        }
        assert_eq!(read(&["Basic dGVzdDoxMjM6wqM="]), Some(("test".to_owned(), "123:\u{a3}".as_bytes().to_vec())));
    }

    #[test]
    fn anything_else_is_nobody() {
        for fields in [
            &[][..],
            &["Basic"],
            &["Basic "],
            &["Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
            &["Basic QWxhZGRpbg=="],
            &["Basic !!!!"],
            &["Basic /zp4"],
            &["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
        ] {
            assert_eq!(read(fields), None, "{fields:?}");
        }
    }
}
