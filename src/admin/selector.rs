//! `labelSelector` -> which objects are meant (Kubernetes `labels.Selector`).
//!
//! In: `tier=web,env in (test,live),!legacy`. Out: [`Selector`]. Never: a character that is skipped unread.

use std::collections::{BTreeMap, BTreeSet};

/// Requirements on labels, all of which have to hold. None: every object fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

/// One requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

/// What is required.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    /// The label is there: `key`.
    Exists,
    /// It is not: `!key`.
    DoesNotExist,
    /// It is there and has one of these values: `key=value`, `key==value`, `key in (a,b)`.
    In(BTreeSet<String>),
    /// It is not there, or has another value: `key!=value`, `key notin (a,b)`.
    NotIn(BTreeSet<String>),
}

impl Selector {
    /// Reads a selector. An empty one is no requirement.
    ///
    /// # Errors
    /// One sentence that says what was expected, and where.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = Rest(text.trim());
        let mut requirements = Vec::new();
        while !(rest.0.is_empty() && requirements.is_empty()) {
            requirements.push(rest.requirement()?);
            if rest.0.is_empty() {
                break;
            }
            rest.expect(",", "between two requirements")?;
        }
        Ok(Self(requirements))
    }

    /// Whether an object with these labels fits.
    pub(super) fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels.get(&requirement.key)))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&String>) -> bool {
        match &self.operator {
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
        }
    }
}

/// What is not read yet; never starts with white space.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.take("!") {
            return Ok(Requirement { key: self.key()?, operator: Operator::DoesNotExist });
        }
        let key = self.key()?;
        let operator = if self.take("==") || self.take("=") {
            Operator::In(BTreeSet::from([self.word().to_owned()]))
        } else if self.take("!=") {
            Operator::NotIn(BTreeSet::from([self.word().to_owned()]))
        } else {
            match self.word() {
                "" => Operator::Exists,
                "in" => Operator::In(self.values()?),
                "notin" => Operator::NotIn(self.values()?),
                other => return Err(format!("expected `=`, `==`, `!=`, `in`, `notin` or `,` after `{key}`, found `{other}`")),
            }
        };
        Ok(Requirement { key, operator })
    }

    fn key(&mut self) -> Result<String, String> {
        match self.word() {
            "" => Err(format!("expected a label's name, found {}", self.found())),
            key => Ok(key.to_owned()),
        }
    }

    /// `(a,b)`; a value may be empty.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        self.expect("(", "before the values")?;
        let mut values = BTreeSet::new();
        loop {
            values.insert(self.word().to_owned());
            if self.take(")") {
                return Ok(values);
            }
            self.expect(",", "or `)` after a value")?;
        }
    }

    /// What comes up to white space or a sign; may be empty.
    fn word(&mut self) -> &'a str {
        let end = self.0.find(|c: char| c.is_whitespace() || "=!(),<>".contains(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        word
    }

    fn take(&mut self, sign: &str) -> bool {
        let rest = self.0.strip_prefix(sign);
        self.0 = rest.map_or(self.0, str::trim_start);
        rest.is_some()
    }

    fn expect(&mut self, sign: &str, place: &str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(format!("expected `{sign}` {place}, found {}", self.found())) }
    }

    /// What is there instead, for messages.
    fn found(&self) -> String {
        self.0.chars().next().map_or_else(|| "the end".to_owned(), |c| format!("`{c}`"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Selector::parse(selector).unwrap_or_else(|problem| panic!("{selector}: {problem}")).fits(&labels)
    }

    #[test]
    fn a_value_is_equal_or_one_of_several() {
        for selector in
            ["tier=web", "tier==web", "tier = web", "tier in (web)", "tier in ( db , web )", " tier in(web,db) ", "tier=web,tier"]
        {
            assert!(fits(selector, &[("tier", "web")]), "{selector}");
            assert!(!fits(selector, &[("tier", "cache")]), "{selector}");
            assert!(!fits(selector, &[("other", "web")]), "{selector}");
        }
    }

    #[test]
    fn what_is_not_to_be_may_be_missing() {
        for selector in ["tier!=web", "tier != web", "tier notin (web,db)"] {
            assert!(!fits(selector, &[("tier", "web")]), "{selector}");
            assert!(fits(selector, &[("tier", "cache")]), "{selector}");
            assert!(fits(selector, &[]), "{selector}");
        }
    }

    #[test]
    fn a_label_is_there_or_not() {
        assert!(fits("tier", &[("tier", "")]) && !fits("tier", &[]));
        assert!(!fits("!tier", &[("tier", "")]) && fits("!tier", &[]) && fits("! tier", &[]));
    }

    #[test]
    fn all_requirements_have_to_hold_and_none_fits_all() {
        assert!(fits("a,b!=x,c in (1,2),!d", &[("a", ""), ("c", "2")]));
        assert!(!fits("a,b!=x,c in (1,2),!d", &[("a", ""), ("c", "2"), ("d", "")]));
        assert!(fits("", &[]) && fits("  ", &[("a", "b")]));
    }

    #[test]
    fn names_have_prefixes_and_values_may_be_empty_or_words_of_the_language() {
        assert!(fits("app.kubernetes.io/name=blog", &[("app.kubernetes.io/name", "blog")]));
        assert!(fits("a=", &[("a", "")]) && fits("a=,b", &[("a", ""), ("b", "")]) && fits("a in (,x)", &[("a", "")]));
        assert!(fits("in in (in)", &[("in", "in")]) && fits("notin=in", &[("notin", "in")]));
    }

    #[test]
    fn what_is_no_selector_is_refused_with_what_was_expected() {
        for (bad, words) in [
            ("=x", "expected a label's name, found `=`"),
            (",", "expected a label's name, found `,`"),
            ("a,", "expected a label's name, found the end"),
            ("a,,b", "expected a label's name, found `,`"),
            ("!", "expected a label's name, found the end"),
            ("!a=b", "expected `,` between two requirements, found `=`"),
            ("a b", "expected `=`, `==`, `!=`, `in`, `notin` or `,` after `a`, found `b`"),
            ("a=b c", "expected `,` between two requirements, found `c`"),
            ("a in x", "expected `(` before the values, found `x`"),
            ("a in (x", "expected `,` or `)` after a value, found the end"),
            ("a in (x y)", "expected `,` or `)` after a value, found `y`"),
            ("a>1", "expected `,` between two requirements, found `>`"),
            ("a===b", "expected `,` between two requirements, found `=`"),
        ] {
            assert_eq!(Selector::parse(bad), Err(words.to_owned()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "[a-c=!(), <>é]{0,24}|.{0,40}") {
            let _ = Selector::parse(&text);
        }
    }
}
