//! Connections that are used again, and those that must not be.

use super::*;
use crate::metrics::Metrics;

/// Answers one request and leaves the connection open.
async fn serve(stream: &mut UnixStream, answer: &[u8]) -> Seen {
    let seen = read_request(stream).await;
    stream.write_all(answer).await.unwrap();
    seen
}

#[test]
fn a_kept_connection_takes_the_next_request() {
    run(async {
        let peer = Peer::new(1);
        let answers = [whole("A: b\n\n", b"one"), whole("Content-Length: 3\n\n", b"two"), whole("A: b\n\n", b"three")];
        let backend = async {
            let mut stream = peer.accept().await;
            for answer in &answers {
                assert!(serve(&mut stream, answer).await.keep);
            }
        };
        let client = async {
            for expected in ["one", "two", "three"] {
                assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), expected);
            }
        };
        tokio::join!(backend, client);
    });
}

#[test]
fn a_kept_connection_that_turns_out_dead_costs_no_request() {
    run(async {
        let peer = Peer::new(1);
        let backend = async {
            let mut stream = peer.accept().await;
            serve(&mut stream, &whole("A: b\n\n", b"one")).await;
            // The next request is read, and gets no answer.
            read_request(&mut stream).await;
            drop(stream);
            serve(&mut peer.accept().await, &whole("A: b\n\n", b"two")).await
        };
        let client = async {
            assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), "one");
            assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), "two");
        };
        tokio::join!(backend, client);
    });
}

#[test]
fn a_request_is_never_sent_a_third_time() {
    run(async {
        let peer = Peer::new(1);
        let backend = async {
            for _ in 0..2 {
                let mut stream = peer.accept().await;
                serve(&mut stream, &whole("A: b\n\n", b"one")).await;
                read_request(&mut stream).await;
                drop(stream);
                drop(peer.accept().await);
            }
        };
        let client = async {
            for _ in 0..2 {
                assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), "one");
                assert!(matches!(peer.get().await, Err(Error::Closed(_))));
            }
        };
        tokio::join!(backend, client);
    });
}

#[test]
fn a_request_that_can_not_be_sent_twice_never_meets_a_connection_that_may_be_dead() {
    run(async {
        let peer = Peer::new(1);
        let answer = whole("A: b\n\n", b"one");
        let backend = async {
            let mut kept = peer.accept().await;
            serve(&mut kept, &answer).await;
            for stdin in ["body", ""] {
                let mut fresh = peer.accept().await;
                assert_eq!(kept.read(&mut [0; 8]).await.unwrap(), 0, "the kept one is closed: it may hold the last worker");
                assert_eq!(serve(&mut fresh, &answer).await.stdin, stdin.as_bytes());
                kept = fresh;
            }
            // The new one was kept, and is good for what can be sent twice.
            serve(&mut kept, &answer).await;
        };
        let client = async {
            assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), "one");
            let (body, _client) = body_of(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody", None).await;
            assert_eq!(text(peer.exchange(Method::PUT, body, TIMEOUTS).await.unwrap()).await.unwrap(), "one");
            assert_eq!(text(peer.exchange(Method::POST, RequestBody::empty(), TIMEOUTS).await.unwrap()).await.unwrap(), "one");
            assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), "one");
        };
        tokio::join!(backend, client);
    });
}

#[test]
fn a_kept_connection_whose_client_leaves_is_closed_and_never_used_again() {
    run(async {
        let peer = Peer::new(1);
        let backend = async {
            let mut first = peer.accept().await;
            read_request(&mut first).await;
            first.write_all(&record(6, 1, b"A: b\n\nfirst", 0)).await.unwrap();
            // Nothing is multiplexed: the end of the connection is the abort (specification section 5.4).
            assert_eq!(first.read(&mut [0; 8]).await.unwrap(), 0);
            serve(&mut peer.accept().await, &whole("A: b\n\n", b"two")).await;
        };
        let client = async {
            drop(peer.get().await.unwrap());
            assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), "two");
        };
        tokio::join!(backend, client);
    });
}

#[test]
fn no_more_connections_are_kept_than_the_backend_says() {
    run(async {
        let mut peer = Peer::new(2);
        let shard = Metrics::default().shard();
        let idle = shard.idle_fastcgi();
        peer.pool = Pool::new(PATIENCE, shard);
        let answer = whole("A: b\n\n", b"one");
        let backend = async {
            let mut streams = Vec::new();
            for _ in 0..4 {
                let mut stream = peer.accept().await;
                read_request(&mut stream).await;
                streams.push(stream);
            }
            for stream in &mut streams {
                stream.write_all(&answer).await.unwrap();
            }
            streams
        };
        let (a, b, c, d, mut streams) = tokio::join!(peer.get(), peer.get(), peer.get(), peer.get(), backend);
        assert!([a, b, c, d].iter().all(Result::is_ok));
        assert_eq!(idle.get(), 2);
        let mut closed = 0;
        for stream in &mut streams {
            let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 8])).await;
            closed += usize::from(matches!(read, Ok(Ok(0))));
        }
        assert_eq!(closed, 2);
    });
}

#[test]
fn a_connection_with_something_left_over_is_not_used_again() {
    run(async {
        let peer = Peer::new(1);
        let mut untidy = whole("A: b\n\n", b"one");
        untidy.extend(whole("X-Evil: 1\n\n", b"not yours"));
        let backend = async {
            let mut first = peer.accept().await;
            serve(&mut first, &untidy).await;
            let mut second = peer.accept().await;
            serve(&mut second, &whole("A: b\n\n", b"two")).await;
        };
        let client = async {
            assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), "one");
            assert_eq!(text(peer.get().await.unwrap()).await.unwrap(), "two");
        };
        tokio::join!(backend, client);
    });
}

#[test]
fn a_changed_app_starts_with_no_connections() {
    run(async {
        let mut peer = Peer::new(1);
        let answer = whole("A: b\n\n", b"one");
        let (response, _) = tokio::join!(peer.get(), async {
            let mut stream = peer.accept().await;
            serve(&mut stream, &answer).await;
            stream
        });
        assert_eq!(text(response.unwrap()).await.unwrap(), "one");
        peer.app = app(peer.app.backends[0].endpoints[0].address.clone(), 1);
        let (response, _) = tokio::join!(peer.get(), peer.answer(&answer));
        assert_eq!(text(response.unwrap()).await.unwrap(), "one");
    });
}

#[test]
fn a_connection_that_waits_too_long_is_closed_though_no_request_comes() {
    run(async {
        let mut peer = Peer::new(1);
        let shard = Metrics::default().shard();
        let idle = shard.idle_fastcgi();
        peer.pool = Pool::new(Duration::from_millis(50), shard);
        let answer = whole("A: b\n\n", b"one");
        let (response, mut stream) = tokio::join!(peer.get(), async {
            let mut stream = peer.accept().await;
            serve(&mut stream, &answer).await;
            stream
        });
        assert_eq!((text(response.unwrap()).await.unwrap().as_str(), idle.get()), ("one", 1));
        assert_eq!((stream.read(&mut [0; 8]).await.unwrap(), idle.get()), (0, 0));
    });
}
