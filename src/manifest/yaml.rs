//! Bytes -> documents as trees with positions.
//!
//! In: a file's bytes. Out: one [`Node`] per document that is not empty, or what is wrong with the file as a whole.
//! Never: aliases, merge keys, tags of an application, unbounded depth or size.

use serde_yaml::options::NonFiniteFloatPolicy;
use serde_yaml::{DuplicateKeyPolicy, MergeKeyPolicy, Options};

use super::Error;
use super::encoding;
use super::limits::{DEPTH, FILE_BYTES, NODES};
use super::node::Node;
use super::syntax;
use super::text::{Finding, Spot, Text};

/// Reads every document. Documents without any content are left out.
pub(super) fn read(text: &Text<'_>) -> Result<Vec<Node>, Vec<Error>> {
    let decoded = encoding::decode(text)?;
    serde_yaml::from_multiple_with_options(decoded, options()).map_err(|bad| {
        let at = bad.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
        let spot = Spot { line: at.0, column: at.1, width: 1 };
        let (spot, (message, hint)) = match syntax::conflict(decoded) {
            Some(byte) => (
                text.spot(byte),
                ("a conflict of versions has not been resolved".to_owned(), "keep one of the two versions, and remove the lines of marks"),
            ),
            None => (spot, syntax::explain(bad.without_snippet())),
        };
        vec![text.error(spot, Finding { message, hint: Some(hint.to_owned()), ..Finding::default() })]
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
