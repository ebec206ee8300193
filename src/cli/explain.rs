//! `lxcproxy explain`: the path of a field -> what it means, what it holds, what it is if it is left out.
//!
//! In: `app.spec.rules.files`. Out: the page that `kubectl explain` prints. Never: a word about fields that is not in the schema.

mod field;

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use self::field::Field;
use super::{Failure, print};
use crate::api::v1::API_VERSION;
use crate::manifest::{self, Kind};

/// Characters of a line, about.
const WIDTH: usize = 80;
/// Objects in each other that `--recursive` shows.
const DEPTH: usize = 12;

/// Explain a kind of manifest, or a field of it: what it means, its type, its default
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lxcproxy explain app\n  lxcproxy explain app.spec.rules.files\n  lxcproxy explain gateway.spec --recursive"
)]
pub(super) struct Explain {
    /// `app` or `gateway`, and the field below it, with dots between.
    #[arg(value_name = "FIELD")]
    path: String,
    /// The fields of all fields, without their descriptions.
    #[arg(long)]
    recursive: bool,
}

impl Explain {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let (kind, path) = split(&self.path).map_err(|error| Failure::Failed(anyhow!(error)))?;
        let schema = manifest::schema(kind);
        let page = page(kind, &schema, &path, self.recursive).map_err(|error| Failure::Failed(anyhow!(error)))?;
        print(&page).map_err(Failure::Failed)
    }
}

/// `apps.spec.rules[0]` -> the kind, and `spec`, `rules`.
fn split(path: &str) -> Result<(Kind, Vec<&str>), String> {
    let mut segments = path.split('.').map(|segment| segment.split('[').next().unwrap_or(segment));
    let kind = segments.next().unwrap_or_default();
    let kind = match kind.to_ascii_lowercase().as_str() {
        "app" | "apps" => Kind::App,
        "gateway" | "gateways" => Kind::Gateway,
        _ => {
            let hint = manifest::meant(kind, &["app", "gateway"])
                .unwrap_or_else(|| "a path starts with `app` or `gateway`, such as `app.spec`".to_owned());
            return Err(format!("there is no kind `{kind}`; {hint}"));
        }
    };
    Ok((kind, segments.filter(|segment| !segment.is_empty()).collect()))
}

fn page(kind: Kind, schema: &Value, path: &[&str], recursive: bool) -> Result<String, String> {
    let field = find(Field::root(schema), kind, path)?;
    let mut page = format!("KIND:       {kind}\nVERSION:    {API_VERSION}\n\n");
    if !path.is_empty() {
        // Writing to a string does not fail, here and below.
        let _ = write!(page, "FIELD: {} {}\n{}\n", field.name, field.type_name(), limits(field, ""));
    }
    page.push_str("DESCRIPTION:\n");
    for paragraph in field.description() {
        page.push_str(&wrapped(paragraph, "    "));
    }
    let fields = field.fields();
    if !fields.is_empty() {
        page.push_str("\nFIELDS:\n");
    }
    for inner in fields {
        if recursive {
            tree(inner, 1, &mut page);
        } else {
            let _ = write!(page, "{}{}", heading(inner, "  "), limits(inner, "  "));
            page.push_str(&wrapped(&words(&inner.description()), "    "));
            page.push('\n');
        }
    }
    Ok(page)
}

/// What is said of a field in a list: the field's own words, and those of its type where the former name nothing but the type.
fn words(description: &[&str]) -> String {
    let enough = if description.first().is_some_and(|first| first.starts_with("For `")) { 2 } else { 1 };
    description.iter().take(enough).copied().collect::<Vec<_>>().join(" ")
}

/// Follows the path; one that leads nowhere says which word is wrong.
fn find<'s>(root: Field<'s>, kind: Kind, path: &[&str]) -> Result<Field<'s>, String> {
    let mut at = root;
    let mut walked = kind.to_string().to_ascii_lowercase();
    for name in path {
        let fields = at.fields();
        let Some(next) = fields.iter().find(|field| field.name == *name) else {
            let known: Vec<_> = fields.iter().map(|field| field.name).collect();
            let hint = match manifest::meant(name, &known) {
                Some(hint) => hint,
                None if known.is_empty() => "it has no fields".to_owned(),
                None => format!("it has {}", known.join(", ")),
            };
            return Err(format!("there is no field `{name}` in `{walked}`; {hint}"));
        };
        at = *next;
        walked = format!("{walked}.{name}");
    }
    Ok(at)
}

/// Name and type; a tab stands between them, as kubectl writes it.
fn heading(field: Field<'_>, indent: &str) -> String {
    let required = if field.required { " -required-" } else { "" };
    format!("{indent}{}\t{}{required}\n", field.name, field.type_name())
}

