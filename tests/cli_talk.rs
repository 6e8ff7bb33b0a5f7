//! Two daemons on the loopback interface: a link, two contacts, messages both ways.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Daemon, Home, Rpc};
use serde_json::Value;

const LOOPBACK: &[&str] = &["--no-mdns", "--listen", "127.0.0.1:0"];

/// Two homes whose daemons are connected.
fn neighbours() -> (Home, Daemon, Home, Daemon) {
    let (alice, bob) = (Home::with_profile("alice"), Home::with_profile("bob"));
    let at_alice = alice.daemon(LOOPBACK);
    let at_bob = bob.daemon(&["--no-mdns", "--connect", &at_alice.listen[0]]);
    (alice, at_alice, bob, at_bob)
}

/// Makes them contacts.
fn introduce(alice: &Home, bob: &Home) {
    let link = alice.json(&["invite"])["link"].as_str().unwrap().to_owned();
    let added = bob.json(&["contact", "add", &format!("Hi! {} see you", link.to_uppercase()), "--wait", "60"]);
    assert_eq!((&added["state"], &added["name"]), (&"established".into(), &"alice".into()));
}

fn texts(messages: &Value) -> Vec<String> {
    messages.as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn two_people_become_contacts_and_write_to_each_other() {
    let (alice, _at_alice, bob, _at_bob) = neighbours();
    introduce(&alice, &bob);
    let sent = bob.json(&["send", "alice", "Hello, Alice", "--wait", "60"]);
    assert!(matches!(sent["state"].as_str(), Some("delivered" | "read")), "{sent}");
    let id = alice.ok(&["send", "bob", "--wait", "60", "--", "-- hello back\nsecond line"]);
    assert_eq!(id.trim().len(), 32);
    for home in [&alice, &bob] {
        let other = if std::ptr::eq(home, &alice) { "bob" } else { "alice" };
        let messages = home.json(&["messages", other]);
        assert_eq!(texts(&messages), ["Hello, Alice", "-- hello back\nsecond line"]);
        assert!(home.ok(&["messages", other]).contains("Hello, Alice"));
        let exported = home.json(&["export", other]);
        assert_eq!(exported["messages"].as_array().unwrap().len(), 2);
        assert!(home.ok(&["export", other, "--format", "md"]).starts_with("# "));
    }
    assert_eq!(alice.json(&["explain", id.trim()])["id"].as_str(), Some(id.trim()));
    // The same words give the same fingerprint on both sides.
    let shown = bob.json(&["contact", "show", "alice"])["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(Some(shown.as_str()), alice.json(&["status"])["fingerprint"].as_str());
    bob.fails(4, &["contact", "verify", "alice", "0000"]);
    assert_eq!(bob.json(&["contact", "verify", "alice", &shown])["verified"], true);
    assert_eq!(bob.json(&["contact", "rename", "alice", "Ally"])["name"], "Ally");
    bob.fails(4, &["send", "alice", "who?"]);
}

#[test]
fn a_repeated_send_with_one_id_sends_once() {
    let (alice, _at_alice, bob, _at_bob) = neighbours();
    introduce(&alice, &bob);
    let id = "0123456789abcdef0123456789abcdef";
    for _ in 0..3 {
        assert_eq!(bob.ok(&["send", "alice", "once", "--id", id]).trim(), id);
    }
    bob.fails(2, &["send", "alice", "other words", "--id", id]);
    bob.json(&["send", "alice", "then", "--wait", "60"]);
    assert_eq!(texts(&alice.json(&["messages", "bob"])), ["once", "then"]);
    assert_eq!(texts(&alice.json(&["messages", "bob", "--since", id])), ["then"]);
    assert_eq!(texts(&alice.json(&["messages", "bob", "--limit", "1"])), ["then"]);
}

#[test]
fn what_is_written_while_the_other_is_away_arrives_in_order() {
    let (alice, at_alice, bob, at_bob) = neighbours();
    introduce(&alice, &bob);
    assert!(at_bob.terminate().success());
    let mut rpc = Rpc::start(&alice);
    for number in 0..20 {
        rpc.say(&format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"send","params":{{"contact":"bob","text":"message {number}"}}}}"#));
    }
    for _ in 0..20 {
        assert_eq!(rpc.hear()["result"]["state"], "queued");
    }
    let _at_bob = bob.daemon(&["--no-mdns", "--connect", &at_alice.listen[0]]);
    alice.json(&["send", "bob", "the last", "--wait", "60"]);
    let received = texts(&bob.json(&["messages", "alice"]));
    let expected: Vec<String> = (0..20).map(|number| format!("message {number}")).chain(["the last".to_owned()]).collect();
    assert_eq!(received, expected);
}

#[test]
fn waiting_ends_when_time_is_up_and_says_that_nothing_was_lost() {
    let alice = Home::with_profile("alice");
    let _daemon = alice.daemon(&["--no-mdns"]);
    let bob = Home::with_profile("bob");
    let _at_bob = bob.daemon(&["--no-mdns"]);
    let link = alice.json(&["invite"])["link"].as_str().unwrap().to_owned();
    let said = bob.fails(4, &["contact", "add", &link, "--as", "Ally", "--wait", "1"]);
    assert!(said.contains("Nothing was lost") && said.contains("pending"), "{said}");
    let listed = bob.json(&["contact", "list"]);
    assert_eq!((&listed[0]["state"], &listed[0]["name"]), (&"pending".into(), &"Ally".into()));
}

#[test]
fn hostile_names_and_texts_do_not_reach_the_terminal() {
    let (alice, _at_alice, bob, _at_bob) = neighbours();
    introduce(&alice, &bob);
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}evil\u{2066}\r\nerror: fake";
    bob.json(&["send", "alice", hostile, "--wait", "60"]);
    let shown = alice.ok(&["messages", "bob"]);
    assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || "\u{202e}\u{2066}".contains(c)), "{shown:?}");
    assert!(!shown.lines().any(|line| line.starts_with("error")), "{shown}");
    let json = alice.ok(&["messages", "bob", "--json"]);
    assert!(json.trim_end().chars().all(|c| !c.is_control() && !"\u{202e}\u{2066}".contains(c)), "{json:?}");
    assert_eq!(texts(&serde_json::from_str(&json).unwrap()), [hostile]);
}

