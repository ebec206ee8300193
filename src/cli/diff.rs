//! `lxcproxy diff`: manifests and what the running daemon has -> what would change, field by field.
//!
//! In: files, directories, the daemon's objects. Out: a unified diff an object. Never: a difference that means nothing; specs are compared
//! with their defaults filled in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use similar::TextDiff;

use super::apply::{checked, kind};
use super::client::{Client, converse};
use super::directory::Name;
use super::input::Input;
use super::{Failure, Silent, print, render};
use crate::api::v1::{API_VERSION, AppResource, GatewayResource, Resource};
use crate::manifest::{self, Kind, Object};

/// What stands in the place of an object that is not there.
const NOTHING: &str = "/dev/null";

/// Show what would change in the running daemon: exit code 0 if nothing, 1 if something, 2 if that can't be said
///
/// Objects are compared with all defaults filled in. A directory stands for the whole manifest directory: what the daemon has and the
/// directory has not is shown as removed. Of single files, only what they hold is compared.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lxcproxy diff ttrss.yaml\n  lxcproxy diff -f /srv/git/manifests")]
pub(super) struct Diff {
    /// Files, and directories of manifests; `-` is standard input.
    #[arg(required_unless_present = "more", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The same, as kubectl takes them.
    #[arg(short = 'f', long = "filename", value_name = "PATH", num_args = 1..)]
    more: Vec<PathBuf>,
    #[command(flatten)]
    client: Client,
}

/// An object as text, and what it is called in the diff.
type Texts = BTreeMap<Name, (String, String)>;

impl Diff {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let paths = [self.paths.as_slice(), self.more.as_slice()].concat();
        // An exit code of 1 would say that there are differences.
        let input = checked(&paths, "nothing has been compared")
            .map_err(|(Failure::Failed(error) | Failure::Usage(error))| Failure::Usage(error))?;
        let compared = || {
            let live = converse(self.live())?;
            let text = differences(&wanted(&input)?, &live, input.directory);
            print(&if render::on_stdout() { render::painted(&text) } else { text.clone() })?;
            Ok(text.is_empty())
        };
        match compared() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Failed(Silent.into())),
            Err(error) => Err(Failure::Usage(error)),
        }
    }

    async fn live(&self) -> anyhow::Result<Texts> {
        let mut live = Texts::new();
        for app in self.client.list::<AppResource>("apps", &[]).await?.items {
            add(Kind::App, &app, &mut live)?;
        }
        for gateway in self.client.list::<GatewayResource>("gateways", &[]).await?.items {
            add(Kind::Gateway, &gateway, &mut live)?;
        }
        Ok(live)
    }
}

/// Takes a live object in. One without a valid spec has nothing to compare with; of two of one name the first has it.
fn add<Spec: Serialize, Status>(kind: Kind, object: &Resource<Spec, Status>, live: &mut Texts) -> anyhow::Result<()> {
    let Some(spec) = &object.spec else { return Ok(()) };
    let meta = &object.metadata;
    let metadata = json!({"name": meta.name, "labels": meta.labels, "annotations": meta.annotations});
    let text = text(kind, metadata, spec)?;
    let called = format!("live/{}/{}", self::kind(kind), meta.name);
    live.entry(Name { kind, name: meta.name.clone() }).or_insert((called, text));
    Ok(())
}

fn wanted(input: &Input) -> anyhow::Result<Texts> {
    let mut wanted = Texts::new();
    for file in &input.manifests {
        for object in manifest::parse_printed(&file.file, &file.text).documents.into_iter().filter_map(|document| document.result.ok()) {
            let (kind, metadata, spec) = match &object {
                Object::App(app) => (Kind::App, &app.metadata, serde_json::to_value(&app.spec)?),
                Object::Gateway(gateway) => (Kind::Gateway, &gateway.metadata, serde_json::to_value(&gateway.spec)?),
            };
            let name = Name { kind, name: metadata.name.to_string() };
            let metadata = json!({"name": metadata.name, "labels": metadata.labels, "annotations": metadata.annotations});
            if let Some((first, _)) = wanted.insert(name.clone(), (file.file.clone(), text(kind, metadata, spec)?)) {
                anyhow::bail!("{name} is in {first} and in {}; give one of the two", file.file);
            }
        }
    }
    Ok(wanted)
}

