//! The interface of the built program at a pseudo-terminal: how it begins and ends, with a daemon and without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it fails by panic")]

mod common;
#[path = "common/pty.rs"]
mod pty;

use std::{fs, path::PathBuf, time::Instant};

use common::Home;
use pty::{Terminal, signal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const QUIET: &[&str] = &["--no-mdns"];
/// As [`Home`] has it in its file.
const PASSPHRASE: &str = "correct horse";
const CTRL_C: &[u8] = b"\x03";
const CTRL_Q: &[u8] = b"\x11";
const DOWN: &[u8] = b"\x1b[B";
const F2: &[u8] = b"\x1bOQ";
const F9: &[u8] = b"\x1b[20~";
/// Most keys besides the text that a newcomer may need for a first message in the demo: Enter opens a conversation, Enter sends.
const KEYS_TO_FIRST_MESSAGE: usize = 2;

/// Ends the daemon that an interface has started, when the test is over.
struct Started<'a>(&'a Home);

impl Started<'_> {
    /// The processes that have this home's daemon as their command.
    fn daemons(&self) -> Vec<(u32, PathBuf)> {
        let home = self.0.path().to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let folder = entry.ok()?.path();
            Some((folder.file_name()?.to_str()?.parse().ok()?, folder))
        });
        let is_ours = |folder: &PathBuf| {
            let line = fs::read_to_string(folder.join("cmdline")).unwrap_or_default();
            let words: Vec<&str> = line.split('\0').collect();
            words.contains(&"daemon") && words.contains(&home)
        };
        processes.filter(|(_, folder)| is_ours(folder)).collect()
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        self.daemons().iter().for_each(|(id, _)| signal(*id, "KILL"));
    }
}

fn quit(terminal: &mut Terminal) {
    terminal.bytes(CTRL_Q);
    terminal.shows("Leave Hedgerow?");
    terminal.enter("");
    assert!(terminal.ended().success());
    terminal.assert_restored();
}

#[test]
fn from_nothing_to_the_conversations_in_four_enters() {
    // As on a machine that keeps core files.
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let home = Home::empty();
    let started = Started(&home);
    let mut terminal = Terminal::start(&home);
    terminal.shows("What should people call you?");
    let texts = ["ada", PASSPHRASE, PASSPHRASE, ""];
    for (text, next) in texts.iter().zip(["Choose a passphrase.", "Once more", "Who may see your name?", "hedgerow · ada"]) {
        terminal.enter(text);
        terminal.shows(next);
    }
    terminal.shows("Press F2 to add your first contact");
    println!("keys pressed: {} Enters, {} letters", texts.len(), texts.concat().len());
    let status = home.json(&["status"]);
    assert_eq!((&status["name"], &status["visible"]), (&"ada".into(), &false.into()));
    let daemons = started.daemons();
    let [(_, folder)] = daemons.as_slice() else { panic!("{daemons:?}") };
    for what in ["cmdline", "environ"] {
        assert!(!String::from_utf8_lossy(&fs::read(folder.join(what)).unwrap()).contains("horse"), "{what}");
    }
    let limits = fs::read_to_string(folder.join("limits")).unwrap();
    let cores: Vec<&str> = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(cores[4..6], ["0", "0"], "a crash would write its keys to the disk");
    for fd in ["fd/0", "fd/1", "fd/2"] {
        assert!(fs::read_link(folder.join(fd)).unwrap().to_str().unwrap().starts_with("pipe:"), "the daemon holds the terminal");
    }
    quit(&mut terminal);
    assert_eq!(home.json(&["status"])["name"], "ada", "the daemon goes on");
}

#[test]
fn the_daemon_it_started_can_be_stopped_and_started_again() {
    let home = Home::with_profile("ada");
    let started = Started(&home);
    let mut terminal = Terminal::start(&home);
    terminal.shows("Welcome back.");
    terminal.enter("not it");
    terminal.shows("That is not the passphrase of this profile.");
    terminal.enter(PASSPHRASE);
    terminal.shows("hedgerow · ada");
    terminal.bytes(CTRL_Q);
    terminal.shows("stop the daemon");
    terminal.bytes(DOWN);
    terminal.enter("");
    assert!(terminal.ended().success());
    terminal.assert_restored();
    home.fails(5, &["status"]);
    assert!(started.daemons().is_empty(), "{:?}", started.daemons());
}

