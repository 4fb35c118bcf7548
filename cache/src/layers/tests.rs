//! Tests of layers as a whole.
