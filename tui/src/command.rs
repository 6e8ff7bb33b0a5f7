//! What can be written after a `/` and found with Ctrl-P: one table feeds both, the help, and docs/user-guide.md.

use hedgerow_sync::{
    id::ContactId,
    view::{Command, Mode},
};

use crate::{
    clean, fuzzy,
    keymap::Action,
    screen::{
        Context, Screen, Step, contact::ContactScreen, invite::Invite, nearby::NearbyScreen, paste::Paste, settings::SettingsScreen,
        whereis::WhereIs,
    },
};

/// How many letters may be wrong in a command so that it is still named as what was meant (policy).
const MAX_SLIPS: usize = 2;

/// What was written behind a command's name.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// The rest of the line, without spaces around it.
    rest: &'a str,
    /// Whose conversation is open.
    contact: Option<ContactId>,
}

/// Does a command: where to go from there, or in words why it can't be done.
type Run = fn(Given<'_>, &mut Context<'_>) -> Result<Step, String>;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name, without the `/`.
    pub name: &'static str,
    /// What follows it: `NAME`, or `on|off` where it is one of these; in brackets if it can be left out.
    pub arguments: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
    run: Run,
}

impl Row {
    /// The command as it is written: `/rename NAME`.
    pub fn usage(&self) -> String {
        if self.arguments.is_empty() { format!("/{}", self.name) } else { format!("/{} {}", self.name, self.arguments) }
    }

    /// Whether something must follow it.
    pub(crate) fn needs_argument(&self) -> bool {
        !self.arguments.is_empty() && !self.arguments.starts_with('[')
    }

    /// The words of which one may follow; none if it is anything.
    fn choices(&self) -> impl Iterator<Item = &'static str> {
        let arguments = self.arguments.trim_matches(['[', ']']);
        arguments.split('|').filter(|_| arguments.contains('|'))
    }
}

const fn row(name: &'static str, arguments: &'static str, help: &'static str, run: Run) -> Row {
    Row { name, arguments, help, run }
}

/// The table, in the order in which the help shows it.
pub const COMMANDS: &[Row] = &[
    row("add", "", "Add a contact: nearby, by a link, or make a link", |_, _| Ok(Step::Act(Action::AddContact))),
    row("nearby", "", "Meet people in this room", |_, _| Ok(Step::open(Screen::Nearby(NearbyScreen::new())))),
    row("invite", "", "Make a link that one person can use to reach you", |_, _| Ok(Step::open(Screen::Invite(Invite::new())))),
    row("link", "[LINK]", "Use a link that somebody gave you", link),
    row("goto", "NAME", "Open the conversation with a contact", goto),
    row("unread", "", "Go to the next conversation with something unread", |_, _| Ok(Step::Act(Action::NextUnread))),
    row("where", "[ID]", "Show where the chosen or last message is, and why; or the one with this id", whereis),
    row("again", "", "Send the chosen message again, if it failed or expired", |_, _| Ok(Step::Act(Action::Retry))),
    row("takeback", "", "Take the chosen message back, if it has not left this device", |_, _| Ok(Step::Act(Action::TakeBack))),
    row("copy", "", "Copy the chosen message to the clipboard", |_, _| Ok(Step::Act(Action::Copy))),
    row("contact", "", "Show the contact of this conversation", contact),
    row("verify", "", "Compare fingerprints with this contact", contact),
    row("rename", "NAME", "Call this contact by another name here", rename),
    row("mute", "", "No bell and no notification for this contact", |given, context| mute(given, context, true)),
    row("unmute", "", "Bell and notification as for everybody", |given, context| mute(given, context, false)),
    row("block", "", "Refuse this contact's messages; they are not told", |given, context| block(given, context, true)),
    row("unblock", "", "Take this contact's messages again", |given, context| block(given, context, false)),
    row("receipts", "on|off", "Whether this contact is told when you have read their messages", receipts),
    row("remove", "", "Forget this contact with keys and messages; you are asked first", contact),
    row("network", "", "Show neighbours, what is carried, space and clock", |_, _| Ok(Step::Act(Action::Network))),
    row("settings", "", "Show and change the settings", |_, _| Ok(Step::Act(Action::Settings))),
    row("mode", "mesh|contacts", "Whether strangers may carry for you, or contacts alone", mode),
    row("visible", "", "Tell neighbours your name, for 12 hours at most", |_, context| visible(context, true)),
    row("hidden", "", "Tell nobody but contacts your name", |_, context| visible(context, false)),
    row("backup", "[FILE]", "Copy the profile to a file", backup),
    row("lock", "", "Hide everything at once; the passphrase brings it back", |_, _| Ok(Step::Act(Action::Lock))),
    row("mouse", "", "Leave the mouse to the terminal, or take it back", |_, _| Ok(Step::Act(Action::Mouse))),
    row("redraw", "", "Draw the screen anew", |_, _| Ok(Step::Act(Action::Redraw))),
    row("help", "", "Show all keys and commands", |_, _| Ok(Step::Act(Action::Help))),
    row("quit", "", "Leave; what is written is kept, and the daemon can go on", |_, _| Ok(Step::Act(Action::Quit))),
];

