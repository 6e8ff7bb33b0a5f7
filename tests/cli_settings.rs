//! What a person decides about the node on the command line: it is said back, lasts, and shows in `status`.

mod common;

use common::Home;
use serde_json::{Value, json};

const QUIET: &[&str] = &["--no-mdns"];

#[test]
fn settings_have_cautious_defaults_and_are_printed() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    let settings = home.json(&["mode"]);
    let relay = json!({ "on": true, "bytes": 256 << 20, "metered": false });
    let alerts = json!({ "bell": true, "notify": false, "content": false });
    assert_eq!(settings, json!({ "mode": "mesh", "visible": false, "relay": relay, "alerts": alerts }));
    assert_eq!(home.json(&["alerts"]), settings);
    assert!(home.ok(&["alerts"]).starts_with("alerts: bell on, notification off (saying only that there is a message)"));
    assert_eq!(home.json(&["relay"]), settings);
    assert_eq!(home.json(&["visibility"]), settings);
    assert!(home.ok(&["mode"]).starts_with("mode: mesh"));
    assert!(home.ok(&["relay"]).starts_with("relay: on, up to 256 MiB, not on metered networks"));
    assert!(home.ok(&["visibility"]).starts_with("visibility: hidden"));
}

#[test]
fn changes_are_said_back_and_outlive_the_daemon() {
    let home = Home::with_profile("alice");
    let daemon = home.daemon(QUIET);
    assert_eq!(home.json(&["mode", "contacts"])["mode"], "contacts");
    assert_eq!(home.json(&["relay", "off"])["relay"]["on"], false);
    assert_eq!(home.json(&["relay", "--space", "2G"])["relay"], json!({ "on": false, "bytes": 2_u64 << 30, "metered": false }));
    assert_eq!(home.json(&["relay", "on", "--metered"])["relay"], json!({ "on": true, "bytes": 2_u64 << 30, "metered": true }));
    assert_eq!(home.json(&["visibility", "visible"])["visible"], true);
    let alerts = home.json(&["alerts", "--bell", "off", "--notify", "on"])["alerts"].clone();
    assert_eq!(alerts, json!({ "bell": false, "notify": true, "content": false }));
    assert_eq!(home.json(&["alerts", "--content", "on"])["alerts"], json!({ "bell": false, "notify": true, "content": true }));
    let before = home.json(&["mode"]);
    // Killed, not ended in order: what was answered is durable.
    drop(daemon);
    let _daemon = home.daemon(QUIET);
    let after = home.json(&["mode"]);
    assert_eq!(after, before, "a restart changes nothing");
    assert_eq!(home.json(&["relay", "--no-metered"])["relay"]["metered"], false);
    assert_eq!(home.json(&["visibility", "hidden"])["visible"], false);
    assert_eq!(home.json(&["mode", "mesh"])["mode"], "mesh");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "compares what the program says with the time")]
fn visibility_lasts_twelve_hours() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let before = now();
    let until = home.json(&["visibility", "visible"])["visible_until"].as_u64().unwrap();
    let span = 12 * 3_600_000;
    assert!((before + span..=now() + span).contains(&until), "{until}");
    assert!(home.ok(&["visibility"]).contains("visible until 20"));
}

#[test]
fn a_profile_can_be_made_visible() {
    for (arguments, visible) in [(&["--visible"][..], true), (&["--hidden"], false), (&[], false)] {
        let home = Home::empty();
        let made = home.json(&[&["init", "--name", "alice"], arguments].concat());
        assert_eq!(made["visible"], visible);
        let _daemon = home.daemon(QUIET);
        assert_eq!(home.json(&["visibility"])["visible"], visible);
    }
    Home::empty().fails(2, &["init", "--name", "alice", "--visible", "--hidden"]);
}

#[test]
fn a_name_is_told_on_no_network_but_the_one_that_was_meant() {
    // On loopback alone, so that there is a network to be on.
    const LISTEN: &[&str] = &["--no-mdns", "--listen", "127.0.0.1:0"];
    let visible = |home: &Home| home.json(&["visibility"])["visible"] == true;
    let home = Home::empty();
    home.ok(&["init", "--name", "alice", "--visible"]);
    let daemon = home.daemon(LISTEN);
    assert!(visible(&home), "where it first runs");
    home.ok(&["lock"]);
    home.ok(&["unlock"]);
    assert!(!visible(&home), "it may have been carried elsewhere");
    home.ok(&["visibility", "visible"]);
    home.ok(&["backup", home.beside("copy").to_str().unwrap()]);
    assert!(!visible(&home));
    home.ok(&["visibility", "visible"]);
    drop(daemon);
    let _daemon = home.daemon(LISTEN);
    assert!(!visible(&home));
}

