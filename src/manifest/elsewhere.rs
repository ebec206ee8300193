//! A field that stands in the wrong object -> the object that has it.
//!
//! In: a field's name, the schema of the object that it was found in, the whole schema. Out: a hint. Never: a guess at a misspelt name.

use serde_json::Value;

use super::nearest;

/// Objects within objects that are looked into.
const DEPTH: usize = 8;
/// Places that are named; a name that stands in more of them says nothing.
const PLACES: usize = 2;

/// Where the field belongs: further inside of `here`, or else anywhere in `spec`.
pub(super) fn hint(name: &str, here: &Value, whole: &Value) -> Option<String> {
    let inside = places(name, target(here, whole)?, "", whole);
    if !inside.is_empty() {
        let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
        return Some(format!("it belongs into {}", nearest::list(&inside)));
    }
    let spec = target(whole.pointer("/properties/spec")?, whole)?;
    let places = places(name, spec, "spec", whole);
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    (!places.is_empty()).then(|| format!("it belongs to {}", nearest::list(&places)))
}

/// The objects nearest to `object` that have the field; none if they are too many, or if it is `object` itself.
fn places(name: &str, object: &Value, path: &str, whole: &Value) -> Vec<String> {
    let mut level = vec![(path.to_owned(), object)];
    for depth in 0..DEPTH {
        let has = |object: &Value| object.get("properties").is_some_and(|fields| fields.get(name).is_some());
        let found: Vec<String> =
            level.iter().filter(|(_, object)| has(object) && (depth > 0 || !path.is_empty())).map(|(path, _)| path.clone()).collect();
        if !found.is_empty() {
            return if found.len() > PLACES { Vec::new() } else { found };
        }
        level = level.iter().flat_map(|(path, object)| inner(path, object, whole)).collect();
    }
    Vec::new()
}

/// The objects that the fields of an object hold, alone or in lists.
fn inner<'a>(path: &str, object: &'a Value, whole: &'a Value) -> Vec<(String, &'a Value)> {
    let fields = object.get("properties").and_then(Value::as_object).into_iter().flatten();
    let step = |(name, field): (&String, &'a Value)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let field = target(field, whole)?;
        match field.get("items") {
            Some(items) => Some((format!("{path}[]"), target(items, whole)?)),
            None => Some((path, field)),
        }
    };
    fields.filter_map(step).filter(|(_, object)| object.get("properties").is_some()).collect()
}

/// What a `$ref` leads to.
fn target<'a>(mut schema: &'a Value, whole: &'a Value) -> Option<&'a Value> {
    for _ in 0..DEPTH {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
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
            ("hold", "HttpBackend", Some("it belongs to `spec.backends[]`")),
            ("retry", "Backend", Some("it belongs to `spec.rules[]`")),
            ("rateLimit", "Rule", Some("it belongs into `filters[]`")),
            ("filters", "AppSpec", Some("it belongs into `rules[]`")),
            ("errorPages", "Rule", Some("it belongs to `spec`")),
            ("location", "Rule", None),
        ] {
            let here = &whole["$defs"][here];
            assert!(here.is_object(), "{name}");
            assert_eq!(hint(name, here, &whole).as_deref(), expected, "{name}");
        }
    }
}
