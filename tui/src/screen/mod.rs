//! The screens: one file each, with its state, what it does with keys and replies, and how it is drawn.
//!
//! Screens lie on a stack. The lowest is the conversations (or, before there is a profile, the onboarding); Esc takes the front one away.

pub(crate) mod add;
pub(crate) mod chats;
pub(crate) mod contact;
pub(crate) mod help;
pub(crate) mod invite;
pub(crate) mod lock;
pub(crate) mod message;
pub(crate) mod nearby;
pub(crate) mod network;
pub(crate) mod onboarding;
pub(crate) mod palette;
pub(crate) mod paste;
pub(crate) mod quit;
pub(crate) mod settings;
pub(crate) mod unlock;
pub(crate) mod whereis;

mod asking;
mod shell;

use crossterm::event::{KeyEvent, MouseEvent};
use hedgerow_sync::{
    id::ContactId,
    time::{Instant, Now},
    view::{Command, Event},
};
use ratatui::{
    Frame,
    layout::{Rect, Size},
};

pub(crate) use self::shell::{body, render};
use crate::{
    Effect, Options, Refusal, Reply, Request, RequestId,
    app::Outbox,
    keymap::{Action, Scope},
    model::Model,
};

/// An input that the keymap has looked at.
#[derive(Debug)]
pub(crate) enum UiInput {
    /// A key that asks for something here.
    Action(Action),
    /// A key that does not: text, or what the field in front makes of it.
    Key(KeyEvent),
    /// A pasted text.
    Paste(String),
    /// The mouse.
    Mouse(MouseEvent),
}

/// A line written as a command. It may hold a link or a name, so that it is not in debug output.
pub(crate) struct Written(pub(crate) String);

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Written(…)")
    }
}

/// Where a screen goes from here.
#[derive(Debug)]
pub(crate) enum Step {
    /// It stays.
    Stay,
    /// It goes away.
    Close,
    /// Another comes in front.
    Open(Box<Screen>),
    /// Another comes in its place.
    Replace(Box<Screen>),
    /// All go away but the conversations.
    Home,
    /// As [`Home`](Self::Home), and this conversation is opened.
    Chat(ContactId),
    /// What a key would ask for.
    Act(Action),
    /// What a written command asks for, in place of this screen; it stays, and it is said why, if that can't be done.
    Run(Written),
    /// The interface ends, the daemon too if asked for.
    Leave {
        /// Whether it does.
        stop_daemon: bool,
    },
}

impl Step {
    /// Opens a screen.
    pub(crate) fn open(screen: Screen) -> Self {
        Self::Open(Box::new(screen))
    }

    /// Opens a screen in place of this one.
    pub(crate) fn replace(screen: Screen) -> Self {
        Self::Replace(Box::new(screen))
    }
}

/// What a screen may look at and do while it handles an input.
pub(crate) struct Context<'a> {
    /// What the daemon has told.
    pub(crate) model: &'a mut Model,
    /// What stays as it was at the start.
    pub(crate) options: &'a Options,
    /// Both clocks.
    pub(crate) now: Now,
    /// The terminal's size, in cells.
    pub(crate) size: Size,
    outbox: &'a mut Outbox,
}

impl<'a> Context<'a> {
    pub(crate) fn new(model: &'a mut Model, outbox: &'a mut Outbox, options: &'a Options, now: Now, size: Size) -> Self {
        Self { model, options, now, size, outbox }
    }

    /// What a screen would be drawn from now.
    pub(crate) fn look(&self) -> Look<'_> {
        Look { model: self.model, options: self.options, now: self.now, toast: None }
    }

    /// Asks the daemon; [`View::replied`] is told the reply under this id.
    pub(crate) fn ask(&mut self, request: Request) -> RequestId {
        self.outbox.ask(request)
    }

    /// Asks the node.
    pub(crate) fn command(&mut self, command: Command) -> RequestId {
        self.ask(Request::Command(command))
    }

    /// Asks the node; `words` are said at the foot of the screen once it is done.
    pub(crate) fn command_saying(&mut self, command: Command, words: impl Into<String>) {
        let id = self.command(command);
        self.outbox.say_when_done(id, words.into());
    }

    /// Has something done outside.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.outbox.push(effect);
    }

    /// Says something short at the foot of the screen.
    pub(crate) fn toast(&mut self, words: impl Into<String>) {
        self.outbox.toast(self.now, words.into());
    }
}

/// What a screen is drawn from.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    /// What the daemon has told.
    pub(crate) model: &'a Model,
    /// What stays as it was at the start.
    pub(crate) options: &'a Options,
    /// Both clocks, as of the last input.
    pub(crate) now: Now,
    /// What is said at the foot, if anything is.
    pub(crate) toast: Option<&'a str>,
}

