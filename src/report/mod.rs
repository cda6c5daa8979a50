//! Writers: one file per document and format. They take results and give text; nothing is computed here but rounding.

pub mod availability_json;
pub mod availability_row;
pub mod availability_text;
pub mod check_json;
pub mod check_text;
pub mod histogram;
pub mod inspect_json;
pub mod inspect_text;
pub mod provenance;
pub mod python;
pub mod style;
pub mod table;
pub mod timeline_json;
pub mod updates_json;
pub mod updates_row;
pub mod updates_text;
