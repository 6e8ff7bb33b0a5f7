//! The local API: JSON-RPC 2.0, one object a line, over the profile's socket (docs/api.md).
//!
//! Whoever can open the socket is this user, but may be broken: lines are bounded before memory is taken, garbage gets an error and the
//! next line is read, and a client that doesn't read is dropped. Requests of one client are begun in order; answers come as they are ready.

use std::{ops::Range, sync::Arc, time::Duration};

use hedgerow_sync::view::Command;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, Semaphore, broadcast, mpsc, watch},
    task::{AbortHandle, JoinSet},
};
use zeroize::{Zeroize, Zeroizing};

use super::{
    driver::{Control, Message},
    keeper::Keeper,
    reply::{Outbox, OutboxLines, ReplyTo, refusal},
};
use crate::failure::{Failure, FailureKind};

/// Most clients at a time (policy).
const MAX_CLIENTS: usize = 64;
/// Longest line of a request, bytes (docs/api.md).
const MAX_LINE: usize = 64 << 10;
/// Bytes that are read from a client at once.
const READ_AT_ONCE: usize = 8 << 10;
/// Most requests of one client that are under way; then its next line waits (policy).
const MAX_REQUESTS: u32 = 256;
/// How long a client that asks nothing more may take to read its last answers (policy).
const LAST_ANSWERS: Duration = Duration::from_secs(60);
/// Least time between the beginnings of two checks of a passphrase (policy): whoever has the socket guesses no faster.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Events that may wait for a subscriber (policy); one that lags further is dropped.
pub(super) const MAX_EVENTS: usize = 1_024;

/// What every client's task needs.
#[derive(Clone)]
pub(super) struct Api {
    /// To the driver.
    pub(super) driver: mpsc::Sender<Message>,
    /// From the driver.
    pub(super) events: broadcast::Sender<Arc<str>>,
    /// Turns true when the daemon ends.
    pub(super) stop: watch::Receiver<bool>,
    /// The profile whose passphrase can be checked. Whoever checks one holds it for as long as [`CHECK_INTERVAL`].
    pub(super) checked: Arc<Mutex<Arc<dyn Keeper>>>,
}

