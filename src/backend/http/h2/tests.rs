//! Real sockets: a pool on one side, a backend that speaks HTTP/2 as it is told on the other.

mod ended;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::api::v1::HttpProtocol;
use crate::backend::http::{Call, Head, Pool, Unsent};
use crate::backend::{Error, Phase, RequestBody, ResponseBody};
use crate::dial::Address;
use crate::route::Timeouts;

const SECOND: Duration = Duration::from_secs(1);

type Incoming = (Request<RecvStream>, SendResponse<Bytes>);

/// What a backend has seen.
#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    /// `CONNECTION METHOD URI`
    requests: RefCell<Vec<String>>,
}

fn local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async { tokio::time::timeout(30 * SECOND, test).await.expect("in time") });
}

/// A backend: `behave` has each connection, with its number.
async fn listening<F: Future<Output = ()> + 'static>(behave: impl Fn(usize, TcpStream, Rc<Seen>) -> F + 'static) -> (Address, Rc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap().to_string().into());
    let seen = Rc::new(Seen::default());
    let told = seen.clone();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            told.connections.set(told.connections.get() + 1);
            tokio::task::spawn_local(behave(told.connections.get(), stream, told.clone()));
        }
    });
    (address, seen)
}

/// A backend that allows so many requests at once; `behave` has each request, with the number of its connection, in a task of its own.
async fn backend<F: Future<Output = ()> + 'static>(
    at_once: u32,
    behave: impl Fn(usize, Incoming) -> F + Clone + 'static,
) -> (Address, Rc<Seen>) {
    listening(move |number, stream, seen| {
        let behave = behave.clone();
        async move {
            let Ok(mut connection) = server::Builder::new().max_concurrent_streams(at_once).handshake(stream).await else { return };
            while let Some(Ok(incoming)) = connection.accept().await {
                seen.requests.borrow_mut().push(format!("{number} {} {}", incoming.0.method(), incoming.0.uri()));
                tokio::task::spawn_local(behave(number, incoming));
            }
        }
    })
    .await
}

async fn ok(_: usize, (_, mut answer): Incoming) {
    let mut body = answer.send_response(Response::new(()), false).unwrap();
    body.send_data("hello".into(), true).unwrap();
}

fn timeouts() -> Timeouts {
    Timeouts { request: None, connect: Some(10 * SECOND), idle: Some(10 * SECOND) }
}

fn call(address: &Address) -> Call<'_> {
    Call { address, timeouts: timeouts(), keep: 32, protocol: HttpProtocol::H2c }
}

fn get(path: &str) -> Request<RequestBody> {
    Request::get(path).header("host", "a.test:81").body(RequestBody::empty()).unwrap()
}

/// Sends a request that has its parts together.
async fn send(pool: &Pool, call: Call<'_>, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Unsent> {
    let (parts, body) = request.into_parts();
    pool.send(call, &Head::of(&Request::from_parts(parts, ())), body).await
}

async fn text(response: Response<ResponseBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn requests_at_once_share_one_connection_which_is_kept() {
    local(async {
        let (address, seen) = backend(100, ok).await;
        let pool = Pool::default();
        let all = (0..80).map(|_| async { text(send(&pool, call(&address), get("/a//b?q")).await.unwrap()).await });
        assert!(join_all(all).await.iter().all(|answer| answer == "hello"));
        assert_eq!(text(send(&pool, call(&address), get("/last")).await.unwrap()).await, "hello");
        assert_eq!((seen.connections.get(), seen.requests.borrow().len()), (1, 81));
        assert_eq!(seen.requests.borrow()[0], "1 GET http://a.test:81/a//b?q");
        assert_eq!((seen.requests.borrow()[80].as_str(), pool.idle().get()), ("1 GET http://a.test:81/last", 1));
    });
}

#[test]
fn a_backend_that_allows_few_requests_at_once_gets_more_connections() {
    local(async {
        let asked = Rc::new(Cell::new(0));
        let counted = asked.clone();
        let (address, seen) = backend(4, move |number, incoming| {
            let counted = counted.clone();
            async move {
                counted.set(counted.get() + 1);
                while incoming.0.uri().path() == "/all" && counted.get() < 41 {
                    tokio::task::yield_now().await;
                }
                ok(number, incoming).await;
            }
        })
        .await;
        let pool = Pool::default();
        // The backend's word comes with its first answer.
        assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "hello");
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let all = (0..40).map(|_| async { text(send(&pool, call(&address), get("/all")).await.unwrap()).await });
        assert!(join_all(all).await.iter().all(|answer| answer == "hello"));
        assert_eq!((seen.connections.get(), asked.get()), (10, 41));
    });
}

