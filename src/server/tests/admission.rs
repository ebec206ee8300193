//! Who may connect, as who, and how many at once.

use tokio::task::JoinSet;

use super::*;
use crate::listen::Limits;
use crate::names::Networks;

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n";
const GET: &[u8] = b"GET /addresses HTTP/1.1\r\nhost: a\r\n\r\n";

fn options(limits: Limits) -> Options {
    Options { limits, ..Options::default() }
}

fn behind_a_proxy() -> Options {
    Options { proxy_protocol: true, ..Options::default() }
}

fn start_as(options: Options, threads: usize) -> (Server, Arc<Bound>) {
    let bound = bind("127.0.0.1:0", threads).unwrap();
    (start_with(&bound, options, threads, Settings::default()), bound)
}

async fn served(address: SocketAddr) -> TcpStream {
    let mut client = ask(address, "/").await;
    assert!(read_until(&mut client, "hi").await.ends_with("hi"));
    client
}

/// Whether the client is answered soon; else it waits, or is closed.
async fn is_answered(client: &mut TcpStream) -> bool {
    tokio::time::timeout(SECOND / 10, client.readable()).await.is_ok() && read_until(client, "hi").await.ends_with("hi")
}

#[test]
fn a_header_says_who_the_client_is_however_it_is_cut() {
    run(async {
        let (server, _) = start_as(behind_a_proxy(), 1);
        let all = [HEADER, GET].concat();
        for cut in [0, 1, 6, HEADER.len() - 1, HEADER.len(), HEADER.len() + 1] {
            let mut client = TcpStream::connect(server.address).await.unwrap();
            client.set_nodelay(true).unwrap();
            for piece in [&all[..cut], &all[cut..]] {
                client.write_all(piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let answer = read_until(&mut client, " http").await;
            assert!(answer.ends_with("192.0.2.1:4711 198.51.100.7:443 http"), "cut at {cut}: {answer}");
            client.write_all(GET).await.unwrap();
            assert!(read_until(&mut client, " http").await.contains("192.0.2.1:4711"), "and for the next request");
        }
        server.end().await;
    });
}

#[test]
fn without_a_header_there_is_no_answer() {
    run(async {
        let (server, _) = start_as(behind_a_proxy(), 1);
        for bytes in [GET, b"PROXY TCP4 192.0.2.1\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c"] {
            let mut client = TcpStream::connect(server.address).await.unwrap();
            client.write_all(bytes).await.unwrap();
            let began = Instant::now();
            assert_eq!(client.read(&mut [0; 9]).await.unwrap_or_default(), 0, "{bytes:?}");
            assert!(began.elapsed() < Limits::default().header_timeout, "at once");
        }
        server.end().await;
        let limit = Duration::from_millis(200);
        let limits = Limits { header_timeout: limit, ..Limits::default() };
        let (server, _) = start_as(Options { limits, ..behind_a_proxy() }, 1);
        for silent in [&b""[..], b"PROXY ", HEADER, &[HEADER, &GET[..9]].concat()] {
            let mut client = TcpStream::connect(server.address).await.unwrap();
            client.write_all(silent).await.unwrap();
            let began = Instant::now();
            assert_eq!(client.read(&mut [0; 9]).await.unwrap_or_default(), 0, "{silent:?}");
            assert!(began.elapsed() >= limit / 2, "in time for a head");
        }
        let mut leaves = TcpStream::connect(server.address).await.unwrap();
        leaves.write_all(b"PROXY").await.unwrap();
        leaves.shutdown().await.unwrap();
        assert!(is_closed(&mut leaves).await);
        server.end().await;
    });
}

#[test]
fn only_trusted_proxies_connect_where_there_are_some() {
    run(async {
        for (network, answered) in [("127.0.0.0/8", true), ("192.0.2.0/24", false)] {
            let (server, _) = start_as(Options { trusted: Networks::parse(&[network]).unwrap(), ..behind_a_proxy() }, 1);
            let mut client = TcpStream::connect(server.address).await.unwrap();
            let _ = client.write_all(&[HEADER, GET].concat()).await;
            let mut answer = String::new();
            let _ = tokio::io::AsyncReadExt::take(&mut client, 12).read_to_string(&mut answer).await;
            assert_eq!(answer == "HTTP/1.1 200", answered, "{network}: {answer:?}");
            server.end().await;
        }
    });
}

#[test]
fn connections_over_the_limit_of_an_address_wait_over_all_threads() {
    run(async {
        let (server, bound) = start_as(options(Limits { connections: Some(2), ..Limits::default() }), 2);
        let (first, _second) = (served(server.address).await, served(server.address).await);
        let mut waiting = Vec::new();
        for _ in 0..4 {
            waiting.push(server.ask("/").await);
        }
        for client in &mut waiting {
            assert!(!is_answered(client).await);
        }
        assert_eq!(bound.crowd().count(), 2);
        drop(first);
        // In any order: each thread has its own queue.
        let mut answered = JoinSet::new();
        for mut client in waiting {
            let bound = bound.clone();
            answered.spawn(async move {
                assert!(read_until(&mut client, "hi").await.ends_with("hi"));
                assert!(bound.crowd().count() <= 2);
            });
        }
        while let Some(done) = answered.join_next().await {
            done.unwrap();
        }
        server.end().await;
    });
}

#[test]
fn a_tunnel_keeps_its_seat() {
    run(async {
        let (server, _) = start_as(options(Limits { connections: Some(1), ..Limits::default() }), 1);
        let mut tunnel = server.ask("/echo").await;
        assert!(read_until(&mut tunnel, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
        let mut waits = server.ask("/").await;
        assert!(!is_answered(&mut waits).await);
        drop(tunnel);
        assert!(read_until(&mut waits, "hi").await.ends_with("hi"));
        server.end().await;
    });
}

#[test]
fn connections_over_the_limit_of_a_client_are_closed_and_no_other_client_notices() {
    run(async {
        let limits = Limits { connections_per_client: Some(2), ..Limits::default() };
        let (server, _) = start_as(Options { limits, ..behind_a_proxy() }, 2);
        let connect = async |client: &str| {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let header = format!("PROXY TCP6 {client} ::1 1 2\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n");
            let _ = stream.write_all(header.as_bytes()).await;
            let mut start = [0; 12];
            stream.read_exact(&mut start).await.is_ok().then_some(stream)
        };
        let first = connect("2001:db8::1").await.unwrap();
        let _second = connect("2001:db8::2").await.expect("of the same /64, within the limit");
        assert!(connect("2001:db8::ffff:3").await.is_none());
        let _other = connect("2001:db8:0:1::1").await.expect("another client");
        drop(first);
        while connect("2001:db8::4").await.is_none() {
            tokio::task::yield_now().await;
        }
        server.end().await;
    });
}

#[test]
fn a_trusted_proxy_may_have_the_connections_of_many_clients() {
    run(async {
        let limits = Limits { connections_per_client: Some(1), ..Limits::default() };
        let (server, _) = start_as(Options { limits, trusted: Networks::parse(&["127.0.0.1/32"]).unwrap(), ..Options::default() }, 1);
        let clients = [served(server.address).await, served(server.address).await];
        drop(clients);
        server.end().await;
    });
}

#[test]
fn other_limits_hold_for_those_who_come_from_then_on() {
    run(async {
        let limit = Duration::from_millis(200);
        let (server, bound) = start_as(Options::default(), 1);
        let mut before = served(server.address).await;
        let idle_timeout = limit;
        server.sockets.send_replace(map_with(&[&bound], options(Limits { idle_timeout, connections: Some(2), ..Limits::default() })));
        let mut after = served(server.address).await;
        while !tokio::time::timeout(5 * limit, is_closed(&mut after)).await.unwrap_or(false) {
            after = served(server.address).await;
        }
        before.write_all(GET).await.unwrap();
        assert!(read_until(&mut before, " http").await.starts_with("HTTP/1.1 200"), "who was there before rests as long as he could");
        let _second = served(server.address).await;
        let mut third = server.ask("/").await;
        assert!(!is_answered(&mut third).await);
        server.sockets.send_replace(map(&[&bound]));
        assert!(read_until(&mut third, "hi").await.ends_with("hi"), "it is not waited for those who were there");
        server.end().await;
    });
}
