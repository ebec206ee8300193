//! Fields, sections and tables -> the indented text of `kubectl describe`.
//!
//! In: keys and values from anywhere. Out: lines for a terminal. Never: a control character; a value that is cut.

use super::super::get::columns::NONE;
use super::super::table::{Cell, Table, Tone, plain};

/// Space between a key and its value, and before what is inside a section.
const INDENT: &str = "  ";

/// What is said about one object, in order.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    /// A key, and one line or several beside it.
    Field { key: &'static str, lines: Vec<String> },
    /// A key, and lines below it.
    Block { key: &'static str, lines: Vec<String> },
}

impl Sheet {
    /// A value on one line.
    pub(super) fn field(&mut self, key: &'static str, value: impl AsRef<str>) {
        self.lines(key, [value.as_ref()], Tone::Plain);
    }

    /// Values, one a line.
    pub(super) fn values(&mut self, key: &'static str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        self.lines(key, values, Tone::Plain);
    }

    /// Lines of one tone; none are `<none>`.
    pub(super) fn lines(&mut self, key: &'static str, lines: impl IntoIterator<Item = impl AsRef<str>>, tone: Tone) {
        let mut lines: Vec<_> = lines.into_iter().map(|line| tone.paint(&plain(line.as_ref()))).collect();
        if lines.is_empty() {
            lines.push(NONE.to_owned());
        }
        self.entries.push(Entry::Field { key, lines });
    }

    /// A table, with a line below its header; one without rows is `<none>`.
    pub(super) fn table(&mut self, key: &'static str, header: &[&'static str], rows: Vec<Vec<Cell>>) {
        if rows.is_empty() {
            return self.field(key, NONE);
        }
        let names = header.iter().map(|name| Cell::from(*name)).collect();
        let rules = header.iter().map(|name| Cell::from("-".repeat(name.len()))).collect();
        let text = Table::default().lines(&[vec![names, rules], rows].concat());
        self.text(key, &text);
    }

    /// Text that is fit for a terminal already, below its key.
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.entries.push(Entry::Block { key, lines: text.lines().map(str::to_owned).collect() });
    }

    /// The whole text.
    pub(super) fn render(&self) -> String {
        let keys = self.entries.iter().map(|entry| match entry {
            Entry::Field { key, .. } => key.len(),
            Entry::Block { .. } => 0,
        });
        let width = keys.max().unwrap_or(0) + 1;
        let mut out = String::new();
        for entry in &self.entries {
            match entry {
                Entry::Field { key, lines } => {
                    for (number, line) in lines.iter().enumerate() {
                        let key = if number == 0 { format!("{key}:") } else { String::new() };
                        out.push_str(format!("{key:width$}{INDENT}{line}").trim_end());
                        out.push('\n');
                    }
                }
                Entry::Block { key, lines } => {
                    out.extend([key, ":\n"]);
                    for line in lines {
                        out.push_str(format!("{INDENT}{line}").trim_end());
                        out.push('\n');
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_below_each_other_and_tables_below_their_key() {
        let mut sheet = Sheet::default();
        sheet.field("Name", "ttrss");
        sheet.values("Hostnames", ["a.example.org", "b.example.org"]);
        sheet.values("Labels", Vec::<String>::new());
        sheet.table("Backends", &["Name", "Address"], vec![vec!["php".into(), "unix:/run/a\u{1b}b".into()]]);
        sheet.table("Events", &["Type"], Vec::new());
        sheet.lines("Problem", ["no\u{9b}"], Tone::Bad);
        let expected = "\
Name:       ttrss
Hostnames:  a.example.org
            b.example.org
Labels:     <none>
Backends:
  Name   Address
  ----   -------
  php    unix:/run/a b
Events:     <none>
Problem:    \u{1b}[31mno \u{1b}[0m
";
        assert_eq!(sheet.render(), expected);
    }
}
