//! An error's status -> the page that says it: the App's own, or ours as text, HTML or JSON, as the client likes it.
//!
//! In: a status, the App, what the client accepts. Out: body and fields. Never: more of what went wrong than the status says; a word of
//! the request; a page that can't be told to a cache (`no-store`).

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::fields::{Kind, Seen};
use super::id::RequestId;
use super::weighted::{self, Weight};
use crate::backend::{Error, ResponseBody, files};
use crate::route::CompiledApp;

/// Who asks, and in which form answers are read there.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    id: RequestId,
    accept: Option<HeaderValue>,
}

/// The forms of our own page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Html,
    /// RFC 9457
    Json,
}

impl Asked {
    /// Of a request's head, of which these fields were `seen`. Lines of `Accept` after the first are not read.
    pub(super) fn by(id: RequestId, seen: Seen, headers: &HeaderMap) -> Self {
        Self { id, accept: seen.has(Kind::Accept).then(|| headers.get(ACCEPT).cloned()).flatten() }
    }

    /// The request's name.
    pub(super) fn id(&self) -> RequestId {
        self.id
    }
}

/// An answer with this status, and the page that says it: `own`, the App's, or else ours.
pub(super) fn page(
    own: Option<Response<ResponseBody>>,
    app: Option<&CompiledApp>,
    status: StatusCode,
    asked: &Asked,
) -> Response<ResponseBody> {
    let mut answer = own.unwrap_or_else(|| ours(app, status, asked));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The App's own page. `None`: it has none, or the file can't be sent.
pub(super) async fn own(app: &CompiledApp, status: StatusCode, id: RequestId) -> Option<Response<ResponseBody>> {
    let page = app.error_pages.iter().find(|page| page.statuses.contains(&status))?;
    let file = match &app.root {
        Some(root) => files::open(root, page).await,
        None => Err(Error::Unavailable),
    };
    let file = file.and_then(|file| {
        let length = file.size();
        Ok((file.into_body()?, length))
    });
    match file {
        Ok((body, length)) => {
            let mut answer = Response::new(body);
            answer.headers_mut().insert(CONTENT_TYPE, page.content_type.clone());
            answer.headers_mut().insert(CONTENT_LENGTH, length.into());
            Some(answer)
        }
        Err(error) => {
            let app = app.name.as_str();
            tracing::debug!(app, request_id = %id, page = page.file.as_str(), error = &error as &dyn std::error::Error, "the App's own page is not there");
            None
        }
    }
}

fn ours(app: Option<&CompiledApp>, status: StatusCode, asked: &Asked) -> Response<ResponseBody> {
    let form = asked.accept.as_ref().and_then(|accept| accept.to_str().ok()).map_or(Form::Text, form);
    let text = form.write(status, app.map(|app| app.name.as_str()), asked.id);
    let mut answer = Response::new(ResponseBody::Full(Bytes::from(text)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    answer
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/problem+json",
        }
    }

    /// The page. Names of Apps are labels of DNS, those of requests are digits: nothing in them has a meaning in HTML or JSON.
    fn write(self, status: StatusCode, app: Option<&str>, id: RequestId) -> String {
        let (code, title) = (status.as_u16(), status.canonical_reason().unwrap_or("Error"));
        let app = |before: &str, after: &str| app.map(|app| format!("{before}{app}{after}")).unwrap_or_default();
        match self {
            Self::Text => format!("{code} {title}\n{}request: {id}\n", app("app: ", "\n")),
            Self::Html => format!(
                "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"robots\" content=\"noindex\">\
                 <meta name=\"viewport\" content=\"width=device-width\"><title>{code} {title}</title></head>\n\
                 <body>\n<h1>{code} {title}</h1>\n{}<p>Request: <code>{id}</code></p>\n</body>\n</html>\n",
                app("<p>App: ", "</p>\n"),
            ),
            Self::Json => format!(
                "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{code},{}\"requestId\":\"{id}\"}}\n",
                app("\"app\":\"", "\","),
            ),
        }
    }
}

/// Whether a client would rather read JSON than a page.
pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| form(accept) == Form::Json)
}

/// The form that a client likes best; of equals what it names, and names first. Text for who takes anything, or nothing of ours.
fn form(accept: &str) -> Form {
    let mut named: Option<(Weight, Form)> = None;
    let mut any: Weight = 0;
    for (range, weight) in weighted::list(accept) {
        let form = match range.to_ascii_lowercase().as_str() {
            "*/*" | "text/*" => {
                any = any.max(weight);
                continue;
            }
            "text/html" => Form::Html,
            "text/plain" => Form::Text,
            range if is_json(range) => Form::Json,
            _ => continue,
        };
        if weight > 0 && named.is_none_or(|(highest, _)| weight > highest) {
            named = Some((weight, form));
        }
    }
    named.filter(|(weight, _)| *weight >= any).map_or(Form::Text, |(_, form)| form)
}

/// JSON, and everything that is written in it.
fn is_json(range: &str) -> bool {
    range.strip_prefix("application/").is_some_and(|subtype| matches!(subtype, "json" | "*") || subtype.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::super::id::RequestIds;
    use super::*;

    #[test]
    fn the_form_is_the_one_that_the_client_names_first_among_its_favourites() {
        for (accept, expected) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Html),
            ("application/json, text/plain, */*", Form::Json),
            ("application/json", Form::Json),
            ("application/vnd.api+json", Form::Json),
            ("application/problem+json, text/html", Form::Json),
            ("text/html, application/json", Form::Html),
            ("text/html;q=0.1, application/json;q=0.2", Form::Json),
            ("text/html;q=0.5, */*", Form::Text),
            ("text/html;q=0", Form::Text),
            ("text/plain, text/html", Form::Text),
            ("*/*, TEXT/HTML", Form::Html),
            ("image/png", Form::Text),
            ("application/*;q=0.5", Form::Json),
            (";;,q=,/", Form::Text),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
    }

    #[test]
    fn every_form_names_status_app_and_request_and_nothing_else() {
        let id = RequestIds::new().next();
        for (app, json) in [(Some("shop"), ",\"app\":\"shop\""), (None, "")] {
            for form in [Form::Text, Form::Html, Form::Json] {
                let page = form.write(StatusCode::BAD_GATEWAY, app, id);
                assert!(page.contains("502") && page.contains("Bad Gateway") && page.contains(&id.to_string()), "{page}");
                assert_eq!(page.contains("shop"), app.is_some(), "{page}");
            }
            let expected = format!("{{\"type\":\"about:blank\",\"title\":\"Bad Gateway\",\"status\":502{json},\"requestId\":\"{id}\"}}\n");
            assert_eq!(Form::Json.write(StatusCode::BAD_GATEWAY, app, id), expected);
        }
        assert!(Form::Html.write(StatusCode::NOT_FOUND, None, id).contains("<meta name=\"robots\" content=\"noindex\">"));
    }
}
