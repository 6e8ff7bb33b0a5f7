//! Two daemons on the loopback interface, and two people who choose each other and compare words.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Daemon, Home};
use serde_json::Value;

/// Two homes whose daemons are connected.
fn neighbours() -> (Home, Daemon, Home, Daemon) {
    let (alice, bob) = (Home::with_profile("alice"), Home::with_profile("bob"));
    let at_alice = alice.daemon(&["--no-mdns", "--listen", "127.0.0.1:0"]);
    let at_bob = bob.daemon(&["--no-mdns", "--connect", &at_alice.listen[0]]);
    (alice, at_alice, bob, at_bob)
}

fn words(peer: &Value) -> Vec<&str> {
    peer["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// Both windows are open and both have chosen; what each is shown.
fn compare(alice: &Home, bob: &Home) -> (Value, Value) {
    alice.json(&["nearby", "open"]);
    let at_bob = bob.json(&["nearby", "open", "--wait", "60"]);
    assert_eq!((&at_bob["peers"][0]["name"], &at_bob["peers"][0]["state"]), (&"alice".into(), &"seen".into()));
    assert_eq!(bob.json(&["nearby", "add", "alice"])["state"], "chosen");
    let at_alice = alice.json(&["nearby", "add", "bob", "--wait", "60"]);
    assert_eq!(at_alice["state"], "comparing");
    // Chosen before: it is enough to wait.
    let at_bob = bob.json(&["nearby", "add", "alice", "--wait", "60"]);
    assert_eq!(words(&at_alice), words(&at_bob));
    (at_alice, at_bob)
}

#[test]
fn two_people_compare_words_and_are_verified_contacts() {
    let (alice, _at_alice, bob, _at_bob) = neighbours();
    let (at_alice, _) = compare(&alice, &bob);
    let said = alice.ok(&["nearby", "list"]);
    for part in ["window: open until", "bob", "same on both screens?", "--differ", &words(&at_alice).join("   ")] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let confirmed = alice.json(&["nearby", "confirm", "bob"]);
    assert_eq!(confirmed["state"], "confirmed");
    let number = confirmed["contact"].as_u64().unwrap().to_string();
    let contact = alice.json(&["contact", "show", &number]);
    assert_eq!((&contact["state"], &contact["verified"]), (&"pending".into(), &true.into()));
    assert_eq!(bob.json(&["nearby", "confirm", "1"])["name"], "alice");
    for (home, other) in [(&bob, "alice"), (&alice, "bob")] {
        let sent = home.json(&["send", other, "hello over there", "--wait", "60"]);
        assert!(matches!(sent["state"].as_str(), Some("delivered" | "read")), "{sent}");
        let contact = home.json(&["contact", "show", other]);
        assert_eq!((&contact["state"], &contact["verified"]), (&"established".into(), &true.into()));
    }
    let closed = alice.json(&["nearby", "close"]);
    assert!(closed.get("until").is_none() && closed["mismatches"] == 0, "{closed}");
}

#[test]
fn words_that_differ_end_it_for_both() {
    let (alice, _at_alice, bob, _at_bob) = neighbours();
    compare(&alice, &bob);
    assert_eq!(alice.json(&["nearby", "confirm", "bob", "--differ"])["state"], "failed");
    assert!(alice.ok(&["nearby", "list"]).contains("once the words differed"));
    let said = alice.fails(4, &["nearby", "confirm", "bob"]);
    assert!(said.contains("no words to compare"), "{said}");
    for home in [&alice, &bob] {
        assert_eq!(home.json(&["contact", "list"]), Value::Array(Vec::new()));
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    let home = Home::with_profile("alice");
    home.fails(5, &["nearby", "open"]);
    let _daemon = home.daemon(&["--no-mdns"]);
    assert!(home.ok(&["nearby", "list"]).starts_with("window: closed"));
    assert!(home.fails(4, &["nearby", "add", "bob"]).contains("open it first"));
    assert!(home.ok(&["nearby", "open"]).contains("nobody yet"));
    let said: Value = serde_json::from_str(&home.fails(4, &["nearby", "add", "bob", "--json"])).unwrap();
    assert_eq!(said["error"]["reason"], "unknown_peer");
    home.fails(4, &["nearby", "confirm", "1"]);
    home.fails(2, &["nearby"]);
    home.fails(2, &["nearby", "add"]);
    assert!(home.ok(&["nearby", "open", "--wait", "0"]).contains("nobody yet"));
    assert!(home.ok(&["nearby", "close"]).starts_with("window: closed"));
}
