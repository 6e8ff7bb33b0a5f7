//! The command line's end of the local API (docs/api.md): one request at a time, events beside it.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

use hedgerow_sync::{time::Instant, view::Command};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    cli::error::{CliError, Kind},
    config::Config,
    daemon::{clock::Clock, lock::ProfileLock},
    failure::{Failure, FailureKind},
    profile::Profile,
};

/// How long a command waits for a daemon that has the profile's lock and does not answer yet (`docs/api.md`).
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait for a daemon that was told to end (policy): it gives links and clients two seconds.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two attempts to reach it.
const RETRY: Duration = Duration::from_millis(50);
/// Longest line taken from the daemon, bytes (policy); a long conversation is one line.
const MAX_LINE: u64 = 1 << 30;
/// Events kept while an answer is awaited (policy); the oldest go first.
const MAX_EVENTS: usize = 4_096;

/// How a command gets at the profile.
pub(crate) enum Reach {
    /// A daemon has it open.
    Daemon(Client),
    /// Nobody has; this process has now.
    Alone(ProfileLock),
}

/// Finds the daemon, or takes the profile's lock if there is none. Waits for a daemon that is starting.
///
/// # Errors
///
/// A configuration error if there is no profile; *no daemon* if somebody has the profile and does not answer.
pub(crate) fn reach(config: &Config) -> Result<Reach, CliError> {
    Profile::at(&config.home).require()?;
    let socket = config.socket()?;
    let clock = Clock::start();
    let deadline = clock.mono() + PATIENCE;
    loop {
        if let Some(mut client) = Client::connect(&socket)? {
            match client.exchange(&json!({ "method": "ready" }), Some(deadline)) {
                Ok(_) => return Ok(Reach::Daemon(client)),
                // It could not open the profile and goes away: then the lock comes free.
                Err(CallError::Refused(Failure { kind: FailureKind::Stopping, .. }) | CallError::Gone) => {}
                Err(error) => return Err(error.into()),
            }
        } else if let Some(lock) = ProfileLock::try_take(&config.home)? {
            return Ok(Reach::Alone(lock));
        }
        if clock.mono() >= deadline {
            return Err(CallError::Late.into());
        }
        thread::sleep(RETRY);
    }
}

/// Finds the daemon.
///
/// # Errors
///
/// As [`reach`], and *no daemon* if there is none.
pub(crate) fn daemon(config: &Config) -> Result<Client, CliError> {
    match reach(config)? {
        Reach::Daemon(client) => Ok(client),
        Reach::Alone(_) => Err(CliError::no_daemon()),
    }
}

/// Whether a daemon listens there.
pub(crate) fn is_answering(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Why a call did not succeed.
enum CallError {
    /// The daemon said no.
    Refused(Failure),
    /// The connection ended.
    Gone,
    /// The time is over.
    Late,
    /// What came is no answer.
    Garbled,
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(failure) => failure.into(),
            CallError::Gone => Self::new(
                Kind::NoDaemon,
                "the daemon went away before it answered",
                "Start it again with `hedgerow daemon`; what it was asked can be asked again (a message with the same --id).",
            )
            .lost("What it had answered is safe."),
            CallError::Late => Self::new(
                Kind::NoDaemon,
                "a process has this profile and does not answer",
                "It may still be opening the profile, or wait for its passphrase. Try again, or look at its output.",
            ),
            CallError::Garbled => Self::internal("the daemon answered in a way that makes no sense"),
        }
    }
}

/// A connection to the daemon.
pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    /// What of a line has come so far, when time ran out within it.
    partial: Vec<u8>,
    last_id: u64,
    events: VecDeque<Value>,
    clock: Clock,
}

impl Client {
    /// Talks over a connection that is there.
    pub(crate) fn over(stream: UnixStream) -> Self {
        Self { reader: BufReader::new(stream), partial: Vec::new(), last_id: 0, events: VecDeque::new(), clock: Clock::start() }
    }

    fn connect(socket: &Path) -> Result<Option<Self>, CliError> {
        match UnixStream::connect(socket) {
            Ok(stream) => Ok(Some(Self::over(stream))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(CliError::io("the daemon's socket can't be used", &error)),
        }
    }

    /// Lets the daemon do a command.
    ///
    /// # Errors
    ///
    /// What the daemon says, or that it went away.
    pub(crate) fn request(&mut self, command: &Command) -> Result<Value, CliError> {
        let call = serde_json::to_value(command).map_err(|_| CliError::internal("a command could not be written"))?;
        Ok(self.exchange(&call, None)?)
    }

    /// Calls a method of the daemon itself.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value, CliError> {
        Ok(self.exchange(&json!({ "method": method, "params": params }), None)?)
    }

