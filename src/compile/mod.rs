//! A resolved App -> the object that requests meet (pure).
//!
//! In: [`ResolvedApp`] and its identity. Out: [`CompiledApp`], every expression compiled, every name looked up. Never: a look at another App.

mod answers;
mod balance;
mod filter;
mod gateway;
mod matches;
mod session;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use http::HeaderValue;

use crate::api::v1;
use crate::dial::Address;
use crate::names::{AppName, SectionName};
use crate::resolve::ResolvedApp;
use crate::route::{
    Backend, CompiledApp, Endpoint, FastcgiSettings, Files, HttpSettings, LogQuota, MediaTypes, Parent, Protocol, Retry, Rule, Script,
    Share, Template, Timeouts,
};

use filter::Scope;
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
    /// `metadata.uid`: stays with it, and is told to nobody who only sends requests.
    pub uid: &'a str,
    /// The generation that this is.
    pub generation: u64,
    /// First seen, nanoseconds since the epoch.
    pub first_seen: u64,
}

/// Builds the App. `media`: what the extensions of its files say. `before`: what was built of it last; what all threads know of an endpoint
/// is handed on from there.
///
/// # Errors
/// [`Error`] for the first field that can't be built.
pub fn compile(
    resolved: &ResolvedApp,
    identity: Identity<'_>,
    media: &Arc<MediaTypes>,
    before: Option<&CompiledApp>,
) -> Result<CompiledApp, Error> {
    let spec = &resolved.app.spec;
    let slots = filter::slots(before);
    let names: HashMap<&SectionName, usize> = spec.backends.iter().enumerate().map(|(index, backend)| (&backend.name, index)).collect();
    let backends = spec.backends.iter().zip(&resolved.addresses);
    let backends: Box<[_]> =
        backends.map(|(backend, addresses)| compile_backend(backend, addresses, identity, media, before)).collect::<Result<_, _>>()?;
    let scope = Scope { resolved, names: &names, before: &[], slots: &slots };
    let mut rules: Box<[_]> =
        spec.rules.iter().enumerate().map(|(index, rule)| compile_rule(index, rule, scope, media, before)).collect::<Result<_, _>>()?;
    for (rule, written) in rules.iter_mut().zip(&spec.rules) {
        rule.session = session::session(written, rule, &backends, identity).map(Box::new);
    }
    Ok(CompiledApp {
        name: identity.name.clone(),
        generation: identity.generation,
        first_seen: identity.first_seen,
        parents: spec.parent_refs.iter().map(parent).collect(),
        hostnames: spec.hostnames.as_slice().into(),
        rules,
        backends,
        root: resolved.container.as_ref().and_then(|container| container.root.clone()),
        init: resolved.container.as_ref().and_then(|container| container.init.clone()),
        error_pages: spec.error_pages.iter().map(|page| answers::error_page(page, media)).collect::<Result<_, _>>()?,
    })
}

/// The Gateways and listeners that an App names.
#[must_use]
pub fn parent(reference: &v1::ParentRef) -> Parent {
    Parent { gateway: reference.name.clone(), section: reference.section_name.clone(), port: reference.port.map(NonZeroU16::get) }
}

