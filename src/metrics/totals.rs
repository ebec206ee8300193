//! All shards -> one sum for each series.
//!
//! In: cells, and what is served. Out: families. Never: a series of what is gone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::cell::{Counter, Gauge, Observed};
use super::control::Control;
use super::families::{Families, Kind, Value};
use super::fault::Fault;
use super::held_up::HeldUp;
use super::shard::{BackendCells, Cells, RouteCells, Shared};
use super::turned_away::TurnedAway;
use super::{Histogram, Served};

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is counted, for one scrape.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) shards: Vec<Arc<Shared>>,
    pub(super) control: Control,
    pub(super) served: Arc<dyn Served>,
}

/// One rule's sum.
#[derive(Debug, Default)]
struct Route {
    classes: [u64; CLASSES.len()],
    held_up: [u64; HeldUp::ALL.len()],
    latency: Observed,
    received: u64,
    sent: u64,
}

impl Collector for Totals {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        let mut cells = Cells::default();
        for shard in &self.shards {
            let of_thread = shard.cells().clone();
            cells.routes.extend(of_thread.routes);
            cells.backends.extend(of_thread.backends);
        }
        cells.retain(&*self.served);
        routes(&mut families, &cells.routes)?;
        backends(&mut families, &cells.backends)?;
        self.threads(&mut families)?;
        self.control(&mut families)
    }
}

impl Totals {
    fn threads(&self, families: &mut Families<'_>) -> fmt::Result {
        let gauge = |of: fn(&Shared) -> &Gauge| Value::Count(self.shards.iter().map(|shard| of(shard).get() as u64).sum());
        let counter = |of: fn(&Shared) -> &Counter| self.shards.iter().map(|shard| of(shard).get()).sum::<u64>();
        let accepted = Value::Count(counter(|shard| &shard.accepted));
        families.single(Kind::Counter, "lxcproxy_connections", "Connections accepted from clients.", accepted)?;
        let turned_away = TurnedAway::ALL.into_iter().map(|why| {
            let count = self.shards.iter().map(|shard| shard.turned_away[why as usize].get()).sum();
            ([("reason", why.as_str())], Value::Count(count))
        });
        let help = "Connections that were closed before they could ask.";
        families.family(Kind::Counter, "lxcproxy_connections_refused", help, turned_away)?;
        let active = gauge(|shard| &shard.connections);
        families.single(Kind::Gauge, "lxcproxy_connections_active", "Connections from clients, tunnels left out.", active)?;
        let tunnels = gauge(|shard| &shard.tunnels);
        families.single(Kind::Gauge, "lxcproxy_tunnels_active", "Clients joined with a backend after a 101.", tunnels)?;
        let waiting = gauge(|shard| &shard.held);
        families.single(Kind::Gauge, "lxcproxy_requests_held", "Requests that wait for a backend that is away.", waiting)?;
        let idle =
            [([("protocol", "http")], gauge(|shard| &shard.idle_http)), ([("protocol", "fastcgi")], gauge(|shard| &shard.idle_fastcgi))];
        families.family(Kind::Gauge, "lxcproxy_backend_connections_idle", "Connections to backends that wait for a request.", idle)?;
        let dropped = Value::Count(counter(|shard| &shard.lines_dropped) + self.control.lost());
        let help = "Lines of the access log that were lost: the writer was behind, or could not write.";
        families.single(Kind::Counter, "lxcproxy_access_log_lines_dropped", help, dropped)
    }

    fn control(&self, families: &mut Families<'_>) -> fmt::Result {
        let read = |histogram: &Histogram| {
            let mut observed = Observed::default();
            histogram.add_to(&mut observed);
            observed
        };
        let steps = [([("step", "listing")], read(self.control.listings())), ([("step", "look")], read(self.control.looks()))];
        let help = "Time to take a listing of manifests in, and to look at what one App refers to.";
        families.histograms("lxcproxy_reconcile_duration_seconds", help, steps)?;
        let help = "Time from the first notice of a change of routes until they were served.";
        families.histograms("lxcproxy_change_to_served_seconds", help, [([], read(self.control.changes()))])?;
        let retired = Value::Count(self.control.retired_now() as u64);
        families.single(Kind::Gauge, "lxcproxy_snapshots_retired", "Old snapshots that a thread still holds.", retired)?;
        let help = "When what is configured last changed and all of it was valid; 0: never.";
        let reloaded = Value::Float(self.control.last_reload().as_secs_f64());
        families.single(Kind::Gauge, "lxcproxy_config_last_reload_success_timestamp_seconds", help, reloaded)
    }
}

