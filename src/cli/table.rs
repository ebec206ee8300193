//! Rows of cells -> the aligned columns that kubectl prints.
//!
//! In: text from anywhere. Out: lines for a terminal. Never: a control character, which could move the cursor or forge a row.

use std::time::{Duration, SystemTime};

use clap::builder::styling::AnsiColor;

/// Space between two columns.
const GAP: usize = 3;

/// One place of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

/// How something is: shown as a colour, on terminals that have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    /// Neither good nor bad.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Not known, or worth a look.
    Unsure,
}

/// Rows that come one after the other; the columns keep the widths that they had, and only grow.
#[derive(Debug, Default)]
pub(super) struct Table {
    widths: Vec<usize>,
}

impl Cell {
    /// A text with a tone.
    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl Tone {
    /// The text between the codes that colour it.
    pub(super) fn paint(self, text: &str) -> String {
        let colour = match self {
            Self::Plain => return text.to_owned(),
            _ if text.is_empty() => return String::new(),
            Self::Good => AnsiColor::Green,
            Self::Bad => AnsiColor::Red,
            Self::Unsure => AnsiColor::Yellow,
        };
        let style = colour.on_default();
        format!("{style}{text}{style:#}")
    }
}

impl Table {
    /// Aligns rows; each cell is shown on one line. The last column is not padded.
    pub(super) fn lines(&mut self, rows: &[Vec<Cell>]) -> String {
        let rows: Vec<Vec<Cell>> =
            rows.iter().map(|row| row.iter().map(|cell| Cell::toned(plain(&cell.text), cell.tone)).collect()).collect();
        for row in &rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.text.chars().count().max(*width);
            }
        }
        let mut out = String::new();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&self.widths) {
                line.push_str(&cell.tone.paint(&cell.text));
                line.extend(std::iter::repeat_n(' ', width - cell.text.chars().count() + GAP));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Text from outside, as a terminal may have it.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How long ago an RFC 3339 time was, as kubectl shows it.
pub(super) fn since(time: &str, now: SystemTime) -> String {
    match humantime::parse_rfc3339(time) {
        // A clock that was set back is no reason to show nonsense.
        Ok(time) => age(now.duration_since(time).unwrap_or_default()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// An age as kubectl shows it (apimachinery `duration.HumanDuration`): the fewer digits, the older.
pub(super) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: u64, unit: char, small: u64, below: char| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{below}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if days < 2 * 365 => format!("{days}d"),
        () if days < 8 * 365 => two(days / 365, 'y', days % 365, 'd'),
        () => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["NAME", "READY", "MESSAGE"], ["ttrss", "True", ""], ["ä", "False", "no socket"]];
        let rows = rows.map(|row| row.map(Cell::from).to_vec());
        assert_eq!(Table::default().lines(&rows), "NAME    READY   MESSAGE\nttrss   True\nä       False   no socket\n");
        assert_eq!(Table::default().lines(&[]), "");
    }

    #[test]
    fn a_cell_can_neither_break_the_line_nor_move_the_cursor() {
        let rows = [vec!["a\nb".into(), "\u{1b}[2Jx\u{9b}".into()]];
        assert_eq!(Table::default().lines(&rows), "a b    [2Jx\n");
    }

    #[test]
    fn rows_that_come_later_keep_the_columns() {
        let mut table = Table::default();
        assert_eq!(table.lines(&[vec!["NAME".into(), "READY".into()], vec!["a".into(), "True".into()]]), "NAME   READY\na      True\n");
        assert_eq!(table.lines(&[vec!["b".into(), "True".into()]]), "b      True\n");
        assert_eq!(table.lines(&[vec!["longer".into(), "True".into()]]), "longer   True\n");
        assert_eq!(table.lines(&[vec!["b".into(), "True".into()]]), "b        True\n");
    }

    #[test]
    fn a_tone_colours_the_text_and_not_the_space_behind_it() {
        let rows = [vec![Cell::toned("True", Tone::Good), "x".into()], vec![Cell::toned("", Tone::Bad), Cell::toned("no", Tone::Bad)]];
        assert_eq!(Table::default().lines(&rows), "\u{1b}[32mTrue\u{1b}[0m   x\n       \u{1b}[31mno\u{1b}[0m\n");
    }

    #[test]
    fn an_age_counts_from_a_time() {
        let now = humantime::parse_rfc3339("2026-01-01T00:03:00Z").unwrap();
        assert_eq!(since("2026-01-01T00:02:55Z", now), "5s");
        assert_eq!(since("2026-01-01T01:00:00Z", now), "0s", "the clock was set back");
        assert_eq!(since("", now), "<unknown>");
    }

    #[test]
    fn ages_are_those_of_kubectl() {
        let cases = [
            (0, "0s"),
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (70_000_000, "2y80d"),
            (315_360_000, "10y"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(age(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
