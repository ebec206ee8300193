//! A request -> the answer of a backend, after as many attempts as are allowed and needed.
//!
//! In: a request on its way, the backend that was picked. Out: its answer, or why there is none. Never: a second attempt of what the
//! application may have seen, unless that is asked for and safe.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tokio::time::{Instant, sleep};

use super::Proxy;
use super::balance::{self, Client};
use super::errand::Errand;
use super::forward::Forward;
use super::hold;
use super::record::Record;
use super::rescue::Cause;
use super::retry::{Attempts, Left, Next};
use super::session::Visit;
use crate::backend::{Error, ResponseBody};
use crate::route::{Backend, CompiledApp, Place, Rule};

/// The answer of a backend.
pub(super) struct Answered<'f> {
    /// As it is for the client.
    pub(super) answer: Response<ResponseBody>,
    /// The request that it answers; its body is gone.
    pub(super) forward: Box<Forward<'f>>,
    /// Where the answer came from, if the request was held.
    pub(super) moved: Option<hold::Place>,
}

impl Proxy {
    /// Sends the request to a backend of the App, by its index.
    pub(super) async fn exchange<'f>(
        &self,
        app: &Arc<CompiledApp>,
        rule: &Rule,
        index: usize,
        forward: Box<Forward<'f>>,
    ) -> Result<Answered<'f>, Cause> {
        let (backend, record) = (&app.backends[index], &forward.record().clone());
        record.asks(app, index);
        let (visit, wish) = (Visit::of(&forward), Client::of(&forward).wish(backend));
        let mut attempts = Attempts::new(rule, backend);
        let (mut errand, limit) = self.errand(app, rule, backend, forward, attempts.repeats())?;
        let (mut moved, mut held): (Option<hold::Place>, _) = (None, None);
        loop {
            let (app, index) = moved.as_ref().map_or((app, index), |place| (&place.app, place.backend));
            let backend = &app.backends[index];
            let endpoint = balance::choose(&self.turns, app, index, wish, attempts.tried());
            let turn = balance::begin(app, index, endpoint, limit, record);
            let outcome = self.send(&mut errand, app, (index, endpoint), rule).await;
            balance::over(turn, &outcome);
            let next = next(&mut attempts, &mut errand, &outcome, endpoint, (app, backend));
            match (next, outcome) {
                (Next::Hold(pause), Err(error)) => {
                    moved = Some(self.hold((app, index), error, pause, &mut held, record).await?);
                }
                (Next::Again(pause), outcome) => {
                    record.repeats(outcome.as_ref().err());
                    drop(outcome);
                    if !pause.is_zero() {
                        sleep(self.dice.longer(pause)).await;
                    }
                }
                (_, outcome) => {
                    let answer = outcome.map_err(Cause::Backend)?;
                    record.heard();
                    let (mut answer, forward) = errand.finish(answer, app, rule, record)?;
                    if moved.is_none() {
                        // Indexes of another generation mean nothing to the rule's cookie.
                        visit.remember(rule, Place { backend: index, endpoint }, &mut answer);
                    }
                    return Ok(Answered { answer, forward, moved });
                }
            }
        }
    }

    /// What is sent, copies of it on their way; and how long the backend may take for it, where nobody else can be the cause when that passes.
    /// No part of [`Self::exchange`], which would have room for a body and a request until its end.
    fn errand<'f>(
        &self,
        app: &Arc<CompiledApp>,
        rule: &Rule,
        backend: &Backend,
        mut forward: Box<Forward<'f>>,
        repeats: bool,
    ) -> Result<(Errand<'f>, Option<Duration>), Cause> {
        let mut body = forward.take_body(rule)?;
        self.mirror(app, rule, &forward, &mut body);
        // With a body the client may be the cause.
        let limit = rule.timeouts.request.filter(|_| body.length() == Some(0));
        Ok((Errand::new(forward, body, backend, repeats)?, limit))
    }

    /// Waits for a backend that is away. `held`: when its absence is over in any case.
    async fn hold(
        &self,
        (app, index): (&CompiledApp, usize),
        error: Error,
        pause: Duration,
        held: &mut Option<Instant>,
        record: &Record,
    ) -> Result<hold::Place, Cause> {
        if let Error::Closed(_) = error {
            // There was a backend: this is the begin of another absence.
            *held = None;
            record.repeats(Some(&error));
        }
        let until = *held.get_or_insert_with(|| Instant::now() + app.backends[index].hold.unwrap_or_default());
        let place = self.holds.wait(app, index, self.dice.longer(pause), until, record).await;
        place.map_err(|lost| lost.cause(error))
    }
}

/// What comes after an attempt; if it is another one, the errand is ready for it.
fn next(
    attempts: &mut Attempts<'_>,
    errand: &mut Errand<'_>,
    outcome: &Result<Response<ResponseBody>, Error>,
    endpoint: usize,
    (app, backend): (&CompiledApp, &Backend),
) -> Next {
    match outcome {
        Ok(answer) => attempts.answered(answer.status(), endpoint, backend, || errand.rewind(backend)),
        Err(error) => {
            let left = match errand.is_unsent() {
                true => Left::Unsent,
                false if errand.rewind(backend) => Left::Kept,
                false => Left::Nothing,
            };
            attempts.failed(error, left, endpoint, backend, || app.init.as_ref().is_some_and(|init| init.is_ending()))
        }
    }
}
