//! Which thread serves a connection.

use std::collections::HashMap;

use super::*;

/// How many of these connections each thread has.
async fn served_by(clients: &mut [TcpStream]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for client in clients {
        client.write_all(b"GET /thread HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let thread = loop {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0);
            if let Some((_, thread)) = std::str::from_utf8(&answer).unwrap().rsplit_once("serve-").filter(|(_, name)| !name.is_empty()) {
                break thread.to_owned();
            }
        };
        *counts.entry(thread).or_default() += 1;
    }
    counts
}

async fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = ask(address, "/").await;
        assert!(read_until(&mut client, "hi").await.ends_with("hi"));
        clients.push(client);
    }
    clients
}

#[test]
fn few_connections_are_shared_equally_whatever_the_kernel_chooses() {
    run(async {
        let server = start(2, Settings::default());
        let mut clients = connect(server.address, 8).await;
        let counts = served_by(&mut clients).await;
        assert_eq!(counts.values().collect::<Vec<_>>(), [&4, &4], "{counts:?}");
        // Who is gone leaves room.
        drop(clients);
        let mut clients = connect(server.address, 8).await;
        let counts = served_by(&mut clients).await;
        assert!(counts.values().all(|count| (3..=5).contains(count)), "{counts:?}");
        server.end().await;
    });
}

#[test]
fn of_many_connections_that_come_at_once_no_thread_has_a_third_more_than_its_part() {
    run(async {
        let server = start(3, Settings::default());
        let mut clients = Vec::new();
        for _ in 0..300 {
            clients.push(TcpStream::connect(server.address).await.unwrap());
        }
        let counts = served_by(&mut clients).await;
        assert!(counts.values().all(|count| *count <= 130), "{counts:?}");
        server.end().await;
    });
}