/// Does what a line such as `/rename Bob` asks for; `contact` is the one whose conversation is open.
///
/// # Errors
///
/// In words for the person: there is no such command, or it can't be done like this. Nothing has changed.
pub(crate) fn run(line: &str, context: &mut Context<'_>, contact: Option<ContactId>) -> Result<Step, String> {
    let (name, rest) = split(line);
    let row = find(&name).ok_or_else(|| unknown(&name))?;
    if rest.is_empty() && row.needs_argument() {
        return Err(format!("{} needs something behind it: {}", format_args!("/{}", row.name), row.usage()));
    }
    if !rest.is_empty() && row.arguments.is_empty() {
        return Err(format!("{} stands alone; nothing is done", format_args!("/{}", row.name)));
    }
    (row.run)(Given { rest, contact }, context)
}

/// The line with more of what can only follow, if there is any: the rest of a command's name, or of its argument.
pub(crate) fn complete(line: &str) -> Option<String> {
    let typed = line.strip_prefix('/')?;
    let Some((name, argument)) = typed.split_once(' ') else {
        let typed = typed.to_lowercase();
        let names: Vec<&str> = COMMANDS.iter().map(|row| row.name).filter(|name| name.starts_with(&typed)).collect();
        return longer(&names, &typed, |name| find(name).is_some_and(|row| !row.arguments.is_empty())).map(|name| format!("/{name}"));
    };
    let argument = argument.trim_start().to_lowercase();
    let choices: Vec<&str> = find(&name.to_lowercase())?.choices().filter(|choice| choice.starts_with(&argument)).collect();
    longer(&choices, &argument, |_| false).map(|choice| format!("/{} {choice}", name.to_lowercase()))
}

/// The row of a command.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    COMMANDS.iter().find(|row| row.name == name)
}

/// A line as a command's name, in small letters, and what follows it.
pub(crate) fn split(line: &str) -> (String, &str) {
    let line = line.trim();
    let line = line.strip_prefix('/').unwrap_or(line);
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (name.to_lowercase(), rest.trim())
}

/// What all of `words` begin with, if that is more than `typed`; a space follows a whole word that goes on.
fn longer(words: &[&str], typed: &str, goes_on: impl Fn(&str) -> bool) -> Option<String> {
    let first = *words.first()?;
    let common = words.iter().fold(first, |common, word| {
        let length = common.bytes().zip(word.bytes()).take_while(|(one, other)| one == other).count();
        common.get(..length).unwrap_or_default()
    });
    let space = if words.len() == 1 && goes_on(common) { " " } else { "" };
    let completed = format!("{common}{space}");
    (completed.len() > typed.len()).then_some(completed)
}

