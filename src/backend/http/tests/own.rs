//! What our own exchange has to see to: one write, heads in crumbs, interim answers, closed connections, tunnels.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::{SECOND, backend, call, front, get, head, local, send, text, until};
use crate::backend::http::{Carried, Pool, tunnel};
use crate::backend::{Error, RequestBody};
use crate::container::rootfs::Rootfs;
use crate::dial::Address;

#[test]
fn a_head_that_comes_in_crumbs_behind_interim_answers_is_read() {
    local(async {
        let (address, accepted) = backend(|_, mut stream| async move {
            stream.set_nodelay(true).unwrap();
            while !head(&mut stream).await.is_empty() {
                let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 Fine\r\nx: 1\r\ncontent-length: 2\r\n\r\nhi";
                for byte in text.as_bytes() {
                    stream.write_all(&[*byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        let pool = Pool::default();
        for _ in 0..2 {
            let answer = send(&pool, call(&address), get()).await.unwrap();
            assert_eq!((answer.status(), answer.headers()["x"].as_bytes(), answer.headers().len()), (StatusCode::OK, &b"1"[..], 2));
            assert_eq!(answer.extensions().get::<hyper::ext::ReasonPhrase>().unwrap().as_bytes(), b"Fine");
            assert_eq!(text(answer).await, "hi");
        }
        assert_eq!(accepted.get(), 1);
    });
}

#[test]
fn interim_answers_and_heads_without_an_end_are_given_up() {
    local(async {
        for (begin, filler) in
            [("", "HTTP/1.1 100 Continue\r\n\r\n"), ("HTTP/1.1 200 OK\r\n", "x: aaaaaaaaaaaaaaaa\r\n"), ("HTTP/1.1 200 OK\r\nx:", "a")]
        {
            let (address, _) = backend(move |_, mut stream| async move {
                head(&mut stream).await;
                let _ = stream.write_all(begin.as_bytes()).await;
                let filler = filler.repeat(1000);
                while stream.write_all(filler.as_bytes()).await.is_ok() {}
            })
            .await;
            let error = send(&Pool::default(), call(&address), get()).await.unwrap_err().error;
            assert!(matches!(error, Error::Protocol(_)), "{error:?}");
        }
    });
}

#[test]
fn a_long_answer_comes_whole_and_one_that_breaks_off_is_an_error() {
    local(async {
        let whole: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        let body = whole.clone();
        let (address, _) = backend(move |number, mut stream| {
            let body = body.clone();
            async move {
                head(&mut stream).await;
                let framing = ["content-length: 3000000", "transfer-encoding: chunked", "x: until the end"][(number - 1) % 3];
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes()).await.unwrap();
                let sent = if number > 3 { &body[..1_000_000] } else { &body[..] };
                for piece in sent.chunks(70_001) {
                    if number % 3 == 2 {
                        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
                    }
                    stream.write_all(piece).await.unwrap();
                    if number % 3 == 2 {
                        stream.write_all(b"\r\n").await.unwrap();
                    }
                }
                if number == 2 {
                    stream.write_all(b"0\r\n\r\n").await.unwrap();
                }
            }
        })
        .await;
        for round in 1..=6 {
            let answer = send(&Pool::default(), call(&address), get()).await.unwrap().into_body().collect().await;
            match round {
                1..=3 => assert_eq!(answer.unwrap().to_bytes(), whole, "{round}"),
                6 => assert_eq!(answer.unwrap().to_bytes().len(), 1_000_000, "nobody can tell"),
                _ => assert!(matches!(answer, Err(Error::Closed(_))), "{round}"),
            }
        }
    });
}

#[test]
fn a_kept_connection_that_was_closed_unseen_loses_nothing_not_even_a_post() {
    local(async {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("a")).unwrap();
        let address = Address::Unix { root: Arc::new(Rootfs::open(dir.path()).unwrap()), path: "/a".parse().unwrap() };
        let pool = Pool::default();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        let post = || Request::post("/").header("host", "a").body(RequestBody::empty()).unwrap();
        let (first, mut stream) = tokio::join!(send(&pool, call(&address), post()), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            stream.write_all(answer).await.unwrap();
            stream
        });
        assert_eq!(text(first.unwrap()).await, "hi");
        stream.shutdown().await.unwrap();
        // The runtime has had no chance to hear of it.
        drop(stream);
        let (second, ()) = tokio::join!(send(&pool, call(&address), post()), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            stream.write_all(answer).await.unwrap();
        });
        assert_eq!(text(second.unwrap()).await, "hi");
    });
}

#[test]
fn an_early_answer_reaches_the_client_with_its_body() {
    local(async {
        let (address, _) = backend(|_, mut stream| async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\n\r\n").await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(b"too large").await.unwrap();
        })
        .await;
        let (mut client, outcomes) = front(&Pool::default(), &address);
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let mut got = vec![0; 15];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!((&got[..], outcomes.borrow().len()), (&b"HTTP/1.1 200 OK"[..], 1), "the front answers for itself");
        assert_eq!(*outcomes.borrow()[0].as_ref().unwrap(), StatusCode::PAYLOAD_TOO_LARGE);
    });
}

#[test]
fn head_and_small_body_go_in_one_write() {
    local(async {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("a")).unwrap();
        let address = Address::Unix { root: Arc::new(Rootfs::open(dir.path()).unwrap()), path: "/a".parse().unwrap() };
        let (mut client, outcomes) = front(&Pool::default(), &address);
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = vec![0; 4096];
        let count = stream.read(&mut got).await.unwrap();
        assert!(got[..count].ends_with(b"content-length: 5\r\n\r\nhello"), "{}", String::from_utf8_lossy(&got[..count]));
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        until(|| !outcomes.borrow().is_empty()).await;
    });
}

