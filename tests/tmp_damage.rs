//! temporary
#[path = "it/damage.rs"]
mod damage;
