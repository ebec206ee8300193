//! Real sockets: a pool on one side, a backend that does as it is told on the other.

mod own;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::{Call, Head, Pool, Unsent};
use crate::backend::{Error, Failed, Phase, RequestBody, ResponseBody};
use crate::dial::Address;
use crate::route::Timeouts;

const SECOND: Duration = Duration::from_secs(1);

type Outcomes = Rc<RefCell<Vec<Result<StatusCode, Error>>>>;

fn local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async { tokio::time::timeout(20 * SECOND, test).await.expect("in time") });
}

/// A backend: one call of `behave` per connection, with its number. Returns its address and the count of connections.
async fn backend<F: Future<Output = ()> + 'static>(behave: impl Fn(usize, TcpStream) -> F + 'static) -> (Address, Rc<Cell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap().to_string().into());
    let accepted = Rc::new(Cell::new(0));
    let count = accepted.clone();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.set(count.get() + 1);
            tokio::task::spawn_local(behave(count.get(), stream));
        }
    });
    (address, accepted)
}

/// Reads one head, and what came with it.
async fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut text).await.unwrap() == 0 {
            break;
        }
    }
    String::from_utf8(text).unwrap()
}

/// Answers every head with `answer`.
async fn answering(mut stream: TcpStream, answer: &'static str) {
    while !head(&mut stream).await.is_empty() {
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn call(address: &Address) -> Call<'_> {
    let timeouts = Timeouts { request: None, connect: Some(5 * SECOND), idle: Some(5 * SECOND) };
    Call { address, timeouts, keep: 32, protocol: crate::api::v1::HttpProtocol::Http1 }
}

fn get() -> Request<RequestBody> {
    Request::get("/").header("host", "a").body(RequestBody::empty()).unwrap()
}

/// Sends a request that has its parts together; it asks for the upgrade that is among its fields.
async fn send(pool: &Pool, call: Call<'_>, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Unsent> {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, ());
    let upgrade = request.headers().get(http::header::UPGRADE);
    pool.send(call, &Head { upgrade, ..Head::of(&request) }, body).await
}

async fn text(response: Response<ResponseBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Waits for a condition that other tasks of this thread bring about.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A front server with an upload in it: what is written to the returned stream reaches the backend through the pool; the outcome of each
/// request is noted.
fn front(pool: &Pool, address: &Address) -> (DuplexStream, Outcomes) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let outcomes = Outcomes::default();
    let (pool, address, noted) = (pool.clone(), address.clone(), outcomes.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (pool, address, noted) = (pool.clone(), address.clone(), noted.clone());
        async move {
            let mut call = call(&address);
            call.timeouts.idle = Some(Duration::from_millis(300));
            let request = request.map(|body| RequestBody::new(body, Some(1 << 20), SECOND).unwrap());
            let (response, outcome) = match send(&pool, call, request).await {
                Ok(response) => {
                    let status = response.status();
                    (Full::new(text(response).await.into()), Ok(status))
                }
                Err(failed) => (Full::new(Bytes::new()), Err(failed.error)),
            };
            noted.borrow_mut().push(outcome);
            Ok::<_, Infallible>(Response::new(response))
        }
    });
    tokio::task::spawn_local(async move {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service).await;
    });
    (client, outcomes)
}

