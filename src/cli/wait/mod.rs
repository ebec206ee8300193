//! `lxcproxy wait`: an object and a condition -> the moment at which it holds.
//!
//! In: the daemon's objects, as they change. Out: nothing but the time. Never: a polling loop; an answer about a manifest that has been
//! changed since, where it can be looked at.

mod manifest;
mod wanted;

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use self::manifest::Written;
use self::wanted::{Seen, Wanted};
use super::client::{self, Change, Client, Watch, converse, named};
use super::follow::takes_a_name;
use super::kind::{Kind, Reference, Selection};
use super::{Failure, print};
use crate::config;

/// How long the daemon may take to see a manifest as it stands in its directory. It polls where there are no events.
const SIGHT: Duration = Duration::from_secs(10);
/// How long one look may take, however short the timeout is. A daemon that starts keeps a question for longer than that.
const LOOK: Duration = Duration::from_secs(2);

/// Wait until an object has a condition, is there, or is gone
///
/// An object that does not exist yet is waited for too, unlike with kubectl: the usual order is to drop a manifest in and to wait for it.
/// A condition counts only if it was observed at the newest generation of the object; and if you may read the daemon's directory, only
/// when the daemon has seen the manifest as it is there at the start of the wait. So it can stand right behind a change.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lxcproxy wait app/ttrss --for=condition=Ready --timeout=30s
  lxcproxy wait app/ttrss gw/public --for=condition=Accepted=false
  lxcproxy wait app/ttrss --for=delete")]
pub(super) struct Wait {
    /// The objects: `TYPE/NAME...`, or `TYPE NAME...`. All have to have it; they are waited for one after the other.
    #[arg(value_name = "TYPE/NAME", required = true)]
    objects: Vec<String>,
    /// What is waited for: `condition=TYPE`, with the status behind it if that is not to be true; `create`; `delete`.
    #[arg(long = "for", value_name = "condition=TYPE[=STATUS]|create|delete")]
    wanted: Wanted,
    /// How long to wait for all of them together; 0s: look once.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = config::duration)]
    timeout: Duration,
    #[command(flatten)]
    client: Client,
}

/// How a wait ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// It holds.
    Met,
    /// It holds from the start: what is to be gone is not there.
    Absent,
    /// The time is over; why it does not hold.
    TimedOut(String),
}

impl Wait {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let selection = Selection::parse(&self.objects).map_err(|error| Failure::Usage(error.into()))?;
        let Selection::Named(objects) = selection else {
            return Err(Failure::Usage(anyhow!("which one? expected TYPE/NAME, such as app/ttrss")));
        };
        if let Some(object) = objects.iter().find(|object| matches!(object.kind, Kind::Event | Kind::Backend)) {
            let kind = object.kind.plural();
            return Err(Failure::Usage(anyhow!("{kind} have no conditions; expected app/NAME, gateway/NAME or source/NAME")));
        }
        converse(self.all(&objects)).map_err(Failure::Failed)
    }

    async fn all(&self, objects: &[Reference]) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.timeout;
        for object in objects {
            match until(&self.client, object, self.wanted, deadline).await? {
                Outcome::Met => print(&format!("{object} condition met\n"))?,
                Outcome::Absent => {}
                Outcome::TimedOut(why) => {
                    bail!("timed out waiting for the condition on {}/{}: {why}", object.kind.plural(), object.name)
                }
            }
        }
        Ok(())
    }
}

