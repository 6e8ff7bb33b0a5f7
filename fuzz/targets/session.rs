//! The session of one link (docs/protocol.md, section 3).

use std::collections::VecDeque;

use hedgerow_sync::{
    crypto::secret::Secret,
    session::{RECOGNITION_LIST_LEN, RecognitionKeys, Role, Session, SessionError, SessionEvent, SessionInfo, Verdict},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Script;

/// Most messages that one script may cause.
const MAX_STEPS: usize = 400;

/// What the engine would do for one session, and what it has been told.
struct Node {
    session: Session,
    rng: ChaCha20Rng,
    info: Option<SessionInfo>,
    listed: bool,
    confirmed: bool,
    /// 0 before the handshake is done, then 1, with the other's list 2, open 3.
    stage: u8,
    recognised: Option<bool>,
    records: Vec<Vec<u8>>,
    dead: bool,
}

impl Node {
    fn new(role: Role, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let session = Session::new(role, &mut rng);
        Self { session, rng, info: None, listed: false, confirmed: false, stage: 0, recognised: None, records: Vec::new(), dead: false }
    }

    /// Takes what a call came to; afterwards the events must have come in their order, and a dead session must be silent for ever.
    fn settle(&mut self, result: Result<(), SessionError>) {
        if self.dead {
            assert_eq!(result, Err(SessionError::Ended));
        }
        if result.is_err() {
            self.dead = true;
            assert!(self.session.poll_event().is_none() && self.session.poll_message().is_none());
        }
        while let Some(event) = self.session.poll_event() {
            let stage = match event {
                SessionEvent::Handshaken(info) => {
                    assert!(info.version == 1 && info.role == self.session.role());
                    self.info = Some(info);
                    1
                }
                SessionEvent::PeerList(_) => {
                    assert!(self.listed, "the other's list is told before ours is out");
                    2
                }
                SessionEvent::Open { recognised } => {
                    assert!(self.confirmed);
                    self.recognised = Some(recognised);
                    3
                }
                SessionEvent::Record(record) => {
                    assert!(self.stage == 3 && (1..=16_384).contains(&record.len()));
                    self.records.push(record);
                    continue;
                }
            };
            assert_eq!(stage, self.stage + 1, "an event out of its order");
            self.stage = stage;
        }
    }

    fn handle(&mut self, message: &[u8]) {
        let result = self.session.handle_message(message);
        self.settle(result);
    }

    fn recognise(&mut self) {
        let was_due = self.info.is_some() && !self.listed && self.stage >= 1;
        self.listed |= was_due;
        let result = self.session.recognise(&[7; RECOGNITION_LIST_LEN]);
        assert_eq!(result.is_ok(), was_due && !self.dead);
        self.settle(result);
    }

    fn confirm(&mut self, knows: bool) {
        let was_due = self.stage == 2 && !self.confirmed;
        let info = self.info.clone().unwrap_or(SessionInfo { hash: [0; 32], role: self.session.role(), version: 1 });
        let verdict = if knows { Verdict::matched(&keys(info.role), &info) } else { Verdict::unrecognised(&mut self.rng) };
        self.confirmed |= was_due;
        let result = self.session.confirm(verdict);
        assert_eq!(result.is_ok(), was_due && !self.dead);
        self.settle(result);
    }

    fn seal(&mut self, record: &[u8]) -> bool {
        let fits = (1..=16_384).contains(&record.len());
        let result = self.session.seal_record(record);
        let sealed = result.is_ok();
        assert_eq!(sealed, self.stage == 3 && fits && !self.dead);
        self.settle(result);
        sealed
    }
}

fn keys(role: Role) -> RecognitionKeys {
    let (own, other) = if role == Role::Initiator { (1, 2) } else { (2, 1) };
    RecognitionKeys::new(Secret::new([own; 32]), Secret::new([other; 32]), Secret::new([3; 32]))
}

/// Messages of anyone's making in each state: one byte for role and state, then each message after its length in two bytes.
///
/// Without the keys nothing but a first message can be made: a session that has them ends at the first message that is not the peer's.
pub fn session_message(data: &[u8]) -> bool {
    let mut script = Script::new(data);
    let shape = script.byte();
    let mut pair = [Node::new(Role::Initiator, 1), Node::new(Role::Responder, 2)];
    let side = usize::from(shape & 1);
    let stage = shape >> 1 & 7;
    // Brings the session into its state with an honest peer; see the arms for what has then happened.
    for step in 0..stage {
        match step {
            0 => {
                let first = pair[0].session.poll_message().unwrap_or_default();
                pair[1].handle(&first);
                let second = pair[1].session.poll_message().unwrap_or_default();
                pair[0].handle(&second);
            }
            1 => pair[side].recognise(),
            2 => pair[1 - side].recognise(),
            3 | 5 => {
                for from in [0, 1] {
                    while let Some(message) = pair[from].session.poll_message() {
                        pair[1 - from].handle(&message);
                    }
                }
            }
            _ => pair.iter_mut().for_each(|node| node.confirm(shape & 0x40 != 0)),
        }
    }
    let node = &mut pair[side];
    let mut taken = false;
    for _ in 0..MAX_STEPS {
        let message = script.piece();
        if message.is_empty() {
            break;
        }
        let fresh = node.stage == 0;
        node.handle(message);
        assert!(fresh || node.dead, "a forged message was taken");
        taken |= !node.dead;
    }
    while let Some(message) = node.session.poll_message() {
        assert!(message.len() <= 16_400);
    }
    taken
}

/// Two sessions and a wire that somebody sits on, by operations of one byte and their arguments.
///
/// Records arrive in order, once and unchanged, or the session ends; both ends agree on whether they know each other.
pub fn session_pair(data: &[u8]) -> bool {
    let mut script = Script::new(data);
    let mut pair = [Node::new(Role::Initiator, 1), Node::new(Role::Responder, 2)];
    let mut wires: [VecDeque<Vec<u8>>; 2] = Default::default();
    let mut sealed: [Vec<Vec<u8>>; 2] = Default::default();
    let mut touched = false;
    for _ in 0..MAX_STEPS {
        let Some(op) = script.next() else { break };
        let side = usize::from(op & 1);
        for (node, wire) in pair.iter_mut().zip(&mut wires) {
            wire.extend(std::iter::from_fn(|| node.session.poll_message()));
        }
        match op >> 1 & 7 {
            0 | 1 => {
                if let Some(message) = wires[side].pop_front() {
                    pair[1 - side].handle(&message);
                }
            }
            2 => pair[side].recognise(),
            3 => pair[side].confirm(op & 0x10 != 0),
            4 => {
                let record = vec![op; usize::from(script.byte()) * if op & 0x10 != 0 { 65 } else { 1 }];
                if pair[side].seal(&record) {
                    sealed[side].push(record);
                }
            }
            5 => {
                let at = script.number() as usize;
                if let Some(message) = wires[side].front_mut().filter(|message| !message.is_empty()) {
                    let at = at % message.len();
                    message[at] ^= 1 << (op >> 4 & 7);
                    touched = true;
                }
            }
            6 => {
                let Some(message) = wires[side].front().cloned() else { continue };
                wires[side].push_front(message);
                touched = true;
            }
            _ => {
                touched |= !wires[side].is_empty();
                wires[side].pop_front();
            }
        }
        for (node, sealed) in [(&pair[1], &sealed[0]), (&pair[0], &sealed[1])] {
            assert!(sealed.starts_with(&node.records), "a record is lost, doubled or changed");
        }
    }
    if let [Node { recognised: Some(one), .. }, Node { recognised: Some(other), .. }] = &pair {
        assert!(one == other || touched, "both ends are whole and disagree");
    }
    pair.iter().all(|node| node.stage == 3 && !node.dead)
}
