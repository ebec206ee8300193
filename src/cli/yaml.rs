//! A value -> block YAML, as kubectl prints it.
//!
//! In: JSON. Out: text that reads back as the same value. Never: a text that reads as a number or a boolean without quotes.

use serde_json::Value;

/// Writes one document, with a line end behind it. Lines are never folded: a message stays on its line, for `grep`.
pub(super) fn render(value: &Value) -> anyhow::Result<String> {
    let mut options = serde_yaml::SerializerOptions::default();
    options.folded_wrap_chars = usize::MAX;
    Ok(serde_yaml::to_string_with_options(value, options)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_are_those_of_kubectl() {
        let value = json!({
            "apiVersion": "lxcproxy.dev/v1",
            "metadata": {"name": "ttrss", "labels": {}, "annotations": {"on": "yes", "port": "8080", "at": "2026-01-01"}},
            "items": [{"name": "a", "path": "/", "weight": 1}, {"name": "*"}],
            "none": null,
            "empty": [],
            "message": format!("a.yaml:1:1: {}\nsecond line", "no ".repeat(40)),
            "long": "word ".repeat(30).trim(),
        });
        let expected = format!(
            "\
apiVersion: lxcproxy.dev/v1
metadata:
  name: ttrss
  labels: {{}}
  annotations:
    \"on\": \"yes\"
    port: \"8080\"
    at: \"2026-01-01\"
items:
- name: a
  path: /
  weight: 1
- name: \"*\"
none: null
empty: []
message: |-
  a.yaml:1:1: {}
  second line
long: {}
",
            "no ".repeat(40),
            "word ".repeat(30).trim()
        );
        assert_eq!(render(&value).unwrap(), expected);
    }

    #[test]
    fn what_would_move_the_cursor_is_escaped() {
        let text = render(&json!({"a": "\u{1b}[2J", "b": "x\u{9b}y", "c\u{7f}": "\u{85}\n\u{0}", "d": "a\r\nb\u{1b}c"})).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[-+.~:#&*!|>'\"%@`{}\\[\\], \\n\\t0-9a-z_]{0,12}",
            proptest::sample::select(vec![
                "true", "No", "null", "~", "1e3", "0x1F", "1_000", "12:30:45", ".inf", "=", "<<", "- a", "a: b", " x"
            ])
            .prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(text.clone(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_back_as_the_same_value(value in values()) {
            let text = render(&value).unwrap();
            let back: Value = serde_yaml::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
