//! What is counted and what is served -> the text that Prometheus scrapes.
//!
//! In: [`Metrics`], the newest snapshot. Out: one text, complete. Never: a series for each request, host or path.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::process::Process;
use super::reload::is_valid;
use crate::api::v1::{Condition, ConditionStatus, ConditionType, Conditions, EventType, Resource};
use crate::metrics::{Families, Kind, Metrics, Value, uptime};
use crate::route::State;
use crate::snapshot::{Reader, Snapshot};

/// The text of now, in OpenMetrics 1.0.
#[must_use]
pub fn text(metrics: &Metrics, reader: &Reader) -> String {
    let snapshot = reader.load();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process));
    registry.register_collector(Box::new(Objects(snapshot.clone())));
    registry.register_collector(Box::new(metrics.collector(snapshot)));
    let mut page = String::new();
    match text::encode(&mut page, &registry) {
        Ok(()) => page,
        // Half a page would be read as a whole one without some of its series.
        Err(error) => format!("# {error}\n"),
    }
}

/// What a snapshot says.
#[derive(Debug)]
struct Objects(Arc<Snapshot>);

impl Collector for Objects {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        let version = [([("version", env!("CARGO_PKG_VERSION"))], Value::Count(1))];
        families.family(Kind::Info, "lxcproxy_build", "The version of lxcproxy.", version)?;
        let revision = Value::Count(self.0.revision);
        families.single(Kind::Gauge, "lxcproxy_snapshot_revision", "Revision of the snapshot that is served.", revision)?;
        families.single(Kind::Counter, "lxcproxy_snapshot_swaps", "Snapshots swapped in.", revision)?;
        self.configuration(&mut families)?;
        self.conditions(&mut families)?;
        self.generations(&mut families)?;
        self.sources(&mut families)?;
        self.endpoints(&mut families)
    }
}

impl Objects {
    fn configuration(&self, families: &mut Families<'_>) -> fmt::Result {
        let valid = Value::Count(u64::from(is_valid(&self.0)));
        let help = "Whether every manifest is accepted and every source can be read.";
        families.single(Kind::Gauge, "lxcproxy_config_last_reload_successful", help, valid)?;
        let accepted: Vec<_> = accepted(&self.0).collect();
        let result = |label, status| {
            let count = accepted.iter().filter(|found| **found == status).count() as u64;
            ([("result", label)], Value::Count(count))
        };
        let results = [
            result("accepted", ConditionStatus::True),
            result("refused", ConditionStatus::False),
            result("pending", ConditionStatus::Unknown),
        ];
        families.family(Kind::Gauge, "lxcproxy_manifests", "Manifests, by whether they are accepted.", results)?;
        let events = [("normal", EventType::Normal), ("warning", EventType::Warning)].map(|(label, type_)| {
            let count = self.0.events.iter().filter(|event| event.type_ == type_).count() as u64;
            ([("type", label)], Value::Count(count))
        });
        families.family(Kind::Gauge, "lxcproxy_events", "Events that are kept.", events)
    }

    /// As kube-state-metrics does it: one series for each status, of which one is 1.
    fn conditions(&self, families: &mut Families<'_>) -> fmt::Result {
        let types = names(self.all().flat_map(|(.., conditions)| conditions));
        let samples = self.all().flat_map(|(kind, name, conditions)| {
            let types = &types;
            conditions.iter().flat_map(move |condition| {
                let stated = types.iter().find(|(known, _)| *known == condition.type_).map_or("", |(_, name)| name.as_str());
                let statuses = [("true", ConditionStatus::True), ("false", ConditionStatus::False), ("unknown", ConditionStatus::Unknown)];
                statuses.map(|(label, status)| {
                    let holds = Value::Count(u64::from(condition.status == status));
                    ([("kind", kind), ("name", name), ("type", stated), ("status", label)], holds)
                })
            })
        });
        families.family(Kind::Gauge, "lxcproxy_condition", "Conditions of objects: 1 for the status that a condition has.", samples)
    }

