//! The interface of the built program at a pseudo-terminal: from its start to the first screen of the demo, and of a daemon that runs.
//!
//! `cargo bench --bench interface`. Needs `setsid` (util-linux). Prints; docs/performance.md says how to read it.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/pty.rs"]
mod pty;

use std::time::Duration;

use common::Home;
use pty::Terminal;

/// Starts of each kind.
const STARTS: usize = 21;
/// Ctrl-Q.
const QUIT: &[u8] = b"\x11";

fn main() {
    let home = Home::with_profile("ada");
    print_spread("demo: from its start to the people of the first screen", || first_screen(Terminal::demo(&home), "Robin"));
    let daemon = home.daemon(&["--no-mdns"]);
    print_spread("a running daemon: from the interface's start to the profile's name", || {
        first_screen(Terminal::start(&home), "hedgerow · ada")
    });
    drop(daemon);
}

/// Waits for the words on the screen, and leaves.
fn first_screen(mut terminal: Terminal, words: &str) -> Duration {
    let start = terminal.started;
    terminal.shows(words);
    let taken = start.elapsed();
    // Asked whether it is meant, it is.
    terminal.bytes(QUIT);
    terminal.bytes(QUIT);
    terminal.ended();
    taken
}

fn print_spread(what: &str, start: impl FnMut() -> Duration) {
    let mut times: Vec<Duration> = std::iter::repeat_with(start).take(STARTS).collect();
    times.sort_unstable();
    let (median, most) = (times[STARTS / 2], times[STARTS - 1]);
    println!("{what}: median {median:.0?}, most {most:.0?} of {STARTS}");
}