#[test]
fn an_answer_to_head_and_a_304_have_no_body_whatever_their_length_says() {
    local(async {
        for (method, status) in [(Method::HEAD, "200 OK"), (Method::GET, "304 Not Modified")] {
            let answer: &str = Box::leak(format!("HTTP/1.1 {status}\r\ncontent-length: 7\r\n\r\n").into_boxed_str());
            let (address, accepted) = backend(move |_, stream| super::answering(stream, answer)).await;
            let pool = Pool::default();
            for _ in 0..3 {
                let mut request = get();
                *request.method_mut() = method.clone();
                let answer = send(&pool, call(&address), request).await.unwrap();
                assert_eq!(answer.headers()["content-length"], "7");
                assert_eq!(text(answer).await, "");
            }
            assert_eq!(accepted.get(), 1);
        }
    });
}

#[test]
fn a_tunnel_carries_bytes_both_ways_and_ends_half_by_half() {
    local(async {
        let (address, _) = backend(|_, mut stream| async move {
            let text = head(&mut stream).await;
            assert!(text.contains("upgrade: echo"), "{text}");
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhello ").await.unwrap();
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
            write.write_all(b" bye").await.unwrap();
        })
        .await;
        let (mut client, server) = tokio::io::duplex(1024);
        let (pool, moved) = (Pool::default(), Rc::new((Cell::new(0), Cell::new(0))));
        let noted = moved.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (pool, address, noted) = (pool.clone(), address.clone(), noted.clone());
            async move {
                let upgrade = hyper::upgrade::on(&mut request);
                let client = async { upgrade.await.map(TokioIo::new).map_err(Error::Downstream) };
                let request = request.map(|body| RequestBody::new(body, None, SECOND).unwrap());
                let mut response = send(&pool, call(&address), request).await.unwrap();
                let backend = response.body_mut().switched().unwrap();
                tokio::task::spawn_local(async move {
                    let carried = Carried { to_backend: &noted.0, to_client: &noted.1 };
                    tunnel(client, backend, Some(5 * SECOND), carried).await.unwrap();
                });
                Ok::<_, Infallible>(response)
            }
        });
        tokio::task::spawn_local(async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
            connection.with_upgrades().await.unwrap();
        });
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nping").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello ping bye"), "{answer}");
        until(|| (moved.0.get(), moved.1.get()) == (4, 14)).await;
    });
}
