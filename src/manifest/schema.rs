//! The types of [`crate::api::v1`] -> JSON Schemas, and validators that are compiled once.
//!
//! In: a [`Kind`]. Out: its schema (draft 2020-12), its [`Form`]. Never: a rule that is not in the types; a schema that is fetched.

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Kind;
use super::formats::FORMATS;
use crate::api::v1::{App, Gateway};

/// A schema and what was compiled from it.
#[derive(Debug)]
pub(super) struct Form {
    /// What error messages look fields and descriptions up in.
    pub schema: Value,
    pub validator: Validator,
}

static APP: LazyLock<Form> = LazyLock::new(|| Form::compile(Kind::App));
static GATEWAY: LazyLock<Form> = LazyLock::new(|| Form::compile(Kind::Gateway));

/// The form of a kind.
pub(super) fn of(kind: Kind) -> &'static Form {
    match kind {
        Kind::App => &APP,
        Kind::Gateway => &GATEWAY,
    }
}

/// The schema of a kind, as `schemas/` holds it.
pub(super) fn generate(kind: Kind) -> Value {
    match kind {
        Kind::App => of_type::<App>("app", "lxcproxy App: one application in one container, and the requests that it answers"),
        Kind::Gateway => of_type::<Gateway>("gateway", "lxcproxy Gateway: where lxcproxy listens"),
    }
}

fn of_type<T: JsonSchema>(name: &str, title: &str) -> Value {
    let mut generated = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut generated);
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("$id".to_owned(), json!(format!("https://lxcproxy.dev/schemas/{name}.v1.json")));
    schema.insert("title".to_owned(), json!(title));
    if let Value::Object(rest) = generated {
        for (key, value) in rest {
            schema.entry(key).or_insert(value);
        }
    }
    Value::Object(schema)
}

/// What schemars writes for Rust's types, as people write manifests: an optional field is left out, never null (a file that was cut in
/// the middle holds nulls); an integer has bounds instead of a width.
pub fn simplify(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Object(fields) => {
            drop_null(fields);
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                if fields.get("format") == Some(&json!("uint32")) {
                    fields.entry("maximum").or_insert(json!(u32::MAX));
                }
                fields.shift_remove("format");
            }
            fields.values_mut().for_each(simplify);
        }
        _ => {}
    }
}

fn drop_null(fields: &mut Map<String, Value>) {
    if fields.get("default") == Some(&Value::Null) {
        fields.shift_remove("default");
    }
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = fields.get_mut("anyOf") {
        branches.retain(|branch| branch != &json!({"type": "null"}));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            fields.shift_remove("anyOf");
            fields.extend(only);
        }
    }
}

impl Form {
    fn compile(kind: Kind) -> Self {
        let schema = generate(kind);
        let mut options =
            jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).should_ignore_unknown_formats(false);
        for (name, check) in FORMATS {
            options = options.with_format(name, move |text: &str| check(text).is_ok());
        }
        // The schema depends on nothing but our types; a unit test compiles it.
        #[expect(clippy::expect_used, reason = "the schema is a constant of the build")]
        let validator = options.build(&schema).expect("the generated schema compiles");
        Self { schema, validator }
    }
}
