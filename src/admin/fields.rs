//! `fieldSelector` -> which objects are meant (Kubernetes `fields.Selector`).
//!
//! In: `metadata.name=ttrss`. Out: [`Selector`]. Never: a field that is not compared.

/// Escapes a value for a `fieldSelector`, as Kubernetes does (`fields.EscapeValue`).
#[must_use]
pub fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=")
}
