//! The terminal itself: what is switched on at the start is switched off however the interface ends.
//!
//! Dropping [`Terminal`] restores it, and so does a panic, whose message comes after that on the ordinary screen and names a place in this
//! program, never what it was about. What the interface asks of the terminal besides drawing goes through here, so that nothing from
//! other people reaches it unless it was cleaned or encoded.

use std::{
    io::{self, BufWriter, Stdout, Write},
    mem::ManuallyDrop,
    panic,
    sync::atomic::{AtomicBool, Ordering},
};

use crossterm::{
    Command, cursor,
    event::{DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture},
    execute, queue,
    terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use data_encoding::BASE64;
use ratatui::backend::CrosstermBackend;

use crate::{App, clean, render};

/// Longest text that is put on the clipboard, bytes (policy): more than one message has, less than terminals refuse.
const MAX_COPY: usize = 48 << 10;
/// Bytes gathered before they are written: a whole frame of an ordinary terminal, so that it is not seen half drawn.
const BUFFER: usize = 64 << 10;
/// Exit code of a mistake of ours (docs/api.md, "Errors").
const INTERNAL: i32 = 70;

/// Whether the terminal is switched to the interface.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// The terminal, switched to the interface until dropped.
#[derive(Debug)]
pub struct Terminal {
    /// Never dropped: it would show the cursor, which [`switch_off`] does, and on a terminal that is gone complain on standard error, which
    /// may be the same terminal.
    inner: ManuallyDrop<ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
    mouse: bool,
}

impl Terminal {
    /// Switches the terminal on standard input and output to the interface: raw mode, the alternate screen, the mouse, pastes in one piece.
    ///
    /// From here on a panic in any thread restores the terminal, says where it happened and ends the process.
    ///
    /// # Errors
    ///
    /// What the terminal or the system refused; everything is switched off again then.
    pub fn enter() -> io::Result<Self> {
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout()));
        panic::set_hook(Box::new(|info| {
            switch_off();
            let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
            // Without the panic's own words, which may hold what somebody wrote. A closed standard error changes nothing.
            let _ = writeln!(
                io::stderr(),
                "error: the interface stopped on a mistake of its own{place}. What was sent is safe, and the daemon goes on.\n\
                 hint: Start `hedgerow` again; please report this place in the program."
            );
            std::process::exit(INTERNAL);
        }));
        let entered = switch_on(true).and_then(|()| ratatui::Terminal::new(backend));
        match entered {
            Ok(inner) => Ok(Self { inner: ManuallyDrop::new(inner), mouse: true }),
            Err(error) => {
                switch_off();
                Err(error)
            }
        }
    }

    /// The size in cells.
    ///
    /// # Errors
    ///
    /// The system's, if there is no terminal any more.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.inner.size().map(|size| (size.width, size.height))
    }

    /// Draws what has changed.
    ///
    /// # Errors
    ///
    /// The system's, if there is no terminal any more.
    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        self.inner.draw(|frame| render(app, frame)).map(drop)
    }

    /// Clears it, so that the next frame is drawn whole.
    ///
    /// # Errors
    ///
    /// The system's, if there is no terminal any more.
    pub fn clear(&mut self) -> io::Result<()> {
        // `clear` of ratatui would ask the terminal where its cursor is, and the thread that reads the keys would take the answer.
        let size = self.inner.size()?;
        self.inner.resize(size.into())
    }

    /// Takes the mouse, or leaves it to the terminal.
    ///
    /// # Errors
    ///
    /// The system's, if there is no terminal any more.
    pub fn mouse(&mut self, taken: bool) -> io::Result<()> {
        self.mouse = taken;
        if taken { self.say(EnableMouseCapture) } else { self.say(DisableMouseCapture) }
    }

    /// Asks the terminal to put a text on the clipboard (OSC 52); it is encoded, so that nothing in it can be taken for a command, and
    /// controls are left out, so that nothing can where it is pasted. Not every terminal does so, and none says whether it has. Returns
    /// `false` for a text that is too long.
    ///
    /// # Errors
    ///
    /// The system's, if there is no terminal any more.
    pub fn copy(&mut self, text: &str) -> io::Result<bool> {
        if text.len() > MAX_COPY {
            return Ok(false);
        }
        self.write(&copy_sequence(text)).map(|()| true)
    }

    /// Rings the bell.
    ///
    /// # Errors
    ///
    /// The system's, if there is no terminal any more.
    pub fn bell(&mut self) -> io::Result<()> {
        self.write("\x07")
    }

    /// Asks the terminal to show a notification (OSC 9); where it can't, nothing is seen.
    ///
    /// # Errors
    ///
    /// The system's, if there is no terminal any more.
    pub fn notify(&mut self, words: &str) -> io::Result<()> {
        self.write(&notify_sequence(words))
    }

    /// Gives the terminal back for a while, as when the process is stopped.
    pub fn leave(&mut self) {
        switch_off();
    }

    /// Takes it again after [`leave`](Self::leave), or after the process was stopped without a word; clears it.
    ///
    /// # Errors
    ///
    /// The system's, if there is no terminal any more.
    pub fn enter_again(&mut self) -> io::Result<()> {
        // Whoever had the terminal meanwhile may have left it in any mode.
        switch_off();
        switch_on(self.mouse)?;
        self.clear()
    }

    fn say(&mut self, command: impl Command) -> io::Result<()> {
        execute!(self.inner.backend_mut(), command)
    }

    fn write(&mut self, sequence: &str) -> io::Result<()> {
        let backend = self.inner.backend_mut();
        backend.write_all(sequence.as_bytes())?;
        io::Write::flush(backend)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        switch_off();
        if !std::thread::panicking() {
            drop(panic::take_hook());
        }
    }
}

