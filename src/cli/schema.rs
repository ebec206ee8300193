//! `lxcproxy schema`: a kind -> its JSON Schema.

use clap::{Args, ValueEnum};

use crate::manifest;

/// Print the JSON Schema of a kind of manifest, for editors and CI
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lxcproxy schema app > app.v1.json")]
pub(super) struct Schema {
    /// The kind.
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    App,
    Gateway,
}

impl Schema {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        let kind = match self.kind {
            Kind::App => manifest::Kind::App,
            Kind::Gateway => manifest::Kind::Gateway,
        };
        super::print(&format!("{:#}\n", manifest::schema(kind)))
    }
}