fn compile_rule(
    index: usize,
    rule: &v1::Rule,
    scope: Scope<'_>,
    media: &Arc<MediaTypes>,
    before: Option<&CompiledApp>,
) -> Result<Rule, Error> {
    let names = scope.names;
    let field = format!("spec.rules[{index}]");
    let name: Box<str> = rule.name.as_ref().map_or_else(|| index.to_string(), ToString::to_string).into();
    let before = before.and_then(|before| before.rules.iter().find(|rule| rule.name == name).map(|rule| (before, rule)));
    let shares = rule.backend_refs.iter().filter(|backend| backend.weight > 0).map(|backend| {
        let found = find(names, &backend.name, &field)?;
        let is_same = |share: &&Share, app: &CompiledApp| app.backends.get(share.backend).is_some_and(|known| known.name == backend.name);
        let before = before.and_then(|(app, rule)| rule.backends.iter().find(|share| is_same(share, app)));
        let scope = Scope { before: before.map_or(&[], |share| &share.filters), ..scope };
        Ok(Share { backend: found, weight: backend.weight, filters: filter::compile(&backend.filters, &field, scope)? })
    });
    let scope = Scope { before: before.map_or(&[], |(_, rule)| &rule.filters), ..scope };
    let limit = |duration: v1::Duration| duration.limit();
    Ok(Rule {
        name,
        matches: rule.matches.iter().map(|matcher| matches::compile(matcher, &field)).collect::<Result<_, _>>()?,
        filters: filter::compile(&rule.filters, &field, scope)?,
        files: rule.files.as_ref().map(|files| compile_files(files, names, media, &field).map(Arc::new)).transpose()?,
        backends: shares.collect::<Result<_, Error>>()?,
        has_backend_refs: !rule.backend_refs.is_empty(),
        timeouts: Timeouts {
            request: limit(rule.timeouts.request),
            connect: limit(rule.timeouts.backend_connect),
            idle: limit(rule.timeouts.backend_read),
        },
        body_limit: rule.limits.request_body.limit(),
        session: None,
        retry: rule.retry.as_ref().map(compile_retry),
    })
}

fn compile_retry(retry: &v1::Retry) -> Retry {
    let backoff = retry.backoff.map(|backoff| backoff.limit().unwrap_or_default());
    Retry { codes: retry.codes.as_slice().into(), attempts: retry.attempts, backoff }
}

fn compile_files(files: &v1::Files, names: &HashMap<&SectionName, usize>, media: &Arc<MediaTypes>, field: &str) -> Result<Files, Error> {
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
        listing: files.listing,
        precompressed: files.precompressed.iter().map(|&coding| coding.into()).collect(),
        media: media.clone(),
    })
}

fn compile_backend(
    backend: &v1::Backend,
    addresses: &[Option<Address>],
    identity: Identity<'_>,
    media: &Arc<MediaTypes>,
    before: Option<&CompiledApp>,
) -> Result<Backend, Error> {
    let field = format!("spec.backends.{}", backend.name);
    let before = before.and_then(|before| before.backends.iter().find(|before| before.name == backend.name));
    let (protocol, keep) = match (&backend.http, &backend.fastcgi) {
        (Some(http), _) => {
            let host = (http.host != "Preserve").then(|| header_value(&http.host, &field)).transpose()?;
            (Protocol::Http(HttpSettings { protocol: http.protocol, host }), KEPT_HTTP_CONNECTIONS)
        }
        (None, Some(fastcgi)) => {
            let params = fastcgi.params.iter().map(|param| Ok((param.name.as_str().into(), template(&param.value, &field)?)));
            let settings = FastcgiSettings {
                root: fastcgi.root.clone(),
                index: fastcgi.index.as_deref().map(Into::into),
                params: params.collect::<Result<_, Error>>()?,
                stderr: log_quota(before),
            };
            (Protocol::Fastcgi(settings), fastcgi.keep_connections as usize)
        }
        (None, None) => return Err(error(&field, "neither `http` nor `fastcgi` is set")),
    };
    let written = backend.endpoints();
    Ok(Backend {
        name: backend.name.clone(),
        endpoints: written.iter().zip(addresses).map(|(written, address)| endpoint(written, address.clone(), before)).collect(),
        protocol,
        keep,
        internal_files: backend
            .internal_files
            .iter()
            .map(|files| answers::internal_files(files, media, &field))
            .collect::<Result<_, _>>()?,
        balance: balance::balance(backend.load_balancer.as_deref(), &written, &field)?,
        ejection: balance::ejection(backend.health_check.as_deref(), written.len()),
        check: balance::check(backend, identity.name, &field)?.map(Box::new),
        hold: backend.hold.limit(),
    })
}

/// That of the same backend before: who wrote too much has not paid for it by a change of the manifest.
fn log_quota(before: Option<&Backend>) -> Arc<LogQuota> {
    match before.map(|before| &before.protocol) {
        Some(Protocol::Fastcgi(settings)) => settings.stderr.clone(),
        _ => Arc::default(),
    }
}

fn endpoint(written: &v1::Endpoint, address: Option<Address>, before: Option<&Backend>) -> Endpoint {
    let name = written.to_string();
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