#[test]
fn a_daemon_that_ends_is_no_zombie_of_the_interface() {
    let home = Home::with_profile("ada");
    let started = Started(&home);
    let mut terminal = Terminal::start(&home);
    terminal.shows("Welcome back.");
    terminal.enter(PASSPHRASE);
    terminal.shows("hedgerow · ada");
    let (id, folder) = started.daemons().remove(0);
    signal(id, "TERM");
    terminal.shows("Hedgerow's daemon has stopped.");
    // The interface has seen the end of the socket, which comes before the end of the process.
    terminal.enter(PASSPHRASE);
    terminal.hides("Hedgerow's daemon has stopped.");
    assert!(!folder.exists() || fs::read_to_string(folder.join("stat")).is_ok_and(|stat| !stat.contains(") Z ")));
    quit(&mut terminal);
}

#[test]
fn a_running_daemon_is_shown_at_once() {
    let home = Home::with_profile("ada");
    let _daemon = home.daemon(QUIET);
    #[expect(clippy::disallowed_methods, reason = "the figure is printed, not judged")]
    let now = Instant::now;
    let mut times: Vec<_> = (0..5)
        .map(|_| {
            let start = now();
            let mut terminal = Terminal::start(&home);
            terminal.shows("hedgerow · ada");
            let time = now() - start;
            quit(&mut terminal);
            time
        })
        .collect();
    times.sort();
    println!("from start to the first screen with the profile's name: {times:?}");
}

#[test]
fn a_passphrase_file_opens_it_without_a_question() {
    let home = Home::with_profile("ada");
    let _started = Started(&home);
    let file = home.beside("passphrase");
    let terminal = Terminal::start_with(&home, &[("HEDGEROW_PASSPHRASE_FILE", file.to_str().unwrap())]);
    terminal.shows("hedgerow · ada");
}

#[test]
fn a_profile_that_another_program_holds_is_asked_for_again() {
    let home = Home::with_profile("ada");
    let _started = Started(&home);
    let mut terminal = Terminal::start(&home);
    terminal.shows("Welcome back.");
    let lock = fs::OpenOptions::new().write(true).open(home.path().join("lock")).unwrap();
    lock.lock().unwrap();
    terminal.enter(PASSPHRASE);
    terminal.shows("another program has the profile");
    drop(lock);
    terminal.enter(PASSPHRASE);
    terminal.shows("hedgerow · ada");
}

#[test]
fn signals_end_it_and_restore_the_terminal() {
    let home = Home::with_profile("ada");
    let _daemon = home.daemon(QUIET);
    for name in ["TERM", "INT", "HUP"] {
        let mut terminal = Terminal::start(&home);
        terminal.shows("hedgerow · ada");
        terminal.signal(name);
        assert!(terminal.ended().success(), "{name}");
        terminal.assert_restored();
    }
    assert_eq!(home.json(&["status"])["name"], "ada");
}

#[test]
fn a_terminal_that_is_closed_ends_it_and_not_the_daemon() {
    let home = Home::with_profile("ada");
    let started = Started(&home);
    let mut terminal = Terminal::start(&home);
    terminal.shows("Welcome back.");
    terminal.enter(PASSPHRASE);
    terminal.shows("hedgerow · ada");
    terminal.close();
    assert!(terminal.ended().success());
    assert_eq!(home.json(&["status"])["name"], "ada");
    assert_eq!(started.daemons().len(), 1);
}

#[test]
fn a_killed_daemon_is_said_and_started_again_where_one_is() {
    let home = Home::with_profile("ada");
    let _started = Started(&home);
    let daemon = home.daemon(QUIET);
    let (mut one, two) = (Terminal::start(&home), Terminal::start(&home));
    for terminal in [&one, &two] {
        terminal.shows("hedgerow · ada");
    }
    signal(daemon.id(), "KILL");
    drop(daemon);
    for terminal in [&one, &two] {
        terminal.shows("Not connected");
        terminal.shows("Hedgerow's daemon has stopped.");
    }
    one.enter(PASSPHRASE);
    for terminal in [&one, &two] {
        terminal.hides("Hedgerow's daemon has stopped.");
        terminal.hides("Not connected");
        terminal.shows("hedgerow · ada");
    }
}

