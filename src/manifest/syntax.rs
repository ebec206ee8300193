//! The YAML reader's errors -> sentences, with what usually causes them.
//!
//! In: an error of the reader. Out: message and hint. Never: an error without a cure; the reader's own words name the place where it
//! gave up, which is often behind the mistake.

use serde_yaml::budget::BudgetBreach;
use serde_yaml::{Error as YamlError, MessageFormatter, UserMessageFormatter};

use super::limits::{DEPTH, NODES};

const WRITE_OUT: &str = "write the value out; one that starts with `*` or `&`, such as `*.example.org`, needs quotes";
const SPLIT: &str = "split it into several files";
const INDENTATION: &str = "check the indentation of this line and of the one above; entries of one list or object start in the same column";
const COLON: &str = "a value that holds `: ` needs quotes, a key needs a space behind its colon; else check the indentation";
const BRACKETS: &str = "separate entries by `,`, and close each `[` with `]` and each `{` with `}`";

/// What a part of the reader's sentence usually means.
const CAUSES: [(&str, &str); 28] = [
    ("mapping values are not allowed", COLON),
    ("illegal placement of ':'", COLON),
    ("':' must be followed", COLON),
    ("':' may not precede", COLON),
    ("simple key expected ':'", "a field is written `name: value`, an entry of a list `- value`"),
    ("simple key", INDENTATION),
    ("unclosed quote", "close it with the quote that it starts with; a `'` inside single quotes is written twice"),
    ("trailing content after", "a quoted value ends with its quote: put all of it inside, or separate what follows by `,`"),
    ("unknown escape character", "inside double quotes `\\` starts an escape: write `\\\\`, or use single quotes"),
    ("quoted scalar", "check the quotes, and what follows a `\\` inside them"),
    ("mismatched bracket", BRACKETS),
    ("misplaced bracket", BRACKETS),
    ("unclosed bracket", BRACKETS),
    ("flow", BRACKETS),
    ("',' or", BRACKETS),
    ("is only valid inside", "a value that starts with this character needs quotes"),
    ("unexpected character", "a value that starts with this character needs quotes"),
    ("plain scalar cannot start with", "a value that starts with `-` and a bracket needs quotes"),
    ("unexpected end of plain scalar", "put the value in quotes"),
    ("'-' must be followed", "an entry of a list is written `- value`, with a space"),
    ("block sequence entries are not allowed", "a list starts on a line of its own, below its key"),
    ("block scalar", "the lines below `|` or `>` are indented by spaces, all alike"),
    ("comment", "a comment starts with ` #`, with a space before it"),
    ("YAML major version", "remove the line that starts with `%`"),
    ("<document start>", "a manifest consists of fields, `name: value`"),
    ("directive", "remove the line that starts with `%`"),
    ("document", "documents are separated by a line `---`, with nothing else on it"),
    ("tag", "a value that starts with `!` needs quotes"),
];

/// Message and hint.
pub(super) fn explain(error: &YamlError) -> (String, &'static str) {
    match error {
        YamlError::Budget { breach, .. } => match breach {
            BudgetBreach::Anchors { .. } => ("anchors (`&name`) are not allowed".to_owned(), WRITE_OUT),
            BudgetBreach::Aliases { .. } => ("aliases (`*name`) are not allowed".to_owned(), WRITE_OUT),
            BudgetBreach::Depth { .. } => {
                (format!("lists and objects are nested more than {DEPTH} deep"), "is a bracket not closed, or the indentation wrong?")
            }
            BudgetBreach::Nodes { .. } => (format!("the file holds more than {NODES} values"), SPLIT),
            BudgetBreach::Documents { .. } => ("the file holds too many documents".to_owned(), SPLIT),
            _ => ("the file is too large or too complex".to_owned(), SPLIT),
        },
        YamlError::UnknownAnchor { .. } => ("aliases (`*name`) are not allowed".to_owned(), WRITE_OUT),
        YamlError::MergeKeyNotAllowed { .. } => ("merge keys (`<<`) are not allowed".to_owned(), "write the fields out"),
        YamlError::UnsupportedTag { tag, .. } => {
            (format!("the tag `{tag}` is not allowed"), "remove it; a value that starts with `!` needs quotes")
        }
        YamlError::NullIntoString { .. } | YamlError::Unexpected { expected: "string scalar", .. } => {
            ("expected a field's name before the colon, found something else".to_owned(), "a value with braces or brackets needs quotes")
        }
        other => syntax(&UserMessageFormatter.format_message(other)),
    }
}

/// Where `git merge` has left its mark.
pub(super) fn conflict(text: &str) -> Option<usize> {
    const MARK: &str = "<<<<<<< ";
    if text.starts_with(MARK) { Some(0) } else { text.find(&format!("\n{MARK}")).map(|at| at + 1) }
}

fn syntax(message: &str) -> (String, &'static str) {
    if message.contains("tab") && (message.contains("tabs disallowed") || message.contains("tab cannot")) {
        return ("a tab in the indentation".to_owned(), "YAML allows spaces only");
    }
    let cause = CAUSES.iter().find(|(part, _)| message.contains(part)).map_or(INDENTATION, |(_, hint)| hint);
    (format!("not YAML: {message}"), cause)
}
