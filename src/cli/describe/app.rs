//! An App -> its sheet.

use std::path::Path;
use std::time::SystemTime;

use super::super::get::backends::{check, state};
use super::super::table::{Cell, since};
use super::sheet::Sheet;
use super::{begin, conditions, errors, origin, problem};
use crate::api::v1::{
    AppResource, AppSpec, Backend, BackendResource, ContainerRef, Endpoint, Files, FilterType, HttpProtocol, MatchType, PathMatchType,
    RouteMatch, Rule, ValueMatch,
};

/// All that is known of an App but its events.
pub(super) fn sheet(app: &AppResource, backends: &[BackendResource], manifests: Option<&Path>, now: SystemTime) -> Sheet {
    let status = &app.status;
    let mut sheet = begin(&app.metadata.name, &problem::of_app(app, manifests));
    origin(&mut sheet, &app.metadata, &status.file, status.served_generation, now);
    if let Some(spec) = &app.spec {
        self::spec(&mut sheet, spec);
    }
    sheet.values("Listeners", status.listeners.iter());
    if let Some(spec) = &app.spec {
        sheet.table("Backends", &["Name", "Protocol", "Address"], spec.backends.iter().map(backend).collect());
        endpoints(&mut sheet, backends, now);
        let rules = spec.rules.iter().enumerate().map(|(number, rule)| self::rule(number, rule));
        sheet.table("Rules", &["Rule", "Matches", "Filters", "Answered By"], rules.collect());
    }
    conditions(&mut sheet, &status.conditions, now);
    errors(&mut sheet, &status.errors);
    sheet
}

fn spec(sheet: &mut Sheet, spec: &AppSpec) {
    sheet.field("Container", spec.container.as_ref().map_or_else(|| "none: the host itself".to_owned(), container));
    if spec.hostnames.is_empty() {
        sheet.field("Hostnames", "*");
    } else {
        sheet.values("Hostnames", spec.hostnames.iter().map(ToString::to_string));
    }
    if !spec.parent_refs.is_empty() {
        let parents = spec.parent_refs.iter().map(|parent| {
            let section = parent.section_name.as_ref().map(|section| format!("/{section}")).unwrap_or_default();
            let port = parent.port.map(|port| format!(" port {port}")).unwrap_or_default();
            format!("{}{section}{port}", parent.name)
        });
        sheet.values("Attached To", parents);
    }
}

fn container(container: &ContainerRef) -> String {
    let place = [("in", &container.path), ("by", &container.pid_file), ("at", &container.rootfs)]
        .map(|(word, path)| path.as_ref().map(|path| format!("{word} {path}")));
    let name = container.name.iter().map(ToString::to_string);
    let runtime = container.pid_file.is_none().then(|| format!("({:?})", container.runtime));
    name.chain(place.into_iter().flatten()).chain(runtime).collect::<Vec<_>>().join(" ")
}

fn backend(backend: &Backend) -> Vec<Cell> {
    let (protocol, address, endpoints) = match (&backend.http, &backend.fastcgi) {
        (Some(http), _) => {
            let protocol = match http.protocol {
                HttpProtocol::Http1 => "HTTP/1.1",
                HttpProtocol::H2c => "HTTP/2",
            };
            (protocol, Endpoint { unix: http.unix.clone(), tcp: http.tcp.clone(), port: http.port }, &http.endpoints[..])
        }
        (None, Some(fastcgi)) => {
            let address = Endpoint { unix: fastcgi.unix.clone(), tcp: fastcgi.tcp.clone(), port: fastcgi.port };
            ("FastCGI", address, &fastcgi.endpoints[..])
        }
        (None, None) => ("", Endpoint { unix: None, tcp: None, port: None }, &[][..]),
    };
    let addresses = std::iter::once(&address).chain(endpoints).filter_map(self::address).collect::<Vec<_>>().join(", ");
    vec![backend.name.to_string().into(), protocol.into(), addresses.into()]
}

/// How endpoints are, where there is something to know about them: of several, or with checks.
fn endpoints(sheet: &mut Sheet, backends: &[BackendResource], now: SystemTime) {
    let all = backends.iter().filter(|backend| {
        let endpoints = &backend.status.endpoints;
        endpoints.len() > 1 || endpoints.iter().any(|endpoint| endpoint.last_check.is_some())
    });
    let rows = all.flat_map(|backend| {
        let name = backend.spec.as_ref().map(|spec| spec.backend.as_str()).unwrap_or_default();
        backend.status.endpoints.iter().map(move |endpoint| {
            let check = endpoint.last_check.as_ref();
            vec![
                name.into(),
                endpoint.name.clone().into(),
                state(endpoint.state),
                endpoint.in_flight.map_or_else(|| "-".to_owned(), |count| count.to_string()).into(),
                endpoint.consecutive_errors.to_string().into(),
                check.map_or_else(|| "-".into(), self::check),
                check.map_or_else(|| "-".to_owned(), |check| since(&check.time, now)).into(),
            ]
        })
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        sheet.table("Endpoints", &["Backend", "Endpoint", "State", "In-Flight", "Errors", "Last Check", "Checked"], rows);
    }
}

fn address(endpoint: &Endpoint) -> Option<String> {
    let unix = endpoint.unix.as_ref().map(|path| format!("unix:{path}"));
    let tcp = endpoint.tcp.as_ref().map(|target| format!("tcp:{target}"));
    let port = endpoint.port.map(|port| format!("port:{port} of the container's loopback"));
    unix.or(tcp).or(port)
}

fn rule(number: usize, rule: &Rule) -> Vec<Cell> {
    let name = rule.name.as_ref().map_or_else(|| number.to_string(), |name| format!("{number} {name}"));
    let matches = rule.matches.iter().map(matched).collect::<Vec<_>>().join(" or ");
    let filters = rule.filters.iter().map(|filter| word(filter.type_)).collect::<Vec<_>>().join(", ");
    let backends = rule.backend_refs.iter().map(|to| match to.weight {
        1 => to.name.to_string(),
        weight => format!("{} (weight {weight})", to.name),
    });
    let answered = rule.files.as_deref().map(files).into_iter().chain(backends).collect::<Vec<_>>().join(", ");
    vec![name.into(), matches.into(), filters.into(), answered.into()]
}

/// As manifests write it.
fn word(type_: FilterType) -> String {
    serde_json::to_value(type_).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn files(files: &Files) -> String {
    let scripts = files.scripts.iter().map(|script| format!("*{} to {}", script.extension, script.backend)).collect::<Vec<_>>().join(", ");
    if scripts.is_empty() { format!("files {}", files.root) } else { format!("files {} ({scripts})", files.root) }
}

fn matched(route: &RouteMatch) -> String {
    let path = match route.path.type_ {
        PathMatchType::Exact => format!("= {}", route.path.value),
        PathMatchType::PathPrefix => format!("{}*", with_slash(&route.path.value)),
        PathMatchType::RegularExpression => format!("~ {}", route.path.value),
    };
    let method = route.method.clone().into_iter();
    let headers = route.headers.iter().map(|header| format!("header {}", value(header)));
    let params = route.query_params.iter().map(|param| format!("query {}", value(param)));
    method.chain([path]).chain(headers).chain(params).collect::<Vec<_>>().join(" ")
}

/// A prefix is of whole elements.
fn with_slash(prefix: &str) -> String {
    format!("{}/", prefix.trim_end_matches('/'))
}

fn value(value: &ValueMatch) -> String {
    let sign = match value.type_ {
        MatchType::Exact => "=",
        MatchType::RegularExpression => "~",
    };
    format!("{}{sign}{}", value.name, value.value)
}