#[test]
fn a_refused_request_is_sent_again_on_a_new_connection_and_not_for_ever() {
    local(async {
        for refused in [1, 2] {
            let (address, seen) = backend(100, move |number, (request, mut answer)| async move {
                if number <= refused {
                    answer.send_reset(Reason::REFUSED_STREAM);
                } else {
                    ok(number, (request, answer)).await;
                }
            })
            .await;
            let request = Request::post("/").header("host", "a").body(RequestBody::empty()).unwrap();
            assert_eq!(text(send(&Pool::default(), call(&address), request).await.unwrap()).await, "hello");
            assert_eq!(seen.connections.get(), refused + 1);
        }
        let (address, seen) = backend(100, |_, (_, mut answer)| async move { answer.send_reset(Reason::REFUSED_STREAM) }).await;
        assert!(matches!(send(&Pool::default(), call(&address), get("/")).await.map_err(|failed| failed.error), Err(Error::Refused)));
        assert_eq!(seen.connections.get(), 3);
    });
}

#[test]
fn what_was_refused_by_a_backend_that_is_gone_is_given_back() {
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap().to_string().into());
        tokio::task::spawn_local(async move {
            let mut connection = server::handshake(listener.accept().await.unwrap().0).await.unwrap();
            drop(listener);
            connection.accept().await.unwrap().unwrap().1.send_reset(Reason::REFUSED_STREAM);
            while connection.accept().await.is_some() {}
        });
        let unsent = send(&Pool::default(), call(&address), get("/")).await.unwrap_err().unsent;
        assert!(unsent.is_some(), "nobody has it");
    });
}

#[test]
fn another_reset_is_final() {
    local(async {
        let (address, seen) = backend(100, |_, (_, mut answer)| async move { answer.send_reset(Reason::INTERNAL_ERROR) }).await;
        assert!(matches!(send(&Pool::default(), call(&address), get("/")).await.map_err(|failed| failed.error), Err(Error::Http(_))));
        assert_eq!(seen.requests.borrow().len(), 1);
    });
}

#[test]
fn a_kept_connection_that_has_ended_is_replaced() {
    local(async {
        let (address, seen) = listening(|number, stream, _| async move {
            let mut connection = server::handshake(stream).await.unwrap();
            let incoming = connection.accept().await.unwrap().unwrap();
            ok(number, incoming).await;
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        })
        .await;
        let pool = Pool::default();
        for number in 1..=5 {
            assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "hello");
            assert_eq!(seen.connections.get(), number);
        }
    });
}

#[test]
fn a_silent_backend_times_out_and_its_connection_is_not_used_again() {
    local(async {
        let (address, seen) = backend(100, |number, (request, mut answer)| async move {
            match request.uri().path() {
                "/silent" => std::future::pending().await,
                "/half" => {
                    let mut body = answer.send_response(Response::new(()), false).unwrap();
                    body.send_data("half".into(), false).unwrap();
                    std::future::pending::<()>().await;
                }
                _ => ok(number, (request, answer)).await,
            }
        })
        .await;
        let pool = Pool::default();
        let short = Timeouts { idle: Some(SECOND / 10), ..timeouts() };
        let short = |path: &str| send(&pool, Call { timeouts: short, ..call(&address) }, get(path));
        assert_eq!(text(short("/").await.unwrap()).await, "hello");
        assert!(matches!(short("/silent").await.map_err(|failed| failed.error), Err(Error::Timeout(Phase::Backend))));
        assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "hello");
        let half = short("/half").await.unwrap().into_body().collect().await;
        assert!(matches!(half, Err(Error::Timeout(Phase::Backend))));
        assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "hello");
        assert_eq!(seen.connections.get(), 3);
    });
}

#[test]
fn an_answer_that_is_reset_breaks_off_and_the_connection_lives() {
    local(async {
        let (address, seen) = backend(100, |number, (request, mut answer)| async move {
            if request.uri().path() == "/reset" {
                let mut body = answer.send_response(Response::new(()), false).unwrap();
                body.send_data("half".into(), false).unwrap();
                body.send_reset(Reason::INTERNAL_ERROR);
            } else {
                ok(number, (request, answer)).await;
            }
        })
        .await;
        let pool = Pool::default();
        // The reset may come before the head is looked at.
        if let Ok(answer) = send(&pool, call(&address), get("/reset")).await {
            assert!(answer.into_body().collect().await.is_err());
        }
        assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "hello");
        assert_eq!(seen.connections.get(), 1);
    });
}

