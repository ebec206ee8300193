//! `loadBalancer` and `healthCheck` -> what is done with several endpoints.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

use super::{Error, error};
use crate::api::v1::{self, ConsistentHashType, LoadBalancerType};
use crate::names::AppName;
use crate::route::{Balance, Check, Ejection, HashKey, Question};

/// How one of these endpoints is chosen.
pub(super) fn balance(written: Option<&v1::LoadBalancer>, endpoints: &[v1::Endpoint], field: &str) -> Result<Balance, Error> {
    let Some(written) = written else { return Ok(Balance::RoundRobin) };
    Ok(match written.type_ {
        LoadBalancerType::RoundRobin => Balance::RoundRobin,
        LoadBalancerType::LeastRequest => Balance::LeastRequest,
        LoadBalancerType::ConsistentHash => {
            let hash = written.consistent_hash.as_ref().ok_or_else(|| error(field, "`consistentHash` is not set"))?;
            Balance::ConsistentHash { key: key(hash, field)?, names: endpoints.iter().map(number).collect() }
        }
    })
}

fn key(written: &v1::ConsistentHash, field: &str) -> Result<HashKey, Error> {
    let name = || written.name.as_deref().ok_or_else(|| error(field, "`consistentHash.name` is not set"));
    Ok(match written.type_ {
        ConsistentHashType::SourceIp => HashKey::SourceIp,
        ConsistentHashType::Cookie => HashKey::Cookie(name()?.into()),
        ConsistentHashType::Header => {
            let name = HeaderName::from_bytes(name()?.as_bytes());
            HashKey::Header(name.map_err(|_| error(field, "`consistentHash.name` is not a header name"))?)
        }
    })
}

/// FNV-1a over an endpoint's name: the same in every process, so that a restart leaves clients where they are.
fn number(endpoint: &v1::Endpoint) -> u64 {
    endpoint.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// When requests that fail take one of so many endpoints out; it is on unless somebody says otherwise.
pub(super) fn ejection(written: Option<&v1::HealthCheck>, endpoints: usize) -> Option<Ejection> {
    let passive = written.and_then(|health| health.passive).unwrap_or_default();
    let base = passive.base_ejection_time.limit()?;
    (endpoints > 1 && passive.consecutive_errors > 0).then_some(Ejection { errors: passive.consecutive_errors, base })
}

/// How endpoints of a backend are asked whether they are well.
pub(super) fn check(backend: &v1::Backend, app: &AppName, field: &str) -> Result<Option<Check>, Error> {
    let Some(active) = backend.health_check.as_ref().and_then(|health| health.active.as_ref()) else { return Ok(None) };
    let question = active.path.as_deref().map(|path| {
        let path = if path.is_empty() { "/" } else { path };
        let host = active.hostname.as_deref().unwrap_or(app.as_str());
        Ok(Question {
            path: PathAndQuery::try_from(path).map_err(|_| error(field, "`healthCheck.active.path` is not a path"))?,
            host: HeaderValue::from_str(host).map_err(|_| error(field, "`healthCheck.active.hostname` is not a host"))?,
            protocol: backend.http.as_ref().map(|http| http.protocol).unwrap_or_default(),
            expected: active.expected_statuses.as_slice().into(),
        })
    });
    let some_time = |duration: v1::Duration| duration.limit().ok_or_else(|| error(field, "`healthCheck.active` has a time of 0s"));
    Ok(Some(Check {
        question: question.transpose()?,
        interval: some_time(active.interval)?,
        timeout: some_time(active.timeout)?,
        healthy: active.healthy_threshold,
        unhealthy: active.unhealthy_threshold,
    }))
}
