//! The OpenAPI document against real answers: every path, every kind, every failure, every line of a watch.

use std::collections::BTreeSet;

use http::{Method, Response};
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::super::{API, openapi};
use super::{House, pictures};
use crate::admin::WATCHES;

/// The document, with every object closed: a field that it does not name is an error here.
fn strict() -> Value {
    let mut document = openapi();
    close(&mut document["components"]["schemas"]);
    document
}

fn close(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            fields.values_mut().for_each(close);
        }
        _ => {}
    }
}

/// What the document says of an answer to GET at a path: the schema of this code and content type.
fn schema(document: &Value, template: &str, code: u16, content_type: &str) -> Validator {
    let responses = &document["paths"][template]["get"]["responses"];
    assert!(responses.is_object(), "{template} is not documented");
    let mut response = responses.get(code.to_string()).unwrap_or(&responses["default"]);
    while let Some(reference) = response["$ref"].as_str() {
        response = document.pointer(reference.trim_start_matches('#')).unwrap();
    }
    let schema = &response["content"][content_type]["schema"];
    assert!(!schema.is_null(), "{template}: {code} {content_type} is not documented");
    let mut root = schema.clone();
    root["components"] = document["components"].clone();
    jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap()
}

/// Holds an answer against the document.
fn hold(document: &Value, template: &str, answer: &Response<bytes::Bytes>) {
    let content_type = answer.headers()["content-type"].to_str().unwrap();
    let schema = schema(document, template, answer.status().as_u16(), content_type);
    let text = std::str::from_utf8(answer.body()).unwrap();
    let bodies: Vec<Value> = match content_type {
        "application/json" => vec![serde_json::from_str(text).unwrap()],
        "application/json;stream=watch" => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        _ => vec![json!(text)],
    };
    assert!(!bodies.is_empty(), "{template}");
    for body in bodies {
        let problems: Vec<_> = schema.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(problems.is_empty(), "{template}: {problems:#?}\n{body:#}");
    }
}

#[tokio::test]
async fn every_path_answers_as_documented_and_every_answer_is_documented() {
    let mut house = House::open().await;
    let document = strict();
    hold(&document, "/readyz", &house.ask(Method::GET, "/readyz").await);
    house.show(pictures::of_everything());
    let paths: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let mut answered = BTreeSet::new();
    for (template, path) in [
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
        ("/metrics", "/metrics"),
        ("/openapi/v3", "/openapi/v3"),
        ("/version", "/version"),
        ("/apis", "/apis"),
        ("/apis/lxcproxy.dev", "/apis/lxcproxy.dev"),
        ("/apis/lxcproxy.dev/v1", "/apis/lxcproxy.dev/v1"),
        ("/apis/lxcproxy.dev/v1/apps", "/apis/lxcproxy.dev/v1/apps"),
        ("/apis/lxcproxy.dev/v1/apps/{name}", "/apis/lxcproxy.dev/v1/apps/gitlab"),
        ("/apis/lxcproxy.dev/v1/apps/{name}", "/apis/lxcproxy.dev/v1/apps/invalid"),
        ("/apis/lxcproxy.dev/v1/gateways", "/apis/lxcproxy.dev/v1/gateways"),
        ("/apis/lxcproxy.dev/v1/gateways/{name}", "/apis/lxcproxy.dev/v1/gateways/web"),
        ("/apis/lxcproxy.dev/v1/sources", "/apis/lxcproxy.dev/v1/sources"),
        ("/apis/lxcproxy.dev/v1/sources/{name}", "/apis/lxcproxy.dev/v1/sources/manifests"),
        ("/apis/lxcproxy.dev/v1/events", "/apis/lxcproxy.dev/v1/events"),
        ("/apis/lxcproxy.dev/v1/events/{name}", "/apis/lxcproxy.dev/v1/events/ttrss.1"),
        ("/apis/lxcproxy.dev/v1/backends", "/apis/lxcproxy.dev/v1/backends"),
        ("/apis/lxcproxy.dev/v1/backends/{name}", "/apis/lxcproxy.dev/v1/backends/gitlab.web"),
        ("/apis/lxcproxy.dev/v1/backends/{name}", "/apis/lxcproxy.dev/v1/backends/gitlab.php"),
    ] {
        let answer = house.ask(Method::GET, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        hold(&document, template, &answer);
        answered.insert(template.to_owned());
        for (method, path) in [(Method::GET, format!("{path}?bogus=1")), (Method::DELETE, path.to_owned())] {
            let refused = house.ask(method, &path).await;
            assert!(matches!(refused.status().as_u16(), 400 | 405), "{path}");
            hold(&document, template, &refused);
        }
    }
    assert_eq!(answered, paths);
}

#[tokio::test]
async fn every_failure_is_documented() {
    let mut house = House::open().await;
    house.publish(&["blog"]);
    let document = strict();
    for plural in ["apps", "gateways", "sources", "events"] {
        let (list, one) = (format!("{API}/{plural}"), format!("{API}/{plural}/{{name}}"));
        let missing = house.ask(Method::GET, &format!("{list}/nobody")).await;
        assert_eq!(missing.status(), 404);
        hold(&document, &one, &missing);
        let expired = house.ask(Method::GET, &format!("{list}?watch=true&resourceVersion=999")).await;
        assert_eq!(expired.status(), 410);
        hold(&document, &list, &expired);
    }
    let mut open = Vec::new();
    for _ in 0..WATCHES {
        open.push(house.watch("apps?watch=true").await);
    }
    for plural in ["apps", "gateways", "sources", "events"] {
        let list = format!("{API}/{plural}");
        let refused = house.ask(Method::GET, &format!("{list}?watch=true")).await;
        assert_eq!(refused.status(), 429);
        hold(&document, &list, &refused);
    }
}

#[tokio::test]
async fn every_line_of_a_watch_is_documented() {
    let mut house = House::open().await;
    let document = strict();
    house.show(pictures::of_everything());
    for plural in ["apps", "gateways", "sources", "events"] {
        let list = format!("{API}/{plural}");
        hold(&document, &list, &house.ask(Method::GET, &format!("{list}?watch=true&timeoutSeconds=1")).await);
    }
    let lines = schema(&document, "/apis/lxcproxy.dev/v1/apps", 200, "application/json;stream=watch");
    let blog = serde_json::to_value(pictures::app("blog")).unwrap();
    for (type_, object, well) in [
        ("DELETED", blog.clone(), true),
        (
            "ERROR",
            json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "m", "reason": "Expired", "code": 410}),
            true,
        ),
        ("GONE", blog.clone(), false),
        ("BOOKMARK", blog, false),
    ] {
        assert_eq!(lines.is_valid(&json!({"type": type_, "object": object})), well, "{type_}");
    }
}

