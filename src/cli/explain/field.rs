//! A JSON Schema -> fields as `kubectl explain` shows them: name, type, default, words (pure).
//!
//! In: a schema and a place in it. Out: [`Field`]s. Never: a reference that is followed for ever; the schema's are acyclic, and depth is bounded.

use serde_json::{Map, Value};

/// References that are followed in a row, at most.
const REFERENCES: usize = 8;

/// A field, or a kind as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'s> {
    root: &'s Value,
    pub name: &'s str,
    /// What is said about it where it is used.
    schema: &'s Value,
    /// The object has to have it.
    pub required: bool,
}

impl<'s> Field<'s> {
    /// The kind itself.
    pub(super) fn root(schema: &'s Value) -> Self {
        Self { root: schema, name: "", schema, required: false }
    }

    /// The fields of the object, or of the entries of the list; none of anything else.
    pub(super) fn fields(self) -> Vec<Self> {
        let object = self.object();
        let required = object.and_then(|object| object.get("required")).and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
        let properties = object.and_then(|object| object.get("properties")).and_then(Value::as_object);
        let field = |(name, schema): (&'s String, &'s Value)| Self { root: self.root, name, schema, required: is_required(name) };
        let mut fields: Vec<_> = properties.into_iter().flatten().map(field).collect();
        fields.sort_by_key(|field| field.name);
        fields
    }

    /// `<string>`, `<[]Rule>`, `<map[string]string>`.
    pub(super) fn type_name(self) -> String {
        format!("<{}>", self.name_of(self.schema))
    }

    /// The words that are allowed.
    pub(super) fn options(self) -> Vec<String> {
        let target = self.resolve(element(self.resolve(self.schema)));
        let of = |keyword: &str| target.get(keyword).and_then(Value::as_array).into_iter().flatten();
        let constants = of("oneOf").filter_map(|branch| branch.get("const"));
        of("enum").chain(constants).map(plain).collect()
    }

    /// What holds if it is left out.
    pub(super) fn default(self) -> Option<String> {
        let default = self.schema.get("default")?;
        (!default.as_array().is_some_and(Vec::is_empty)).then(|| plain(default))
    }

    /// What is said about it; where it is used first, then about its type.
    pub(super) fn description(self) -> Vec<&'s str> {
        let said = |schema: &'s Value| schema.get("description").and_then(Value::as_str);
        let own = said(self.schema);
        let of_type = self.object().and_then(|object| object.get("description")).and_then(Value::as_str);
        let mut all: Vec<_> = own.into_iter().chain(of_type).collect();
        all.dedup();
        all
    }

    /// The object that it is, or one of the entries if it is a list, or one of several forms.
    fn object(self) -> Option<&'s Map<String, Value>> {
        let element = self.resolve(element(self.resolve(self.schema)));
        let branches = element.get("anyOf").and_then(Value::as_array).into_iter().flatten().map(|branch| self.resolve(branch));
        std::iter::once(element).chain(branches).find(|schema| schema.get("properties").is_some())?.as_object()
    }

    fn resolve(self, mut schema: &'s Value) -> &'s Value {
        for _ in 0..REFERENCES {
            let target = reference(schema).and_then(|name| self.root.pointer(&format!("/$defs/{name}")));
            let Some(target) = target else { break };
            schema = target;
        }
        schema
    }

    fn name_of(self, schema: &'s Value) -> String {
        let target = self.resolve(schema);
        if let Some(items) = target.get("items") {
            return format!("[]{}", self.name_of(items));
        }
        if let Some(branches) = target.get("anyOf").and_then(Value::as_array) {
            return branches.iter().map(|branch| self.name_of(branch)).collect::<Vec<_>>().join(" or ");
        }
        if target.get("properties").is_some() {
            return reference(schema).unwrap_or("Object").to_owned();
        }
        if let Some(values) = target.get("additionalProperties").filter(|values| values.is_object()) {
            return format!("map[string]{}", self.name_of(values));
        }
        match target.get("type") {
            Some(Value::String(one)) if one == "object" => "Object".to_owned(),
            Some(Value::String(one)) => one.clone(),
            Some(Value::Array(several)) => several.iter().map(plain).collect::<Vec<_>>().join(" or "),
            _ if target.get("oneOf").is_some() => "string".to_owned(),
            _ => "Object".to_owned(),
        }
    }
}

/// A list's entries; what is no list is its own.
fn element(schema: &Value) -> &Value {
    schema.get("items").unwrap_or(schema)
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
