//! `Compression` as data: which answers, in which content codings.
//!
//! In: values that `compile` made. Out: plain fields, and whether a media type is meant. Never: a look at a request.

use super::media::{self, MediaRange};
use crate::api::v1::Precompressed;

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 8878
    Zstd,
    /// RFC 7932
    Br,
    /// RFC 1952
    Gzip,
}

/// Content codings in an order: the best first, each at most once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Codings([Option<Coding>; 3]);

/// Which answers are compressed, and how.
#[derive(Debug)]
pub struct Compression {
    /// The best first.
    pub codings: Vec<Coding>,
    /// Media types that are worth it; empty: texts, by their names.
    pub types: Vec<MediaRange>,
    /// Shorter answers, in bytes, are sent as they are.
    pub minimum: u64,
}

impl Coding {
    /// As it stands in `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Br => "br",
            Self::Gzip => "gzip",
        }
    }

    /// How names of files in it end.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Br => ".br",
            Self::Gzip => ".gz",
        }
    }
}

impl From<Precompressed> for Coding {
    fn from(written: Precompressed) -> Self {
        match written {
            Precompressed::Zstd => Self::Zstd,
            Precompressed::Br => Self::Br,
            Precompressed::Gzip => Self::Gzip,
        }
    }
}

impl Codings {
    /// Those of `list` that have a weight, by their weights; of two that are equal the one that stands first.
    #[must_use]
    pub fn ranked(list: &[Coding], weight: impl Fn(Coding) -> Option<u16>) -> Self {
        let mut ranked = [None; 3];
        let mut count = 0;
        for &coding in list {
            let Some(own) = weight(coding).filter(|_| count < ranked.len()) else { continue };
            let place = ranked[..count].iter().flatten().take_while(|&&(other, _)| other >= own).count();
            ranked[place..=count].rotate_right(1);
            ranked[place] = Some((own, coding));
            count += 1;
        }
        Self(ranked.map(|entry| entry.map(|(_, coding)| coding)))
    }

    /// One after the other, the best first.
    pub fn iter(self) -> impl Iterator<Item = Coding> {
        self.0.into_iter().flatten()
    }
}

impl Compression {
    /// Whether an answer of this `Content-Type` is worth it. What its own format compresses never is, whatever `types` say.
    #[must_use]
    pub fn covers(&self, content_type: &str) -> bool {
        let media = media::essence(content_type);
        if self.types.is_empty() {
            return is_text(media);
        }
        self.types.iter().any(|range| range.covers(media)) && !media::is_compressed(media)
    }
}

/// The types that are compressed if the manifest names none: text, data as text, and the few binary ones that shrink.
#[must_use]
fn is_text(media: &str) -> bool {
    let media = media.to_ascii_lowercase();
    let Some((type_, subtype)) = media.split_once('/') else { return false };
    match type_ {
        "text" => true,
        "application" => APPLICATION.contains(&subtype) || subtype.ends_with("+json") || subtype.ends_with("+xml"),
        "image" => matches!(subtype, "svg+xml" | "bmp" | "x-icon" | "vnd.microsoft.icon"),
        "font" => matches!(subtype, "ttf" | "otf" | "sfnt" | "collection"),
        _ => false,
    }
}

const APPLICATION: [&str; 14] = [
    "ecmascript",
    "javascript",
    "json",
    "ndjson",
    "toml",
    "vnd.ms-fontobject",
    "wasm",
    "x-font-otf",
    "x-font-ttf",
    "x-javascript",
    "x-ndjson",
    "x-yaml",
    "xml",
    "yaml",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(types: &[&str]) -> Compression {
        Compression { codings: vec![Coding::Gzip], types: types.iter().map(|text| text.parse().unwrap()).collect(), minimum: 0 }
    }

    #[test]
    fn without_types_it_is_text_and_what_else_shrinks() {
        let compression = of(&[]);
        for worth in [
            "text/html; charset=utf-8",
            "TEXT/CSS",
            "text/event-stream",
            "application/json",
            "application/problem+json",
            "application/atom+xml",
            "application/wasm",
            "image/svg+xml",
            "font/ttf",
        ] {
            assert!(compression.covers(worth), "{worth}");
        }
        for not in ["image/png", "video/mp4", "font/woff2", "application/zip", "application/octet-stream", "application/pdf", "", "text"] {
            assert!(!compression.covers(not), "{not}");
        }
    }

    #[test]
    fn types_replace_the_default_but_never_reach_what_is_compressed() {
        let compression = of(&["application/pdf", "image/*"]);
        for (media, covered) in [("application/pdf", true), ("image/bmp", true), ("image/png", false), ("text/html", false)] {
            assert_eq!(compression.covers(media), covered, "{media}");
        }
        assert!(of(&["*/*"]).covers("application/octet-stream") && !of(&["*/*"]).covers("application/zip"));
    }

    #[test]
    fn codings_are_ranked_by_weight_and_then_as_they_are_listed() {
        use Coding::{Br, Gzip, Zstd};
        let ranked = |list: &[Coding], weights: [Option<u16>; 3]| {
            Codings::ranked(list, |coding| weights[coding as usize]).iter().collect::<Vec<_>>()
        };
        for (list, weights, expected) in [
            (&[Zstd, Br, Gzip][..], [Some(1), Some(1), Some(1)], &[Zstd, Br, Gzip][..]),
            (&[Gzip, Br, Zstd], [Some(1), Some(1), Some(1)], &[Gzip, Br, Zstd]),
            (&[Zstd, Br, Gzip], [Some(1), Some(2), Some(3)], &[Gzip, Br, Zstd]),
            (&[Zstd, Br, Gzip], [Some(1), Some(3), Some(1)], &[Br, Zstd, Gzip]),
            (&[Zstd, Br, Gzip], [None, Some(1), Some(2)], &[Gzip, Br]),
            (&[Zstd], [None, Some(1), Some(2)], &[]),
            (&[Br, Br, Zstd, Gzip], [Some(1); 3], &[Br, Br, Zstd]),
        ] {
            assert_eq!(ranked(list, weights), expected, "{list:?} {weights:?}");
        }
    }
}
