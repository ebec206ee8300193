//! A request -> an answer, by the real `curl`.
//!
//! In: a URL and what differs from a plain GET. Out: [`Response`]. Never: a proxy of the environment, more than ten seconds, a path that
//! curl has tidied up.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::netns::Netns;

/// A request in the making.
#[derive(Debug)]
pub struct Curl {
    command: Command,
    body: Option<Vec<u8>>,
}

/// The last answer that curl saw; those of 1xx are left out.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The fields as they came, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Curl {
    /// A GET, in a network namespace or here.
    #[must_use]
    pub fn new(url: &str, netns: Option<&Netns>) -> Self {
        let mut command = super::program(netns, "curl");
        // -q first: no configuration of the user's.
        command.args(["-q", "-sS", "-i", "--http1.1", "--path-as-is", "--globoff", "--max-time", "30", "--noproxy", "*", url]);
        Self { command, body: None }
    }

    /// The `Host`.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        self.header("Host", host)
    }

    /// A field of the head.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        // curl leaves a field without a value out, unless a `;` stands for the colon.
        let field = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        self.arg("-H").arg(&field)
    }

    /// Another method than GET.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        if method == "HEAD" { self.arg("-I") } else { self.arg("-X").arg(method) }
    }

    /// A body; without a method it makes the request a POST.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.arg("--data-binary").arg("@-")
    }

    /// Any flag of curl.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    /// Sends it. Fails the test if there is no answer.
    #[must_use]
    pub fn send(self) -> Response {
        self.try_send().unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Sends it.
    ///
    /// # Errors
    /// What curl says if there is no whole answer.
    pub fn try_send(mut self) -> Result<Response, String> {
        let child = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("curl can't be run: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // An answer may come before all of the body is taken: then the pipe breaks, and that is no error.
        let writer = self.body.map(|body| std::thread::spawn(move || drop(stdin.write_all(&body))));
        let output = child.wait_with_output().unwrap();
        if let Some(writer) = writer {
            writer.join().unwrap();
        }
        if !output.status.success() {
            return Err(format!("{:?}: {}", self.command, String::from_utf8_lossy(&output.stderr).trim()));
        }
        Response::parse(&output.stdout).ok_or_else(|| format!("no answer in {:?}", String::from_utf8_lossy(&output.stdout)))
    }
}

impl Response {
    /// The first field of this name; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| *found == name.to_ascii_lowercase()).map_or("", |(_, value)| value)
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(found, _)| *found == name.to_ascii_lowercase())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn parse(mut bytes: &[u8]) -> Option<Self> {
        loop {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            bytes = &bytes[end + 4..];
            let mut lines = head.split("\r\n");
            let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
            return Some(Self { status, headers: lines.filter_map(field).collect(), body: bytes.to_vec() });
        }
    }
}