fn switch_on(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    // Only from here on, as switching it off clears the screen, which is somebody else's until then.
    IS_ON.store(true, Ordering::SeqCst);
    let mut out = io::stdout().lock();
    queue!(out, EnterAlternateScreen, EnableBracketedPaste, DisableFocusChange)?;
    if mouse {
        queue!(out, EnableMouseCapture)?;
    }
    out.flush()
}

/// Switches everything off that may be on. What fails here can't be helped: most likely there is no terminal any more.
fn switch_off() {
    if !IS_ON.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout().lock();
    // Terminals keep the alternate screen after it was left, and show it again to who asks.
    let _ = execute!(out, DisableMouseCapture, DisableBracketedPaste, Clear(ClearType::All), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// OSC 52 for the clipboard. A text may be somebody else's: pasted into a shell, its controls would be keys.
fn copy_sequence(text: &str) -> String {
    let text: String = text.chars().filter(|character| matches!(character, '\n' | '\t') || !character.is_control()).collect();
    format!("\x1b]52;c;{}\x1b\\", BASE64.encode(text.as_bytes()))
}

/// OSC 9. The program's name in front keeps the words from being taken for one of the numbered commands that some terminals have there.
fn notify_sequence(words: &str) -> String {
    format!("\x1b]9;Hedgerow: {}\x1b\\", clean::name(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_copied_or_notified_text_is_a_command() {
        let hostile = "4;1;50\x1b\\\x07\x1b]0;owned\x07\u{9c}\u{202e}";
        for sequence in [copy_sequence(hostile), notify_sequence(hostile)] {
            let inner = sequence.strip_prefix("\x1b]").and_then(|rest| rest.strip_suffix("\x1b\\")).unwrap();
            assert!(!inner.chars().any(clean::is_hazardous), "{inner:?}");
        }
        assert!(notify_sequence(hostile).starts_with("\x1b]9;Hedgerow: 4;1;50"));
        assert_eq!(copy_sequence("hi"), "\x1b]52;c;aGk=\x1b\\");
    }

    #[test]
    fn nothing_in_a_copied_text_is_a_key_where_it_is_pasted() {
        let copied = |text: &str| {
            let sequence = copy_sequence(text);
            let inner = sequence.strip_prefix("\x1b]52;c;").and_then(|rest| rest.strip_suffix("\x1b\\")).unwrap();
            String::from_utf8(BASE64.decode(inner.as_bytes()).unwrap()).unwrap()
        };
        assert_eq!(copied("ls\x1b[201~\r\x03\x15rm -rf ~\r\n\u{9b}A\x7f"), "ls[201~rm -rf ~\nA");
        let honest = "Zoë:\n\tשלום, 👩\u{200d}🚀, می\u{200c}خواهم";
        assert_eq!(copied(honest), honest);
    }
}
