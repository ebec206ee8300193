//! Endpoints, asked now and then whether they are well -> what all threads know of them.
//!
//! In: snapshots, for what there is to ask. Out: verdicts in [`route::Health`], and a line in the log when one changes. Never: a request of
//! a client; more than so many questions at a time; a question to what is not served any more.
//!
//! [`route::Health`]: crate::route::Health

mod question;
mod rounds;

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::thread;

use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use crate::backend::http::Pool;
use crate::names::AppName;
use crate::route::{CompiledApp, Listeners};
use crate::snapshot::Reader;

/// Questions at a time, over all endpoints.
const QUESTIONS: usize = 64;

/// What questions are asked with.
struct Desk {
    pool: Pool,
    places: Semaphore,
}

/// Starts a thread that asks, so that no request waits for that. It ends when nobody publishes snapshots any more.
///
/// # Errors
/// The system has no thread, or no runtime, left.
pub fn start(reader: Reader) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let ask = move || LocalSet::new().block_on(&runtime, follow(reader));
    thread::Builder::new().name("health".to_owned()).spawn(ask).map(drop)
}

/// Asks what is served, as long as it is.
async fn follow(mut reader: Reader) {
    let desk = Rc::new(Desk { pool: Pool::default(), places: Semaphore::new(QUESTIONS) });
    let (mut revision, mut before) = (0, Listeners::default());
    let mut rounds: HashMap<AppName, JoinSet<()>> = HashMap::new();
    while reader.newer_than(revision).await.is_some() {
        let snapshot = reader.load();
        let now = snapshot.listeners.clone();
        revision = snapshot.revision;
        // It may hold much that is of no use here.
        drop(snapshot);
        for (name, app) in now.changes(&before) {
            rounds.remove(name);
            let begun = app.map(|app| begin(&desk, app)).filter(|begun| !begun.is_empty());
            rounds.extend(begun.map(|begun| (name.clone(), begun)));
        }
        before = now;
    }
}

/// Begins to ask the endpoints of an App that want to be.
fn begin(desk: &Rc<Desk>, app: &std::sync::Arc<CompiledApp>) -> JoinSet<()> {
    let mut begun = JoinSet::new();
    for (index, backend) in app.backends.iter().enumerate() {
        for (number, endpoint) in backend.endpoints.iter().enumerate() {
            match &backend.check {
                Some(_) if endpoint.address.is_some() => {
                    begun.spawn_local(rounds::run(desk.clone(), app.clone(), (index, number)));
                }
                Some(_) => {}
                None => endpoint.health.forget_checks(),
            }
        }
    }
    begun
}
