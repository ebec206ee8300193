//! A misspelt word -> the one that was meant.
//!
//! In: a word and the known ones. Out: a hint. Never: a guess that is further away than a third of the word, unless other servers call
//! it so.

/// Words longer than this are not compared.
const LONGEST: usize = 64;
/// Known words that a hint lists, at most.
const LISTED: usize = 16;
/// Parts of words that are shorter than this say nothing.
const PART: usize = 4;
/// What other programs call it, in lower case.
const NAMESAKES: [(&str, &str); 18] = [
    ("autoindex", "listing"),
    ("browse", "listing"),
    ("client_max_body_size", "requestBody"),
    ("server_name", "hostnames"),
    ("try_files", "try"),
    ("upstream", "backends"),
    ("gzip_static", "precompressed"),
    ("gzipstatic", "precompressed"),
    ("brotli_static", "precompressed"),
    ("zstd_static", "precompressed"),
    ("gz", "gzip"),
    ("x-gzip", "gzip"),
    ("brotli", "br"),
    ("zst", "zstd"),
    ("pid", "pidFile"),
    ("machined", "Nspawn"),
    ("machinectl", "Nspawn"),
    ("systemd", "Nspawn"),
];

/// `did you mean ...?`, or the list of what is known; `None` if nothing is.
pub(super) fn hint(word: &str, known: &[&str], what: &str) -> Option<String> {
    meant(word, known).or_else(|| listed(known, what))
}

/// The list of what is known, if anything is.
pub(super) fn listed(known: &[&str], what: &str) -> Option<String> {
    (!known.is_empty()).then(|| format!("{what}: {}", list(known)))
}

/// `did you mean ...?`, if that can be guessed.
pub(super) fn meant(word: &str, known: &[&str]) -> Option<String> {
    nearest(word, known).map(|nearest| format!("did you mean `{nearest}`?"))
}

/// `` `a`, `b` ``, bounded.
pub(super) fn list(words: &[&str]) -> String {
    let mut list = words.iter().take(LISTED).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    if words.len() > LISTED {
        list.push_str(", ...");
    }
    list
}

/// The known word that others call so; else the one with the fewest edits, if they are few enough; else one that is a part of the word, or
/// the reverse.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let known = || known.iter().copied().filter(|known| known.len() <= LONGEST);
    let namesake = NAMESAKES.iter().find(|(other, _)| word.eq_ignore_ascii_case(other));
    if let Some(known) = namesake.and_then(|(_, ours)| known().find(|known| known == ours)) {
        return Some(known);
    }
    let limit = (word.chars().count() / 3).max(1);
    let near =
        known().map(|known| (distance(word, known), known)).filter(|(distance, known)| *distance <= limit && *distance < known.len());
    near.min().map(|(_, known)| known).or_else(|| known().find(|known| is_part(word, known)))
}

/// `match` of `matches`, `root` of `documentRoot`.
fn is_part(word: &str, known: &str) -> bool {
    let (word, known) = (word.to_ascii_lowercase(), known.to_ascii_lowercase());
    (word.len() >= PART && known.contains(&word)) || (known.len() >= PART && word.contains(&known))
}

/// Edits between two words, a swap of neighbours counted as one (optimal string alignment). Case does not count.
fn distance(a: &str, b: &str) -> usize {
    let letters = |word: &str| word.chars().map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(left != right)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_understood_and_a_different_word_is_not() {
        let known = ["hostnames", "backends", "rules"];
        for (word, meant) in [
            ("hostname", "hostnames"),
            ("Hostnames", "hostnames"),
            ("rulse", "rules"),
            ("backend", "backends"),
            ("allRules", "rules"),
            ("back", "backends"),
        ] {
            assert_eq!(nearest(word, &known), Some(meant), "{word}");
        }
        assert_eq!(nearest("location", &known), None);
        assert_eq!(nearest("server_name", &known), Some("hostnames"));
        for (word, known, meant) in [
            ("autoindex", &["index", "listing"][..], Some("listing")),
            ("autoIndex", &["index"], Some("index")),
            ("gz", &["zstd", "br", "gzip"], Some("gzip")),
            ("brotli", &["zstd", "br", "gzip"], Some("br")),
            ("systemd", &["LXC", "Nspawn"], Some("Nspawn")),
            ("systemd", &["LXC", "LXD"], None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(hint("x", &["a", "bc"], "known fields").as_deref(), Some("known fields: `a`, `bc`"));
        assert_eq!(hint("x", &[], "known fields"), None);
    }
}
