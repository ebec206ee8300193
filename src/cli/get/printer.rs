//! Objects -> what `get` prints of them: a table, JSON, YAML or names.
//!
//! In: objects, all at once or one after the other. Out: text. Never: a control character, whatever the objects hold.

use std::time::SystemTime;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::super::client::Change;
use super::super::kind::{Kind, Reference};
use super::super::table::{Cell, Table};
use super::super::yaml;
use super::columns::{self, header};
use crate::api::v1::API_VERSION;

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum Output {
    /// All of it, for programs.
    Json,
    /// All of it, for people.
    Yaml,
    /// A table with more columns.
    Wide,
    /// `app.lxcproxy.dev/NAME` only.
    Name,
}

/// Prints objects in one form.
#[derive(Debug)]
pub(in super::super) struct Printer {
    output: Option<Output>,
    headers: bool,
    /// Every change says what has happened.
    events: bool,
    table: Table,
    /// Something has been printed.
    begun: bool,
}

impl Printer {
    /// A printer of this form; `headers`: the table has a first line; `events`: changes say what they are.
    pub(in super::super) fn new(output: Option<Output>, headers: bool, events: bool) -> Self {
        Self { output, headers, events, table: Table::default(), begun: false }
    }

    fn wide(&self) -> bool {
        self.output == Some(Output::Wide)
    }

    /// Everything there is, by kind. `single`: one object was asked for by name, and is no list.
    pub(in super::super) fn lists(&mut self, lists: &[(Kind, Vec<Value>)], revision: &str, single: bool) -> anyhow::Result<String> {
        match self.output {
            Some(Output::Json) => Ok(document(lists, revision, single).map(|value| printed_json(&value)).unwrap_or_default()),
            Some(Output::Yaml) => document(lists, revision, single).map_or_else(|| Ok(String::new()), |value| yaml::render(&value)),
            Some(Output::Name) => Ok(lists.iter().map(|(kind, objects)| names(*kind, objects)).collect()),
            None | Some(Output::Wide) => self.tables(lists),
        }
    }

    /// A table for each kind that has objects. Where there are several, names say of what kind they are.
    fn tables(&self, lists: &[(Kind, Vec<Value>)]) -> anyhow::Result<String> {
        let lists: Vec<_> = lists.iter().filter(|(_, objects)| !objects.is_empty()).collect();
        let tables = lists.iter().map(|(kind, objects)| {
            let mut rows = Vec::with_capacity(objects.len() + 1);
            rows.extend(self.headers.then(|| header(*kind, self.wide())));
            for object in objects {
                for mut cells in columns::rows(*kind, object, self.wide(), SystemTime::now())? {
                    if let (true, Some(name), false) = (lists.len() > 1, cells.first_mut(), *kind == Kind::Event) {
                        *name = reference(*kind, object).to_string().into();
                    }
                    rows.push(cells);
                }
            }
            anyhow::Ok(Table::default().lines(&rows))
        });
        Ok(tables.collect::<Result<Vec<_>, _>>()?.join("\n"))
    }

    /// One change, below those before it.
    pub(in super::super) fn change(&mut self, kind: Kind, change: &Change<Value>) -> anyhow::Result<String> {
        let (type_, object) = match change {
            Change::Added(object) => ("ADDED", object),
            Change::Modified(object) => ("MODIFIED", object),
            Change::Deleted(object) => ("DELETED", object),
            Change::Bookmark(_) => return Ok(String::new()),
        };
        let first = !std::mem::replace(&mut self.begun, true);
        let shown = || if self.events { json!({"type": type_, "object": object}) } else { object.clone() };
        match self.output {
            Some(Output::Json) => Ok(printed_json(&shown())),
            Some(Output::Yaml) => Ok(format!("{}{}", if first { "" } else { "---\n" }, yaml::render(&shown())?)),
            Some(Output::Name) => Ok(format!("{}\n", reference(kind, object))),
            None | Some(Output::Wide) => {
                let wide = self.wide();
                let mut rows = Vec::new();
                if first && self.headers {
                    rows.push(self.eventful("EVENT", header(kind, wide)));
                }
                let changed = columns::rows(kind, object, wide, SystemTime::now())?;
                rows.extend(changed.into_iter().map(|cells| self.eventful(type_, cells)));
                Ok(self.table.lines(&rows))
            }
        }
    }

    fn eventful(&self, event: &str, cells: Vec<Cell>) -> Vec<Cell> {
        self.events.then(|| event.into()).into_iter().chain(cells).collect()
    }
}

/// What a program is given: the object, or a list. None: the one object is not there.
fn document(lists: &[(Kind, Vec<Value>)], revision: &str, single: bool) -> Option<Value> {
    match lists {
        [(_, objects)] if single => objects.first().cloned(),
        [(kind, objects)] => Some(list(API_VERSION, &format!("{}List", kind.name()), revision, &objects.iter().collect::<Vec<_>>())),
        // Objects of several kinds are a list of the kind that Kubernetes has for that.
        lists => Some(list("v1", "List", revision, &lists.iter().flat_map(|(_, objects)| objects).collect::<Vec<_>>())),
    }
}

fn list(api_version: &str, kind: &str, revision: &str, items: &[&Value]) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"resourceVersion": revision}, "items": items})
}

/// One a line, for the next command; a name that two manifests want is one name.
fn names(kind: Kind, objects: &[Value]) -> String {
    let mut names: Vec<_> = objects.iter().map(|object| format!("{}\n", reference(kind, object))).collect();
    names.dedup();
    names.concat()
}

/// What an object is asked for by.
fn reference(kind: Kind, object: &Value) -> Reference {
    Reference { kind, name: super::super::table::plain(object["metadata"]["name"].as_str().unwrap_or_default()) }
}

/// JSON escapes the controls of ASCII; terminals obey those of Latin-1, too.
fn printed_json(value: &Value) -> String {
    let mut text = format!("{value:#}\n");
    if text.contains(|c: char| c.is_control() && c != '\n') {
        let escape = |c: char| if c.is_control() && c != '\n' { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
        text = text.chars().map(escape).collect();
    }
    text
}
