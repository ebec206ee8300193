//! The control plane -> threads of its own, which leave the processor to those that serve.
//!
//! In: how the control plane is built. Out: whether it goes on. Never: a request; a thread of the serving plane made from here, for it would
//! have the same low priority.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinError;

/// What nice(1) adds. With 10 such a thread gets a tenth of what a serving one gets where both want the same core (sched(7)): while 100,000
/// manifests are read, requests go on as before. Threads inherit it, so that those that read, look and write for it have it, too.
const NICE: i32 = 10;

/// The name of its thread and of those that block for it, as `ps -L` and `top -H` show it.
const NAME: &str = "control";

/// A control plane that runs. It is polled for its end, which only a panic brings; dropped, it stops.
#[derive(Debug)]
pub(super) struct Control {
    stop: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<Result<(), JoinError>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Control {
    /// Starts it. `run`: its life, begun on its thread; it is given a second thread, which lives as long, for looks into containers. Calls of
    /// the system that are under way at the end have so long: `last_calls`.
    ///
    /// # Errors
    /// There is no thread, or no runtime, for it.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        last_calls: Duration,
        run: impl FnOnce(Handle) -> F + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let runtime = runtime()?;
        let (looks, beside) = beside()?;
        let thread = thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            lower_priority();
            let all = async {
                let mut life = tokio::spawn(async move { run(looks).await });
                tokio::select! {
                    result = &mut life => drop(end.send(result)),
                    // Whoever has started it drops it.
                    _ = stopped => {}
                }
            };
            runtime.block_on(all);
            runtime.shutdown_timeout(last_calls);
            drop(beside);
        })?;
        Ok(Self { stop: Some(stop), ended, thread: Some(thread) })
    }
}

impl Drop for Control {
    /// Stops it where it stands, and waits for its last calls.
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of the control plane was its task's, and is told by the end of that.
        drop(self.thread.take().map(thread::JoinHandle::join));
    }
}

impl Future for Control {
    type Output = Result<(), JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Without a word it was stopped.
        Pin::new(&mut self.ended).poll(context).map(|said| said.unwrap_or(Ok(())))
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().thread_name(NAME).build()
}

/// A second thread, until the sender is dropped: of a start with 10,000 Apps two fifths of what one core has to do are looks.
fn beside() -> std::io::Result<(Handle, oneshot::Sender<()>)> {
    let (stop, stopped) = oneshot::channel();
    let runtime = runtime()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(NAME.to_owned()).spawn(move || {
        lower_priority();
        drop(runtime.block_on(stopped));
        // A look that hangs changes nothing.
        runtime.shutdown_background();
    })?;
    Ok((handle, stop))
}

/// Of this thread only: to Linux, each thread has a nice value of its own (setpriority(2), "C library/kernel differences").
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!("the control plane has the priority of the serving threads: {error}");
    }
}
