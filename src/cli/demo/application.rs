//! The application of the demo: a request -> a text that says how it arrived.
//!
//! In: HTTP on a unix socket. Out: path and forwarded fields, as the application sees them. Never: a thread that keeps the process alive.

use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixListener;

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The fields that a proxy adds.
const FORWARDED: [&str; 5] = ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"];

/// Listens, and answers on a thread of its own until the process ends.
pub(super) fn start(socket: &Path) -> io::Result<()> {
    let listener = StdListener::bind(socket)?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        UnixListener::from_std(listener)?
    };
    thread::Builder::new().name("application".to_owned()).spawn(move || runtime.block_on(serve(listener)))?;
    Ok(())
}

async fn serve(listener: UnixListener) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
        let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the sample application failed");
            }
        });
    }
}

fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let mut text = format!("The application inside answers: {} {}\n", request.method(), request.uri());
    for name in FORWARDED {
        for value in request.headers().get_all(name) {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
    }
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_tells_what_it_sees() {
        let request = Request::get("/api/x?y=1").header("x-forwarded-for", "127.0.0.1").header("cookie", "no").body(()).unwrap();
        let body = answer(&request).into_body();
        let expected = "The application inside answers: GET /api/x?y=1\nx-forwarded-for: 127.0.0.1\n";
        assert_eq!(format!("{body:?}"), format!("{:?}", Full::new(Bytes::from_static(expected.as_bytes()))));
    }
}
