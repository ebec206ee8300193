//! Names, sizes and times -> HTML, or JSON in the form of nginx's `autoindex_format json` (pure).
//!
//! In: items in order. Out: text. Never: a name that ends an attribute, a word or a script; anything from elsewhere; a time that no calendar
//! has.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::route::path;

/// 9999-12-31T23:59:59Z
const LAST: u64 = 253_402_300_799;

/// What a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page for people.
    Html,
    /// A list of objects: `name`, `type`, `mtime` and `size`.
    Json,
}

/// A line.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: Vec<u8>,
    /// `None`: a directory.
    pub(super) size: Option<u64>,
    /// In seconds since the epoch.
    pub(super) modified: i64,
}

/// What is written.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// The path, percent-encoded.
    pub(super) title: &'a str,
    /// There is a way up.
    pub(super) has_parent: bool,
    pub(super) items: &'a [Item],
    /// There are more.
    pub(super) truncated: bool,
}

impl Form {
    /// Its media type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

impl Page<'_> {
    pub(super) fn write(&self, form: Form) -> String {
        match form {
            Form::Html => self.html(),
            Form::Json => self.json(),
        }
    }

    fn html(&self) -> String {
        let title = path::decode_for_lookup(self.title).map_or_else(|| self.title.to_owned(), |path| shown(&path));
        let mut out = String::with_capacity(512 + self.items.len() * 160);
        let title = escaped(&title);
        out += "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">";
        let _ = write!(out, "<title>Index of {title}</title></head>\n<body>\n<h1>Index of {title}</h1>\n<table>\n");
        out += "<tr><th>Name</th><th>Modified (UTC)</th><th>Size</th></tr>\n";
        if self.has_parent {
            out += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
        }
        for item in self.items {
            let slash = if item.size.is_none() { "/" } else { "" };
            let (link, name, time) = (encoded(&item.name), shown(&item.name), time(item.modified));
            let _ = write!(out, "<tr><td><a href=\"{link}{slash}\">{}{slash}</a></td><td>{}</td><td>", escaped(&name), calendar(time));
            let _ = match item.size {
                Some(size) => writeln!(out, "{size}</td></tr>"),
                None => writeln!(out, "-</td></tr>"),
            };
        }
        out += "</table>\n";
        if self.truncated {
            let _ = writeln!(out, "<p>There are more; these are {} of them.</p>", self.items.len());
        }
        out + "</body>\n</html>\n"
    }

    fn json(&self) -> String {
        let mut out = String::with_capacity(16 + self.items.len() * 100);
        out.push('[');
        for (index, item) in self.items.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let kind = if item.size.is_none() { "directory" } else { "file" };
            let name = serde_json::Value::from(shown(&item.name));
            let mtime = httpdate::fmt_http_date(time(item.modified));
            let _ = write!(out, "{comma}\r\n{{ \"name\":{name}, \"type\":\"{kind}\", \"mtime\":\"{mtime}\"");
            if let Some(size) = item.size {
                let _ = write!(out, ", \"size\":{size}");
            }
            out += " }";
        }
        out + "\r\n]"
    }
}

/// A name as people see it: what is not UTF-8 is replaced.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// As text, and between quotation marks.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // They turn the order of what follows around: a name looks like another.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// As one segment of a path: everything is encoded but what RFC 3986 section 2.3 calls unreserved, so that no name is a scheme or a query.
fn encoded(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A time within the years that calendars have four digits for.
fn time(modified: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(modified).unwrap_or_default().min(LAST))
}

/// `2001-09-09 01:46:40`
fn calendar(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &[u8], size: Option<u64>) -> Item {
        Item { name: name.to_vec(), size, modified: 1_000_000_000 }
    }

    #[test]
    fn names_mean_nothing_in_html() {
        let items = [item(b"<b>&\"'", None), item("ü \u{202e}x:y?#%.txt".as_bytes(), Some(16)), item(b"\xff", Some(0))];
        let html = Page { title: "/a%3Cscript%3E%20b/", has_parent: true, items: &items, truncated: true }.write(Form::Html);
        for wanted in [
            "<title>Index of /a&lt;script&gt; b/</title>",
            "<a href=\"../\">../</a>",
            "<a href=\"%3Cb%3E%26%22%27/\">&lt;b&gt;&amp;&quot;&#39;/</a></td><td>2001-09-09 01:46:40</td><td>-</td>",
            "<a href=\"%C3%BC%20%E2%80%AEx%3Ay%3F%23%25.txt\">ü \u{fffd}x:y?#%.txt</a></td><td>2001-09-09 01:46:40</td><td>16</td>",
            "<a href=\"%FF\">\u{fffd}</a>",
            "There are more; these are 3 of them.",
        ] {
            assert!(html.contains(wanted), "{wanted}\n{html}");
        }
        let top = Page { title: "/", has_parent: false, items: &[], truncated: false }.write(Form::Html);
        assert!(!top.contains("../") && !top.contains("There are more"), "{top}");
    }

    #[test]
    fn json_has_the_form_of_nginx() {
        let items = [item(b"sub", None), item("a\"ü".as_bytes(), Some(16))];
        let json = Page { title: "/", has_parent: true, items: &items, truncated: false }.write(Form::Json);
        assert_eq!(
            json,
            "[\r\n{ \"name\":\"sub\", \"type\":\"directory\", \"mtime\":\"Sun, 09 Sep 2001 01:46:40 GMT\" },\r\n\
             { \"name\":\"a\\\"ü\", \"type\":\"file\", \"mtime\":\"Sun, 09 Sep 2001 01:46:40 GMT\", \"size\":16 }\r\n]"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_name_and_any_time_can_be_written(name in proptest::collection::vec(proptest::num::u8::ANY, 0..40), modified: i64) {
            let items = [Item { name, size: Some(1), modified }];
            let page = Page { title: "/", has_parent: false, items: &items, truncated: false };
            let json: serde_json::Value = serde_json::from_str(&page.write(Form::Json)).unwrap();
            proptest::prop_assert!(json[0]["name"].is_string());
            let link = page.write(Form::Html).split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
            proptest::prop_assert!(link.bytes().all(is_plain), "{link}");
        }
    }
}
