//! `rules[].files`: files of the container that are sent, or run as scripts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ContainerPath, SectionName};

/// Files of the container: file = `root` + request path (nginx `root`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Files {
    /// The document root as the container sees it.
    pub root: ContainerPath,
    /// Names that answer for a directory, in this order. Default `index.html`.
    #[serde(default = "index_html")]
    #[schemars(extend("items" = {"type": "string", "format": "file-name"}))]
    pub index: Vec<String>,
    /// Candidates, the first that is there; if none is, the backends answer, else 404. A front controller: `["{path}", /index.php]`.
    /// Default `["{path}"]`.
    #[serde(rename = "try", default = "request_path")]
    #[schemars(length(min = 1, max = 16), extend("items" = {"type": "string", "format": "template"}))]
    pub try_: Vec<String>,
    /// Extensions that are run by a backend, and never sent as bytes. Without an entry, a script is a file like any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<Script>,
    /// Names that start with a dot, other than `.well-known`. Default `Deny`.
    #[serde(default)]
    pub hidden: Hidden,
    /// Symbolic links. None of these ever leads out of the container. Default `Follow`.
    #[serde(default)]
    pub symlinks: Symlinks,
    /// The `Cache-Control` of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "header-value"))]
    pub cache_control: Option<String>,
    /// Whether a directory without an index shows what is in it, as HTML or, to clients that ask for it, JSON (nginx `autoindex`). Default
    /// `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listing: bool,
    /// Siblings that are sent instead, to clients that accept them (`style.css.br`); the first of those that a client likes alike. One that
    /// is older than its file is not sent. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precompressed: Vec<Precompressed>,
}

fn index_html() -> Vec<String> {
    vec!["index.html".to_owned()]
}

fn request_path() -> Vec<String> {
    vec!["{path}".to_owned()]
}

/// An extension and the backend that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Script {
    /// With its dot: `.php`. Compared byte by byte.
    #[schemars(regex(pattern = r"^\.[A-Za-z0-9_-]+$"))]
    pub extension: String,
    /// The name of one of `spec.backends`, of protocol `fastcgi`.
    pub backend: SectionName,
}

/// What happens to names that start with a dot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Hidden {
    /// 404
    #[default]
    Deny,
    /// As any other.
    Allow,
}

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Symlinks {
    /// Anywhere in the container, as a process of its own would see them.
    #[default]
    Follow,
    /// Only those that stay beneath `root`.
    Beneath,
    /// None.
    Deny,
}

/// A content coding of a sibling file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precompressed {
    /// `.zst`
    Zstd,
    /// `.br`
    Br,
    /// `.gz`
    Gzip,
}
