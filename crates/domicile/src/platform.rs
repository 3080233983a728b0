//! From the configuration to what the mover works on.

use crate::ambient;
use crate::config::Config;
use crate::exit::{Failure, Result};
use crate::screen;
use domicile_model::homes::BadHomes;
use domicile_model::{HomeRule, Homes};
use domicile_mover::people::{Directives, Platform};
use domicile_mover::plan::{self, Plan, Refusal};
use domicile_store::Site;
use std::sync::Arc;

/// The rules for homes, and those of them that a site's operator breaks.
///
/// A broken rule is a refusal of the plan and not a mistake in the configuration: it is there to
/// be broken one day, when an operator is sold. The rules without it still serve to count people.
pub(crate) fn homes(config: &Config) -> Result<(Homes, Vec<Refusal>)> {
    let faults = match Homes::new(config.homes.clone(), config.specs()) {
        Ok(homes) => return Ok((homes, Vec::new())),
        Err(faults) => faults,
    };
    let mut refusals = Vec::new();
    for fault in faults {
        let BadHomes::RefusedControl { site, control, .. } = &fault else {
            return Err(Failure::usage(fault.to_string()).hint("correct [[homes]]"));
        };
        refusals.push(Refusal {
            what: "homes".to_owned(),
            why: fault.to_string(),
            hint: format!("take {site} out of that home, or {control} out of its refuse_control"),
        });
    }
    let open = |rule: &HomeRule| HomeRule { refuse_control: Vec::new(), ..rule.clone() };
    let homes = Homes::new(config.homes.iter().map(open).collect(), config.specs());
    let homes = homes.map_err(|_| Failure::internal("the homes cannot be read without rules"))?;
    Ok((homes, refusals))
}

/// Plans the schema, with the refusals of the homes.
pub(crate) async fn plan_schema(config: &Config, sites: &[Arc<dyn Site>]) -> Result<Plan> {
    let (_, refusals) = homes(config)?;
    let mut plan = plan::plan_schema(sites, &config.wishes).await?;
    plan.refused.splice(0..0, refusals);
    Ok(plan)
}

/// The platform of a plan.
pub(crate) fn of_plan(config: &Config, sites: Vec<Arc<dyn Site>>, plan: &Plan) -> Result<Platform> {
    let Some(closure) = plan.closure.clone() else {
        return Err(Failure::internal("a plan without a closure"));
    };
    Ok(Platform {
        sites,
        closure,
        homes: homes(config)?.0,
        residence: config.wishes.residence.clone(),
        reference_site: plan.reference_site,
        on: ambient::today(),
        directives: Directives::default(),
    })
}

/// Opens everything for a command that only looks. What a plan refuses does not stop it, but
/// every site must have its tables.
pub(crate) async fn for_looking(config: &Config, sites: Vec<Arc<dyn Site>>) -> Result<Platform> {
    let plan = plan_schema(config, &sites).await?;
    if !plan.refused.is_empty() {
        let count = plan.refused.len();
        screen::say(format!("note: the plan refuses {count} things; see domicile plan"));
    }
    let platform = of_plan(config, sites, &plan)?;
    for site in &platform.sites {
        let catalog = site.catalog().await?;
        let owned = platform.closure.tables().map(|table| &table.name);
        let reference = platform.closure.reference.iter().map(|table| &table.name);
        for table in owned.chain(reference) {
            if catalog.table(table).is_none() {
                return Err(Failure::failed(format!("site {} has no table {table}", site.name()))
                    .hint("run domicile prepare, which makes it"));
            }
        }
    }
    Ok(platform)
}

/// Ends a command that must not go on while the plan refuses something.
pub(crate) fn demand_accepted(plan: &Plan) -> Result<()> {
    demand_none(&plan.refused)
}

/// The same, of a command that drops the keys which are refused until they are dropped.
pub(crate) fn demand_accepted_but_keys(plan: &Plan) -> Result<()> {
    demand_none(&plan.refused_otherwise())
}

fn demand_none(refused: &[Refusal]) -> Result<()> {
    match refused {
        [] => Ok(()),
        [only] => Err(Failure::failed(format!("refused: {}: {}", only.what, only.why))
            .hint(only.hint.clone())),
        many => {
            for refusal in many {
                screen::say(format!("refused: {}: {}", refusal.what, refusal.why));
                screen::say(format!("   hint: {}", refusal.hint));
            }
            Err(Failure::failed(format!("the plan refuses {} things", many.len()))
                .hint("change what is listed above, and look again with domicile plan"))
        }
    }
}
