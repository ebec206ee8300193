//! A file's text -> its documents, each of which can be changed or taken out without a touch on the others (pure).
//!
//! In: bytes. Out: [`Section`]s, new text. Never: a change to a byte that belongs to another document; not to its comments either.

use std::ops::Range;

use super::name::Name;
use crate::manifest::{self, Kind};

/// A document, or what stands where one could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Section {
    /// The line `---` or `...` before it; empty for the first.
    boundary: Range<usize>,
    /// Its text, to the next boundary.
    pub body: Range<usize>,
    /// It starts on the line of its `---`.
    inline: bool,
    pub content: Content,
}

/// What a section holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Content {
    /// Comments at most.
    Nothing,
    /// A document; kind and name as far as they can be read.
    Document { kind: Option<Kind>, name: Option<String> },
    /// Something that is no YAML.
    Unreadable,
}

impl Section {
    /// Whether it is the object; one whose kind can't be read is if it has the name.
    pub(in crate::cli) fn is(&self, kind: Kind, name: &str) -> bool {
        match &self.content {
            Content::Document { kind: own, name: Some(own_name) } => own.is_none_or(|own| own == kind) && own_name == name,
            _ => false,
        }
    }

    /// What it is, if that can be read.
    pub(in crate::cli) fn name(&self) -> Option<Name> {
        match &self.content {
            Content::Document { kind: Some(kind), name: Some(name) } => Some(Name { kind: *kind, name: name.clone() }),
            _ => None,
        }
    }

    /// Whether it holds anything.
    pub(in crate::cli) fn is_something(&self) -> bool {
        self.content != Content::Nothing
    }
}

/// Splits a file.
pub(in crate::cli) fn sections(text: &[u8]) -> Vec<Section> {
    let mut found = vec![Section { boundary: 0..0, body: 0..0, inline: false, content: Content::Nothing }];
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        if let Some(rest) = behind_mark(line) {
            let inline = !rest.trim_ascii().is_empty();
            let body = if inline { end - rest.len() } else { end };
            found.push(Section { boundary: start..body, body: body..end, inline, content: Content::Nothing });
        } else if let Some(last) = found.last_mut() {
            last.body.end = end;
        }
        start = end;
    }
    for section in &mut found {
        section.content = content(&text[section.body.clone()]);
    }
    found
}

/// The text with another document in a section's place.
pub(in crate::cli) fn replaced(text: &[u8], section: &Section, document: &[u8]) -> Vec<u8> {
    let head = &text[..section.boundary.start];
    let mark = if section.inline { b"---\n" } else { &text[section.boundary.clone()] };
    let tail = &text[section.body.end..];
    let mut new = [head, mark, document].concat();
    if !new.ends_with(b"\n") {
        new.push(b'\n');
    }
    new.extend_from_slice(tail);
    new
}

/// The text without a section.
pub(in crate::cli) fn removed(text: &[u8], section: &Section) -> Vec<u8> {
    let mut tail = &text[section.body.end..];
    if section.boundary.is_empty() {
        // What is first now needs no mark.
        let line = tail.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        if behind_mark(line).is_some_and(|rest| rest.trim_ascii().is_empty()) {
            tail = &tail[line.len()..];
        }
    }
    [&text[..section.boundary.start], tail].concat()
}

/// What stands behind the `---` or `...` of a line that starts with it (YAML 1.2 section 9.1.2).
fn behind_mark(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"---").or_else(|| line.strip_prefix(b"..."))?;
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(rest)
}

