//! A row of a table -> what really happens.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::recorder::{Recorder, Request};

/// What is sent, and what comes of it.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
    /// The statuses of the answers.
    pub statuses: Vec<u16>,
    /// The daemon closes the connection behind them, without being told.
    pub closes: bool,
    /// What the backend sees: `METHOD TARGET VERSION|name: value|...||body`, fields in alphabetical order, without ours.
    pub seen: Vec<String>,
}

/// How bytes are sent.
#[derive(Debug, Clone, Copy)]
enum Pieces {
    Whole,
    Bytes,
    /// Their ends are drawn with this seed.
    Random(u64),
}

/// A daemon with one App for every host, and its backend.
pub struct Front {
    pub daemon: Daemon,
    pub backend: Recorder,
}

/// Refused before a backend hears of it.
pub fn refused(name: &str, status: u16, bytes: impl AsRef<[u8]>) -> Case {
    Case { name: name.to_owned(), bytes: bytes.as_ref().to_vec(), statuses: vec![status], closes: true, seen: Vec::new() }
}

/// Refused without a word on the connection: the next request is welcome.
pub fn declined(name: &str, status: u16, bytes: impl AsRef<[u8]>) -> Case {
    Case { closes: false, ..refused(name, status, bytes) }
}

/// Forwarded, and answered with 200.
pub fn forwarded(name: &str, bytes: impl AsRef<[u8]>, seen: &[&str]) -> Case {
    Case {
        name: name.to_owned(),
        bytes: bytes.as_ref().to_vec(),
        statuses: vec![200; seen.len()],
        closes: false,
        seen: seen.iter().map(|&seen| seen.to_owned()).collect(),
    }
}

impl Case {
    /// The daemon closes behind it.
    pub fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// Under another name.
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// With other answers.
    pub fn answered(self, statuses: &[u16]) -> Self {
        Self { statuses: statuses.to_vec(), ..self }
    }
}

impl Front {
    pub fn new() -> Self {
        Self::of(Recorder::new())
    }

    pub fn of(backend: Recorder) -> Self {
        let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("")).arg("--threads").arg("1").start();
        Self { daemon, backend }
    }

    /// Every case, in pieces of every kind. All that fail are told of.
    pub fn hold(&self, cases: &[Case]) {
        let mut failures = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            for pieces in [Pieces::Whole, Pieces::Bytes, Pieces::Random(index as u64)] {
                if let Err(problem) = self.try_case(case, pieces) {
                    failures.push(format!("{} ({pieces:?}): {problem}\n    sent {:?}", case.name, String::from_utf8_lossy(&case.bytes)));
                }
            }
        }
        assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    }

    fn try_case(&self, case: &Case, pieces: Pieces) -> Result<(), String> {
        let mut client = connect(self.daemon.address());
        send(&mut client, &case.bytes, pieces);
        let answers = if case.closes {
            read_to_end(&mut client)?
        } else {
            let mut answers = read_answers(&mut client, case.statuses.len())?;
            client.shutdown(Shutdown::Write).map_err(|error| error.to_string())?;
            answers.extend(read_to_end(&mut client)?);
            answers
        };
        let seen: Vec<String> = std::iter::from_fn(|| self.backend.try_next()).map(|request| text(&request)).collect();
        if seen != case.seen {
            return Err(format!("the backend sees {seen:?}, not {:?}", case.seen));
        }
        let statuses = statuses(&answers);
        if statuses != case.statuses {
            return Err(format!("answers {statuses:?}, not {:?}: {}", case.statuses, String::from_utf8_lossy(&answers)));
        }
        Ok(())
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_nodelay(true).unwrap();
    client
}

/// What can't be sent any more is not: the answer may be there already.
fn send(client: &mut TcpStream, bytes: &[u8], pieces: Pieces) {
    let mut rest = bytes;
    let mut dice = match pieces {
        Pieces::Random(seed) => seed,
        Pieces::Whole | Pieces::Bytes => 0,
    };
    while !rest.is_empty() {
        let length = match pieces {
            Pieces::Whole => rest.len(),
            // A large head has no more interesting places than a small one.
            Pieces::Bytes => {
                if bytes.len() > 2000 {
                    97
                } else {
                    1
                }
            }
            Pieces::Random(_) => {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                1 + usize::try_from(dice >> 33).unwrap() % (bytes.len() / 3 + 1)
            }
        };
        let (piece, others) = rest.split_at(length.min(rest.len()));
        if client.write_all(piece).is_err() {
            return;
        }
        rest = others;
    }
}

/// All that comes until the daemon closes.
pub fn read_to_end(client: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut answers = Vec::new();
    match client.read_to_end(&mut answers) {
        // Bytes that crossed the answer on their way meet a closed socket.
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
            Err(format!("the connection is not closed ({error}) after {:?}", String::from_utf8_lossy(&answers)))
        }
        _ => Ok(answers),
    }
}

/// Reads so many answers.
pub fn read_answers(client: &mut TcpStream, count: usize) -> Result<Vec<u8>, String> {
    let mut answers = Vec::new();
    while statuses(&answers).len() < count || !is_whole(&answers) {
        let mut bytes = [0; 4096];
        match client.read(&mut bytes) {
            Ok(0) => return Err(format!("closed after {:?}", String::from_utf8_lossy(&answers))),
            Ok(length) => answers.extend_from_slice(&bytes[..length]),
            Err(error) => return Err(format!("{error} after {:?}", String::from_utf8_lossy(&answers))),
        }
    }
    Ok(answers)
}

/// The statuses of answers with a length, one behind the other. 1xx answers are not counted.
pub fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let lines = text.split("\r\n").filter_map(|line| line.rsplit('\n').next());
    lines
        .filter_map(|line| line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?.get(..3)?.parse().ok())
        .filter(|status| *status >= 200)
        .collect()
}

/// Whether the last answer is whole.
fn is_whole(answers: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answers);
    let last = text.rfind("HTTP/1.").map_or("", |begin| &text[begin..]);
    let Some((head, body)) = last.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.is_none_or(|length: usize| body.len() >= length)
}

/// A request without what is always ours.
fn text(request: &Request) -> String {
    let ours = |line: &str| line.starts_with("x-forwarded-") || line.starts_with("x-real-ip:");
    let mut fields: Vec<String> = request
        .head
        .trim_end_matches("\r\n")
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':').map(|(name, value)| format!("{}:{value}", name.to_ascii_lowercase())))
        .filter(|line| !ours(line))
        .collect();
    fields.sort();
    let head = [vec![request.line().to_owned()], fields].concat().join("|");
    if request.body.is_empty() { head } else { format!("{head}||{}", String::from_utf8_lossy(&request.body)) }
}