#[test]
fn locking_clears_the_terminal_until_the_passphrase() {
    let home = Home::with_profile("ada");
    let _daemon = home.daemon(QUIET);
    let mut terminal = Terminal::start(&home);
    terminal.shows("hedgerow · ada");
    terminal.bytes(F9);
    terminal.shows("Locked.");
    assert!(!terminal.screen().contains("ada"));
    terminal.enter("not it");
    terminal.shows("That is not the passphrase");
    terminal.enter(PASSPHRASE);
    terminal.shows("hedgerow · ada");
    assert!(!terminal.written().contains("horse"), "what is typed is never echoed");
    terminal.bytes(F9);
    terminal.shows("Locked.");
    terminal.bytes(CTRL_C);
    assert!(terminal.ended().success());
    terminal.assert_restored();
}

#[test]
fn a_stopped_process_gives_the_terminal_back_and_takes_it_again() {
    let home = Home::with_profile("ada");
    let _daemon = home.daemon(QUIET);
    let mut terminal = Terminal::start(&home);
    terminal.shows("hedgerow · ada");
    terminal.signal("TSTP");
    terminal.stopped();
    terminal.assert_restored();
    terminal.signal("CONT");
    terminal.shows("hedgerow · ada");
    terminal.signal("STOP");
    terminal.stopped();
    terminal.smear();
    terminal.signal("CONT");
    terminal.hides("smear");
    terminal.shows("hedgerow · ada");
    quit(&mut terminal);
}

#[test]
fn any_size_at_any_moment_is_drawn() {
    let home = Home::with_profile("ada");
    let _daemon = home.daemon(QUIET);
    let mut terminal = Terminal::start(&home);
    for (width, height) in [(1, 1), (200, 60), (20, 3), (3, 20), (500, 2), (60, 20)] {
        terminal.resize(width, height);
        terminal.bytes(CTRL_Q);
        terminal.resize(height, width);
        terminal.bytes(b"\x1b");
    }
    terminal.resize(80, 24);
    terminal.shows("hedgerow · ada");
    terminal.signal("TERM");
    assert!(terminal.ended().success());
    terminal.assert_restored();
}

#[test]
fn bytes_that_are_no_text_change_nothing() {
    let home = Home::empty();
    let mut terminal = Terminal::start(&home);
    terminal.shows("What should people call you?");
    for bytes in
        [&b"\xff\xfe\xc0\x80"[..], b"\xc3\x28", b"\xf8\x88\x80\x80\x80", b"\x1b[200~\xff\xfe\x1b[201~", b"\x1b[999;999;999R", b"\x80"]
    {
        terminal.bytes(bytes);
    }
    terminal.bytes("zo\u{eb}".as_bytes());
    terminal.shows("zo\u{eb}");
    terminal.bytes(CTRL_C);
    assert!(terminal.ended().success());
    terminal.assert_restored();
    assert!(!home.path().exists(), "nothing is made before the last question");
}

#[test]
fn a_terminal_that_can_t_show_it_is_told_so() {
    let home = Home::empty();
    let mut terminal = Terminal::start_with(&home, &[("TERM", "dumb")]);
    assert_eq!(terminal.ended().code(), Some(2));
    terminal.shows("TERM is dumb");
    assert!(!terminal.written().contains('\x1b'));
}

#[test]
fn no_color_is_heeded() {
    let home = Home::empty();
    for (variables, coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let terminal = Terminal::start_with(&home, variables);
        terminal.shows("What should people call you?");
        let in_colour = |screen: &vt100::Screen| {
            (0..80).any(|column| screen.cell(0, column).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default))
        };
        terminal.wait("the title", |screen| in_colour(screen) == coloured);
    }
}

