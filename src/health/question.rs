//! A question to one endpoint -> what was found.
//!
//! In: an address, what to ask. Out: a [`Finding`]. Never: a wait beyond the check's timeout; a body that is kept.

use std::time::Duration;

use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::backend::http::{Call, Head, Pool};
use crate::backend::{Error, RequestBody, ResponseBody};
use crate::dial::{self, Address};
use crate::route::{Check, Finding, Question, Timeouts};

/// What is read of an answer's body, so that its sender is not cut off; more of it does not come.
const MOST: usize = 64 * 1024;

/// Asks.
pub(super) async fn ask(pool: &Pool, address: &Address, check: &Check) -> Finding {
    let deadline = Instant::now() + check.timeout;
    match &check.question {
        None => match dial::connect(address, Some(deadline)).await {
            Ok(_) => Finding::Connected,
            Err(dial::Error::TimedOut(_)) => Finding::TimedOut,
            Err(_) => Finding::Unreachable,
        },
        Some(question) => {
            let answer = timeout_at(deadline, send(pool, address, question, check.timeout)).await;
            match answer.unwrap_or(Err(Finding::TimedOut)) {
                Ok((status, body)) => {
                    // The status is there: what comes of the body does not matter.
                    let _ = timeout_at(deadline, read(body)).await;
                    Finding::Answered(status)
                }
                Err(finding) => finding,
            }
        }
    }
}

/// Asks by GET, over a connection of its own.
async fn send(pool: &Pool, address: &Address, question: &Question, timeout: Duration) -> Result<(u16, ResponseBody), Finding> {
    let timeouts = Timeouts { request: None, connect: Some(timeout), idle: Some(timeout) };
    let request = request(&question.path, &question.host);
    let call = Call { address, timeouts, keep: 0, protocol: question.protocol };
    match pool.send(call, &Head::of(&request), RequestBody::empty()).await.map_err(|failed| failed.error) {
        Ok(answer) => Ok((answer.status().as_u16(), answer.into_body())),
        Err(Error::Timeout(_)) => Err(Finding::TimedOut),
        Err(Error::Connect(_) | Error::Unavailable) => Err(Finding::Unreachable),
        Err(_) => Err(Finding::Broken),
    }
}

fn request(path: &PathAndQuery, host: &HeaderValue) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from(path.clone());
    let headers = request.headers_mut();
    headers.insert(HOST, host.clone());
    headers.insert(USER_AGENT, HeaderValue::from_static("lxcproxy"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    request
}

async fn read(mut body: ResponseBody) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, bytes::Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use tokio::task::LocalSet;

    use super::*;
    use crate::container::rootfs::Rootfs;

    /// What is found of a server that says this to who asks; `None`: it says nothing.
    async fn found(says: Option<&'static [u8]>, question: Option<Question>) -> (Finding, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("a")).unwrap();
        let address = Address::Unix { root: Arc::new(Rootfs::open(dir.path()).unwrap()), path: "/a".parse().unwrap() };
        let patient = Duration::from_secs(30);
        let timeout = if says.is_some() { patient } else { Duration::from_millis(20) };
        let check = Check { question, interval: patient, timeout, healthy: 1, unhealthy: 1 };
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            head.truncate(length);
            match says {
                Some(says) => stream.write_all(says).await.unwrap(),
                None => drop(stream.read(&mut [0; 16]).await),
            }
            head
        };
        let pool = Pool::default();
        LocalSet::new().run_until(async { tokio::join!(ask(&pool, &address, &check), server) }).await
    }

    fn question() -> Question {
        Question {
            path: PathAndQuery::from_static("/up"),
            host: HeaderValue::from_static("blog"),
            protocol: crate::api::v1::HttpProtocol::Http1,
            expected: [].into(),
        }
    }

    #[tokio::test]
    async fn an_answer_is_its_status_and_the_question_is_a_plain_get() {
        let (finding, head) = found(Some(b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno"), Some(question())).await;
        let head = String::from_utf8(head).unwrap();
        assert_eq!(finding, Finding::Answered(503));
        assert!(head.starts_with("GET /up HTTP/1.1\r\n") && head.contains("host: blog\r\n") && !head.contains("length"), "{head}");
    }

    #[tokio::test]
    async fn silence_nonsense_and_nobody_are_told_from_each_other() {
        assert_eq!(found(None, Some(question())).await.0, Finding::TimedOut);
        assert_eq!(found(Some(b"SSH-2.0-x\r\n"), Some(question())).await.0, Finding::Broken);
        assert_eq!(found(Some(b""), Some(question())).await.0, Finding::Broken);
        assert_eq!(found(Some(b""), None).await.0, Finding::Connected);
        let check = Check { question: None, interval: Duration::ZERO, timeout: Duration::from_secs(30), healthy: 1, unhealthy: 1 };
        let dir = tempfile::tempdir().unwrap();
        let nobody = Address::Unix { root: Arc::new(Rootfs::open(dir.path()).unwrap()), path: "/a".parse().unwrap() };
        assert_eq!(ask(&Pool::default(), &nobody, &check).await, Finding::Unreachable);
    }
}