/// What every screen can do.
pub(crate) trait View {
    /// Its name, for the title line.
    fn title(&self, look: &Look<'_>) -> String;

    /// Which keys hold on it.
    fn scope(&self) -> Scope {
        Scope::List
    }

    /// Whether a letter would be text now; if not, `?` shows the keys.
    fn writes(&self) -> bool {
        true
    }

    /// The contact that it is about, for commands.
    fn contact(&self) -> Option<ContactId> {
        None
    }

    /// What the foot line shows, most useful first; as many as fit.
    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Accept, Action::Back, Action::Help]
    }

    /// What the foot line calls `action` here, where a more telling word than the general one is to be had.
    fn label(&self, _look: &Look<'_>, _action: Action) -> Option<&'static str> {
        None
    }

    /// It has come in front: what it needs is asked for.
    fn opened(&mut self, _context: &mut Context<'_>) {}

    /// The daemon is there (again): what it showed is asked for anew.
    fn attached(&mut self, context: &mut Context<'_>) -> Step {
        self.opened(context);
        Step::Stay
    }

    /// Takes an input.
    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step;

    /// A reply has come, and the model has taken it over. `None` if this screen did not ask.
    fn replied(&mut self, _id: RequestId, _result: &Result<Reply, Refusal>, _context: &mut Context<'_>) -> Option<Step> {
        None
    }

    /// An event has come, and the model has taken it over.
    fn event(&mut self, _event: &Event, _context: &mut Context<'_>) -> Step {
        Step::Stay
    }

    /// When [`tick`](Self::tick) is wanted.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Time has passed; perhaps not as much as was wanted.
    fn tick(&mut self, _context: &mut Context<'_>) -> Step {
        Step::Stay
    }

    /// After each input, if it is in front and nothing is locked: the person sees it.
    fn seen(&mut self, _context: &mut Context<'_>) {}

    /// The interface is about to end or to be locked: what is to be kept is sent now.
    fn leaving(&mut self, _context: &mut Context<'_>) {}

    /// A profile has been made, or why not.
    fn created(&mut self, _result: Result<(), String>, _context: &mut Context<'_>) -> Step {
        Step::Stay
    }

    /// A daemon could not be started: why.
    fn not_started(&mut self, _why: String, _context: &mut Context<'_>) -> Step {
        Step::Stay
    }

    /// Draws it into `area`, the terminal without title and foot line.
    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect);
}

/// Makes the enum of all screens, and hands each call on to the one that it holds.
macro_rules! screens {
    ($($(#[$doc:meta])* $name:ident($type:ty),)+) => {
        /// One screen.
        #[derive(Debug)]
        pub(crate) enum Screen {
            $($(#[$doc])* $name($type),)+
        }

        impl View for Screen {
            fn title(&self, look: &Look<'_>) -> String {
                match self { $(Self::$name(screen) => screen.title(look),)+ }
            }
            fn scope(&self) -> Scope {
                match self { $(Self::$name(screen) => screen.scope(),)+ }
            }
            fn writes(&self) -> bool {
                match self { $(Self::$name(screen) => screen.writes(),)+ }
            }
            fn contact(&self) -> Option<ContactId> {
                match self { $(Self::$name(screen) => screen.contact(),)+ }
            }
            fn hints(&self, look: &Look<'_>) -> Vec<Action> {
                match self { $(Self::$name(screen) => screen.hints(look),)+ }
            }
            fn label(&self, look: &Look<'_>, action: Action) -> Option<&'static str> {
                match self { $(Self::$name(screen) => screen.label(look, action),)+ }
            }
            fn opened(&mut self, context: &mut Context<'_>) {
                match self { $(Self::$name(screen) => screen.opened(context),)+ }
            }
            fn attached(&mut self, context: &mut Context<'_>) -> Step {
                match self { $(Self::$name(screen) => screen.attached(context),)+ }
            }
            fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
                match self { $(Self::$name(screen) => screen.handle(input, context),)+ }
            }
            fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Step> {
                match self { $(Self::$name(screen) => screen.replied(id, result, context),)+ }
            }
            fn event(&mut self, event: &Event, context: &mut Context<'_>) -> Step {
                match self { $(Self::$name(screen) => screen.event(event, context),)+ }
            }
            fn due(&self) -> Option<Instant> {
                match self { $(Self::$name(screen) => screen.due(),)+ }
            }
            fn tick(&mut self, context: &mut Context<'_>) -> Step {
                match self { $(Self::$name(screen) => screen.tick(context),)+ }
            }
            fn seen(&mut self, context: &mut Context<'_>) {
                match self { $(Self::$name(screen) => screen.seen(context),)+ }
            }
            fn leaving(&mut self, context: &mut Context<'_>) {
                match self { $(Self::$name(screen) => screen.leaving(context),)+ }
            }
            fn created(&mut self, result: Result<(), String>, context: &mut Context<'_>) -> Step {
                match self { $(Self::$name(screen) => screen.created(result, context),)+ }
            }
            fn not_started(&mut self, why: String, context: &mut Context<'_>) -> Step {
                match self { $(Self::$name(screen) => screen.not_started(why, context),)+ }
            }
            fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
                match self { $(Self::$name(screen) => screen.render(look, frame, area),)+ }
            }
        }
    };
}

screens! {
    /// Makes a profile.
    Onboarding(onboarding::Onboarding),
    /// Opens a profile with its passphrase.
    Unlock(unlock::Unlock),
    /// The conversations, and the open one.
    Chats(chats::Chats),
    /// What can be done with one message.
    Message(message::MessageMenu),
    /// The ways to add a contact.
    Add(add::Add),
    /// People in one room.
    Nearby(nearby::NearbyScreen),
    /// A link of ours, as text and QR code.
    Invite(invite::Invite),
    /// A link of somebody else.
    Paste(paste::Paste),
    /// One contact.
    Contact(contact::ContactScreen),
    /// Where a message is, and why.
    Where(whereis::WhereIs),
    /// Neighbours, what is carried, space, clock.
    Network(network::Network),
    /// What a person can decide.
    Settings(settings::SettingsScreen),
    /// The keys.
    Help(help::Help),
    /// Everything that can be done, by typing.
    Palette(palette::Palette),
    /// Leaving.
    Quit(quit::QuitScreen),
}

/// The screen that a key opens from anywhere.
pub(crate) fn opened_by(action: Action) -> Option<Screen> {
    Some(match action {
        Action::Help => Screen::Help(help::Help::new()),
        Action::Palette => Screen::Palette(palette::Palette::new()),
        Action::AddContact => Screen::Add(add::Add::new()),
        Action::Network => Screen::Network(network::Network::new()),
        Action::Settings => Screen::Settings(settings::SettingsScreen::new()),
        _ => return None,
    })
}
