//! The interface's end of the local API (docs/api.md): requests go out as they are made, replies are matched by their ids, events follow.
//!
//! One thread a connection: it reaches the daemon, and then reads. It subscribes before it says that the daemon is attached, so
//! that nothing that happens after the first questions goes unheard.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use hedgerow_sync::view::{Answer, Event, NodeStatus};
use hedgerow_tui::{Control, Input, Refusal, Reply, Request, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::place::Place;
use crate::{
    config::Config,
    daemon::{clock::Clock, lock::ProfileLock},
};

/// How long the daemon may take until it answers at all (docs/api.md, "Locks").
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two attempts to reach it.
const RETRY: Duration = Duration::from_millis(50);
/// How long the daemon may leave a request in the socket before it counts as gone (policy).
const WRITE_PATIENCE: Duration = Duration::from_secs(2);
/// Longest line taken from the daemon, bytes (policy): far more than a page of messages.
const MAX_LINE: u64 = 64 << 20;
/// Room for the line of a request with a passphrase, so that none is left behind by growing.
const LINE_ROOM: usize = 32 << 10;

/// What looking for the daemon, and then listening to it, tells.
pub(super) enum Told {
    /// It answers; events follow.
    Attached(Client),
    /// Nobody has the profile.
    Absent,
    /// It went away, or can't be reached: why, in words.
    Gone(String),
    /// A reply, or an event.
    Heard(Box<Input>),
}

/// Where requests go out.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    awaited: Awaited,
}

/// What has been asked and not answered. Without passphrases: only the kind of a request is needed to read its reply.
type Awaited = Arc<Mutex<BTreeMap<u64, Asked>>>;

/// A request as far as its reply depends on it.
#[derive(Debug)]
enum Asked {
    Status,
    Command(Box<hedgerow_sync::view::Command>),
    Backup,
    Done,
}

impl Client {
    /// Sends a request. Where the connection breaks, [`Told::Gone`] follows and not a reply.
    pub(super) fn send(&mut self, id: RequestId, request: &Request) {
        lock(&self.awaited).insert(id.0, Asked::from(request));
        let sent = line(Some(id.0), request).and_then(|line| self.stream.write_all(&line));
        if sent.is_err() {
            // The thread that reads then comes to the end, and tells.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Whoever reads may still hold the other handle.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Self {
        match request {
            Request::Status => Self::Status,
            Request::Command(command) => Self::Command(Box::new(command.clone())),
            Request::Control(Control::Backup(_)) => Self::Backup,
            Request::Control(Control::Unlock(_) | Control::CheckPassphrase(_) | Control::Stop) => Self::Done,
        }
    }
}

/// Whether somebody has the profile open, or is about to.
pub(super) fn is_taken(config: &Config) -> bool {
    let connected = config.socket().is_ok_and(|socket| UnixStream::connect(socket).is_ok());
    connected || !matches!(ProfileLock::try_take(&config.home), Ok(Some(_)))
}

/// Reaches the daemon, then listens to it until it is gone. `tell` is false once nobody wants to hear any more.
pub(super) fn follow(place: &Place, tell: &mut dyn FnMut(Told) -> bool) {
    let clock = Clock::start();
    let deadline = clock.mono() + PATIENCE;
    let why = loop {
        match reach(place) {
            Ok(Reached::Daemon(client, reader)) => {
                let awaited = Arc::clone(&client.awaited);
                if tell(Told::Attached(client)) {
                    listen(reader, &awaited, tell);
                }
                return;
            }
            Ok(Reached::Nobody) => {
                tell(Told::Absent);
                return;
            }
            Ok(Reached::Later) => {}
            Err(why) => break why,
        }
        if clock.mono() >= deadline {
            break "another process has the profile, and does not answer".to_owned();
        }
        thread::sleep(RETRY);
    };
    tell(Told::Gone(why));
}

enum Reached {
    Daemon(Client, BufReader<UnixStream>),
    Nobody,
    /// Somebody begins or ends.
    Later,
}

fn reach(place: &Place) -> Result<Reached, String> {
    let config = match place {
        Place::Profile(config) => config,
        Place::Demo(demo) => return greet(demo.connect().map_err(|error| format!("the demo can't be reached: {error}"))?),
    };
    let socket = config.socket().map_err(|error| error.words())?;
    match UnixStream::connect(&socket) {
        Ok(stream) => greet(stream),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            let lock = ProfileLock::try_take(&config.home).map_err(|error| error.words())?;
            Ok(if lock.is_some() { Reached::Nobody } else { Reached::Later })
        }
        Err(error) => Err(format!("the daemon's socket can't be used: {error}")),
    }
}

