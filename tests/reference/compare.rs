//! One request to both proxies -> what differs, one line each.
//!
//! In: a case of `table.rs`. Out: differences that nobody wants. Never: a difference that is passed over in silence.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::{Case, Outcome};
use super::wanted::{Difference, MEDIA};
use crate::support::curl::{Curl, Response};

/// Fields of an answer that each proxy makes in its own way; all others are to be the same.
const THEIR_OWN: [&str; 5] = [
    "server",
    "date",
    "connection",
    // The bodies are compared, without their framing.
    "transfer-encoding",
    "content-length",
];

/// nginx and lxcproxy, side by side.
pub trait Pair {
    /// A request to lxcproxy.
    fn ours(&self, path: &str) -> Curl;

    /// A request to nginx.
    fn theirs(&self, path: &str) -> Curl;

    /// Whether they are set up alike to the last byte of a head: the charset of a text, the length of an answer.
    fn is_exact(&self) -> bool {
        false
    }
}

/// What differs and should not.
pub fn compare(house: &impl Pair, case: &Case, differences: &[Difference], used: &mut [bool]) -> Vec<String> {
    let (theirs, ours) = (send(case, |path| house.theirs(path)), send(case, |path| house.ours(path)));
    let answers = |theirs, ours| answers(theirs, ours, house.is_exact());
    let name = format!("{} {} {:?}", case.method, case.path, case.args);
    let mut problems = Vec::new();
    match case.outcome {
        Outcome::Same => problems.extend(answers(&theirs, &ours)),
        Outcome::Wanted { reference, lxcproxy, why } => {
            if (theirs.status, ours.status) != (reference, lxcproxy) {
                problems.push(format!("nginx {} and lxcproxy {}, not {reference} and {lxcproxy} ({why})", theirs.status, ours.status));
            } else if reference == lxcproxy && answers(&theirs, &ours).is_empty() {
                problems.push(format!("they do not differ any more ({why})"));
            }
        }
        Outcome::But { field, why } => {
            let (in_it, others): (Vec<_>, Vec<_>) = answers(&theirs, &ours).into_iter().partition(|problem| problem.starts_with(field));
            problems.extend(others);
            if in_it.is_empty() {
                problems.push(format!("{field} does not differ any more ({why})"));
            }
        }
    }
    if let (Some(theirs), Some(ours)) = (seen(&theirs), seen(&ours)) {
        problems.extend(told(&theirs, &ours, differences, used));
    }
    problems.into_iter().map(|problem| format!("{name}: {problem}")).collect()
}

/// Sends the request. `{etag}` in its arguments is the server's own tag, which is asked for first.
fn send(case: &Case, request: impl Fn(&str) -> Curl) -> Response {
    let wants_tag = case.args.iter().any(|arg| arg.contains("{etag}"));
    let etag = if wants_tag { request(case.path).send().header("etag").to_owned() } else { String::new() };
    assert!(!wants_tag || etag.starts_with('"'), "{} has no tag", case.path);
    let request = case.args.iter().fold(request(case.path), |request, arg| request.arg(&arg.replace("{etag}", &etag)));
    let request = match case.body {
        Some(length) => request.body((0..length).map(|n| n.to_le_bytes()[0]).collect::<Vec<u8>>()),
        None => request,
    };
    with_one_boundary(if case.method == "GET" { request.send() } else { request.method(case.method).send() })
}

/// Several parts are told apart by a line that each answer makes anew.
fn with_one_boundary(mut answer: Response) -> Response {
    let Some((_, boundary)) = answer.header("content-type").split_once("; boundary=") else { return answer };
    let boundary = boundary.to_owned();
    for (_, value) in &mut answer.headers {
        *value = value.replace(&boundary, "BOUNDARY");
    }
    answer.body = answer.text().replace(&boundary, "BOUNDARY").into();
    answer
}

