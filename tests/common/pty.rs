//! The built program at a terminal: a pseudo-terminal with a screen that can be waited on.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a part for each test binary")]

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    num::NonZeroU16,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Condvar, Mutex, mpsc},
    thread,
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, WaitOptions, waitpid},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Termios, Winsize, tcgetattr, tcsetwinsize},
};

use super::common::{Home, PATIENCE, PROGRAM};

/// What the terminal shows, and what was written to it.
struct Shown {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

/// A person's terminal with the program on it.
pub struct Terminal {
    /// Absent once it is closed.
    master: Option<File>,
    /// Whoever reads lets go of the terminal when this is closed.
    reading: Option<PipeWriter>,
    /// Kept open, so that the modes can be looked at when the program has ended.
    slave: Option<File>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    child: Child,
    before: Termios,
    /// When the program was started.
    pub started: Instant,
}

impl Terminal {
    /// Starts the interface on a home, with 80 by 24 cells.
    pub fn start(home: &Home) -> Self {
        Self::start_with(home, &[])
    }

    /// Starts the demo; the home is where it must keep nothing.
    pub fn demo(home: &Home) -> Self {
        Self::run(home, &["demo"], &[])
    }

    /// Starts it with further variables.
    pub fn start_with(home: &Home, variables: &[(&str, &str)]) -> Self {
        Self::run(home, &[], variables)
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark asks when it was started")]
    fn run(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, size(80, 24)).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let end = || OwnedFd::from(slave.try_clone().unwrap());
        // Makes it the controlling terminal of a session of its own, as a terminal window does, and becomes the program.
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(PROGRAM)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HEDGEROW_HOME", home.path())
            .env("HEDGEROW_DAEMON_OPTIONS", "--no-mdns")
            .env("TMPDIR", home.beside(""))
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let started = Instant::now();
        let child = command.spawn().unwrap();
        // It holds copies of the terminal, which would keep it open.
        drop(command);
        let shown = Shown { parser: vt100::Parser::new(cells(24), cells(80), 0), bytes: Vec::new() };
        let shown = Arc::new((Mutex::new(shown), Condvar::new()));
        let master = File::from(master);
        let (closing, reading) = pipe().unwrap();
        follow(master.try_clone().unwrap(), closing, Arc::clone(&shown));
        Self { master: Some(master), reading: Some(reading), slave: Some(slave), shown, child, before, started }
    }

    /// Types bytes as a terminal sends them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.master.as_mut().expect("open").write_all(bytes).unwrap();
    }

    /// Types a text and Enter.
    pub fn enter(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(b"\r");
    }

    /// Waits until the screen shows this.
    pub fn shows(&self, words: &str) {
        self.wait_words(words, |screen| screen.contains(words));
    }

    /// Waits until the screen does not show this.
    pub fn hides(&self, words: &str) {
        self.wait_words(words, |screen| !screen.contains(words));
    }

    /// What the screen shows.
    pub fn screen(&self) -> String {
        self.shown.0.lock().unwrap().parser.screen().contents()
    }

    /// What has been written to the terminal.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.shown.0.lock().unwrap().bytes).into_owned()
    }

    /// Forgets what is on the screen, as a terminal that was used by another program.
    pub fn smear(&self) {
        self.shown.0.lock().unwrap().parser.process(b"\x1b[2J\x1b[Hsmear");
    }

    /// Makes the terminal another size.
    pub fn resize(&self, width: u16, height: u16) {
        self.shown.0.lock().unwrap().parser.screen_mut().set_size(cells(height), cells(width));
        tcsetwinsize(self.master.as_ref().expect("open"), size(width, height)).unwrap();
    }

    /// Sends a signal to the program.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits until the program has ended.
    pub fn ended(&mut self) -> ExitStatus {
        let _watchdog = Watchdog::over(self.child.id());
        self.child.wait().unwrap()
    }

    /// Waits until the program has stopped, as a shell does before it takes the terminal.
    pub fn stopped(&self) {
        let _watchdog = Watchdog::over(self.child.id());
        let (_, status) = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// Fails unless the terminal is as it was before the program: its modes, the ordinary screen, the cursor, no mouse, no marked pastes, and
    /// nothing on the alternate screen for whoever turns to it.
    pub fn assert_restored(&self) {
        let after = tcgetattr(self.slave.as_ref().expect("open")).unwrap();
        let modes = |termios: &Termios| (termios.input_modes, termios.output_modes, termios.local_modes, termios.control_modes);
        assert_eq!(modes(&after), modes(&self.before));
        self.wait("the ordinary screen", |screen| {
            let no_mouse = screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None;
            !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste() && no_mouse
        });
        let mut shown = self.shown.0.lock().unwrap();
        shown.parser.process(b"\x1b[?47h");
        let left = shown.parser.screen().contents();
        shown.parser.process(b"\x1b[?47l");
        assert_eq!(left.trim(), "", "the alternate screen");
    }

    /// Closes the terminal, as when its window is closed.
    pub fn close(&mut self) {
        self.slave = None;
        self.master = None;
        self.reading = None;
    }

    fn wait_words(&self, words: &str, fits: impl Fn(&str) -> bool) {
        // Words that run over the end of a line are found all the same.
        self.wait(words, |screen| fits(&screen.contents().split_whitespace().collect::<Vec<_>>().join(" ")));
    }

    /// Waits until the screen fits.
    pub fn wait(&self, what: &str, fits: impl Fn(&vt100::Screen) -> bool) {
        let (shown, changed) = &*self.shown;
        let (shown, late) = changed.wait_timeout_while(shown.lock().unwrap(), PATIENCE, |shown| !fits(shown.parser.screen())).unwrap();
        let screen = shown.parser.screen().contents();
        drop(shown);
        assert!(!late.timed_out(), "{what:?} was waited for in vain:\n{screen}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the screen at the end:\n{}", self.screen());
        }
    }
}

/// Kills a process that takes too long, unless dropped before.
struct Watchdog {
    _over: mpsc::Sender<()>,
}

impl Watchdog {
    fn over(id: u32) -> Self {
        let (sender, over) = mpsc::channel();
        thread::spawn(move || {
            if over.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                signal(id, "KILL");
            }
        });
        Self { _over: sender }
    }
}

/// Sends a signal to a process.
pub fn signal(id: u32, name: &str) {
    Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().unwrap();
}

fn follow(mut master: File, closing: PipeReader, shown: Arc<(Mutex<Shown>, Condvar)>) {
    thread::spawn(move || {
        let mut buffer = [0; 16_384];
        loop {
            let mut fds = [PollFd::new(&master, PollFlags::IN), PollFd::new(&closing, PollFlags::IN)];
            poll(&mut fds, None).unwrap();
            if !fds[1].revents().is_empty() {
                return;
            }
            // When nobody has the other end any more, the system says EIO.
            let Ok(length @ 1..) = master.read(&mut buffer) else { return };
            let mut now = shown.0.lock().unwrap();
            now.parser.process(&buffer[..length]);
            now.bytes.extend_from_slice(&buffer[..length]);
            shown.1.notify_all();
        }
    });
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn size(width: u16, height: u16) -> Winsize {
    Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 }
}
