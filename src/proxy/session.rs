//! `sessionPersistence`: a cookie of ours -> the endpoint that its client had before; the endpoint it has now -> a cookie.
//!
//! In: a request's cookies, an answer's endpoint. Out: a place to stay; `Set-Cookie`, where that is another one. Never: a cookie for an
//! endpoint that could not do its work.

use std::time::SystemTime;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response};

use super::balance::is_failure;
use super::forward::Forward;
use crate::backend::ResponseBody;
use crate::metrics::uptime;
use crate::route::{CompiledApp, Place, Rule, Session, Share};

/// What is known of the client of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    /// Where it was before.
    stay: Option<Place>,
    is_secure: bool,
}

/// Reads where the client was before, if the rule keeps it there.
pub(super) fn recall(rule: &Rule, forward: &mut Forward<'_>) {
    let Some(session) = &rule.session else { return };
    let place = cookies(forward.headers(), &session.cookie).find_map(|value| session.place(value, now()));
    forward.stays(place);
}

/// The share of the client's session, while one of its endpoints is in.
pub(super) fn share<'r>(app: &CompiledApp, rule: &'r Rule, forward: &Forward<'_>) -> Option<&'r Share> {
    let place = forward.stay()?;
    let backend = &app.backends[place.backend];
    let is_in = (0..backend.endpoints.len()).any(|endpoint| backend.state(endpoint, uptime).is_ready());
    rule.backends.iter().find(|share| share.backend == place.backend && is_in)
}

impl Visit {
    pub(super) fn of(forward: &Forward<'_>) -> Self {
        Self { stay: forward.stay(), is_secure: forward.values().peer.scheme == "https" }
    }

    /// Tells the client where it is, if it was elsewhere before.
    pub(super) fn remember(self, rule: &Rule, place: Place, answer: &mut Response<ResponseBody>) {
        let Some(session) = &rule.session else { return };
        if self.stay == Some(place) || is_failure(answer.status()) {
            return;
        }
        let cookie = session.value(place, now()).and_then(|value| HeaderValue::from_str(&self.cookie(session, &value)).ok());
        if let Some(cookie) = cookie {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }

    /// RFC 6265 section 4.1.
    fn cookie(self, session: &Session, value: &str) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let kept = session.lifetime.filter(|_| session.permanent);
        let kept = kept.map(|lifetime| format!("; Max-Age={}", lifetime.as_secs().max(1))).unwrap_or_default();
        format!("{}={value}; Path={}; HttpOnly; SameSite=Lax{secure}{kept}", session.cookie, session.path)
    }
}

/// The values of the cookies of this name.
pub(super) fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).filter(move |(found, _)| *found == name).map(|(_, value)| value.trim_matches('"'))
}

/// Seconds since the epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name_in_every_field() {
        let mut headers = HeaderMap::new();
        for field in ["a=1; s=2;ss=3; S=4; s", "s=\"5\"", "x"] {
            headers.append(COOKIE, HeaderValue::from_static(field));
        }
        assert_eq!(cookies(&headers, "s").collect::<Vec<_>>(), ["2", "5"]);
        assert_eq!(cookies(&HeaderMap::new(), "s").count(), 0);
    }
}
