//! Predicates of small builds, in both versions.