    fn generations(&self, families: &mut Families<'_>) -> fmt::Result {
        let apps = owned(&self.0.apps).map(|(name, app)| ("App", name, app.metadata.generation, app.status.served_generation));
        let gateways =
            owned(&self.0.gateways).map(|(name, gateway)| ("Gateway", name, gateway.metadata.generation, gateway.status.served_generation));
        let all: Vec<_> = apps.chain(gateways).collect();
        let labels = |kind, name| [("kind", kind), ("name", name)];
        let newest = all.iter().map(|(kind, name, newest, _)| (labels(*kind, *name), Value::Count(*newest)));
        families.family(Kind::Gauge, "lxcproxy_generation", "The newest valid generation; 0: there never was one.", newest)?;
        let served = all.iter().map(|(kind, name, _, served)| (labels(*kind, *name), Value::Count(served.unwrap_or(0))));
        families.family(Kind::Gauge, "lxcproxy_served_generation", "The generation that is served; 0: none.", served)
    }

    fn sources(&self, families: &mut Families<'_>) -> fmt::Result {
        let files = self.0.sources.iter().map(|(name, source)| ([("source", name.as_str())], Value::Count(source.status.files)));
        families.family(Kind::Gauge, "lxcproxy_source_files", "Manifest files of a source.", files)?;
        let watching = self.0.sources.iter().map(|(name, source)| {
            let watching =
                source.status.condition(ConditionType::Watching).is_some_and(|watching| watching.status == ConditionStatus::True);
            ([("source", name.as_str())], Value::Count(u64::from(watching)))
        });
        families.family(Kind::Gauge, "lxcproxy_source_watching", "Whether events tell of changes; 0: it is polled.", watching)
    }

    /// Of backends with several endpoints, or with health checks: of others there is nothing to know.
    fn endpoints(&self, families: &mut Families<'_>) -> fmt::Result {
        let states =
            [("ready", State::Ready), ("ejected", State::Ejected), ("unhealthy", State::Unhealthy), ("unavailable", State::Unavailable)];
        let backends = self.0.listeners.apps().flat_map(|app| app.backends.iter().map(move |backend| (app, backend)));
        let known = backends.filter(|(_, backend)| backend.endpoints.len() > 1 || backend.check.is_some());
        let samples = known.flat_map(|(app, backend)| {
            states.map(|(label, state)| {
                let count = (0..backend.endpoints.len()).filter(|endpoint| backend.state(*endpoint, uptime) == state).count() as u64;
                ([("app", app.name.as_str()), ("backend", backend.name.as_str()), ("state", label)], Value::Count(count))
            })
        });
        families.family(Kind::Gauge, "lxcproxy_backend_endpoints", "Endpoints of a backend, by whether they get requests.", samples)
    }

    /// Every object that has its name to itself, with its conditions.
    fn all(&self) -> impl Iterator<Item = (&'static str, &str, &[Condition])> {
        let apps = owned(&self.0.apps).map(|(name, app)| ("App", name, app.status.conditions()));
        let gateways = owned(&self.0.gateways).map(|(name, gateway)| ("Gateway", name, gateway.status.conditions()));
        let sources = self.0.sources.iter().map(|(name, source)| ("Source", name.as_str(), source.status.conditions()));
        apps.chain(gateways).chain(sources)
    }
}

/// Objects that have their name to themselves. A manifest that belongs to none is counted, not listed: its key has a space.
fn owned<S, T>(objects: &imbl::OrdMap<String, Arc<Resource<S, T>>>) -> impl Iterator<Item = (&str, &Resource<S, T>)> {
    objects.iter().filter(|(key, _)| !key.contains(' ')).map(|(key, object)| (key.as_str(), &**object))
}

/// Whether each manifest is accepted.
fn accepted(snapshot: &Snapshot) -> impl Iterator<Item = ConditionStatus> {
    let status = |accepted: Option<&Condition>| accepted.map_or(ConditionStatus::Unknown, |accepted| accepted.status);
    let apps = snapshot.apps.values().map(move |app| status(app.status.condition(ConditionType::Accepted)));
    apps.chain(snapshot.gateways.values().map(move |gateway| status(gateway.status.condition(ConditionType::Accepted))))
}

/// The types that occur, each named once.
fn names<'c>(conditions: impl Iterator<Item = &'c Condition>) -> Vec<(ConditionType, String)> {
    let mut types: Vec<_> = conditions.map(|condition| condition.type_).collect();
    types.sort_unstable();
    types.dedup();
    types.into_iter().map(|type_| (type_, type_.to_string())).collect()
}
