//! Medians, percentiles and how they are written down.

use std::time::Duration;

/// Figures of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(Vec<f64>);

impl Figures {
    pub(super) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// In milliseconds.
    pub(super) fn add_time(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1e3);
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// By nearest rank; no number where there is no figure.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// The median, with the least and the most.
    pub(super) fn spread(&self, digits: usize) -> String {
        let (least, most) = (self.percentile(0), self.percentile(100));
        match self.count() {
            0 => "–".to_owned(),
            1 => format!("{least:.digits$}"),
            _ => format!("{:.digits$} ({least:.digits$}–{most:.digits$})", self.median()),
        }
    }

    /// p50, p99 and the most.
    pub(super) fn tail(&self) -> String {
        let [p50, p99, most] = [50, 99, 100].map(|percent| self.percentile(percent));
        match self.count() {
            0 => "–".to_owned(),
            _ => format!("{p50:.1} / {p99:.1} / {most:.1}"),
        }
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Figures(figures.into_iter().collect())
    }
}

impl Extend<f64> for Figures {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, figures: I) {
        self.0.extend(figures);
    }
}

impl IntoIterator for Figures {
    type Item = f64;
    type IntoIter = std::vec::IntoIter<f64>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A table's head.
pub(super) fn head(columns: &[&str]) -> String {
    format!("{}{}", row(columns), row(&vec!["---"; columns.len()]))
}

/// A table's row.
pub(super) fn row(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let figures: Figures = (1..=200).rev().map(f64::from).collect();
        assert_eq!(figures.tail(), "100.0 / 198.0 / 200.0");
        assert_eq!(figures.spread(0), "100 (1–200)");
        assert_eq!(Figures::default().spread(1), "–");
    }

    #[test]
    fn a_table_has_a_line_below_its_head() {
        let text = head(&["a", "b"]) + &row(&["1", "2"]);
        assert_eq!(text, "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
    }
}
