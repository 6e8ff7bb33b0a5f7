//! The interface's state, and how it changes.

use std::{collections::BTreeMap, path::Path, time::Duration};

use crossterm::event::{KeyEvent, KeyEventKind, MouseEvent};
use hedgerow_sync::{
    time::{Instant, Now, UnixMillis},
    view::{Command, Event, MessageState, NodeState},
};
use ratatui::{Frame, layout::Size};
use zeroize::Zeroizing;

use crate::{
    Control, Refusal, Reply, Request, RequestId,
    keymap::{self, Action, Scope},
    model::{Connection, Model},
    screen::{
        self, Context, Look, Screen, Step, UiInput, View, chats::Chats, lock::LockScreen, onboarding::Onboarding, quit::QuitScreen,
        unlock::Unlock,
    },
    text,
    theme::Theme,
};

/// How long a short word at the foot of the screen stays (policy).
const TOAST_FOR: Duration = Duration::from_secs(5);
/// Pause before the daemon is looked for again, doubled each time up to the second (policy).
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// How often the status is asked anew while the interface is attached (policy): what has no events changes slowly.
const STATUS_EVERY: Duration = Duration::from_secs(15);
/// Between two drawings of an age in seconds.
const SECOND: Duration = Duration::from_secs(1);
/// A minute, milliseconds.
const MINUTE: u64 = 60_000;
/// How long leaving waits for what is still to be saved (policy).
const FAREWELL: Duration = Duration::from_secs(2);

/// What happened outside.
#[derive(Debug)]
pub enum Input {
    /// A key was pressed, or is held.
    Key(KeyEvent),
    /// A text was pasted. What is no UTF-8 has been replaced before.
    Paste(String),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// The terminal has another size, in cells.
    Resize(u16, u16),
    /// The moment of [`App::poll_timeout`] has passed.
    Tick,
    /// The daemon answers, and events follow. After [`Input::Lost`], this is a new connection.
    Attached,
    /// The daemon, or the way to it, is gone: why, in words.
    Lost(String),
    /// No daemon runs.
    NoDaemon,
    /// A reply of the daemon.
    Reply(RequestId, Result<Reply, Refusal>),
    /// An event of the daemon.
    Event(Event),
    /// A profile has been made, or restored; or why not, in words. A daemon can be started now.
    Created(Result<(), String>),
    /// A daemon could not be started: why, in words. Where it could, [`Input::Attached`] follows.
    NotStarted(String),
    /// The interface is to end without a question: by a signal, or because the terminal is gone.
    Leave,
}

/// What is to be done outside.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Sends a request to the daemon; one [`Input::Reply`] follows, or [`Input::Lost`].
    Ask(RequestId, Request),
    /// Makes a profile; [`Input::Created`] follows.
    Create {
        /// The person's name.
        name: String,
        /// The passphrase.
        passphrase: Secret,
        /// Whether neighbours are told the name at first.
        visible: bool,
    },
    /// Makes the profile from a backup; [`Input::Created`] follows.
    Restore {
        /// The backup's path.
        file: String,
        /// The passphrase that the profile had when the backup was made.
        passphrase: Secret,
    },
    /// Starts a daemon as a child and attaches to it; the passphrase goes through a pipe.
    StartDaemon(Secret),
    /// Looks for the daemon; [`Input::Attached`] or [`Input::NoDaemon`] follows.
    Connect,
    /// Puts a text on the clipboard.
    Copy(String),
    /// Rings the terminal's bell.
    Bell,
    /// Asks the terminal to show a notification.
    Notify(String),
    /// Takes the mouse, or leaves it to the terminal.
    Mouse(bool),
    /// Clears the terminal, so that everything is drawn anew.
    Redraw,
    /// Ends the interface.
    Quit,
}

/// A passphrase on its way; never shown, wiped when dropped.
#[derive(Clone, PartialEq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes it.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// Shows it to who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A moment as the person's clock and calendar show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Civil {
    /// The year.
    pub year: i16,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, 1 to 31.
    pub day: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
}

