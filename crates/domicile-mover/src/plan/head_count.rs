//! Who is where, and who would move.

use super::{Plan, SubjectCounts, TableKind};
use crate::error::Result;
use crate::people::Platform;

/// Counts everybody at every site, and what would move with them.
pub(super) async fn count_people(platform: &Platform, plan: &mut Plan) -> Result<()> {
    let mut counts = SubjectCounts::default();
    let mut held = 0;
    for (at, site) in platform.sites.iter().enumerate() {
        counts.by_site.entry(site.name().to_string()).or_insert(0);
        let planned = &mut plan.sites[at];
        if let Some(spec) = platform.homes.sites().find(|spec| &spec.name == site.name()) {
            planned.describe(spec);
        }
        if at != plan.template
            && site.catalog().await?.table(&platform.closure.root().name).is_none()
        {
            continue;
        }
        platform
            .visit(at, |person| {
                let (residence, home) = platform.home_of(&person);
                counts.total += 1;
                counts.unknown_residence += u64::from(residence.territory.is_none());
                counts.without_home += u64::from(home.is_none());
                let home = home.unwrap_or(at);
                let is_held = home != at && !platform.takes_people(home);
                held += u64::from(is_held);
                counts.to_move += u64::from(home != at && !is_held);
                planned.people += 1;
                planned.leaving += u64::from(home != at && !is_held);
                let name = platform.sites[home].name().to_string();
                *counts.by_site.entry(name).or_insert(0) += 1;
            })
            .await?;
    }
    let share = |of: u64| {
        let moved = u128::from(of) * u128::from(counts.to_move);
        u64::try_from(moved.checked_div(u128::from(counts.total)).unwrap_or(0)).unwrap_or(u64::MAX)
    };
    let owned = || plan.tables.iter().filter(|table| table.kind == TableKind::Owned);
    plan.rows_to_move = share(owned().map(|table| table.rows).sum());
    plan.bytes_to_move = share(owned().map(|table| table.bytes).sum());
    if held > 0 {
        plan.warnings.push(format!(
            "{held} people should live at a site on SQLite, to which nobody can move among sites \
             on PostgreSQL; they stay where they are"
        ));
    }
    if counts.without_home > 0 {
        plan.warnings.push(format!(
            "no [[homes]] rule matches {} people; they stay where they are",
            counts.without_home
        ));
    }
    plan.subjects = counts;
    Ok(())
}
