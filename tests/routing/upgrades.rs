//! Requests for another protocol: tunnels for some, plain requests for the rest.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::echo::Echoes;
use super::table::hold;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::recorder::Recorder;

#[test]
fn a_websocket_goes_by_the_rules_and_filters_of_its_path() {
    let backend = Recorder::answering(|request, stream| {
        let accepted = request.values("upgrade") == ["websocket"] && request.line() == "GET /inner/chat?room=1 HTTP/1.1";
        let answer: &[u8] = if accepted {
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        } else {
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
        };
        let _ = stream.write_all(answer);
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            let _ = stream.write_all(&bytes[..count]);
        }
        false
    });
    let rule = "matches: [{path: {value: /ws}}]
    filters:
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /inner}}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Way, value: \"{path}\"}]}}";
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest(rule)).start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    let mut client = TcpStream::connect(daemon.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET /ws/chat?room=1 HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: websocket") && head.contains("x-way: "), "{head}");
    client.write_all(b"\x81\x05hello").unwrap();
    let mut echo = [0; 7];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x05hello");
}

#[test]
fn an_upgrade_to_h2c_never_reaches_a_backend() {
    let spec = "rules: [{backendRefs: [{name: one}]}]";
    let table = "
        GET /; Connection: Upgrade, HTTP2-Settings; Upgrade: h2c; HTTP2-Settings: AAMAAABk => one; -upgrade; -connection; -http2-settings
        GET /; Connection: upgrade; Upgrade: H2C                => one; -upgrade; -connection
        GET /; Connection: upgrade; Upgrade: websocket, h2c     => one; -upgrade; -connection
        GET /; Upgrade: h2c; HTTP2-Settings: AAMAAABk           => one; -upgrade; -http2-settings
        GET /; Upgrade: websocket                               => one; -upgrade; -connection
        GET /; Connection: Upgrade; Upgrade: websocket          => one; upgrade: websocket; connection: upgrade
        GET /; Connection: Upgrade                              => one; -upgrade; -connection
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}
