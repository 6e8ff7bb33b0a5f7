//! One daemon: its lock, its socket, clients that behave badly, locking.

mod common;

use std::{fs, os::unix::fs::PermissionsExt, os::unix::net::UnixStream};

use common::{Connection, Daemon, Home, Rpc};
use serde_json::Value;

const QUIET: &[&str] = &["--no-mdns"];

fn kind(answer: &Value) -> &str {
    answer["error"]["data"]["kind"].as_str().unwrap_or_default()
}

#[test]
fn a_daemon_says_ready_answers_and_ends_on_a_signal() {
    let home = Home::with_profile("alice");
    let daemon = home.daemon(QUIET);
    assert!(daemon.listen.is_empty(), "--no-mdns without --listen opens no port");
    let status = home.json(&["status"]);
    assert_eq!((&status["state"], &status["name"]), (&"running".into(), &"alice".into()));
    assert!(home.ok(&["status"]).contains("alice"));
    assert_eq!(fs::metadata(home.path().join("socket")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(daemon.terminate().success());
    assert!(!home.path().join("socket").exists());
    home.fails(5, &["status"]);
    home.ok(&["contact", "list"]);
}

#[cfg(not(feature = "test-delays"))]
#[test]
fn no_release_shortens_delays() {
    Home::with_profile("alice").fails(2, &["daemon", "--no-mdns", "--shorten-delays", "60"]);
}

#[cfg(feature = "test-delays")]
#[test]
fn shortened_delays_are_a_trouble_that_status_tells_and_help_does_not_offer() {
    let home = Home::with_profile("alice");
    home.fails(2, &["daemon", "--no-mdns", "--shorten-delays", "0"]);
    assert!(!home.ok(&["daemon", "--help"]).contains("shorten"));
    let daemon = home.daemon(&["--no-mdns", "--shorten-delays", "60"]);
    let trouble = home.json(&["status"])["trouble"].clone();
    assert!(trouble[0]["source"] == "delays" && trouble[0]["text"].as_str().unwrap().contains("divided by 60"), "{trouble}");
    home.ok(&["lock"]);
    assert_eq!(home.json(&["status"])["trouble"][0]["source"], "delays");
    drop(daemon);
    let _daemon = home.daemon(QUIET);
    assert_eq!(home.json(&["status"])["trouble"], serde_json::json!([]));
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    assert!(home.fails(3, &["daemon", "--no-mdns"]).contains("another process uses this profile"));
    home.fails(3, &["wipe", "--yes"]);
    home.ok(&["status"]);
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way() {
    let home = Home::with_profile("alice");
    drop(home.daemon(QUIET));
    assert!(home.path().join("socket").exists(), "it had no time to remove it");
    home.fails(5, &["status"]);
    home.ok(&["contact", "list"]);
    let _daemon = home.daemon(QUIET);
    home.ok(&["status"]);
}

#[test]
fn a_long_home_has_its_socket_elsewhere() {
    let home = Home::named(&format!("{}/{}", "x".repeat(90), "y".repeat(90)));
    home.ok(&["init", "--name", "alice"]);
    let _daemon = home.daemon(QUIET);
    assert_eq!(home.json(&["status"])["name"], "alice");
    assert!(!home.path().join("socket").exists());
}

#[test]
fn commands_use_the_daemon_where_there_is_one() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    assert_eq!(home.json(&["contact", "list"]), Value::Array(Vec::new()));
    home.fails(4, &["messages", "bob"]);
    home.fails(4, &["send", "bob", "hi"]);
    home.fails(4, &["explain", &"00".repeat(16)]);
    home.fails(4, &["contact", "add", "not a link"]);
    let link = home.json(&["invite", "--expires", "1h"])["link"].as_str().unwrap().to_owned();
    assert!(link.starts_with("hedgerow:") && link.len() == 101 && link == link.to_lowercase());
    let printed = home.ok(&["invite"]);
    assert_eq!(printed.lines().count(), 1);
    let drawn = home.ok(&["invite", "--qr"]);
    assert!(drawn.lines().count() <= 22 && drawn.lines().all(|line| line.chars().count() <= 101));
    assert!(drawn.lines().last().unwrap().starts_with("hedgerow:"));
}

#[test]
fn a_text_over_the_limit_is_a_usage_error_that_names_it() {
    let (home, _daemon) = with_contact_invited();
    let said = home.fails(2, &["send", "1", &"x".repeat(3_901)]);
    assert!(said.contains("3900") || said.contains("3,900"), "{said}");
}

fn with_contact_invited() -> (Home, Daemon) {
    let home = Home::with_profile("alice");
    let daemon = home.daemon(QUIET);
    home.ok(&["invite"]);
    (home, daemon)
}

#[test]
fn garbage_on_the_socket_gets_errors_and_the_next_line_is_answered() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    let mut client = home.socket();
    assert_eq!(kind(&client.ask("\u{1b}garbage")), "parse");
    assert!(client.send(&[0xff, 0xfe, 0x00, b'\n']));
    assert_eq!(kind(&client.line().unwrap()), "parse");
    assert_eq!(kind(&client.ask(&"[".repeat(50_000))), "parse");
    assert_eq!(kind(&client.ask("[]")), "invalid_request");
    assert_eq!(kind(&client.ask(r#"{"jsonrpc":"2.0","id":1,"method":"nonsense"}"#)), "unknown_method");
    assert_eq!(kind(&client.ask(r#"{"jsonrpc":"2.0","id":1,"method":"send","params":{}}"#)), "invalid_params");
    assert_eq!(client.ask(r#"{"jsonrpc":"2.0","id":1,"method":"nonsense"}"#)["error"]["code"], -32_601);
    // A line far over the limit, in pieces.
    for _ in 0..1_000 {
        assert!(client.send(&[b'x'; 1_000]));
    }
    assert_eq!(kind(&client.ask("")), "invalid_request");
    let answer = client.ask(r#"{"jsonrpc":"2.0","id":"mine","method":"status"}"#);
    assert_eq!((&answer["id"], &answer["result"]["name"]), (&"mine".into(), &"alice".into()));
}

#[test]
fn a_client_that_never_reads_is_dropped_and_others_are_served() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    let mut rude = home.socket();
    let request = format!("{}\n", r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#).repeat(100);
    // Each answer has hundreds of bytes: the bound is some ten thousand answers away.
    assert!((0..10_000).any(|_| !rude.send(request.as_bytes())), "it was never dropped");
    home.ok(&["status"]);
}

#[test]
fn too_many_clients_are_turned_away_and_places_come_free() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let mut clients: Vec<Connection> = (0..64).map(|_| home.socket()).collect();
    for client in &mut clients {
        client.ask(ping);
    }
    let mut one_more = home.socket();
    assert_eq!(kind(&one_more.line().unwrap()), "busy");
    drop(clients);
    assert!((0..1_000).any(|_| {
        let mut client = home.socket();
        client.send(ping.as_bytes()) && client.send(b"\n") && client.line().is_some_and(|answer| answer.get("result").is_some())
    }));
}

#[test]
fn rpc_answers_line_by_line_and_ends_with_its_input() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    let mut rpc = Rpc::start(&home);
    rpc.say(r#"{"jsonrpc":"2.0","id":1,"method":"contacts"}"#);
    assert_eq!(rpc.hear(), serde_json::json!({ "jsonrpc": "2.0", "id": 1, "result": [] }));
    rpc.say(r#"{"jsonrpc":"2.0","method":"contacts"}"#);
    rpc.say(r#"{"jsonrpc":"2.0","id":2,"method":"invite","params":{"hours":24}}"#);
    let answer = rpc.hear();
    assert_eq!(answer["id"], 2, "a notification gets no answer");
    let piped = home.command(&["rpc"]);
    let ended = common::finish(piped);
    assert!(ended.status.success());
}

#[test]
fn a_locked_daemon_says_so_and_opens_with_the_passphrase_alone() {
    let home = Home::with_profile("alice");
    let _daemon = home.daemon(QUIET);
    home.ok(&["lock"]);
    let status = home.json(&["status"]);
    assert_eq!(status["state"], "locked");
    assert!(status.get("name").is_none());
    for command in [&["contact", "list"][..], &["invite"], &["messages", "bob"]] {
        assert!(home.fails(6, command).contains("locked"));
    }
    let wrong = home.beside("wrong");
    home.fails(6, &["unlock", "--passphrase-file", wrong.to_str().unwrap()]);
    assert_eq!(home.json(&["status"])["state"], "locked");
    home.ok(&["unlock"]);
    assert_eq!(home.json(&["status"])["name"], "alice");
    home.ok(&["contact", "list"]);
}

#[test]
fn a_running_profile_can_be_backed_up() {
    let (home, daemon) = with_contact_invited();
    let file = home.beside("backup");
    home.ok(&["backup", file.to_str().unwrap()]);
    assert_eq!(home.json(&["status"])["state"], "running");
    home.fails(3, &["backup", file.to_str().unwrap()]);
    assert_eq!(home.json(&["contact", "list"]).as_array().unwrap().len(), 1);
    drop(daemon);
    let other = Home::empty();
    other.ok(&["restore", file.to_str().unwrap()]);
    assert_eq!(other.json(&["contact", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_daemon_that_cannot_listen_says_where() {
    let home = Home::with_profile("alice");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(home.fails(3, &["daemon", "--no-mdns", "--listen", &address]).contains(&address));
    home.fails(3, &["daemon", "--no-mdns", "--connect", "nowhere"]);
}

#[test]
fn a_stranger_at_the_port_does_no_harm() {
    let home = Home::with_profile("alice");
    let daemon = home.daemon(&["--no-mdns", "--listen", "127.0.0.1:0"]);
    let address = &daemon.listen[0];
    for garbage in [&b""[..], b"\x00\x00", b"\xff\xffx", b"GET / HTTP/1.1\r\n\r\n", &[0, 40, 7, 7, 7, 7]] {
        let mut stranger = std::net::TcpStream::connect(address).unwrap();
        let _ = std::io::Write::write_all(&mut stranger, garbage);
    }
    let _silent: Vec<_> = (0..100).filter_map(|_| std::net::TcpStream::connect(address).ok()).collect();
    assert_eq!(home.json(&["status"])["state"], "running");
    assert!(UnixStream::connect(home.path().join("socket")).is_ok());
}

#[test]
fn a_client_checks_the_passphrase_and_stops_the_daemon() {
    let home = Home::with_profile("alice");
    let daemon = home.daemon(QUIET);
    let mut socket = home.socket();
    let ask = |id: u32, method: &str, params: Value| {
        serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
    };
    let check = |passphrase: &str| ask(1, "check_passphrase", serde_json::json!({ "passphrase": passphrase }));
    assert_eq!(socket.ask(&check("correct horse"))["result"], serde_json::json!({}));
    assert_eq!(kind(&socket.ask(&check("incorrect horse"))), "passphrase");
    assert_eq!(kind(&socket.ask(&ask(2, "stop", "now".into()))), "invalid_params");
    home.ok(&["lock"]);
    assert_eq!(socket.ask(&check("correct horse"))["result"], serde_json::json!({}));
    assert_eq!(home.json(&["status"])["state"], "locked", "checking opens nothing");
    assert_eq!(socket.ask(&ask(3, "stop", serde_json::json!({})))["result"], serde_json::json!({}));
    assert!(socket.line().is_none(), "the connection ends");
    assert!(daemon.ended().success());
    home.fails(5, &["status"]);
}
