//! `lxcproxy get apps`: the daemon's Apps -> a table, JSON, or names.

use std::time::SystemTime;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Client, converse, named};
use super::{print, table};
use crate::api::v1::{API_VERSION, AppResource, Condition, ConditionStatus, ConditionType, Conditions, ContainerRef, List, ListMetadata};

/// Show the Apps of a running daemon, and why one is not ready
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lxcproxy get apps\n  lxcproxy get apps ttrss -o wide\n  lxcproxy get apps -o json")]
pub(super) struct Get {
    /// What to show.
    resource: Resource,
    /// Only these, by name.
    names: Vec<String>,
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
enum Resource {
    #[value(alias = "app")]
    Apps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// All of it.
    Json,
    /// More columns.
    Wide,
    /// `app/NAME` only.
    Name,
}

/// The columns of the table; the last two tell whether only the wide one has it, and what is in it.
type Column = (&'static str, bool, fn(&AppResource) -> String);

const COLUMNS: [Column; 10] = [
    ("NAME", false, |app| app.metadata.name.clone()),
    ("READY", false, |app| ready(app, |ready| ready.status.to_string())),
    ("REASON", false, |app| ready(app, |ready| ready.reason.to_string())),
    ("GENERATION", false, |app| app.metadata.generation.to_string()),
    ("AGE", false, |app| age(&app.metadata.creation_timestamp, SystemTime::now())),
    ("SERVED", true, |app| app.status.served_generation.map_or(NONE.to_owned(), |served| served.to_string())),
    ("CONTAINER", true, container),
    ("HOSTNAMES", true, hostnames),
    ("FILE", true, |app| app.status.file.clone()),
    ("MESSAGE", false, message),
];

/// What kubectl prints for nothing.
const NONE: &str = "<none>";

impl Get {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let Resource::Apps = self.resource;
        converse(self.show())
    }

    async fn show(self) -> anyhow::Result<()> {
        let missing = match self.output {
            Some(Output::Json) => {
                let (apps, missing) = self.fetch::<Value>().await?;
                print_json(apps, self.names.len() == 1)?;
                missing
            }
            Some(Output::Name) => {
                let (apps, missing) = self.fetch::<AppResource>().await?;
                print(&names(&apps.items))?;
                missing
            }
            None | Some(Output::Wide) => {
                let (apps, missing) = self.fetch::<AppResource>().await?;
                if apps.items.is_empty() && missing.is_empty() {
                    super::warn_user("No apps found.");
                }
                print(&render(&apps.items, self.output == Some(Output::Wide), !self.no_headers))?;
                missing
            }
        };
        complain(&missing)
    }

    /// The Apps that were asked for, and the names that there are none of.
    async fn fetch<T: DeserializeOwned>(&self) -> anyhow::Result<(List<T>, Vec<&str>)> {
        if self.names.is_empty() {
            return Ok((self.client.list("apps", &[]).await?, Vec::new()));
        }
        let metadata = ListMetadata { resource_version: String::new() };
        let mut all = List { api_version: API_VERSION.to_owned(), kind: "AppList".to_owned(), metadata, items: Vec::new() };
        let mut missing = Vec::new();
        // A table has room for the manifests that want an App's name, too; a program asks for the App.
        let most = if matches!(self.output, None | Some(Output::Wide)) { usize::MAX } else { 1 };
        for name in &self.names {
            let found = self.client.list("apps", &[("fieldSelector", &named(name))]).await?.items;
            if found.is_empty() {
                missing.push(name.as_str());
            }
            all.items.extend(found.into_iter().take(most));
        }
        Ok((all, missing))
    }
}

/// One object if one was asked for by name, as kubectl does; else a list.
fn print_json(apps: List<Value>, single: bool) -> anyhow::Result<()> {
    match apps.items.first() {
        Some(app) if single => print(&format!("{app:#}\n")),
        None if single => Ok(()),
        _ => print(&format!("{:#}\n", serde_json::to_value(apps)?)),
    }
}

/// `app/NAME`, one a line, for the next command; a name that two manifests want is one name.
fn names(apps: &[AppResource]) -> String {
    let mut names: Vec<_> = apps.iter().map(|app| app.metadata.name.as_str()).collect();
    names.dedup();
    names.iter().flat_map(|name| ["app/", name, "\n"]).collect()
}

fn complain(missing: &[&str]) -> anyhow::Result<()> {
    match missing {
        [] => Ok(()),
        [name] => bail!("app \"{name}\" not found"),
        names => bail!("apps \"{}\" not found", names.join("\", \"")),
    }
}

fn render(apps: &[AppResource], wide: bool, headers: bool) -> String {
    let columns = || COLUMNS.iter().filter(|(_, only_wide, _)| wide || !only_wide);
    let head = columns().map(|(name, ..)| (*name).to_owned()).collect();
    let rows = apps.iter().map(|app| columns().map(|(.., cell)| cell(app)).collect());
    let shown = headers && !apps.is_empty();
    table::render(&shown.then_some(head).into_iter().chain(rows).collect::<Vec<_>>())
}

fn ready(app: &AppResource, cell: impl FnOnce(&Condition) -> String) -> String {
    app.status.condition(ConditionType::Ready).map_or_else(|| "Unknown".to_owned(), cell)
}

fn age(since: &str, now: SystemTime) -> String {
    match humantime::parse_rfc3339(since) {
        // A clock that was set back is no reason to show nonsense.
        Ok(since) => table::age(now.duration_since(since).unwrap_or_default()),
        Err(_) => "<unknown>".to_owned(),
    }
}

fn container(app: &AppResource) -> String {
    let Some(spec) = &app.spec else { return NONE.to_owned() };
    match &spec.container {
        None => "<host>".to_owned(),
        Some(ContainerRef { name: Some(name), .. }) => name.to_string(),
        Some(ContainerRef { rootfs: Some(rootfs), .. }) => rootfs.clone(),
        Some(_) => NONE.to_owned(),
    }
}

fn hostnames(app: &AppResource) -> String {
    match &app.spec {
        None => NONE.to_owned(),
        Some(spec) if spec.hostnames.is_empty() => "*".to_owned(),
        Some(spec) => spec.hostnames.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

/// Why it is not ready: the first line of the first of the three conditions that does not hold. Else what an older App answers for it.
fn message(app: &AppResource) -> String {
    let condition = |type_| app.status.condition(type_);
    [ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Programmed]
        .into_iter()
        .filter_map(condition)
        .find(|condition| condition.status != ConditionStatus::True)
        .or_else(|| condition(ConditionType::Conflicted))
        .and_then(|condition| condition.message.lines().next())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apps() -> Vec<AppResource> {
        let condition = |type_: &str, status: &str, reason: &str, message: &str| {
            json!({"type": type_, "status": status, "reason": reason, "message": message,
                   "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let good = json!({
            "apiVersion": API_VERSION, "kind": "App",
            "metadata": {"name": "ttrss", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"container": "ttrss", "hostnames": ["home.example.org", "*.example.net"], "rules": [{}]},
            "status": {"file": "ttrss.yaml", "servedGeneration": 2, "conditions": [condition("Ready", "True", "Ready", "")]}
        });
        let why = "broken.yaml:3:7: spec.rule: unknown field; did you mean `rules`?\nbroken.yaml:9:1: more";
        let bad = json!({
            "apiVersion": API_VERSION, "kind": "App",
            "metadata": {"name": "broken.yaml"},
            "status": {"file": "broken.yaml", "conditions": [
                condition("Accepted", "False", "Invalid", why),
                condition("Programmed", "False", "Invalid", "nothing is served"),
                condition("Ready", "False", "Invalid", "see Accepted")
            ]}
        });
        [good, bad].into_iter().map(|app| serde_json::from_value(app).unwrap()).collect()
    }

    #[test]
    fn an_app_that_is_not_ready_says_why_in_its_line() {
        let mut apps = apps();
        apps[0].metadata.creation_timestamp.clear();
        let expected = "\
NAME          READY   REASON    GENERATION   AGE         MESSAGE
ttrss         True    Ready     2            <unknown>
broken.yaml   False   Invalid   0            <unknown>   broken.yaml:3:7: spec.rule: unknown field; did you mean `rules`?
";
        assert_eq!(render(&apps, false, true), expected);
        assert_eq!(render(&apps, false, false).lines().count(), 2);
        assert_eq!(render(&[], false, true), "");
    }

    #[test]
    fn an_app_that_is_ready_says_what_an_older_one_answers_for_it() {
        let mut app = apps().remove(0);
        let mut conflict = app.status.conditions[0].clone();
        (conflict.type_, conflict.message) = (ConditionType::Conflicted, "spec.rules[0] has a match of the older App `x`".to_owned());
        app.status.conditions.push(conflict);
        assert_eq!(message(&app), "spec.rules[0] has a match of the older App `x`");
    }

    #[test]
    fn a_name_that_two_manifests_want_is_named_once() {
        let mut apps = apps();
        apps.insert(1, apps[0].clone());
        assert_eq!(names(&apps), "app/ttrss\napp/broken.yaml\n");
    }

    #[test]
    fn the_wide_table_tells_where_an_app_comes_from() {
        let wide = render(&apps(), true, true);
        let words = |line: &str| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<_> = wide.lines().map(words).collect();
        assert_eq!(lines[0][5..], ["SERVED", "CONTAINER", "HOSTNAMES", "FILE", "MESSAGE"]);
        assert_eq!(lines[1][5..], ["2", "ttrss", "home.example.org,*.example.net", "ttrss.yaml"]);
        assert_eq!(lines[2][5..9], ["<none>", "<none>", "<none>", "broken.yaml"]);
    }

    #[test]
    fn an_age_counts_from_the_creation() {
        let now = humantime::parse_rfc3339("2026-01-01T00:03:00Z").unwrap();
        assert_eq!(age("2026-01-01T00:02:55Z", now), "5s");
        assert_eq!(age("2026-01-01T01:00:00Z", now), "0s", "the clock was set back");
        assert_eq!(age("", now), "<unknown>");
    }
}
