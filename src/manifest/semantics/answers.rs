//! What is done with answers: `compression`, `errorPages`, `internalFiles`.
//!
//! In: their trees. Out: entries of a [`Report`]. Never: a look at whether a file is there.

use super::unique;
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;
use crate::names::shown;
use crate::route::media;

pub(super) fn check_compression(compression: &Cursor<'_>, report: &mut Report<'_>) {
    let algorithms = compression.items_of("algorithms");
    unique(algorithms.into_iter().filter_map(|at| Some((at.text()?.to_owned(), at))), "algorithm", report);
    let types = compression.items_of("types");
    for type_ in types.iter().filter(|type_| type_.text().is_some_and(media::is_compressed)) {
        let message = format!("`{}` is compressed by its own format", shown(type_.text().unwrap_or_default()));
        report.value(type_, message, Some("leave it out: it would only cost time".to_owned()));
    }
    unique(types.into_iter().filter_map(|at| Some((at.text()?.to_ascii_lowercase(), at))), "media type", report);
    if let Some(size) = compression.get("minimumSize").filter(|size| size.text() == Some("Unlimited")) {
        report.value(&size, "nothing would be compressed", Some("leave the filter out, or name a size, like `1Ki`".to_owned()));
    }
}

/// A status has one page.
pub(super) fn check_error_pages(pages: &[Cursor<'_>], report: &mut Report<'_>) {
    let statuses = pages.iter().flat_map(|page| page.items_of("statuses"));
    unique(statuses.map(|at| (at.node.to_value().to_string(), at)), "status", report);
}

/// A path stands for one directory, and a directory that no path stands for is named once.
pub(super) fn check_internal_files(list: &[Cursor<'_>], report: &mut Report<'_>) {
    let bare = |text: &str| text.trim_end_matches('/').to_owned();
    let paths = list.iter().filter_map(|files| files.get("path"));
    unique(paths.filter_map(|at| Some((bare(at.text()?), at))), "path", report);
    let roots = list.iter().filter(|files| files.is_map() && files.get("path").is_none()).filter_map(|files| files.get("root"));
    unique(roots.filter_map(|at| Some((bare(at.text()?), at))), "root", report);
}
