//! `lxcproxy apply`: manifests from anywhere -> the manifest directory, checked first and written whole.
//!
//! In: files, directories, standard input. Out: changed files, a line for each object. Never: a write if anything is invalid.

mod served;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::Value;

use super::client::converse;
use super::directory::{Directory, Document, Name, Outcome, Place, sections};
use super::input::{Input, Manifest};
use super::validate::Findings;
use super::{Failure, print, render, yaml};
use crate::api::v1::API_GROUP;
use crate::config::duration;
use crate::manifest;

/// Put manifests into the manifest directory, where a running daemon finds them
///
/// Everything is checked first, and nothing is written if anything is invalid. An object that is there is replaced in its file, and of a
/// file with several documents only its own text; a new one becomes NAME.yaml. A relative path in a manifest starts from where it is put.
/// What is reached through a symbolic link (git-sync, a ConfigMap) is not written: change it where it comes from. What `get -o yaml` prints
/// is taken, too, without what the daemon has added to it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lxcproxy apply -f ttrss.yaml
  lxcproxy apply -f site/ --dry-run
  lxcproxy apply -f ttrss.yaml --wait")]
pub(super) struct Apply {
    /// Files, and directories of manifests; `-` is standard input.
    #[arg(short = 'f', long = "filename", required_unless_present = "more", value_name = "PATH", num_args = 1..)]
    paths: Vec<PathBuf>,
    /// The same, as `diff` and `validate` take them.
    #[arg(value_name = "PATH")]
    more: Vec<PathBuf>,
    /// Say what would be done, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Wait until what was put is served and ready.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// How long to wait.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, requires = "wait")]
    timeout: Duration,
    #[command(flatten)]
    place: Place,
}

impl Apply {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let input = checked(&[self.paths.as_slice(), self.more.as_slice()].concat(), "nothing has been applied")?;
        let documents = documents(&input).map_err(Failure::Failed)?;
        self.put(&documents).map_err(Failure::Failed)?;
        if self.wait {
            converse(served::wait(&self.place.client, &documents, self.timeout)).map_err(Failure::Failed)?;
        }
        Ok(())
    }

    fn put(&self, documents: &[Document]) -> anyhow::Result<()> {
        let directory = Directory::open(&self.place)?;
        let mut plan = directory.read()?;
        let outcomes = documents.iter().map(|document| plan.put(document)).collect::<Result<Vec<_>, _>>()?;
        if self.dry_run {
            directory.check(&plan)?;
        } else {
            directory.write(&plan)?;
        }
        let dry = if self.dry_run { " (dry run)" } else { "" };
        let line = |(document, outcome): (&Document, Outcome)| format!("{} {}{dry}\n", qualified(&document.name), done(outcome));
        print(&documents.iter().zip(outcomes).map(line).collect::<String>())
    }
}

/// The manifests of these paths, if all are good; else every error is shown.
pub(super) fn checked(paths: &[PathBuf], otherwise: &str) -> Result<Input, Failure> {
    let input = Input::read(paths);
    let findings = Findings::of_printed(&input);
    if findings.all_well() {
        return Ok(input);
    }
    findings.show(render::on_stderr());
    Err(match (findings.unread.len(), findings.invalid) {
        (0, 1) => Failure::Failed(anyhow!("{otherwise}: a manifest is invalid")),
        (0, invalid) => Failure::Failed(anyhow!("{otherwise}: {invalid} manifests are invalid")),
        _ => Failure::Usage(anyhow!("{otherwise}: not everything can be read")),
    })
}

/// Every document of manifests that are good. Two of one name are an error: which one is meant?
pub(super) fn documents(input: &Input) -> anyhow::Result<Vec<Document>> {
    let mut places: BTreeMap<Name, &str> = BTreeMap::new();
    let mut documents = Vec::new();
    for manifest in &input.manifests {
        for document in of_file(manifest) {
            if let Some(first) = places.insert(document.name.clone(), &manifest.file) {
                bail!("{} is in {first} and in {}; give one of the two", document.name, manifest.file);
            }
            documents.push(document);
        }
    }
    if documents.is_empty() {
        bail!("no objects given; the files hold none");
    }
    Ok(documents)
}

