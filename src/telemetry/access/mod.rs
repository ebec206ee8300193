//! Requests that are over -> lines of the access log, on a thread of its own.
//!
//! In: [`Access`] from the serving threads, over a queue. Out: lines, in batches. Never: a serving thread that waits for the disk; a
//! queue without an end: what has no room is dropped, and counted.

mod form;
mod output;

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::metrics::{Control, Shard};
use crate::proxy::{Access, Sink};
use form::Clock;
use output::Output;

/// Requests that may wait for the writer.
const QUEUE: usize = 8192;
/// Bytes that are written at once.
const BATCH: usize = 64 * 1024;
/// The writer looks into the queue so often, while there is something in it and while there is nothing. Nobody wakes it: that would cost
/// a serving thread a system call.
const BUSY: Duration = Duration::from_millis(10);
const RESTING: Duration = Duration::from_millis(100);
/// How long the last lines may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What is written of requests, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[group(skip)]
pub struct Settings {
    /// A line for each request that is over: none, as nginx and Apache write it, or one JSON object.
    #[arg(long = "access-log", value_name = "FORMAT", env = "LXCPROXY_ACCESS_LOG", default_value = "off")]
    pub form: Form,
    /// The file of the access log, opened again at a SIGHUP. Default: standard output.
    #[arg(long = "access-log-file", value_name = "PATH", env = "LXCPROXY_ACCESS_LOG_FILE")]
    pub file: Option<PathBuf>,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// No lines.
    #[default]
    Off,
    /// The "combined" format, with fields of ours behind it.
    Combined,
    /// One JSON object a line.
    Json,
}

/// Why there is no access log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be opened.
    #[error("the access log {0} can't be opened")]
    Open(PathBuf, #[source] io::Error),
    /// Standard output can't be used, or there is no thread.
    #[error("there is no access log")]
    Io(#[from] io::Error),
}

/// The access log of the process. Dropped, it ends when the lines that wait are written.
#[derive(Debug)]
pub struct Log {
    queue: SyncSender<Box<Access>>,
    commands: Sender<Command>,
    ended: Receiver<()>,
    writer: JoinHandle<()>,
}

/// What the writer is asked.
#[derive(Debug)]
enum Command {
    Reopen,
}

/// The thread that writes.
struct Writer {
    form: fn(&Access, &mut Clock, &mut Vec<u8>),
    clock: Clock,
    /// Lines that are not written yet.
    batch: Vec<u8>,
    queue: Receiver<Box<Access>>,
    output: Output,
    counts: Control,
}

impl Log {
    /// Opens the log and starts its writer; `None`: there is none.
    ///
    /// # Errors
    /// The file can't be opened, or a thread can't be started.
    pub fn open(settings: &Settings, counts: &Control) -> Result<Option<Self>, Error> {
        let form = match settings.form {
            Form::Off => return Ok(None),
            Form::Combined => form::combined,
            Form::Json => form::json,
        };
        let output = Output::open(settings.file.as_deref())
            .map_err(|error| Error::Open(settings.file.as_deref().unwrap_or(Path::new("on standard output")).to_owned(), error))?;
        let ((queue, lines), (commands, orders), (end, ended)) = (sync_channel(QUEUE), channel(), channel());
        let writer = Writer { form, clock: Clock::default(), batch: Vec::new(), queue: lines, output, counts: counts.clone() };
        let writer = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            // Nothing is ever sent: that it is dropped says that the thread has ended.
            let _end: Sender<()> = end;
            writer.run(&orders);
        })?;
        Ok(Some(Self { queue, commands, ended, writer }))
    }

    /// Where a serving thread puts its requests. What has no room is counted in the thread's shard.
    pub fn sink(&self) -> impl Fn(Rc<Shard>) -> Sink + Send + Clone + use<> {
        let queue = self.queue.clone();
        move |shard| {
            let queue = queue.clone();
            Rc::new(move |access| {
                if queue.try_send(access).is_err() {
                    shard.line_dropped();
                }
            })
        }
    }

    /// Opens the file again: somebody has renamed it.
    pub fn reopen(&self) {
        // A writer that has ended has nothing to open.
        let _ = self.commands.send(Command::Reopen);
    }

    /// Writes what waits, and ends. A writer that is stuck is left to the end of the process.
    pub fn close(self) {
        drop(self.commands);
        if self.ended.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the access log takes no lines; the last ones are lost");
        } else if self.writer.join().is_err() {
            tracing::error!("the writer of the access log has failed");
        }
    }
}

impl Writer {
    fn run(mut self, orders: &Receiver<Command>) {
        let mut pause = RESTING;
        loop {
            let order = orders.recv_timeout(pause);
            // Before it is opened again, so that the old file has what was over before.
            let some = self.write_waiting();
            pause = if some { BUSY } else { RESTING };
            match order {
                Ok(Command::Reopen) => self.output.reopen(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes what waits now; returns whether there was something.
    fn write_waiting(&mut self) -> bool {
        let (mut lines, mut left) = (0, QUEUE);
        while left > 0
            && let Ok(access) = self.queue.try_recv()
        {
            (self.form)(&access, &mut self.clock, &mut self.batch);
            (lines, left) = (lines + 1, left - 1);
            if self.batch.len() >= BATCH {
                self.write(&mut lines);
            }
        }
        self.write(&mut lines);
        left < QUEUE
    }

    fn write(&mut self, lines: &mut u64) {
        if !self.batch.is_empty() && !self.output.write(&self.batch) {
            self.counts.lines_lost(*lines);
        }
        self.batch.clear();
        *lines = 0;
    }
}

#[cfg(test)]
mod tests;
