//! A field that stands in the wrong object -> the object that has it.
//!
//! In: a field's name, the schema of the object that it was found in, the whole schema. Out: a hint. Never: a guess at a misspelt name.

use serde_json::Value;

use super::nearest;

/// Objects within objects that are looked into, and references that lead to references.
const DEPTH: usize = 8;
/// A name that stands in more places than this says nothing.
const PLACES: usize = 2;

/// Where the field belongs: into an object that stands in `here`, or else to one that is anywhere in `spec`.
pub(super) fn hint(name: &str, here: &Value, whole: &Value) -> Option<String> {
    let within: Vec<String> =
        inner("", target(here, whole)?, whole).into_iter().filter(|(_, object)| has(object, name)).map(first).collect();
    if !within.is_empty() {
        return (within.len() <= PLACES).then(|| format!("it belongs into {}", listed(&within)));
    }
    let types = whole.get("$defs").and_then(Value::as_object).into_iter().flatten();
    if types.filter(|(_, type_)| has(type_, name)).count() > PLACES {
        return None;
    }
    let mut level = vec![("spec".to_owned(), target(whole.pointer("/properties/spec")?, whole)?)];
    for _ in 0..DEPTH {
        let found: Vec<String> = level.iter().filter(|(_, object)| has(object, name)).cloned().map(first).collect();
        if !found.is_empty() {
            let known: Vec<&str> = fields(target(here, whole)?).map(|(name, _)| name.as_str()).collect();
            let known = nearest::listed(&known, "known fields").map(|known| format!("; {known}")).unwrap_or_default();
            return Some(format!("it is a field of {}{known}", listed(&found)));
        }
        level = level.iter().flat_map(|(path, object)| inner(path, object, whole)).collect();
    }
    None
}

/// The objects that the fields of an object hold, alone or in lists.
fn inner<'a>(path: &str, object: &'a Value, whole: &'a Value) -> Vec<(String, &'a Value)> {
    let step = |(name, field): (&String, &'a Value)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let field = target(field, whole)?;
        match field.get("items") {
            Some(items) => Some((format!("{path}[]"), target(items, whole)?)),
            None => Some((path, field)),
        }
    };
    fields(object).filter_map(step).filter(|(_, object)| object.get("properties").is_some()).collect()
}

fn has(object: &Value, name: &str) -> bool {
    object.get("properties").is_some_and(|fields| fields.get(name).is_some())
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn first<T>((path, _): (String, T)) -> String {
    path
}

fn listed(paths: &[String]) -> String {
    nearest::list(&paths.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a `$ref` leads to; of a value that may be written in two ways the one with a `$ref`, which is the object.
fn target<'a>(mut schema: &'a Value, whole: &'a Value) -> Option<&'a Value> {
    for _ in 0..DEPTH {
        let ways = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        let object = ways.chain([schema]).find_map(|way| way.get("$ref"));
        let Some(reference) = object.and_then(Value::as_str) else { return Some(schema) };
        schema = whole.pointer(reference.trim_start_matches('#'))?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Kind, schema};

    #[test]
    fn a_field_in_the_wrong_object_is_sent_to_the_right_one() {
        let whole = schema(Kind::App);
        for (name, here, expected) in [
            ("requests", "Filter", Some("it belongs into `rateLimit`")),
            ("endpoints", "Backend", Some("it belongs into `http`, `fastcgi`")),
            ("hold", "Endpoint", Some("it is a field of `spec.backends[]`; known fields: `unix`, `tcp`, `port`")),
            ("codes", "Endpoint", Some("it is a field of `spec.rules[].retry`; known fields: `unix`, `tcp`, `port`")),
            ("port", "BackendRef", None),
            ("rateLimit", "Rule", Some("it belongs into `filters[]`")),
            ("filters", "AppSpec", Some("it belongs into `rules[]`")),
            ("pidFile", "AppSpec", Some("it belongs into `container`")),
            ("location", "Rule", None),
        ] {
            let here = &whole["$defs"][here];
            assert!(here.is_object(), "{name}");
            assert_eq!(hint(name, here, &whole).as_deref(), expected, "{name}");
        }
    }
}