#[test]
fn a_connection_is_used_again_once_the_body_is_read() {
    local(async {
        let (address, accepted) = backend(|_, stream| answering(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")).await;
        let pool = Pool::default();
        for _ in 0..5 {
            assert_eq!(text(send(&pool, call(&address), get()).await.unwrap()).await, "hi");
        }
        assert_eq!(accepted.get(), 1);
        let rest: &str = Box::leak(format!("HTTP/1.1 200 OK\r\ncontent-length: 90000\r\n\r\n{}", "x".repeat(90_000)).into_boxed_str());
        let (address, accepted) = backend(move |_, stream| answering(stream, rest)).await;
        let open = send(&pool, call(&address), get()).await.unwrap();
        assert_eq!(text(send(&pool, call(&address), get()).await.unwrap()).await.len(), 90_000);
        assert_eq!(accepted.get(), 2, "the first is still in use");
        drop(open);
        let none = Call { keep: 0, ..call(&address) };
        assert_eq!(text(send(&pool, none, get()).await.unwrap()).await.len(), 90_000, "it takes a kept one");
        assert_eq!(accepted.get(), 2);
    });
}

#[test]
fn chunked_and_empty_answers_give_their_connection_back_too() {
    local(async {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-trailer: 1\r\n\r\n";
        let (address, accepted) = backend(move |_, stream| answering(stream, chunked)).await;
        let pool = Pool::default();
        for _ in 0..3 {
            let response = send(&pool, call(&address), get()).await.unwrap();
            assert!(response.headers().is_empty(), "its framing ends here: {:?}", response.headers());
            let body = response.into_body().collect().await.unwrap();
            assert!(body.trailers().is_none());
            assert_eq!(body.to_bytes(), "hi");
        }
        assert_eq!(accepted.get(), 1);
        let (address, accepted) = backend(|_, stream| answering(stream, "HTTP/1.1 200 OK\r\ncontent-length: 70, 70\r\n\r\n")).await;
        for _ in 0..3 {
            let mut request = get();
            *request.method_mut() = Method::HEAD;
            assert_eq!(text(send(&pool, call(&address), request).await.unwrap()).await, "");
        }
        assert_eq!(accepted.get(), 1);
    });
}

#[test]
fn http_1_0_announced_closes_and_what_can_be_read_in_two_ways_are_not_kept() {
    local(async {
        for answer in [
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        ] {
            let (address, accepted) = backend(move |_, stream| answering(stream, answer)).await;
            let pool = Pool::default();
            for _ in 0..3 {
                assert_eq!(text(send(&pool, call(&address), get()).await.unwrap()).await, "hi");
            }
            assert_eq!(accepted.get(), 3, "{answer}");
        }
    });
}

#[test]
fn a_connection_that_died_while_idle_costs_nothing_but_a_new_one() {
    local(async {
        let (address, accepted) = backend(|_, mut stream| async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        })
        .await;
        let pool = Pool::default();
        for _ in 0..3 {
            let mut request = get();
            *request.method_mut() = Method::POST;
            assert_eq!(text(send(&pool, call(&address), request).await.unwrap()).await, "hi");
        }
        assert_eq!(accepted.get(), 3);
    });
}

/// The first connection answers once and dies on its second request; others answer.
async fn dies_on_second(number: usize, mut stream: TcpStream) {
    while !head(&mut stream).await.is_empty() {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        if number == 1 {
            head(&mut stream).await;
            return;
        }
    }
}

#[test]
fn a_rested_connection_that_dies_under_a_request_is_replaced_once_if_the_request_may_be_sent_twice() {
    local(async {
        for (method, answered) in [(Method::GET, true), (Method::POST, false)] {
            let (address, accepted) = backend(dies_on_second).await;
            let pool = Pool::default();
            text(send(&pool, call(&address), get()).await.unwrap()).await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            let mut request = get();
            *request.method_mut() = method.clone();
            let outcome = send(&pool, call(&address), request).await;
            assert_eq!(outcome.is_ok(), answered, "{method}");
            assert!(answered || matches!(outcome, Err(Failed { error: Error::Closed(_), .. })), "{outcome:?}");
            assert_eq!(accepted.get(), if answered { 2 } else { 1 });
        }
    });
}

#[test]
fn a_silent_backend_is_a_timeout_before_and_inside_the_answer() {
    local(async {
        let limit = Duration::from_millis(200);
        let (address, _) = backend(|_, stream| answering(stream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi")).await;
        let pool = Pool::default();
        let mut short = call(&address);
        short.timeouts.idle = Some(limit);
        let start = tokio::time::Instant::now();
        let error = send(&pool, short, get()).await.unwrap().into_body().collect().await.unwrap_err();
        assert!(matches!(error, Error::Timeout(Phase::Backend)), "{error:?}");
        assert!(start.elapsed() >= limit);
        let (address, _) =
            backend(|_, mut stream| async move { drop((head(&mut stream).await, std::future::pending::<()>().await)) }).await;
        let error = send(&pool, Call { address: &address, ..short }, get()).await.unwrap_err().error;
        assert!(matches!(error, Error::Timeout(Phase::Backend)), "{error:?}");
    });
}

#[test]
fn errors_say_what_the_backend_did() {
    local(async {
        let pool = Pool::default();
        let (address, _) = backend(|_, mut stream| async move { drop(head(&mut stream).await) }).await;
        assert!(matches!(send(&pool, call(&address), get()).await, Err(Failed { error: Error::Closed(_), .. })));
        let (address, _) = backend(|_, stream| answering(stream, "nonsense\r\n\r\n")).await;
        assert!(matches!(send(&pool, call(&address), get()).await, Err(Failed { error: Error::Protocol(_), .. })));
        let (address, _) = backend(|_, stream| answering(stream, "HTTP/1.1 101 Switching Protocols\r\n\r\n")).await;
        assert!(matches!(send(&pool, call(&address), get()).await, Err(Failed { error: Error::Protocol(_), .. })));
        let (address, _) = backend(|_, mut stream| async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi").await.unwrap();
        })
        .await;
        let error = send(&pool, call(&address), get()).await.unwrap().into_body().collect().await.unwrap_err();
        assert!(matches!(error, Error::Closed(_)), "{error:?}");
        let nobody = Address::Tcp("127.0.0.1:1".into());
        assert!(matches!(send(&pool, call(&nobody), get()).await, Err(Failed { error: Error::Connect(_), .. })));
    });
}

#[test]
fn a_client_that_leaves_closes_the_backends_connection() {
    local(async {
        let closed = Rc::new(Cell::new(false));
        let seen = closed.clone();
        let (address, _) = backend(move |_, mut stream| {
            let seen = seen.clone();
            async move {
                head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi").await.unwrap();
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
                seen.set(true);
            }
        })
        .await;
        drop(send(&Pool::default(), call(&address), get()).await.unwrap());
        until(|| closed.get()).await;
    });
}

#[test]
fn a_slow_upload_outlives_the_limit_on_silence() {
    local(async {
        let (address, _) = backend(|_, mut stream| async move {
            let head = head(&mut stream).await;
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            let mut body = Vec::new();
            while !body.ends_with(b"0\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0);
            }
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let (mut client, outcomes) = front(&Pool::default(), &address);
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            client.write_all(b"1\r\nx\r\n").await.unwrap();
        }
        client.write_all(b"0\r\n\r\n").await.unwrap();
        until(|| !outcomes.borrow().is_empty()).await;
        assert_eq!(*outcomes.borrow()[0].as_ref().unwrap(), StatusCode::CREATED);
    });
}

#[test]
fn the_clients_faults_are_not_put_on_the_backend() {
    local(async {
        let (address, _) = backend(|_, mut stream| async move {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
        })
        .await;
        let pool = Pool::default();
        let (mut client, outcomes) = front(&pool, &address);
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nx").await.unwrap();
        until(|| !outcomes.borrow().is_empty()).await;
        assert!(matches!(outcomes.borrow()[0], Err(Error::Timeout(Phase::Client))), "{outcomes:?}");
        let (mut client, outcomes) = front(&pool, &address);
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await.unwrap();
        until(|| !outcomes.borrow().is_empty()).await;
        assert!(matches!(outcomes.borrow()[0], Err(Error::Downstream(_))), "{outcomes:?}");
        let (mut client, outcomes) = front(&pool, &address);
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
        for _ in 0..17 {
            let _ = client.write_all(&chunk).await;
        }
        until(|| !outcomes.borrow().is_empty()).await;
        assert!(matches!(outcomes.borrow()[0], Err(Error::BodyTooLarge(1_048_576))), "{outcomes:?}");
    });
}

#[test]
fn an_answer_before_the_end_of_the_upload_is_passed_on_and_its_connection_not_kept() {
    local(async {
        let (address, accepted) = backend(|_, mut stream| async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        })
        .await;
        let pool = Pool::default();
        for round in 1..=2 {
            let (mut client, outcomes) = front(&pool, &address);
            client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n").await.unwrap();
            for _ in 0..10 {
                let _ = client.write_all(&vec![b'x'; 50_000]).await;
            }
            until(|| !outcomes.borrow().is_empty()).await;
            assert_eq!(*outcomes.borrow()[0].as_ref().unwrap(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(accepted.get(), round);
        }
    });
}
