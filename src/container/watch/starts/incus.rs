//! Containers of Incus or LXD that start or stop -> news, from the daemon's stream of events: one WebSocket for each daemon.
//!
//! In: where the daemon listens. Out: [`News`]. Never: a failure where it is not installed; a wait for a daemon that takes no connection.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::WebSocketConfig};

use super::{News, Place};
use crate::container::incus::{Door, connect};

/// Events of containers that come and go, of the default project.
const EVENTS: &str = "ws://localhost/1.0/events?type=lifecycle";
/// How long the daemon may take to say that it will tell.
const DEADLINE: Duration = Duration::from_secs(5);
/// It says so a moment before it begins.
const SETTLED: Duration = Duration::from_millis(100);
/// An event has some hundred bytes.
const EVENT: usize = 64 << 10;

/// What happened to something (`shared/api/event.go`, `event_lifecycle.go`).
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    project: Option<String>,
    metadata: Lifecycle,
}

#[derive(Deserialize)]
struct Lifecycle {
    /// `instance-started`.
    action: String,
    /// `/1.0/instances/NAME`.
    source: String,
}

/// Passes on what the daemon tells, until it ends. The first news is that anything may have happened before.
pub(super) async fn listen(doors: &[Door], place: &Place, news: &mpsc::Sender<News>) -> io::Result<()> {
    let config = WebSocketConfig::default().max_message_size(Some(EVENT)).max_frame_size(Some(EVENT));
    let begun = async {
        let (stream, _) = connect(doors).await?;
        // Pings are answered in there.
        let (events, _) = client_async_with_config(EVENTS, stream, Some(config)).await.map_err(broken)?;
        io::Result::Ok(events)
    };
    let mut events = timeout(DEADLINE, begun).await??;
    let settled = Instant::now() + SETTLED;
    let mut told = false;
    loop {
        let message = tokio::select! {
            event = events.next() => match event.transpose().map_err(broken)? {
                Some(Message::Text(event)) => match changed(&event) {
                    Some(name) => News::Of(place.clone(), name),
                    None => continue,
                },
                Some(Message::Close(_)) | None => return Ok(()),
                Some(_) => continue,
            },
            () = sleep_until(settled), if !told => {
                told = true;
                News::Any(place.clone())
            }
        };
        if news.send(message).await.is_err() {
            return Ok(());
        }
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

/// The container of an event that changes what can be reached.
fn changed(event: &str) -> Option<String> {
    let Event { project, metadata: Lifecycle { action, source } } = serde_json::from_str(event).ok()?;
    let what = action.strip_prefix("instance-")?;
    let changes = matches!(what, "started" | "stopped" | "shutdown" | "restarted" | "restored" | "created" | "deleted" | "renamed");
    // There may be `?project=` behind it.
    let name = source.strip_prefix("/1.0/instances/")?.split('?').next()?;
    (changes && project.is_none_or(|project| project == "default") && !name.contains('/')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use futures_util::SinkExt;

    use super::*;
    use crate::container::incus::Product;

    fn event(action: &str, source: &str, project: &str) -> String {
        // As LXD 5.0 sends it.
        format!(
            r#"{{"type":"lifecycle","timestamp":"2026-11-23T21:33:23.846081069Z","metadata":{{"action":"{action}","source":"{source}","requestor":{{"username":"root","protocol":"unix","address":"@"}}}},"location":"none","project":"{project}"}}"#
        )
    }

    #[test]
    fn events_that_change_what_can_be_reached_name_their_container() {
        for action in ["started", "stopped", "shutdown", "restarted"] {
            let event = event(&format!("instance-{action}"), "/1.0/instances/web", "default");
            assert_eq!(changed(&event).as_deref(), Some("web"), "{action}");
        }
        assert_eq!(changed(&event("instance-started", "/1.0/instances/web?project=default", "default")).as_deref(), Some("web"));
    }

    #[test]
    fn other_events_and_other_projects_say_nothing() {
        for event in [
            event("instance-exec", "/1.0/instances/web", "default"),
            event("instance-started", "/1.0/instances/web", "other"),
            event("instance-created", "/1.0/instances/web/snapshots/one", "default"),
            event("storage-pool-created", "/1.0/storage-pools/default", "default"),
            String::new(),
            "[]".to_owned(),
            r#"{"type":"lifecycle","metadata":7}"#.to_owned(),
        ] {
            assert_eq!(changed(&event), None, "{event}");
        }
    }

    /// What comes of a daemon that sends these messages and then nothing; the news until then.
    async fn heard(messages: Vec<String>) -> (io::Result<()>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unix.socket");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let daemon = tokio::spawn(async move {
            let mut events = tokio_tungstenite::accept_async(listener.accept().await.unwrap().0).await.unwrap();
            for message in messages {
                // Who has heard enough hangs up.
                let _ = events.send(Message::text(message)).await;
            }
            let _ = events.close(None).await;
        });
        let doors = Product::Lxd.doors(Some(dir.path()));
        let (sender, mut news) = mpsc::channel(1024);
        let place = Place::Incus(doors.clone());
        let end = timeout(Duration::from_secs(30), listen(&doors, &place, &sender)).await.unwrap();
        daemon.abort();
        drop(sender);
        let mut names = Vec::new();
        while let Some(news) = news.recv().await {
            if let News::Of(_, name) = news {
                names.push(name);
            }
        }
        (end, names)
    }

    #[tokio::test]
    async fn nonsense_between_events_is_passed_over_and_a_message_without_end_ends_the_stream() {
        let web = || event("instance-started", "/1.0/instances/web", "default");
        let (end, names) = heard(vec!["[]".to_owned(), web(), "x".repeat(1000), web()]).await;
        assert!(end.is_ok(), "{end:?}");
        assert_eq!(names, ["web", "web"]);
        let (end, names) = heard(vec![web(), "x".repeat(EVENT + 1), web()]).await;
        assert!(end.is_err(), "it is longer than anything that is read");
        assert_eq!(names, ["web"]);
    }
}
