//! `lxcproxy describe`: an object and its events -> all that is known of it, and first what is wrong with it.
//!
//! In: kinds, names, a selector. Out: a sheet for each object. Never: a guess: what to do follows from the reason alone.

mod advice;
mod app;
mod gateway;
mod problem;
mod sheet;
mod source;

use std::path::Path;
use std::time::SystemTime;

use anyhow::anyhow;
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use self::sheet::Sheet;
use super::client::{Client, converse, named};
use super::events::{last_seen, selector, sort, type_};
use super::get::columns::tone;
use super::get::complain;
use super::kind::{Kind, Reference, Selection};
use super::render::render;
use super::table::{Cell, since};
use super::{Failure, print, warn_user};
use crate::api::v1::{
    AppResource, BackendResource, Condition, ConditionType, Diagnostic, Event, GatewayResource, ResourceMetadata, SourceResource,
};

/// Show all that is known of an App, a Gateway or a source: what is wrong, what to do about it, and what happened
///
/// TYPE is apps (app), gateways (gateway, gw) or sources (source, src).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lxcproxy describe app/ttrss
  lxcproxy describe app ttrss wiki
  lxcproxy describe apps -l tier=web
  lxcproxy describe sources")]
pub(super) struct Describe {
    /// What to show: `TYPE[,TYPE...] [NAME...]`, or `TYPE/NAME...`.
    #[arg(value_name = "TYPE[/NAME]", required = true)]
    what: Vec<String>,
    /// Only objects with these labels: `tier=web`, `tier!=web`, `tier in (web, api)`, `tier`, `!tier`; joined by commas.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    #[command(flatten)]
    client: Client,
}

impl Describe {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let selection = Selection::parse(&self.what).map_err(|error| Failure::Usage(error.into()))?;
        if selection.kinds().contains(&Kind::Event) {
            return Err(Failure::Usage(anyhow!("events have no description; `lxcproxy events` shows them")));
        }
        if selection.kinds().contains(&Kind::Backend) {
            return Err(Failure::Usage(anyhow!("backends are part of an App; `lxcproxy describe app/NAME` shows them")));
        }
        if self.selector.is_some() && matches!(selection, Selection::Named(_)) {
            return Err(Failure::Usage(anyhow!("name cannot be provided when a selector is specified")));
        }
        converse(self.show(&selection)).map_err(Failure::Failed)
    }

    async fn show(&self, selection: &Selection) -> anyhow::Result<()> {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        match selection {
            Selection::Kinds(kinds) => {
                let query: Vec<_> = self.selector.iter().map(|selector| ("labelSelector", selector.as_str())).collect();
                for kind in kinds {
                    let objects = self.client.list::<Value>(kind.plural(), &query).await?.items;
                    found.extend(objects.into_iter().map(|object| (*kind, object)));
                }
            }
            Selection::Named(references) => {
                for reference in references {
                    let query = named(&reference.name);
                    let objects = self.client.list::<Value>(reference.kind.plural(), &[("fieldSelector", &query)]).await?.items;
                    missing.extend(objects.is_empty().then_some(reference));
                    found.extend(objects.into_iter().map(|object| (reference.kind, object)));
                }
            }
        }
        if found.is_empty() && missing.is_empty() {
            warn_user("No resources found");
        }
        let sources = self.client.list::<SourceResource>(Kind::Source.plural(), &[]).await?.items;
        let manifests = sources.into_iter().find_map(|source| source.spec).map(|spec| spec.path);
        let mut sheets = Vec::with_capacity(found.len());
        for (kind, object) in &found {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let backends = self.backends(*kind, object).await?;
            let query = selector(&Reference { kind: *kind, name });
            let mut events = self.client.list::<Value>(Kind::Event.plural(), &[("fieldSelector", &query)]).await?.items;
            sort(&mut events);
            let around = Around { events: &events, backends: &backends, manifests: manifests.as_deref(), now: SystemTime::now() };
            sheets.push(describe(*kind, object, &around)?);
        }
        print(&sheets.join("\n\n"))?;
        complain(&missing)
    }

    /// The backends of an App that is served.
    async fn backends(&self, kind: Kind, object: &Value) -> anyhow::Result<Vec<BackendResource>> {
        let names = object["spec"]["backends"].as_array().filter(|_| kind == Kind::App).into_iter().flatten();
        let mut backends = Vec::new();
        for name in names.filter_map(|backend| backend["name"].as_str()) {
            let query = named(&format!("{}.{name}", object["metadata"]["name"].as_str().unwrap_or_default()));
            backends.extend(self.client.list(Kind::Backend.plural(), &[("fieldSelector", &query)]).await?.items);
        }
        Ok(backends)
    }
}

