//! Stack limits (skeleton).
