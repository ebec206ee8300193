//! The routes and the types -> an OpenAPI 3.1 document.
//!
//! In: the paths of `paths`, the types that are answered with. Out: the document, as `schemas/` holds it. Never: a path, a parameter or a
//! field that is not answered.

use std::sync::LazyLock;

use bytes::Bytes;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::answer::{JSON, LINES, Status, TEXT};
use super::discovery::{ApiGroup, ApiGroupList, ApiResourceList, Info};
use super::metrics::{CLASSIC, OPENMETRICS};
use super::objects::Kind;
use super::paths::{API, FIXED, Target};
use super::query::PARAMETERS;
use crate::api::v1::{API_VERSION, AppResource, BackendResource, Bookmark, Event, GatewayResource, List, SourceResource, WatchEvent};
use crate::manifest;

/// Where schemas are in the document.
const SCHEMAS: &str = "#/components/schemas";

/// The document, for `lxcproxy schema openapi`.
#[must_use]
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut types = settings.into_generator();
    let mut paths = Map::new();
    for (path, target) in FIXED {
        paths.insert(path.to_owned(), operation(&target, &mut types));
    }
    let mut schemas = Map::new();
    for kind in Kind::ALL {
        let path = format!("{API}/{}", kind.plural());
        paths.insert(path.clone(), operation(&Target::List(kind), &mut types));
        paths.insert(format!("{path}/{{name}}"), operation(&Target::One(kind, String::new()), &mut types));
        schemas.insert(component(kind).to_owned(), object(kind, &mut types));
        schemas.insert(kind.list().to_owned(), list(kind, &mut types));
        if kind.is_watched() {
            schemas.insert(format!("{}WatchEvent", kind.name()), watch_event(kind, &mut types));
        }
    }
    schemas.extend(types.take_definitions(true));
    schemas.sort_keys();
    let mut schemas = Value::Object(schemas);
    manifest::simplify(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "lxcproxy admin API",
            "summary": "What lxcproxy serves, and why something is not served.",
            "description": "Answered on the daemon's unix socket, to root, the daemon's user and the group of the socket's file. HEAD is \
                            answered wherever GET is. Nothing can be changed here: manifests are changed in their directory.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "version": "v1",
        },
        "servers": [{"url": "http://lxcproxy", "description": "curl --unix-socket /run/lxcproxy/admin.sock; the host does not matter"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Failure": {"description": "What went wrong.", "content": {JSON: {"schema": reference("Status")}}}},
        },
    })
}

/// The document, written once.
pub(super) fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| format!("{:#}\n", document()).into());
    TEXT.clone()
}

/// What a path answers.
fn operation(target: &Target, types: &mut SchemaGenerator) -> Value {
    let plain = json!({"type": "string"});
    let (id, summary, content) = match target {
        Target::Health => ("health", "Whether the process answers.", json!({TEXT: {"schema": plain}})),
        Target::Readiness => ("readiness", "Whether a snapshot is being served.", json!({TEXT: {"schema": plain}})),
        Target::Metrics => ("metrics", "All metrics, for Prometheus.", json!({CLASSIC: {"schema": plain}, OPENMETRICS: {"schema": plain}})),
        Target::OpenApi => ("openapi", "This document.", json!({JSON: {"schema": {"type": "object"}}})),
        Target::Version => ("version", "Which program answers.", of_type::<Info>(types)),
        Target::Groups => ("groups", "The API groups.", of_type::<ApiGroupList>(types)),
        Target::Group => ("group", "The API group and its versions.", of_type::<ApiGroup>(types)),
        Target::Resources => ("resources", "The resources of the API.", of_type::<ApiResourceList>(types)),
        Target::List(kind) => return list_operation(*kind),
        Target::One(kind, _) => return one_operation(*kind),
    };
    let mut operation = get(id, summary, &[], &content, &[400]);
    if *target == Target::Readiness {
        let not_yet = json!({"description": "Not yet.", "content": {TEXT: {"schema": plain}}});
        operation["get"]["responses"]["503"] = not_yet;
    }
    operation
}