#[test]
fn the_demo_s_first_message_takes_two_keys_and_its_text() {
    let home = Home::empty();
    let mut terminal = Terminal::demo(&home);
    terminal.shows("Robin 1 new");
    let keys: [(&[u8], &str); KEYS_TO_FIRST_MESSAGE] = [(b"\r", "Hello, I am Robin"), (b"Is anybody there?\r", "✓✓ me Is anybody there?")];
    for (bytes, shown) in keys {
        terminal.bytes(bytes);
        terminal.shows(shown);
    }
    terminal.bytes(CTRL_Q);
    assert!(terminal.ended().success(), "the demo asks nothing");
    terminal.assert_restored();
    assert!(!home.path().exists(), "the demo keeps nothing");
}

/// Opens the window at both, lets them choose each other and find the words equal; both conversations are open at the end.
fn meet(one: &mut Terminal, other: &mut Terminal) {
    for terminal in [&mut *one, &mut *other] {
        terminal.shows("1 in reach");
        terminal.bytes(F2);
        terminal.shows("How do you want to meet?");
        terminal.bytes(b"1");
        terminal.shows("Press Enter to open the window");
        terminal.enter("");
        terminal.shows("left");
    }
    one.shows("Enter chooses them.");
    one.enter("");
    other.shows("Enter agrees.");
    other.enter("");
    for terminal in [&*one, &*other] {
        terminal.shows("Are they the same on both screens?");
    }
    assert_eq!(words(one), words(other), "the words to compare");
    for terminal in [&mut *one, &mut *other] {
        terminal.bytes(b"y");
    }
    for terminal in [one, other] {
        terminal.shows("is now a contact, verified.");
        terminal.enter("");
        terminal.shows("Nothing is written yet.");
    }
}

/// The four words that a screen shows to be compared.
fn words(terminal: &Terminal) -> Vec<String> {
    let screen = terminal.screen();
    let numbered = |number: u32| {
        let word = screen.lines().find_map(|line| line.trim().strip_prefix(&format!("{number}.")));
        word.expect("a word").trim().to_owned()
    };
    (1..=4).map(numbered).collect()
}

#[test]
fn two_people_meet_nearby_and_talk_through_both_interfaces() {
    let (ada, ben) = (Home::with_profile("ada"), Home::with_profile("ben"));
    let _started = [Started(&ada), Started(&ben)];
    let at = |home: &Home, options: &str| {
        let mut terminal = Terminal::start_with(home, &[("HEDGEROW_DAEMON_OPTIONS", options)]);
        terminal.shows("Welcome back.");
        terminal.enter(PASSPHRASE);
        terminal.shows("Nobody is here yet.");
        terminal
    };
    let mut one = at(&ada, "--no-mdns --listen 127.0.0.1:0");
    let address = ada.json(&["status"])["listen"][0].as_str().unwrap().to_owned();
    let mut other = at(&ben, &format!("--no-mdns --connect {address}"));
    meet(&mut one, &mut other);
    one.enter("Is anybody there?");
    other.shows("ada Is anybody there?");
    one.shows("✓✓ me Is anybody there?");
    other.enter("On this side of the hedge.");
    one.shows("ben On this side of the hedge.");

    // The same conversation at two terminals of one person.
    let mut second = Terminal::start(&ada);
    second.shows("ben ◆");
    second.enter("");
    second.shows("ben On this side of the hedge.");
    one.enter("written at the first");
    second.shows("me written at the first");
    second.enter("written at the second");
    one.shows("me written at the second");
    other.shows("ada written at the second");

    // A draft, and a daemon and then an interface that are killed.
    other.bytes(b"half a thought");
    other.shows("> half a thought");
    let (daemon, _) = Started(&ben).daemons().remove(0);
    signal(daemon, "KILL");
    other.shows("Hedgerow's daemon has stopped.");
    other.enter(PASSPHRASE);
    other.shows("> half a thought");
    // Another interface sees that the daemon keeps it.
    let watch = Terminal::start(&ben);
    watch.shows("ada ◆ ✎");
    other.signal("KILL");
    other.ended();
    let mut again = Terminal::start(&ben);
    again.shows("ada ◆ ✎");
    again.enter("");
    again.shows("> half a thought");
    again.enter("");
    one.shows("ben half a thought");
}