impl Api {
    /// Serves clients until the daemon ends and what was answered has left, or the caller loses patience.
    pub(super) async fn serve(mut self, listener: UnixListener) {
        let mut clients = JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(_) = clients.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if clients.len() < MAX_CLIENTS => {
                        clients.spawn(self.clone().serve_client(stream));
                    }
                    Ok((mut stream, _)) => {
                        let failure = Failure::new(FailureKind::Busy, "too many clients at once");
                        let line = refusal(&Value::Null, &failure) + "\n";
                        // A new socket takes this little at once; whoever is gone needs no answer.
                        let _ = stream.try_write(line.as_bytes());
                        let _ = stream.shutdown().await;
                    }
                    Err(error) => {
                        tracing::warn!("a client could not be accepted: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(listener);
        self.stop = stop;
        while clients.join_next().await.is_some() {}
    }

    /// Serves one client until it or the daemon ends.
    pub(super) async fn serve_client(mut self, stream: UnixStream) {
        let (read, write) = stream.into_split();
        let (outbox, lines) = Outbox::new();
        let mut writer = tokio::spawn(write_lines(write, lines));
        let mut stop = self.stop.clone();
        let mut client = Client { outbox: outbox.clone(), places: Arc::new(Semaphore::new(MAX_REQUESTS as usize)), subscription: None };
        let given_up = tokio::select! {
            () = self.read_requests(read, &mut client) => false,
            () = outbox.overflow() => true,
            _ = &mut writer => true,
            () = stopped(&mut stop) => false,
        };
        if let Some(subscription) = client.subscription.take() {
            subscription.abort();
        }
        if given_up {
            writer.abort();
            return;
        }
        // What was asked is still answered; the writer ends once the last answer has gone.
        drop((client, outbox));
        if tokio::time::timeout(LAST_ANSWERS, &mut writer).await.is_err() {
            writer.abort();
        }
    }

    async fn read_requests(&mut self, read: OwnedReadHalf, client: &mut Client) {
        let mut lines = LineReader::new(read);
        loop {
            match lines.next().await {
                Line::End => break,
                Line::TooLong => {
                    let failure = Failure::new(FailureKind::InvalidRequest, format!("a line has at most {MAX_LINE} bytes"));
                    client.outbox.push(refusal(&Value::Null, &failure).into());
                }
                Line::Whole => self.handle_line(&lines.line, client).await,
            }
            lines.line.zeroize(); // it may have held a passphrase
        }
        // All places come free when everything is answered.
        let _ = client.places.acquire_many(MAX_REQUESTS).await;
    }

    async fn handle_line(&mut self, line: &[u8], client: &mut Client) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let Request { id, method, params } = match parse_request(line) {
            Ok(request) => request,
            Err(failure) => return client.outbox.push(refusal(&Value::Null, &failure).into()),
        };
        let Ok(place) = Arc::clone(&client.places).acquire_owned().await else { return };
        let reply = ReplyTo::new(client.outbox.clone(), id, place);
        match parse_call(&method, params) {
            Err(failure) => reply.fail(&failure),
            Ok(Call::Ping) => reply.succeed(json!({ "version": env!("CARGO_PKG_VERSION") })),
            Ok(Call::Subscribe) => {
                let events = self.events.subscribe();
                reply.succeed(json!({}));
                if client.subscription.is_none() {
                    client.subscription = Some(tokio::spawn(forward(events, client.outbox.clone())).abort_handle());
                }
            }
            // Not by the engine's thread: it takes long on purpose.
            Ok(Call::CheckPassphrase(passphrase)) => drop(tokio::spawn(self.clone().check_passphrase(passphrase, reply))),
            // It only fails when the driver is gone: the message's duty to answer then says so.
            Ok(Call::Control(wish)) => drop(self.driver.send(Message::Control(wish, reply)).await),
            Ok(Call::Command(command)) => drop(self.driver.send(Message::Request(command, reply)).await),
        }
    }
}

impl Api {
    /// Says whether a passphrase is the profile's, whether it is open or locked. One at a time, in turn.
    async fn check_passphrase(mut self, passphrase: Zeroizing<String>, reply: ReplyTo) {
        let profile = tokio::select! {
            profile = self.checked.lock() => profile,
            () = stopped(&mut self.stop) => return, // the reply says so
        };
        let pause = tokio::time::sleep(CHECK_INTERVAL);
        let unlocking = Arc::clone(&profile);
        match tokio::task::spawn_blocking(move || unlocking.unlock(&passphrase).map(drop)).await {
            Ok(Ok(())) => reply.succeed(json!({})),
            Ok(Err(error)) => reply.fail(&Failure::from(&error)),
            Err(_) => reply.fail(&Failure::new(FailureKind::Internal, "the passphrase could not be checked")),
        }
        pause.await;
    }
}

/// What is kept of one client.
struct Client {
    outbox: Outbox,
    places: Arc<Semaphore>,
    subscription: Option<AbortHandle>,
}

/// Ends when the daemon does.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the other end is gone, and the daemon with it.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn write_lines(mut write: OwnedWriteHalf, mut lines: OutboxLines) {
    while let Some(line) = lines.next().await {
        // In one piece, so that the client wakes up once.
        if write.write_all(&[line.as_bytes(), b"\n"].concat()).await.is_err() {
            return;
        }
        lines.sent(&line);
    }
}

