//! How people meet: what the tests of those screens press, script and look for.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic, reason = "a part for each test binary; it fails by panic")]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use hedgerow_sync::{
    id::ContactId,
    time::UnixMillis,
    view::{Added, Answer, Command, Contact, ContactState, Event, Invitation, Nearby, NearbyPeer, NearbyState},
};
use hedgerow_tui::{Input, Refusal, Reply, Request};

use super::common::{Daemon, Desk, START};

pub const SIZES: [(u16, u16); 3] = [(60, 20), (80, 24), (120, 40)];
pub const LINK: &str = "hedgerow:abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwxyzab";
pub const FINGERPRINT: &str = "aaaa bbbb cccc dddd eeee ffff 2222 3333";

/// A right-to-left override, an escape, a zero-width join, and a heap of marks.
pub const HOSTILE: &str =
    "Ben\u{202e}\u{1b}]0;x\u{7}\u{200d}e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}";
pub type Script = fn(&Request) -> bool;

/// The screen at each size, stored as `NAME_80x24`.
pub fn assert_snapshots(name: &str, daemon: impl Fn() -> Daemon, go: impl Fn(&mut Desk)) {
    for (width, height) in SIZES {
        let mut desk = Desk::attached(width, height, daemon());
        go(&mut desk);
        desk.assert_snapshot(&format!("{name}_{width}x{height}"));
    }
}

pub fn add(desk: &mut Desk, way: char) {
    desk.key(KeyCode::F(2));
    desk.key(KeyCode::Char(way));
}

pub fn commands(desk: &Desk) -> Vec<Command> {
    let of = |request: &Request| match request {
        Request::Command(command) => Some(command.clone()),
        _ => None,
    };
    desk.daemon.asked.iter().filter_map(of).collect()
}

pub fn was_asked(desk: &Desk, command: &Command) -> bool {
    commands(desk).contains(command)
}

pub fn refuse(kind: &str, message: &str) -> Result<Reply, Refusal> {
    Err(Refusal { kind: kind.into(), message: message.into() })
}

pub fn click(desk: &mut Desk, text: &str) {
    let screen = desk.screen();
    let row = screen.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text:?} in\n{screen}"));
    let kind = MouseEventKind::Down(MouseButton::Left);
    desk.input(Input::Mouse(MouseEvent { kind, column: 8, row: row as u16, modifiers: KeyModifiers::NONE }));
}

/// Whether the screen says this, over the ends of lines.
pub fn says(desk: &Desk, words: &str) -> bool {
    desk.screen().split_whitespace().collect::<Vec<_>>().join(" ").contains(words)
}

/// Nothing that could steer a terminal is on the screen.
pub fn assert_harmless(desk: &Desk) {
    assert!(!desk.screen().chars().any(|letter| letter != '\n' && hedgerow_tui::clean::is_hazardous(letter)), "{}", desk.screen());
}

pub fn peer(number: u32, name: &str, state: NearbyState) -> NearbyPeer {
    let words = matches!(state, NearbyState::Comparing | NearbyState::Confirmed)
        .then(|| ["amber", "walnut", "river", "candle"].map(str::to_owned).to_vec());
    let contact = (state == NearbyState::Established).then_some(ContactId(number));
    NearbyPeer { peer: number, name: name.into(), transport: "lan".into(), state, words, contact, why: None }
}

pub fn window(desk: &Desk, peers: Vec<NearbyPeer>) -> Nearby {
    Nearby { until: Some(UnixMillis(desk.now.wall.0 + 103_000)), mismatches: 0, peers }
}

pub fn sees(desk: &mut Desk, peers: Vec<NearbyPeer>) {
    let nearby = window(desk, peers);
    desk.daemon.nearby = nearby.clone();
    desk.input(Input::Event(Event::Nearby(nearby)));
}

pub fn script(desk: &mut Desk, fits: Script, answer: Result<Reply, Refusal>) {
    desk.daemon.scripted.push((fits, answer));
}

pub fn is_nearby_step(request: &Request) -> bool {
    matches!(
        request,
        Request::Command(Command::NearbyOpen {} | Command::NearbyClose {} | Command::NearbyAdd { .. } | Command::NearbyConfirm { .. })
    )
}

pub fn answer_nearby(desk: &mut Desk) {
    let nearby = desk.daemon.nearby.clone();
    script(desk, is_nearby_step, Ok(Reply::Answer(Answer::Nearby(nearby))));
}

pub fn is_invite(request: &Request) -> bool {
    matches!(request, Request::Command(Command::Invite { .. }))
}

pub fn invitation(desk: &mut Desk) {
    let invitation = Invitation { contact: ContactId(5), link: LINK.into(), expires: UnixMillis(START + 336 * 3_600_000) };
    script(desk, is_invite, Ok(Reply::Answer(Answer::Invitation(invitation))));
}

pub fn invite(desk: &mut Desk) {
    invitation(desk);
    add(desk, '2');
    desk.key(KeyCode::Enter);
}

/// A contact as an event tells it.
pub fn told(desk: &mut Desk, change: impl Fn(&mut Contact)) {
    let contact = desk.daemon.contact(5, "Ben");
    change(contact);
    let contact = contact.clone();
    desk.input(Input::Event(Event::Contact(contact)));
}

pub fn waits(contact: &mut Contact) {
    contact.name = None;
    contact.own_name = None;
    contact.fingerprint = None;
    contact.state = ContactState::Invited;
    contact.link_expires = Some(UnixMillis(START + 336 * 3_600_000));
}

pub fn is_add(request: &Request) -> bool {
    matches!(request, Request::Command(Command::AddContact { .. }))
}

pub fn added(desk: &mut Desk, state: ContactState) {
    desk.daemon.contact(8, "Dora").state = state;
    script(desk, is_add, Ok(Reply::Answer(Answer::Added(Added { contact: ContactId(8), state, message: None }))));
}

/// Opens the screen of a contact, by way of a link that it has used.
pub fn contact(desk: &mut Desk, change: impl Fn(&mut Contact)) {
    invite(desk);
    told(desk, |contact| contact.state = ContactState::Established);
    desk.key(KeyCode::Char('v'));
    told(desk, change);
}

pub fn keep(_: &mut Contact) {}

pub fn is_of_contact(request: &Request) -> bool {
    matches!(
        request,
        Request::Command(
            Command::VerifyContact { .. }
                | Command::RenameContact { .. }
                | Command::SetContact { .. }
                | Command::BlockContact { .. }
                | Command::RemoveContact { .. }
        )
    )
}

/// Lets the daemon answer the next deed with the contact as it then is.
pub fn answer_contact(desk: &mut Desk, change: impl Fn(&mut Contact)) {
    let contact = desk.daemon.contact(5, "Ben");
    change(contact);
    let contact = contact.clone();
    script(desk, is_of_contact, Ok(Reply::Answer(Answer::Contact(contact))));
}

pub fn at_every_size(desk: &mut Desk) {
    for (width, height) in [(1, 1), (2, 3), (5, 4), (19, 7), (21, 2), (33, 12), (45, 30), (60, 20), (80, 24), (200, 60)] {
        desk.resize(width, height);
        assert_harmless(desk);
        let click =
            MouseEvent { kind: MouseEventKind::Down(MouseButton::Left), column: width - 1, row: height - 1, modifiers: KeyModifiers::NONE };
        desk.input(Input::Mouse(MouseEvent { kind: MouseEventKind::ScrollDown, ..click }));
    }
    desk.resize(80, 24);
    desk.input(Input::Key(KeyEvent::new(KeyCode::F(12), KeyModifiers::NONE)));
}