fn routes(families: &mut Families<'_>, cells: &[Arc<RouteCells>]) -> fmt::Result {
    let mut sums = BTreeMap::<(&str, &str), Route>::new();
    for route in cells {
        let sum = sums.entry((&route.app, &route.rule)).or_default();
        for (sum, class) in sum.classes.iter_mut().zip(&route.classes) {
            *sum += class.get();
        }
        for (sum, count) in sum.held_up.iter_mut().zip(&route.held_up) {
            *sum += count.get();
        }
        route.latency.add_to(&mut sum.latency);
        sum.received += route.received.get();
        sum.sent += route.sent.get();
    }
    let labels = |(app, rule)| [("app", app), ("rule", rule)];
    let by_class = sums.iter().flat_map(|((app, rule), sum)| {
        let class = move |(code, count)| ([("app", *app), ("rule", *rule), ("code", code)], Value::Count(count));
        CLASSES.into_iter().zip(sum.classes).map(class)
    });
    let help = "Requests, by class of their status; without an app: those that no rule was found for.";
    families.family(Kind::Counter, "lxcproxy_http_requests", help, by_class)?;
    // Few rules have such filters: what never was is left out.
    let held_up = sums.iter().flat_map(|((app, rule), sum)| {
        let of = move |(why, count): (HeldUp, u64)| ([("app", *app), ("rule", *rule), ("reason", why.as_str())], Value::Count(count));
        HeldUp::ALL.into_iter().zip(sum.held_up).filter(|(_, count)| *count > 0).map(of)
    });
    families.family(Kind::Counter, "lxcproxy_http_requests_refused", "Requests that a filter did not let pass.", held_up)?;
    let latency = sums.iter().map(|(key, sum)| (labels(*key), sum.latency));
    let help = "Time from a request's head to the last byte of its answer; of a tunnel: to its 101.";
    families.histograms("lxcproxy_http_request_duration_seconds", help, latency)?;
    let received = sums.iter().map(|(key, sum)| (labels(*key), Value::Count(sum.received)));
    families.family(Kind::Counter, "lxcproxy_http_request_body_bytes", "Bytes of requests' bodies.", received)?;
    let sent = sums.iter().map(|(key, sum)| (labels(*key), Value::Count(sum.sent)));
    families.family(Kind::Counter, "lxcproxy_http_response_body_bytes", "Bytes of answers' bodies.", sent)
}

fn backends(families: &mut Families<'_>, cells: &[Arc<BackendCells>]) -> fmt::Result {
    let mut sums = BTreeMap::<(&str, &str, &str), u64>::new();
    for cell in cells {
        for (fault, count) in Fault::ALL.into_iter().zip(&cell.faults) {
            *sums.entry((&cell.app, &cell.backend, fault.as_str())).or_default() += count.get();
        }
    }
    let samples = sums
        .into_iter()
        .map(|((app, backend, reason), count)| ([("app", app), ("backend", backend), ("reason", reason)], Value::Count(count)));
    families.family(Kind::Counter, "lxcproxy_backend_errors", "What backends did wrong.", samples)?;
    let sum = |of: fn(&BackendCells) -> &Counter| {
        let mut sums = BTreeMap::<(&str, &str), u64>::new();
        for cell in cells {
            *sums.entry((&cell.app, &cell.backend)).or_default() += of(cell).get();
        }
        sums.into_iter()
    };
    let sample = |((app, backend), count): ((_, _), u64)| ([("app", app), ("backend", backend)], Value::Count(count));
    let retries = sum(|cell| &cell.retries).map(sample);
    families.family(Kind::Counter, "lxcproxy_backend_retries", "Attempts to send a request to a backend again.", retries)?;
    // Few write anything, and those that speak HTTP never do: what never was is left out.
    let stderr = sum(|cell| &cell.stderr).filter(|(_, count)| *count > 0).map(sample);
    families.family(Kind::Counter, "lxcproxy_fastcgi_stderr_bytes", "Bytes that applications wrote to their stderr.", stderr)?;
    let dropped = sum(|cell| &cell.stderr_dropped).filter(|(_, count)| *count > 0).map(sample);
    let help = "Bytes of stderr that are not in the log: a request or its backend wrote too much.";
    families.family(Kind::Counter, "lxcproxy_fastcgi_stderr_dropped_bytes", help, dropped)
}
