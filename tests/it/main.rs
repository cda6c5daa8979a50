//! The integration tests, one binary.

/// Data directories with every sample that Prometheus reads from them.
mod encodings;
/// Answers of real servers, bit for bit.
mod servers;
/// Where fixtures are and how a test says that it was skipped.
mod support;
