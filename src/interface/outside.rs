//! What comes from the terminal and from the system, on threads of its own.
//!
//! Three threads: one reads the terminal, one waits for signals, one for the terminal's end. The last is there because the
//! reading one would not tell: crossterm goes on reading from a terminal that is gone. Bytes that are no key and no text (UTF-8) it drops.

use std::{io, thread};

use crossterm::event::{self, Event, MouseEventKind};
use hedgerow_tui::Input;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::{
    consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP},
    iterator::Signals,
    low_level::emulate_default_handler,
};

/// What happened.
pub(super) enum Outside {
    /// The person did something.
    Input(Box<Input>),
    /// The process is to be stopped for a while.
    Suspend,
    /// The process goes on after it was stopped.
    Continued,
    /// The process is to end.
    End,
    /// There is no terminal any more.
    TerminalGone,
}

/// Watches until `tell` is false.
///
/// # Errors
///
/// The system's, if signals can't be waited for.
pub(super) fn watch(tell: impl Fn(Outside) -> bool + Clone + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGTSTP, SIGCONT])?;
    let (keys, end) = (tell.clone(), tell.clone());
    thread::spawn(move || {
        for signal in signals.forever() {
            let outside = match signal {
                SIGTSTP => Outside::Suspend,
                SIGCONT => Outside::Continued,
                _ => Outside::End,
            };
            if !tell(outside) {
                return;
            }
        }
    });
    thread::spawn(move || read(&keys));
    thread::spawn(move || {
        wait_for_end();
        end(Outside::TerminalGone)
    });
    Ok(())
}

/// Stops the process, as the terminal's stop key does elsewhere; returns once it goes on.
pub(super) fn suspend() {
    // It only fails for signals that are none.
    let _ = emulate_default_handler(SIGTSTP);
}

fn read(tell: &impl Fn(Outside) -> bool) {
    loop {
        let input = match event::read() {
            Ok(Event::Key(key)) => Input::Key(key),
            Ok(Event::Paste(text)) => Input::Paste(text),
            Ok(Event::Resize(width, height)) => Input::Resize(width, height),
            // Nothing depends on where the mouse is while it does nothing.
            Ok(Event::Mouse(mouse)) if mouse.kind != MouseEventKind::Moved => Input::Mouse(mouse),
            Ok(Event::Mouse(_) | Event::FocusGained | Event::FocusLost) => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                tell(Outside::TerminalGone);
                return;
            }
        };
        if !tell(Outside::Input(Box::new(input))) {
            return;
        }
    }
}

/// Returns once the other end of the terminal is closed.
fn wait_for_end() {
    let stdin = io::stdin();
    // Asked for nothing, the system still tells of the end.
    let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
    while let Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) = poll(&mut fds, None) {}
}
