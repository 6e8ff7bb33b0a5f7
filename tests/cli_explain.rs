//! `explain` by the built program: what a person reads and what a script gets, at each step of a message's way.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::Home;
use serde_json::Value;

fn happened(explanation: &Value) -> Vec<&str> {
    explanation["log"].as_array().unwrap().iter().map(|happening| happening["what"].as_str().unwrap()).collect()
}

#[test]
fn a_message_is_explained_while_it_waits_and_once_it_is_read() {
    let (alice, bob) = (Home::with_profile("alice"), Home::with_profile("bob"));
    let at_alice = alice.daemon(&["--no-mdns", "--listen", "127.0.0.1:0"]);
    let at_bob = bob.daemon(&["--no-mdns", "--connect", &at_alice.listen[0]]);
    let link = alice.json(&["invite"])["link"].as_str().unwrap().to_owned();
    let early = alice.ok(&["send", "1", "before you are a contact"]);
    let waiting = alice.json(&["explain", early.trim()]);
    assert_eq!((&waiting["waits"]["code"], &waiting["helps"][0]["code"]), (&"not_a_contact".into(), &"renew_link".into()));
    bob.json(&["contact", "add", &link, "--wait", "60"]);
    alice.json(&["send", "bob", "you are one now", "--wait", "60"]);
    assert_eq!(happened(&alice.json(&["explain", early.trim()]))[..2], ["written", "sealed"]);
    assert!(at_bob.terminate().success());

    let id = alice.ok(&["send", "bob", "Come\u{1b}[2J at eight"]);
    let id = id.trim();
    let queued = alice.json(&["explain", id]);
    assert_eq!(happened(&queued), ["written", "sealed"]);
    assert_eq!((&queued["id"], &queued["state"], &queued["text"]), (&id.into(), &"queued".into(), &"Come\u{1b}[2J at eight".into()));
    assert_eq!((&queued["bundle"]["bytes"], &queued["bundle"]["held"]), (&512.into(), &true.into()));
    assert_eq!((&queued["reader"]["name"], &queued["reader"]["last_transport"]), (&"bob".into(), &"lan".into()));
    let (now, seen) = (queued["now"].as_u64().unwrap(), queued["reader"]["last_seen"].as_u64().unwrap());
    assert!(seen <= now && now - seen < 120_000, "{queued}");
    let shown = alice.ok(&["explain", id]);
    for part in
        ["[queued]", "for: bob, ", "bundle: 512 bytes, normal", "held here", "s ago", "sealed as number", "What would help:", " UTC ("]
    {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown:?}");

    let _at_bob = bob.daemon(&["--no-mdns", "--connect", &at_alice.listen[0]]);
    // A later message that is delivered says that this one was taken too: they go in order.
    alice.json(&["send", "bob", "and bring the map", "--wait", "60"]);
    let delivered = alice.json(&["explain", id]);
    assert_eq!(happened(&delivered), ["written", "sealed", "handed", "receipt"]);
    let handed = &delivered["log"][2];
    assert_eq!((&handed["to"], &handed["name"], &handed["transport"]), (&"reader".into(), &"bob".into(), &"lan".into()));
    assert_eq!((&delivered["state"], &delivered["waits"], &delivered["helps"]), (&"delivered".into(), &Value::Null, &Value::Array(vec![])));
    let shown = alice.ok(&["explain", id]);
    assert!(shown.contains("handed to bob, for whom it is, over LAN") && shown.contains("the receipt came"), "{shown}");
    let at_bob = bob.json(&["explain", id]);
    assert_eq!((happened(&at_bob), &at_bob["from"]), (vec!["received"], &"alice".into()));
    assert!(bob.ok(&["explain", id]).contains("received, and opened here"));
}
