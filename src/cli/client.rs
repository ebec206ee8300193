//! A question to the daemon -> its answer.
//!
//! In: the admin socket's path. Out: objects. Never: a wait without an end; an answer without a bound.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::admin::{self, APPS, MAX_POLL, escape};
use crate::api::v1::List;
use crate::config::DEFAULT_ADMIN;

/// How long an answer may take, beyond the time that the daemon is asked to hold it back.
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
    /// The daemon says no.
    #[error("the daemon says: {0}")]
    Refused(String),
    /// The question does not fit into HTTP.
    #[error("the daemon can't be asked for that")]
    Question(#[from] http::Error),
}

impl Client {
    /// Every App, and manifests that belong to none.
    pub(super) async fn apps<T: DeserializeOwned>(&self) -> Result<List<T>, Error> {
        self.ask(APPS, PATIENCE).await?.object()
    }

    /// What [`Client::look`] finds, held back until there is something newer than `revision`, or for `hold`.
    pub(super) async fn watch<T: DeserializeOwned>(&self, name: &str, revision: &str, hold: Duration) -> Result<List<T>, Error> {
        let seconds = hold.min(MAX_POLL).as_secs() + 1;
        let selector = escape(&format!("metadata.name={name}"));
        let question = format!("{APPS}?fieldSelector={selector}&newerThan={}&timeoutSeconds={seconds}", escape(revision));
        self.ask(&question, MAX_POLL + PATIENCE).await?.object()
    }

    /// The App of this name as it is now; after it the manifests that want the name, too.
    pub(super) async fn look<T: DeserializeOwned>(&self, name: &str) -> Result<List<T>, Error> {
        let selector = escape(&format!("metadata.name={name}"));
        self.ask(&format!("{APPS}?fieldSelector={selector}"), PATIENCE).await?.object()
    }

    async fn ask(&self, question: &str, patience: Duration) -> Result<Answer, Error> {
        timeout(patience, self.exchange(question)).await.map_err(|_| Error::Late)?
    }

    #[allow(clippy::disallowed_methods, reason = "the daemon's own socket")]
    async fn exchange(&self, question: &str) -> Result<Answer, Error> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|reason| self.unreachable(reason))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its errors come out of `sender` as well.
        tokio::spawn(connection);
        let request = Request::get(question).header(HOST, "lxcproxy").body(Empty::<Bytes>::new())?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_err(Error::Body)?.to_bytes();
        Ok(Answer { code: head.status, body })
    }

    fn unreachable(&self, reason: io::Error) -> Error {
        let path = self.socket.clone();
        match reason.kind() {
            ErrorKind::PermissionDenied => Error::Forbidden { path, reason },
            _ => Error::NoDaemon { path, reason },
        }
    }
}

/// What the daemon says.
struct Answer {
    code: StatusCode,
    body: Bytes,
}

impl Answer {
    /// The object, if the daemon gave one.
    fn object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if self.code == StatusCode::OK {
            return Ok(serde_json::from_slice(&self.body)?);
        }
        let status: admin::Status = serde_json::from_slice(&self.body)?;
        Err(Error::Refused(status.message))
    }
}

/// Runs a conversation with the daemon to its end.
pub(super) fn converse<T>(conversation: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?.block_on(conversation)
}
