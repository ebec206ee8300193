//! Bytes -> documents as trees with positions.
//!
//! In: a file's bytes. Out: one [`Node`] per document that is not empty, or what is wrong with the file as a whole.
//! Never: aliases, merge keys, tags of an application, unbounded depth or size.

use serde_yaml::budget::BudgetBreach;
use serde_yaml::options::NonFiniteFloatPolicy;
use serde_yaml::{DuplicateKeyPolicy, Error as YamlError, MergeKeyPolicy, MessageFormatter, Options, UserMessageFormatter};

use super::Error;
use super::node::Node;
use super::report::bounded;

/// Bytes in a file, at most.
const FILE_BYTES: usize = 1 << 20;
/// Lists and objects in each other, at most.
const DEPTH: usize = 32;
/// Values in a file, at most.
const NODES: usize = 20_000;
/// Characters that can't be seen are reported so often, at most.
const UNSEEN: usize = 20;

/// Reads every document. Documents without any content are left out.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Vec<Node>, Vec<Error>> {
    let error = |(line, column): (u64, u64), message: String, hint: Option<&str>| Error {
        file: file.to_owned(),
        line,
        column,
        field: String::new(),
        message: bounded(&message),
        hint: hint.map(str::to_owned),
        unsupported: false,
        excerpt: None,
    };
    if bytes.len() > FILE_BYTES {
        return Err(vec![error((1, 1), format!("the file has {} bytes; at most {FILE_BYTES} are read", bytes.len()), None)]);
    }
    let text = std::str::from_utf8(bytes).map_err(|bad| {
        let (good, rest) = bytes.split_at(bad.valid_up_to());
        let byte = rest.first().copied().unwrap_or_default();
        vec![error(end_of(&String::from_utf8_lossy(good)), format!("byte 0x{byte:02x} is not UTF-8"), Some("save the file as UTF-8"))]
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Err(vec![error((1, 1), "the file is empty".to_owned(), None)]);
    }
    let unseen: Vec<_> = unseen(text).collect();
    if !unseen.is_empty() {
        let hint = Some("YAML does not take it for a space; write a plain one");
        return Err(unseen
            .into_iter()
            .map(|(at, c)| error(at, format!("U+{:04X} is white space that can't be seen", u32::from(c)), hint))
            .collect());
    }
    serde_yaml::from_multiple_with_options(text, options()).map_err(|bad| {
        let at = bad.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
        let (message, hint) = explain(bad.without_snippet());
        vec![error(at, message, hint)]
    })
}

/// Duplicate keys pass, because [`super::report_duplicates`] shows all of them, with both places.
fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_depth: DEPTH,
            max_nodes: NODES,
            max_total_scalar_bytes: FILE_BYTES,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    }
}

fn explain(error: &YamlError) -> (String, Option<&'static str>) {
    const WRITE_OUT: Option<&str> = Some("write the value out");
    let (message, hint) = match error {
        YamlError::Budget { breach, .. } => match breach {
            BudgetBreach::Anchors { .. } => ("anchors (`&name`) are not allowed".to_owned(), WRITE_OUT),
            BudgetBreach::Aliases { .. } => ("aliases (`*name`) are not allowed".to_owned(), WRITE_OUT),
            BudgetBreach::Depth { .. } => (format!("lists and objects are nested more than {DEPTH} deep"), None),
            BudgetBreach::Nodes { .. } => (format!("the file holds more than {NODES} values"), Some("split it into several files")),
            BudgetBreach::Documents { .. } => ("the file holds too many documents".to_owned(), Some("split it into several files")),
            _ => ("the file is too large or too complex".to_owned(), None),
        },
        YamlError::UnknownAnchor { .. } => ("aliases (`*name`) are not allowed".to_owned(), WRITE_OUT),
        YamlError::MergeKeyNotAllowed { .. } => ("merge keys (`<<`) are not allowed".to_owned(), Some("write the fields out")),
        YamlError::UnsupportedTag { tag, .. } => (format!("the tag `{tag}` is not allowed"), None),
        YamlError::NullIntoString { .. } | YamlError::Unexpected { expected: "string scalar", .. } => {
            ("a key has to be a plain text".to_owned(), None)
        }
        other => syntax(&UserMessageFormatter.format_message(other)),
    };
    (message, hint)
}

/// Adds what usually causes it; the reader's own words name the place where it gave up.
fn syntax(message: &str) -> (String, Option<&'static str>) {
    let hint = if message.contains("tabs disallowed") {
        return ("a tab in the indentation".to_owned(), Some("YAML allows spaces only"));
    } else if message.contains("mapping values are not allowed") {
        Some("a value that holds `: ` needs quotes, a key needs a space behind its colon; else check the indentation")
    } else if message.contains("did not find expected") || message.contains("simple key expected") {
        Some("check the indentation of this line and of the one above")
    } else {
        None
    };
    (format!("not YAML: {message}"), hint)
}

/// White space beyond ASCII, and marks without any width.
fn unseen(text: &str) -> impl Iterator<Item = ((u64, u64), char)> {
    let hidden = |c: char| !c.is_ascii() && (c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}'));
    text.char_indices().filter(move |(_, c)| hidden(*c)).take(UNSEEN).map(|(at, c)| (end_of(&text[..at]), c))
}

/// Line and column behind a text.
fn end_of(text: &str) -> (u64, u64) {
    let line = text.bytes().filter(|byte| *byte == b'\n').count();
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count();
    (line as u64 + 1, column as u64 + 1)
}
