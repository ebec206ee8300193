//! `lxcproxy wait`: an App and a condition -> the moment at which it holds.
//!
//! In: changes, as the daemon tells of them. Out: nothing but the time. Never: a polling loop; a condition of an older generation.

use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::client::{self, Change, Client, Watch, converse, named};
use super::print;
use crate::api::v1::{AppResource, ConditionStatus, ConditionType, Conditions};
use crate::config;

/// Wait until an App has a condition
///
/// An App that does not exist yet is waited for too, unlike with kubectl: the usual order is to drop a manifest in and to wait for it.
/// A condition counts only if it was observed at the newest generation of the App that the daemon knows.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lxcproxy wait app/ttrss --for=condition=Ready --timeout=30s\n  lxcproxy wait app/ttrss --for=condition=Accepted=false"
)]
pub(super) struct Wait {
    /// The App.
    #[arg(value_name = "app/NAME", value_parser = app_name)]
    app: String,
    /// The condition, and the status that it is to have if not `true`.
    #[arg(long = "for", value_name = "condition=TYPE[=STATUS]")]
    condition: Wanted,
    /// How long to wait; 0s: look once.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = config::duration)]
    timeout: Duration,
    #[command(flatten)]
    client: Client,
}

/// A condition and the status that it is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    type_: ConditionType,
    status: ConditionStatus,
}

/// How a wait ends.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The condition holds.
    Met,
    /// The time is over; why it does not hold.
    TimedOut(String),
}

impl Wait {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let outcome = converse(async { Ok(until(&self.client, &self.app, self.condition, Instant::now() + self.timeout).await?) })?;
        match outcome {
            Outcome::Met => print(&format!("app/{} condition met\n", self.app)),
            Outcome::TimedOut(why) => bail!("timed out waiting for the condition on app/{}: {why}", self.app),
        }
    }
}

/// Waits until the App has the condition, or the deadline has come. Looks at least once.
async fn until(client: &Client, name: &str, wanted: Wanted, deadline: Instant) -> Result<Outcome, client::Error> {
    let selector = named(name);
    let query = [("fieldSelector", selector.as_str())];
    let mut watch = None;
    loop {
        let list = client.list::<AppResource>("apps", &query).await?;
        let app = list.items.first();
        if app.is_some_and(|app| wanted.met_by(app)) {
            return Ok(Outcome::Met);
        }
        match timeout_at(deadline, news(client, &query, &mut watch)).await {
            Ok(news) => news?,
            Err(_) => return Ok(Outcome::TimedOut(wanted.missing_in(app))),
        }
    }
}

/// Waits for something to look at. A watch that has ended is begun again: if the daemon is gone, that says so.
async fn news(client: &Client, query: &[(&str, &str)], watch: &mut Option<Watch<Value>>) -> Result<(), client::Error> {
    let open = match watch {
        Some(open) => open,
        None => watch.insert(client.watch("apps", query, None).await?),
    };
    loop {
        match open.next().await? {
            // Nothing has happened.
            Some(Change::Bookmark(_)) => {}
            Some(_) => return Ok(()),
            None => {
                *watch = None;
                return Ok(());
            }
        }
    }
}

impl Wanted {
    /// Whether the App has it, observed at the App's own generation.
    fn met_by(self, app: &AppResource) -> bool {
        match app.status.condition(self.type_) {
            Some(found) => found.status == self.status && found.observed_generation >= app.metadata.generation,
            // These two are there only when they are true.
            None => {
                self.status == ConditionStatus::False && matches!(self.type_, ConditionType::Conflicted | ConditionType::PartiallyResolved)
            }
        }
    }

    /// What there is instead.
    fn missing_in(self, app: Option<&AppResource>) -> String {
        let Some(app) = app else { return "there is no such app".to_owned() };
        match app.status.condition(self.type_) {
            None => format!("there is no condition {}", self.type_),
            Some(found) if found.observed_generation < app.metadata.generation => {
                format!("{} was observed at generation {}, not {}", self.type_, found.observed_generation, app.metadata.generation)
            }
            Some(found) => {
                let message = found.message.lines().next().unwrap_or_default();
                // What holds has its own name for a reason.
                let reason = if found.status == ConditionStatus::True { String::new() } else { format!(", {}", found.reason) };
                format!("{} is {}{reason}: {message}", self.type_, found.status)
            }
        }
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected `condition=TYPE` or `condition=TYPE=true|false|unknown`";
        let condition = text.strip_prefix("condition=").ok_or(expected)?;
        let (type_, status) = condition.split_once('=').unwrap_or((condition, "true"));
        let type_ = type_.parse().map_err(|error| format!("{expected}: {error}"))?;
        let status = match status.to_ascii_lowercase().as_str() {
            "true" => ConditionStatus::True,
            "false" => ConditionStatus::False,
            "unknown" => ConditionStatus::Unknown,
            _ => return Err(expected.to_owned()),
        };
        Ok(Self { type_, status })
    }
}