fn content(text: &[u8]) -> Content {
    let blank = |line: &[u8]| matches!(line.trim_ascii().first(), None | Some(b'#' | b'%'));
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    if text.split(|byte| *byte == b'\n').all(blank) {
        return Content::Nothing;
    }
    let parsed = manifest::parse("", text);
    match parsed.documents.into_iter().next() {
        Some(document) => Content::Document { kind: document.kind, name: document.name },
        None if parsed.errors.is_empty() => Content::Nothing,
        None => Content::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: &str = "# top\n---\n# of a\nkind: App\nmetadata: {name: a}\n---\n# of b\nkind: Gateway\nmetadata:\n  name: b # b\n# end\n";

    fn of<'a>(all: &'a [Section], name: &str) -> &'a Section {
        all.iter().find(|section| matches!(&section.content, Content::Document { name: Some(own), .. } if own == name)).unwrap()
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_document_is_found_with_the_comments_around_it() {
        let all = sections(TWO.as_bytes());
        assert_eq!(all.iter().map(Section::is_something).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(&TWO[all[2].body.clone()], "# of b\nkind: Gateway\nmetadata:\n  name: b # b\n# end\n");
        assert!(all[1].is(Kind::App, "a") && !all[1].is(Kind::Gateway, "a") && !all[2].is(Kind::App, "b"));
        let misspelt = sections(b"kind: Ap\nmetadata: {name: a}\n");
        assert!(misspelt[0].is(Kind::App, "a"), "its kind can't be read, its name can");
        assert_eq!(sections(b"a: [\n")[0].content, Content::Unreadable);
        assert_eq!(sections(b"")[0].content, Content::Nothing);
    }

    #[test]
    fn one_document_changes_and_the_rest_stays_byte_for_byte() {
        let all = sections(TWO.as_bytes());
        assert_eq!(
            text(replaced(TWO.as_bytes(), of(&all, "a"), b"new: 1")),
            TWO.replace("# of a\nkind: App\nmetadata: {name: a}\n", "new: 1\n")
        );
        assert_eq!(text(removed(TWO.as_bytes(), of(&all, "b"))), "# top\n---\n# of a\nkind: App\nmetadata: {name: a}\n");
        assert_eq!(text(removed(TWO.as_bytes(), of(&all, "a"))), "# top\n---\n# of b\nkind: Gateway\nmetadata:\n  name: b # b\n# end\n");
    }

    #[test]
    fn the_first_the_inline_and_the_ended_document_are_changed_as_well() {
        let first =
            "kind: App\nmetadata: {name: a}\n...\n--- # b\nkind: App\nmetadata: {name: b}\n---   \r\n{kind: App, metadata: {name: c}}";
        let all = sections(first.as_bytes());
        assert_eq!(text(removed(first.as_bytes(), of(&all, "a"))), first.replace("kind: App\nmetadata: {name: a}\n...\n", ""));
        assert_eq!(
            text(replaced(first.as_bytes(), of(&all, "b"), b"x: 1\n")),
            first.replace("--- # b\nkind: App\nmetadata: {name: b}\n", "---\nx: 1\n")
        );
        assert_eq!(text(replaced(first.as_bytes(), of(&all, "c"), b"x: 1")), first.replace("{kind: App, metadata: {name: c}}", "x: 1\n"));
        assert_eq!(text(removed(first.as_bytes(), of(&all, "c"))), first.replace("---   \r\n{kind: App, metadata: {name: c}}", ""));
    }

    proptest! {
        #[test]
        fn the_sections_are_the_whole_text_whatever_it_is(text in "(---|\\.\\.\\.|a: b|#|\n|\r\n| |x|\\[){0,40}") {
            let all = sections(text.as_bytes());
            let mut at = 0;
            for section in &all {
                prop_assert_eq!(section.boundary.start, at);
                prop_assert_eq!(section.body.start, section.boundary.end);
                at = section.body.end;
            }
            prop_assert_eq!(at, text.len());
            for section in &all {
                let body = &text.as_bytes()[section.body.clone()];
                let others = text.len() - section.boundary.len() - body.len();
                prop_assert!(replaced(text.as_bytes(), section, b"n: 1\n").len() >= others);
                prop_assert!(removed(text.as_bytes(), section).len() <= others);
            }
        }
    }
}
