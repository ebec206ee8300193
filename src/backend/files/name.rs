//! The name of a segment -> what may become of it (pure).
//!
//! In: a segment, decoded. Out: seen or not, a script or not. Never: a look at what stands there.

use crate::api::v1::Hidden;
use crate::route::{Coding, Script};

/// What a file may be compressed with; it is the same text then.
const CODINGS: [Coding; 3] = [Coding::Zstd, Coding::Br, Coding::Gzip];

/// Whether a rule serves names like this. Dot segments are gone after normalisation; that none passes here holds without it.
pub(super) fn may_be_seen(name: &[u8], hidden: Hidden) -> bool {
    match name {
        b"." | b".." => false,
        b".well-known" => true,
        _ => hidden == Hidden::Allow || !name.starts_with(b"."),
    }
}

/// Whether a request can name it: paths hold no control bytes, and an encoded backslash names nothing.
pub(super) fn may_be_asked_for(name: &[u8]) -> bool {
    !name.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\')
}

/// The index of the first script whose extension ends the name, byte by byte.
pub(super) fn script(name: &[u8], scripts: &[Script]) -> Option<usize> {
    scripts.iter().position(|script| name.ends_with(script.extension.as_bytes()))
}

/// Whether some file system or some program could take this name for a script's: in another case, with dots or spaces at its end. Or for
/// one that is compressed (`a.php.gz`): what a script says is told to nobody in a content coding either.
pub(super) fn resembles_script(mut name: &[u8], scripts: &[Script]) -> bool {
    if scripts.is_empty() {
        return false;
    }
    loop {
        let length = name.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(0, |last| last + 1);
        name = &name[..length];
        if scripts.iter().any(|script| without(name, &script.extension).is_some()) {
            return true;
        }
        match CODINGS.iter().find_map(|coding| without(name, coding.ending())) {
            Some(inner) => name = inner,
            None => return false,
        }
    }
}

/// What stands before an ending, in whatever case.
fn without<'a>(name: &'a [u8], ending: &str) -> Option<&'a [u8]> {
    let (before, end) = name.split_at(name.len().checked_sub(ending.len())?);
    end.eq_ignore_ascii_case(ending.as_bytes()).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_extension_is_a_script_and_what_resembles_it_is_told() {
        let scripts = [".php", ".cgi"].map(|extension| Script { extension: extension.into(), backend: 0 });
        for (name, index, resembles) in [
            ("a.php", Some(0), true),
            ("a.cgi", Some(1), true),
            (".php", Some(0), true),
            ("a.PHP", None, true),
            ("a.php.", None, true),
            ("a.php .. ", None, true),
            ("php", None, false),
            ("a.php5", None, false),
            ("a.php.txt", None, false),
            ("a.php.gz", None, true),
            ("a.PHP.Gz", None, true),
            ("a.php..br. .zst ", None, true),
            (".php.zst", None, true),
            ("a.php.txt.gz", None, false),
            ("a.css.gz", None, false),
            ("php.gz", None, false),
            (".gz", None, false),
            (".gz.br", None, false),
            ("", None, false),
            ("...", None, false),
        ] {
            assert_eq!((script(name.as_bytes(), &scripts), resembles_script(name.as_bytes(), &scripts)), (index, resembles), "{name:?}");
            assert!(!resembles_script(name.as_bytes(), &[]), "{name:?}");
        }
    }

    #[test]
    fn dots_are_never_seen_and_hidden_names_where_they_are_allowed() {
        for (name, denied, allowed) in [
            ("a", true, true),
            (".a", false, true),
            (".well-known", true, true),
            (".well-known2", false, true),
            ("..", false, false),
            (".", false, false),
        ] {
            assert_eq!(may_be_seen(name.as_bytes(), Hidden::Deny), denied, "{name}");
            assert_eq!(may_be_seen(name.as_bytes(), Hidden::Allow), allowed, "{name}");
        }
    }
}
