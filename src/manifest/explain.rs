//! What the schema found -> sentences in plain words, with hints.
//!
//! In: validation errors. Out: entries of a [`Report`]. Never: the words `anyOf` or `pattern mismatch`; two errors about one value.

use std::collections::{BTreeMap, HashSet};

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::cure;
use super::elsewhere;
use super::formats;
use super::nearest;
use super::node::{Cursor, Data};
use super::printed;
use super::report::Report;
use super::schema::Form;
use crate::names::shown;

/// What is wrong with a value. Of several findings about one value the one with the least rank is told.
struct Finding<'a> {
    at: Cursor<'a>,
    rank: u8,
    message: String,
    hint: Option<String>,
}

/// Collects findings of one document.
struct Explainer<'a, 'r, 'f> {
    schema: &'a Value,
    root: &'a Cursor<'a>,
    report: &'r mut Report<'f>,
    findings: BTreeMap<String, Finding<'a>>,
    /// Object, field that it lacks, hint.
    missing: Vec<(Cursor<'a>, String, Option<String>)>,
    /// Object and field that an unknown one was most likely meant to be.
    meant: HashSet<(String, &'a str)>,
}

/// Reports everything that the schema finds.
pub(super) fn explain<'a>(form: &'a Form, value: &Value, root: &'a Cursor<'a>, report: &mut Report<'_>) {
    let mut explainer =
        Explainer { schema: &form.schema, root, report, findings: BTreeMap::new(), missing: Vec::new(), meant: HashSet::new() };
    for error in form.validator.iter_errors(value) {
        explainer.visit(&error);
    }
    let Explainer { findings, missing, meant, .. } = explainer;
    for finding in findings.into_values() {
        report.value(&finding.at, finding.message, finding.hint);
    }
    for (at, name, hint) in missing {
        if !meant.contains(&(at.path.clone(), name.as_str())) {
            report.object(&at, format!("missing field `{name}`"), hint);
        }
    }
}

impl<'a> Explainer<'a, '_, '_> {
    fn visit(&mut self, error: &ValidationError<'_>) {
        let Some(at) = self.locate(error) else { return };
        match error.kind() {
            Kind::AnyOf { context } => self.visit_branches(&at, error, context),
            Kind::AdditionalProperties { unexpected } => {
                for name in unexpected {
                    self.unknown(&at, error, name);
                }
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default().to_owned();
                let hint = self.sibling(error, "properties").and_then(|known| self.wanted(known.get(&name)?));
                self.missing.push((at, name, hint));
            }
            kind => {
                let (rank, message, hint) = self.judge(&at, error, kind);
                let finding = Finding { at, rank, message, hint };
                match self.findings.get(&finding.at.path) {
                    Some(known) if known.rank <= finding.rank => {}
                    _ => drop(self.findings.insert(finding.at.path.clone(), finding)),
                }
            }
        }
    }

    /// Of several ways to write a value the one that its type fits is what was meant.
    fn visit_branches(&mut self, at: &Cursor<'a>, error: &ValidationError<'_>, branches: &[Vec<ValidationError<'static>>]) {
        let fits = |branch: &&Vec<ValidationError<'static>>| {
            !branch.iter().any(|inner| matches!(inner.kind(), Kind::Type { .. }) && inner.instance_path() == error.instance_path())
        };
        if let Some(branch) = branches.iter().find(fits) {
            for inner in branch {
                self.visit(inner);
            }
            return;
        }
        let wanted = branches.iter().flatten().filter_map(|inner| match inner.kind() {
            Kind::Type { kind } => Some(types(kind)),
            _ => None,
        });
        let wanted: Vec<_> = wanted.collect();
        let message = format!("expected {}, found {}", wanted.join(" or "), at.node.describe());
        self.report.value(at, message, null_hint(at));
    }

    fn unknown(&mut self, at: &Cursor<'a>, error: &ValidationError<'_>, name: &str) {
        let fields = self.sibling(error, "properties").and_then(Value::as_object);
        let known: Vec<&str> = fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect();
        let absent: Vec<&str> = known.iter().copied().filter(|known| at.get(known).is_none()).collect();
        let meant = nearest::nearest(name, &absent);
        self.meant.extend(meant.map(|meant| (at.path.clone(), meant)));
        let here = self.parent(error);
        let hint = nearest::meant(name, &absent)
            .or_else(|| elsewhere::hint(name, here?, self.schema))
            .or_else(|| nearest::listed(&known, "known fields"));
        if let Some(field) = at.get(name) {
            let hint = if printed::is_set_by_daemon(&field.path) { Some("the daemon sets it; leave it out".to_owned()) } else { hint };
            self.report.unknown(at, &field, format!("unknown field `{}`", shown(name)), hint);
        }
    }