fn list_operation(kind: Kind) -> Value {
    let fields = kind.fields().iter().map(|field| format!("`{}`", field.as_str())).collect::<Vec<_>>().join(", ");
    let parameter = |(name, description): (&str, &str)| {
        let schema = match name {
            "watch" => json!({"type": "boolean"}),
            "resourceVersion" | "timeoutSeconds" => json!({"type": "integer", "minimum": 0}),
            _ => json!({"type": "string"}),
        };
        let more = if name == "fieldSelector" { format!(" The fields are {fields}.") } else { String::new() };
        json!({"name": name, "in": "query", "description": format!("{description}{more}"), "schema": schema})
    };
    let mut content = json!({JSON: {"schema": reference(kind.list())}});
    if !kind.is_watched() {
        let parameters: Vec<_> = PARAMETERS.into_iter().filter(|(name, _)| name.ends_with("Selector")).map(parameter).collect();
        let summary = format!("All {}, as they are now.", kind.plural());
        return get(&format!("list{}", kind.name()), &summary, &parameters, &content, &[400, 503]);
    }
    content[LINES] = json!({"schema": reference(&format!("{}WatchEvent", kind.name()))});
    let summary = format!("All {}, or with `watch=true` their changes, one JSON object a line, until either side ends it.", kind.plural());
    get(&format!("list{}", kind.name()), &summary, &PARAMETERS.map(parameter), &content, &[400, 410, 429, 503])
}

fn one_operation(kind: Kind) -> Value {
    let name = json!({
        "name": "name", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1},
        "description": "The object's name.",
    });
    let content = json!({JSON: {"schema": reference(component(kind))}});
    get(&format!("read{}", kind.name()), &format!("The {} of this name.", kind.name()), &[name], &content, &[400, 404, 503])
}

/// A GET and its answers; `failures` are those that it has beside those of every request.
fn get(id: &str, summary: &str, parameters: &[Value], content: &Value, failures: &[u16]) -> Value {
    let failure = json!({"$ref": "#/components/responses/Failure"});
    let mut responses = Map::from_iter([("200".to_owned(), json!({"description": "OK", "content": content}))]);
    for code in [failures, &[403]].concat() {
        responses.insert(code.to_string(), failure.clone());
    }
    responses.sort_keys();
    responses.insert("default".to_owned(), failure);
    json!({"get": {"operationId": id, "summary": summary, "parameters": parameters, "responses": responses}})
}

/// What the schema of a kind's objects is called: that of what a manifest says of a backend has the kind's name already.
fn component(kind: Kind) -> &'static str {
    if kind == Kind::Backend { "BackendResource" } else { kind.name() }
}

/// An object of a kind.
fn object(kind: Kind, types: &mut SchemaGenerator) -> Value {
    let schema = match kind {
        Kind::App => AppResource::json_schema(types),
        Kind::Gateway => GatewayResource::json_schema(types),
        Kind::Source => SourceResource::json_schema(types),
        Kind::Event => Event::json_schema(types),
        Kind::Backend => BackendResource::json_schema(types),
    };
    of_kind(schema.to_value(), kind.name())
}

fn list(kind: Kind, types: &mut SchemaGenerator) -> Value {
    let mut schema = of_kind(List::<Value>::json_schema(types).to_value(), kind.list());
    schema["properties"]["items"]["items"] = reference(component(kind));
    schema
}

/// A line of a watch: the type says what the object is.
fn watch_event(kind: Kind, types: &mut SchemaGenerator) -> Value {
    let mut schema = WatchEvent::<Value>::json_schema(types).to_value();
    let bookmark = of_kind(Bookmark::json_schema(types).to_value(), kind.name());
    types.subschema_for::<Status>();
    let of_type = |names: &[&str], object: Value| json!({"properties": {"type": {"enum": names}, "object": object}});
    schema["oneOf"] = json!([
        of_type(&["ADDED", "MODIFIED", "DELETED"], reference(component(kind))),
        of_type(&["BOOKMARK"], bookmark),
        of_type(&["ERROR"], reference("Status")),
    ]);
    schema
}

/// Says which kind it is, where the type only says that it is a text.
fn of_kind(mut schema: Value, kind: &str) -> Value {
    for (field, value) in [("apiVersion", API_VERSION), ("kind", kind)] {
        schema["properties"][field]["const"] = json!(value);
    }
    schema
}

fn of_type<T: JsonSchema>(types: &mut SchemaGenerator) -> Value {
    json!({JSON: {"schema": types.subschema_for::<T>()}})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("{SCHEMAS}/{name}")})
}
