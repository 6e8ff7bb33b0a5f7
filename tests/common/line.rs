//! Ann – Bert – Carol: two people who are never on one network, a stranger's laptop that meets both, and Mallory on either wire. Included
//! by `#[path]` beside `common`, `hostile`, `lab` and `netns`.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a part for each test binary; it fails by panic and measures time"
)]

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};

use crate::{
    common::{Daemon, Home},
    hostile::Stranger,
    lab::{Chance, Client, daemon_in, incoming, introduce_through_others},
    netns::Network,
};

/// The nodes. Bert's `eth0` leads to Ann, his `eth1` to Carol; so do Mallory's, who has no daemon.
pub(crate) const ANN: usize = 0;
pub(crate) const BERT: usize = 1;
pub(crate) const CAROL: usize = 2;
pub(crate) const MALLORY: usize = 3;
pub(crate) const WIRES: [&[usize]; 2] = [&[ANN, BERT, MALLORY], &[BERT, CAROL, MALLORY]];
/// Names that nothing else holds by chance.
pub(crate) const NAMES: [&str; 3] = ["Annabel-Quintus", "Balthasar-Yvonne", "Chrysanthemum-Zoe"];
/// Longest that anything may take where delays are short.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Three people and their daemons.
pub(crate) struct Line {
    pub(crate) daemons: [Option<Daemon>; 3],
    pub(crate) homes: [Home; 3],
    pub(crate) network: Network,
    /// Of each daemon.
    pub(crate) arguments: [&'static [&'static str]; 3],
}

impl Line {
    /// Nobody runs yet.
    pub(crate) fn new(arguments: &'static [&'static str]) -> Self {
        Self::of(NAMES.map(Home::with_profile), arguments)
    }

    pub(crate) fn of(homes: [Home; 3], arguments: &'static [&'static str]) -> Self {
        Self { daemons: [None, None, None], homes, network: Network::of_wires(&WIRES, true), arguments: [arguments; 3] }
    }

    /// Ann and Carol are contacts, everybody runs.
    pub(crate) fn of_friends(arguments: &'static [&'static str]) -> Self {
        let mut line = Self::new(arguments);
        (0..3).for_each(|node| line.start(node));
        line.introduce();
        line
    }

    pub(crate) fn start(&mut self, node: usize) {
        self.start_with(node, &[]);
    }

    pub(crate) fn start_with(&mut self, node: usize, variables: &[(&str, String)]) {
        self.daemons[node] = Some(daemon_in(&self.network, node, &self.homes[node], self.arguments[node], variables));
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self, node: usize) {
        self.daemons[node] = None;
    }

    /// Carol invites, Ann takes her link up; both hear of it through whoever carries.
    pub(crate) fn introduce(&self) -> String {
        introduce_through_others(&self.homes[CAROL], &self.homes[ANN])
    }

    pub(crate) fn client(&self, node: usize) -> Client {
        Client::subscribe(&self.homes[node])
    }

    /// Bert's interface towards somebody goes up or down.
    pub(crate) fn set(&self, towards: usize, state: &str) {
        self.network.set(BERT, if towards == ANN { "eth0" } else { "eth1" }, state);
    }

    /// Bert is with this one and nobody else, linked.
    pub(crate) fn meet(&self, who: usize) {
        self.set(ANN + CAROL - who, "down");
        self.set(who, "up");
        self.client(BERT).wait_for_status(|status| status["neighbours"].as_array().unwrap().len() == 1);
        self.client(who).wait_for_link();
    }

    /// Where a node's daemon listens on a wire.
    pub(crate) fn address(&self, wire: usize, node: usize) -> SocketAddr {
        // A daemon is ready a moment before it listens for neighbours, and its port changes with its beacon.
        let listens = |status: &Value| !status["listen"].as_array().unwrap().is_empty();
        let status = self.client(node).wait_for_status(listens);
        let port = status["listen"][0].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        format!("10.{}.0.{}:{port}", 99 - wire, node + 1).parse().unwrap()
    }

    /// Mallory dials a daemon on a wire.
    pub(crate) fn mallory(&self, wire: usize, node: usize, chance: &mut Chance) -> Stranger {
        Stranger::dial(&self.network, MALLORY, self.address(wire, node), chance).unwrap()
    }

    /// Both write; gives ids and texts, Ann's first.
    pub(crate) fn write(&self, count: usize, words: &str) -> [Vec<(String, String)>; 2] {
        [ANN, CAROL].map(|from| self.write_from(from, count, words))
    }

    /// One of the two writes to the other; gives ids and texts.
    pub(crate) fn write_from(&self, from: usize, count: usize, words: &str) -> Vec<(String, String)> {
        let mut client = self.client(from);
        let texts = (0..count).map(|number| text(from, &format!("{words} {number}")));
        texts.map(|text| (client.send(NAMES[ANN + CAROL - from], &text), text)).collect()
    }

    /// Waits until everything is delivered; checks that each side has exactly what the other wrote, in order.
    pub(crate) fn settle(&self, patience: Duration) {
        let mut written = [Vec::new(), Vec::new()];
        for (side, (from, to)) in [(ANN, CAROL), (CAROL, ANN)].into_iter().enumerate() {
            let mut client = self.client(from);
            client.patience = patience;
            client.wait_until_delivered(NAMES[to]);
            let messages = client.call("messages", json!({ "contact": NAMES[to] })).unwrap();
            let own = messages.as_array().unwrap().iter().filter(|message| message["outgoing"] == true);
            written[side] = own.map(|message| message["text"].as_str().unwrap().to_owned()).collect();
        }
        assert_eq!(incoming(&self.homes[CAROL].json(&["messages", NAMES[ANN]])), written[0]);
        assert_eq!(incoming(&self.homes[ANN].json(&["messages", NAMES[CAROL]])), written[1]);
    }

    /// What a message's writer is told of it.
    pub(crate) fn explain(&self, node: usize, id: &str) -> Value {
        self.homes[node].json(&["explain", id])
    }
}

/// What somebody writes.
pub(crate) fn text(from: usize, words: &str) -> String {
    format!("{} left the green umbrella in the belfry: {words}", NAMES[from])
}

pub(crate) fn handed(explained: &Value) -> (u64, u64) {
    (explained["handed_contacts"].as_u64().unwrap(), explained["handed_strangers"].as_u64().unwrap())
}

pub(crate) fn carried(status: &Value) -> u64 {
    status["relay"]["carried_bundles"].as_u64().unwrap()
}
