//! What the command line refuses, and how it says so; no daemon runs.

mod common;

use std::{fs, os::unix::fs::PermissionsExt};

use common::Home;
use serde_json::Value;

#[test]
fn help_names_every_command_and_exit_code() {
    let home = Home::empty();
    let help = home.ok(&["--help"]);
    for word in [
        "init",
        "daemon",
        "status",
        "mode",
        "relay",
        "visibility",
        "alerts",
        "invite",
        "contact",
        "nearby",
        "send",
        "messages",
        "explain",
        "retry",
        "cancel",
        "events",
        "rpc",
        "passwd",
        "lock",
        "unlock",
        "stop",
        "wipe",
        "export",
        "backup",
        "restore",
        "--home",
        "--passphrase-file",
        "--json",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word}");
    }
    assert!(home.ok(&["--version"]).starts_with("hedgerow "));
}

#[test]
fn without_a_command_and_a_terminal_the_help_is_pointed_to() {
    let said = Home::empty().fails(2, &[]);
    assert!(said.contains("needs a terminal") && said.contains("hedgerow help"), "{said}");
}

#[test]
fn wrong_usage_exits_with_two() {
    let home = Home::empty();
    for arguments in [
        &["nonsense"][..],
        &["send", "bob"],
        &["send", "bob", "x", "--id", "zz"],
        &["invite", "--expires", "31d"],
        &["invite", "--expires", "soon"],
        &["wipe"],
        &["init"],
        &["init", "--name", ""],
        &["init", "--name", &"x".repeat(51)],
        &["init", "--name", "bob\u{202e}"],
        &["daemon", "--listen", "nowhere"],
        &["messages", "bob", "--limit", "-1"],
        &["invite", "--qr", "--json"],
        &["mode", "everybody"],
        &["relay", "maybe"],
        &["relay", "--metered", "--no-metered"],
        &["relay", "--space", "2T"],
        &["visibility", "on"],
        &["alerts", "on"],
        &["alerts", "--bell", "loud"],
        &["contact", "receipts", "bob"],
        &["messages", "bob", "--before", "zz"],
        &["retry"],
        &["cancel", "zz"],
        &["init", "--name", "alice", "--visible", "--hidden"],
    ] {
        home.fails(2, arguments);
    }
    assert!(!home.path().exists(), "a usage error makes no home");
}

#[test]
fn usage_errors_are_json_where_json_is_asked_for() {
    let home = Home::empty();
    for arguments in [&["--json", "nonsense"][..], &["send", "bob", "--json"], &["init", "--json", "--name", ""]] {
        let said: Value = serde_json::from_str(&home.fails(2, arguments)).unwrap();
        assert_eq!(said["error"]["kind"], "usage");
        assert_eq!(said["error"]["exit"], 2);
    }
}

#[test]
fn an_error_says_what_happened_what_was_lost_and_what_to_do() {
    let home = Home::with_profile("alice");
    let said = home.fails(5, &["send", "bob", "hi"]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("error: no daemon") && lines[0].contains("Nothing was lost"), "{said}");
    assert!(lines[1].starts_with("hint: ") && lines[1].contains("hedgerow daemon"), "{said}");
    let said: Value = serde_json::from_str(&home.fails(5, &["send", "bob", "hi", "--json"])).unwrap();
    assert_eq!((&said["error"]["kind"], &said["error"]["exit"]), (&"no_daemon".into(), &5.into()));
}

#[test]
fn what_needs_a_daemon_says_so() {
    let home = Home::with_profile("alice");
    let id = "00".repeat(16);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["mode"],
        &["mode", "contacts"],
        &["relay", "off"],
        &["visibility", "visible"],
        &["invite"],
        &["contact", "add", "hedgerow:x"],
        &["contact", "remove", "1"],
        &["explain", &id],
        &["nearby", "list"],
        &["events"],
        &["rpc"],
        &["lock"],
        &["unlock"],
        &["stop"],
        &["alerts"],
        &["alerts", "--bell", "off"],
        &["retry", &id],
        &["cancel", &id],
        &["contact", "mute", "1"],
        &["contact", "receipts", "1", "off"],
    ] {
        home.fails(5, arguments);
    }
}

