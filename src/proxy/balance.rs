//! The endpoints of a backend -> the one that a request goes to; what becomes of the request -> what all threads know of it.
//!
//! In: a backend, the endpoints that have failed this request. Out: one of the others. Never: a wait; no endpoint at all: if all are out,
//! they are as good as any (Envoy: panic mode).

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};
use rustix::io::Errno;

use super::forward::Forward;
use super::id::mix;
use super::pick::Dice;
use super::record::Record;
use super::session::cookies;
use crate::backend::{Error, Phase, ResponseBody};
use crate::dial;
use crate::metrics::uptime;
use crate::route::{Backend, Balance, CompiledApp, HashKey, InFlight, Place, State};

/// Backends whose turns a thread knows; those that are gone are forgotten with all others once there are so many.
const TURNS: usize = 4096;

/// Endpoints by index, at most 64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tried(u64);

/// Whose turn it is, as one thread sees it.
#[derive(Debug)]
pub(super) struct Turns {
    dice: Dice,
    /// By the place of what is known of the first endpoint: it outlives changes of the App.
    next: RefCell<HashMap<usize, u32>>,
}

/// What matters of a request here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client<'f> {
    stay: Option<Place>,
    headers: &'f HeaderMap,
    address: IpAddr,
}

/// A request that an endpoint has, until it is known what became of it. Of a backend with one endpoint nothing is noted.
pub(super) struct Turn<'a>(Option<Taken<'a>>);

struct Taken<'a> {
    app: &'a CompiledApp,
    backend: &'a Backend,
    endpoint: usize,
    in_flight: InFlight,
    /// The rule's time limit, if nobody but the endpoint can be the cause when it passes.
    limit: Option<Duration>,
    record: &'a Record,
}

/// Where a client wants to go, whatever becomes of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    stay: Option<Place>,
    /// For a consistent hash.
    key: Option<u64>,
}

impl<'f> Client<'f> {
    pub(super) fn of(forward: &'f Forward<'_>) -> Self {
        Self { stay: forward.stay(), headers: forward.headers(), address: forward.values().peer.client.ip() }
    }
}

impl Client<'_> {
    /// Where this client wants to go, among the endpoints of a backend.
    pub(super) fn wish(self, backend: &Backend) -> Wish {
        let key = match &backend.balance {
            Balance::ConsistentHash { key, .. } => hash(key, self),
            Balance::RoundRobin | Balance::LeastRequest => None,
        };
        Wish { stay: self.stay, key }
    }
}

impl Tried {
    /// Notes one.
    pub(super) fn note(&mut self, endpoint: usize) {
        self.0 |= 1 << endpoint;
    }

    /// Whether there is one that was not tried.
    pub(super) fn leaves(self, backend: &Backend) -> bool {
        (0..backend.endpoints.len()).any(|endpoint| !self.has(endpoint))
    }

    /// Whether it was noted.
    pub(super) fn has(self, endpoint: usize) -> bool {
        self.0 & (1 << endpoint) != 0
    }
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { dice: Dice::new(), next: RefCell::default() }
    }

    /// A number that rises by one with each call, from a random one on.
    fn next(&self, backend: &Backend) -> u32 {
        let key = backend.endpoints.first().map_or(0, |first| Arc::as_ptr(&first.health).addr());
        let mut turns = self.next.borrow_mut();
        if turns.len() >= TURNS {
            turns.clear();
        }
        let turn = turns.entry(key).or_insert_with(|| u32::try_from(self.dice.roll(1 << 32)).unwrap_or_default());
        *turn = turn.wrapping_add(1);
        *turn
    }

    fn after_the_last(&self, backend: &Backend, among: Among) -> usize {
        among.nth(self.next(backend) % among.len())
    }

    /// The one with the fewest requests in flight; of several one at random.
    fn least(&self, backend: &Backend, among: Among) -> usize {
        let (mut least, mut found, mut equal) = (u32::MAX, 0, 0);
        for endpoint in among.iter() {
            let in_flight = backend.endpoints[endpoint].health.in_flight();
            if in_flight < least {
                (least, found, equal) = (in_flight, endpoint, 1);
            } else if in_flight == least {
                equal += 1;
                if self.dice.roll(equal) == 0 {
                    found = endpoint;
                }
            }
        }
        found
    }
}

/// The endpoint that a request goes to, of the App's backend with this index.
pub(super) fn choose(turns: &Turns, app: &CompiledApp, index: usize, wish: Wish, tried: Tried) -> usize {
    let backend = &app.backends[index];
    if backend.endpoints.len() <= 1 {
        return 0;
    }
    let among = Among::of(backend, tried);
    if let Some(place) = wish.stay.filter(|place| place.backend == index && among.has(place.endpoint)) {
        return place.endpoint;
    }
    match &backend.balance {
        Balance::RoundRobin => turns.after_the_last(backend, among),
        Balance::LeastRequest => turns.least(backend, among),
        Balance::ConsistentHash { names, .. } => match wish.key {
            Some(key) => rendezvous(key, names, among),
            None => turns.after_the_last(backend, among),
        },
    }
}

