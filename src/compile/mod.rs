//! A resolved App -> the object that requests meet (pure).
//!
//! In: [`ResolvedApp`] and its identity. Out: [`CompiledApp`], every expression compiled, every name looked up. Never: a look at another App.

mod filter;
mod gateway;
mod matches;

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use http::HeaderValue;

use crate::api::v1;
use crate::dial::Address;
use crate::names::{AppName, SectionName};
use crate::resolve::ResolvedApp;
use crate::route::{
    Backend, CompiledApp, Endpoint, FastcgiSettings, Files, HttpSettings, Parent, Protocol, Rule, Script, Share, Slots, Template, Timeouts,
};

use filter::Kept;
pub use gateway::options;

/// Idle connections that are kept to an HTTP backend, per thread.
const KEPT_HTTP_CONNECTIONS: usize = 32;

/// Why an App can't be built. The manifest's checks find these first, with line and column.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Error {
    /// The field, from `spec` on.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Who an App is, beside what it says.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The name that it has.
    pub name: &'a AppName,
    /// The generation that this is.
    pub generation: u64,
    /// First seen, nanoseconds since the epoch.
    pub first_seen: u64,
}

/// Builds the App. `before`: what was built of it last; what all threads know of an endpoint is handed on from there.
///
/// # Errors
/// [`Error`] for the first field that can't be built.
pub fn compile(resolved: &ResolvedApp, identity: Identity<'_>, before: Option<&CompiledApp>) -> Result<CompiledApp, Error> {
    let spec = &resolved.app.spec;
    let slots = filter::slots(before);
    let names: HashMap<&SectionName, usize> = spec.backends.iter().enumerate().map(|(index, backend)| (&backend.name, index)).collect();
    Ok(CompiledApp {
        name: identity.name.clone(),
        generation: identity.generation,
        first_seen: identity.first_seen,
        parents: spec.parent_refs.iter().map(parent).collect(),
        hostnames: spec.hostnames.clone(),
        rules: spec
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| compile_rule(index, rule, &names, Before { app: before, slots: &slots }))
            .collect::<Result<_, _>>()?,
        backends: spec
            .backends
            .iter()
            .zip(&resolved.addresses)
            .map(|(backend, addresses)| compile_backend(backend, addresses, before))
            .collect::<Result<_, _>>()?,
        root: resolved.container.as_ref().and_then(|container| container.root.clone()),
        init: resolved.container.as_ref().and_then(|container| container.init.clone()),
    })
}

/// The Gateways and listeners that an App names.
#[must_use]
pub fn parent(reference: &v1::ParentRef) -> Parent {
    Parent { gateway: reference.name.clone(), section: reference.section_name.clone(), port: reference.port.map(NonZeroU16::get) }
}

/// What was built of the App last, and what its requests in flight have of it.
#[derive(Debug, Clone, Copy)]
struct Before<'b> {
    app: Option<&'b CompiledApp>,
    slots: &'b Arc<Slots>,
}

fn compile_rule(index: usize, rule: &v1::Rule, names: &HashMap<&SectionName, usize>, before: Before<'_>) -> Result<Rule, Error> {
    let field = format!("spec.rules[{index}]");
    let name: Box<str> = rule.name.as_ref().map_or_else(|| index.to_string(), ToString::to_string).into();
    let Before { app: before, slots } = before;
    let before = before.and_then(|before| before.rules.iter().find(|rule| rule.name == name).map(|rule| (before, rule)));
    let shares = rule.backend_refs.iter().filter(|backend| backend.weight > 0).map(|backend| {
        let found = find(names, &backend.name, &field)?;
        let is_same = |share: &&Share, app: &CompiledApp| app.backends.get(share.backend).is_some_and(|known| known.name == backend.name);
        let before = before.and_then(|(app, rule)| rule.backends.iter().find(|share| is_same(share, app)));
        let kept = Kept { before: before.map_or(&[], |share| &share.filters), slots };
        Ok(Share { backend: found, weight: backend.weight, filters: filter::compile(&backend.filters, kept, &field)? })
    });
    let kept = Kept { before: before.map_or(&[], |(_, rule)| &rule.filters), slots };
    let limit = |duration: v1::Duration| duration.limit();
    Ok(Rule {
        name,
        matches: rule.matches.iter().map(|matcher| matches::compile(matcher, &field)).collect::<Result<_, _>>()?,
        filters: filter::compile(&rule.filters, kept, &field)?,
        files: rule.files.as_ref().map(|files| compile_files(files, names, &field)).transpose()?,
        backends: shares.collect::<Result<_, Error>>()?,
        has_backend_refs: !rule.backend_refs.is_empty(),
        timeouts: Timeouts {
            request: limit(rule.timeouts.request),
            connect: limit(rule.timeouts.backend_connect),
            idle: limit(rule.timeouts.backend_read),
        },
        body_limit: rule.limits.request_body.limit(),
    })
}

