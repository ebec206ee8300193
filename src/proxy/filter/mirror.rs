//! `RequestMirror`: a copy of what the backend is sent goes to another one (Gateway API `HTTPRequestMirrorFilter`).
//!
//! In: a request that filters have made ready, its body. Out: a task that sends the copy, and forgets the answer. Never: a wait of the
//! client for it, an error that the client sees, more copies at once than [`MOST`].

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;

use crate::api::v1::HttpProtocol;
use crate::backend::http::{Call, Head, Pool};
use crate::backend::{Fate, RequestBody, ResponseBody};
use crate::dial::Address;
use crate::metrics::{BackendCounts, Fault};
use crate::proxy::Proxy;
use crate::proxy::balance::{self, Client, Tried};
use crate::proxy::forward::Forward;
use crate::proxy::record::fault;
use crate::route::{CompiledApp, Protocol, Rule, Timeouts};

/// Copies of one thread that are on their way.
const MOST: usize = 256;
/// How long a mirror may be silent where the rule has no limit.
const IDLE: Duration = Duration::from_secs(60);
/// What is read of its answer, so that the connection can be used again.
const ANSWER: usize = 64 * 1024;
/// How long that may take.
const ANSWERING: Duration = Duration::from_secs(10);

/// The copies of one thread that are on their way.
#[derive(Debug, Clone, Default)]
pub(in crate::proxy) struct Mirrors(Rc<Cell<usize>>);

/// One of them; over when dropped.
pub(super) struct OnItsWay(Mirrors);

/// A copy that is sent.
struct Copy {
    address: Address,
    timeouts: Timeouts,
    keep: usize,
    protocol: HttpProtocol,
    head: Request<()>,
    body: RequestBody,
    fate: Fate,
    counts: Option<Rc<BackendCounts>>,
    _counted: OnItsWay,
}

impl Mirrors {
    /// One more; none: there are as many as there may be.
    pub(super) fn begin(&self) -> Option<OnItsWay> {
        let now = self.0.get();
        (now < MOST).then(|| {
            self.0.set(now + 1);
            OnItsWay(self.clone())
        })
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

impl Proxy {
    /// Sends the copies that filters have asked for.
    pub(in crate::proxy) fn mirror(&self, app: &Arc<CompiledApp>, rule: &Rule, forward: &Forward<'_>, body: &mut RequestBody) {
        for &index in forward.mirrors() {
            let counts = forward.record().counts(app, index);
            match self.copy(app, rule, forward, (index, body, counts.clone())) {
                Ok(Some(copy)) => drop(tokio::task::spawn_local(copy.send(self.http.clone()))),
                Ok(None) => {}
                Err(fault) => drop(counts.map(|counts| counts.count(fault))),
            }
        }
    }

    /// A copy of the request; none: it can't be copied.
    fn copy(
        &self,
        app: &CompiledApp,
        rule: &Rule,
        forward: &Forward<'_>,
        (index, body, counts): (usize, &mut RequestBody, Option<Rc<BackendCounts>>),
    ) -> Result<Option<Copy>, Fault> {
        let backend = &app.backends[index];
        let Protocol::Http(settings) = &backend.protocol else { return Ok(None) };
        let endpoint = balance::choose(&self.turns, app, index, Client::of(forward).wish(backend), Tried::default());
        let address = backend.endpoints[endpoint].address.clone().ok_or(Fault::Unavailable)?;
        let counted = self.mirrors.begin().ok_or(Fault::CopyLimit)?;
        let Ok(head) = forward.copy(settings) else { return Ok(None) };
        let (body, fate) = body.copied();
        let timeouts = Timeouts { request: None, connect: rule.timeouts.connect.or(Some(IDLE)), idle: rule.timeouts.idle.or(Some(IDLE)) };
        Ok(Some(Copy { address, timeouts, keep: backend.keep, protocol: settings.protocol, head, body, fate, counts, _counted: counted }))
    }
}

impl Copy {
    async fn send(self, pool: Pool) {
        let call = Call { address: &self.address, timeouts: self.timeouts, keep: self.keep, protocol: self.protocol };
        let exchange = async {
            match pool.send(call, &Head::of(&self.head), self.body).await {
                Ok(answer) => {
                    read(answer.into_body()).await;
                    None
                }
                Err(failed) => fault(&failed.error),
            }
        };
        let failed = tokio::select! {
            failed = exchange => failed.filter(|_| !self.fate.is_broken_off()),
            () = self.fate.lost() => None,
        };
        let failed = if self.fate.is_behind() { Some(Fault::CopyBehind) } else { failed };
        if let (Some(counts), Some(failed)) = (&self.counts, failed) {
            counts.count(failed);
        }
    }
}

/// The same, as one of so many.
pub(super) async fn forget(body: ResponseBody, _counted: OnItsWay) {
    read(body).await;
}

/// Reads an answer to its end, if that is near.
async fn read(mut body: ResponseBody) {
    let read_all = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, bytes::Bytes::len);
            if read > ANSWER {
                return;
            }
        }
    };
    // Too slow is as good as too long.
    let _ = tokio::time::timeout(ANSWERING, read_all).await;
}