/// Waits until the object has what is wanted, or the deadline has come. Looks at least once.
async fn until(client: &Client, reference: &Reference, wanted: Wanted, deadline: Instant) -> Result<Outcome, client::Error> {
    let selector = named(&reference.name);
    let query = [("fieldSelector", selector.as_str())];
    let sight = deadline.min(Instant::now() + SIGHT);
    let answered = deadline.max(Instant::now() + LOOK);
    let unanswered = || Outcome::TimedOut("the daemon has not answered".to_owned());
    let mut unseen = match wanted {
        Wanted::Condition(..) => match timeout_at(answered, Written::look(client, reference)).await {
            Ok(written) => Some(written),
            Err(_) => return Ok(unanswered()),
        },
        Wanted::Create | Wanted::Delete => None,
    };
    let mut watch = None;
    let mut uid = None;
    loop {
        let objects = match timeout_at(answered, client.list::<Value>(reference.kind.plural(), &query)).await {
            Ok(Ok(list)) => list.items,
            // A daemon that starts has nothing to say for a while; it has taken its time to say so.
            Ok(Err(error)) if is_early(&error) && Instant::now() < deadline => continue,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(unanswered()),
        };
        let object = object(objects)?;
        unseen.take_if(|written| written.is_seen_in(object.as_ref()) || Instant::now() >= sight);
        let first = uid.is_none();
        let uid = uid.get_or_insert_with(|| object.as_ref().map(|object| object.metadata.uid.clone()).unwrap_or_default());
        // Another object of the name is not the one that is to go.
        let same = object.as_ref().filter(|object| wanted != Wanted::Delete || object.metadata.uid == *uid);
        if unseen.is_none() && wanted.met_by(same) {
            return Ok(if first && wanted == Wanted::Delete { Outcome::Absent } else { Outcome::Met });
        }
        let next = if unseen.is_some() { sight } else { deadline };
        match timeout_at(next, news(client, reference.kind, &query, &mut watch)).await {
            Ok(news) => news?,
            Err(_) if Instant::now() < deadline => {}
            Err(_) if unseen.is_some() && wanted.met_by(same) => {
                return Ok(Outcome::TimedOut("the daemon has not seen the manifest as it is now".to_owned()));
            }
            Err(_) => return Ok(Outcome::TimedOut(wanted.missing_in(same))),
        }
    }
}

/// Whether the daemon serves no snapshot yet.
fn is_early(error: &client::Error) -> bool {
    matches!(error, client::Error::Refused(status) if status.code == StatusCode::SERVICE_UNAVAILABLE.as_u16())
}

/// The object that has the name, before manifests that only want it.
fn object(mut objects: Vec<Value>) -> Result<Option<Seen>, serde_json::Error> {
    objects.sort_by_key(takes_a_name);
    objects.into_iter().next().map(serde_json::from_value).transpose()
}

