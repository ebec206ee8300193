//! Clients that are slow, silent, or say too much.

use super::*;
use crate::listen::Limits;

/// One thread and one address with these limits.
pub(super) fn start_within(limits: Limits) -> Server {
    let options = Options { limits, ..Options::default() };
    start_with(&bind("127.0.0.1:0", 1).unwrap(), options, 1, Settings::default())
}

#[test]
fn clients_that_say_nothing_or_not_enough_are_let_go() {
    run(async {
        let limit = Duration::from_millis(200);
        let server = start_within(Limits { header_timeout: limit, idle_timeout: 2 * limit, ..Limits::default() });
        // At any moment between two looks at them.
        let (mut pause, mut silent) = (tokio::time::interval(limit / 20), Vec::new());
        for _ in 0..10 {
            pause.tick().await;
            silent.push((Instant::now(), TcpStream::connect(server.address).await.unwrap()));
        }
        for (began, client) in &mut silent {
            assert!(is_closed(client).await);
            assert!(began.elapsed() >= limit);
        }
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        let (began, mut sent) = (Instant::now(), 0);
        while slow.write_all(b"x").await.is_ok() && tokio::time::timeout(limit / 4, slow.readable()).await.is_err() {
            sent += 1;
        }
        assert!(sent > 1 && began.elapsed() >= limit / 2, "each byte gains no time: {sent} in {:?}", began.elapsed());
        let mut resting = server.ask("/").await;
        read_until(&mut resting, "hi").await;
        let began = Instant::now();
        assert!(is_closed(&mut resting).await);
        assert!(began.elapsed() >= limit, "rest is another limit");
        server.end().await;
    });
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    run(async {
        let limit = Duration::from_millis(200);
        let server = start_within(Limits { write_timeout: limit, ..Limits::default() });
        let mut client = server.ask("/large").await;
        client.readable().await.unwrap();
        // A drain ends when nobody is left.
        server.trigger.drain();
        server.running.join().await.unwrap();
        let mut all = Vec::new();
        assert!(client.read_to_end(&mut all).await.is_err() || all.len() < 32 << 20);
    });
}

#[test]
fn a_request_being_answered_has_no_limit_here() {
    run(async {
        let limit = Duration::from_millis(50);
        let server = start_within(Limits { header_timeout: limit, idle_timeout: limit, ..Limits::default() });
        let mut client = server.ask("/slow").await;
        assert!(tokio::time::timeout(6 * limit, client.readable()).await.is_err());
        server.gate.send_replace(true);
        assert!(read_until(&mut client, "slow").await.ends_with("slow"));
        server.end().await;
    });
}

#[test]
fn heads_over_the_limit_are_refused() {
    run(async {
        let server = start_within(Limits { max_head: 16 << 10, ..Limits::default() });
        for (size, status) in [(15 << 10, "200"), (17 << 10, "431")] {
            let mut client = TcpStream::connect(server.address).await.unwrap();
            let head = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n", "x".repeat(size));
            client.write_all(head.as_bytes()).await.unwrap();
            let answer = read_until(&mut client, "\r\n\r\nhi").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
        server.end().await;
    });
}
