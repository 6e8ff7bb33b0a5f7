//! Two daemons on a network of their own: found without configuration, contacts by a link, messages both ways, in order, through absence
//! and lost interfaces. Needs root and iproute2: `cargo test --test netns_daemons -- --ignored --nocapture --test-threads 1`.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "these tests measure time and fail by panic")]

mod common;
#[path = "common/lab.rs"]
mod lab;
#[path = "common/netns.rs"]
mod netns;

use std::time::Instant;

use common::Home;
use lab::{Client, daemon_on, incoming, introduce};
use netns::Network;
use serde_json::Value;

fn people() -> (Home, Home) {
    (Home::with_profile("alice"), Home::with_profile("bob"))
}

/// Both write, both wait for the other's receipt, and each has both messages.
fn talk(alice: &Home, bob: &Home, words: &str) {
    for (home, other) in [(alice, "bob"), (bob, "alice")] {
        let sent = home.json(&["send", other, &format!("{words} to {other}"), "--wait", "60"]);
        assert!(matches!(sent["state"].as_str(), Some("delivered" | "read")), "{sent}");
    }
    for (home, other, me) in [(alice, "bob", "alice"), (bob, "alice", "bob")] {
        assert!(incoming(&home.json(&["messages", other])).contains(&format!("{words} to {me}")));
    }
}

