//! A file's name -> its media type (pure).
//!
//! In: the last segment of a path. Out: a `Content-Type`. Never: a look into the file.

use http::HeaderValue;

const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The media type by the name's extension. Text is UTF-8, except XML, which names its own encoding.
pub(super) fn content_type(name: &[u8]) -> HeaderValue {
    let extension = name.iter().rposition(|byte| *byte == b'.').map_or(&b""[..], |dot| &name[dot + 1..]);
    let guess = str::from_utf8(extension).ok().and_then(|extension| mime_guess::from_ext(extension).first_raw());
    match guess {
        None => BINARY,
        Some("text/html") => HeaderValue::from_static("text/html; charset=utf-8"),
        Some("text/css") => HeaderValue::from_static("text/css; charset=utf-8"),
        Some("text/javascript") => HeaderValue::from_static("text/javascript; charset=utf-8"),
        Some("text/plain") => HeaderValue::from_static("text/plain; charset=utf-8"),
        Some(text) if text.starts_with("text/") && text != "text/xml" => {
            HeaderValue::try_from(format!("{text}; charset=utf-8")).unwrap_or(BINARY)
        }
        Some(other) => HeaderValue::from_static(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_gives_the_type() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("STYLE.CSS", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("feed.xml", "text/xml"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.b.png", "image/png"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.tar.gz", "application/gzip"),
            ("a.unheard-of", "application/octet-stream"),
            ("README", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(content_type(b"a.\xff"), BINARY);
    }
}
