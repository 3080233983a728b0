//! The two clusters, and the databases of one run.

use anyhow::Result;
use domicile_testkit::{Cluster, Options, connect};

use super::world::{TABLES, Template};

/// The database of a run, at both clusters.
pub(super) const DATABASE: &str = "bench";

/// A cluster that people leave and one they come to; both wait for the disk.
pub(super) struct Pair {
    pub(super) source: Cluster,
    pub(super) target: Cluster,
}

impl Pair {
    pub(super) fn start(settings: &[(&str, &str)]) -> Result<Pair> {
        let start = || {
            let durable = Options::for_benchmarks();
            let durable = durable.with("shared_buffers", "512MB").with("max_wal_size", "8GB");
            let all = settings.iter();
            Cluster::start(all.fold(durable, |options, (name, value)| options.with(name, value)))
        };
        Ok(Pair { source: start()?, target: start()? })
    }

    /// New databases from the template, on disk; at the target an empty one if so wanted.
    pub(super) async fn renew(&self, template: &Template, is_target_empty: bool) -> Result<()> {
        copy(&self.source, DATABASE, &template.name).await?;
        let target = if is_target_empty { "template0" } else { &template.name };
        copy(&self.target, DATABASE, target).await?;
        for cluster in [&self.source, &self.target] {
            let server = connect(&cluster.superuser_url("postgres")).await?;
            server.batch_execute("CHECKPOINT").await?;
        }
        Ok(())
    }

    /// Rows at the source and at the target.
    pub(super) async fn counts(&self) -> Result<[i64; 2]> {
        let mut found = [0, 0];
        for (cluster, count) in [&self.source, &self.target].into_iter().zip(&mut found) {
            let client = connect(&cluster.superuser_url(DATABASE)).await?;
            for (table, _) in TABLES {
                let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?;
                *count += row.get::<_, i64>(0);
            }
        }
        Ok(found)
    }
}

/// Puts a copy of a database in the place of another.
pub(super) async fn copy(cluster: &Cluster, name: &str, template: &str) -> Result<()> {
    let server = connect(&cluster.superuser_url("postgres")).await?;
    server.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    let copy = format!("CREATE DATABASE {name} OWNER app TEMPLATE {template} STRATEGY FILE_COPY");
    Ok(server.batch_execute(&copy).await?)
}