fn unknown(name: &str) -> String {
    let shown = format!("/{}", clean::fit(&clean::name(name), 24));
    let near = COMMANDS.iter().map(|row| (fuzzy::distance(row.name, name), row.name)).min();
    match near.filter(|(slips, _)| *slips <= MAX_SLIPS && *slips < name.chars().count()) {
        Some((_, near)) => format!("There is no command {shown}; nothing is done. Did you mean /{near}?"),
        None => format!("There is no command {shown}; nothing is done. /help shows all; // begins a text with a /."),
    }
}

/// Asks the node, and says `words` once it is done.
fn ask(context: &mut Context<'_>, command: Command, words: impl Into<String>) -> Result<Step, String> {
    if !context.model.is_attached() {
        return Err("The daemon is away; nothing is done. Try again when it is back.".to_owned());
    }
    context.command_saying(command, words);
    Ok(Step::Stay)
}

/// The contact of the open conversation.
fn open_contact(given: Given<'_>, context: &Context<'_>) -> Result<ContactId, String> {
    let contact = given.contact.filter(|contact| context.model.contacts.contains_key(contact));
    contact.ok_or_else(|| "Open a conversation first: this is about one contact.".to_owned())
}

fn contact(given: Given<'_>, context: &mut Context<'_>) -> Result<Step, String> {
    Ok(Step::open(Screen::Contact(ContactScreen::new(open_contact(given, context)?))))
}

/// The link goes into the field where it would be pasted, so that the person sees it and what comes next.
fn link(given: Given<'_>, context: &mut Context<'_>) -> Result<Step, String> {
    use crate::screen::{UiInput, View as _};
    let mut screen = Paste::new();
    if !given.rest.is_empty() {
        screen.handle(UiInput::Paste(given.rest.to_owned()), context);
    }
    Ok(Step::open(Screen::Paste(screen)))
}

fn whereis(given: Given<'_>, _context: &mut Context<'_>) -> Result<Step, String> {
    if given.rest.is_empty() {
        return Ok(Step::Act(Action::Where));
    }
    let id = given.rest.parse().map_err(|_| "This is no message's id: it has 32 of the characters 0-9 and a-f.".to_owned())?;
    Ok(Step::open(Screen::Where(WhereIs::new(id))))
}

fn goto(given: Given<'_>, context: &mut Context<'_>) -> Result<Step, String> {
    let fits = |name: &String| Some((name.eq_ignore_ascii_case(given.rest), fuzzy::score(given.rest, name)?));
    let named = context.model.contacts.values().filter_map(|contact| Some((contact.contact, contact.name.as_ref()?)));
    let best = named.filter_map(|(contact, name)| Some((fits(name)?, std::cmp::Reverse(contact)))).max();
    match best {
        Some((_, std::cmp::Reverse(contact))) => Ok(Step::Chat(contact)),
        None => Err(format!("No contact is called {}; /add adds one.", clean::fit(&clean::name(given.rest), 24))),
    }
}

fn rename(given: Given<'_>, context: &mut Context<'_>) -> Result<Step, String> {
    let contact = open_contact(given, context)?;
    let words = format!("called {} from now on, here alone", clean::fit(&clean::name(given.rest), 50));
    ask(context, Command::RenameContact { contact: contact.0.to_string(), alias: given.rest.to_owned() }, words)
}

fn mute(given: Given<'_>, context: &mut Context<'_>, muted: bool) -> Result<Step, String> {
    let contact = open_contact(given, context)?;
    let words = if muted { "muted: no bell, no notification" } else { "no longer muted" };
    ask(context, Command::SetContact { contact: contact.0.to_string(), receipts: None, muted: Some(muted) }, words)
}

fn block(given: Given<'_>, context: &mut Context<'_>, blocked: bool) -> Result<Step, String> {
    let contact = open_contact(given, context)?;
    let words = if blocked { "blocked: their messages are refused; /unblock takes it back" } else { "no longer blocked" };
    ask(context, Command::BlockContact { contact: contact.0.to_string(), blocked }, words)
}

fn receipts(given: Given<'_>, context: &mut Context<'_>) -> Result<Step, String> {
    let contact = open_contact(given, context)?;
    let (receipts, words) = match given.rest {
        "on" => (true, "they are told when you have read their messages"),
        "off" => (false, "they are not told any more when you have read their messages"),
        _ => return Err("/receipts takes on or off.".to_owned()),
    };
    ask(context, Command::SetContact { contact: contact.0.to_string(), receipts: Some(receipts), muted: None }, words)
}

