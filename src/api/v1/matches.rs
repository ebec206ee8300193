//! `rules[].matches`: which requests a rule is for (Gateway API `HTTPRouteMatch`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One way to match: all that is set has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteMatch {
    /// The path. Default: prefix `/`.
    #[serde(default)]
    pub path: PathMatch,
    /// The method, in upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[A-Z]+$"))]
    pub method: Option<String>,
    /// Fields of the head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<ValueMatch>,
    /// Parameters of the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub query_params: Vec<ValueMatch>,
}

impl RouteMatch {
    /// What a rule without `matches` matches.
    #[must_use]
    pub fn everything() -> Vec<Self> {
        vec![Self { path: PathMatch::default(), method: None, headers: Vec::new(), query_params: Vec::new() }]
    }
}

/// How the path has to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PathMatch {
    /// How `value` is compared. Default `PathPrefix`.
    #[serde(rename = "type", default)]
    pub type_: PathMatchType,
    /// The path, prefix or expression. Default `/`.
    #[serde(default = "slash")]
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

fn slash() -> String {
    "/".to_owned()
}

impl Default for PathMatch {
    fn default() -> Self {
        Self { type_: PathMatchType::PathPrefix, value: slash() }
    }
}

/// How a path is compared (Gateway API `PathMatchType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathMatchType {
    /// The whole path, byte by byte.
    Exact,
    /// Whole elements from the start; a trailing `/` of the value is ignored.
    #[default]
    PathPrefix,
    /// The whole path by an expression (syntax of the crate `regex`), anchored at both ends.
    RegularExpression,
}

/// A header or query parameter, and the value that it must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueMatch {
    /// How `value` is compared. Default `Exact`.
    #[serde(rename = "type", default)]
    pub type_: MatchType,
    /// The field's name; case does not count for headers.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The value or expression.
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// How a value is compared (Gateway API `HeaderMatchType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MatchType {
    /// Byte by byte.
    #[default]
    Exact,
    /// By an expression, anchored at both ends.
    RegularExpression,
}
