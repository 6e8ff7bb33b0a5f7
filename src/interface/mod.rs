//! `hedgerow` without a command: the interface, on this terminal, as a client of the daemon.
//!
//! ```text
//!   keys ────▶ thread ─┐                                   ┌─▶ terminal
//!   signals ─▶ thread ─┤                                   ├─▶ socket
//!   socket ──▶ thread ─┼─ one queue ─▶ App::update ─ effects ─▶ threads: make a profile, start a daemon
//!   clock ─────────────┘                                   └─▶ end
//! ```
//!
//! Everything that has queued up is handled before a frame is drawn, and while it goes on coming at most sixty frames are drawn a second.

mod api;
mod child;
mod local;
mod make;
mod outside;
mod place;

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    sync::{
        Arc, LazyLock,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError},
    },
    thread,
    time::Duration,
};

use hedgerow_sync::time::Instant;
use hedgerow_tui::{App, Effect, Input, Options, Refusal, Secret, Start, terminal::Terminal, theme::Theme};
use rand_core::Rng;

use self::{
    api::{Client, Told},
    child::NotStarted,
    outside::Outside,
    place::Place,
};
use crate::{
    cli::error::CliError,
    config::Config,
    daemon::clock::Clock,
    demo::{self, Demo},
    profile::Profile,
    random,
};

/// Inputs that may wait; beyond it terminal and socket are held back (policy).
const MAX_QUEUED: usize = 1_024;
/// Least pause between two frames while inputs keep coming (policy): sixty a second.
const FRAME: Duration = Duration::from_millis(16);

/// The person's home folder.
static HOME: LazyLock<Option<PathBuf>> = LazyLock::new(std::env::home_dir);

/// Something that a thread tells the loop.
enum Wake {
    /// The terminal, or a signal.
    Outside(Outside),
    /// The connection of this number.
    Daemon(u64, Told),
    /// Something is done that was started.
    Done(Box<Input>),
    /// A daemon is running that was not reached before.
    Started,
}

/// Runs the interface until the person leaves.
///
/// # Errors
///
/// A usage error if there is no terminal that can show it; a configuration error if the profile's folder or the terminal can't be used.
pub(crate) fn run(config: &Config) -> Result<(), CliError> {
    require_terminal()?;
    let start = match Profile::at(&config.home).exists()? {
        false => Start::NoProfile,
        true if api::is_taken(config) => Start::Daemon,
        true => Start::NoDaemon,
    };
    let given = match (&config.passphrase_file, start) {
        (Some(_), Start::NoDaemon) => Some(Secret::new(config.passphrase()?)),
        _ => None,
    };
    Loop::enter(Place::Profile(config.clone()), start, None)?.run(start, given)
}

/// Runs the interface among made-up people, until the person leaves.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_demo() -> Result<(), CliError> {
    require_terminal()?;
    Loop::enter(Place::Demo(Demo::start()?), Start::Daemon, Some(demo::BANNER))?.run(Start::Daemon, None)
}

fn require_terminal() -> Result<(), CliError> {
    let hint = "`hedgerow help` shows the commands, which need none.";
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(CliError::usage("the interface needs a terminal on standard input and output", hint));
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(CliError::usage("this terminal can't move its cursor (TERM is dumb), so it can't show the interface", hint));
    }
    Ok(())
}

fn options(banner: Option<&'static str>) -> Options {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let theme = if is_set("NO_COLOR") { Theme::plain() } else { Theme::colours() };
    let words = std::env::var_os("HEDGEROW_WORDS").is_some_and(|value| value == "1");
    let mut seed = [0; 32];
    random::system().fill_bytes(&mut seed);
    Options { theme, words, civil: local::civil, banner, home: HOME.as_deref(), seed }
}

/// The loop's state.
struct Loop {
    place: Arc<Place>,
    clock: Clock,
    app: App,
    /// Absent once it is gone.
    terminal: Option<Terminal>,
    wakes: SyncSender<Wake>,
    inbox: Receiver<Wake>,
    client: Option<Client>,
    /// Counts connections, so that what an earlier one still tells is told from the present one.
    connection: u64,
    is_connecting: bool,
    /// Whether a daemon was started and has not been reached.
    is_awaited: bool,
    /// Whether something may look different from what was drawn.
    is_stale: bool,
    next_frame: Instant,
    is_over: bool,
}

