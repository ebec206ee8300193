//! A YAML document -> a tree in which every value and every key knows where it stands.
//!
//! In: events of the YAML reader. Out: [`Node`], and [`Cursor`], a node with the path that leads to it. Never: a judgement.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_yaml::{Location, Spanned};

use super::text::Spot;
use crate::names::shown;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it stands.
    pub spot: Spot,
    /// The value.
    pub data: Data,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// As written: a key may be there twice.
    Map(Vec<Entry>),
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    /// Where the key stands.
    pub at: Spot,
    pub value: Node,
}

/// A node, and the path that leads to it.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub node: &'a Node,
    /// Such as `spec.rules[0].name`; empty for the document.
    pub path: String,
    /// Where its key stands; where it stands itself, if it has none.
    pub key: Spot,
    name: &'a str,
}

impl Node {
    /// The same without positions. Of a key that is there twice the first counts.
    pub(super) fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::to_value).collect(),
            Data::Map(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for entry in entries {
                    map.entry(entry.key.as_str()).or_insert_with(|| entry.value.to_value());
                }
                Value::Object(map)
            }
        }
    }

    /// The value in a few words, for messages.
    pub(super) fn describe(&self) -> String {
        match &self.data {
            Data::Null => "nothing".to_owned(),
            Data::Bool(value) => format!("the boolean {value}"),
            Data::Number(number) => format!("the number {number}"),
            Data::Text(text) => format!("the string `{}`", shown(text)),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "an object".to_owned(),
        }
    }
}

impl<'a> Cursor<'a> {
    /// The document itself.
    pub(super) fn root(node: &'a Node) -> Self {
        Self { node, path: String::new(), key: node.spot, name: "" }
    }

    /// The key that it stands under; empty for entries of lists.
    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is an object.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.data, Data::Map(_))
    }

    /// A field, if this is an object that has it.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| self.field(entry))
    }

    /// The text of a field.
    pub(super) fn text_of(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.text()
    }

    /// An object's fields, in the order of the text.
    pub(super) fn fields(&self) -> impl Iterator<Item = Self> {
        self.entries().iter().map(|entry| self.field(entry))
    }

    /// The entries of a field that is a list; none if it is anything else.
    pub(super) fn items_of(&self, key: &str) -> Vec<Self> {
        self.get(key).map(|list| list.items()).unwrap_or_default()
    }

    /// A list's entries; none if it is anything else.
    pub(super) fn items(&self) -> Vec<Self> {
        let Data::List(items) = &self.node.data else { return Vec::new() };
        let cursor = |(index, node): (usize, &'a Node)| Self { node, path: format!("{}[{index}]", self.path), key: node.spot, name: "" };
        items.iter().enumerate().map(cursor).collect()
    }

    /// Entries or fields, whichever it has.
    pub(super) fn children(&self) -> Vec<Self> {
        if self.is_map() { self.fields().collect() } else { self.items() }
    }

    /// One step of a path that was found in the same document.
    pub(super) fn step(&self, segment: &str) -> Option<Self> {
        if self.is_map() { self.get(segment) } else { self.items().into_iter().nth(segment.parse().ok()?) }
    }

    /// Fields that are written twice: the first and each that repeats it.
    pub(super) fn duplicates(&self) -> Vec<(Self, Self)> {
        let mut seen: HashMap<&str, &'a Entry> = HashMap::new();
        let mut found = Vec::new();
        for entry in self.entries() {
            match seen.get(entry.key.as_str()) {
                Some(first) => found.push((self.field(first), self.field(entry))),
                None => {
                    seen.insert(&entry.key, entry);
                }
            }
        }
        found
    }

    fn entries(&self) -> &'a [Entry] {
        match &self.node.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    fn field(&self, entry: &'a Entry) -> Self {
        Self { node: &entry.value, path: join(&self.path, &entry.key), key: entry.at, name: &entry.key }
    }
}

/// `a` and `b` make `a.b`; a key that is no plain word makes `a["b/c"]`.
pub(super) fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match (plain, path) {
        (true, "") => key.to_owned(),
        (true, _) => format!("{path}.{key}"),
        (false, _) => format!("{path}[\"{}\"]", shown(key)),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Data>::deserialize(deserializer)?;
        let mut spot = spot(referenced);
        // A key without a value ends where it stands; what is a collection is as wide as the line goes.
        if matches!(value, Data::Null) {
            spot.width = spot.width.max(1);
        }
        Ok(Self { spot, data: value })
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a boolean, a list or an object")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(Data::Number(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Data, E> {
        Ok(Data::Text(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Data, E> {
        Ok(Data::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        Ok(number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Data, E> {
        Ok(Data::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Data::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let value = access.next_value()?;
            entries.push(Entry { key: key.value, at: spot(key.referenced), value });
        }
        Ok(Data::Map(entries))
    }
}

/// A place as the reader tells it.
fn spot(at: Location) -> Spot {
    Spot { line: at.line(), column: at.column(), width: at.span().len() }
}

/// `80.0` is the integer 80, to JSON Schema and so to us.
fn number(value: f64) -> Data {
    /// The integers of an `f64` are exact up to here.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is below 2^53")]
        return Data::Number((value as i64).into());
    }
    Number::from_f64(value).map_or_else(|| Data::Text(value.to_string()), Data::Number)
}
