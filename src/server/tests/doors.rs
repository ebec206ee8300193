//! Addresses that come and go while others are served.

use std::cell::Cell;

use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Two threads, two addresses: what happens to the second is nothing to the first.
struct Pair {
    server: Server,
    stays: Arc<Bound>,
    goes: Arc<Bound>,
}

impl Pair {
    async fn start() -> Self {
        let (stays, goes) = (bind("127.0.0.1:0", 2).unwrap(), bind("127.0.0.1:0", 2).unwrap());
        let server = start_on(&stays, 2, Settings::default());
        server.sockets.send_replace(map(&[&stays, &goes]));
        goes.taken().await;
        Self { server, stays, goes }
    }

    fn let_go(&self) {
        self.server.sockets.send_replace(map(&[&self.stays]));
    }
}

/// A client that has had an answer and may ask again.
async fn resting(address: SocketAddr) -> TcpStream {
    let mut client = ask(address, "/").await;
    assert!(read_until(&mut client, "hi").await.starts_with("HTTP/1.1 200"));
    client
}

async fn asks_again(client: &mut TcpStream) {
    client.write_all(GET).await.unwrap();
    let answer = read_until(client, "hi").await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("connection: close"), "{answer}");
}

/// Until nobody listens. A client of a closing door may be met with silence first.
async fn is_refused(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_address_that_comes_while_others_are_served_is_answered_by_every_thread() {
    run(async {
        let server = start(2, Settings::default());
        let mut before = resting(server.address).await;
        let first = server.sockets.borrow().values().next().unwrap().bound.clone();
        let more = bind("127.0.0.1:0", 2).unwrap();
        server.sockets.send_replace(map(&[&first, &more]));
        let mut seen = HashSet::new();
        while seen.len() < 2 {
            let mut client = ask(more.local_addr(), "/thread").await;
            client.shutdown().await.unwrap();
            seen.insert(read_until(&mut client, "end of stream").await.rsplit_once("serve-").unwrap().1.to_owned());
        }
        asks_again(&mut before).await;
        server.end().await;
    });
}

#[test]
fn an_address_that_goes_is_refused_and_takes_no_connection_of_another_along() {
    run(async {
        let pair = Pair::start().await;
        let mut others = Vec::new();
        let mut idle = Vec::new();
        for _ in 0..8 {
            others.push(resting(pair.stays.local_addr()).await);
            idle.push(resting(pair.goes.local_addr()).await);
        }
        pair.let_go();
        for client in &mut idle {
            assert!(is_closed(client).await);
        }
        is_refused(pair.goes.local_addr()).await;
        for client in &mut others {
            asks_again(client).await;
        }
        asks_again(&mut resting(pair.stays.local_addr()).await).await;
        pair.server.end().await;
    });
}

#[test]
fn what_is_in_flight_when_its_address_goes_is_finished_and_a_tunnel_goes_on() {
    run(async {
        let pair = Pair::start().await;
        let address = pair.goes.local_addr();
        let mut slow = ask(address, "/slow").await;
        let mut fresh = TcpStream::connect(address).await.unwrap();
        let mut tunnel = ask(address, "/echo").await;
        assert!(read_until(&mut tunnel, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
        let mut other = ask(pair.stays.local_addr(), "/slow").await;
        pair.let_go();
        is_refused(address).await;
        pair.server.gate.send_replace(true);
        assert!(read_until(&mut slow, "slow").await.contains("connection: close"));
        assert!(is_closed(&mut slow).await);
        assert!(is_closed(&mut fresh).await, "it did not ask in time");
        assert!(!read_until(&mut other, "slow").await.contains("connection: close"));
        asks_again(&mut other).await;
        tunnel.write_all(b"ping").await.unwrap();
        assert_eq!(read_until(&mut tunnel, "ping").await, "ping");
        // A drain of all waits for what is left of an address that went before.
        pair.server.trigger.drain();
        is_refused(pair.stays.local_addr()).await;
        tunnel.write_all(b"pong").await.unwrap();
        assert_eq!(read_until(&mut tunnel, "pong").await, "pong");
        tunnel.shutdown().await.unwrap();
        assert!(is_closed(&mut tunnel).await);
        pair.server.running.join().await.unwrap();
    });
}

#[test]
fn who_waits_in_the_kernel_when_the_address_goes_is_answered() {
    run(async {
        // One connection of each socket is accepted: the others wait.
        let stays = bind("127.0.0.1:0", 1).unwrap();
        let server = start_on(&stays, 1, Settings { max_connections: 1, ..Settings::default() });
        let goes = bind("127.0.0.1:0", 1).unwrap();
        server.sockets.send_replace(map(&[&stays, &goes]));
        goes.taken().await;
        let mut first = resting(stays.local_addr()).await;
        let mut second = resting(goes.local_addr()).await;
        let mut waiting = Vec::new();
        for _ in 0..20 {
            waiting.push(ask(goes.local_addr(), "/").await);
        }
        server.sockets.send_replace(map(&[&stays]));
        assert!(is_closed(&mut second).await);
        for client in &mut waiting {
            let answer = read_until(client, "hi").await;
            assert!(answer.contains("connection: close"), "{answer}");
            assert!(is_closed(client).await);
        }
        asks_again(&mut first).await;
        server.end().await;
    });
}

#[test]
fn an_address_that_comes_during_a_drain_is_left_alone() {
    run(async {
        let server = start(2, Settings::default());
        let mut slow = server.ask("/slow").await;
        server.trigger.drain();
        is_refused(server.address).await;
        let late = bind("127.0.0.1:0", 2).unwrap();
        server.sockets.send_replace(map(&[&late]));
        let mut client = ask(late.local_addr(), "/").await;
        server.gate.send_replace(true);
        assert!(read_until(&mut slow, "slow").await.ends_with("slow"));
        server.running.join().await.unwrap();
        assert!(late.take(0).is_some() && late.take(1).is_some(), "nobody has taken it");
        drop((late, server.sockets));
        assert!(is_closed(&mut client).await);
    });
}

#[test]
fn an_address_is_ours_until_its_last_socket_is_closed() {
    run(async {
        let Pair { server, stays, goes } = Pair::start().await;
        let address = goes.local_addr();
        drop(resting(address).await);
        server.sockets.send_replace(map(&[&stays]));
        let held = Arc::downgrade(&goes);
        drop(goes);
        while held.upgrade().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bind(&address.to_string(), 2).unwrap();
        server.end().await;
    });
}

#[test]
fn an_address_that_is_let_go_and_bound_anew_again_and_again_loses_no_request() {
    // Without it, who connects at the very end is reset.
    if !listen::may_admit_no_more() {
        return;
    }
    run(LocalSet::new().run_until(async {
        let (address, stays) = (bind("127.0.0.1:0", 2).unwrap().local_addr(), bind("127.0.0.1:0", 2).unwrap());
        let server = start_on(&stays, 2, Settings::default());
        let (answers, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let mut clients = JoinSet::new();
        for _ in 0..32 {
            let (answers, over) = (answers.clone(), over.clone());
            clients.spawn_local(async move {
                while !over.get() {
                    // Refused, or met with silence: that is no request yet.
                    let Ok(Ok(mut client)) = timeout(SECOND / 50, TcpStream::connect(address)).await else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    client.write_all(GET).await.unwrap();
                    let answer = read_until(&mut client, "hi").await;
                    assert!(answer.ends_with("hi"), "who is connected is answered: {answer:?}");
                    answers.set(answers.get() + 1);
                }
            });
        }
        for _ in 0..100 {
            let bound = Arc::new(listen::bind(address, 2, Sharing::WithOurselves).unwrap());
            bound.open().unwrap();
            server.sockets.send_replace(map(&[&stays, &bound]));
            bound.taken().await;
            let enough = answers.get() + 8;
            while answers.get() < enough {
                tokio::task::yield_now().await;
            }
            server.sockets.send_replace(map(&[&stays]));
        }
        over.set(true);
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
        server.end().await;
    }));
}
