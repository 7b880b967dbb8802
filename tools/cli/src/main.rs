//! The host tool of scrimp.
fn main() {}
