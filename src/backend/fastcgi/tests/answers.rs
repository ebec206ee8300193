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
            whole("", b""),
            // FCGI_CANT_MPX_CONN, FCGI_UNKNOWN_ROLE, and one that there is not.
            record(3, 1, &[0, 0, 0, 0, 1, 0, 0, 0], 0),
            record(3, 1, &[0, 0, 0, 0, 3, 0, 0, 0], 0),
            record(3, 1, &[0, 0, 0, 0, 9, 0, 0, 0], 0),
            // Overloaded, after it had begun.
            [record(6, 1, b"A: b\n", 0), record(3, 1, &[0, 0, 0, 0, 2, 0, 0, 0], 0)].concat(),
            record(3, 1, &END[..4], 0),
            record(5, 1, b"A: b\n\n", 0),
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

#[test]
fn an_overloaded_backend_has_refused_the_request_and_broken_nothing() {
    run(async {
        let overloaded = record(3, 1, &[0, 0, 0, 0, 2, 0, 0, 0], 0);
        assert!(matches!(outcome(Method::GET, overloaded.clone()).await, Err(Error::Refused)));
        let complaining = [record(7, 1, b"too much to do", 0), overloaded].concat();
        assert!(matches!(outcome(Method::GET, complaining).await, Err(Error::Refused)));
    });
}

#[test]
fn the_exit_status_of_an_application_does_not_change_its_answer() {
    run(async {
        let head = record(6, 1, b"Status: 500\n\nsorry", 0);
        let answer = [head, record(3, 1, &[0, 0, 0, 255, 0, 0, 0, 0], 0)].concat();
        assert_eq!(outcome(Method::GET, answer).await.unwrap(), (500, "sorry".to_owned()));
    });
}

#[test]
fn what_follows_the_end_is_nobodys() {
    run(async {
        let mut answer = whole("A: b\n\n", b"one");
        answer.extend(whole("Status: 500\n\n", b"two"));
        answer.extend(b"and what is no record");
        assert_eq!(outcome(Method::GET, answer).await.unwrap(), (200, "one".to_owned()));
    });
}

#[test]
fn complaints_in_the_middle_of_head_and_body_are_no_part_of_them() {
    run(async {
        let answer = [
            record(6, 1, b"Sta", 1),
            record(7, 1, b"in the head", 0),
            record(6, 1, b"tus: 201\r\n\r", 0),
            record(7, 1, b"between", 7),
            record(6, 1, b"\nbo", 0),
            record(7, 1, b"in the body", 255),
            record(6, 1, b"dy", 0),
            record(7, 1, b"", 0),
            record(6, 1, b"", 0),
            record(7, 1, b"behind it", 0),
            record(3, 1, &END, 0),
        ];
        assert_eq!(outcome(Method::GET, answer.concat()).await.unwrap(), (201, "body".to_owned()));
    });
}

#[test]
fn a_backend_that_only_closes_its_mouth_has_closed() {
    run(async {
        for said in [&b""[..], &record(7, 1, b"oops", 0), &record(6, 1, b"A: b\n", 0)] {
            let peer = Peer::new(0);
            let half = async {
                let mut stream = peer.accept().await;
                read_request(&mut stream).await;
                stream.write_all(said).await.unwrap();
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "and so have we");
            };
            let (result, ()) = tokio::join!(peer.get(), half);
            assert!(matches!(result, Err(Error::Closed(_))), "{result:?}");
        }
    });
}

#[test]
fn an_answer_in_records_of_every_length_is_whole() {
    run(async {
        let lengths = [1_usize, 127, 128, 255, 256, 65_535];
        let body: Vec<u8> = (0..lengths.iter().sum()).map(|at: usize| b'a' + u8::try_from(at % 26).unwrap()).collect();
        let mut answer = record(6, 1, b"A: b\n\n", 8);
        let mut rest = &body[..];
        for (padding, length) in [0, 1, 7, 127, 128, 255].into_iter().zip(lengths) {
            let (piece, later) = rest.split_at(length);
            answer.extend(record(6, 1, piece, padding));
            answer.extend(record(6, 1, b"", padding));
            rest = later;
        }
        answer.extend(record(3, 1, &END, 255));
        let (status, text) = outcome(Method::GET, answer).await.unwrap();
        assert!(status == 200 && text.as_bytes() == body, "{} bytes", text.len());
    });
}
