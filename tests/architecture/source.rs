//! A Rust file -> the paths that its code names, with their lines; comments, strings and tests left out.
//!
//! In: text. Out: [`Source`]. Never: macros expanded, types resolved: what is not written is not seen.

use std::fs;
use std::path::Path;

/// One file of the crate.
#[derive(Debug)]
pub struct Source {
    /// Relative to the package: `src/route/table.rs`.
    pub path: String,
    /// Number of lines, tests and all.
    pub lines: usize,
    /// The first line.
    pub first_line: String,
    /// Every path that is named outside tests.
    pub names: Vec<Name>,
    /// Lines of `pub use`.
    pub public_uses: Vec<usize>,
}

/// A path as it is written, groups of `use` spelt out: `crate::dial::Address`.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    /// From 1.
    pub line: usize,
    /// Its segments; `crate`, `super` and `self` of the crate's own are replaced by where they lead, with `crate` in front.
    pub segments: Vec<String>,
}

/// Every `.rs` file under a directory of the package, by path.
pub fn read_all(directory: &str) -> Vec<Source> {
    // Asked at run time: checkouts that share a target directory share this very program.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let package = Path::new(&package);
    let mut found = Vec::new();
    let mut waiting = vec![package.join(directory)];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(package).unwrap().to_str().unwrap().to_owned();
                found.push(Source::read(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

impl Source {
    /// Reads one file.
    pub fn read(path: String, text: &str) -> Self {
        let tokens = without_tests(&tokens(text));
        let module = module(&path);
        let mut names = named(&tokens);
        for name in &mut names {
            root(&mut name.segments, &module);
        }
        // A file `tests.rs` is what `#[cfg(test)] mod tests;` names.
        if path.ends_with("/tests.rs") || path.contains("/tests/") {
            names.clear();
        }
        let public_uses = tokens.windows(2).filter(|pair| pair[0].text == "pub" && pair[1].text == "use").map(|pair| pair[0].line);
        Self {
            lines: text.lines().count(),
            first_line: text.lines().next().unwrap_or_default().to_owned(),
            public_uses: public_uses.collect(),
            names,
            path,
        }
    }
}

/// `src/route/table.rs` -> `route`, `table`.
fn module(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|segment| !matches!(*segment, "mod" | "lib" | "main")).map(str::to_owned).collect()
}

/// Replaces `super` and `self` by where they lead.
fn root(segments: &mut Vec<String>, module: &[String]) {
    let ups = segments.iter().take_while(|segment| *segment == "super").count();
    let (keep, drop) = match segments.first().map(String::as_str) {
        Some("super") => (module.len().saturating_sub(ups), ups),
        Some("self") if segments.len() > 1 => (module.len(), 1),
        _ => return,
    };
    let base = std::iter::once("crate".to_owned()).chain(module[..keep].iter().cloned());
    *segments = base.chain(segments.drain(drop..)).collect();
}

/// A word, `::`, or one other character.
#[derive(Debug, Clone)]
struct Token {
    line: usize,
    text: String,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Text -> tokens, without comments, literals and lifetimes.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let hashes = rest[word..].bytes().take_while(|b| *b == b'#').count();
        let quoted = rest[word + hashes..].starts_with('"');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if quoted && matches!(&rest[..word], "r" | "br" | "cr") {
            let open = word + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if quoted && hashes == 0 && matches!(&rest[..word], "" | "b" | "c") {
            word + string(&rest[word..])
        } else if first == '\'' {
            char_or_lifetime(rest)
        } else if word > 0 {
            found.push(Token { line, text: rest[..word].to_owned() });
            word
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                found.push(Token { line, text: rest[..length].to_owned() });
            }
            length
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// Length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of a string literal with escapes.
fn string(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// Length of `'x'`, `'\n'` or `'lifetime`.
fn char_or_lifetime(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, _))) => text[escaped + 1..].find('\'').map_or(text.len(), |end| escaped + 1 + end + 1),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1 + text[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len() - 1),
    }
}

/// Leaves out every item under `#[cfg(test)]`, or under any other `cfg` that asks for `test`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_cfg = ["#", "[", "cfg"].iter().zip(&tokens[at..]).filter(|(wanted, token)| token.text == **wanted).count() == 3;
        let end = if is_cfg { past(tokens, at + 1) } else { at + 1 };
        let asks = |word: &str| tokens[at..end].iter().any(|token| token.text == word);
        if is_cfg && asks("test") && !asks("not") {
            at = past_item(tokens, end);
        } else {
            kept.extend_from_slice(&tokens[at..end]);
            at = end;
        }
    }
    kept
}

/// The place behind the bracket that opens at `at`.
fn past(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, token) in tokens[at..].iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + offset + 1;
        }
    }
    tokens.len()
}

/// The place behind the item that starts at `at`: behind its `;`, or its block.
fn past_item(tokens: &[Token], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" => return at + 1,
            "{" => return past(tokens, at),
            "(" | "[" => at = past(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// All paths of two segments and more, and all that `use` brings in.
fn named(tokens: &[Token]) -> Vec<Name> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_use = tokens[at].text == "use" && tokens.get(at + 1).is_some_and(|next| next.text != "<");
        if is_use {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if tokens[at].is_word() {
            let line = tokens[at].line;
            let mut segments = vec![tokens[at].text.clone()];
            while tokens.get(at + 1).is_some_and(|next| next.text == "::") && tokens.get(at + 2).is_some_and(Token::is_word) {
                at += 2;
                segments.push(tokens[at].text.clone());
            }
            if segments.len() > 1 {
                found.push(Name { line, segments });
            }
            at += 1;
        } else {
            at += 1;
        }
    }
    found
}

/// Spells out one tree of a `use`; returns the place behind it.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Name>) -> usize {
    let mut segments = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "," | "}" | ";" => break,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = use_tree(tokens, at, &segments, found);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            // The name behind `as` is the file's own.
            "as" => at += 1,
            "::" => {}
            word => {
                segments.push(word.to_owned());
                found.extend(
                    (tokens.get(at + 1).is_none_or(|next| next.text != "::"))
                        .then(|| Name { line: token.line, segments: segments.clone() }),
                );
            }
        }
        at += 1;
    }
    at
}