/// The words that are allowed and the default, a line each.
fn limits(field: Field<'_>, indent: &str) -> String {
    let options = field.options();
    let options = (!options.is_empty()).then(|| format!("{indent}enum: {}\n", options.join(", ")));
    let default = field.default().map(|default| format!("{indent}default: {default}\n"));
    options.into_iter().chain(default).collect()
}

fn tree(field: Field<'_>, depth: usize, page: &mut String) {
    let indent = "  ".repeat(depth);
    page.push_str(&heading(field, &indent));
    page.push_str(&limits(field, &indent));
    if depth < DEPTH {
        field.fields().into_iter().for_each(|inner| tree(inner, depth + 1, page));
    }
}

/// Lines of bounded width, each indented.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > indent.len() {
            lines.push_str(&line);
            lines.push('\n');
            indent.clone_into(&mut line);
        }
        if line.len() > indent.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(path: &str, recursive: bool) -> Result<String, String> {
        let (kind, path) = split(path)?;
        page(kind, &manifest::schema(kind), &path, recursive)
    }

    #[test]
    fn a_field_is_explained_as_kubectl_does() {
        let page = explain("app.spec.rules.files", false).unwrap();
        let head = "\
KIND:       App
VERSION:    lxcproxy.dev/v1

FIELD: files <Files>

DESCRIPTION:
    Files of the container, tried before the backends.
    Files of the container: file = `root` + request path (nginx `root`).

FIELDS:
  cacheControl\t<string>
    The `Cache-Control` of files.

  hidden\t<string>
  enum: Deny, Allow
  default: Deny
";
        assert!(page.starts_with(head), "{page}");
        assert!(page.contains("\n  root\t<string> -required-\n") && page.contains("\n  scripts\t<[]Script>\n"), "{page}");
        assert!(page.contains("\n  index\t<[]string>\n  default: [\"index.html\"]\n"), "{page}");
    }

    #[test]
    fn a_list_of_filters_says_what_each_does() {
        let page = explain("app.spec.rules.filters", false).unwrap();
        assert!(page.contains("  basicAuth\t<BasicAuth>\n    For `BasicAuth`. Name and password,"), "{page}");
    }

    #[test]
    fn kinds_maps_alternatives_and_scalars_have_a_page() {
        let app = explain("apps", false).unwrap();
        assert!(app.contains("\n  spec\t<AppSpec> -required-\n") && !app.contains("FIELD:"), "{app}");
        assert!(explain("app.metadata", false).unwrap().contains("\n  labels\t<map[string]string>\n"));
        assert!(explain("app.spec.container", false).unwrap().contains("FIELD: container <string or ContainerObject>\n"));
        assert!(explain("app.spec.container.rootfs", false).is_ok());
        let size = explain("app.spec.rules[0].limits.requestBody", false).unwrap();
        assert!(size.contains("<integer or string>\ndefault: 1048576\n") && !size.contains("FIELDS:"), "{size}");
        assert!(explain("Gateway.spec.listeners.protocol", false).unwrap().contains("<string>\nenum: HTTP, HTTPS\n"));
    }

    #[test]
    fn every_field_can_be_asked_for_and_is_in_the_tree() {
        fn ask(field: Field<'_>, path: &str, asked: &mut usize) {
            assert!(explain(path, false).is_ok_and(|page| page.contains("DESCRIPTION:\n    ")), "{path}");
            *asked += 1;
            for inner in field.fields() {
                ask(inner, &format!("{path}.{}", inner.name), asked);
            }
        }
        for kind in ["app", "gateway"] {
            let schema = manifest::schema(split(kind).unwrap().0);
            let mut asked = 0;
            ask(Field::root(&schema), kind, &mut asked);
            let tree = explain(kind, true).unwrap();
            assert_eq!(tree.lines().filter(|line| line.starts_with("  ") && line.contains('\t')).count(), asked - 1, "{tree}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_says_what_was_meant() {
        for (path, said) in [
            ("pod", "there is no kind `pod`; a path starts with `app` or `gateway`, such as `app.spec`"),
            ("gatway", "there is no kind `gatway`; did you mean `gateway`?"),
            ("app.spec.rule.files", "there is no field `rule` in `app.spec`; did you mean `rules`?"),
            ("app.metadata.uid", "there is no field `uid` in `app.metadata`; it has annotations, labels, name"),
            ("app.spec.hostnames.x", "there is no field `x` in `app.spec.hostnames`; it has no fields"),
        ] {
            assert_eq!(explain(path, false), Err(said.to_owned()));
        }
    }
}
