//! `lxcproxy get`: the daemon's objects -> a table, JSON, YAML or names; once, or with every change.
//!
//! In: kinds, names, a selector. Out: what there is, in the form that was asked for. Never: an end while changes are watched.

mod apps;
pub(super) mod backends;
pub(super) mod columns;
mod gateways;
pub(super) mod printer;
mod sources;

use std::cell::RefCell;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use self::printer::{Output, Printer};
use super::client::{Change, Client, converse, named};
use super::follow::{follow, takes_a_name};
use super::kind::{Kind, Reference, Selection};
use super::{Failure, Silent, print, warn_user};

/// Show the objects of a running daemon, and why one is not ready
///
/// TYPE is apps (app), gateways (gateway, gw), sources (source, src), events (event, ev), backends (backend, be), several of them with commas between,
/// or all, which is the first three. A backend is called APP.BACKEND, and has a line for each of its endpoints.
/// The message of an object that is not ready is shortened to its first line; `describe` shows all of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lxcproxy get apps
  lxcproxy get apps ttrss -o wide
  lxcproxy get app/ttrss gw/public -o yaml
  lxcproxy get apps,gateways -l tier=web
  lxcproxy get apps --watch
  lxcproxy get backends -o wide
  lxcproxy get backend/ttrss.php -o yaml")]
pub(super) struct Get {
    /// What to show: `TYPE[,TYPE...] [NAME...]`, or `TYPE/NAME...`.
    #[arg(value_name = "TYPE[/NAME]", required = true)]
    what: Vec<String>,
    /// In which form, if not as a table.
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
    /// Only objects with these labels: `tier=web`, `tier!=web`, `tier in (web, api)`, `tier`, `!tier`; joined by commas.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Go on after that with every change, until Ctrl-C. A restart of the daemon does not end it.
    #[arg(short, long)]
    watch: bool,
    /// With --watch: say of every object whether it was ADDED, MODIFIED or DELETED.
    #[arg(long, requires = "watch")]
    output_watch_events: bool,
    /// Leave the table's first line out.
    #[arg(long)]
    no_headers: bool,
    #[command(flatten)]
    client: Client,
}

impl Get {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let selection = Selection::parse(&self.what).map_err(|error| Failure::Usage(error.into()))?;
        if self.selector.is_some() && matches!(selection, Selection::Named(_)) {
            return Err(Failure::Usage(anyhow!("name cannot be provided when a selector is specified")));
        }
        if self.watch && selection.kinds() == [Kind::Backend] {
            return Err(Failure::Usage(anyhow!("backends change with every request and can't be watched; ask again instead")));
        }
        let done = match (self.watch, selection.kinds().as_slice()) {
            (false, _) => converse(self.show(&selection)),
            (true, [kind]) => converse(self.follow(*kind, &selection)),
            (true, _) => return Err(Failure::Usage(anyhow!("you may only watch a single resource type"))),
        };
        done.map_err(Failure::Failed)
    }

    fn printer(&self) -> Printer {
        Printer::new(self.output, !self.no_headers, self.output_watch_events)
    }

    /// The query for all objects of a kind.
    fn query(&self) -> Vec<(&str, &str)> {
        self.selector.iter().map(|selector| ("labelSelector", selector.as_str())).collect()
    }

    async fn show(&self, selection: &Selection) -> anyhow::Result<()> {
        let mut lists: Vec<(Kind, Vec<Value>)> = selection.kinds().into_iter().map(|kind| (kind, Vec::new())).collect();
        let mut revision = String::new();
        let mut missing = Vec::new();
        for (kind, objects) in &mut lists {
            match selection {
                Selection::Kinds(_) => {
                    let list = self.client.list::<Value>(kind.plural(), &self.query()).await?;
                    revision = list.metadata.resource_version;
                    objects.extend(list.items);
                }
                Selection::Named(references) => {
                    for reference in references.iter().filter(|reference| reference.kind == *kind) {
                        let found = self.look(reference).await?;
                        missing.extend(found.is_empty().then_some(reference));
                        objects.extend(found);
                    }
                }
            }
        }
        if lists.len() > 1 {
            // Each list has a revision of its own.
            revision.clear();
        }
        let single = matches!(selection, Selection::Named(references) if references.len() == 1);
        let text = self.printer().lists(&lists, &revision, single)?;
        if text.is_empty() && missing.is_empty() && self.output != Some(Output::Name) {
            warn_user("No resources found");
        }
        print(&text)?;
        complain(&missing)
    }

    /// The object of this name. A table has room for the manifests that want the name, too; a program asks for the object.
    async fn look(&self, reference: &Reference) -> anyhow::Result<Vec<Value>> {
        let selector = named(&reference.name);
        let mut found = self.client.list::<Value>(reference.kind.plural(), &[("fieldSelector", &selector)]).await?.items;
        if !matches!(self.output, None | Some(Output::Wide)) {
            found.sort_by_key(takes_a_name);
            found.truncate(1);
        }
        Ok(found)
    }

    async fn follow(&self, kind: Kind, selection: &Selection) -> anyhow::Result<()> {
        let names: Vec<_> = match selection {
            Selection::Kinds(_) => Vec::new(),
            Selection::Named(references) => references.iter().map(|reference| reference.name.as_str()).collect(),
        };
        let selector = names.first().map(|name| named(name)).unwrap_or_default();
        // Several names can't be asked for at once: all objects come, and the others are left out here.
        let query = if names.len() == 1 { vec![("fieldSelector", selector.as_str())] } else { self.query() };
        let printer = RefCell::new(self.printer());
        let mut first = true;
        let missing = RefCell::new(Vec::new());
        let tell = |changes: Vec<Change<Value>>| {
            let wanted = |change: &&Change<Value>| names.is_empty() || names.contains(&name(change));
            let text = changes.iter().filter(wanted).map(|change| printer.borrow_mut().change(kind, change));
            let heard = super::print_to_reader(&text.collect::<Result<String, _>>()?)?;
            if std::mem::replace(&mut first, false) {
                let absent = names.iter().filter(|wanted| !changes.iter().any(|change| name(change) == **wanted));
                missing.borrow_mut().extend(absent.map(|name| Reference { kind, name: (*name).to_owned() }));
            }
            Ok(heard && missing.borrow().is_empty())
        };
        follow(&self.client, kind.plural(), &query, tell).await?;
        complain(&missing.borrow().iter().collect::<Vec<_>>())
    }
}

fn name(change: &Change<Value>) -> &str {
    match change {
        Change::Added(object) | Change::Modified(object) | Change::Deleted(object) => {
            object["metadata"]["name"].as_str().unwrap_or_default()
        }
        Change::Bookmark(_) => "",
    }
}

/// A line for each object that is not there, in kubectl's words.
pub(super) fn complain(missing: &[&Reference]) -> anyhow::Result<()> {
    for Reference { kind, name } in missing {
        warn_user(&format!("Error from server (NotFound): {}.lxcproxy.dev \"{}\" not found", kind.plural(), super::table::plain(name)));
    }
    if missing.is_empty() { Ok(()) } else { Err(Silent.into()) }
}

#[cfg(test)]
mod tests;
