//! The text of all metrics -> the form that a scraper asks for.
//!
//! In: OpenMetrics 1.0, an `Accept` field. Out: that, or the older text format of Prometheus (0.0.4), which `curl` and old scrapers expect.
//! Never: a count of its own.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderMap, Response, StatusCode};

use super::answer::{Answer, response};

/// What OpenMetrics is sent as.
pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What the older format is sent as.
pub(super) const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the text of all metrics comes from, in OpenMetrics 1.0. Called once for each answer.
#[derive(Clone)]
pub struct MetricsText(Arc<dyn Fn() -> String + Send + Sync>);

impl MetricsText {
    /// Metrics that are written by this.
    pub fn new(write: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// The answer, in the form that is asked for.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response<Answer> {
        let text = (self.0)();
        let (content_type, text) = if wants_openmetrics(asked) { (OPENMETRICS, text) } else { (CLASSIC, classic(&text)) };
        response(StatusCode::OK, content_type, text.into_bytes())
    }
}

impl fmt::Debug for MetricsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsText")
    }
}

/// Whether OpenMetrics is named, and not liked less than plain text (RFC 9110 section 12.5.1).
fn wants_openmetrics(asked: &HeaderMap) -> bool {
    let ranges = || asked.get_all(ACCEPT).iter().filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(','));
    let weight = |wanted: &str| {
        let mut found = ranges().filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            named.then(|| parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok()))
        });
        found.next().flatten().unwrap_or(0.0)
    };
    let openmetrics = weight("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= weight("text/plain")
}

/// OpenMetrics in the words of the format before it: there a family has the name of its samples, and other types.
fn classic(text: &str) -> String {
    let meta =
        |line: &str, word: &str| Some(line.strip_prefix(word)?.split_once(' ').map(|(name, rest)| (name.to_owned(), rest.to_owned())));
    let types: HashMap<String, String> = text.lines().filter_map(|line| meta(line, "# TYPE ").flatten()).collect();
    let renamed = |name: &str| match types.get(name).map(String::as_str) {
        Some("counter") => format!("{name}_total"),
        Some("info") => format!("{name}_info"),
        _ => name.to_owned(),
    };
    let line = |line| {
        if let Some((name, kind)) = meta(line, "# TYPE ").flatten() {
            let kind = match &*kind {
                "unknown" => "untyped",
                "info" | "stateset" => "gauge",
                "gaugehistogram" => "histogram",
                kind => kind,
            };
            return Some(Cow::Owned(format!("# TYPE {} {kind}", renamed(&name))));
        }
        if let Some((name, help)) = meta(line, "# HELP ").flatten() {
            return Some(Cow::Owned(format!("# HELP {} {help}", renamed(&name))));
        }
        // Its other remarks: units, and the end.
        (!line.starts_with('#')).then_some(Cow::Borrowed(line))
    };
    text.lines().filter_map(line).fold(String::with_capacity(text.len()), |out, line| out + &line + "\n")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_scraper_gets_the_form_that_it_likes_best() {
        let wants = |accept: &'static str| wants_openmetrics(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]));
        assert!(wants("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), "Prometheus");
        assert!(wants("application/openmetrics-text"));
        for other in
            ["*/*", "text/plain", "text/html", "application/openmetrics-text;q=0", "text/plain, application/openmetrics-text;q=0.5"]
        {
            assert!(!wants(other), "{other}");
        }
        assert!(!wants_openmetrics(&HeaderMap::new()));
    }

    #[test]
    fn the_older_format_names_a_family_as_its_samples() {
        let text = "\
# HELP requests Requests.
# TYPE requests counter
# UNIT requests requests
requests_total{app=\"# TYPE x\"} 1
# HELP build Build.
# TYPE build info
build_info{version=\"1\"} 1
# TYPE open gauge
open 2
# TYPE odd unknown
odd 3
# EOF
";
        let expected = "\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{app=\"# TYPE x\"} 1
# HELP build_info Build.
# TYPE build_info gauge
build_info{version=\"1\"} 1
# TYPE open gauge
open 2
# TYPE odd untyped
odd 3
";
        assert_eq!(classic(text), expected);
        assert_eq!(classic("# EOF\n"), "");
    }
}
