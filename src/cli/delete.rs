//! `lxcproxy delete`: names -> their documents are gone from the manifest directory.
//!
//! In: `app/NAME`, or the manifests that name them. Out: changed files, a line for each object. Never: a touch on other documents of a file.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Args;

use super::apply::{self, documents};
use super::directory::{Directory, Name, Place};
use super::input::Input;
use super::kind::{self, Reference, Selection};
use super::{Failure, print};
use crate::api::v1::API_GROUP;
use crate::manifest::Kind;

/// Take manifests out of the manifest directory; a running daemon ends their routes, and finishes the requests in flight
///
/// Of a file with several documents only the one is taken out; a file that holds nothing else is removed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lxcproxy delete app/ttrss
  lxcproxy delete app ttrss wiki
  lxcproxy delete app/ttrss gateway/edge --dry-run
  lxcproxy delete -f ttrss.yaml")]
pub(super) struct Delete {
    /// `app/NAME` and `gateway/NAME`, or `app NAME...`.
    #[arg(required_unless_present = "paths", conflicts_with = "paths", value_name = "KIND/NAME")]
    names: Vec<String>,
    /// The objects that these files and directories hold; `-` is standard input.
    #[arg(short = 'f', long = "filename", value_name = "PATH", num_args = 1..)]
    paths: Vec<PathBuf>,
    /// What is not there is no error.
    #[arg(long)]
    ignore_not_found: bool,
    /// Say what would be done, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: Place,
}

impl Delete {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let names = if self.paths.is_empty() { names(&self.names).map_err(Failure::Usage)? } else { self.named()? };
        let missing = self.remove(&names).map_err(Failure::Failed)?;
        if missing.is_empty() || self.ignore_not_found {
            return Ok(());
        }
        let missing: Vec<_> = missing.into_iter().map(quoted).collect();
        Err(Failure::Failed(anyhow!("{} not found", missing.join(", "))))
    }

    /// The names in the files. They need not be valid, but read.
    fn named(&self) -> Result<Vec<Name>, Failure> {
        let input = Input::read(&self.paths);
        if let Some(unread) = input.unread.first() {
            return Err(Failure::Usage(anyhow!("{unread}")));
        }
        documents(&input).map(|documents| documents.into_iter().map(|document| document.name).collect()).map_err(Failure::Failed)
    }

    /// Returns the names that were not there.
    fn remove<'n>(&self, names: &'n [Name]) -> anyhow::Result<Vec<&'n Name>> {
        let directory = Directory::open(&self.place)?;
        let mut plan = directory.read()?;
        let (mut gone, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            if plan.remove(name)? { gone.push(name) } else { missing.push(name) }
        }
        if self.dry_run {
            directory.check(&plan)?;
        } else {
            directory.write(&plan)?;
        }
        let dry = if self.dry_run { " (dry run)" } else { "" };
        let line = |name: &&Name| [&quoted(name), " deleted", dry, "\n"].concat();
        print(&gone.iter().map(line).collect::<String>())?;
        Ok(missing)
    }
}

/// `app.lxcproxy.dev "ttrss"`
fn quoted(name: &Name) -> String {
    format!("{}.{API_GROUP} \"{}\"", apply::kind(name.kind), name.name)
}

/// `app/ttrss`, `app ttrss` -> kinds and names.
fn names(words: &[String]) -> anyhow::Result<Vec<Name>> {
    let references = match Selection::parse(words)? {
        Selection::Named(references) => references,
        Selection::Kinds(_) => bail!("which one? expected app/NAME or gateway/NAME"),
    };
    let name = |Reference { kind, name }| match kind {
        kind::Kind::App => Ok(Name { kind: Kind::App, name }),
        kind::Kind::Gateway => Ok(Name { kind: Kind::Gateway, name }),
        kind::Kind::Source | kind::Kind::Event | kind::Kind::Backend => {
            bail!("only Apps and Gateways have a manifest; expected app/NAME or gateway/NAME")
        }
    };
    references.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str) -> anyhow::Result<Vec<String>> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        names(&words).map(|names| names.iter().map(quoted).collect())
    }

    #[test]
    fn objects_are_named_as_kubectl_takes_them() {
        assert_eq!(named("app/ttrss gateways/edge").unwrap(), ["app.lxcproxy.dev \"ttrss\"", "gateway.lxcproxy.dev \"edge\""]);
        assert_eq!(named("app ttrss wiki").unwrap(), ["app.lxcproxy.dev \"ttrss\"", "app.lxcproxy.dev \"wiki\""]);
        for bad in ["ttrss", "app", "app/", "pod/x", "/x", "source/manifests", "app/x y"] {
            assert!(named(bad).is_err(), "{bad}");
        }
    }
}
