//! temporary
#[path = "it/tidy.rs"]
mod tidy;
