//! The columns of `samples/`, the same in every dataset whatever its source and layout.

use std::sync::{Arc, LazyLock};

use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};

/// `docs/format/parquet.md` says what each column means. `series_id` is signed because Spark reads unsigned ones as
/// decimals; times carry UTC because engines read times without a zone in the session's.
const SAMPLES: &str = "
message samples {
  required int64 series_id;
  required int64 ts (TIMESTAMP(MILLIS, true));
  optional double value;
  required boolean stale;
  optional int64 start_ts (TIMESTAMP(MILLIS, true));
  optional binary origin (STRING);
  optional int64 value_int;
  optional double div;
}";

/// Positions of the columns of `samples/`.
pub(super) mod column {
    pub(in crate::dataset) const SERIES_ID: usize = 0;
    pub(in crate::dataset) const TS: usize = 1;
    pub(in crate::dataset) const VALUE: usize = 2;
    pub(in crate::dataset) const STALE: usize = 3;
    pub(in crate::dataset) const START_TS: usize = 4;
    pub(in crate::dataset) const ORIGIN: usize = 5;
    pub(in crate::dataset) const VALUE_INT: usize = 6;
    pub(in crate::dataset) const DIV: usize = 7;
}

/// The schema of `samples/`.
#[expect(clippy::expect_used, reason = "the text is a constant that every test parses")]
pub(super) fn samples() -> SchemaDescPtr {
    static SCHEMA: LazyLock<SchemaDescPtr> = LazyLock::new(|| {
        let schema = parse_message_type(SAMPLES).expect("the schema of samples parses");
        Arc::new(SchemaDescriptor::new(Arc::new(schema)))
    });
    SCHEMA.clone()
}
