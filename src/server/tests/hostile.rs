//! Clients that send what is refused, or not enough of it, and go on.

use super::*;
use crate::listen::Limits;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const LIMIT: Duration = Duration::from_millis(200);

#[test]
fn a_part_of_a_head_behind_a_request_has_the_time_of_a_head_and_not_that_of_a_rest() {
    run(async {
        let server = limits::start_within(Limits { header_timeout: LIMIT, idle_timeout: 60 * SECOND, ..Limits::default() });
        for path in ["/", "/slow"] {
            let mut client = server.ask(path).await;
            client.write_all(b"GET / HT").await.unwrap();
            server.gate.send_replace(true);
            assert!(read_until(&mut client, if path == "/" { "hi" } else { "slow" }).await.starts_with("HTTP/1.1 200"));
            assert!(is_closed(&mut client).await);
        }
        server.end().await;
    });
}

#[test]
fn requests_that_come_in_pieces_are_served() {
    run(async {
        let server = start(1, Settings::default());
        let mut client = TcpStream::connect(server.address).await.unwrap();
        for piece in GET.repeat(3).chunks(7) {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answers = String::new();
        while answers.matches("\r\n\r\nhi").count() < 3 {
            answers += &read_until(&mut client, "hi").await;
        }
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
        server.end().await;
    });
}

#[test]
fn a_client_that_is_refused_and_goes_on_sending_gets_its_answer_and_is_let_go() {
    run(async {
        let server = start(1, Settings::default());
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        // Closed already, or listened to for a while.
        let _ = client.write_all(&vec![b'x'; 1_000_000]).await;
        let answer = read_until(&mut client, "invalid").await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{answer}");
        // It is not listened to for ever.
        while client.write_all(&[b'x'; 1000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
        server.end().await;
    });
}

#[test]
fn a_refusal_waits_for_the_answers_before_it() {
    run(async {
        let server = start(1, Settings::default());
        let mut client = server.ask("/slow").await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(tokio::time::timeout(SECOND / 10, client.readable()).await.is_err());
        server.gate.send_replace(true);
        let answers = read_until(&mut client, "end of stream").await;
        assert!(answers.starts_with("HTTP/1.1 200 ") && answers.contains("\r\n\r\nslowHTTP/1.1 400 "), "{answers}");
        server.end().await;
    });
}

#[test]
fn a_client_that_leaves_while_its_upgrade_is_undecided_holds_nothing() {
    run(async {
        let server = start(1, Settings::default());
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await.unwrap();
        // Not more than is kept: the client's end is seen behind it.
        client.write_all(&vec![b'x'; 30_000]).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read_until(&mut client, "slow").await, "");
        server.end().await;
    });
}
