//! Text -> a word for the shell, in commands that are printed to be pasted.

/// Quotes what needs it.
pub(super) fn quote(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte)) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        assert_eq!(quote("/tmp/a-b.yaml"), "/tmp/a-b.yaml");
        assert_eq!(quote("/tmp/my dir's"), r"'/tmp/my dir'\''s'");
        assert_eq!(quote(""), "''");
    }
}
