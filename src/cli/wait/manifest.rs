//! An object's manifest as it stands in the directory -> whether the daemon has seen it.
//!
//! In: the daemon's sources, as far as the caller may read them. Out: [`Written`]. Never: a reason to fail: who can't look is told what the
//! daemon knows.

use serde_json::Value;

use super::super::client::Client;
use super::super::kind::{Kind, Reference};
use super::wanted::Seen;
use crate::api::v1::{ConditionStatus, ConditionType, Conditions, Reason, SourceResource};
use crate::manifest::{self, Object, Parsed};
use crate::source;

/// What is written about an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    /// A valid manifest with this spec, defaults and all.
    Valid(Value),
    /// A manifest with errors.
    Invalid,
    /// A file as a whole can't be read as manifests: what was in it before has errors now. Their paths.
    Broken(Vec<String>),
}

impl Written {
    /// Looks into every directory that the daemon reads.
    pub(super) async fn look(client: &Client, object: &Reference) -> Self {
        let sources = client.list::<SourceResource>(Kind::Source.plural(), &[]).await.map(|list| list.items).unwrap_or_default();
        let files = sources.iter().filter_map(|source| source.spec.as_ref()).flat_map(|spec| source::list(&spec.path).files);
        let files = files.filter_map(|(path, content)| Some((path, content.bytes.as_ref().ok()?.clone())));
        Self::find(files.map(|(path, bytes)| (path.to_string(), manifest::parse(&path, &bytes))), object)
    }

    fn find(files: impl Iterator<Item = (String, Parsed)>, object: &Reference) -> Self {
        let kind = match object.kind {
            Kind::App => manifest::Kind::App,
            Kind::Gateway => manifest::Kind::Gateway,
            Kind::Source | Kind::Event | Kind::Backend => return Self::Broken(Vec::new()),
        };
        let (mut found, mut broken) = (Vec::new(), Vec::new());
        for (path, parsed) in files {
            let named =
                parsed.documents.iter().filter(|document| document.kind == Some(kind) && document.name.as_deref() == Some(&object.name));
            found.extend(named.map(|document| document.result.as_ref().ok().and_then(spec).map_or(Self::Invalid, Self::Valid)));
            if !parsed.errors.is_empty() {
                broken.push(path);
            }
        }
        match found.pop() {
            Some(only) if found.is_empty() => only,
            // Which of several has the name is the daemon's to say.
            _ => Self::Broken(broken),
        }
    }

    /// Whether the daemon has seen it.
    pub(super) fn is_seen_in(&self, object: Option<&Seen>) -> bool {
        let refused = object.and_then(|object| object.status.condition(ConditionType::Accepted)).is_some_and(|accepted| {
            accepted.status == ConditionStatus::False && matches!(accepted.reason, Reason::Invalid | Reason::UnsupportedValue)
        });
        match self {
            Self::Valid(spec) => !refused && object.is_some_and(|object| object.spec.as_ref() == Some(spec)),
            Self::Invalid => refused,
            Self::Broken(files) => refused || object.is_none_or(|object| !files.contains(&object.status.file)),
        }
    }
}

fn spec(object: &Object) -> Option<Value> {
    match object {
        Object::App(app) => serde_json::to_value(&app.spec).ok(),
        Object::Gateway(gateway) => serde_json::to_value(&gateway.spec).ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BLOG: &str = "apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {name: blog}\nspec: {rules: [{files: {root: /www}}]}\n";

    fn written(files: &[(&str, &str)]) -> Written {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), manifest::parse(path, text.as_bytes())));
        Written::find(files, &"app/blog".parse().unwrap())
    }

    fn seen(text: &str, accepted: &str, reason: &str) -> Seen {
        let parsed = manifest::parse("blog.yaml", text.as_bytes());
        let spec = parsed.documents[0].result.as_ref().ok().and_then(spec);
        let condition = json!({"type": "Accepted", "status": accepted, "reason": reason, "message": "",
                               "observedGeneration": 1, "lastTransitionTime": ""});
        serde_json::from_value(json!({
            "apiVersion": "lxcproxy.dev/v1", "kind": "App", "metadata": {"name": "blog", "generation": 1}, "spec": spec,
            "status": {"file": "blog.yaml", "conditions": [condition]}
        }))
        .unwrap()
    }

    #[test]
    fn a_spec_is_seen_when_the_daemon_shows_it() {
        let written = written(&[("blog.yaml", &BLOG.replace("/www", "/new")), ("b.yaml", &BLOG.replace("blog", "wiki"))]);
        assert!(!written.is_seen_in(None));
        assert!(!written.is_seen_in(Some(&seen(BLOG, "True", "Accepted"))));
        let new = BLOG.replace("/www", "/new");
        assert!(!written.is_seen_in(Some(&seen(&new, "False", "Invalid"))), "a mistake that has been repaired");
        assert!(written.is_seen_in(Some(&seen(&new, "True", "Accepted"))));
        assert!(written.is_seen_in(Some(&seen(&new, "False", "NoMatchingParent"))));
    }

    #[test]
    fn a_mistake_is_seen_when_the_daemon_refuses_it() {
        for text in [&BLOG.replace("root", "rot"), "oops: ["] {
            let written = written(&[("blog.yaml", text)]);
            assert!(!written.is_seen_in(Some(&seen(BLOG, "True", "Accepted"))), "{text}");
            assert!(written.is_seen_in(Some(&seen(BLOG, "False", "Invalid"))), "{text}");
        }
    }

    #[test]
    fn where_there_is_nothing_to_compare_the_daemon_is_believed() {
        let now = seen(BLOG, "True", "Accepted");
        for files in [&[][..], &[("other.yaml", "oops: [")], &[("a.yaml", BLOG), ("b.yaml", BLOG)]] {
            assert!(written(files).is_seen_in(Some(&now)) && written(files).is_seen_in(None), "{files:?}");
        }
    }
}