async fn forward(mut events: broadcast::Receiver<Arc<str>>, outbox: Outbox) {
    loop {
        match events.recv().await {
            Ok(line) => outbox.push(line),
            Err(broadcast::error::RecvError::Lagged(_)) => return outbox.give_up(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Takes lines of bounded length from a stream. Any of them may hold a passphrase, so that no other copy of what came is left in memory.
struct LineReader<R> {
    read: R,
    /// What came last; wiped as far as it was taken.
    buffer: Zeroizing<Vec<u8>>,
    /// What of it has not been taken.
    left: Range<usize>,
    line: Zeroizing<Vec<u8>>,
    /// Within a line that is too long.
    skipping: bool,
}

enum Line {
    /// In `line`, without its end.
    Whole,
    TooLong,
    End,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    fn new(read: R) -> Self {
        Self { read, buffer: Zeroizing::new(vec![0; READ_AT_ONCE]), left: 0..0, line: Zeroizing::new(Vec::new()), skipping: false }
    }

    /// Reads the next line into `line`, which is empty before.
    async fn next(&mut self) -> Line {
        loop {
            if self.left.is_empty() {
                match self.read.read(&mut self.buffer).await {
                    Err(_) | Ok(0) => return Line::End, // what has no end of line is no request
                    Ok(length) => self.left = 0..length,
                }
            }
            if self.take_piece() {
                return if std::mem::take(&mut self.skipping) { Line::TooLong } else { Line::Whole };
            }
        }
    }

    /// Takes what came up to the end of a line; whether there was one.
    fn take_piece(&mut self) -> bool {
        let came = self.buffer.get_mut(self.left.clone()).unwrap_or_default();
        let end = came.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(came.len(), |end| end + 1);
        let (came, piece) = (came.get_mut(..taken).unwrap_or_default(), end.unwrap_or(taken));
        if self.line.len() + piece > MAX_LINE {
            self.skipping = true;
            self.line.zeroize();
        }
        if !self.skipping {
            append(&mut self.line, came.get(..piece).unwrap_or_default());
        }
        came.zeroize();
        self.left.start += taken;
        end.is_some()
    }
}

/// Appends without leaving a copy behind where the memory has to grow.
fn append(line: &mut Zeroizing<Vec<u8>>, piece: &[u8]) {
    let length = line.len() + piece.len();
    if length > line.capacity() {
        let mut grown = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
        grown.extend_from_slice(line);
        *line = grown;
    }
    line.extend_from_slice(piece);
}

/// A request as it came.
struct Request {
    /// Absent for notifications.
    id: Option<Value>,
    method: String,
    params: Value,
}

fn parse_request(line: &[u8]) -> Result<Request, Failure> {
    let value: Value = serde_json::from_slice(line).map_err(|_| Failure::new(FailureKind::Parse, "the line is no JSON"))?;
    let invalid = |why: &str| Failure::new(FailureKind::InvalidRequest, why);
    let Value::Object(mut fields) = value else { return Err(invalid("a request is one JSON object")) };
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(invalid("a request has \"jsonrpc\": \"2.0\""));
    }
    let id = fields.remove("id");
    if matches!(id, Some(Value::Array(_) | Value::Object(_) | Value::Bool(_))) {
        return Err(invalid("an id is a number, a string or null"));
    }
    let Some(Value::String(method)) = fields.remove("method") else { return Err(invalid("a request has a method")) };
    Ok(Request { id, method, params: fields.remove("params").unwrap_or_else(|| json!({})) })
}

/// What a request asks for.
enum Call {
    Ping,
    Subscribe,
    CheckPassphrase(Zeroizing<String>),
    Control(Control),
    Command(Command),
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct PassphraseParams {
    passphrase: String,
}

#[derive(Deserialize)]
struct BackupParams {
    file: std::path::PathBuf,
}

fn parse_call(method: &str, params: Value) -> Result<Call, Failure> {
    match method {
        "ping" => parse_params::<Nothing>(params).map(|_| Call::Ping),
        "subscribe" => parse_params::<Nothing>(params).map(|_| Call::Subscribe),
        "ready" => parse_params::<Nothing>(params).map(|_| Call::Control(Control::Ready)),
        "lock" => parse_params::<Nothing>(params).map(|_| Call::Control(Control::Lock)),
        "stop" => parse_params::<Nothing>(params).map(|_| Call::Control(Control::Stop)),
        "unlock" => parse_passphrase(params).map(|passphrase| Call::Control(Control::Unlock(passphrase))),
        "check_passphrase" => parse_passphrase(params).map(Call::CheckPassphrase),
        "backup" => {
            let BackupParams { file } = parse_params(params)?;
            if !file.is_absolute() {
                return Err(Failure::new(FailureKind::InvalidParams, "the file must be an absolute path"));
            }
            Ok(Call::Control(Control::Backup(file)))
        }
        _ if COMMANDS.contains(&method) => parse_params(json!({ "method": method, "params": params })).map(Call::Command),
        _ => Err(Failure::new(FailureKind::UnknownMethod, "no such method")),
    }
}

fn parse_passphrase(params: Value) -> Result<Zeroizing<String>, Failure> {
    parse_params::<PassphraseParams>(params).map(|params| Zeroizing::new(params.passphrase))
}

fn parse_params<T: serde::de::DeserializeOwned>(params: Value) -> Result<T, Failure> {
    // The error's text names fields and types; it does not repeat what a person wrote unless that stood in the wrong place.
    serde_json::from_value(params).map_err(|error| Failure::new(FailureKind::InvalidParams, format!("the parameters don't fit: {error}")))
}

/// The methods that are commands to the engine.
const COMMANDS: &[&str] = &[
    "status",
    "invite",
    "add_contact",
    "contacts",
    "contact",
    "verify_contact",
    "rename_contact",
    "block_contact",
    "remove_contact",
    "send",
    "messages",
    "explain",
    "settings",
    "set_mode",
    "set_relay",
    "set_visible",
    "set_alerts",
    "set_contact",
    "mark_read",
    "retry",
    "cancel",
    "draft",
    "set_draft",
    "nearby",
    "nearby_open",
    "nearby_close",
    "nearby_add",
    "nearby_confirm",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile when a command is added, so that its name comes to [`COMMANDS`] too.
    fn name(command: &Command) -> &'static str {
        match command {
            Command::Status {} => "status",
            Command::Invite { .. } => "invite",
            Command::AddContact { .. } => "add_contact",
            Command::Contacts {} => "contacts",
            Command::Contact { .. } => "contact",
            Command::VerifyContact { .. } => "verify_contact",
            Command::RenameContact { .. } => "rename_contact",
            Command::BlockContact { .. } => "block_contact",
            Command::RemoveContact { .. } => "remove_contact",
            Command::Send { .. } => "send",
            Command::SendData { .. } => unreachable!("the API has no such method"),
            Command::Messages { .. } => "messages",
            Command::Explain { .. } => "explain",
            Command::Settings {} => "settings",
            Command::SetMode { .. } => "set_mode",
            Command::SetRelay { .. } => "set_relay",
            Command::SetVisible { .. } => "set_visible",
            Command::SetAlerts { .. } => "set_alerts",
            Command::SetContact { .. } => "set_contact",
            Command::MarkRead { .. } => "mark_read",
            Command::Retry { .. } => "retry",
            Command::Cancel { .. } => "cancel",
            Command::Draft { .. } => "draft",
            Command::SetDraft { .. } => "set_draft",
            Command::Nearby {} => "nearby",
            Command::NearbyOpen {} => "nearby_open",
            Command::NearbyClose {} => "nearby_close",
            Command::NearbyAdd { .. } => "nearby_add",
            Command::NearbyConfirm { .. } => "nearby_confirm",
        }
    }

    #[test]
    fn every_method_parses_with_all_its_parameters() {
        let params = json!({
            "contact": "bob", "alias": "b", "hours": 1, "link": "l", "fingerprint": "f", "blocked": true, "text": "t",
            "id": "00".repeat(16), "mode": "contacts", "on": true, "bytes": 1 << 20, "metered": false, "visible": true, "peer": "1", "matches": true,
        });
        for method in COMMANDS {
            match parse_call(method, params.clone()) {
                Ok(Call::Command(command)) => assert_eq!(name(&command), *method),
                _ => panic!("{method}"),
            }
        }
    }

    #[test]
    fn malformed_requests_are_refused_by_kind() {
        let kind = |line: &str| match parse_request(line.as_bytes()).and_then(|request| parse_call(&request.method, request.params)) {
            Ok(_) => panic!("{line}"),
            Err(failure) => failure.kind,
        };
        for line in ["", "{", "\u{0}", "{\"a\":", &"[".repeat(10_000)] {
            assert_eq!(kind(line), FailureKind::Parse, "{line:.20}");
        }
        for line in ["1", "[]", "{}", r#"{"jsonrpc":"1.0","method":"ping"}"#, r#"{"jsonrpc":"2.0","method":7}"#] {
            assert_eq!(kind(line), FailureKind::InvalidRequest, "{line}");
        }
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#), FailureKind::InvalidRequest);
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"shutdown"}"#), FailureKind::UnknownMethod);
        for params in [r#"[]"#, r#"{"contact":7,"text":"x"}"#, r#"{"contact":"bob"}"#, r#"{"contact":"b","text":"x","id":"zz"}"#, "3"] {
            let line = format!(r#"{{"jsonrpc":"2.0","method":"send","params":{params}}}"#);
            assert_eq!(kind(&line), FailureKind::InvalidParams, "{params}");
        }
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"backup","params":{"file":"x"}}"#), FailureKind::InvalidParams);
    }

    #[test]
    fn missing_parameters_are_an_empty_object() {
        let request = parse_request(br#"{"jsonrpc":"2.0","id":1,"method":"contacts"}"#).unwrap();
        assert!(matches!(parse_call(&request.method, request.params), Ok(Call::Command(Command::Contacts {}))));
    }

    async fn lines_of(input: &[u8]) -> Vec<Option<Vec<u8>>> {
        let (mut near, far) = UnixStream::pair().unwrap();
        let input = input.to_vec();
        let writing = tokio::spawn(async move { near.write_all(&input).await });
        let (read, _write) = far.into_split();
        let mut reader = LineReader::new(read);
        let mut lines = Vec::new();
        loop {
            match reader.next().await {
                Line::End => break,
                Line::TooLong => lines.push(None),
                Line::Whole => lines.push(Some(reader.line.to_vec())),
            }
            assert!(reader.line.capacity() <= 4 * MAX_LINE);
            reader.line.zeroize();
        }
        writing.await.unwrap().unwrap();
        lines
    }

    #[tokio::test]
    async fn a_line_without_end_takes_no_memory_and_the_next_is_read() {
        let mut input = vec![b'x'; 10 * MAX_LINE];
        input.extend_from_slice(b"\nnext\n\nunfinished");
        assert_eq!(lines_of(&input).await, [None, Some(b"next".to_vec()), Some(Vec::new())]);
        let mut input = vec![b'y'; MAX_LINE];
        input.push(b'\n');
        assert_eq!(lines_of(&input).await.first().unwrap().as_ref().unwrap().len(), MAX_LINE);
    }

    #[tokio::test]
    async fn what_was_read_is_left_in_one_place_alone() {
        let words = b"{\"passphrase\":\"correct horse\"}\nnext\n";
        let mut reader = LineReader::new(&words[..]);
        assert!(matches!(reader.next().await, Line::Whole));
        assert_eq!(*reader.line, words[..30]);
        reader.line.zeroize();
        assert_eq!(reader.buffer.iter().filter(|byte| **byte != 0).count(), b"next\n".len());
        assert!(matches!(reader.next().await, Line::Whole));
        assert!(*reader.line == *b"next" && reader.buffer.iter().all(|byte| *byte == 0));
    }

    #[tokio::test]
    async fn a_client_that_never_reads_is_given_up() {
        let (outbox, _lines) = Outbox::new();
        let line: Arc<str> = "x".repeat(1 << 20).into();
        for _ in 0..6 {
            outbox.push(Arc::clone(&line));
        }
        outbox.overflow().await;
    }
}
