//! A question to the daemon -> its answer, or a stream of changes.
//!
//! In: the admin socket's path. Out: objects. Never: a wait without an end; an answer without a bound.

mod watch;

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::HOST;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

pub(super) use watch::{Change, Watch};

use crate::admin::{self, API, escape, escape_field};
use crate::api::v1::List;
use crate::config::DEFAULT_ADMIN;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes; 100,000 Apps take a quarter of it.
const ANSWER: usize = 1 << 30;

/// Where the daemon is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct Client {
    /// The daemon's admin socket.
    #[arg(long = "admin", value_name = "SOCKET", env = "LXCPROXY_ADMIN", default_value = DEFAULT_ADMIN)]
    pub(super) socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nobody is there. The system's words stand in the middle of the sentence, so they are no cause to print after it.
    #[error("no daemon answers on {}: {reason}; is `lxcproxy run` running?", .path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// It is there, and not for this user.
    #[error("the daemon's socket {} is not for you: {reason}; ask as root, or as the daemon's user or group", .path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("the daemon's answer broke off")]
    Broken(#[from] hyper::Error),
    /// The body broke off, or is too long.
    #[error("the daemon's answer can't be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("the daemon does not answer in time")]
    Late,
    /// It is not what was asked for.
    #[error("the daemon's answer is not understood; are the daemon and this command of the same version?")]
    Foreign(#[from] serde_json::Error),
    /// What was asked from is past: a new list has to be asked for (`410 Expired`).
    #[error("the daemon says: {}", .0.message)]
    Expired(Box<admin::Status>),
    /// The daemon says no.
    #[error("the daemon says: {}", .0.message)]
    Refused(Box<admin::Status>),
    /// The question does not fit into HTTP.
    #[error("the daemon can't be asked for that")]
    Question(#[from] http::Error),
}

impl Client {
    /// The objects of a resource (`apps`, `gateways`, `sources`, `events`) that fit the query, such as `[("labelSelector", "tier=web")]`;
    /// what is not needed is left out. The query's values are plain text; they are encoded here.
    pub(super) async fn list<T: DeserializeOwned>(&self, resource: &str, query: &[(&str, &str)]) -> Result<List<T>, Error> {
        let answer = async {
            let (head, body) = self.ask(&question(resource, query)).await?.into_parts();
            let body = Limited::new(body, ANSWER).collect().await.map_err(Error::Body)?.to_bytes();
            if head.status == StatusCode::OK { Ok(serde_json::from_slice(&body)?) } else { Err(refusal(&body)) }
        };
        timeout(PATIENCE, answer).await.map_err(|_| Error::Late)?
    }

    /// Every change of the objects that fit the query; see [`Client::list`]. With `resource_version`, that of a list: only what comes after
    /// it ([`Error::Expired`] if that is too long ago). Without: first every object as added, then a bookmark.
    pub(super) async fn watch<T: DeserializeOwned>(
        &self,
        resource: &str,
        query: &[(&str, &str)],
        resource_version: Option<&str>,
    ) -> Result<Watch<T>, Error> {
        let mut query = [&[("watch", "true")], query].concat();
        query.extend(resource_version.map(|version| ("resourceVersion", version)));
        let answer = async {
            let (head, body) = self.ask(&question(resource, &query)).await?.into_parts();
            if head.status == StatusCode::OK {
                return Ok(Watch::new(body));
            }
            Err(refusal(&Limited::new(body, ANSWER).collect().await.map_err(Error::Body)?.to_bytes()))
        };
        timeout(PATIENCE, answer).await.map_err(|_| Error::Late)?
    }

    #[allow(clippy::disallowed_methods, reason = "the daemon's own socket")]
    async fn ask(&self, question: &str) -> Result<Response<Incoming>, Error> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|reason| self.unreachable(reason))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its errors come out of `sender` as well.
        tokio::spawn(connection);
        let request = Request::get(question).header(HOST, "lxcproxy").body(Empty::<Bytes>::new())?;
        Ok(sender.send_request(request).await?)
    }

    fn unreachable(&self, reason: io::Error) -> Error {
        let path = self.socket.clone();
        match reason.kind() {
            ErrorKind::PermissionDenied => Error::Forbidden { path, reason },
            _ => Error::NoDaemon { path, reason },
        }
    }
}

/// The value of `fieldSelector` for the objects of one name.
pub(super) fn named(name: &str) -> String {
    format!("metadata.name={}", escape_field(name))
}

/// Runs a conversation with the daemon to its end.
pub(super) fn converse<T>(conversation: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?.block_on(conversation)
}

fn question(resource: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = query.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
    format!("{API}/{resource}?{}", pairs.join("&"))
}

/// What a `Status` says, as an error.
fn refusal(status: &[u8]) -> Error {
    match serde_json::from_slice::<Box<admin::Status>>(status) {
        Ok(status) if status.code == StatusCode::GONE.as_u16() => Error::Expired(status),
        Ok(status) => Error::Refused(status),
        Err(error) => Error::Foreign(error),
    }
}
