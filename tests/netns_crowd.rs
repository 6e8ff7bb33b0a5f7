//! Thirty daemons on one bridge: one graph of few links each, and quiet. Needs root and iproute2:
//! `cargo test --test netns_crowd -- --ignored --nocapture --test-threads 1`.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "these tests measure time and fail by panic")]

mod common;
#[path = "common/lab.rs"]
mod lab;
#[path = "common/netns.rs"]
mod netns;

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use common::{Daemon, Home};
use lab::{Client, daemon_on, introduce};
use netns::{Network, processor_time};
use serde_json::{Value, json};

const NODES: usize = 30;
/// Links that a node may have, and those of strangers: four who dialled it, three whom it dialled (docs/design/007-crowd.md).
const LINKS: usize = 12;
const STRANGERS: usize = 7;
/// After this all have looked at each other (a hundred pairs a minute), and mDNS asks no more often than every two minutes.
const SETTLE: Duration = Duration::from_secs(200);
/// mDNS renews its records once in so long.
const MEASURE: Duration = Duration::from_secs(96);
/// What an idle link may cost a node in a minute, bytes on the wire, with all that mDNS says (issue 3).
const MOST_A_LINK: f64 = 2_000.0;

/// A node's open links, by the number of the node at the other end.
fn neighbours(client: &mut Client) -> Vec<usize> {
    let status = client.call("status", json!({})).unwrap();
    let open: BTreeSet<u64> = status["neighbours"].as_array().unwrap().iter().map(|it| it["link"].as_u64().unwrap()).collect();
    let links = status["links"].as_array().unwrap().iter().filter(|it| open.contains(&it["link"].as_u64().unwrap()));
    links.map(node_at).collect()
}

/// The node whose address a link shows: 10.99.0.1 is node 0.
fn node_at(link: &Value) -> usize {
    let address = link["address"].as_str().unwrap();
    let last = address.strip_prefix("10.99.0.").and_then(|rest| rest.split(':').next());
    last.unwrap_or_else(|| unreachable!("not by IPv4: {address}")).parse::<usize>().unwrap() - 1
}

fn is_connected(graph: &[Vec<usize>]) -> bool {
    let (mut seen, mut open) = (BTreeSet::from([0]), vec![0]);
    while let Some(node) = open.pop() {
        // A link that one end alone shows is coming up or going down.
        let both = graph[node].iter().copied().filter(|other| graph[*other].contains(&node));
        open.extend(both.filter(|other| seen.insert(*other)));
    }
    seen.len() == graph.len()
}

fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

/// All daemons, started one after the other, and linked as one graph.
struct Hall {
    network: Network,
    homes: Vec<Home>,
    daemons: Vec<Daemon>,
    clients: Vec<Client>,
}

impl Hall {
    fn new() -> Self {
        let network = Network::new(NODES, true);
        let homes: Vec<Home> = (0..NODES).map(|node| Home::with_profile(&format!("node{node}"))).collect();
        let start = Instant::now();
        // Each takes a moment of processor and 64 MiB for its passphrase: one after the other.
        let daemons: Vec<Daemon> = homes.iter().enumerate().map(|(node, home)| daemon_on(&network, node, home, &[])).collect();
        println!("{NODES} daemons ready after {:.1?}", start.elapsed());
        let mut clients: Vec<Client> = homes.iter().map(Client::subscribe).collect();
        clients.iter_mut().for_each(Client::wait_for_link);
        println!("each with a link after {:.1?}", start.elapsed());
        Self { network, homes, daemons, clients }
    }

    fn graph(&mut self) -> Vec<Vec<usize>> {
        self.clients.iter_mut().map(neighbours).collect()
    }

    /// Bytes that each node has sent and received, and its processor time.
    fn costs(&self) -> Vec<(u64, Duration)> {
        (0..NODES).map(|node| (self.network.traffic(node).0, processor_time(self.daemons[node].id()))).collect()
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn thirty_daemons_on_one_bridge_are_one_graph_of_few_links_and_quiet() {
    let mut hall = Hall::new();
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

    // Two who become contacts are linked soon, though neither knows where the other is, and everybody's places for strangers are taken.
    let graph = hall.graph();
    let far = (1..NODES).find(|node| !graph[0].contains(node)).unwrap();
    introduce(&hall.homes[0], &hall.homes[far]);
}