/// Subscribes, and waits until the profile is open or locked. Events until then need not be kept: everything is asked afterwards.
fn greet(mut stream: UnixStream) -> Result<Reached, String> {
    let broken = |error: io::Error| format!("the connection to the daemon broke: {error}");
    stream.set_write_timeout(Some(WRITE_PATIENCE)).map_err(broken)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
    let hello = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ready\"}\n";
    if stream.write_all(hello.as_bytes()).is_err() {
        return Ok(Reached::Later);
    }
    let mut reader = BufReader::new(stream.try_clone().map_err(broken)?);
    let mut answered = 0;
    while answered < 2 {
        match read_line(&mut reader) {
            Ok(Some(Line { id: Some(_), error: None, .. })) => answered += 1,
            // It could not open the profile and goes away.
            Ok(None) | Ok(Some(Line { error: Some(_), .. })) => return Ok(Reached::Later),
            Ok(Some(_)) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err("the daemon does not answer".to_owned());
            }
            Err(_) => return Ok(Reached::Later),
        }
    }
    stream.set_read_timeout(None).map_err(broken)?;
    Ok(Reached::Daemon(Client { stream, awaited: Awaited::default() }, reader))
}

fn listen(mut reader: BufReader<UnixStream>, awaited: &Awaited, tell: &mut dyn FnMut(Told) -> bool) {
    let why = loop {
        match read_line(&mut reader) {
            Ok(Some(line)) => {
                if let Some(input) = take_line(line, awaited)
                    && !tell(Told::Heard(Box::new(input)))
                {
                    return;
                }
            }
            Ok(None) => break "the daemon has ended",
            Err(error) if error.kind() == ErrorKind::InvalidData => break "the daemon said something that this program does not understand",
            Err(_) => break "the connection to the daemon broke",
        }
    };
    tell(Told::Gone(why.to_owned()));
}

/// One line of the daemon.
#[derive(Debug, Deserialize)]
struct Line {
    id: Option<u64>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    error: Option<LineError>,
}

#[derive(Debug, Deserialize)]
struct LineError {
    message: String,
    data: Option<LineErrorData>,
}

#[derive(Debug, Deserialize)]
struct LineErrorData {
    kind: String,
}

/// Reads a line of bounded length; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut bytes)?;
    if !bytes.ends_with(b"\n") {
        return if bytes.len() as u64 == MAX_LINE { Err(ErrorKind::InvalidData.into()) } else { Ok(None) };
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|_| ErrorKind::InvalidData.into())
}

/// What a line is for the interface; `None` for what it does not know or did not ask.
fn take_line(line: Line, awaited: &Awaited) -> Option<Input> {
    if line.method.as_deref() == Some("event") {
        // A newer daemon may have events that this program does not know.
        return Event::deserialize(line.params).ok().map(Input::Event);
    }
    let id = line.id?;
    let asked = lock(awaited).remove(&id)?;
    let result = match line.error {
        Some(error) => Err(Refusal { kind: error.data.map(|data| data.kind).unwrap_or_default(), message: error.message }),
        None => read_reply(&asked, line.result),
    };
    Some(Input::Reply(RequestId(id), result))
}

#[derive(Deserialize)]
struct SavedResult {
    file: String,
    bytes: u64,
}

fn read_reply(asked: &Asked, result: Value) -> Result<Reply, Refusal> {
    let reply = match asked {
        Asked::Status => NodeStatus::deserialize(result).map(|status| Reply::Status(Box::new(status))),
        Asked::Command(command) => Answer::read(command, result).map(Reply::Answer),
        Asked::Backup => SavedResult::deserialize(result).map(|SavedResult { file, bytes }| Reply::Saved { file, bytes }),
        Asked::Done => Ok(Reply::Done),
    };
    reply.map_err(|_| Refusal {
        kind: "internal".to_owned(),
        message: "the daemon's answer is not understood here: are program and daemon of the same version?".to_owned(),
    })
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(flatten)]
    call: &'a T,
}