fn of_file(manifest: &Manifest) -> Vec<Document> {
    let text = manifest.text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&manifest.text);
    let sections: Vec<_> = sections::sections(text).into_iter().filter(sections::Section::is_something).collect();
    let alone = sections.len() == 1;
    let of_section = |section: &sections::Section| {
        let body = &text[section.body.clone()];
        if let Some(objects) = manifest::unprinted(body) {
            return objects.iter().filter_map(rewritten).collect();
        }
        let written = |name| Document { name, text: body.into(), whole: alone.then(|| text.into()), json: None };
        section.name().map(written).into_iter().collect::<Vec<_>>()
    };
    sections.iter().flat_map(of_section).collect()
}

/// An object that `get` printed, as a document.
fn rewritten(object: &Value) -> Option<Document> {
    let kind = match object["kind"].as_str()? {
        "App" => manifest::Kind::App,
        "Gateway" => manifest::Kind::Gateway,
        _ => return None,
    };
    let name = Name { kind, name: object["metadata"]["name"].as_str()?.to_owned() };
    let json = format!("{object:#}\n").into_bytes();
    Some(Document { name, text: yaml::render(object).ok()?.into_bytes().into(), whole: None, json: Some(json.into()) })
}

/// `app.lxcproxy.dev/ttrss`, as kubectl names objects.
fn qualified(name: &Name) -> String {
    format!("{}.{API_GROUP}/{}", kind(name.kind), name.name)
}

/// The kind in small letters.
pub(super) fn kind(kind: manifest::Kind) -> &'static str {
    match kind {
        manifest::Kind::App => "app",
        manifest::Kind::Gateway => "gateway",
    }
}

fn done(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Created => "created",
        Outcome::Configured => "configured",
        Outcome::Unchanged => "unchanged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Kind;

    fn app(name: &str) -> String {
        format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec: {{rules: [{{}}]}}\n")
    }

    fn input(files: &[(&str, &str)]) -> Input {
        let manifest = |(argument, (file, text)): (usize, &(&str, &str))| Manifest {
            file: (*file).to_owned(),
            text: text.as_bytes().into(),
            argument,
        };
        Input { manifests: files.iter().enumerate().map(manifest).collect(), ..Input::default() }
    }

    #[test]
    fn documents_are_taken_as_they_are_written() {
        let both = format!("# a\n{}---\n# b\n{}", app("a"), app("b"));
        let single = format!("\u{feff}# licence\n---\n{}", app("c"));
        let found = documents(&input(&[("x.yaml", &both), ("y.yaml", &single)])).unwrap();
        let text = |document: &Document| String::from_utf8(document.text.to_vec()).unwrap();
        assert_eq!(found.iter().map(text).collect::<Vec<_>>(), [format!("# a\n{}", app("a")), format!("# b\n{}", app("b")), app("c")]);
        assert_eq!((found[0].whole.clone(), found[2].whole.as_deref()), (None, single.strip_prefix('\u{feff}').map(str::as_bytes)));
    }

    #[test]
    fn two_objects_of_one_name_are_not_guessed_between() {
        let error = documents(&input(&[("x.yaml", &app("a")), ("y.yaml", &app("a"))])).unwrap_err().to_string();
        assert_eq!(error, "App `a` is in x.yaml and in y.yaml; give one of the two");
        assert!(documents(&input(&[("x.yaml", "# nothing\n")])).is_err());
        let gateway =
            "apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {listeners: [{name: a, port: 1, protocol: HTTP}]}\n";
        let both = documents(&input(&[("x.yaml", &app("a")), ("y.yaml", gateway)])).unwrap();
        assert_eq!(
            both.iter().map(|document| qualified(&document.name)).collect::<Vec<_>>(),
            ["app.lxcproxy.dev/a", "gateway.lxcproxy.dev/a"]
        );
        assert_eq!(both[1].name.kind, Kind::Gateway);
    }
}
