//! `lxcproxy events`: what happened to the daemon's objects -> lines, the oldest first; once, or as it happens.
//!
//! In: events. Out: a table, JSON or YAML. Never: an event that the daemon has forgotten; it keeps a bounded number.

use std::time::SystemTime;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::client::{Change, Client, converse};
use super::follow::follow;
use super::get::columns::{Column, Listed};
use super::get::printer::{Output, Printer};
use super::kind::{Kind, Reference};
use super::table::{Cell, Tone, since};
use super::{Failure, print, print_to_reader, warn_user};
use crate::admin::escape_field;
use crate::api::v1::{Event, EventType};

/// Show what happened to Apps, Gateways and sources: every change of a condition, the oldest first
///
/// The daemon keeps the newest events in memory; a restart forgets them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lxcproxy events
  lxcproxy events --for app/ttrss --watch
  lxcproxy events --types=Warning")]
pub(super) struct Events {
    /// Only what happened to this object.
    #[arg(long = "for", value_name = "TYPE/NAME")]
    object: Option<Reference>,
    /// Only events of these types.
    #[arg(long, value_name = "TYPE", value_delimiter = ',', ignore_case = true)]
    types: Vec<Type>,
    /// Go on with every new event, until Ctrl-C. A restart of the daemon does not end it.
    #[arg(short, long)]
    watch: bool,
    /// In which form, if not as a table.
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
    /// Leave the table's first line out.
    #[arg(long)]
    no_headers: bool,
    #[command(flatten)]
    client: Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Type {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

impl Listed for Event {
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "LAST SEEN", wide: false, cell: |event, now| last_seen(event, now).into() },
        Column { name: "TYPE", wide: false, cell: |event, _| type_(event) },
        Column { name: "REASON", wide: false, cell: |event, _| event.reason.to_string().into() },
        Column { name: "OBJECT", wide: false, cell: |event, _| object(event).into() },
        Column { name: "FIRST SEEN", wide: true, cell: |event, now| since(&event.first_timestamp, now).into() },
        Column { name: "COUNT", wide: true, cell: |event, _| event.count.to_string().into() },
        Column { name: "NAME", wide: true, cell: |event, _| event.metadata.name.clone().into() },
        Column { name: "MESSAGE", wide: false, cell: |event, _| event.message.replace('\n', " | ").into() },
    ];
}

impl Events {
    pub(super) fn execute(self) -> Result<(), Failure> {
        if self.object.as_ref().is_some_and(|object| object.kind == Kind::Event) {
            return Err(Failure::Usage(anyhow!("nothing happens to events; expected app/NAME, gateway/NAME or source/NAME")));
        }
        converse(self.show()).map_err(Failure::Failed)
    }

    async fn show(&self) -> anyhow::Result<()> {
        let selector = self.object.as_ref().map(selector);
        let query: Vec<_> = selector.iter().map(|selector| ("fieldSelector", selector.as_str())).collect();
        let mut printer = Printer::new(self.output, !self.no_headers, false);
        if self.watch {
            let tell = |changes| print_to_reader(&self.news(&mut printer, changes)?);
            return follow(&self.client, Kind::Event.plural(), &query, tell).await;
        }
        let mut list = self.client.list::<Value>(Kind::Event.plural(), &query).await?;
        list.items.retain(|event| self.wants(event));
        sort(&mut list.items);
        if list.items.is_empty() && self.output.is_none_or(|output| output == Output::Wide) {
            let object = self.object.as_ref().map(|object| format!(" for {object}")).unwrap_or_default();
            warn_user(&format!("No events found{}.", super::table::plain(&object)));
        }
        print(&printer.lists(&[(Kind::Event, list.items)], &list.metadata.resource_version, false)?)
    }

    fn wants(&self, event: &Value) -> bool {
        let is = |type_: &Type| event["type"].as_str().is_some_and(|text| text == format!("{type_:?}"));
        self.types.is_empty() || self.types.iter().any(is)
    }

    /// What has happened since, the oldest first. That an event is forgotten is no news.
    fn news(&self, printer: &mut Printer, changes: Vec<Change<Value>>) -> anyhow::Result<String> {
        let happened = |change| match change {
            Change::Added(event) | Change::Modified(event) => Some(event),
            Change::Deleted(_) | Change::Bookmark(_) => None,
        };
        let mut events: Vec<_> = changes.into_iter().filter_map(happened).filter(|event| self.wants(event)).collect();
        sort(&mut events);
        events.into_iter().map(|event| printer.change(Kind::Event, &Change::Added(event))).collect()
    }
}

