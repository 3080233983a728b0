//! The suite, on PostgreSQL, and what only PostgreSQL's writers can do.

#[cfg(test)]
#[macro_use]
mod conformance;
#[cfg(test)]
#[path = "conformance/attacks.rs"]
mod attacks;
#[cfg(test)]
#[path = "conformance/postgres_guards.rs"]
mod guards;
#[cfg(test)]
#[path = "conformance/postgres_load.rs"]
mod load;
#[cfg(test)]
#[path = "conformance/postgres_planner.rs"]
mod planner;
#[cfg(test)]
#[path = "conformance/postgres_bed.rs"]
mod postgres_bed;
#[cfg(test)]
#[path = "conformance/postgres_reference.rs"]
mod reference_tables;
#[cfg(test)]
#[path = "conformance/postgres_residents.rs"]
mod residents;
#[cfg(test)]
#[path = "conformance/schedules.rs"]
mod schedules;
#[cfg(test)]
#[path = "conformance/schedules_crash.rs"]
mod schedules_crash;
#[cfg(test)]
#[path = "conformance/schedules_doubled.rs"]
mod schedules_doubled;
#[cfg(test)]
#[path = "conformance/schedules_lost.rs"]
mod schedules_lost;
#[cfg(test)]
#[path = "conformance/schedules_stalls.rs"]
mod schedules_stalls;
#[cfg(test)]
#[path = "conformance/shared_writers.rs"]
mod shared_writers;
#[cfg(test)]
#[path = "conformance/postgres_values.rs"]
mod values;
#[cfg(test)]
#[path = "conformance/writers.rs"]
mod writers;

use postgres_bed::PostgresBed;

conformance!(PostgresBed);