impl Loop {
    /// Takes the terminal. `banner` is what the title says all the time.
    fn enter(place: Place, start: Start, banner: Option<&'static str>) -> Result<Self, CliError> {
        let unusable = |error: io::Error| CliError::io("the terminal can't be used", &error);
        let terminal = Terminal::enter().map_err(unusable)?;
        let clock = Clock::start();
        let (wakes, inbox) = mpsc::sync_channel(MAX_QUEUED);
        let size = terminal.size().map_err(unusable)?;
        let to_loop = wakes.clone();
        outside::watch(move |outside| to_loop.send(Wake::Outside(outside)).is_ok()).map_err(unusable)?;
        Ok(Self {
            place: Arc::new(place),
            clock,
            app: App::new(options(banner), start, size, clock.now()),
            terminal: Some(terminal),
            wakes,
            inbox,
            client: None,
            connection: 0,
            is_connecting: false,
            is_awaited: false,
            is_stale: true,
            next_frame: Instant::ZERO,
            is_over: false,
        })
    }

    fn run(mut self, start: Start, given: Option<Secret>) -> Result<(), CliError> {
        if start == Start::Daemon {
            self.connect();
        }
        if let Some(passphrase) = given {
            self.start_daemon(passphrase);
        }
        while !self.is_over {
            self.draw_if_due();
            match self.wait() {
                Ok(wake) => {
                    self.handle(wake);
                    self.handle_queued();
                }
                Err(RecvTimeoutError::Timeout) => {}
                // This holds one of the senders.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.clock.now();
            if self.app.poll_timeout().is_some_and(|due| due <= now.mono) {
                self.input(Input::Tick);
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<Wake, RecvTimeoutError> {
        let frame = (self.is_stale && self.terminal.is_some()).then_some(self.next_frame);
        match self.app.poll_timeout().into_iter().chain(frame).min() {
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => self.inbox.recv_timeout(due.since(self.clock.mono())),
        }
    }

    /// Handles what has queued up, until a frame is due.
    fn handle_queued(&mut self) {
        let until = self.clock.mono() + FRAME;
        while !self.is_over && self.clock.mono() < until {
            match self.inbox.try_recv() {
                Ok(wake) => self.handle(wake),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    fn handle(&mut self, wake: Wake) {
        match wake {
            Wake::Outside(outside) => self.handle_outside(outside),
            Wake::Daemon(connection, told) if connection == self.connection => self.handle_daemon(told),
            Wake::Daemon(..) => {}
            Wake::Done(input) => self.input(*input),
            Wake::Started => self.await_daemon(),
        }
    }

    fn handle_outside(&mut self, outside: Outside) {
        match outside {
            Outside::Input(input) => self.input(*input),
            Outside::Continued => {
                self.at_terminal(Terminal::enter_again);
                if let Some(Ok((width, height))) = self.terminal.as_ref().map(Terminal::size) {
                    self.input(Input::Resize(width, height));
                }
            }
            Outside::Suspend => {
                self.at_terminal(|terminal| {
                    terminal.leave();
                    Ok(())
                });
                outside::suspend();
            }
            Outside::End => self.input(Input::Leave),
            Outside::TerminalGone => self.lose_terminal(),
        }
    }

    fn handle_daemon(&mut self, told: Told) {
        match told {
            Told::Attached(client) => {
                (self.is_connecting, self.is_awaited) = (false, false);
                self.client = Some(client);
                self.input(Input::Attached);
            }
            Told::Absent => {
                self.is_connecting = false;
                self.input(Input::NoDaemon);
                self.give_up_daemon();
            }
            Told::Gone(why) => {
                self.is_connecting = false;
                self.client = None;
                self.input(Input::Lost(why));
                self.give_up_daemon();
            }
            Told::Heard(input) => self.input(*input),
        }
    }

    fn input(&mut self, input: Input) {
        self.is_stale = true;
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for effect in self.app.update(self.clock.now(), input) {
                inputs.extend(self.carry_out(effect));
            }
        }
    }

    /// Does what the interface wants done outside; what comes of it at once.
    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Ask(id, request) => match &mut self.client {
                Some(client) => client.send(id, &request),
                None => return Some(Input::Reply(id, Err(Refusal::gone()))),
            },
            Effect::Create { name, passphrase, visible } => {
                self.make(move |config| make::create(config, &name, visible, passphrase.expose()));
            }
            Effect::Restore { file, passphrase } => self.make(move |config| make::restore(config, &file, passphrase.expose())),
            Effect::StartDaemon(passphrase) => self.start_daemon(passphrase),
            Effect::Connect => self.connect(),
            Effect::Copy(text) => self.at_terminal(|terminal| terminal.copy(&text).map(drop)),
            Effect::Bell => self.at_terminal(Terminal::bell),
            Effect::Notify(words) => self.at_terminal(|terminal| terminal.notify(&words)),
            Effect::Mouse(taken) => self.at_terminal(|terminal| terminal.mouse(taken)),
            Effect::Redraw => self.at_terminal(Terminal::clear),
            Effect::Quit => self.is_over = true,
        }
        None
    }

    fn connect(&mut self) {
        if self.is_connecting || self.client.is_some() {
            return;
        }
        self.is_connecting = true;
        self.connection += 1;
        let (place, wakes, connection) = (Arc::clone(&self.place), self.wakes.clone(), self.connection);
        thread::spawn(move || api::follow(&place, &mut |told| wakes.send(Wake::Daemon(connection, told)).is_ok()));
    }

    /// Reaches the daemon that was just started; what an attempt from before still tells does not count.
    fn await_daemon(&mut self) {
        if self.client.is_none() {
            (self.is_connecting, self.is_awaited) = (false, true);
            self.connect();
        }
    }

    /// Says that a daemon which was started is not there, if so.
    fn give_up_daemon(&mut self) {
        if std::mem::take(&mut self.is_awaited) {
            let why = "The daemon was started and can't be reached, or another program has the profile. Nothing was lost: try again.";
            self.input(Input::NotStarted(why.to_owned()));
        }
    }

    fn make(&self, make: impl FnOnce(&Config) -> Result<(), CliError> + Send + 'static) {
        let (place, wakes) = (Arc::clone(&self.place), self.wakes.clone());
        thread::spawn(move || {
            let made = place.profile().and_then(make).map_err(|error| error.words());
            // It only fails when the interface has ended.
            let _ = wakes.send(Wake::Done(Box::new(Input::Created(made))));
        });
    }

    fn start_daemon(&self, passphrase: Secret) {
        let (place, wakes) = (Arc::clone(&self.place), self.wakes.clone());
        thread::spawn(move || {
            let started = place.profile().map_err(|error| NotStarted::Because(error.words()));
            let wake = match started.and_then(|config| child::start(config, &passphrase)) {
                Ok(()) | Err(NotStarted::Taken) => Wake::Started,
                Err(NotStarted::Because(why)) => Wake::Done(Box::new(Input::NotStarted(why))),
            };
            // It only fails when the interface has ended.
            let _ = wakes.send(wake);
        });
    }

    fn draw_if_due(&mut self) {
        let now = self.clock.mono();
        if !self.is_stale || now < self.next_frame {
            return;
        }
        let Some(terminal) = &mut self.terminal else { return };
        if terminal.draw(&self.app).is_err() {
            self.lose_terminal();
            return;
        }
        self.is_stale = false;
        self.next_frame = self.clock.mono() + FRAME;
    }

    fn at_terminal(&mut self, act: impl FnOnce(&mut Terminal) -> io::Result<()>) {
        if self.terminal.as_mut().is_some_and(|terminal| act(terminal).is_err()) {
            self.terminal = None;
        }
    }

    /// Ends without a terminal: what is written is still saved.
    fn lose_terminal(&mut self) {
        self.terminal = None;
        self.input(Input::Leave);
    }
}