/// Notes that an endpoint has a request. `limit`: that of the rule's whole transaction; none if the client may be the cause when it
/// passes, because it still sends its body.
pub(super) fn begin<'a>(app: &'a CompiledApp, index: usize, endpoint: usize, limit: Option<Duration>, record: &'a Record) -> Turn<'a> {
    let backend = &app.backends[index];
    if backend.endpoints.len() <= 1 {
        return Turn(None);
    }
    let in_flight = backend.endpoints[endpoint].health.begin();
    Turn(Some(Taken { app, backend, endpoint, in_flight, limit, record }))
}

/// An attempt is over.
pub(super) fn over(turn: Turn<'_>, outcome: &Result<Response<ResponseBody>, Error>) {
    match outcome {
        Ok(answer) => answered(turn, answer.status()),
        Err(error) => failed(turn, error),
    }
}

/// There is an answer: the endpoint is busy until its body has ended.
pub(super) fn answered(mut turn: Turn<'_>, status: StatusCode) {
    let Some(taken) = turn.0.take() else { return };
    if is_failure(status) {
        taken.note_failure();
    } else if taken.backend.endpoints[taken.endpoint].health.note_success() {
        let endpoint = &*taken.backend.endpoints[taken.endpoint].name;
        tracing::info!(app = %taken.app.name, backend = %taken.backend.name, endpoint, "the endpoint answers again");
    }
    taken.record.occupies(taken.in_flight);
}

/// There is none.
pub(super) fn failed(mut turn: Turn<'_>, error: &Error) {
    let Some(taken) = turn.0.take() else { return };
    if is_its_fault(error) {
        taken.note_failure();
    }
}

/// Whether an answer says that the endpoint can't do its work, and another one may.
pub(super) fn is_failure(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn is_its_fault(error: &Error) -> bool {
    match error {
        // We have no descriptor left: that is our own fault.
        Error::Connect(dial::Error::Io(_, error)) => {
            !matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
        }
        Error::Connect(_) | Error::Protocol(_) | Error::Closed(_) | Error::Http(_) | Error::Refused => true,
        Error::Timeout(phase) => matches!(phase, Phase::Connect | Phase::Backend),
        Error::Unavailable | Error::BodyTooLarge(_) | Error::Downstream(_) | Error::File(_) | Error::Local(_) => false,
    }
}

impl Taken<'_> {
    fn note_failure(&self) {
        let Some(ejection) = self.backend.ejection else { return };
        let now = uptime();
        let others =
            || (0..self.backend.endpoints.len()).any(|other| other != self.endpoint && self.backend.state(other, || now).is_ready());
        let endpoint = &self.backend.endpoints[self.endpoint];
        if let Some(time) = endpoint.health.note_failure(ejection, now, others) {
            let (app, backend, endpoint) = (&self.app.name, &self.backend.name, &*endpoint.name);
            tracing::warn!(%app, %backend, endpoint, "the endpoint is out for {time:?}: it fails its requests");
        }
    }
}

impl Drop for Turn<'_> {
    /// A request that is given up is no failure, unless its time was over.
    fn drop(&mut self) {
        if let Some(taken) = self.0.take()
            && taken.limit.is_some_and(|limit| taken.record.age() >= limit)
        {
            taken.note_failure();
        }
    }
}

/// Endpoints to choose from: never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Among(u64);

impl Among {
    /// Those that are in and were not tried; else those that were not tried; else those that have an address; else all.
    fn of(backend: &Backend, tried: Tried) -> Self {
        let of = |fits: &dyn Fn(usize) -> bool| {
            (0..backend.endpoints.len().min(64)).filter(|endpoint| fits(*endpoint)).fold(0, |set, endpoint| set | 1 << endpoint)
        };
        let is_somewhere = |endpoint: usize| backend.endpoints[endpoint].address.is_some();
        let some = |set: u64| (set != 0).then_some(set);
        let found = some(of(&|endpoint| !tried.has(endpoint) && backend.state(endpoint, uptime) == State::Ready))
            .or_else(|| some(of(&|endpoint| !tried.has(endpoint) && is_somewhere(endpoint))))
            .or_else(|| some(of(&is_somewhere)));
        Self(found.unwrap_or_else(|| of(&|_| true)))
    }

    fn has(self, endpoint: usize) -> bool {
        self.0 & (1 << endpoint) != 0
    }

    fn len(self) -> u32 {
        self.0.count_ones()
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |endpoint| self.has(*endpoint))
    }

    /// One of them by its number, which is below their count.
    fn nth(self, number: u32) -> usize {
        self.iter().nth(number as usize).unwrap_or_default()
    }
}

/// The key's number; `None`: the request has no key.
fn hash(key: &HashKey, client: Client<'_>) -> Option<u64> {
    // Its keys are 0: equal in all threads, and from one start to the next.
    let mut hasher = DefaultHasher::new();
    match key {
        HashKey::SourceIp => client.address.hash(&mut hasher),
        HashKey::Header(name) => client.headers.get(name)?.as_bytes().hash(&mut hasher),
        HashKey::Cookie(name) => cookies(client.headers, name).next()?.hash(&mut hasher),
    }
    Some(hasher.finish())
}

/// The highest of the numbers that key and endpoint make together: with an endpoint gone, only its own keys move (Thaler, Ravishankar 1998).
fn rendezvous(key: u64, names: &[u64], among: Among) -> usize {
    among.iter().max_by_key(|endpoint| names.get(*endpoint).map(|name| mix(key ^ mix(*name)))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