fn compile_files(files: &v1::Files, names: &HashMap<&SectionName, usize>, field: &str) -> Result<Files, Error> {
    let scripts = files
        .scripts
        .iter()
        .map(|script| Ok(Script { extension: script.extension.as_str().into(), backend: find(names, &script.backend, field)? }));
    Ok(Files {
        root: files.root.as_str().trim_end_matches('/').into(),
        index: files.index.iter().map(|name| name.as_str().into()).collect(),
        candidates: files.try_.iter().map(|text| template(text, field)).collect::<Result<_, _>>()?,
        scripts: scripts.collect::<Result<_, Error>>()?,
        hidden: files.hidden,
        symlinks: files.symlinks,
        cache_control: files.cache_control.as_deref().map(|value| header_value(value, field)).transpose()?,
    })
}

fn compile_backend(backend: &v1::Backend, addresses: &[Option<Address>], before: Option<&CompiledApp>) -> Result<Backend, Error> {
    let field = format!("spec.backends.{}", backend.name);
    let (protocol, keep) = match (&backend.http, &backend.fastcgi) {
        (Some(http), _) => {
            let host = (http.host != "Preserve").then(|| header_value(&http.host, &field)).transpose()?;
            (Protocol::Http(HttpSettings { host }), KEPT_HTTP_CONNECTIONS)
        }
        (None, Some(fastcgi)) => {
            let params = fastcgi.params.iter().map(|param| Ok((param.name.as_str().into(), template(&param.value, &field)?)));
            let settings = FastcgiSettings {
                root: fastcgi.root.clone(),
                index: fastcgi.index.as_deref().map(Into::into),
                params: params.collect::<Result<_, Error>>()?,
            };
            (Protocol::Fastcgi(settings), fastcgi.keep_connections as usize)
        }
        (None, None) => return Err(error(&field, "neither `http` nor `fastcgi` is set")),
    };
    let before = before.and_then(|before| before.backends.iter().find(|before| before.name == backend.name));
    let endpoints = backend.endpoints();
    let endpoints = endpoints.iter().zip(addresses).map(|(written, address)| endpoint(written, address.clone(), before)).collect();
    Ok(Backend { name: backend.name.clone(), endpoints, protocol, keep })
}

fn endpoint(written: &v1::Endpoint, address: Option<Address>, before: Option<&Backend>) -> Endpoint {
    let name = match written {
        v1::Endpoint { unix: Some(path), .. } => path.to_string(),
        v1::Endpoint { tcp: Some(target), .. } => target.clone(),
        v1::Endpoint { port, .. } => format!("port {}", port.map_or(0, NonZeroU16::get)),
    };
    let known = before.and_then(|before| before.endpoints.iter().find(|before| *before.name == *name));
    Endpoint { health: known.map(|known| known.health.clone()).unwrap_or_default(), name: name.into(), address }
}

fn find(names: &HashMap<&SectionName, usize>, name: &SectionName, field: &str) -> Result<usize, Error> {
    names.get(name).copied().ok_or_else(|| error(field, format!("there is no backend `{name}`")))
}

fn template(text: &str, field: &str) -> Result<Template, Error> {
    Template::parse(text).map_err(|cause| error(field, cause.to_string()))
}

fn header_value(text: &str, field: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|_| error(field, format!("`{}` is not a header value", text.escape_debug())))
}

fn error(field: &str, message: impl Into<String>) -> Error {
    Error { field: field.to_owned(), message: message.into() }
}
