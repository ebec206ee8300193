//! `sessionPersistence` -> the cookie of a rule, and the endpoints that it can stand for.

use sha2::{Digest, Sha256};

use super::Identity;
use crate::api::v1::{self, CookieLifetimeType, PathMatchType};
use crate::route::{Backend, Place, Rule, Session, Terms};

/// The session of a rule that is built already, between its clients and the endpoints of its backends.
pub(super) fn session(written: &v1::Rule, rule: &Rule, backends: &[Backend], identity: Identity<'_>) -> Option<Session> {
    let persistence = written.session_persistence.as_ref()?;
    let lifetime_type = persistence.cookie_config.as_ref().map(|config| config.lifetime_type).unwrap_or_default();
    let cookie = persistence.session_name.clone().unwrap_or_else(|| default_name(identity, &rule.name));
    let terms = Terms {
        cookie: &cookie,
        path: path(&written.matches),
        lifetime: persistence.absolute_timeout.and_then(v1::Duration::limit),
        permanent: lifetime_type == CookieLifetimeType::Permanent,
        secret: identity.uid,
    };
    let scripts = rule.files.iter().flat_map(|files| files.scripts.iter().map(|script| script.backend));
    let mut reached: Vec<_> = rule.backends.iter().map(|share| share.backend).chain(scripts).collect();
    reached.sort_unstable();
    reached.dedup();
    let places = reached.into_iter().flat_map(|backend| {
        let of = &backends[backend];
        of.endpoints.iter().enumerate().map(move |(endpoint, at)| (format!("{} {}", of.name, at.name), Place { backend, endpoint }))
    });
    Some(Session::new(&terms, places))
}

/// A name for each rule: Apps on one host must not overwrite each other's cookies.
fn default_name(identity: Identity<'_>, rule: &str) -> String {
    let digest = Sha256::new().chain_update(identity.name.as_str()).chain_update("/").chain_update(rule).finalize();
    let number = digest[..4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("lxcproxy-session-{number:08x}")
}

/// Where the client sends the cookie: below the rule's prefix if there is one only, else everywhere.
fn path(matches: &[v1::RouteMatch]) -> &str {
    match matches {
        // A `;` would end the attribute (RFC 6265 section 4.1.1).
        [only] if only.path.type_ == PathMatchType::PathPrefix && only.path.value.starts_with('/') && !only.path.value.contains(';') => {
            // RFC 6265 section 5.1.4: with its `/` at the end it would not match the prefix itself.
            match only.path.value.trim_end_matches('/') {
                "" => "/",
                path => path,
            }
        }
        _ => "/",
    }
}