/// The daemon's events of one object.
pub(super) fn selector(object: &Reference) -> String {
    format!("involvedObject.kind={},involvedObject.name={}", object.kind.name(), escape_field(&object.name))
}

/// The oldest first; of the same time as the daemon has them.
pub(super) fn sort(events: &mut [Value]) {
    events.sort_by_cached_key(|event| event["lastTimestamp"].as_str().and_then(|time| humantime::parse_rfc3339(time).ok()));
}

/// `3m`, or `3m (x4 over 10m)`.
pub(super) fn last_seen(event: &Event, now: SystemTime) -> String {
    let last = since(&event.last_timestamp, now);
    if event.count > 1 { format!("{last} (x{} over {})", event.count, since(&event.first_timestamp, now)) } else { last }
}

/// The event's type; a warning is worth a look.
pub(super) fn type_(event: &Event) -> Cell {
    match event.type_ {
        EventType::Normal => "Normal".into(),
        EventType::Warning => Cell::toned("Warning", Tone::Unsure),
    }
}

fn object(event: &Event) -> String {
    format!("{}/{}", event.involved_object.kind, event.involved_object.name)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        events: Events,
    }

    fn events(line: &str) -> Result<Events, clap::Error> {
        Line::try_parse_from(std::iter::once("events").chain(line.split_whitespace())).map(|line| line.events)
    }

    fn event(number: u64, type_: &str, last: &str, count: u64) -> Value {
        json!({
            "apiVersion": "lxcproxy.dev/v1", "kind": "Event",
            "metadata": {"name": format!("ttrss.{number}"), "resourceVersion": "5"},
            "involvedObject": {"kind": "App", "name": "ttrss"},
            "type": type_, "reason": "SocketNotFound", "message": "backend `php`:\nno socket", "count": count,
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": last
        })
    }

    #[test]
    fn an_event_that_happened_often_says_so() {
        let now = humantime::parse_rfc3339("2026-01-01T00:10:00Z").unwrap();
        let once: Event = serde_json::from_value(event(1, "Normal", "2026-01-01T00:07:00Z", 1)).unwrap();
        assert_eq!(last_seen(&once, now), "3m");
        let often = Event { count: 4, ..once };
        assert_eq!(last_seen(&often, now), "3m (x4 over 10m)");
    }

    #[test]
    fn events_are_lines_the_oldest_first() {
        let mut list = vec![event(2, "Warning", "2026-01-01T00:09:00.5Z", 1), event(1, "Normal", "2026-01-01T00:09:00Z", 2)];
        sort(&mut list);
        let table = Printer::new(Some(Output::Wide), true, false).lists(&[(Kind::Event, list)], "", false).unwrap();
        let table = anstream::adapter::strip_str(&table).to_string();
        let lines: Vec<_> = table.lines().collect();
        assert!(
            lines[0].starts_with("LAST SEEN")
                && lines[0].ends_with("TYPE      REASON           OBJECT      FIRST SEEN   COUNT   NAME      MESSAGE")
        );
        assert!(
            lines[1].ends_with("2       ttrss.1   backend `php`: | no socket") && lines[2].contains("Warning   SocketNotFound   App/ttrss")
        );
    }

    #[test]
    fn types_choose_and_a_forgotten_event_is_no_news() {
        let chosen = events("--types=warning --watch").unwrap();
        let changes = vec![
            Change::Added(event(3, "Warning", "2026-01-01T00:09:00Z", 1)),
            Change::Added(event(2, "Normal", "2026-01-01T00:08:00Z", 1)),
            Change::Modified(event(1, "Warning", "2026-01-01T00:07:00Z", 2)),
            Change::Deleted(event(0, "Warning", "2026-01-01T00:06:00Z", 2)),
        ];
        let mut printer = Printer::new(Some(Output::Name), true, false);
        let names = chosen.news(&mut printer, changes).unwrap();
        assert_eq!(names, "event.lxcproxy.dev/ttrss.1\nevent.lxcproxy.dev/ttrss.3\n");
        assert!(events("--types=Odd").is_err() && events("--for ttrss").is_err());
        let object = events("--for app/sub/a,b.yaml").unwrap().object.unwrap();
        assert_eq!(selector(&object), r"involvedObject.kind=App,involvedObject.name=sub/a\,b.yaml");
    }
}
