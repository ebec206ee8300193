//! `lxcproxy schema`: a kind -> its JSON Schema; the admin API -> its OpenAPI document.

use clap::{Args, ValueEnum};

use crate::{admin, manifest};

/// Print the JSON Schema of a kind of manifest, for editors and CI, or the OpenAPI document of the admin socket
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lxcproxy schema app > app.v1.json\n  lxcproxy schema openapi > openapi.v1.json")]
pub(super) struct Schema {
    /// The kind, or `openapi`.
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    App,
    Gateway,
    Openapi,
}

impl Schema {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        let schema = match self.kind {
            Kind::App => manifest::schema(manifest::Kind::App),
            Kind::Gateway => manifest::schema(manifest::Kind::Gateway),
            Kind::Openapi => admin::openapi(),
        };
        super::print(&format!("{schema:#}\n"))
    }
}