#[test]
fn without_a_profile_nothing_works_and_nothing_is_made() {
    let home = Home::empty();
    for arguments in [&["daemon"][..], &["status"], &["messages", "bob"], &["passwd"], &["wipe", "--yes"], &["backup", "x"]] {
        assert!(home.fails(3, arguments).contains("hedgerow init"));
    }
    assert!(!home.path().exists());
}

#[test]
fn init_takes_a_missing_or_an_empty_home_and_no_other() {
    let home = Home::empty();
    home.ok(&["init", "--name", "alice"]);
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(home.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
    }
    assert!(home.fails(3, &["init", "--name", "alice"]).contains("already"));

    let home = Home::empty();
    fs::create_dir(home.path()).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    home.ok(&["init", "--name", "alice"]);
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700);

    let home = Home::empty();
    fs::create_dir(home.path()).unwrap();
    fs::write(home.path().join("photo"), "x").unwrap();
    assert!(home.fails(3, &["init", "--name", "alice"]).contains("not empty"));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_passphrase_is_refused() {
    let home = Home::empty();
    fs::write(home.beside("passphrase"), "\n").unwrap();
    home.fails(2, &["init", "--name", "alice"]);
    fs::write(home.beside("passphrase"), "x\n").unwrap();
    home.ok(&["init", "--name", "alice"]);
}

#[test]
fn the_wrong_passphrase_is_a_store_error() {
    let home = Home::with_profile("alice");
    let wrong = home.beside("wrong");
    let wrong = wrong.to_str().unwrap();
    for command in [&["daemon"][..], &["contact", "list"], &["passwd"]] {
        assert!(home.fails(6, &[command, &["--passphrase-file", wrong]].concat()).contains("wrong passphrase"));
    }
    home.fails(3, &["contact", "list", "--passphrase-file", "/nowhere"]);
}

#[test]
fn a_passphrase_is_never_taken_from_arguments_and_needs_a_terminal_or_a_file() {
    let home = Home::with_profile("alice");
    let mut command = home.command(&["contact", "list"]);
    command.env_remove("HEDGEROW_PASSPHRASE_FILE");
    let output = common::finish(no_terminal(command));
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a command in a session of its own, which has no terminal.
fn no_terminal(command: std::process::Command) -> std::process::Command {
    let mut wrapped = std::process::Command::new("setsid");
    wrapped.arg("--wait").arg(command.get_program()).args(command.get_args()).env_clear().stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    wrapped.env("PATH", "/usr/bin:/bin");
    wrapped
}

#[test]
fn a_closed_profile_answers_what_needs_no_links() {
    let home = Home::with_profile("alice");
    assert_eq!(home.json(&["contact", "list"]), Value::Array(Vec::new()));
    for arguments in [&["messages", "bob"][..], &["contact", "show", "bob"], &["export", "bob"]] {
        assert!(home.fails(4, arguments).contains("bob"));
    }
    let said = home.fails(4, &["messages", "\u{1b}[2Jbob\u{202e}"]);
    assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said:?}");
}

#[test]
fn the_passphrase_can_be_changed() {
    let home = Home::with_profile("alice");
    let new = home.beside("new");
    fs::write(&new, "battery staple").unwrap();
    let new = new.to_str().unwrap();
    home.ok(&["passwd", "--new-passphrase-file", new]);
    home.fails(6, &["contact", "list"]);
    home.ok(&["contact", "list", "--passphrase-file", new]);
}

#[test]
fn a_wiped_profile_is_gone() {
    let home = Home::with_profile("alice");
    home.ok(&["wipe", "--yes"]);
    assert!(!home.path().exists());
    home.fails(3, &["contact", "list"]);
    home.ok(&["init", "--name", "alice"]);
}

#[test]
fn a_backup_restores_into_an_empty_home_and_opens_with_its_passphrase() {
    let home = Home::with_profile("alice");
    let file = home.beside("backup");
    let file = file.to_str().unwrap();
    home.ok(&["backup", file]);
    home.fails(3, &["backup", file]);
    home.fails(3, &["restore", file]);

    let other = Home::empty();
    let wrong = other.beside("wrong");
    other.fails(6, &["restore", file, "--passphrase-file", wrong.to_str().unwrap()]);
    other.fails(3, &["contact", "list"]);
    other.ok(&["restore", file]);
    other.ok(&["contact", "list"]);

    let bytes = fs::read(file).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"alice"), "the name stands in the backup");
    let cut = home.beside("cut");
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    Home::empty().fails(3, &["restore", cut.to_str().unwrap()]);
}