#[test]
fn events_tell_of_a_message_as_it_comes() {
    let (alice, _at_alice, bob, _at_bob) = neighbours();
    introduce(&alice, &bob);
    let mut rpc = Rpc::start(&alice);
    rpc.say(r#"{"jsonrpc":"2.0","id":1,"method":"subscribe"}"#);
    assert_eq!(rpc.hear()["result"], serde_json::json!({}));
    bob.ok(&["send", "alice", "ping"]);
    loop {
        let event = rpc.hear();
        assert_eq!(event["method"], "event");
        if event["params"]["event"] == "message" && event["params"]["text"] == "ping" {
            assert_eq!((&event["params"]["from"], &event["params"]["outgoing"]), (&"bob".into(), &false.into()));
            break;
        }
    }
}

#[test]
fn a_killed_daemon_keeps_what_it_has_answered() {
    let (alice, at_alice, bob, at_bob) = neighbours();
    introduce(&alice, &bob);
    let ids: Vec<String> = (0..3).map(|number| bob.ok(&["send", "alice", &format!("kept {number}")]).trim().to_owned()).collect();
    drop((at_bob, at_alice));
    let kept = bob.json(&["messages", "alice"]);
    assert_eq!(kept.as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    let at_alice = alice.daemon(LOOPBACK);
    let _at_bob = bob.daemon(&["--no-mdns", "--connect", &at_alice.listen[0]]);
    bob.json(&["send", "alice", "after", "--wait", "60"]);
    assert_eq!(texts(&alice.json(&["messages", "bob"])), ["kept 0", "kept 1", "kept 2", "after"]);
}

#[test]
fn a_message_that_has_not_left_is_taken_back_and_sent_once_more() {
    let (alice, at_alice, bob, at_bob) = neighbours();
    introduce(&alice, &bob);
    assert!(at_bob.terminate().success());
    let id = alice.ok(&["send", "bob", "too\u{1b}[2J hasty"]);
    let id = id.trim();
    let taken_back = alice.json(&["cancel", id]);
    assert_eq!((&taken_back["id"], &taken_back["state"]), (&id.into(), &"failed".into()));
    assert_eq!(taken_back["why"], "taken back before it left this device");
    let said: Value = serde_json::from_str(&alice.fails(4, &["cancel", id, "--json"])).unwrap();
    assert_eq!((&said["error"]["kind"], &said["error"]["reason"]), (&"peer".into(), &"message_state".into()));
    let shown = alice.ok(&["explain", id]);
    assert!(shown.contains("taken back before it left this device") && !shown.contains('\u{1b}'), "{shown}");
    alice.fails(4, &["retry", &"00".repeat(16)]);
    assert_eq!(alice.json(&["retry", id]), serde_json::json!({ "id": id, "state": "queued" }));
    let shown = alice.ok(&["cancel", id]);
    assert!(shown.contains("taken back") && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(alice.ok(&["retry", id]).trim(), "queued");
    let _at_bob = bob.daemon(&["--no-mdns", "--connect", &at_alice.listen[0]]);
    alice.json(&["send", "bob", "the end", "--wait", "60"]);
    assert_eq!(texts(&bob.json(&["messages", "alice"])), ["too\u{1b}[2J hasty", "the end"]);
    assert!(alice.fails(4, &["cancel", id]).contains("this message has"));
}

#[test]
fn a_conversation_is_paged_back_and_choices_for_a_contact_last() {
    let (alice, at_alice, bob, _at_bob) = neighbours();
    introduce(&alice, &bob);
    for number in 0..5 {
        alice.ok(&["send", "bob", &format!("message {number}")]);
    }
    let newest = alice.json(&["messages", "bob", "--limit", "2"]);
    assert_eq!(texts(&newest), ["message 3", "message 4"]);
    let first = newest[0]["id"].as_str().unwrap();
    assert_eq!(texts(&alice.json(&["messages", "bob", "--before", first, "--limit", "2"])), ["message 1", "message 2"]);
    assert_eq!(texts(&alice.json(&["messages", "bob", "--before", first])).len(), 3);
    alice.fails(4, &["messages", "bob", "--before", &"00".repeat(16)]);

    let shown = alice.json(&["contact", "show", "bob"]);
    assert_eq!((&shown["receipts"], &shown["muted"], &shown["draft"]), (&true.into(), &false.into(), &false.into()));
    assert_eq!(shown["last_message"], newest[1]["stored"]);
    assert_eq!(alice.json(&["contact", "receipts", "bob", "off"])["receipts"], false);
    assert_eq!(alice.json(&["contact", "mute", "bob"])["muted"], true);
    let draft = r#"{"jsonrpc":"2.0","id":1,"method":"set_draft","params":{"contact":"bob","text":"Dear\u202e"}}"#;
    assert_eq!(alice.socket().ask(draft)["result"]["text"], "Dear\u{202e}");
    drop(at_alice);
    let words = alice.ok(&["contact", "show", "bob"]);
    for part in ["muted", "not told of reading", "a draft", "last message: 20"] {
        assert!(words.contains(part), "{part:?} is not in {words}");
    }
    let _at_alice = alice.daemon(LOOPBACK);
    let line = r#"{"jsonrpc":"2.0","id":1,"method":"draft","params":{"contact":"bob"}}"#;
    assert_eq!(alice.socket().ask(line)["result"]["text"], "Dear\u{202e}");
    assert_eq!(alice.json(&["contact", "unmute", "bob"])["muted"], false);
    assert_eq!(alice.json(&["contact", "receipts", "bob", "on"])["receipts"], true);
}
