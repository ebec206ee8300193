//! Connections that rest, and what they do then.

use super::*;
use crate::listen::Limits;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// One thread, two addresses: a connection of the second one is let go after a short rest, by the same looks that send others to rest.
struct Clock {
    server: Server,
    short: SocketAddr,
}

impl Clock {
    async fn start() -> Self {
        let (long, short) = (bind("127.0.0.1:0", 1).unwrap(), bind("127.0.0.1:0", 1).unwrap());
        let server = start_on(&long, 1, Settings::default());
        let limits = Limits { idle_timeout: SECOND / 5, ..Limits::default() };
        let mut sockets = (*map(&[&long])).clone();
        let options = Arc::new(Options { limits, ..Options::default() });
        sockets.insert(short.local_addr(), Open { bound: short.clone(), options });
        server.sockets.send_replace(Arc::new(sockets));
        short.taken().await;
        Self { server, short: short.local_addr() }
    }

    /// When this ends, who was silent when it began is at rest: it takes four looks, and two are enough for that.
    async fn rest(&self) {
        let mut client = ask(self.short, "/").await;
        read_until(&mut client, "hi").await;
        assert!(is_closed(&mut client).await);
    }

    async fn resting(&self) -> TcpStream {
        let mut client = self.server.ask("/").await;
        read_until(&mut client, "hi").await;
        self.rest().await;
        client
    }
}

#[test]
fn a_connection_is_served_after_every_rest_and_after_silence_at_its_begin() {
    run(async {
        let clock = Clock::start().await;
        let mut silent = TcpStream::connect(clock.server.address).await.unwrap();
        let mut client = clock.resting().await;
        for client in [&mut silent, &mut client] {
            for pieces in [vec![GET], vec![GET, GET, GET], vec![&GET[..7], &GET[7..]]] {
                for piece in &pieces {
                    client.write_all(piece).await.unwrap();
                    if *piece != GET {
                        clock.rest().await;
                    }
                }
                let mut answers = String::new();
                while answers.matches("\r\n\r\nhi").count() < pieces.concat().len() / GET.len() {
                    answers.push_str(&read_until(client, "hi").await);
                }
                clock.rest().await;
            }
        }
        clock.server.end().await;
    });
}

#[test]
fn what_is_in_hand_keeps_a_connection_from_its_rest() {
    run(async {
        let clock = Clock::start().await;
        let mut slow = clock.server.ask("/slow").await;
        let mut large = clock.server.ask("/large").await;
        clock.rest().await;
        clock.server.gate.send_replace(true);
        assert!(read_until(&mut slow, "slow").await.starts_with("HTTP/1.1 200"));
        let (mut piece, mut taken) = (vec![0; 1 << 20], 0);
        while taken < 32 << 20 {
            let count = large.read(&mut piece).await.unwrap();
            assert_ne!(count, 0, "the answer goes on");
            taken += count;
        }
        clock.server.end().await;
    });
}

#[test]
fn a_connection_at_rest_becomes_a_tunnel_ends_with_its_client_and_ends_with_a_drain() {
    run(async {
        let clock = Clock::start().await;
        let mut tunnel = clock.resting().await;
        tunnel.write_all(b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").await.unwrap();
        assert!(read_until(&mut tunnel, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
        tunnel.write_all(b"ping").await.unwrap();
        assert_eq!(read_until(&mut tunnel, "ping").await, "ping");
        drop(tunnel);
        let mut leaves = clock.resting().await;
        leaves.shutdown().await.unwrap();
        assert!(is_closed(&mut leaves).await);
        let (mut resting, mut refused) = (clock.resting().await, clock.resting().await);
        refused.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(read_until(&mut refused, "end of stream").await.starts_with("HTTP/1.1 400"));
        clock.server.trigger.drain();
        assert!(is_closed(&mut resting).await);
        clock.server.running.join().await.unwrap();
    });
}

#[test]
fn a_rest_has_no_other_limits_than_before() {
    run(async {
        let limits = Limits { idle_timeout: 2 * SECOND / 5, header_timeout: SECOND / 5, ..Limits::default() };
        let server = start_with(&bind("127.0.0.1:0", 1).unwrap(), Options { limits, ..Options::default() }, 1, Settings::default());
        let mut client = server.ask("/").await;
        read_until(&mut client, "hi").await;
        let began = Instant::now();
        assert!(is_closed(&mut client).await);
        assert!(began.elapsed() >= limits.idle_timeout);
        server.end().await;
    });
}
