//! A file's name -> its media type (pure).
//!
//! In: the system's table as text, the last segment of a path. Out: a `Content-Type`. Never: a look into the file; an allocation for a
//! file that is asked for, once there is the system's table.

mod table;

use std::collections::HashMap;

use http::HeaderValue;

use table::entries;

const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// RFC 9239 section 3: of a script, too, that is a module. Browsers run nothing else as one.
const MODULE: (&str, &str) = ("mjs", "text/javascript");

/// The longest extension that is known, its inner dots counted.
const LONGEST: usize = 64;

/// More extensions than any table of a system has.
const MOST: usize = 16_384;

/// What the extensions of names say.
///
/// By default there is the built-in table alone, and each answer with one of the rarer kinds of text makes its value anew.
#[derive(Debug, Clone, Default)]
pub struct MediaTypes {
    /// By extension in lower case, without its first dot. All text is here, and what the system's table has.
    known: HashMap<Box<[u8]>, HeaderValue>,
    /// The most dots inside an extension.
    dots: usize,
}

impl MediaTypes {
    /// The system's table (the format of `/etc/mime.types`) over the built-in one. Lines that say nothing are passed over. Of an extension
    /// that is there twice the last type counts, as with Apache and nginx.
    #[must_use]
    pub fn with_system(text: &[u8]) -> Self {
        let mut this = Self::default();
        for extension in mime_guess::get_extensions("text", "*").unwrap_or_default() {
            if let Some(type_) = mime_guess::from_ext(extension).first_raw() {
                this.insert(extension.as_bytes(), type_);
            }
        }
        this.insert(MODULE.0.as_bytes(), MODULE.1);
        for (extension, type_) in entries(text) {
            if this.known.len() < MOST {
                this.insert(extension, type_);
            }
        }
        this
    }

    /// How many extensions are in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The media type by the longest extension of a name that is known, in any case. Text is UTF-8, except XML, which names its own
    /// encoding.
    #[must_use]
    pub fn content_type(&self, name: &[u8]) -> HeaderValue {
        let mut last = None;
        for (dot, _) in name.iter().enumerate().rev().filter(|(_, byte)| **byte == b'.').take(self.dots + 1) {
            let extension = &name[dot + 1..];
            // The longer one comes later.
            last = self.find(extension).or(last);
        }
        last.cloned().or_else(|| built_in(name)).unwrap_or(BINARY)
    }

    fn find(&self, extension: &[u8]) -> Option<&HeaderValue> {
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..extension.len())?;
        lower.copy_from_slice(extension);
        lower.make_ascii_lowercase();
        self.known.get(&*lower)
    }

    fn insert(&mut self, extension: &[u8], type_: &str) {
        let Some(value) = value(type_).filter(|_| (1..=LONGEST).contains(&extension.len())) else { return };
        self.dots = self.dots.max(extension.split(|byte| *byte == b'.').count() - 1);
        self.known.insert(extension.to_ascii_lowercase().into(), value);
    }
}

/// What the built-in table says.
fn built_in(name: &[u8]) -> Option<HeaderValue> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let extension = str::from_utf8(&name[dot + 1..]).ok()?;
    let type_ = if extension.eq_ignore_ascii_case(MODULE.0) { MODULE.1 } else { mime_guess::from_ext(extension).first_raw()? };
    if has_charset(type_) { value(type_) } else { Some(HeaderValue::from_static(type_)) }
}

/// The value of `Content-Type`. Those that most files have are static; the others are shared by all answers.
fn value(type_: &str) -> Option<HeaderValue> {
    const COMMON: [&str; 16] = [
        "text/html; charset=utf-8",
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
        "text/plain; charset=utf-8",
        "text/xml",
        "application/javascript",
        "application/json",
        "application/xml",
        "application/pdf",
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/svg+xml",
        "image/webp",
        "font/woff2",
        "video/mp4",
    ];
    let value = if has_charset(type_) { format!("{type_}; charset=utf-8") } else { type_.to_owned() };
    match COMMON.iter().find(|common| **common == value) {
        Some(common) => Some(HeaderValue::from_static(common)),
        None => HeaderValue::try_from(value).ok(),
    }
}

fn has_charset(type_: &str) -> bool {
    type_.starts_with("text/") && type_ != "text/xml" && type_ != "text/xml-external-parsed-entity" && !type_.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_gives_the_type() {
        let (types, seeded) = (MediaTypes::default(), MediaTypes::with_system(b""));
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("STYLE.CSS", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
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
            assert_eq!(types.content_type(name.as_bytes()), expected, "{name}");
            assert_eq!(seeded.content_type(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(types.content_type(b"a.\xff"), BINARY);
    }

    #[test]
    fn the_systems_table_wins_and_its_longest_extension_counts() {
        let types = MediaTypes::with_system(
            b"application/javascript js\napplication/x-mine png tar.gz\ntext/x-mine mine MiNe2\ntext/x-first twice\ntext/x-last twice\n\
              application/spdx+json spdx.json\nbad/\xff bad\nnonsense html\n/x css\n",
        );
        for (name, expected) in [
            ("app.js", "application/javascript"),
            ("a.png", "application/x-mine"),
            ("a.tar.gz", "application/x-mine"),
            ("a.b.tar.GZ", "application/x-mine"),
            ("tar.gz", "application/gzip"),
            ("a.gz", "application/gzip"),
            ("a.mine", "text/x-mine; charset=utf-8"),
            ("a.mine2", "text/x-mine; charset=utf-8"),
            ("a.twice", "text/x-last; charset=utf-8"),
            ("a.spdx.json", "application/spdx+json"),
            ("a.json", "application/json"),
            ("a.bad", "application/octet-stream"),
            ("a.html", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
        ] {
            assert_eq!(types.content_type(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_table_without_end_ends() {
        let lines: Vec<String> = (0..100_000).map(|number| format!("text/x x{number}\n")).collect();
        assert_eq!(MediaTypes::with_system(lines.concat().as_bytes()).len(), MOST);
    }

    proptest::proptest! {
        #[test]
        fn any_table_and_any_name_give_a_media_type(
            table in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
            line in "[a-z/.# \t\\n]{0,200}",
            name in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        ) {
            for table in [table.as_slice(), line.as_bytes()] {
                let type_ = MediaTypes::with_system(table).content_type(&name);
                proptest::prop_assert!(type_.to_str().is_ok_and(|text| text.split('/').count() == 2));
            }
        }
    }
}
