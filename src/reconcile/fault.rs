//! A step that may panic -> what it returns, or what the panic said.
//!
//! In: a step of one App, of one Gateway, or of one file. Out: its result, or a sentence. Never: a panic that ends the loop, or that is printed each time
//! that the step is tried again. Panics of everybody else are printed as before.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

use super::desired::Desired;
#[cfg(test)]
use crate::api::v1::Metadata;

/// Characters of a panic's message, at most.
const MESSAGE: usize = 300;

thread_local! {
    /// A step runs on this thread whose panic is told by whoever runs it.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
    /// Where its panic was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A step of an object that has panicked, until it works.
#[derive(Debug, Clone)]
pub(super) struct Fault<T> {
    /// What is said of it.
    pub(super) message: String,
    /// What a listing said that could not be taken; none: it was another step.
    pub(super) untaken: Option<Desired<T>>,
}

/// Runs a step; an error is the sentence to say if it panics.
///
/// Whoever calls this answers for what the step has left half-changed: it is put back, replaced or not used again. That is why any step
/// may be given, unwind safe or not.
pub(super) fn contain<T>(step: impl FnOnce() -> T) -> Result<T, String> {
    listen();
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(step));
    CONTAINED.set(outer);
    result.map_err(|panic| sentence(panic.as_ref(), PLACE.take()))
}

/// [`contain`], for a step that waits.
pub(super) async fn contain_async<T>(step: impl Future<Output = T>) -> Result<T, String> {
    let mut step = pin!(step);
    std::future::poll_fn(|context| match contain(|| step.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        // It is not polled again.
        Err(fault) => Poll::Ready(Err(fault)),
    })
    .await
}

/// Takes the place of the hook that prints, for contained steps only.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if CONTAINED.get() {
                PLACE.set(info.location().map(ToString::to_string));
            } else {
                print(info);
            }
        }));
    });
}

fn sentence(panic: &(dyn Any + Send), place: Option<String>) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text: String =
        text.unwrap_or("a panic without words").chars().take(MESSAGE).map(|c| if c.is_control() { '?' } else { c }).collect();
    let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
    format!("internal error: {text}{place}")
}

/// The annotation of an object that makes a step of this name panic.
#[cfg(test)]
pub(super) const TRIPWIRE: &str = "test/panic-in";

/// Panics in the tests if the object asks for it.
#[cfg(test)]
pub(super) fn trip(step: &str, object: Option<&Metadata>) {
    let wanted = object.and_then(|metadata| metadata.annotations.get(TRIPWIRE));
    assert!(wanted.is_none_or(|wanted| wanted != step), "tripped in {step}");
}

/// The same, for a file.
#[cfg(test)]
pub(super) fn trip_in_text(text: &[u8]) {
    assert!(!String::from_utf8_lossy(text).contains("# panic here"), "tripped in parse");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_sentence_that_names_its_place() {
        let fault = contain(|| panic!("the {} is on fire", "\u{1b}[31mroof")).unwrap_err();
        assert!(fault.starts_with("internal error: the ?[31mroof is on fire at src/reconcile/fault.rs:"), "{fault}");
        let fault = contain(|| std::panic::panic_any(5)).unwrap_err();
        assert!(fault.starts_with("internal error: a panic without words at "), "{fault}");
        assert_eq!(contain(|| 5), Ok(5));
        assert!(!CONTAINED.get());
    }

    #[tokio::test]
    async fn a_panic_of_a_step_that_waits_is_contained_as_well() {
        let step = async {
            tokio::task::yield_now().await;
            panic!("later")
        };
        let fault: Result<(), _> = contain_async(step).await;
        assert!(fault.unwrap_err().starts_with("internal error: later at "));
        assert_eq!(contain_async(async { 5 }).await, Ok(5));
    }
}