    /// Opens a locked profile.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub(crate) fn unlock(&mut self, passphrase: &str) -> Result<Value, CliError> {
        self.call("unlock", json!({ "passphrase": passphrase }))
    }

    /// Asks to be told of events.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub(crate) fn subscribe(&mut self) -> Result<(), CliError> {
        self.call("subscribe", json!({})).map(drop)
    }

    /// Waits for the next event; `None` when `deadline` passes first.
    ///
    /// # Errors
    ///
    /// *No daemon* if it went away.
    pub(crate) fn next_event(&mut self, deadline: Option<Instant>) -> Result<Option<Value>, CliError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match self.read(deadline) {
                Ok(mut line) => {
                    if line.get("method").and_then(Value::as_str) == Some("event") {
                        return Ok(Some(line["params"].take()));
                    }
                }
                Err(CallError::Late) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the daemon has closed the connection, as it does when it ends; not for ever.
    pub(crate) fn wait_for_end(&mut self) {
        let deadline = self.clock.mono() + END_PATIENCE;
        // An event is of no interest any more; an error is the end that is waited for.
        while let Ok(Some(_)) = self.next_event(Some(deadline)) {}
    }

    /// The moment `seconds` from now, for [`next_event`](Self::next_event).
    pub(crate) fn after(&self, seconds: u32) -> Instant {
        self.clock.mono() + Duration::from_secs(seconds.into())
    }

    /// The moment so long from now.
    pub(crate) fn soon(&self, span: Duration) -> Instant {
        self.clock.mono() + span
    }

    /// Copies lines from standard input to the daemon and from the daemon to standard output, until both have ended.
    ///
    /// # Errors
    ///
    /// A configuration error if a stream can't be used.
    pub(crate) fn pipe(self) -> Result<(), CliError> {
        let broken = |error: io::Error| CliError::io("the connection to the daemon broke", &error);
        let mut stream = self.reader.into_inner();
        let mut sending = stream.try_clone().map_err(broken)?;
        thread::spawn(move || {
            // Either end may go away first; the other direction then ends too.
            let _ = io::copy(&mut io::stdin().lock(), &mut sending);
            let _ = sending.shutdown(Shutdown::Write);
        });
        let mut out = io::stdout().lock();
        let mut buffer = [0; 8_192];
        loop {
            let length = stream.read(&mut buffer).map_err(broken)?;
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
            if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
                return Ok(());
            }
        }
    }

    fn exchange(&mut self, call: &Value, deadline: Option<Instant>) -> Result<Value, CallError> {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = call.clone();
        if let Some(fields) = request.as_object_mut() {
            fields.insert("jsonrpc".to_owned(), "2.0".into());
            fields.insert("id".to_owned(), id.into());
        }
        let mut line = Zeroizing::new(request.to_string());
        line.push('\n');
        self.reader.get_mut().write_all(line.as_bytes()).map_err(|_| CallError::Gone)?;
        loop {
            let mut answer = self.read(deadline)?;
            if answer.get("method").and_then(Value::as_str) == Some("event") {
                if self.events.len() == MAX_EVENTS {
                    self.events.pop_front();
                }
                self.events.push_back(answer["params"].take());
                continue;
            }
            if let Some(error) = answer.get("error") {
                let kind = error.pointer("/data/kind").and_then(Value::as_str).and_then(FailureKind::from_word);
                let message = error.get("message").and_then(Value::as_str).unwrap_or("the daemon refused without a word");
                return Err(CallError::Refused(Failure::new(kind.unwrap_or(FailureKind::Internal), message)));
            }
            if answer.get("id").and_then(Value::as_u64) == Some(id) {
                return answer.get_mut("result").map(Value::take).ok_or(CallError::Garbled);
            }
        }
    }

    /// Reads one line.
    fn read(&mut self, deadline: Option<Instant>) -> Result<Value, CallError> {
        let pause = deadline.map(|deadline| deadline.since(self.clock.mono()));
        if pause == Some(Duration::ZERO) {
            return Err(CallError::Late);
        }
        self.reader.get_ref().set_read_timeout(pause).map_err(|_| CallError::Gone)?;
        match (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut self.partial) {
            Ok(_) if self.partial.ends_with(b"\n") => {}
            Ok(_) => return Err(CallError::Gone),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(CallError::Late),
            Err(_) => return Err(CallError::Gone),
        }
        let line = std::mem::take(&mut self.partial);
        serde_json::from_slice(&line).map_err(|_| CallError::Garbled)
    }
}
