//! Answers that break off.

use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;

use super::*;

/// `/broken/LENGTH`: how much comes before the fault.
pub(super) fn length(path: &str) -> Option<usize> {
    path.strip_prefix("/broken/")?.parse().ok()
}

/// So much in two pieces, and a fault right behind them.
pub(super) fn body(length: usize) -> UnsyncBoxBody<Bytes, io::Error> {
    let piece = |length| Ok(Frame::data(Bytes::from("x".repeat(length))));
    let frames = [piece(length / 2), piece(length - length / 2), Err(io::Error::other("broken"))];
    BodyExt::boxed_unsync(StreamBody::new(stream::iter(frames)))
}

#[test]
fn what_came_before_a_fault_is_sent_and_then_the_connection_ends() {
    run(async {
        let server = start(1, Settings::default());
        for length in [2, 100_000, 16 << 20] {
            let mut client = server.ask(&format!("/broken/{length}")).await;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{length}: {:?}", answer.lines().next());
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.matches('x').count(), length);
            assert!(!body.ends_with("0\r\n\r\n"), "the end of the body is not said");
        }
        server.end().await;
    });
}
