//! A FastCGI application that answers with what it was told, byte for byte and before any library has had a look at it.
//!
//! In: requests on a unix socket. Out: JSON with a member `seen`; the query may ask for `status=404` and `location=/elsewhere`. Never: a
//! connection that is kept.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::json;

const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;

/// Answers until the test ends.
pub fn start(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A proxy that closes early, or a probe that asks nothing, is no error.
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
}

fn answer(mut stream: UnixStream) -> io::Result<()> {
    let (mut params, mut body) = (Vec::new(), Vec::new());
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header)?;
        let mut content = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]]))];
        stream.read_exact(&mut content)?;
        stream.read_exact(&mut vec![0; usize::from(header[6])])?;
        match header[1] {
            PARAMS => params.extend_from_slice(&content),
            STDIN if content.is_empty() => break,
            STDIN => body.extend_from_slice(&content),
            _ => {}
        }
    }
    let mut seen = pairs(&params);
    let wish = |name: &str| seen.get("QUERY_STRING")?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let (status, location) = (wish("status").unwrap_or("200").to_owned(), wish("location").map(str::to_owned));
    seen.insert("(body)".to_owned(), format!("{} bytes, sum {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>()));
    let location = location.map(|location| format!("Location: {location}\r\n")).unwrap_or_default();
    let head = format!("Status: {status}\r\n{location}Content-Type: application/json\r\nX-Before: 1\r\n\r\n");
    let answer = head + &json!({ "seen": seen }).to_string();
    for chunk in answer.as_bytes().chunks(60_000) {
        record(&mut stream, STDOUT, chunk)?;
    }
    record(&mut stream, STDOUT, b"")?;
    record(&mut stream, END_REQUEST, &[0; 8])
}

fn record(stream: &mut UnixStream, kind: u8, content: &[u8]) -> io::Result<()> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    stream.write_all(&[&[1, kind, 0, 1, length[0], length[1], 0, 0], content].concat())
}

/// The parameters; the values of a name that comes twice are joined by ` | `.
fn pairs(mut params: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::<String, String>::new();
    while !params.is_empty() {
        let lengths = [length(&mut params), length(&mut params)];
        let [name, value] = lengths.map(|length| {
            let (text, rest) = params.split_at(length);
            params = rest;
            text.escape_ascii().to_string()
        });
        found.entry(name).and_modify(|earlier| *earlier = format!("{earlier} | {value}")).or_insert(value);
    }
    found
}

fn length(params: &mut &[u8]) -> usize {
    let (bytes, rest) = params.split_at(if params[0] < 0x80 { 1 } else { 4 });
    *params = rest;
    match bytes {
        [short] => usize::from(*short),
        long => usize::try_from(u32::from_be_bytes(long.try_into().unwrap()) & 0x7fff_ffff).unwrap(),
    }
}
