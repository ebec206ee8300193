//! A [`Diagnostic`] -> the lines that rustc would show for it (pure).
//!
//! In: what is wrong, with its excerpt. Out: text for a terminal, with colours or without. Never: a control character of the manifest.

use annotate_snippets::renderer::{AnsiColor, DEFAULT_TERM_WIDTH, Style};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::api::v1::{Diagnostic, Excerpt};

/// Wider than any excerpt, so that what was cut once is not cut again.
const WIDTH: usize = 2 * DEFAULT_TERM_WIDTH;

/// The error with its line, the place marked and named, and the hint below; ends with a line break.
pub(super) fn render(diagnostic: &Diagnostic, styled: bool) -> String {
    let file = plain(&diagnostic.file);
    let line = usize::try_from(diagnostic.line).unwrap_or(usize::MAX);
    let column = usize::try_from(diagnostic.column).unwrap_or(usize::MAX);
    // Without a line to mark, the field has no other place.
    let field = Some(&diagnostic.field).filter(|field| diagnostic.excerpt.is_none() && !field.is_empty());
    let title = field.map_or_else(|| diagnostic.message.clone(), |field| format!("{field}: {}", diagnostic.message));
    let mut group = Group::with_title(Level::ERROR.primary_title(plain(&title)));
    let excerpt = diagnostic.excerpt.as_ref().map(|excerpt| (plain(&excerpt.text), marked(excerpt)));
    group = match &excerpt {
        Some((text, span)) => {
            let label = (!diagnostic.field.is_empty()).then(|| plain(&diagnostic.field));
            let mark = AnnotationKind::Primary.span(span.clone()).label(label);
            group.element(Snippet::source(text.as_str()).path(&file).line_start(line).annotation(mark))
        }
        None if line == 0 => group.element(Origin::path(&file)),
        None => group.element(Origin::path(&file).line(line).char_column(column)),
    };
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name("hint").message(plain(hint)));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let mut lines = renderer.term_width(WIDTH).render(&[group]);
    if let Some(excerpt) = &diagnostic.excerpt {
        // The renderer counts in the excerpt, which of a long line is a part.
        lines = lines.replacen(&format!("{file}:{line}:{}", excerpt.start + 1), &format!("{file}:{line}:{column}"), 1);
    }
    lines.push('\n');
    lines
}

/// Whether colours belong on standard error: a terminal, and nobody objects (`NO_COLOR`).
pub(super) fn on_stderr() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// Whether colours belong on standard output.
pub(super) fn on_stdout() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// A unified diff in the colours of git.
pub(super) fn painted(diff: &str) -> String {
    let paint = |line: &str| {
        let style = match line.as_bytes().first() {
            Some(b'+') if !line.starts_with("+++") => AnsiColor::Green.on_default(),
            Some(b'-') if !line.starts_with("---") => AnsiColor::Red.on_default(),
            Some(b'@') => AnsiColor::Cyan.on_default(),
            Some(b' ') | None => Style::new(),
            _ => Style::new().bold(),
        };
        format!("{style}{line}{style:#}\n")
    };
    diff.lines().map(paint).collect()
}

/// The marked part, in bytes; one that is behind the end has no width.
fn marked(excerpt: &Excerpt) -> std::ops::Range<usize> {
    let byte = |characters: u64| {
        let nth = usize::try_from(characters).unwrap_or(usize::MAX);
        excerpt.text.char_indices().nth(nth).map_or(excerpt.text.len(), |(at, _)| at)
    };
    byte(excerpt.start)..byte(excerpt.start.saturating_add(excerpt.width))
}

/// Without characters that move the cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    fn shown(text: &str) -> Vec<String> {
        manifest::parse("hello.yaml", text.as_bytes()).errors().map(|error| render(error, false)).collect()
    }

    const HELLO: &str = "apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {name: hello}\nspec:\n  hostname: [a.org]\n  rules: [{}]\n";

    #[test]
    fn an_error_is_shown_as_rustc_shows_one() {
        let expected = "\
error: unknown field `hostname`
 --> hello.yaml:5:3
  |
5 |   hostname: [a.org]
  |   ^^^^^^^^ spec.hostname
  |
  = hint: did you mean `hostnames`?
";
        assert_eq!(shown(HELLO), [expected]);
    }

    #[test]
    fn what_is_missing_at_the_end_of_a_line_is_marked_behind_it() {
        let shown = shown(&HELLO.replace("  hostname: [a.org]\n", "").replace("rules: [{}]", "rules:"));
        assert!(shown[0].contains("\n5 |   rules:\n  |        ^ spec.rules\n"), "{}", shown[0]);
    }

    #[test]
    fn the_place_is_that_of_the_file_also_when_the_line_was_cut() {
        let hosts: String = (0..100).flat_map(|n| ["ü".to_owned(), n.to_string(), ".org, ".to_owned()]).collect();
        let shown = shown(&HELLO.replace("[a.org]", &format!("[{hosts}]")).replace("hostname", "hostnames"));
        let last = shown.last().map(String::as_str).unwrap_or_default();
        assert!(last.contains(" --> hello.yaml:5:896\n") && last.contains(" ^^^^^^^ spec.hostnames[99]\n"), "{last}");
        assert!(last.contains("\n5 | ...") && last.contains(", ü99.org, ]\n"), "{last}");
    }

    #[test]
    fn without_a_line_the_place_is_named_all_the_same() {
        let mut error = manifest::parse("hello.yaml", HELLO.as_bytes()).errors().next().cloned().unwrap();
        error.excerpt = None;
        error.hint = None;
        assert_eq!(render(&error, false), "error: spec.hostname: unknown field `hostname`\n--> hello.yaml:5:3\n");
    }

    #[test]
    fn colours_are_there_when_asked_for_and_the_manifests_own_are_not() {
        let mut error = manifest::parse("hello.yaml", HELLO.as_bytes()).errors().next().cloned().unwrap();
        assert!(render(&error, true).contains("\u{1b}["));
        error.message = "\u{1b}[31mred\u{9b}".to_owned();
        error.hint = Some("\u{1b}]0;title".to_owned());
        error.file = "a\u{1b}b".to_owned();
        assert!(!render(&error, false).contains(['\u{1b}', '\u{9b}']));
    }
}