#[tokio::test]
async fn every_parameter_that_is_documented_is_taken() {
    let mut house = House::open().await;
    house.publish(&[]);
    for plural in ["apps", "gateways", "sources", "events"] {
        let list = format!("{API}/{plural}");
        let parameters = openapi()["paths"][&list]["get"]["parameters"].clone();
        let names: Vec<_> = parameters.as_array().unwrap().iter().map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, ["labelSelector", "fieldSelector", "watch", "resourceVersion", "timeoutSeconds"]);
        let query = "labelSelector=a&fieldSelector=metadata.name%3Dx&watch=true&resourceVersion=1&timeoutSeconds=1";
        assert_eq!(house.ask(Method::GET, &format!("{list}?{query}")).await.status(), 200, "{plural}");
    }
}

#[tokio::test]
async fn a_watch_of_backends_is_refused_as_documented() {
    let mut house = House::open().await;
    house.show(pictures::of_everything());
    let (document, list) = (strict(), format!("{API}/backends"));
    let refused = house.ask(Method::GET, &format!("{list}?watch=true")).await;
    assert_eq!(refused.status(), 400);
    hold(&document, &list, &refused);
    let missing = house.ask(Method::GET, &format!("{list}/gitlab.none")).await;
    assert_eq!(missing.status(), 404);
    hold(&document, &format!("{list}/{{name}}"), &missing);
    let parameters = openapi()["paths"][&list]["get"]["parameters"].clone();
    let names: Vec<_> = parameters.as_array().unwrap().iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["labelSelector", "fieldSelector"]);
    assert_eq!(house.ask(Method::GET, &format!("{list}?labelSelector=a&fieldSelector=metadata.name%3Dx")).await.status(), 200);
}

#[test]
fn the_document_is_openapi_with_nothing_dangling() {
    let document = openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(operations.insert(item["get"]["operationId"].as_str().unwrap().to_owned()), "{path}: its operationId is taken");
    }
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for reference in &used {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "{name} is not used");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        _ => {}
    }
}