/// An object as YAML, one field a line.
fn text(kind: Kind, mut metadata: Value, spec: impl Serialize) -> anyhow::Result<String> {
    if let Value::Object(fields) = &mut metadata {
        fields.retain(|_, value| value.as_object().is_none_or(|words| !words.is_empty()));
    }
    let object = json!({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec});
    let options = serde_yaml::ser_options! { prefer_block_scalars: false };
    Ok(serde_yaml::to_string_with_options(&object, options)?)
}

/// Added and changed objects, and with `all` those that are gone.
fn differences(wanted: &Texts, live: &Texts, all: bool) -> String {
    let nothing = (NOTHING.to_owned(), String::new());
    let mut out = String::new();
    let gone = live.keys().filter(|name| all && !wanted.contains_key(name));
    for name in wanted.keys().chain(gone) {
        let (old, new) = (live.get(name).unwrap_or(&nothing), wanted.get(name).unwrap_or(&nothing));
        if old.1 != new.1 {
            let diff = TextDiff::from_lines(old.1.as_str(), new.1.as_str());
            let (from, to) = (render::plain(&old.0), render::plain(&new.0));
            // Writing to a string does not fail.
            let _ = write!(out, "diff {from} {to}\n{}", diff.unified_diff().context_radius(3).header(&from, &to));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::Manifest;

    fn texts(files: &[(&str, &str)]) -> Texts {
        let manifest = |(file, text): &(&str, &str)| Manifest { file: (*file).to_owned(), text: text.as_bytes().into(), argument: 0 };
        wanted(&Input { manifests: files.iter().map(manifest).collect(), ..Input::default() }).unwrap()
    }

    fn app(name: &str, root: &str) -> String {
        format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec: {{rules: [{{files: {{root: {root}}}}}]}}\n")
    }

    #[test]
    fn a_changed_field_is_a_line() {
        let (old, new) = (texts(&[("live", &app("a", "/old"))]), texts(&[("a.yaml", &app("a", "/new"))]));
        let text = differences(&new, &old, false);
        assert!(text.starts_with("diff live a.yaml\n--- live\n+++ a.yaml\n@@ -"), "{text}");
        let changed: Vec<_> = text.lines().skip(3).filter(|line| line.starts_with(['+', '-'])).collect();
        assert_eq!(changed, ["-      root: /old", "+      root: /new"]);
    }

    #[test]
    fn defaults_order_and_comments_are_no_difference() {
        let written = "# note\nkind: App\napiVersion: lxcproxy.dev/v1\nspec:\n  hostnames: []\n  rules:\n  - files: {hidden: Deny, root: /a}\nmetadata: {name: a, labels: {}}\n";
        assert_eq!(differences(&texts(&[("a.yaml", written)]), &texts(&[("live", &app("a", "/a"))]), true), "");
    }

    #[test]
    fn what_is_new_is_added_and_what_is_missing_is_removed_only_from_a_whole() {
        let (old, new) = (texts(&[("live", &app("old", "/a"))]), texts(&[("new.yaml", &app("new", "/a"))]));
        let part = differences(&new, &old, false);
        assert!(part.contains("--- /dev/null\n+++ new.yaml\n") && !part.contains("+++ /dev/null"), "{part}");
        let whole = differences(&new, &old, true);
        assert!(whole.contains("--- live\n+++ /dev/null\n") && whole.contains("\n-metadata:\n-  name: old\n"), "{whole}");
    }

    #[test]
    fn a_live_object_reads_like_a_written_one() {
        let written = texts(&[("a.yaml", &app("a", "/a"))]);
        let Some(Object::App(parsed)) = manifest::parse("", app("a", "/a").as_bytes()).documents.remove(0).result.ok() else { panic!() };
        let resource = json!({"apiVersion": API_VERSION, "kind": "App", "metadata": {"name": "a"}, "spec": parsed.spec, "status": {"file": "", "conditions": []}});
        let resource: AppResource = serde_json::from_value(resource).unwrap();
        let mut live = Texts::new();
        add(Kind::App, &resource, &mut live).unwrap();
        add(Kind::App, &Resource { spec: None, ..resource }, &mut live).unwrap();
        assert_eq!(differences(&written, &live, true), "");
    }
}
