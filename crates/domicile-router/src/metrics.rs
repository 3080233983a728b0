//! What is counted while statements pass, for whoever watches. No text or value of a statement is
//! in it, and no person.

use crate::homes::Homes;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// One label and its value.
type Label = [(&'static str, String); 1];
type Labelled<M> = Family<Label, M>;
/// Seconds, added up.
type Seconds = Counter<f64, AtomicU64>;

/// Everything that is counted; it outlives a change of the configuration.
pub struct Metrics {
    registry: Registry,
    /// Clients that are let in.
    pub(crate) clients: Gauge,
    /// Sessions since the start.
    pub(crate) sessions: Counter,
    refused: Labelled<Counter>,
    errors: Labelled<Counter>,
    replays: Labelled<Counter>,
    /// Questions to the sites where somebody is at home.
    pub(crate) lookups: Counter,
    homes: Gauge,
    unheard: Gauge,
    batches: Labelled<Counter>,
    batch_seconds: Labelled<Seconds>,
    used: Labelled<Gauge>,
    idle: Labelled<Gauge>,
    waiting: Labelled<Gauge>,
    waited: Labelled<Seconds>,
    opened: Labelled<Counter>,
    failed: Labelled<Counter>,
}

/// What is counted of one site.
#[derive(Clone, Debug, Default)]
pub(crate) struct AtSite {
    batches: Counter,
    batch_seconds: Seconds,
    /// Connections that a session holds.
    pub(crate) used: Gauge,
    /// Connections that nobody holds.
    pub(crate) idle: Gauge,
    /// Statements that wait for a connection.
    pub(crate) waiting: Gauge,
    /// How long such statements have waited.
    pub(crate) waited: Seconds,
    /// Connections opened since the start.
    pub(crate) opened: Counter,
    /// Connections that could not be opened.
    pub(crate) failed: Counter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("domicile_serve"),
            clients: Gauge::default(),
            sessions: Counter::default(),
            refused: Family::default(),
            errors: Family::default(),
            replays: Family::default(),
            lookups: Counter::default(),
            homes: Gauge::default(),
            unheard: Gauge::default(),
            batches: Family::default(),
            batch_seconds: Family::default(),
            used: Family::default(),
            idle: Family::default(),
            waiting: Family::default(),
            waited: Family::default(),
            opened: Family::default(),
            failed: Family::default(),
        };
        metrics.register();
        metrics.register_sites();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("clients", "Clients that are let in", self.clients.clone());
        registry.register("sessions", "Sessions since the start", self.sessions.clone());
        registry.register(
            "logins_refused",
            "Clients that were not let in, by SQLSTATE",
            self.refused.clone(),
        );
        registry.register(
            "errors",
            "Errors of the router's own that clients were told, by SQLSTATE",
            self.errors.clone(),
        );
        registry.register(
            "replays",
            "Statements run again because a person had moved, by the fence's SQLSTATE",
            self.replays.clone(),
        );
        registry.register(
            "home_lookups",
            "Questions to the sites where somebody is at home",
            self.lookups.clone(),
        );
        registry.register("homes_known", "People whose home is kept in mind", self.homes.clone());
        registry.register(
            "sites_unheard",
            "Sites whose news of moves are not heard; while there are any, homes are asked for",
            self.unheard.clone(),
        );
    }

    fn register_sites(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "batches",
            "Statements, or what is sent together, that ran at a site",
            self.batches.clone(),
        );
        registry.register_with_unit(
            "batch",
            "Time from sending them to a site to the last answer",
            Unit::Seconds,
            self.batch_seconds.clone(),
        );
        registry.register(
            "connections_used",
            "Connections to a site that a session holds",
            self.used.clone(),
        );
        registry.register(
            "connections_idle",
            "Connections to a site that nobody holds",
            self.idle.clone(),
        );
        registry.register(
            "connections_waiting",
            "Statements that wait for a connection to a site",
            self.waiting.clone(),
        );
        registry.register_with_unit(
            "connections_waited",
            "Time that statements have waited for a connection to a site",
            Unit::Seconds,
            self.waited.clone(),
        );
        registry.register(
            "connections_opened",
            "Connections opened to a site",
            self.opened.clone(),
        );
        registry.register(
            "connections_failed",
            "Connections to a site that could not be opened",
            self.failed.clone(),
        );
    }

    /// The numbers of one site, by its name.
    pub(crate) fn at(&self, site: &str) -> AtSite {
        let label = [("site", site.to_owned())];
        AtSite {
            batches: self.batches.get_or_create_owned(&label),
            batch_seconds: self.batch_seconds.get_or_create_owned(&label),
            used: self.used.get_or_create_owned(&label),
            idle: self.idle.get_or_create_owned(&label),
            waiting: self.waiting.get_or_create_owned(&label),
            waited: self.waited.get_or_create_owned(&label),
            opened: self.opened.get_or_create_owned(&label),
            failed: self.failed.get_or_create_owned(&label),
        }
    }

    /// Somebody was not let in.
    pub(crate) fn refuses(&self, code: &str) {
        count(&self.refused, code);
    }

    /// A client is told of an error of the router's own.
    pub(crate) fn tells(&self, code: &str) {
        count(&self.errors, code);
    }

    /// A fence has refused something that runs again.
    pub(crate) fn replays(&self, code: &str) {
        count(&self.replays, code);
    }

    /// All of it in Prometheus' text format, version 0.0.4.
    pub fn text(&self, homes: &Homes) -> String {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.homes.set(number(homes.known_count()));
        self.unheard.set(number(homes.unheard()));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

impl AtSite {
    /// Something ran at the site, and took so long.
    pub(crate) fn ran(&self, took: Duration) {
        self.batches.inc();
        self.batch_seconds.inc_by(took.as_secs_f64());
    }
}

fn count(family: &Labelled<Counter>, code: &str) {
    family.get_or_create(&[("code", code.to_owned())]).inc();
}

/// One more of something for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn one(gauge: &Gauge) -> Counted {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
