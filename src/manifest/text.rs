//! A file's bytes -> places in it, and the line that an error is shown with.
//!
//! In: bytes of any kind, a [`Spot`]. Out: [`Error`]s with their [`Excerpt`]. Never: a control character, or a line without a bound.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::Error;
use crate::api::v1::Excerpt;

/// Characters of an excerpt, at most.
const EXCERPT: usize = 160;
/// Of a longer line so many characters are shown before the place.
const BEFORE: usize = 60;
/// Characters of a message or hint, at most.
const MESSAGE: usize = 400;
/// Stands where an excerpt was cut.
const CUT: &str = "...";

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1, in characters.
    pub column: u64,
    /// How many characters it has; 0: as far as the line goes.
    pub width: u64,
}

/// What is wrong at a spot.
#[derive(Debug, Clone, Default)]
pub(super) struct Finding {
    /// The field's path; empty for the file or document as a whole.
    pub field: String,
    pub message: String,
    pub hint: Option<String>,
    pub unsupported: bool,
}

/// A file.
#[derive(Debug)]
pub(super) struct Text<'f> {
    pub file: &'f str,
    /// Without a byte order mark.
    pub bytes: &'f [u8],
    /// Where each line starts; found when the first error is.
    lines: OnceCell<Vec<usize>>,
}

impl<'f> Text<'f> {
    pub(super) fn new(file: &'f str, bytes: &'f [u8]) -> Self {
        Self { file, bytes: bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes), lines: OnceCell::new() }
    }

    /// An error with its line.
    pub(super) fn error(&self, spot: Spot, finding: Finding) -> Error {
        let Finding { field, message, hint, unsupported } = finding;
        Error {
            file: self.file.to_owned(),
            line: spot.line,
            column: spot.column,
            field,
            message: bounded(&message),
            hint: hint.map(|hint| bounded(&hint)),
            unsupported,
            excerpt: self.line(spot.line).map(|line| excerpt(&line, spot)),
        }
    }

    /// The place of a byte.
    pub(super) fn spot(&self, byte: usize) -> Spot {
        let lines = self.lines();
        let line = lines.partition_point(|start| *start <= byte).max(1);
        let before = self.bytes.get(lines[line - 1]..byte).unwrap_or_default();
        let column = String::from_utf8_lossy(before).chars().count();
        Spot { line: line as u64, column: column as u64 + 1, width: 1 }
    }

    /// A line without its end; bytes that are no text are replaced.
    fn line(&self, number: u64) -> Option<Cow<'f, str>> {
        let lines = self.lines();
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = *lines.get(index)?;
        let end = lines.get(index + 1).copied().unwrap_or(self.bytes.len());
        let line = &self.bytes[start..end];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// A line ends as in YAML: with `\n`, `\r\n` or `\r`.
    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let ends = |(at, byte): (usize, &u8)| match byte {
                b'\n' => Some(at + 1),
                b'\r' if self.bytes.get(at + 1) != Some(&b'\n') => Some(at + 1),
                _ => None,
            };
            std::iter::once(0).chain(self.bytes.iter().enumerate().filter_map(ends)).collect()
        })
    }
}

/// The part of a line around a spot.
fn excerpt(line: &str, spot: Spot) -> Excerpt {
    let all: Vec<char> = line.chars().collect();
    let start = usize::try_from(spot.column.saturating_sub(1)).unwrap_or(usize::MAX).min(all.len());
    let end = match usize::try_from(spot.width).unwrap_or(usize::MAX) {
        0 => end_of_content(&all, start),
        1 => end_of_brackets(&all, start),
        width => start.saturating_add(width).min(all.len()),
    };
    let (from, to) = if all.len() <= EXCERPT {
        (0, all.len())
    } else {
        let from = start.saturating_sub(BEFORE).min(all.len() - EXCERPT);
        (from, from + EXCERPT)
    };
    let (head, tail) = (if from > 0 { CUT } else { "" }, if to < all.len() { CUT } else { "" });
    let shown: String = all[from..to].iter().map(|c| if is_hidden(*c) { hidden_mark(*c) } else { *c }).collect();
    Excerpt {
        text: format!("{head}{shown}{tail}"),
        start: (head.len() + start - from) as u64,
        width: end.min(to).saturating_sub(start).max(1) as u64,
    }
}