/// Waits for something to look at. A watch that has ended is begun again: if the daemon is gone, that says so.
async fn news(client: &Client, kind: Kind, query: &[(&str, &str)], watch: &mut Option<Watch<Value>>) -> Result<(), client::Error> {
    let open = match watch {
        Some(open) => open,
        None => watch.insert(client.watch(kind.plural(), query, None).await?),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;

    use super::*;
    use crate::api::v1::AppResource;
    use crate::snapshot::{Publisher, Snapshot, channel};
    use crate::{admin, snapshot};

    const SOON: Duration = Duration::from_secs(10);

    /// A daemon that serves nothing so far.
    fn daemon() -> (tempfile::TempDir, Client, Publisher) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("admin.sock");
        let listener = admin::Listener::bind(&socket).unwrap();
        let (mut publisher, reader): (Publisher, snapshot::Reader) = channel();
        publisher.publish(Snapshot::default());
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

    fn ttrss() -> Reference {
        "app/ttrss".parse().unwrap()
    }

    #[tokio::test]
    async fn what_is_there_is_created_and_what_is_not_is_gone() {
        let (_dir, client, mut publisher) = daemon();
        let wait = async |text| until(&client, &ttrss(), wanted(text), Instant::now()).await.unwrap();
        assert_eq!(wait("delete").await, Outcome::Absent);
        assert_eq!(wait("create").await, Outcome::TimedOut("there is none of that name".to_owned()));
        publish(&mut publisher, "True", 1, 1);
        assert_eq!(wait("create").await, Outcome::Met);
        assert_eq!(wait("delete").await, Outcome::TimedOut("it is still there".to_owned()));
    }

    #[tokio::test]
    async fn an_object_is_waited_for_until_it_is_gone() {
        let (_dir, client, mut publisher) = daemon();
        publish(&mut publisher, "True", 1, 1);
        let waiting = tokio::spawn(async move { until(&client, &ttrss(), Wanted::Delete, Instant::now() + SOON).await });
        tokio::task::yield_now().await;
        publish(&mut publisher, "True", 2, 2);
        publisher.publish(Snapshot::default());
        let outcome = waiting.await.unwrap().unwrap();
        assert!(matches!(outcome, Outcome::Met | Outcome::Absent), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_condition_that_holds_is_met_without_waiting() {
        let (_dir, client, mut publisher) = daemon();
        publish(&mut publisher, "True", 3, 3);
        let outcome = until(&client, &ttrss(), wanted("condition=Ready"), Instant::now()).await.unwrap();
        assert_eq!(outcome, Outcome::Met);
    }

    #[tokio::test]
    async fn an_app_is_waited_for_until_it_appears_and_is_ready() {
        let (_dir, client, mut publisher) = daemon();
        let waiting = tokio::spawn(async move { until(&client, &ttrss(), wanted("condition=Ready=true"), Instant::now() + SOON).await });
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
        let wait = async |text| until(&client, &ttrss(), wanted(text), Instant::now()).await.unwrap();
        assert_eq!(wait("condition=Ready").await, Outcome::TimedOut("there is none of that name".to_owned()));
        publish(&mut publisher, "False", 1, 1);
        assert_eq!(wait("condition=Ready").await, Outcome::TimedOut("Ready is False, SocketNotFound: no socket".to_owned()));
        assert_eq!(wait("condition=Accepted").await, Outcome::TimedOut("there is no condition Accepted".to_owned()));
        publish(&mut publisher, "True", 1, 2);
        assert_eq!(wait("condition=Ready").await, Outcome::TimedOut("Ready was observed at generation 1, not 2".to_owned()));
    }

    #[tokio::test]
    async fn a_daemon_that_has_nothing_to_say_yet_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client { socket: dir.path().join("admin.sock") };
        let listener = UnixListener::bind(&client.socket).unwrap();
        let waiting = |deadline| {
            let client = client.clone();
            tokio::spawn(async move { until(&client, &ttrss(), Wanted::Create, deadline).await })
        };
        let early = r#"{"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "not yet", "reason": "", "code": 503}"#;
        let list = json!({"apiVersion": "lxcproxy.dev/v1", "kind": "AppList", "metadata": {"resourceVersion": "1"}, "items": [
            {"apiVersion": "lxcproxy.dev/v1", "kind": "App", "metadata": {"name": "ttrss"}, "status": {"file": "f", "conditions": []}}
        ]});
        let patient = waiting(Instant::now() + SOON);
        answer(&listener, "503 Service Unavailable", early).await;
        answer(&listener, "200 OK", &list.to_string()).await;
        assert_eq!(patient.await.unwrap().unwrap(), Outcome::Met);
        let hasty = waiting(Instant::now());
        answer(&listener, "503 Service Unavailable", early).await;
        assert!(is_early(&hasty.await.unwrap().unwrap_err()));
    }

    #[tokio::test]
    async fn a_daemon_that_keeps_its_answer_to_itself_is_not_waited_for_beyond_the_timeout() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client { socket: dir.path().join("admin.sock") };
        let listener = admin::Listener::bind(&client.socket).unwrap();
        // Nothing is ever published: a question is kept for ten seconds, and refused then.
        let (_publisher, reader) = channel();
        tokio::spawn(admin::serve(listener, None, reader, admin::MetricsText::new(String::new), std::future::pending()));
        let unanswered = Outcome::TimedOut("the daemon has not answered".to_owned());
        let wait = async |text, timeout| until(&client, &ttrss(), wanted(text), Instant::now() + timeout).await.unwrap();
        let all = tokio::join!(wait("condition=Ready", Duration::ZERO), wait("delete", LOOK / 2), wait("create", LOOK * 3 / 2));
        assert_eq!(all, (unanswered.clone(), unanswered.clone(), unanswered));
    }

    /// Answers one question.
    async fn answer(listener: &UnixListener, status: &str, body: &str) {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::from("the first");
        while !line.trim().is_empty() {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn a_condition_that_is_there_only_when_true_can_be_waited_away() {
        let (_dir, client, mut publisher) = daemon();
        publish(&mut publisher, "True", 1, 1);
        let outcome = until(&client, &ttrss(), wanted("condition=Conflicted=false"), Instant::now()).await.unwrap();
        assert_eq!(outcome, Outcome::Met);
    }

    #[tokio::test]
    async fn without_a_daemon_the_error_says_what_to_start() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client { socket: dir.path().join("admin.sock") };
        let error = until(&client, &ttrss(), wanted("condition=Ready"), Instant::now() + SOON).await.unwrap_err();
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(text.starts_with("no daemon answers on /") && text.ends_with("; is `lxcproxy run` running?"), "{text}");
    }
}
