//! The text of metrics -> its samples, read as strictly as OpenMetrics 1.0 is written.
//!
//! In: a scrape. Out: [`Exposition`]. Never: a line that is let pass because Prometheus would.

use std::collections::{BTreeMap, BTreeSet};

/// One scrape.
#[derive(Debug)]
pub struct Exposition {
    /// Type of each family, by name.
    pub types: BTreeMap<String, String>,
    /// By name and labels as written, labels in the order of their names: `x_total{a="1",b="2"}`.
    pub samples: BTreeMap<String, f64>,
}

impl Exposition {
    /// Reads a scrape; fails the test at the first line that should not be there.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut this = Self { types: BTreeMap::new(), samples: BTreeMap::new() };
        let mut helped = BTreeSet::new();
        let mut family = String::new();
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no `# EOF` at the end of\n{text}"));
        for line in body.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap_or_else(|| panic!("no words: {line}"));
                assert!(is_name(name) && words.ends_with('.') && !words.contains('\\'), "{line}");
                assert!(helped.insert(name.to_owned()), "a second HELP: {line}");
                name.clone_into(&mut family);
            } else if let Some(type_) = line.strip_prefix("# TYPE ") {
                let (name, type_) = type_.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(name == family, "TYPE without its HELP before it: {line}");
                assert!(["counter", "gauge", "histogram", "info"].contains(&type_), "{line}");
                assert!(this.types.insert(name.to_owned(), type_.to_owned()).is_none(), "a second TYPE: {line}");
            } else {
                this.sample(line, &family);
            }
        }
        this.histograms();
        this
    }

    fn sample(&mut self, line: &str, family: &str) {
        assert!(!line.starts_with('#') && !line.is_empty(), "{line:?}");
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} stands in the family {family}"));
        let type_ = self.types.get(family).unwrap_or_else(|| panic!("{line} comes before the TYPE of {family}"));
        let fits = match type_.as_str() {
            "counter" => suffix == "_total",
            "info" => suffix == "_info",
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            _ => suffix.is_empty(),
        };
        assert!(fits && is_name(name), "{line} is no sample of a {type_}");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite() && (value >= 0.0 || type_ == "gauge"), "{line}");
        let key = format!("{name}{{{}}}", labels_of(labels, line).join(","));
        assert!(self.samples.insert(key, value).is_none(), "twice: {line}");
    }

    /// Buckets rise up to the count.
    fn histograms(&self) {
        for name in self.types.iter().filter(|(_, type_)| *type_ == "histogram").map(|(name, _)| name) {
            let mut buckets = BTreeMap::<String, Vec<(f64, f64)>>::new();
            for (series, value) in self.samples.iter().filter(|(series, _)| series.starts_with(&format!("{name}_bucket{{"))) {
                let (before, rest) = series.split_once("le=\"").unwrap_or_else(|| panic!("no le: {series}"));
                let (end, after) = rest.split_once('"').unwrap();
                let end = if end == "+Inf" { f64::INFINITY } else { end.parse().unwrap() };
                let others = format!("{before}{}", after.trim_start_matches(',')).replace(",}", "}");
                buckets.entry(others.replacen("_bucket{", "_count{", 1)).or_default().push((end, *value));
            }
            for (count, mut buckets) in buckets {
                buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
                assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{count}: {buckets:?}");
                let last = buckets.last().unwrap();
                assert!(last.0.is_infinite() && Some(&last.1) == self.samples.get(&count), "{count}: {buckets:?}");
                assert!(self.samples.contains_key(&count.replacen("_count{", "_sum{", 1)), "{count} has no sum");
            }
        }
    }

    /// A sample; its labels in the order of their names.
    #[must_use]
    pub fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).or_else(|| self.samples.get(&format!("{series}{{}}"))).copied()
    }

    /// Fails the test if something that only rises has fallen or is gone since `before`.
    pub fn assert_later_than(&self, before: &Self) {
        for (series, value) in &before.samples {
            let rises = ["_total{", "_bucket{", "_count{", "_sum{"].iter().any(|end| series.contains(end));
            let now = self.samples.get(series);
            assert!(!rises || now.is_some_and(|now| now >= value), "{series} was {value}, is {now:?}");
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `a="1",b="2"` -> its labels, sorted.
fn labels_of(mut text: &str, line: &str) -> Vec<String> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let mut escaped = false;
        let end = rest.find(|c| {
            let ends = c == '"' && !escaped;
            assert!(!escaped || matches!(c, '\\' | '"' | 'n'), "{line}");
            escaped = c == '\\' && !escaped;
            ends
        });
        let end = end.unwrap_or_else(|| panic!("a value without an end: {line}"));
        assert!(is_name(name) && labels.insert(name, &rest[..end]).is_none(), "{line}");
        text = &rest[end + 1..];
        if !text.is_empty() {
            text = text.strip_prefix(',').filter(|more| !more.is_empty()).unwrap_or_else(|| panic!("{line}"));
        }
    }
    labels.into_iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect()
}