/// What the interface is told at its start and stays.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How things look.
    pub theme: Theme,
    /// Words in place of signs, for screen readers and poor fonts.
    pub words: bool,
    /// What the person's clock and calendar show.
    pub civil: fn(UnixMillis) -> Civil,
    /// In the demo alone: what its title says all the time. There nothing is kept, and any passphrase opens the lock.
    pub banner: Option<&'static str>,
    /// The person's home folder, which `~` in a path stands for; `None` if it is not known.
    pub home: Option<&'static Path>,
    /// Random bytes, drawn anew for each interface: what the ids of messages written in it are made from.
    pub seed: [u8; 32],
}

/// How the interface begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// There is no profile.
    NoProfile,
    /// There is one, but no daemon.
    NoDaemon,
    /// A daemon runs; [`Input::Attached`] follows.
    Daemon,
}

/// The interface.
#[derive(Debug)]
pub struct App {
    options: Options,
    size: Size,
    now: Now,
    model: Model,
    /// The lowest is never left; the last is in front.
    screens: Vec<Screen>,
    locked: Option<LockScreen>,
    outbox: Outbox,
    mouse: bool,
    retry: Option<(Instant, Duration)>,
    status_due: Option<Instant>,
    leaving: Option<Leaving>,
}

/// Leaving, while something is still to be saved.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    until: Instant,
    stop_daemon: bool,
}

/// What is to be done outside, and what is awaited.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    effects: Vec<Effect>,
    pending: BTreeMap<RequestId, Request>,
    last_request: u64,
    toast: Option<(Instant, String)>,
    /// What is said once a request is done.
    words: BTreeMap<RequestId, String>,
}

impl Outbox {
    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    #[cfg(test)]
    pub(crate) fn effects(&self) -> &[Effect] {
        &self.effects
    }

    pub(crate) fn ask(&mut self, request: Request) -> RequestId {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.pending.insert(id, request.clone());
        self.effects.push(Effect::Ask(id, request));
        id
    }

    pub(crate) fn say_when_done(&mut self, id: RequestId, words: String) {
        self.words.insert(id, words);
    }

    pub(crate) fn toast(&mut self, now: Now, words: String) {
        self.toast = Some((now.mono + TOAST_FOR, words));
    }
}

impl App {
    /// Begins. `size` is the terminal's, in cells.
    pub fn new(options: Options, start: Start, size: (u16, u16), now: Now) -> Self {
        let first = match start {
            Start::NoProfile => Screen::Onboarding(Onboarding::new()),
            Start::NoDaemon => Screen::Unlock(Unlock::for_start()),
            Start::Daemon => Screen::Chats(Chats::new()),
        };
        Self {
            options,
            size: Size::new(size.0, size.1),
            now,
            model: Model::new(),
            screens: vec![first],
            locked: None,
            outbox: Outbox::default(),
            mouse: true,
            retry: (start == Start::NoDaemon).then_some((now.mono + RETRY.1, RETRY.1)),
            status_due: None,
            leaving: None,
        }
    }

    /// Takes one input; what is to be done outside, in order.
    pub fn update(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.now = now;
        match input {
            Input::Key(key) if key.kind == KeyEventKind::Release => {}
            Input::Key(key) => self.handle_key(key),
            Input::Paste(text) => self.give(UiInput::Paste(text)),
            Input::Mouse(mouse) => self.give(UiInput::Mouse(mouse)),
            Input::Resize(width, height) => self.size = Size::new(width, height),
            Input::Tick => self.tick(),
            Input::Attached => self.attached(),
            Input::Lost(why) => self.lost(why),
            Input::NoDaemon => self.no_daemon(),
            Input::Reply(id, result) => self.take_reply(id, result),
            Input::Event(event) => self.take_event(&event),
            Input::Created(result) => self.with_front(|screen, context| screen.created(result, context)),
            Input::NotStarted(why) => self.with_front(|screen, context| screen.not_started(why, context)),
            Input::Leave => self.leave(false),
        }
        if self.locked.is_none() {
            self.with_front(|screen, context| {
                screen.seen(context);
                Step::Stay
            });
        }
        std::mem::take(&mut self.outbox.effects)
    }

