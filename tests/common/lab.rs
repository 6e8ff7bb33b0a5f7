//! Daemons on the nodes of a [`Network`], and clients of their sockets. Unix sockets don't care for network namespaces, so that only the
//! daemons run on the nodes. Included by `#[path]` beside `common` and `netns`.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a part for each test binary; it fails by panic and measures time"
)]

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    common::{Daemon, Home, PATIENCE, PROGRAM},
    netns::Network,
};

/// Longest until who hears of the other through others alone has the answer: nothing that answers what others brought has a stem, so it is held
/// back for a minute on average and five at most (docs/protocol.md, section 10.1). The rest is for the way.
pub(crate) const ANSWER: Duration = Duration::from_secs(5 * 60 + 30);
/// Arguments of a daemon whose answers and receipts wait half a second on average. Needs the feature `test-delays`.
pub(crate) const SHORT: &[&str] = &["--shorten-delays", "120"];

/// Starts this home's daemon on a node and waits until it is ready.
pub(crate) fn daemon_on(network: &Network, node: usize, home: &Home, arguments: &[&str]) -> Daemon {
    daemon_in(network, node, home, arguments, &[])
}

/// As [`daemon_on`], with variables of its own.
pub(crate) fn daemon_in(network: &Network, node: usize, home: &Home, arguments: &[&str], variables: &[(&str, String)]) -> Daemon {
    let mut command = network.command(node, PROGRAM);
    command.env_remove("HEDGEROW_LOG").envs(variables.iter().map(|(name, value)| (*name, value)));
    home.daemon_by(command, arguments)
}

/// Makes two people contacts by a link, who are linked or will be at once; each is then called by its own name.
pub(crate) fn introduce(alice: &Home, bob: &Home) {
    let link = alice.json(&["invite"])["link"].as_str().unwrap().to_owned();
    let added = bob.json(&["contact", "add", &link, "--wait", "60"]);
    assert_eq!(added["state"], "established");
}

/// As [`introduce`], for two who may hear of each other through others alone. The issuer's answer takes up to [`ANSWER`], unless its daemon runs
/// with [`SHORT`]. Gives the link.
pub(crate) fn introduce_through_others(issuer: &Home, invitee: &Home) -> String {
    let link = issuer.json(&["invite"])["link"].as_str().unwrap().to_owned();
    let added = invitee.json(&["contact", "add", &link]);
    assert_eq!(added["state"], "pending");
    for home in [invitee, issuer] {
        let mut client = Client::subscribe(home);
        client.patience = ANSWER;
        client.wait_until_established();
    }
    link
}

/// The texts of a list of messages that the other side wrote.
pub(crate) fn incoming(messages: &Value) -> Vec<String> {
    let incoming = messages.as_array().unwrap().iter().filter(|message| message["outgoing"] == false);
    incoming.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

/// SplitMix64: seeded choices for a test.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// Takes the seed from `variable`, or from the clock; prints it, so that a run's choices can be repeated.
    pub(crate) fn from_env(variable: &str) -> Self {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = std::env::var(variable).map_or_else(|_| clock(), |seed| seed.parse().unwrap());
        println!("{variable}={seed}");
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }
}

/// The daemon went away.
#[derive(Debug)]
pub(crate) struct Gone;

/// A subscribed client of a daemon's socket.
pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    events: VecDeque<Value>,
    last_id: u64,
    /// How long an answer or an event may take.
    pub(crate) patience: Duration,
}