#[test]
fn a_client_that_leaves_resets_its_stream_and_no_other() {
    local(async {
        let resets = Rc::new(RefCell::new(Vec::new()));
        let told = resets.clone();
        let (address, seen) = backend(100, move |number, (request, mut answer)| {
            let told = told.clone();
            async move {
                if request.uri().path() == "/slow" {
                    let reason = std::future::poll_fn(|cx| answer.poll_reset(cx)).await.unwrap();
                    told.borrow_mut().push(reason);
                } else {
                    ok(number, (request, answer)).await;
                }
            }
        })
        .await;
        let pool = Pool::default();
        let mut slow = Box::pin(send(&pool, call(&address), get("/slow")));
        tokio::select! {
            _ = &mut slow => panic!("there is no answer"),
            answer = send(&pool, call(&address), get("/")) => assert_eq!(text(answer.unwrap()).await, "hello"),
        }
        drop(slow);
        while resets.borrow().is_empty() {
            tokio::time::sleep(SECOND / 1000).await;
        }
        assert_eq!(*resets.borrow(), [Reason::CANCEL]);
        assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "hello");
        assert_eq!(seen.connections.get(), 1);
    });
}

#[test]
fn readers_that_are_slow_do_not_hold_up_another() {
    local(async {
        let (address, seen) = backend(100, |_, (request, mut answer)| async move {
            let mut body = answer.send_response(Response::new(()), false).unwrap();
            let length = if request.uri().path() == "/large" { 1 << 20 } else { 5 };
            body.send_data(vec![b'x'; length].into(), true).unwrap();
        })
        .await;
        let pool = Pool::default();
        // Nobody reads these: more bytes than all windows together.
        let unread = join_all((0..60).map(|_| send(&pool, call(&address), get("/large")))).await;
        assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "xxxxx");
        assert_eq!(seen.connections.get(), 1);
        for answer in unread {
            assert_eq!(text(answer.unwrap()).await.len(), 1 << 20);
        }
    });
}

#[test]
fn trailers_are_dropped_and_lengths_and_statuses_are_kept() {
    local(async {
        let (address, _) = backend(100, |_, (request, mut answer)| async move {
            let head = request.method() == http::Method::HEAD;
            let response = Response::builder().status(StatusCode::CREATED).header("content-length", "2").body(()).unwrap();
            let mut body = answer.send_response(response, head).unwrap();
            if !head {
                body.send_data("ab".into(), false).unwrap();
                body.send_trailers(http::HeaderMap::from_iter([(http::header::EXPIRES, "0".parse().unwrap())])).unwrap();
            }
        })
        .await;
        let pool = Pool::default();
        let answer = send(&pool, call(&address), get("/")).await.unwrap();
        assert_eq!((answer.status(), answer.headers()["content-length"].as_bytes()), (StatusCode::CREATED, &b"2"[..]));
        let collected = answer.into_body().collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "ab");
        let request = Request::head("/").header("host", "a").body(RequestBody::empty()).unwrap();
        let answer = send(&pool, call(&address), request).await.unwrap();
        assert_eq!(answer.headers()["content-length"].as_bytes(), b"2");
        assert_eq!(text(answer).await, "");
    });
}

#[test]
fn a_backend_that_speaks_another_protocol_or_hangs_up_is_an_error() {
    local(async {
        let (http1, _) = listening(|_, mut stream, _| async move {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
            let _ = stream.read(&mut [0; 4096]).await;
        })
        .await;
        assert!(matches!(
            send(&Pool::default(), call(&http1), get("/")).await.map_err(|failed| failed.error),
            Err(Error::Http(_) | Error::Closed(_))
        ));
        let (hangs_up, seen) = listening(|_, stream, _| async move { drop(stream) }).await;
        let error = send(&Pool::default(), call(&hangs_up), get("/")).await.unwrap_err();
        assert!(matches!(error.error, Error::Closed(_)), "{error:?}");
        assert!(seen.connections.get() <= super::ATTEMPTS);
        let gone = Address::Tcp("127.0.0.1:1".into());
        assert!(matches!(send(&Pool::default(), call(&gone), get("/")).await.map_err(|failed| failed.error), Err(Error::Connect(_))));
    });
}

#[test]
fn connections_that_nobody_uses_are_closed() {
    local(async {
        let (address, seen) = backend(100, ok).await;
        let pool = Pool::default();
        assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "hello");
        pool.shared().clear(10 * SECOND);
        assert!(!pool.shared().is_empty());
        pool.shared().clear(Duration::ZERO);
        assert!(pool.shared().is_empty());
        assert_eq!(pool.idle().get(), 0);
        assert_eq!(text(send(&pool, call(&address), get("/")).await.unwrap()).await, "hello");
        assert_eq!(seen.connections.get(), 2);
    });
}
