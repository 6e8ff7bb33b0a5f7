//! `sim`: replays who met whom over the real engine, and says how close it comes to the best that any protocol could do.
#![forbid(unsafe_code)]

fn main() {}