impl Client {
    /// Connects and subscribes; the daemon must be there.
    pub(crate) fn subscribe(home: &Home) -> Self {
        let mut client = Self::connect(home).expect("the daemon listens");
        client.call("subscribe", json!({})).expect("the daemon answers");
        client
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Gone`] if nobody listens.
    pub(crate) fn connect(home: &Home) -> Result<Self, Gone> {
        let stream = UnixStream::connect(home.path().join("socket")).map_err(|_| Gone)?;
        Ok(Self { reader: BufReader::new(stream), events: VecDeque::new(), last_id: 0, patience: PATIENCE })
    }

    /// Sends a request and does not wait for its answer, which must be taken by [`answer`](Self::answer).
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub(crate) fn begin(&mut self, method: &str, params: Value) -> Result<u64, Gone> {
        self.last_id += 1;
        let line = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params }).to_string() + "\n";
        self.reader.get_mut().write_all(line.as_bytes()).map_err(|_| Gone)?;
        Ok(self.last_id)
    }

    /// Waits for the next answer, whichever request it is to.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub(crate) fn answer(&mut self) -> Result<Value, Gone> {
        let end = Instant::now() + self.patience;
        loop {
            let mut line = self.read(end)?.expect("no answer in time");
            if line["method"] != "event" {
                assert!(line.get("error").is_none(), "{line}");
                return Ok(line["result"].take());
            }
            self.events.push_back(line["params"].take());
        }
    }

    /// Calls a method, which must succeed.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value, Gone> {
        self.begin(method, params)?;
        self.answer()
    }

    /// Sends a message and gives its id.
    pub(crate) fn send(&mut self, contact: &str, text: &str) -> String {
        let sent = self.call("send", json!({ "contact": contact, "text": text })).unwrap();
        sent["id"].as_str().unwrap().to_owned()
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub(crate) fn event(&mut self) -> Result<Value, Gone> {
        if let Some(event) = self.events.pop_front() {
            return Ok(event);
        }
        let mut line = self.read(Instant::now() + self.patience)?.expect("no event in time");
        assert_eq!(line["method"], "event", "{line}");
        Ok(line["params"].take())
    }

    /// The next event of a kind; others are dropped.
    pub(crate) fn event_of(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event().unwrap();
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// Waits until there is a link to somebody.
    pub(crate) fn wait_for_link(&mut self) {
        let status = self.call("status", json!({})).unwrap();
        if status["neighbours"].as_array().unwrap().is_empty() {
            self.event_of("link_up");
        }
    }

    /// Waits until a message is in one of these states, and gives its explanation then.
    pub(crate) fn wait_for_state(&mut self, id: &str, states: &[&str]) -> Value {
        loop {
            let explained = self.call("explain", json!({ "id": id })).unwrap();
            if states.contains(&explained["state"].as_str().unwrap()) {
                return explained;
            }
            while self.event_of("message")["id"] != id {}
        }
    }

    /// Waits until a contact is established, whoever it is.
    pub(crate) fn wait_until_established(&mut self) {
        loop {
            let contacts = self.call("contacts", json!({})).unwrap();
            if contacts.as_array().unwrap().iter().any(|contact| contact["state"] == "established") {
                return;
            }
            self.event_of("contact");
        }
    }

    /// Asks again and again until the answer is as wanted: what strangers' bundles do is no event.
    pub(crate) fn wait_for(&mut self, method: &str, params: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + self.patience;
        loop {
            let answer = self.call(method, params.clone()).unwrap();
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < end, "not as wanted after {:?}: {answer}", self.patience);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As [`wait_for`](Self::wait_for), for `status`.
    pub(crate) fn wait_for_status(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for("status", &json!({}), wanted)
    }

    /// Waits until everything written to `contact` is delivered, and gives the states that each message was seen in, in order.
    pub(crate) fn wait_until_delivered(&mut self, contact: &str) -> BTreeMap<String, Vec<String>> {
        let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let messages = self.call("messages", json!({ "contact": contact })).unwrap();
        for message in messages.as_array().unwrap().iter().filter(|message| message["outgoing"] == true) {
            states.entry(message["id"].as_str().unwrap().to_owned()).or_default().push(message["state"].as_str().unwrap().to_owned());
        }
        let is_delivered = |seen: &Vec<String>| seen.iter().any(|state| matches!(state.as_str(), "delivered" | "read"));
        while !states.values().all(is_delivered) {
            let event = self.event_of("message");
            let Some(seen) = event["id"].as_str().and_then(|id| states.get_mut(id)) else { continue };
            let state = event["state"].as_str().unwrap();
            if seen.last().is_none_or(|last| last != state) {
                seen.push(state.to_owned());
            }
        }
        states
    }

    /// The next line; `None` if it does not come before `end`.
    fn read(&mut self, end: Instant) -> Result<Option<Value>, Gone> {
        let mut line = String::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.reader.get_ref().set_read_timeout(Some(left)).unwrap();
            match self.reader.read_line(&mut line) {
                Ok(_) if line.ends_with('\n') => return Ok(Some(serde_json::from_str(&line).unwrap())),
                Ok(_) => return Err(Gone),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Err(Gone),
            }
        }
    }
}
