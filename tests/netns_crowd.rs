//! Thirty daemons on one bridge: one graph of few links each, and quiet. Needs root and iproute2:
//! `cargo test --features test-delays --test netns_crowd -- --ignored --nocapture --test-threads 1`.
#![expect(clippy::disallowed_methods, reason = "these tests measure time and fail by panic")]

mod common;
#[path = "common/hall.rs"]
mod hall;
#[path = "common/lab.rs"]
mod lab;
#[path = "common/netns.rs"]
mod netns;

use std::{
    thread,
    time::{Duration, Instant},
};

use hall::{Hall, is_connected, median};
use lab::{SHORT, introduce_through_others};

const NODES: usize = 30;
/// Who makes the contact link in the end. Only its delays are short: its answer goes through others. While it is quiet nobody has anything to delay.
const ISSUER: usize = 0;
/// Links that a node may have, and those of strangers: four who dialled it, three whom it dialled (docs/design/007-crowd.md).
const LINKS: usize = 12;
const STRANGERS: usize = 7;
/// After this all have looked at each other (a few pairs a second), and nobody asks for more by mDNS.
const SETTLE: Duration = Duration::from_secs(150);
/// mDNS renews its records once in so long.
const MEASURE: Duration = Duration::from_secs(96);
/// What an idle link may cost a node in a minute, bytes on the wire, with all that mDNS says (issue 3).
const MOST_A_LINK: f64 = 2_000.0;

#[test]
#[ignore = "needs root and network namespaces"]
fn thirty_daemons_on_one_bridge_are_one_graph_of_few_links_and_quiet() {
    let mut hall = Hall::new(NODES, |node| if node == ISSUER { SHORT } else { &[] });
    thread::sleep(SETTLE);
    let before = hall.costs();
    thread::sleep(MEASURE);
    let after = hall.costs();
    let graph = hall.graph();
    let counts: Vec<usize> = graph.iter().map(Vec::len).collect();
    println!("links of a node: {counts:?}");
    assert!(is_connected(&graph), "{graph:?}");
    assert!(counts.iter().all(|count| *count <= STRANGERS.min(LINKS)), "{counts:?}");

    let minutes = MEASURE.as_secs_f64() / 60.0;
    let spent = || before.iter().zip(&after).map(|(before, after)| (after.0 - before.0, after.1 - before.1));
    let a_link = || spent().zip(&counts).map(|((bytes, _), count)| bytes as f64 / minutes / *count as f64);
    println!(
        "idle, a minute and node: {:.0} bytes, {:.0} bytes a link, {:.1?} of processor (medians)",
        median(spent().map(|(bytes, _)| bytes as f64 / minutes)),
        median(a_link()),
        median(spent().map(|(_, time)| time.div_f64(minutes))),
    );
    assert!(median(a_link()) <= MOST_A_LINK);

    // Two who become contacts find each other, though everybody's places for strangers are taken and nobody knows where the other is.
    let far = (0..NODES).find(|node| *node != ISSUER && !graph[ISSUER].contains(node)).unwrap();
    let start = Instant::now();
    introduce_through_others(&hall.homes[ISSUER], &hall.homes[far]);
    println!("contacts after {:.1?}", start.elapsed());
}