fn app_name(text: &str) -> Result<String, &'static str> {
    let name = text.strip_prefix("app/").or_else(|| text.strip_prefix("apps/"));
    name.filter(|name| !name.is_empty()).map(str::to_owned).ok_or("expected `app/NAME`")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::snapshot::{Publisher, Snapshot, channel};
    use crate::{admin, snapshot};

    const SOON: Duration = Duration::from_secs(10);

    fn daemon() -> (tempfile::TempDir, Client, Publisher) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("admin.sock");
        let listener = admin::Listener::bind(&socket).unwrap();
        let (publisher, reader): (_, snapshot::Reader) = channel();
        let metrics = admin::MetricsText::new(String::new);
        tokio::spawn(admin::serve(listener, None, reader, metrics, std::future::pending()));
        (dir, Client { socket }, publisher)
    }

    fn publish(publisher: &mut Publisher, ready: &str, observed: u64, generation: u64) {
        let app: AppResource = serde_json::from_value(json!({
            "apiVersion": "lxcproxy.dev/v1", "kind": "App", "metadata": {"name": "ttrss", "generation": generation},
            "status": {"file": "ttrss.yaml", "conditions": [{
                "type": "Ready", "status": ready, "reason": "SocketNotFound", "message": "no socket\nsecond line",
                "observedGeneration": observed, "lastTransitionTime": "2026-01-01T00:00:00Z"
            }]}
        }))
        .unwrap();
        let apps = [("ttrss".to_owned(), Arc::new(app))].into_iter().collect();
        publisher.publish(Snapshot { apps, ..Snapshot::default() });
    }

    fn wanted(text: &str) -> Wanted {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_condition_that_holds_is_met_without_waiting() {
        let (_dir, client, mut publisher) = daemon();
        publish(&mut publisher, "True", 3, 3);
        let outcome = until(&client, "ttrss", wanted("condition=Ready"), Instant::now()).await.unwrap();
        assert_eq!(outcome, Outcome::Met);
    }

    #[tokio::test]
    async fn an_app_is_waited_for_until_it_appears_and_is_ready() {
        let (_dir, client, mut publisher) = daemon();
        let waiting = tokio::spawn(async move { until(&client, "ttrss", wanted("condition=Ready=true"), Instant::now() + SOON).await });
        for (ready, observed, generation) in [("False", 1, 1), ("True", 1, 2), ("Unknown", 2, 2)] {
            publish(&mut publisher, ready, observed, generation);
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished(), "{ready} at {observed} of {generation}");
        }
        publish(&mut publisher, "True", 2, 2);
        assert_eq!(waiting.await.unwrap().unwrap(), Outcome::Met);
    }

    #[tokio::test]
    async fn a_timeout_says_what_there_is_instead() {
        let (_dir, client, mut publisher) = daemon();
        let wait = async |text| until(&client, "ttrss", wanted(text), Instant::now()).await.unwrap();
        assert_eq!(wait("condition=Ready").await, Outcome::TimedOut("there is no such app".to_owned()));
        publish(&mut publisher, "False", 1, 1);
        assert_eq!(wait("condition=Ready").await, Outcome::TimedOut("Ready is False, SocketNotFound: no socket".to_owned()));
        assert_eq!(wait("condition=Accepted").await, Outcome::TimedOut("there is no condition Accepted".to_owned()));
        publish(&mut publisher, "True", 1, 2);
        assert_eq!(wait("condition=Ready").await, Outcome::TimedOut("Ready was observed at generation 1, not 2".to_owned()));
    }

    #[tokio::test]
    async fn a_condition_that_is_there_only_when_true_can_be_waited_away() {
        let (_dir, client, mut publisher) = daemon();
        publish(&mut publisher, "True", 1, 1);
        let outcome = until(&client, "ttrss", wanted("condition=Conflicted=false"), Instant::now()).await.unwrap();
        assert_eq!(outcome, Outcome::Met);
    }

    #[tokio::test]
    async fn without_a_daemon_the_error_says_what_to_start() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client { socket: dir.path().join("admin.sock") };
        let error = until(&client, "ttrss", wanted("condition=Ready"), Instant::now() + SOON).await.unwrap_err();
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(text.starts_with("no daemon answers on /") && text.ends_with("; is `lxcproxy run` running?"), "{text}");
    }

    #[test]
    fn conditions_are_written_as_for_kubectl() {
        assert_eq!(wanted("condition=Ready"), Wanted { type_: ConditionType::Ready, status: ConditionStatus::True });
        assert_eq!(wanted("condition=Accepted=False"), Wanted { type_: ConditionType::Accepted, status: ConditionStatus::False });
        for bad in ["Ready", "condition=", "condition=Redy", "condition=Ready=maybe", "delete"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
        assert_eq!(app_name("app/ttrss"), Ok("ttrss".to_owned()));
        assert!(app_name("ttrss").is_err() && app_name("pod/x").is_err() && app_name("app/").is_err());
    }
}
