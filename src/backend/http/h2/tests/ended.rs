//! Connections that the backend ends while requests are on them, frame by frame.

use futures_util::future::join_all;
use h2::server;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{call, get, listening, local, ok, send, text};
use crate::backend::RequestBody;
use crate::backend::http::Pool;

/// A frame by its head (RFC 9113 section 4.1) and payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[test]
fn what_came_after_the_last_stream_of_a_goaway_is_sent_again() {
    local(async {
        let (address, seen) = listening(|number, mut stream, seen| async move {
            if number > 1 {
                let mut connection = server::handshake(stream).await.unwrap();
                while let Some(Ok(incoming)) = connection.accept().await {
                    seen.requests.borrow_mut().push(incoming.0.uri().path().to_owned());
                    ok(number, incoming).await;
                }
                return;
            }
            // The preface and more: its own settings, then GOAWAY with last stream 0 to whatever was asked.
            stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
            let mut bytes = vec![0; 4096];
            while stream.read(&mut bytes).await.unwrap() > 0 {
                let _ = stream.write_all(&frame(7, 0, 0, &[0; 8])).await;
            }
        })
        .await;
        let request = Request::post("/order").header("host", "a").body(RequestBody::empty()).unwrap();
        assert_eq!(text(send(&Pool::default(), call(&address), request).await.unwrap()).await, "hello");
        assert_eq!((seen.connections.get(), seen.requests.borrow().join(" ").as_str()), (2, "/order"));
    });
}

#[test]
fn connections_that_take_one_request_each_lose_none_of_many() {
    local(async {
        let (address, _) = listening(|_, mut stream, _| async move {
            stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.windows(6).any(|head| head == [1, 0b101, 0, 0, 0, 1]) {
                assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
            }
            // `:status: 200` to the first, GOAWAY with its stream as the last, and the end.
            let answer = [frame(1, 0b101, 1, &[0x88]), frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])].concat();
            let _ = stream.write_all(&answer).await;
        })
        .await;
        let pool = Pool::default();
        let all = join_all((0..40).map(|_| send(&pool, call(&address), get("/")))).await;
        assert!(all.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == 200)), "{all:?}");
    });
}
