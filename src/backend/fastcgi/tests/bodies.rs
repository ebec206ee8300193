//! Request bodies on their way.

use super::*;
use crate::backend::Phase;

fn post(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[test]
fn a_large_body_arrives_as_it_was_sent() {
    run(async {
        let peer = Peer::new(0);
        let sent = pattern(1_000_000);
        let (body, mut client) = body_of(post(sent.len()).as_bytes(), None).await;
        let answer = whole("A: b\n\n", b"ok");
        let upload = async {
            client.write_all(&sent).await.unwrap();
            client
        };
        let (response, seen, _client) = tokio::join!(peer.exchange(Method::POST, body, TIMEOUTS), peer.answer(&answer), upload);
        assert_eq!(text(response.unwrap()).await.unwrap(), "ok");
        assert_eq!(seen.params["CONTENT_LENGTH"], "1000000");
        assert!(seen.stdin == sent);
    });
}

#[test]
fn a_chunked_body_is_measured_in_memory_or_in_a_file() {
    run(async {
        for size in [0, 10, 3 * 1024 * 1024 + 17] {
            let peer = Peer::new(0);
            let sent = pattern(size);
            let (body, mut client) = body_of(CHUNKED.as_bytes(), None).await;
            let upload = async {
                for chunk in sent.chunks(70_000) {
                    client.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
                    client.write_all(chunk).await.unwrap();
                    client.write_all(b"\r\n").await.unwrap();
                }
                client.write_all(b"0\r\nx-trailer: y\r\n\r\n").await.unwrap();
                client
            };
            let answer = whole("A: b\n\n", b"ok");
            let (response, seen, _client) = tokio::join!(peer.exchange(Method::POST, body, TIMEOUTS), peer.answer(&answer), upload);
            assert_eq!(text(response.unwrap()).await.unwrap(), "ok");
            assert_eq!(seen.params["CONTENT_LENGTH"], if size == 0 { String::new() } else { size.to_string() });
            assert!(seen.stdin == sent, "{size}");
        }
    });
}

#[test]
fn a_body_of_every_length_is_cut_into_records_that_hold_it_and_its_end_follows() {
    run(async {
        for (size, records) in [
            (0, vec![]),
            (1, vec![1]),
            (127, vec![127]),
            (128, vec![128]),
            (65_535, vec![65_535]),
            (65_536, vec![65_535, 1]),
            (131_070, vec![65_535, 65_535]),
            (131_071, vec![65_535, 65_535, 1]),
        ] {
            let peer = Peer::new(0);
            let sent = pattern(size);
            // Measured in memory it is in one piece.
            let (body, mut client) = body_of(CHUNKED.as_bytes(), None).await;
            let upload = async {
                client.write_all(format!("{size:x}\r\n").as_bytes()).await.unwrap();
                if size > 0 {
                    client.write_all(&sent).await.unwrap();
                    client.write_all(b"\r\n0\r\n").await.unwrap();
                }
                client.write_all(b"\r\n").await.unwrap();
                client
            };
            let backend = async {
                let mut stream = peer.accept().await;
                let (_, params) = read_params(&mut stream).await;
                let (mut lengths, mut seen) = (Vec::new(), Vec::new());
                loop {
                    let (kind, content) = read_record(&mut stream).await;
                    assert_eq!(kind, 5);
                    if content.is_empty() {
                        break;
                    }
                    lengths.push(content.len());
                    seen.extend(content);
                }
                stream.write_all(&whole("A: b\n\n", b"ok")).await.unwrap();
                assert_eq!(lengths, records);
                assert!(seen == sent && (size == 0 || params["CONTENT_LENGTH"] == size.to_string()), "{size}");
            };
            let (response, (), _client) = tokio::join!(peer.exchange(Method::POST, body, TIMEOUTS), backend, upload);
            assert_eq!(text(response.unwrap()).await.unwrap(), "ok");
        }
    });
}

#[test]
fn a_client_that_leaves_while_its_answer_comes_ends_the_request_at_the_backend() {
    run(async {
        let peer = Peer::new(0);
        let (body, client) = body_of((post(100) + "half of it").as_bytes(), None).await;
        let backend = async {
            let mut stream = peer.accept().await;
            read_params(&mut stream).await;
            assert_eq!(read_record(&mut stream).await, (5, b"half of it".to_vec()));
            stream.write_all(&record(6, 1, b"A: b\n\nfirst", 0)).await.unwrap();
            stream
        };
        let (response, mut stream) = tokio::join!(peer.exchange(Method::POST, body, TIMEOUTS), backend);
        let mut body = response.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
        drop(client);
        assert!(matches!(body.frame().await, Some(Err(Error::Downstream(_)))));
        drop(body);
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "no end of the body, no more bytes");
    });
}

#[test]
fn an_early_answer_may_stream_while_the_body_is_still_sent() {
    run(async {
        let peer = Peer::new(0);
        let (body, mut client) = body_of((post(8) + "half").as_bytes(), None).await;
        let (response, mut stream) = tokio::join!(peer.exchange(Method::POST, body, TIMEOUTS), async {
            let mut stream = peer.accept().await;
            read_params(&mut stream).await;
            stream.write_all(&record(6, 1, b"A: b\n\nearly", 0)).await.unwrap();
            assert_eq!(read_record(&mut stream).await, (5, b"half".to_vec()));
            stream
        });
        let mut body = response.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "early");
        client.write_all(b"more").await.unwrap();
        let rest = async {
            assert_eq!(read_record(&mut stream).await, (5, b"more".to_vec()));
            assert_eq!(read_record(&mut stream).await, (5, Vec::new()));
            stream.write_all(&record(6, 1, b" and late", 0)).await.unwrap();
            stream.write_all(&record(3, 1, &END, 0)).await.unwrap();
        };
        let (rest_of_body, ()) = tokio::join!(body.collect(), rest);
        assert_eq!(rest_of_body.unwrap().to_bytes(), " and late");
    });
}

