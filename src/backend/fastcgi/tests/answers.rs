//! Answers in every shape.

use super::*;

/// What a request gets for this answer: the response's status and body, or what went wrong.
async fn outcome(method: Method, answer: Vec<u8>) -> Result<(u16, String), Error> {
    let peer = Peer::new(0);
    let (response, seen) = tokio::join!(peer.exchange(method, RequestBody::empty(), TIMEOUTS), peer.answer(&answer));
    assert!(!seen.keep);
    let response = response?;
    Ok((response.status().as_u16(), text(response).await?))
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_whole() {
    run(async {
        let peer = Peer::new(0);
        let mut answer = record(99, 3, b"unknown", 7);
        answer.extend(record(7, 1, b"complaint\n", 1));
        answer.extend(whole("Status: 404 Not Found\r\nX-A: b\r\n\r", b"\nbody"));
        let slowly = async {
            let mut stream = peer.accept().await;
            read_request(&mut stream).await;
            for byte in answer.chunks(1) {
                stream.write_all(byte).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let fast = async {
            let response = peer.get().await.unwrap();
            assert_eq!((response.status().as_u16(), &response.headers()["x-a"]), (404, &"b".parse().unwrap()));
            assert_eq!(text(response).await.unwrap(), "body");
        };
        tokio::join!(slowly, fast);
    });
}

#[test]
fn an_answer_that_is_there_at_once_has_a_known_length() {
    run(async {
        let peer = Peer::new(0);
        let answer = [record(6, 1, b"A: b\n\nbody", 0), record(3, 1, &END, 0)].concat();
        let (response, _) = tokio::join!(peer.get(), peer.answer(&answer));
        assert!(matches!(response.unwrap().body(), ResponseBody::Full(bytes) if bytes == "body"));
    });
}

#[test]
fn a_body_streams_while_the_application_still_works() {
    run(async {
        let peer = Peer::new(0);
        let (response, mut stream) = tokio::join!(peer.get(), async {
            let mut stream = peer.accept().await;
            read_request(&mut stream).await;
            stream.write_all(&record(6, 1, b"A: b\n\nfirst", 0)).await.unwrap();
            stream
        });
        let mut body = response.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
        stream.write_all(&record(6, 1, b"second", 0)).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "second");
        stream.write_all(&record(3, 1, &END, 0)).await.unwrap();
        assert!(body.frame().await.is_none());
    });
}

#[test]
fn a_body_that_nobody_reads_holds_the_application_back_and_dropping_it_closes_the_connection() {
    run(async {
        let peer = Peer::new(0);
        let (response, mut stream) = tokio::join!(peer.get(), async {
            let mut stream = peer.accept().await;
            read_request(&mut stream).await;
            stream.write_all(&record(6, 1, b"A: b\n\n", 0)).await.unwrap();
            stream
        });
        let response = response.unwrap();
        let flood = record(6, 1, &vec![b'x'; 65_535], 0);
        let mut written = 0;
        while let Ok(result) = tokio::time::timeout(Duration::from_millis(100), stream.write(&flood)).await {
            written += result.unwrap();
            assert!(written < 16 * 1024 * 1024, "the proxy collects what nobody reads");
        }
        drop(response);
        while stream.write(&flood).await.is_ok() {}
    });
}

#[test]
fn an_early_end_is_never_taken_for_the_end() {
    run(async {
        let head = record(6, 1, b"Content-Length: 5\n\nbody", 0);
        assert!(matches!(outcome(Method::GET, Vec::new()).await, Err(Error::Closed(_))));
        assert!(matches!(outcome(Method::GET, record(6, 1, b"A: b\n", 0)).await, Err(Error::Closed(_))));
        assert!(matches!(outcome(Method::GET, record(6, 1, b"A: b\n\nbody", 0)).await, Err(Error::Closed(_))));
        assert!(matches!(outcome(Method::GET, head.clone()).await, Err(Error::Closed(_))));
        let ended_short = [head.clone(), record(3, 1, &END, 0)].concat();
        assert!(matches!(outcome(Method::GET, ended_short).await, Err(Error::Closed(_))));
        let enough = [head, record(6, 1, b"!", 0)].concat();
        assert_eq!(outcome(Method::GET, enough).await.unwrap(), (200, "body!".to_owned()));
    });
}

#[test]
fn bytes_beyond_the_announced_length_are_dropped() {
    run(async {
        for answer in [
            whole("Content-Length: 2\n\n", b"body"),
            whole("Content-Length: 2\n\nb", b"ody"),
            [record(6, 1, b"Content-Length: 2\n\nb", 0), record(6, 1, b"ody", 0), record(6, 1, b"more", 0)].concat(),
        ] {
            assert_eq!(outcome(Method::GET, answer).await.unwrap(), (200, "bo".to_owned()));
        }
    });
}

#[test]
fn a_breach_of_the_protocol_is_told_from_an_early_end() {
    run(async {
        for answer in [
            whole("A: b\n", b""),
            whole("Status: none\n\n", b""),
            whole("A: b\rc\n\n", b""),
            [record(6, 1, &vec![b'a'; 65_535], 0), record(6, 1, b"aa", 0)].concat(),
            record(6, 2, b"A: b\n\n", 0),
            b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            record(3, 1, &[0, 0, 0, 0, 2, 0, 0, 0], 0),
        ] {
            let outcome = outcome(Method::GET, answer).await;
            assert!(matches!(outcome, Err(Error::Protocol(_))), "{outcome:?}");
        }
    });
}

#[test]
fn answers_without_a_body_have_none() {
    run(async {
        let answer = || whole("Content-Length: 4\n\n", b"body");
        assert_eq!(outcome(Method::HEAD, answer()).await.unwrap(), (200, String::new()));
        for status in [204, 304] {
            let answer = whole(&format!("Status: {status}\n\n"), b"body");
            assert_eq!(outcome(Method::GET, answer).await.unwrap(), (status, String::new()));
        }
    });
}

#[test]
fn a_silent_backend_runs_into_the_limit() {
    run(async {
        let peer = Peer::new(0);
        let timeouts = Timeouts { idle: Some(Duration::from_millis(50)), ..TIMEOUTS };
        let result = peer.exchange(Method::GET, RequestBody::empty(), timeouts).await;
        assert!(matches!(result, Err(Error::Timeout(crate::backend::Phase::Backend))), "{result:?}");
    });
}

#[test]
fn a_backend_that_is_away_is_told_from_one_that_refuses() {
    run(async {
        let mut peer = Peer::new(0);
        peer.app = app(None, 0);
        assert!(matches!(peer.get().await, Err(Error::Unavailable)));
        let root = Arc::new(Rootfs::open(peer.directory.path()).unwrap());
        peer.app = app(Some(Address::Unix { root, path: "/none.sock".parse().unwrap() }), 0);
        assert!(matches!(peer.get().await, Err(Error::Connect(_))));
    });
}
