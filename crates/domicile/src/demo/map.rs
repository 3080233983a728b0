//! The map: who lives where, read from the files by the application's own SQL.

use super::world::{SITES, database};
use crate::exit::Result;
use crate::screen::aligned;
use domicile_model::residence::from_text;
use domicile_store::sqlite::application::Application;
use indicatif::HumanCount;
use jiff::civil::Date;
use serde::Serialize;
use std::path::Path;

/// Columns of the map; people of the Union are under the law of the EEA as well.
const LAWS: [&str; 6] = ["EU", "EEA", "GB", "CH", "other", "unknown"];
/// The bar of a site that has everybody.
const BAR_WIDTH: u64 = 24;

/// How many people stand at each site, by the law of the place they live in.
#[derive(Default, Serialize)]
pub(super) struct Map([[u64; LAWS.len()]; SITES.len()]);

impl Map {
    /// Reads every site.
    pub(super) fn read(dir: &Path, on: Date) -> Result<Map> {
        let mut map = Map([[0; LAWS.len()]; SITES.len()]);
        for (site, counts) in SITES.iter().zip(&mut map.0) {
            let application = Application::open(&database(dir, site))?;
            application.each_row("SELECT city, country FROM users", &[], |row| {
                counts[law(&row, on)] += 1;
            })?;
        }
        Ok(map)
    }

    /// People at a site, by its place.
    pub(super) fn people(&self, site: usize) -> u64 {
        self.0[site].iter().sum()
    }

    /// The map for people to read.
    pub(super) fn draw(&self) -> String {
        let everybody: u64 = (0..SITES.len()).map(|site| self.people(site)).sum();
        let head = ["site", "stands in", "run by", "people", ""].iter().chain(&LAWS);
        let mut lines = vec![head.map(|cell| (*cell).to_owned()).collect()];
        for (at, site) in SITES.iter().enumerate() {
            let by = if site.third_party { " (third party)" } else { "" };
            let mut cells = vec![
                site.name.to_owned(),
                format!("{} {}", site.territory, site.city),
                format!("{}{by}", site.operator),
                HumanCount(self.people(at)).to_string(),
                bar(self.people(at), everybody),
            ];
            cells.extend(self.0[at].iter().map(|count| HumanCount(*count).to_string()));
            lines.push(cells);
        }
        aligned(&lines)
    }
}

fn law(row: &[Option<String>], on: Date) -> usize {
    let residence = from_text(row.iter().map(Option::as_deref), on);
    if residence.territory.is_none() {
        return LAWS.len() - 1;
    }
    let applies = |law: &str| residence.regimes.iter().any(|regime| regime.as_str() == law);
    LAWS.iter().position(|law| applies(law)).unwrap_or(LAWS.len() - 2)
}

fn bar(part: u64, whole: u64) -> String {
    let full = (part * BAR_WIDTH).div_ceil(whole.max(1));
    let width = usize::try_from(BAR_WIDTH).unwrap_or(0);
    let full = usize::try_from(full).unwrap_or(0).min(width);
    format!("{}{}", "█".repeat(full), "·".repeat(width - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_always_to_be_seen() {
        assert_eq!(bar(1, 20_000).chars().filter(|c| *c == '█').count(), 1);
        assert_eq!(bar(0, 20_000).chars().filter(|c| *c == '█').count(), 0);
        assert_eq!(bar(5, 5).chars().filter(|c| *c == '█').count(), 24);
        assert_eq!(bar(0, 0).chars().filter(|c| *c == '█').count(), 0);
    }
}