fn strangers_become_contacts_and_talk(with_v4: bool) {
    let network = Network::new(2, with_v4);
    (0..2).for_each(|node| network.wait_for_v6(node));
    let (alice, bob) = people();
    let start = Instant::now();
    let (_at_alice, _at_bob) = (daemon_on(&network, 0, &alice, &[]), daemon_on(&network, 1, &bob, &[]));
    let started = start.elapsed();
    for home in [&alice, &bob] {
        Client::subscribe(home).wait_for_link();
    }
    println!("IPv4 {with_v4}: both ready after {started:?}, linked after {:?}", start.elapsed());
    let status = alice.json(&["status"]);
    let address = status["links"][0]["address"].as_str().unwrap();
    assert_eq!(address.contains("fe80"), !with_v4, "{address}");
    introduce(&alice, &bob);
    talk(&alice, &bob, "words");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn strangers_on_one_network_become_contacts_and_talk_without_configuration() {
    strangers_become_contacts_and_talk(true);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn link_local_ipv6_is_enough() {
    strangers_become_contacts_and_talk(false);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn two_daemons_on_one_device_find_each_other() {
    let network = Network::new(1, true);
    network.wait_for_v6(0);
    let (alice, bob) = people();
    let (_at_alice, _at_bob) = (daemon_on(&network, 0, &alice, &[]), daemon_on(&network, 0, &bob, &[]));
    for home in [&alice, &bob] {
        Client::subscribe(home).wait_for_link();
    }
    introduce(&alice, &bob);
    talk(&alice, &bob, "words");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_hundred_messages_wait_for_who_is_away_and_arrive_in_order() {
    let network = Network::new(2, true);
    let (alice, bob) = people();
    let _at_alice = daemon_on(&network, 0, &alice, &[]);
    let at_bob = daemon_on(&network, 1, &bob, &[]);
    introduce(&alice, &bob);
    assert!(at_bob.terminate().success());
    let texts: Vec<String> = (0..100).map(|number| format!("while you were away {number}")).collect();
    let mut client = Client::subscribe(&alice);
    let ids: Vec<String> = texts.iter().map(|text| client.send("bob", text)).collect();
    let waiting = alice.json(&["messages", "bob"]);
    let queued: Vec<&Value> = waiting.as_array().unwrap().iter().collect();
    assert_eq!(queued.iter().map(|message| message["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    assert!(queued.iter().all(|message| message["state"] == "queued"));
    let _at_bob = daemon_on(&network, 1, &bob, &[]);
    let states = client.wait_until_delivered("bob");
    for id in &ids {
        let seen = states.get(id).unwrap();
        assert!(matches!(seen.last().unwrap().as_str(), "delivered" | "read"), "{seen:?}");
        assert!(seen.is_sorted_by_key(|state| ["queued", "carried", "delivered", "read"].iter().position(|known| known == state)));
    }
    assert_eq!(incoming(&bob.json(&["messages", "alice"])), texts);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn what_is_written_while_the_interface_is_down_arrives_when_it_is_up() {
    let network = Network::new(2, true);
    (0..2).for_each(|node| network.wait_for_v6(node));
    let (alice, bob) = people();
    let (_at_alice, _at_bob) = (daemon_on(&network, 0, &alice, &[]), daemon_on(&network, 1, &bob, &[]));
    introduce(&alice, &bob);
    talk(&alice, &bob, "before");
    let mut from_bob = Client::subscribe(&bob);
    let mut from_alice = Client::subscribe(&alice);
    network.set_interface(1, "down");
    from_bob.event_of("link_down");
    let texts: Vec<String> = (0..10).map(|number| format!("in the dark {number}")).collect();
    for text in &texts {
        from_alice.send("bob", text);
        from_bob.send("alice", text);
    }
    let start = Instant::now();
    network.set_interface(1, "up");
    from_bob.event_of("link_up");
    let linked = start.elapsed();
    from_bob.wait_until_delivered("alice");
    from_alice.wait_until_delivered("bob");
    println!("interface up to link {linked:?}, to the last receipt {:?}", start.elapsed());
    for (home, other) in [(&alice, "bob"), (&bob, "alice")] {
        assert!(incoming(&home.json(&["messages", other])).ends_with(&texts));
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn where_multicast_is_blocked_a_given_address_is_enough() {
    let network = Network::new(2, true);
    network.block_multicast();
    let (alice, bob) = people();
    let _at_alice = daemon_on(&network, 0, &alice, &["--listen", "10.99.0.1:7000"]);
    let _at_bob = daemon_on(&network, 1, &bob, &["--connect", "10.99.0.1:7000"]);
    introduce(&alice, &bob);
    talk(&alice, &bob, "words");
    assert_eq!(bob.json(&["status"])["links"][0]["address"].as_str(), Some("10.99.0.1:7000"));
}

#[test]
#[ignore = "needs root and network namespaces"]
fn two_people_in_one_room_choose_each_other_compare_and_talk() {
    let network = Network::new(2, true);
    (0..2).for_each(|node| network.wait_for_v6(node));
    let (alice, bob) = people();
    let (_at_alice, _at_bob) = (daemon_on(&network, 0, &alice, &[]), daemon_on(&network, 1, &bob, &[]));
    let start = Instant::now();
    alice.json(&["nearby", "open"]);
    for home in [&bob, &alice] {
        let shown = home.json(&["nearby", "open", "--wait", "60"]);
        assert_eq!(shown["peers"][0]["transport"], "lan", "{shown}");
    }
    println!("both see each other after {:?}", start.elapsed());
    bob.json(&["nearby", "add", "alice"]);
    let words: Vec<Value> = [(&alice, "bob"), (&bob, "alice")]
        .map(|(home, other)| home.json(&["nearby", "add", other, "--wait", "60"])["words"].take())
        .to_vec();
    assert!(words[0] == words[1] && words[0].as_array().unwrap().len() == 4, "{words:?}");
    let mut client = Client::subscribe(&bob);
    for (home, other) in [(&bob, "alice"), (&alice, "bob")] {
        home.json(&["nearby", "confirm", other]);
    }
    while client.event_of("contact")["state"] != "established" {}
    talk(&alice, &bob, "words");
    for (home, other) in [(&bob, "alice"), (&alice, "bob")] {
        let contact = home.json(&["contact", "show", other]);
        assert_eq!((&contact["state"], &contact["verified"]), (&"established".into(), &true.into()));
    }
}
