//! Goldens and tolerances for tests
