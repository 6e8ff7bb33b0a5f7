//! Many daemons on one bridge, and the graph of their links. Included by `#[path]` beside `common`, `lab` and `netns`.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a part for each binary; it fails by panic and measures time"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    common::{Daemon, Home},
    lab::{Client, daemon_on},
    netns::{INTERFACE, Network, processor_time},
};

/// Daemons, started one after the other, each of them linked.
pub(crate) struct Hall {
    pub(crate) network: Network,
    pub(crate) homes: Vec<Home>,
    pub(crate) daemons: Vec<Daemon>,
    pub(crate) clients: Vec<Client>,
    /// Which node has which address, without its zone and port.
    nodes: BTreeMap<String, usize>,
}

impl Hall {
    /// Starts so many, each with its arguments.
    pub(crate) fn new(count: usize, arguments: impl Fn(usize) -> &'static [&'static str]) -> Self {
        let network = Network::new(count, true);
        let nodes = (0..count).flat_map(|node| addresses(&network, node).into_iter().map(move |address| (address, node))).collect();
        let homes: Vec<Home> = (0..count).map(|node| Home::with_profile(&format!("node{node}"))).collect();
        let start = Instant::now();
        // Each takes a moment of processor and 64 MiB for its passphrase: one after the other.
        let daemons: Vec<Daemon> = homes.iter().enumerate().map(|(node, home)| daemon_on(&network, node, home, arguments(node))).collect();
        let ready = start.elapsed();
        let mut clients: Vec<Client> = homes.iter().map(Client::subscribe).collect();
        clients.iter_mut().for_each(Client::wait_for_link);
        println!("{count} daemons ready one after the other in {ready:.1?}, each with a link after {:.1?}", start.elapsed());
        Self { network, homes, daemons, clients, nodes }
    }

    /// The other ends of every node's open links.
    pub(crate) fn graph(&mut self) -> Vec<Vec<usize>> {
        let nodes = &self.nodes;
        self.clients.iter_mut().map(|client| neighbours(client, nodes)).collect()
    }

    /// Bytes that each node has sent and received, and its processor time.
    pub(crate) fn costs(&self) -> Vec<(u64, Duration)> {
        (0..self.homes.len()).map(|node| (self.network.traffic(node).0, processor_time(self.daemons[node].id()))).collect()
    }
}

/// A node's IPv4 address and its link-local one.
fn addresses(network: &Network, node: usize) -> Vec<String> {
    network.wait_for_v6(node);
    let output = network.command(node, "ip").args(["-o", "address", "show", "dev", INTERFACE]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| Some(line.split_whitespace().nth(3)?.split('/').next()?.to_owned())).collect()
}

fn neighbours(client: &mut Client, nodes: &BTreeMap<String, usize>) -> Vec<usize> {
    let status = client.call("status", json!({})).unwrap();
    let open: BTreeSet<u64> = status["neighbours"].as_array().unwrap().iter().map(|it| it["link"].as_u64().unwrap()).collect();
    let links = status["links"].as_array().unwrap().iter().filter(|it| open.contains(&it["link"].as_u64().unwrap()));
    links.map(|link| node_at(link["address"].as_str().unwrap(), nodes)).collect()
}

fn node_at(address: &str, nodes: &BTreeMap<String, usize>) -> usize {
    let host = address.rsplit_once(':').unwrap().0.trim_start_matches('[').trim_end_matches(']');
    let bare = host.split('%').next().unwrap();
    *nodes.get(bare).unwrap_or_else(|| unreachable!("a link to an address of nobody's"))
}

/// Whether every node leads to every other, over links that both ends show.
pub(crate) fn is_connected(graph: &[Vec<usize>]) -> bool {
    let (mut seen, mut open) = (BTreeSet::from([0]), vec![0]);
    while let Some(node) = open.pop() {
        let both = graph[node].iter().copied().filter(|other| graph[*other].contains(&node));
        open.extend(both.filter(|other| seen.insert(*other)));
    }
    seen.len() == graph.len()
}

/// The middle one.
pub(crate) fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    values[values.len() / 2]
}