    /// When [`Input::Tick`] is wanted; `None` for never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let toast = self.outbox.toast.as_ref().map(|(until, _)| *until);
        let screens = self.screens.iter().filter_map(View::due);
        let own = [toast, self.retry.map(|(at, _)| at), self.status_due, self.leaving.map(|leaving| leaving.until), self.ages_due()];
        own.into_iter().flatten().chain(screens).min()
    }

    /// When what is said of the time is another: each second while something shown is younger than a minute, else with each minute of the
    /// clock, which the locked screen shows. `None` before anything is.
    fn ages_due(&self) -> Option<Instant> {
        let minute = self.now.mono + Duration::from_millis(MINUTE - self.now.wall.0 % MINUTE);
        if self.is_locked() {
            return Some(minute);
        }
        // What lies ahead, by a clock that was set back, has no age.
        let is_young = |at: UnixMillis| self.now.wall.0.checked_sub(at.0).is_some_and(|age| age < MINUTE);
        let seen = self.model.contacts.values().filter(|contact| !contact.in_reach).filter_map(|contact| contact.last_seen);
        let lost =
            matches!(self.model.connection, Connection::Lost { since, .. } if self.now.mono.since(since) < Duration::from_millis(MINUTE));
        let noticed = self.model.notices.back().map(|notice| notice.at);
        if lost || seen.chain(noticed).any(is_young) {
            return Some(self.now.mono + SECOND);
        }
        (self.model.connection != Connection::Absent).then_some(minute)
    }

    /// Whether nothing of the person's may be shown.
    pub fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    fn handle_key(&mut self, key: KeyEvent) {
        let scope = match (&self.locked, self.screens.last()) {
            (Some(_), _) => Scope::Locked,
            (None, Some(screen)) => screen.scope(),
            (None, None) => Scope::Everywhere,
        };
        let action = keymap::look_up(scope, &key);
        match action {
            Some(Action::Redraw) => self.outbox.push(Effect::Redraw),
            Some(Action::Mouse) => self.toggle_mouse(),
            Some(Action::Lock) if self.may_lock() => self.lock(),
            Some(Action::Quit) => self.ask_to_quit(),
            Some(action @ (Action::Help | Action::Palette | Action::AddContact | Action::Network | Action::Settings))
                if self.is_home_open() =>
            {
                self.open(screen::opened_by(action));
            }
            Some(action) => self.give(UiInput::Action(action)),
            None if keymap::is_question_mark(&key) && self.is_home_open() && !self.screens.last().is_none_or(View::writes) => {
                self.open(screen::opened_by(Action::Help));
            }
            None => self.give(UiInput::Key(key)),
        }
    }

    fn toggle_mouse(&mut self) {
        self.mouse = !self.mouse;
        self.outbox.push(Effect::Mouse(self.mouse));
        self.outbox.toast(self.now, if self.mouse { text::MOUSE_TAKEN } else { text::MOUSE_LEFT }.to_owned());
    }

    /// Whether there is a profile to show anything of.
    fn is_home_open(&self) -> bool {
        self.locked.is_none() && matches!(self.screens.first(), Some(Screen::Chats(_)))
    }

    /// Whether something of the person's may be on the screen: that is hidden at once, also while no daemon is there to open it again.
    fn may_lock(&self) -> bool {
        let asks = matches!(self.screens.last(), Some(Screen::Unlock(_)));
        self.model.is_attached() || self.locked.is_some() || (self.is_home_open() && !asks)
    }

    fn open(&mut self, screen: Option<Screen>) {
        let Some(mut screen) = screen else { return };
        if self.screens.last().is_some_and(|front| is_same_kind(front, &screen)) {
            return;
        }
        let mut context = Context::new(&mut self.model, &mut self.outbox, &self.options, self.now, self.size);
        screen.opened(&mut context);
        self.screens.push(screen);
    }

    fn lock(&mut self) {
        if self.locked.is_none() {
            self.locked = Some(LockScreen::new());
            self.save();
            self.outbox.toast = None;
            self.outbox.push(Effect::Redraw);
        }
    }

    fn ask_to_quit(&mut self) {
        match self.screens.last() {
            // In the demo nothing goes on that there would be something to decide about.
            _ if self.locked.is_some() || !self.is_home_open() || self.options.banner.is_some() => self.leave(false),
            // Pressed again: it was meant.
            Some(Screen::Quit(_)) => self.leave(false),
            _ => self.open(Some(Screen::Quit(QuitScreen::new()))),
        }
    }

    /// Leaves once what is written is kept.
    fn leave(&mut self, stop_daemon: bool) {
        self.save();
        let until = self.now.mono + FAREWELL;
        self.leaving = Some(Leaving { until, stop_daemon });
        self.leave_if_saved();
    }

    /// Has every screen send what is to be kept.
    fn save(&mut self) {
        let mut context = Context::new(&mut self.model, &mut self.outbox, &self.options, self.now, self.size);
        for screen in &mut self.screens {
            screen.leaving(&mut context);
        }
    }

    fn leave_if_saved(&mut self) {
        let Some(leaving) = self.leaving else { return };
        let saving = |request: &Request| matches!(request, Request::Command(Command::SetDraft { .. } | Command::Send { .. }));
        let stopping = |request: &Request| matches!(request, Request::Control(Control::Stop));
        let waits = |what: &dyn Fn(&Request) -> bool| self.model.is_attached() && self.outbox.pending.values().any(what);
        let in_time = self.now.mono < leaving.until;
        if in_time && (waits(&saving) || waits(&stopping)) {
            return;
        }
        if leaving.stop_daemon && self.model.is_attached() && in_time {
            self.outbox.ask(Request::Control(Control::Stop));
            self.leaving = Some(Leaving { stop_daemon: false, ..leaving });
            return;
        }
        // Nothing is due any more.
        self.leaving = None;
        self.outbox.push(Effect::Quit);
    }

    /// Gives an input to the screen in front.
    fn give(&mut self, input: UiInput) {
        if let Some(mut locked) = self.locked.take() {
            let mut context = Context::new(&mut self.model, &mut self.outbox, &self.options, self.now, self.size);
            locked.handle(input, &mut context);
            self.locked = Some(locked);
            return;
        }
        self.with_front(|screen, context| screen.handle(input, context));
    }

    /// Lets the screen in front do something, and goes where it says.
    fn with_front(&mut self, act: impl FnOnce(&mut Screen, &mut Context<'_>) -> Step) {
        let Some(index) = self.screens.len().checked_sub(1) else { return };
        self.with_screen(index, act);
    }

    fn with_screen(&mut self, index: usize, act: impl FnOnce(&mut Screen, &mut Context<'_>) -> Step) {
        let Some(screen) = self.screens.get_mut(index) else { return };
        let mut context = Context::new(&mut self.model, &mut self.outbox, &self.options, self.now, self.size);
        let step = act(screen, &mut context);
        self.go(index, step);
    }

    fn go(&mut self, from: usize, step: Step) {
        match step {
            Step::Stay => {}
            Step::Close => {
                if self.screens.len() > 1 && from < self.screens.len() {
                    self.screens.remove(from);
                }
            }
            Step::Open(screen) => {
                // One more of the same kind, such as another contact's: in place of the former.
                if self.screens.len() > 1 && self.screens.last().is_some_and(|front| is_same_kind(front, &screen)) {
                    self.screens.pop();
                }
                self.open(Some(*screen));
            }
            Step::Replace(screen) => {
                self.screens.truncate(from.max(1));
                self.open(Some(*screen));
            }
            Step::Home => self.screens.truncate(1),
            Step::Chat(contact) => {
                self.screens.truncate(1);
                self.with_screen(0, |screen, context| {
                    if let Screen::Chats(chats) = screen {
                        chats.open(contact, context);
                    }
                    Step::Stay
                });
            }
            Step::Act(action) => self.act(action),
            Step::Run(line) => self.run(from, &line.0),
            Step::Leave { stop_daemon } => self.leave(stop_daemon),
        }
    }

    /// Does what a key would, for the palette and for commands that are written.
    fn act(&mut self, action: Action) {
        match action {
            Action::Lock if self.may_lock() => self.lock(),
            Action::Mouse => self.toggle_mouse(),
            Action::Quit => self.ask_to_quit(),
            Action::Redraw => self.outbox.push(Effect::Redraw),
            Action::Help | Action::Palette | Action::AddContact | Action::Network | Action::Settings => {
                self.open(screen::opened_by(action))
            }
            action => self.with_screen(0, |screen, context| screen.handle(UiInput::Action(action), context)),
        }
    }

    /// Does what a written command asks for, in place of the screen that it was written on.
    fn run(&mut self, from: usize, line: &str) {
        let contact = self.screens.iter().rev().find_map(View::contact);
        let mut context = Context::new(&mut self.model, &mut self.outbox, &self.options, self.now, self.size);
        match screen::palette::run(line, &mut context, contact) {
            Ok(step) => {
                self.go(from, Step::Close);
                self.go(self.screens.len().saturating_sub(1), step);
            }
            Err(words) => self.outbox.toast(self.now, words),
        }
    }

    fn tick(&mut self) {
        let now = self.now.mono;
        if self.outbox.toast.as_ref().is_some_and(|(until, _)| *until <= now) {
            self.outbox.toast = None;
        }
        if let Some((at, pause)) = self.retry.filter(|(at, _)| *at <= now) {
            self.outbox.push(Effect::Connect);
            let pause = (pause * 2).min(RETRY.1);
            self.retry = Some((at.max(now) + pause, pause));
        }
        if self.status_due.is_some_and(|due| due <= now) && self.model.is_attached() {
            self.outbox.ask(Request::Status);
            self.status_due = Some(now + STATUS_EVERY);
        }
        for index in 0..self.screens.len() {
            self.with_screen(index, |screen, context| screen.tick(context));
        }
        self.leave_if_saved();
    }

    fn attached(&mut self) {
        self.model.distrust();
        self.model.connection = Connection::Attached;
        self.retry = None;
        self.status_due = Some(self.now.mono + STATUS_EVERY);
        self.outbox.pending.clear();
        self.outbox.words.clear();
        if !matches!(self.screens.first(), Some(Screen::Chats(_))) {
            self.screens = vec![Screen::Chats(Chats::new())];
        }
        self.outbox.ask(Request::Status);
        for command in [Command::Settings {}, Command::Contacts {}, Command::Nearby {}] {
            self.outbox.ask(Request::Command(command));
        }
        for index in 0..self.screens.len() {
            self.with_screen(index, |screen, context| screen.attached(context));
        }
    }

    fn lost(&mut self, why: String) {
        if self.leaving.is_some() {
            self.outbox.push(Effect::Quit);
            return;
        }
        self.model.connection = Connection::Lost { since: self.now.mono, why };
        self.model.forget_links();
        self.status_due = None;
        self.retry = Some((self.now.mono + RETRY.0, RETRY.0));
        for (id, request) in std::mem::take(&mut self.outbox.pending) {
            self.tell_screens(id, &request, &Err(Refusal::gone()));
        }
    }

    /// Nobody has the profile: it can be opened by a passphrase.
    fn no_daemon(&mut self) {
        // Somebody else may start one.
        self.retry = Some((self.now.mono + RETRY.1, RETRY.1));
        if !self.screens.iter().any(|screen| matches!(screen, Screen::Unlock(_) | Screen::Onboarding(_))) {
            self.open(Some(Screen::Unlock(Unlock::after_loss())));
        }
    }

    fn take_reply(&mut self, id: RequestId, result: Result<Reply, Refusal>) {
        // A reply to what was asked on an earlier connection means nothing any more.
        let Some(request) = self.outbox.pending.remove(&id) else { return };
        if let Ok(reply) = &result {
            let before = self.model.status.as_ref().map(|status| status.state);
            self.model.take_reply(&request, reply);
            self.note_state(before, reply);
        }
        let words = self.outbox.words.remove(&id);
        if let Some(words) = words.filter(|_| result.is_ok()) {
            self.outbox.toast(self.now, words);
        }
        self.tell_screens(id, &request, &result);
        self.leave_if_saved();
    }

    /// A daemon whose profile is locked can do nothing but be unlocked.
    fn note_state(&mut self, before: Option<NodeState>, reply: &Reply) {
        let Reply::Status(status) = reply else { return };
        if before == Some(NodeState::Locked) && status.state == NodeState::Running {
            // It could tell nothing before.
            self.attached();
        } else if status.state == NodeState::Locked && !self.screens.iter().any(|screen| matches!(screen, Screen::Unlock(_))) {
            self.open(Some(Screen::Unlock(Unlock::for_locked())));
        }
    }

    fn tell_screens(&mut self, id: RequestId, request: &Request, result: &Result<Reply, Refusal>) {
        let mut is_heard = false;
        if let Some(mut locked) = self.locked.take() {
            let mut context = Context::new(&mut self.model, &mut self.outbox, &self.options, self.now, self.size);
            match locked.replied(id, result, &mut context) {
                Some(true) => return,
                Some(false) => is_heard = true,
                None => {}
            }
            self.locked = Some(locked);
        }
        for index in (0..self.screens.len()).rev() {
            let mut step = None;
            self.with_screen(index, |screen, context| {
                step = screen.replied(id, result, context);
                Step::Stay
            });
            if let Some(step) = step {
                is_heard = true;
                self.go(index, step);
            }
        }
        let is_quiet = matches!(request, Request::Status | Request::Command(Command::SetDraft { .. } | Command::MarkRead { .. }));
        if let Err(refusal) = result
            && !is_heard
            && !is_quiet
        {
            self.outbox.toast(self.now, refusal.message.clone());
        }
    }

    fn take_event(&mut self, event: &Event) {
        let is_new = self.model.take_event(self.now.wall, event);
        if let Event::Message(message) = event
            && is_new
            && !message.outgoing
            && message.state == MessageState::Delivered
        {
            self.alert(message);
        }
        if let Event::Notice { text, .. } = event {
            self.outbox.toast(self.now, text.clone());
        }
        for index in 0..self.screens.len() {
            self.with_screen(index, |screen, context| screen.event(event, context));
        }
    }

    /// Draws attention to a new message, as the person has chosen.
    fn alert(&mut self, message: &hedgerow_sync::view::Message) {
        let Some(alerts) = self.model.settings.map(|settings| settings.alerts) else { return };
        if self.model.contacts.get(&message.contact).is_some_and(|contact| contact.muted) {
            return;
        }
        if alerts.bell {
            self.outbox.push(Effect::Bell);
        }
        if alerts.notify {
            let content = alerts.content && self.locked.is_none();
            self.outbox.push(Effect::Notify(text::notification(content.then_some(message))));
        }
    }

    /// What is drawn from.
    fn look(&self) -> Look<'_> {
        Look {
            model: &self.model,
            options: &self.options,
            now: self.now,
            toast: self.outbox.toast.as_ref().map(|(_, words)| words.as_str()),
        }
    }
}

fn is_same_kind(one: &Screen, other: &Screen) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// Draws the interface. Reads only.
pub fn render(app: &App, frame: &mut Frame<'_>) {
    let look = app.look();
    match &app.locked {
        Some(locked) => locked.render(&look, frame),
        None => screen::render(&app.screens, &look, frame),
    }
}
