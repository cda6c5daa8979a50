//! `views.sql`: the samples with their labels and one value, as a view.

use super::Partition;

/// The name of the file.
pub const VIEWS: &str = "views.sql";

/// The text of the file, which depends on `partition` alone. Paths are relative to the folder of the dataset.
pub fn views_sql(partition: &str) -> String {
    let hive = if partition == Partition::Day.name() { ", hive_partitioning = true" } else { "" };
    format!(
        "\
-- The dataset as a view, for DuckDB; run it in the folder that holds this file:  duckdb -init views.sql
-- Other engines: docs/parquet.md of promproof.
SET TimeZone = 'UTC';

CREATE OR REPLACE VIEW samples AS
  SELECT * FROM read_parquet('samples/**/*.parquet'{hive});

CREATE OR REPLACE VIEW series AS
  SELECT * FROM read_parquet('series/*.parquet');

CREATE OR REPLACE VIEW histograms AS
  SELECT * FROM read_parquet('histograms/**/*.parquet'{hive});

-- One row per float sample. Stale markers have no value.
CREATE OR REPLACE VIEW samples_named AS
  SELECT s.ts, coalesce(s.value, s.value_int / s.div) AS value, s.stale, s.start_ts, s.origin,
         n.* EXCLUDE (samples, histograms, first_ts, last_ts, hole_start, hole_end, conflicts, labels_binary)
  FROM samples s JOIN series n USING (series_id);
"
    )
}
