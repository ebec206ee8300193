//! Media types by pattern: `text/html`, `text/*`, `*/*` (pure).
//!
//! In: a pattern of a manifest, a `Content-Type`. Out: whether one covers the other. Never: a parameter; letters' case.

use std::str::FromStr;

use crate::names::shown;

/// Media types: one, all of a type, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRange {
    /// Lower case; `None`: any.
    type_: Option<Box<str>>,
    /// Lower case; `None`: any.
    subtype: Option<Box<str>>,
}

/// Why a text is no pattern of media types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a media type; expected for example `application/json` or `text/*`", shown(.0))]
pub struct MediaRangeError(String);

impl MediaRange {
    /// Whether a media type is one of these. `media`: as [`essence`] leaves it.
    #[must_use]
    pub fn covers(&self, media: &str) -> bool {
        let Some((type_, subtype)) = media.split_once('/') else { return false };
        let fits = |wanted: &Option<Box<str>>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found));
        fits(&self.type_, type_) && fits(&self.subtype, subtype)
    }
}

impl FromStr for MediaRange {
    type Err = MediaRangeError;

    fn from_str(text: &str) -> Result<Self, MediaRangeError> {
        let fail = || MediaRangeError(text.to_owned());
        let (type_, subtype) = text.split_once('/').ok_or_else(fail)?;
        let part = |part: &str| match part {
            "*" => Ok(None),
            part if !part.is_empty() && part.bytes().all(is_token) => Ok(Some(part.to_ascii_lowercase().into())),
            _ => Err(fail()),
        };
        match (part(type_)?, part(subtype)?) {
            (None, Some(_)) => Err(fail()),
            (type_, subtype) => Ok(Self { type_, subtype }),
        }
    }
}

/// The media type of a `Content-Type`, without its parameters.
#[must_use]
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether content of this type is compressed by its own format, so that a content coding only costs time.
#[must_use]
pub fn is_compressed(media: &str) -> bool {
    let media = media.to_ascii_lowercase();
    let (type_, subtype) = media.split_once('/').unwrap_or((&media, ""));
    match type_ {
        "image" => !is_plain_image(subtype),
        "audio" | "video" => true,
        "font" => matches!(subtype, "woff" | "woff2"),
        "application" => COMPRESSED.contains(&subtype) || subtype.ends_with("+zip") || subtype.starts_with("vnd.openxmlformats-"),
        _ => false,
    }
}

fn is_plain_image(subtype: &str) -> bool {
    subtype.ends_with("+xml") || matches!(subtype, "bmp" | "x-ms-bmp" | "x-icon" | "vnd.microsoft.icon" | "x-portable-pixmap")
}

/// Archives and packages, and what counts its bytes itself, of type `application`.
const COMPRESSED: [&str; 21] = [
    "epub+zip",
    "font-woff",
    "grpc",
    "gzip",
    "java-archive",
    "ogg",
    "vnd.android.package-archive",
    "vnd.debian.binary-package",
    "vnd.rar",
    "x-7z-compressed",
    "x-brotli",
    "x-bzip",
    "x-bzip2",
    "x-compress",
    "x-font-woff",
    "x-gzip",
    "x-rar-compressed",
    "x-rpm",
    "x-xz",
    "zip",
    "zstd",
];

/// RFC 9110 section 5.6.2, without the `*` that means any.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_type_all_of_one_or_all() {
        for (pattern, media, covered) in [
            ("text/html", "text/html", true),
            ("Text/HTML", "TEXT/html", true),
            ("text/html", "text/css", false),
            ("text/*", "text/css", true),
            ("text/*", "application/text", false),
            ("*/*", "application/json", true),
            ("*/*", "", false),
            ("text/*", "text", false),
        ] {
            assert_eq!(pattern.parse::<MediaRange>().unwrap().covers(media), covered, "{pattern} {media}");
        }
        for bad in ["", "text", "text/", "/html", "*/html", "text/html; charset=utf-8", "text/ht ml", "text/h*", "text/a/b", "*"] {
            assert!(bad.parse::<MediaRange>().is_err(), "{bad}");
        }
        assert_eq!(essence(" text/html ; charset=utf-8"), "text/html");
    }

    #[test]
    fn what_its_format_compresses_is_known() {
        let compressed = ["image/png", "Image/JPEG", "video/mp4", "audio/ogg", "font/woff2", "application/zip", "application/x.y+zip"];
        for media in compressed {
            assert!(is_compressed(media), "{media}");
        }
        for media in ["text/html", "image/svg+xml", "image/bmp", "font/ttf", "application/json", "application/wasm", "application/pdf", ""]
        {
            assert!(!is_compressed(media), "{media}");
        }
    }
}