/// What is known beside an object.
struct Around<'a> {
    events: &'a [Value],
    /// Those of an App.
    backends: &'a [BackendResource],
    /// The directory that the daemon reads.
    manifests: Option<&'a Path>,
    now: SystemTime,
}

/// The sheet of an object.
fn describe(kind: Kind, object: &Value, around: &Around<'_>) -> Result<String, serde_json::Error> {
    let Around { manifests, now, .. } = *around;
    let mut sheet = match kind {
        Kind::App => app::sheet(&AppResource::deserialize(object)?, around.backends, manifests, now),
        Kind::Gateway => gateway::sheet(&GatewayResource::deserialize(object)?, manifests, now),
        Kind::Source | Kind::Event | Kind::Backend => source::sheet(&SourceResource::deserialize(object)?, now),
    };
    let events: Vec<_> = around.events.iter().map(Event::deserialize).collect::<Result<_, _>>()?;
    let rows = events
        .iter()
        .map(|event| vec![type_(event), event.reason.to_string().into(), last_seen(event, now).into(), folded(&event.message).into()]);
    sheet.table("Events", &["Type", "Reason", "Age", "Message"], rows.collect());
    Ok(sheet.render())
}

/// What is wrong, if something is, as the second thing that is said.
fn begin(name: &str, problem: &[String]) -> Sheet {
    let mut sheet = Sheet::default();
    sheet.field("Name", name);
    if !problem.is_empty() {
        sheet.lines("Problem", problem, super::table::Tone::Bad);
    }
    sheet
}

/// Labels, annotations, and where an object of a manifest comes from.
fn origin(sheet: &mut Sheet, metadata: &ResourceMetadata, file: &str, served: Option<u64>, now: SystemTime) {
    let pairs = |(key, value): (&String, &String)| format!("{key}={value}");
    sheet.values("Labels", metadata.labels.iter().map(pairs));
    sheet.values("Annotations", metadata.annotations.iter().map(pairs));
    sheet.field("File", file);
    if !metadata.creation_timestamp.is_empty() {
        sheet.field("Created", format!("{} ({} ago)", metadata.creation_timestamp, since(&metadata.creation_timestamp, now)));
    }
    if !metadata.uid.is_empty() {
        sheet.field("UID", &metadata.uid);
    }
    let served = served.map_or_else(|| "none is served".to_owned(), |served| format!("{served} is served"));
    sheet.field("Generation", format!("{} ({served})", metadata.generation));
}

fn conditions(sheet: &mut Sheet, conditions: &[Condition], now: SystemTime) {
    let rows = conditions.iter().flat_map(|condition| {
        // What is said of `Ready` was said of another condition already.
        let message = if condition.type_ == ConditionType::Ready { folded(&condition.message) } else { condition.message.clone() };
        let mut lines = message.lines();
        let status = Cell::toned(condition.status.to_string(), tone(condition.status));
        let since = since(&condition.last_transition_time, now);
        let first = lines.next().unwrap_or_default();
        let first = vec![condition.type_.to_string().into(), status, since.into(), condition.reason.to_string().into(), first.into()];
        let rest = lines.map(|line| vec!["".into(), "".into(), "".into(), "".into(), line.into()]);
        std::iter::once(first).chain(rest).collect::<Vec<Vec<Cell>>>()
    });
    sheet.table("Conditions", &["Type", "Status", "Since", "Reason", "Message"], rows.collect());
}

/// The first of several lines, and how many there are.
fn folded(message: &str) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    match lines.count() {
        0 => first.to_owned(),
        more => format!("{first} (and {more} more)"),
    }
}

/// Everything that is wrong with the manifest; left out if nothing is.
fn errors(sheet: &mut Sheet, errors: &[Diagnostic]) {
    if !errors.is_empty() {
        let shown: Vec<_> = errors.iter().map(|error| render(error, true)).collect();
        sheet.text("Errors", &shown.join("\n"));
    }
}

#[cfg(test)]
mod tests;