/// Behind what is written, without spaces and comment at the line's end.
fn end_of_content(line: &[char], start: usize) -> usize {
    let mut quote = None;
    let mut end = start;
    for (at, c) in line.iter().enumerate().skip(start) {
        match (quote, c) {
            (None, '#') if at == 0 || line[at - 1].is_whitespace() => break,
            (None, '"' | '\'') => quote = Some(*c),
            (Some(open), c) if open == *c => quote = None,
            _ => {}
        }
        if !c.is_whitespace() {
            end = at + 1;
        }
    }
    end
}

/// Of something that is one character wide and opens a list or an object: behind its end, if that is on the line.
fn end_of_brackets(line: &[char], start: usize) -> usize {
    let Some('[' | '{') = line.get(start) else { return start + 1 };
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in line.iter().enumerate().skip(start) {
        match (quote, c) {
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, '"' | '\'') => quote = Some(*c),
            (Some(open), c) if open == *c => quote = None,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    end_of_content(line, start)
}

/// Whether a character moves the cursor or turns the text around: it is not shown as it is.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control() || is_bidi(c)
}

/// Whether a character turns the direction of the text around (the Unicode bidirectional algorithm, UAX #9).
pub(super) fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn hidden_mark(c: char) -> char {
    if c == '\t' { ' ' } else { char::REPLACEMENT_CHARACTER }
}

/// One line of bounded length, whatever was quoted in it.
fn bounded(message: &str) -> String {
    message.chars().take(MESSAGE).map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: u64, column: u64, width: u64) -> (String, String) {
        let found = Text::new("a.yaml", text.as_bytes()).error(Spot { line, column, width }, Finding::default()).excerpt.unwrap();
        let (start, width) = (usize::try_from(found.start).unwrap(), usize::try_from(found.width).unwrap());
        assert!(width >= 1 && start + width <= found.text.chars().count() + 1, "{found:?}");
        (found.text.chars().skip(start).take(width).collect(), found.text)
    }

    #[test]
    fn what_is_marked_is_the_token_and_ends_with_the_line() {
        let text = "a: b c # d\r\nlist: [x, 'y]', {z: 1}] # e\nkey:\n  - 1: 2  # f\n";
        for (line, column, width, marked) in [
            (1, 4, 3, "b c"),
            (1, 4, 300, "b c # d"),
            (2, 7, 1, "[x, 'y]', {z: 1}]"),
            (2, 17, 1, "{z: 1}"),
            (3, 4, 1, ":"),
            (4, 5, 0, "1: 2"),
            (4, 40, 1, ""),
            (5, 1, 1, ""),
        ] {
            assert_eq!(shown(text, line, column, width).0, marked, "{line}:{column}");
        }
        assert_eq!(Text::new("a.yaml", b"a").error(Spot { line: 9, column: 1, width: 1 }, Finding::default()).excerpt, None);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}MARK{}", "x".repeat(10_000), "y".repeat(10_000));
        let (marked, whole) = shown(&text, 1, 10_001, 4);
        assert_eq!((marked.as_str(), whole.chars().count()), ("MARK", EXCERPT + 2 * CUT.len()));
        assert_eq!(shown(&text, 1, 1, 3).0, "xxx");
        assert_eq!(shown(&text, 1, 20_004, 1).0, "y");
        assert_eq!(shown(&text, 1, 20_005, 1).0, "", "behind the end");
    }

    #[test]
    fn nothing_that_moves_the_cursor_or_turns_the_text_gets_out() {
        let (_, whole) = shown("a\u{1b}[2J\tb\u{202e}c\u{9b}", 1, 1, 1);
        assert_eq!(whole, "a\u{fffd}[2J b\u{fffd}c\u{fffd}");
        assert_eq!(bounded("a\nb\u{2066}c"), "a b c");
    }

    #[test]
    fn lines_end_as_in_yaml_and_bytes_that_are_no_text_count_as_characters() {
        let text = Text::new("a.yaml", b"\xef\xbb\xbfa\rb\r\nc\xfcd\n");
        let place = |byte| (text.spot(byte).line, text.spot(byte).column);
        assert_eq!((place(0), place(2), place(5), place(7)), ((1, 1), (2, 1), (3, 1), (3, 3)));
        assert_eq!(text.line(3).as_deref(), Some("c\u{fffd}d"));
        assert_eq!(text.line(4).as_deref(), Some(""));
        assert_eq!(text.line(5), None);
    }
}