fn mode(given: Given<'_>, context: &mut Context<'_>) -> Result<Step, String> {
    let (mode, words) = match given.rest {
        "mesh" => (Mode::Mesh, "mode mesh: strangers may carry for you, and you for them"),
        "contacts" => (Mode::Contacts, "contacts only: strangers carry nothing for you"),
        _ => return Err("/mode takes mesh or contacts.".to_owned()),
    };
    ask(context, Command::SetMode { mode }, words)
}

fn visible(context: &mut Context<'_>, visible: bool) -> Result<Step, String> {
    let words =
        if visible { "whoever is near is told your name, for 12 hours at most" } else { "hidden: your name is told to contacts alone" };
    ask(context, Command::SetVisible { visible }, words)
}

fn backup(given: Given<'_>, _context: &mut Context<'_>) -> Result<Step, String> {
    Ok(Step::open(Screen::Settings(SettingsScreen::for_backup(given.rest))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hedgerow_sync::{
        time::{Instant, Now, UnixMillis},
        view::{Contact, ContactState},
    };
    use ratatui::layout::Size;

    use super::*;
    use crate::{
        Civil, Effect, Options, Request,
        app::Outbox,
        model::{Connection, Model},
        theme::Theme,
    };

    const BEN: ContactId = ContactId(3);

    /// Writes a line where Ben's conversation is open, if `open`; what comes of it, and what is asked of the node.
    fn write(line: &str, open: bool) -> (Result<Step, String>, Vec<Command>) {
        write_while(Connection::Attached, line, open)
    }

    fn write_while(connection: Connection, line: &str, open: bool) -> (Result<Step, String>, Vec<Command>) {
        let mut model = Model { connection, ..Model::new() };
        let contact = |id, name: &str| Contact {
            contact: id,
            name: Some(name.into()),
            own_name: None,
            state: ContactState::Established,
            verified: false,
            fingerprint: None,
            unread: 0,
            receipts: true,
            muted: false,
            draft: false,
            last_message: None,
            in_reach: false,
            last_seen: None,
            last_transport: None,
            link_expires: None,
            tries: None,
            why: None,
        };
        model.contacts.extend([(BEN, contact(BEN, "Ben")), (ContactId(4), contact(ContactId(4), "Ruben"))]);
        let civil = |_| Civil { year: 2026, month: 11, day: 22, hour: 10, minute: 0 };
        let options = Options { theme: Theme::plain(), words: false, civil, banner: None, home: None, seed: [0; 32] };
        let now = Now { mono: Instant::from_origin(Duration::from_secs(1)), wall: UnixMillis(0) };
        let mut outbox = Outbox::default();
        let mut context = Context::new(&mut model, &mut outbox, &options, now, Size::new(80, 24));
        let result = run(line, &mut context, open.then_some(BEN));
        let asked = outbox.effects().iter().filter_map(|effect| match effect {
            Effect::Ask(_, Request::Command(command)) => Some(command.clone()),
            _ => None,
        });
        let asked = asked.collect();
        (result, asked)
    }

    #[test]
    fn what_is_about_a_contact_is_asked_of_the_open_one() {
        let contact = || BEN.0.to_string();
        for (line, expected) in [
            ("/rename  Benny B ", Command::RenameContact { contact: contact(), alias: "Benny B".into() }),
            ("/MUTE", Command::SetContact { contact: contact(), receipts: None, muted: Some(true) }),
            ("/unmute", Command::SetContact { contact: contact(), receipts: None, muted: Some(false) }),
            ("/block", Command::BlockContact { contact: contact(), blocked: true }),
            ("/unblock", Command::BlockContact { contact: contact(), blocked: false }),
            ("/receipts on", Command::SetContact { contact: contact(), receipts: Some(true), muted: None }),
            ("/receipts off", Command::SetContact { contact: contact(), receipts: Some(false), muted: None }),
        ] {
            let (result, asked) = write(line, true);
            assert!(matches!(result, Ok(Step::Stay)), "{line}: {result:?}");
            assert_eq!(asked, [expected], "{line}");
            let (result, asked) = write(line, false);
            assert!(result.is_err_and(|words| words.contains("conversation")) && asked.is_empty(), "{line}");
        }
        for line in ["/contact", "/verify", "/remove"] {
            assert!(
                matches!(write(line, true), (Ok(Step::Open(screen)), asked) if matches!(*screen, Screen::Contact(_)) && asked.is_empty())
            );
            assert!(write(line, false).0.is_err());
        }
    }

    #[test]
    fn what_is_about_the_node_needs_no_conversation() {
        for (line, expected) in [
            ("/mode mesh", Command::SetMode { mode: Mode::Mesh }),
            ("mode contacts", Command::SetMode { mode: Mode::Contacts }),
            ("/visible", Command::SetVisible { visible: true }),
            ("/hidden", Command::SetVisible { visible: false }),
        ] {
            let (result, asked) = write(line, false);
            assert!(matches!(result, Ok(Step::Stay)), "{line}: {result:?}");
            assert_eq!(asked, [expected], "{line}");
        }
    }

    #[test]
    fn nothing_is_asked_of_a_daemon_that_is_away() {
        for line in ["/rename Bob", "/mute", "/block", "/receipts on", "/mode mesh", "/visible", "/hidden"] {
            let (result, asked) = write_while(Connection::Absent, line, true);
            assert!(result.is_err_and(|words| words.contains("away")) && asked.is_empty(), "{line}");
        }
    }

    #[test]
    fn goto_takes_the_name_that_fits_best() {
        for (line, expected) in [("/goto ben", 3), ("/goto RUBEN", 4), ("/goto rub", 4), ("/goto be", 3)] {
            let (result, _) = write(line, false);
            assert!(matches!(result, Ok(Step::Chat(contact)) if contact.0 == expected), "{line}: {result:?}");
        }
        assert!(write("/goto zoë", false).0.is_err_and(|words| words.contains("zoë")));
    }

    #[test]
    fn what_makes_no_sense_changes_nothing_and_says_why() {
        for line in ["/", "", "/rename", "/goto", "/mode", "/mode both", "/receipts maybe", "/lock now", "/where 12", "/nothing", "//"] {
            let (result, asked) = write(line, true);
            assert!(result.as_ref().is_err_and(|words| !words.is_empty()) && asked.is_empty(), "{line:?}: {result:?}");
        }
    }

    #[test]
    fn names_are_small_letters_and_each_is_there_once() {
        for row in COMMANDS {
            assert!(row.name.bytes().all(|byte| byte.is_ascii_lowercase()), "{}", row.name);
            assert_eq!(COMMANDS.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
            assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{}", row.help);
        }
    }

    #[test]
    fn tab_completes_as_far_as_it_is_clear() {
        for (typed, expected) in [
            ("/netw", Some("/network")),
            ("/NETW", Some("/network")),
            ("/ren", Some("/rename ")),
            ("/u", Some("/un")),
            ("/un", None),
            ("/mode c", Some("/mode contacts")),
            ("/receipts ", Some("/receipts o")),
            ("/receipts on", None),
            ("/network", None),
            ("/rename", Some("/rename ")),
            ("/rename x", None),
            ("/nothing", None),
            ("/", None),
            ("network", None),
            ("", None),
        ] {
            assert_eq!(complete(typed).as_deref(), expected, "{typed:?}");
        }
    }

    #[test]
    fn an_unknown_command_names_the_closest() {
        assert!(unknown("netwrok").contains("/network"), "{}", unknown("netwrok"));
        assert!(unknown("wher").contains("/where"));
        assert!(unknown("xyzzyx").contains("/help"));
        let hostile = unknown("\u{1b}[2J\u{202e}");
        assert!(!hostile.chars().any(clean::is_hazardous), "{hostile:?}");
    }
}
