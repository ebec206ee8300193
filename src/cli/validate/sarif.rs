//! Findings -> a SARIF 2.1.0 log, as code scanning takes it.
//!
//! In: [`Findings`]. Out: JSON (OASIS SARIF 2.1.0, section 3). Never: a result without a rule or a place.

use std::fmt::Write as _;
use std::path::{Component, Path};

use serde_json::{Value, json};

use super::findings::{Findings, Found, Sort};

/// The rules: identity, and what it is about. Results refer to them by index.
const RULES: [(&str, &str); 7] = [
    ("syntax", "The file is not YAML that lxcproxy reads"),
    ("unknown-field", "A field is not known"),
    ("missing-field", "A field is missing"),
    ("duplicate", "Something is there twice that may be there once"),
    ("invalid-value", "A value is not one of those that are expected"),
    ("unsupported-value", "A value is not supported by this version"),
    ("name-conflict", "Two manifests have one name"),
];

/// The log of one run.
pub(super) fn log(findings: &Findings) -> Value {
    let rule = |(id, about): &(&str, &str)| json!({"id": id, "name": id, "shortDescription": {"text": about}, "defaultConfiguration": {"level": "error"}});
    let rules: Vec<_> = RULES.iter().map(rule).collect();
    let results: Vec<_> = findings.found.iter().map(result).collect();
    let unread: Vec<_> = findings.unread.iter().map(|unread| json!({"level": "error", "message": {"text": unread.to_string()}})).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "lxcproxy", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "invocations": [{"executionSuccessful": unread.is_empty(), "toolExecutionNotifications": unread}],
            "results": results,
        }],
    })
}

fn result(found: &Found) -> Value {
    let rule = rule(found);
    let error = &found.error;
    let field = if error.field.is_empty() { String::new() } else { format!("{}: ", error.field) };
    let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let width = error.excerpt.as_ref().map_or(1, |excerpt| excerpt.width);
    let region = json!({"startLine": error.line, "startColumn": error.column, "endLine": error.line, "endColumn": error.column + width});
    json!({
        "ruleId": RULES[rule].0,
        "ruleIndex": rule,
        "level": "error",
        "message": {"text": format!("{field}{}{hint}", error.message)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri(&error.file)}, "region": region}}],
    })
}

/// Index into [`RULES`].
fn rule(found: &Found) -> usize {
    let begins = |words: &str| found.error.message.starts_with(words);
    let id = match found.sort {
        Sort::Syntax => "syntax",
        Sort::NameConflict => "name-conflict",
        Sort::Field if found.error.unsupported => "unsupported-value",
        Sort::Field if begins("unknown field") => "unknown-field",
        Sort::Field if begins("missing field") => "missing-field",
        Sort::Field if begins("duplicate") => "duplicate",
        Sort::Field => "invalid-value",
    };
    RULES.iter().position(|(known, _)| *known == id).unwrap_or_default()
}

/// A path as a URI reference (RFC 3986 section 4.1): a relative one stays so, as code scanning expects it.
fn uri(file: &str) -> String {
    let mut uri = String::new();
    for component in Path::new(file).components() {
        match component {
            Component::RootDir => uri.push_str("file://"),
            Component::CurDir | Component::Prefix(_) => continue,
            Component::ParentDir | Component::Normal(_) => {}
        }
        if uri.ends_with(|last| last != '/') || component == Component::RootDir {
            uri.push('/');
        }
        if component != Component::RootDir {
            encode(&component.as_os_str().to_string_lossy(), &mut uri);
        }
    }
    uri
}

fn encode(segment: &str, uri: &mut String) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::{Input, Manifest, Unread};

    fn findings(text: &str) -> Findings {
        let manifest = Manifest { file: "./m/bad one.yaml".to_owned(), text: text.as_bytes().into(), argument: 0 };
        let unread = vec![Unread { file: "gone.yaml".to_owned(), why: "is gone".to_owned() }];
        Findings::of(&Input { manifests: vec![manifest], unread, directory: false })
    }

    #[test]
    fn every_result_has_a_rule_and_a_place() {
        let text = "apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {name: Ü}\nspec:\n  hostnme: [a]\n  hostnames: [a, a]\n  \
                    backends: [{name: a, http: {port: 80, tls: {}}}]\n  rules: [{backendRefs: [{}]}]\n";
        let log = log(&findings(text));
        let run = &log["runs"][0];
        let results = run["results"].as_array().unwrap();
        let rules: Vec<_> = results.iter().map(|result| result["ruleId"].as_str().unwrap()).collect();
        assert_eq!(rules, ["invalid-value", "unknown-field", "duplicate", "unsupported-value", "missing-field"]);
        for result in results {
            let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], "m/bad%20one.yaml");
            assert!(place["region"]["endColumn"].as_u64() > place["region"]["startColumn"].as_u64());
        }
        assert_eq!(
            results[1]["message"]["text"],
            "spec.hostnme: unknown field `hostnme`; known fields: `container`, `parentRefs`, `hostnames`, `backends`, `rules`, `errorPages`"
        );
        assert_eq!(
            results[1]["locations"][0]["physicalLocation"]["region"],
            json!({"startLine": 5, "startColumn": 3, "endLine": 5, "endColumn": 10})
        );
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        assert_eq!(run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"], "gone.yaml: is gone");
    }

    #[test]
    fn a_path_is_a_uri() {
        for (path, expected) in [
            ("a/b.yaml", "a/b.yaml"),
            ("./a.yaml", "a.yaml"),
            ("/etc/x y", "file:///etc/x%20y"),
            ("../ü", "../%C3%BC"),
            ("<stdin>", "%3Cstdin%3E"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
