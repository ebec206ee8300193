//! `--listen`: the one listener while no Gateway has one.

use std::io;
use std::net::SocketAddr;

use tokio::time::Instant;

use super::ports::{Ports, problem};
use crate::reconcile::backoff::Backoff;
use crate::route::Front;

/// The listener of the command line.
#[derive(Debug)]
pub(super) struct CommandLine {
    asked: SocketAddr,
    /// Where it was bound last: with port 0 asked for, the port that was free then.
    address: SocketAddr,
    /// What was last said about its failure.
    failed: Option<String>,
    backoff: Backoff,
    due: Option<Instant>,
}

impl CommandLine {
    pub(super) fn new(asked: SocketAddr) -> Self {
        Self { asked, address: asked, failed: None, backoff: Backoff::default(), due: None }
    }

    /// When it is tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Listens, if that can be done and it is time to try. Returns what Apps attach to, open or not.
    pub(super) fn open(&mut self, now: Instant, ports: &mut Ports) -> Front {
        if self.due.is_none_or(|due| due <= now) {
            match self.listen(ports) {
                Ok(address) => {
                    self.rest();
                    self.address = address;
                }
                Err(error) => {
                    let problem = problem(self.address, &error);
                    if self.failed.as_ref() != Some(&problem) {
                        tracing::error!("--listen: {problem}");
                        self.failed = Some(problem);
                    }
                    self.due = Some(now + self.backoff.wait());
                }
            }
        }
        Front { name: None, socket: self.address, hostname: None }
    }

    /// It listens, or need not.
    pub(super) fn rest(&mut self) {
        (self.failed, self.due) = (None, None);
        self.backoff.reset();
    }

    fn listen(&self, ports: &mut Ports) -> io::Result<SocketAddr> {
        // Somebody else may have taken a free port while a Gateway stood in.
        let bound = match ports.bind(self.address) {
            Err(_) if self.asked.port() == 0 => ports.bind(self.asked)?,
            bound => bound?,
        };
        ports.open(bound.local_addr())?;
        Ok(bound.local_addr())
    }
}