/// Status, fields and bytes. The text of an error is each proxy's own, unless the application wrote it.
fn answers(theirs: &Response, ours: &Response, is_exact: bool) -> Vec<String> {
    let mut problems = Vec::new();
    if theirs.status != ours.status {
        return vec![format!("nginx {} and lxcproxy {} {:?}", theirs.status, ours.status, ours.text())];
    }
    let both_seen = seen(theirs).is_some() && seen(ours).is_some();
    let is_error_page = |answer: &Response| answer.status >= 300 && seen(answer).is_none() && !answer.has("x-before");
    let pages = is_error_page(theirs) && is_error_page(ours);
    let mut names: Vec<&str> = [theirs, ours].iter().flat_map(|answer| &answer.headers).map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    // What an application writes comes with a length or in chunks, as each proxy likes.
    let has_length = is_exact && !both_seen && !pages && !theirs.has("transfer-encoding") && !ours.has("transfer-encoding");
    let is_compared = |name: &&str| !THEIR_OWN.contains(name) || (*name == "content-length" && has_length);
    for field in names.into_iter().filter(is_compared) {
        let (their, our) = (values(theirs, field, is_exact), values(ours, field, is_exact));
        let is_expected = match field {
            "content-type" => pages || MEDIA.iter().any(|(theirs, ours, _)| (their.as_slice(), our.as_slice()) == (&[*theirs], &[*ours])),
            // nginx says it of whole files only, and RFC 9110 has it either way.
            "accept-ranges" => theirs.status != 200,
            // RFC 9110 section 15.5.6 demands it, and nginx leaves it out.
            "allow" => theirs.status == 405,
            // A page of ours names its request: nobody else's cache may have it.
            "cache-control" => pages && our == ["no-store"],
            _ => false,
        };
        if their != our && !is_expected {
            problems.push(format!("{field}: nginx {their:?}, lxcproxy {our:?}"));
        }
    }
    if !both_seen && !pages && theirs.body != ours.body {
        problems.push(format!("bodies: nginx {:?}, lxcproxy {:?}", start(theirs), start(ours)));
    }
    problems
}

/// The values of a field, as far as they are to be the same: a media type without its charset unless that is set up, the path of a location, that
/// there is a tag.
fn values<'a>(answer: &'a Response, field: &str, is_exact: bool) -> Vec<&'a str> {
    let values = answer.headers.iter().filter(|(name, _)| name == field).map(|(_, value)| value.as_str());
    let meant = values.map(|value| match field {
        // No client takes one proxy's tag for the other's.
        "etag" => "there is one",
        "content-type" if !is_exact => value.split(';').next().unwrap_or_default(),
        "location" => value.strip_prefix("http://").and_then(|rest| rest.find('/').map(|path| &rest[path..])).unwrap_or(value),
        _ => value,
    });
    meant.collect()
}

/// What the application says it was told.
fn seen(answer: &Response) -> Option<BTreeMap<String, String>> {
    let answer: Value = serde_json::from_slice(&answer.body).ok()?;
    let seen = answer.get("seen")?.as_object()?;
    Some(seen.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect())
}

fn told(theirs: &BTreeMap<String, String>, ours: &BTreeMap<String, String>, differences: &[Difference], used: &mut [bool]) -> Vec<String> {
    let mut names: Vec<&String> = theirs.keys().chain(ours.keys()).collect();
    names.sort();
    names.dedup();
    let mut problems = Vec::new();
    for name in names {
        let (their, our) = (theirs.get(name).map(String::as_str), ours.get(name).map(String::as_str));
        if their == our {
            continue;
        }
        let reason = differences.iter().position(|difference| difference.name == name && (difference.holds)(their, our));
        match reason {
            Some(index) => used[index] = true,
            None => problems.push(format!("the application is told {name}: by nginx {their:?}, by lxcproxy {our:?}")),
        }
    }
    problems
}

fn start(answer: &Response) -> String {
    answer.text().chars().take(120).collect()
}