#[test]
fn sizes_out_of_range_are_usage_errors() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    for space in ["1023K", "1025G", "many", "-1G"] {
        home.fails(2, &["relay", &format!("--space={space}")]);
    }
    let mut client = home.socket();
    for bytes in [0, (1 << 20) - 1, (1_u64 << 40) + 1, u64::MAX] {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "set_relay", "params": { "on": false, "bytes": bytes } });
        assert_eq!(client.ask(&request.to_string())["error"]["data"]["kind"], "range", "{bytes}");
    }
    assert_eq!(home.json(&["relay"])["relay"]["on"], true, "what is refused changes nothing");
}

#[test]
fn status_says_what_is_decided_carried_and_shown() {
    let home = Home::with_profile("alice");
    let daemon = home.daemon(&["--no-mdns", "--listen", "127.0.0.1:0"]);
    let status = home.json(&["status"]);
    assert_eq!((&status["mode"], &status["visible"]), (&"mesh".into(), &false.into()));
    let relay = json!({
        "on": true, "bytes": 256 << 20, "metered": false, "carried_bundles": 0, "carried_bytes": 0, "from_contacts_bytes": 0,
        "from_strangers_inbound_bytes": 0, "from_strangers_outbound_bytes": 0,
    });
    assert_eq!(status["relay"], relay);
    assert_eq!(status["clock"]["source"], "system");
    assert!(status["clock"]["trust"].as_str().unwrap().contains("this machine's clock"));
    assert!(status["clock"].get("jump").is_none());
    let leaks = status["leaks"].as_array().unwrap();
    assert_eq!(leaks.len(), 1);
    assert_eq!(leaks[0]["transport"], "lan");
    assert!(leaks[0]["text"].as_str().unwrap().contains("IP address"));
    let words = home.ok(&["status"]);
    for word in
        ["mode: mesh", "visibility: hidden", "relay: on, up to 256 MiB", "carried for others: 0 bundles", "others see (lan):", "clock: 20"]
    {
        assert!(words.contains(word), "{word}: {words}");
    }

    let other = Home::with_profile("bob");
    let _other = other.daemon(&["--no-mdns", "--connect", &daemon.listen[0]]);
    let mut client = other.socket();
    client.ask(r#"{"jsonrpc":"2.0","id":1,"method":"subscribe"}"#);
    let mut status = client.ask(r#"{"jsonrpc":"2.0","id":2,"method":"status"}"#);
    while status["result"]["transports"].as_array().is_none_or(Vec::is_empty) {
        // An event, or the status asked for after one.
        status =
            if status["method"] == "event" { client.ask(r#"{"jsonrpc":"2.0","id":3,"method":"status"}"#) } else { client.line().unwrap() };
    }
    let status = &status["result"];
    assert_eq!(status["transports"], json!([{ "transport": "lan", "contacts": 0, "strangers": 1 }]));
    assert_eq!(status["neighbours"][0].get("claimed_name"), None);
    assert!(status["leaks"][0]["text"].as_str().unwrap().contains("--connect"));
    assert!(other.ok(&["status"]).contains("neighbours over lan: contacts 0, strangers 1"));
}

#[test]
fn a_visible_name_is_shown_as_claimed() {
    let (home, other) = (Home::with_profile("alice"), Home::with_profile("bob"));
    let daemon = home.daemon(&["--no-mdns", "--listen", "127.0.0.1:0"]);
    let _other = other.daemon(&["--no-mdns", "--connect", &daemon.listen[0]]);
    let mut client = other.socket();
    client.ask(r#"{"jsonrpc":"2.0","id":1,"method":"subscribe"}"#);
    home.ok(&["visibility", "visible"]);
    let event = loop {
        let line = client.line().unwrap();
        if line["params"]["event"] == "neighbour" {
            break line["params"].clone();
        }
    };
    assert_eq!((&event["claimed_name"], event.get("name"), event.get("contact")), (&"alice".into(), None, None));
    assert!(other.ok(&["status"]).contains("in reach: a stranger who claims to be \"alice\" over lan"));
    assert_eq!(home.json(&["status"])["neighbours"][0].get("claimed_name"), None, "bob is hidden");
}

#[test]
fn a_daemon_without_a_network_shows_nothing_and_a_locked_one_tells_nothing() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    assert_eq!(home.json(&["status"])["leaks"], Value::Array(Vec::new()));
    home.ok(&["lock"]);
    home.fails(6, &["mode"]);
    home.fails(6, &["relay", "off"]);
    assert!(home.json(&["status"]).get("mode").is_none());
}