#[derive(Serialize)]
struct Call<'a> {
    method: &'static str,
    params: Params<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Params<'a> {
    Passphrase { passphrase: &'a str },
    File { file: &'a str },
    Nothing {},
}

/// A request as it goes out, wiped when dropped.
fn line(id: Option<u64>, request: &Request) -> io::Result<Zeroizing<Vec<u8>>> {
    let call = match request {
        Request::Command(command) => return envelope(id, command),
        Request::Status => Call { method: "status", params: Params::Nothing {} },
        Request::Control(Control::Unlock(passphrase)) => Call { method: "unlock", params: Params::Passphrase { passphrase } },
        Request::Control(Control::CheckPassphrase(passphrase)) => {
            Call { method: "check_passphrase", params: Params::Passphrase { passphrase } }
        }
        Request::Control(Control::Backup(file)) => Call { method: "backup", params: Params::File { file } },
        Request::Control(Control::Stop) => Call { method: "stop", params: Params::Nothing {} },
    };
    envelope(id, &call)
}

fn envelope(id: Option<u64>, call: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_ROOM));
    serde_json::to_writer(&mut *line, &Envelope { jsonrpc: "2.0", id, call })?;
    line.push(b'\n');
    Ok(line)
}

/// Nobody panics while holding it; what is in it stays sound anyway.
fn lock(awaited: &Awaited) -> std::sync::MutexGuard<'_, BTreeMap<u64, Asked>> {
    awaited.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hedgerow_sync::{id::ContactId, view::Command};

    use super::*;

    fn text(request: &Request) -> String {
        String::from_utf8(line(Some(7), request).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn requests_are_lines_of_the_api() {
        let json = |request: &Request| serde_json::from_str::<Value>(&text(request)).unwrap();
        assert_eq!(json(&Request::Status), serde_json::json!({ "jsonrpc": "2.0", "id": 7, "method": "status", "params": {} }));
        assert_eq!(
            json(&Request::Command(Command::Contact { contact: "1".into() })),
            serde_json::json!({ "jsonrpc": "2.0", "id": 7, "method": "contact", "params": { "contact": "1" } })
        );
        let passphrase = || Zeroizing::new("a \"b\"\n".to_owned());
        for (control, method) in [(Control::Unlock(passphrase()), "unlock"), (Control::CheckPassphrase(passphrase()), "check_passphrase")] {
            let line = json(&Request::Control(control));
            assert_eq!((&line["method"], &line["params"]["passphrase"]), (&method.into(), &"a \"b\"\n".into()));
        }
        let long = Request::Control(Control::Unlock(Zeroizing::new("\u{1}".repeat(4_096))));
        assert!(text(&long).len() <= LINE_ROOM && text(&long).ends_with('\n'));
    }

    #[test]
    fn replies_are_read_by_what_was_asked_and_strange_lines_are_left_alone() {
        let awaited = Awaited::default();
        lock(&awaited).insert(1, Asked::Command(Box::new(Command::RemoveContact { contact: "3".into() })));
        lock(&awaited).insert(2, Asked::Status);
        lock(&awaited).insert(3, Asked::Done);
        let take = |line: &str| take_line(serde_json::from_str(line).unwrap(), &awaited);
        for line in
            ["{}", r#"{"id":9,"result":{}}"#, r#"{"id":null,"error":{"message":"m"}}"#, r#"{"method":"event","params":{"event":"new"}}"#]
        {
            assert!(take(line).is_none(), "{line}");
        }
        let Some(Input::Reply(RequestId(1), Ok(Reply::Answer(Answer::Removed(removed))))) = take(r#"{"id":1,"result":{"contact":3}}"#)
        else {
            panic!("not the answer");
        };
        assert_eq!(removed.contact, ContactId(3));
        assert!(take(r#"{"id":1,"result":{"contact":3}}"#).is_none(), "an answer comes once");
        assert!(matches!(take(r#"{"id":2,"result":{"state":"odd"}}"#), Some(Input::Reply(_, Err(refusal))) if refusal.kind == "internal"));
        let refused = take(r#"{"id":3,"error":{"code":31,"message":"wrong","data":{"kind":"passphrase"}}}"#);
        assert!(
            matches!(refused, Some(Input::Reply(RequestId(3), Err(refusal))) if refusal.kind == "passphrase" && refusal.message == "wrong")
        );
    }

    #[test]
    fn garbage_and_lines_without_end_are_no_lines() {
        assert!(read_line(&mut &b""[..]).unwrap().is_none());
        assert!(read_line(&mut &b"{\"id\":1"[..]).unwrap().is_none());
        for garbage in [&b"\n"[..], b"[]\n", b"{\"id\":-1}\n", b"\xff\xfe\n", b"{\"id\":\"x\"}\n"] {
            assert!(read_line(&mut &*garbage).is_err(), "{garbage:?}");
        }
        let endless = io::repeat(b'x').take(MAX_LINE + 1);
        assert!(read_line(&mut BufReader::new(endless)).is_err());
    }
}
