//! `scheduler`: wiring only.

fn main() {}
