//! `fieldSelector` -> which objects are meant (Kubernetes `fields.Selector`).
//!
//! In: `involvedObject.kind=App,involvedObject.name=ttrss`. Out: [`Selector`]. Never: a field that is not compared.

/// A field that can be selected by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// `metadata.name`, of every kind.
    Name,
    /// `involvedObject.kind`, of events.
    InvolvedKind,
    /// `involvedObject.name`, of events.
    InvolvedName,
}

/// Requirements on fields, all of which have to hold. None: every object fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

/// One requirement on one field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    field: Field,
    /// Whether the value has to be this one, or has to be another.
    equal: bool,
    value: String,
}

impl Field {
    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "metadata.name",
            Self::InvolvedKind => "involvedObject.kind",
            Self::InvolvedName => "involvedObject.name",
        }
    }
}

impl Selector {
    /// Reads a selector on some of these fields: `field=value`, `field==value` or `field!=value`, joined by commas. In a value `\` stands
    /// before a `,`, `=` or `\` that belongs to it ([`escape`]).
    ///
    /// # Errors
    /// One sentence that says what was expected.
    pub(super) fn parse(text: &str, known: &[Field]) -> Result<Self, String> {
        let parts = split(text).into_iter().filter(|part| !part.is_empty());
        parts.map(|part| Requirement::parse(part, known)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an object with these fields fits.
    pub(super) fn fits<'a>(&self, value: impl Fn(Field) -> &'a str) -> bool {
        self.0.iter().all(|requirement| (value(requirement.field) == requirement.value) == requirement.equal)
    }

    /// The one name that is asked for, if one is.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.iter().find(|requirement| requirement.field == Field::Name && requirement.equal).map(|requirement| &*requirement.value)
    }
}

impl Requirement {
    fn parse(text: &str, known: &[Field]) -> Result<Self, String> {
        let all = || known.iter().map(|field| format!("`{}`", field.as_str())).collect::<Vec<_>>().join(", ");
        let Some((left, value)) = text.split_once('=') else {
            return Err(format!("expected `FIELD=VALUE`, found `{text}`; the fields are {}", all()));
        };
        let (name, equal) = left.strip_suffix('!').map_or((left, true), |name| (name, false));
        let value = if equal { value.strip_prefix('=').unwrap_or(value) } else { value };
        let field = known.iter().copied().find(|field| field.as_str() == name.trim());
        let field = field.ok_or_else(|| format!("there is no field `{}` to select by; expected {}", name.trim(), all()))?;
        let value = unescape(value).ok_or_else(|| format!("`{value}`: `\\` stands before `,`, `=` or `\\` only, `=` behind it only"))?;
        Ok(Self { field, equal, value })
    }
}

/// Escapes a value for a `fieldSelector`, as Kubernetes does (`fields.EscapeValue`).
#[must_use]
pub fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=")
}

/// The opposite of [`escape`]; none: it is not escaped well.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().filter(|c| r"\,=".contains(*c))?),
            '=' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

/// Splits at commas that no `\` stands before.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_EVENTS: [Field; 3] = [Field::Name, Field::InvolvedKind, Field::InvolvedName];

    fn fits(selector: &str, name: &str) -> bool {
        Selector::parse(selector, &OF_EVENTS).unwrap().fits(|field| match field {
            Field::Name => name,
            Field::InvolvedKind => "App",
            Field::InvolvedName => "blog",
        })
    }

    #[test]
    fn every_requirement_has_to_hold() {
        assert!(fits("metadata.name=x", "x") && fits("metadata.name==x", "x") && !fits("metadata.name=x", "y"));
        assert!(fits("metadata.name!=x", "y") && !fits("metadata.name!=x", "x"));
        assert!(fits("involvedObject.kind=App,involvedObject.name=blog", ""));
        assert!(!fits("involvedObject.kind=App,involvedObject.name=wiki", ""));
        assert!(fits("", "x"));
    }

    #[test]
    fn any_value_can_be_escaped() {
        for name in ["ttrss", "a,b=c.yaml", r"a\,b", r"\", "", "ä"] {
            assert!(fits(&format!("metadata.name={}", escape(name)), name), "{name}");
            assert_eq!(Selector::parse(&format!("metadata.name={}", escape(name)), &OF_EVENTS).unwrap().name(), Some(name));
        }
    }

    #[test]
    fn what_can_not_be_selected_by_is_named_with_what_can() {
        let parse = |text| Selector::parse(text, &[Field::Name]).unwrap_err();
        assert_eq!(parse("spec.x=1"), "there is no field `spec.x` to select by; expected `metadata.name`");
        assert_eq!(parse("involvedObject.kind=App"), "there is no field `involvedObject.kind` to select by; expected `metadata.name`");
        assert_eq!(parse("metadata.name"), "expected `FIELD=VALUE`, found `metadata.name`; the fields are `metadata.name`");
        for bad in [r"metadata.name=\x", r"metadata.name=\", "metadata.name=a=b", "metadata.name!==a"] {
            assert!(Selector::parse(bad, &OF_EVENTS).is_err(), "{bad}");
        }
    }
}
