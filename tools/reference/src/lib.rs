//! Plain f64 oracles of the kernels, written to be read.