    /// Rank, message and hint for a value that does not fit.
    fn judge(&self, at: &Cursor<'_>, error: &ValidationError<'_>, kind: &Kind) -> (u8, String, Option<String>) {
        let text = at.text().unwrap_or_default();
        match kind {
            Kind::Type { kind } => (0, format!("expected {}, found {}", types(kind), at.node.describe()), self.type_hint(at, error, kind)),
            Kind::Constant { .. } | Kind::Enum { .. } | Kind::OneOfNotValid { .. } => choice(at, kind),
            Kind::Format { format } => {
                let sentence = formats::complaint(format, text).unwrap_or_else(|| format!("`{}` is not a {format}", shown(text)));
                let (message, hint) = sentence.split_once("; ").map_or((sentence.as_str(), None), |(message, hint)| (message, Some(hint)));
                let hints: Vec<String> = hint.map(str::to_owned).into_iter().chain(cure::meant(format, text)).collect();
                (2, message.to_owned(), (!hints.is_empty()).then(|| hints.join("; ")))
            }
            Kind::MinLength { limit: 1 } => (3, "is empty".to_owned(), self.described(error)),
            Kind::MinLength { limit } => (3, format!("expected at least {limit} characters, found {}", text.chars().count()), None),
            Kind::MaxLength { limit } => (3, format!("expected at most {limit} characters, found {}", text.chars().count()), None),
            Kind::MinItems { limit: 1 } => (3, "the list is empty".to_owned(), Some("expected at least one entry".to_owned())),
            Kind::MinItems { limit } => (3, format!("expected at least {limit} entries, found {}", at.items().len()), None),
            Kind::MaxItems { limit } => (3, format!("expected at most {limit} entries, found {}", at.items().len()), None),
            Kind::Minimum { limit } => (3, format!("expected at least {limit}, found {}", plain(at)), None),
            Kind::Maximum { limit } => (3, format!("expected at most {limit}, found {}", plain(at)), None),
            Kind::Pattern { pattern } => {
                let upper = pattern.contains("[A-Z]") && !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic());
                let described = match self.described(error) {
                    _ if upper => format!("did you mean `{}`?", text.to_ascii_uppercase()),
                    Some(described) => described,
                    None => format!("expected the form `{pattern}`"),
                };
                (4, format!("`{}` does not have the form that is expected here", shown(text)), Some(described))
            }
            other => (5, format!("expected something else, found {} ({})", at.node.describe(), other.keyword()), self.described(error)),
        }
    }

    fn type_hint(&self, at: &Cursor<'_>, error: &ValidationError<'_>, kind: &TypeKind) -> Option<String> {
        let hint = match (kind, &at.node.data) {
            (_, Data::Null) => return null_hint(at),
            (TypeKind::Single(JsonType::String), Data::Number(number)) => {
                if self.is_duration(error) {
                    format!("a duration has a unit: `{number}s`")
                } else {
                    format!("put it in quotes: \"{number}\"")
                }
            }
            (TypeKind::Single(JsonType::String), Data::Bool(_)) if self.is_duration(error) => "a duration has a unit: `10s`".to_owned(),
            (TypeKind::Single(JsonType::String), Data::Bool(value)) => format!("put it in quotes: \"{value}\""),
            (TypeKind::Single(JsonType::Array), Data::Text(text)) => format!("write it as a list: [{}]", shown(text)),
            (TypeKind::Single(JsonType::Array), Data::Number(number)) => format!("write it as a list: [{number}]"),
            (TypeKind::Single(JsonType::Array), Data::Map(_)) => "start each entry with `- `".to_owned(),
            (TypeKind::Single(JsonType::String), Data::Map(_)) if at.text_of("name").is_some() => {
                format!("write the name alone: `{}`", shown(at.text_of("name").unwrap_or_default()))
            }
            (TypeKind::Single(JsonType::String), Data::Map(_)) => "a value that starts with `{` needs quotes".to_owned(),
            (TypeKind::Single(JsonType::Object), Data::List(_)) => "write its fields, `name: value`, without `- `".to_owned(),
            (TypeKind::Single(JsonType::Object), Data::Text(text)) => {
                let fields = self.sibling(error, "properties")?;
                let field = ["name", "type"].into_iter().find(|field| fields.get(field).is_some())?;
                format!("write it as an object: {{{field}: {}}}", shown(text))
            }
            (TypeKind::Single(JsonType::Boolean), Data::Text(text)) => match text.to_ascii_lowercase().as_str() {
                "true" => "write `true`, without quotes".to_owned(),
                "false" => "write `false`, without quotes".to_owned(),
                "yes" | "on" => "write `true`".to_owned(),
                "no" | "off" => "write `false`".to_owned(),
                _ => return None,
            },
            (TypeKind::Single(JsonType::Integer), Data::Text(text)) if text.parse::<u64>().is_ok() => {
                let zeros = text.len() > 1 && text.starts_with('0');
                (if zeros { "write it without leading zeros" } else { "write it without quotes" }).to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }

    fn is_duration(&self, error: &ValidationError<'_>) -> bool {
        self.sibling(error, "format").and_then(Value::as_str) == Some("gep-2257-duration")
    }

    /// What is to be written: the schema's own words, and the type.
    fn wanted(&self, schema: &Value) -> Option<String> {
        let words = description(schema)?;
        let mut target = schema;
        while let Some(reference) = target.get("$ref").and_then(Value::as_str) {
            target = self.schema.pointer(reference.trim_start_matches('#'))?;
        }
        let options = target.get("enum").or_else(|| target.get("oneOf")).and_then(Value::as_array);
        let options: Vec<&str> =
            options.into_iter().flatten().filter_map(|option| option.get("const").unwrap_or(option).as_str()).collect();
        match target.get("type").and_then(Value::as_str) {
            _ if options.len() > 1 => Some(format!("{words}: one of {}", nearest::list(&options))),
            Some("integer") => Some(format!("{words}: an integer")),
            _ => Some(words),
        }
    }

    /// The schema's own words about the value.
    fn described(&self, error: &ValidationError<'_>) -> Option<String> {
        description(self.parent(error)?)
    }

    /// Another keyword of the schema that the error comes from.
    fn sibling(&self, error: &ValidationError<'_>, keyword: &str) -> Option<&'a Value> {
        self.parent(error)?.get(keyword)
    }

    fn parent(&self, error: &ValidationError<'_>) -> Option<&'a Value> {
        let (parent, _keyword) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(parent)
    }

    fn locate(&self, error: &ValidationError<'_>) -> Option<Cursor<'a>> {
        error.instance_path().into_iter().try_fold(self.root.clone(), |at, segment| at.step(&segment.to_string()))
    }
}

/// A word that is none of the known ones.
fn choice(at: &Cursor<'_>, kind: &Kind) -> (u8, String, Option<String>) {
    let mut options = Vec::new();
    collect_options(kind, &mut options);
    let words: Vec<String> = options.iter().map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let list = nearest::list(&words);
    let one_of = if words.len() == 1 { "" } else { "one of " };
    match at.text() {
        Some(text) if options.iter().all(Value::is_string) => {
            (1, format!("expected {one_of}{list}, found `{}`", shown(text)), nearest::meant(text, &words))
        }
        _ => (1, format!("expected {one_of}{list}, found {}", at.node.describe()), None),
    }
}

fn collect_options(kind: &Kind, options: &mut Vec<Value>) {
    match kind {
        Kind::Constant { expected_value } => options.push((**expected_value).clone()),
        Kind::Enum { options: known } => options.extend(known.as_array().into_iter().flatten().cloned()),
        Kind::OneOfNotValid { context } => {
            for inner in context.iter().flatten() {
                collect_options(inner.kind(), options);
            }
        }
        _ => {}
    }
}

/// For a key that stands alone.
fn null_hint(at: &Cursor<'_>) -> Option<String> {
    matches!(at.node.data, Data::Null).then(|| "a field that is written needs a value, or is left out".to_owned())
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => type_name(*one).to_owned(),
        TypeKind::Multiple(several) => several.iter().map(type_name).collect::<Vec<_>>().join(" or "),
    }
}

fn type_name(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Null => "nothing",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "a list",
        JsonType::Object => "an object",
    }
}

fn plain(at: &Cursor<'_>) -> String {
    match &at.node.data {
        Data::Number(number) => number.to_string(),
        _ => at.node.describe(),
    }
}

/// The first sentence of a description, to stand behind a semicolon.
fn description(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let sentence = text.split(". ").next().unwrap_or(text).trim_end_matches('.').replace('\n', " ");
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect())
}