#[test]
fn an_answer_may_come_before_the_body_is_read() {
    run(async {
        let peer = Peer::new(0);
        let (body, _client) = body_of((post(1_000_000) + "some of it").as_bytes(), None).await;
        let early = async {
            let mut stream = peer.accept().await;
            read_params(&mut stream).await;
            stream.write_all(&whole("Status: 413\n\n", b"too much")).await.unwrap();
            stream.shutdown().await.unwrap();
            stream
        };
        let (response, _stream) = tokio::join!(peer.exchange(Method::POST, body, TIMEOUTS), early);
        let response = response.unwrap();
        assert_eq!(response.status().as_u16(), 413);
        assert_eq!(text(response).await.unwrap(), "too much");
    });
}

#[test]
fn a_backend_that_closes_its_ear_may_still_answer() {
    run(async {
        let peer = Peer::new(0);
        let sent = pattern(500_000);
        let (body, mut client) = body_of(post(sent.len()).as_bytes(), None).await;
        let answer = async {
            let stream = peer.accept().await.into_std().unwrap();
            stream.shutdown(std::net::Shutdown::Read).unwrap();
            let mut stream = UnixStream::from_std(stream).unwrap();
            stream.write_all(&whole("A: b\n\n", b"no, thanks")).await.unwrap();
            stream
        };
        let upload = tokio::time::timeout(Duration::from_millis(200), client.write_all(&sent));
        let (response, _stream, _) = tokio::join!(peer.exchange(Method::POST, body, TIMEOUTS), answer, upload);
        assert_eq!(text(response.unwrap()).await.unwrap(), "no, thanks");
    });
}

#[test]
fn upload_and_answer_flow_at_the_same_time() {
    run(async {
        let peer = Peer::new(0);
        let sent = pattern(2_000_000);
        let (body, mut client) = body_of(post(sent.len()).as_bytes(), None).await;
        // Says back what it hears, record by record: it would stand still if one direction waited for the other.
        let echo = async {
            let mut stream = peer.accept().await;
            read_params(&mut stream).await;
            stream.write_all(&record(6, 1, b"A: b\n\n", 0)).await.unwrap();
            loop {
                let (_, content) = read_record(&mut stream).await;
                if content.is_empty() {
                    break stream.write_all(&record(3, 1, &END, 0)).await.unwrap();
                }
                stream.write_all(&record(6, 1, &content, 3)).await.unwrap();
            }
        };
        let exchange = async { peer.exchange(Method::POST, body, TIMEOUTS).await.unwrap().into_body().collect().await.unwrap().to_bytes() };
        let upload = async {
            client.write_all(&sent).await.unwrap();
            client
        };
        let (answer, (), _client) = tokio::join!(exchange, echo, upload);
        assert!(answer == sent);
    });
}

#[test]
fn a_body_over_the_limit_never_reaches_the_backend() {
    run(async {
        let peer = Peer::new(0);
        let (body, _client) = body_of((CHUNKED.to_owned() + "5\r\nhello\r\n0\r\n\r\n").as_bytes(), Some(4)).await;
        assert!(matches!(peer.exchange(Method::POST, body, TIMEOUTS).await, Err(Error::BodyTooLarge(4))));
        assert!(tokio::time::timeout(Duration::from_millis(20), peer.listener.accept()).await.is_err());
    });
}

#[test]
fn a_client_that_breaks_off_ends_the_request_at_the_backend() {
    run(async {
        let peer = Peer::new(0);
        let (body, client) = body_of((post(100) + "half of it").as_bytes(), None).await;
        let watch = async {
            let mut stream = peer.accept().await;
            read_params(&mut stream).await;
            assert_eq!(read_record(&mut stream).await, (5, b"half of it".to_vec()));
            drop(client);
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "no end of the body, no more bytes");
        };
        let (result, ()) = tokio::join!(peer.exchange(Method::POST, body, TIMEOUTS), watch);
        assert!(matches!(result, Err(Error::Downstream(_))), "{result:?}");
    });
}

#[test]
fn a_slow_client_is_not_the_fault_of_the_backend() {
    run(async {
        let peer = Peer::new(0);
        let timeouts = Timeouts { idle: Some(Duration::from_millis(30)), ..TIMEOUTS };
        let (body, mut client) = body_of(post(4).as_bytes(), None).await;
        let mut exchange = std::pin::pin!(peer.exchange(Method::POST, body, timeouts));
        assert!(tokio::time::timeout(Duration::from_millis(120), &mut exchange).await.is_err());
        client.write_all(b"body").await.unwrap();
        // From here on it is the backend that is silent.
        assert!(matches!(exchange.await, Err(Error::Timeout(Phase::Backend))));
    });
}

#[test]
fn a_dropped_request_closes_the_connection() {
    run(async {
        let peer = Peer::new(0);
        let mut stream = tokio::select! {
            _ = peer.get() => unreachable!("nobody answers"),
            stream = async {
                let mut stream = peer.accept().await;
                read_request(&mut stream).await;
                stream
            } => stream,
        };
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
