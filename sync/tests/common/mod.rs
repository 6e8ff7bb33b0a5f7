//! What the tests over the harness share: seeds, two acquainted nodes, and what must hold in the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod carriers;
pub(crate) mod nearby;
pub(crate) mod three;

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use hedgerow_sync::{
    sim::{Faults, NodeId, Sim, WireId},
    store::{Setting, Store, memory::MemoryStore},
    view::{Added, Answer, Command, CommandError, Contact, ContactState, Event, Message, MessageState, Status},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// The seed of this run, printed where a test fails.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("SIM_SEED={seed}");
    seed
}

/// Two nodes, a wire between them, and their stores.
pub(crate) struct Two {
    pub(crate) sim: Sim,
    pub(crate) ann: NodeId,
    pub(crate) ben: NodeId,
    pub(crate) ann_store: MemoryStore,
    pub(crate) ben_store: MemoryStore,
    pub(crate) wire: WireId,
}

impl Two {
    /// Two contacts on a good wire.
    pub(crate) fn contacts(seed: u64) -> Self {
        Self::contacts_over(seed, Faults::NONE)
    }

    /// Two contacts on a wire of this kind.
    pub(crate) fn contacts_over(seed: u64, faults: Faults) -> Self {
        let mut two = Self::strangers(seed, faults);
        two.sim.introduce(two.ann, two.ben);
        two.sim.run_for(2 * SECOND);
        two
    }

    /// Has both nodes carry for nobody.
    pub(crate) fn stop_relaying(&mut self) {
        for (node, store) in [(self.ann, &self.ann_store), (self.ben, &self.ben_store)] {
            self.sim.kill(node);
            let mut store = store.handle();
            store.reopen();
            store.begin().unwrap();
            // Version, mode, relaying, metered links, space, visibility.
            let policy = [&[1, 0, 0, 0][..], &(256_u64 << 20).to_be_bytes(), &[0; 16]].concat();
            store.save_setting(Setting::Policy, &policy).unwrap();
            store.commit().unwrap();
            self.sim.revive(node);
        }
        self.sim.run_for(2 * SECOND);
    }

    /// Two nodes that have nothing in common but a wire.
    pub(crate) fn strangers(seed: u64, faults: Faults) -> Self {
        let mut sim = Sim::new(seed);
        let ((ann, ann_store), (ben, ben_store)) = (sim.node("ann"), sim.node("ben"));
        let wire = sim.connect(ann, ben, faults);
        Self { sim, ann, ben, ann_store, ben_store, wire }
    }

    /// The epoch of Ann's store, which she tells to contacts alone; their session is renewed for it.
    pub(crate) fn epoch_of_ann(&mut self) -> Vec<u8> {
        let heard = listen(&mut self.sim);
        self.sim.cut(self.wire);
        self.sim.mend(self.wire);
        self.sim.run_for(SECOND);
        let heard = heard.borrow();
        let cursor = heard.iter().find(|(node, record)| *node == self.ann && record[0] == 0x0a);
        cursor.expect("she says it").1[1..9].to_vec()
    }

    /// Each side's name at the other.
    pub(crate) fn sides(&self) -> [(NodeId, &'static str); 2] {
        [(self.ann, "ben"), (self.ben, "ann")]
    }

    /// Writes `count` messages named by their sender and number.
    pub(crate) fn write(&mut self, from: NodeId, count: usize) {
        let (name, to) = if from == self.ann { ("ann", "ben") } else { ("ben", "ann") };
        for number in 0..count {
            self.sim.send(from, to, &format!("{name} {number}"));
        }
    }

    /// Says that all messages that one side wrote are there, at both sides, once, in order, and at least delivered.
    pub(crate) fn expect_all(&mut self, from: NodeId, count: usize) {
        let (name, node, to, other, back) =
            if from == self.ann { ("ann", self.ann, "ben", self.ben, "ann") } else { ("ben", self.ben, "ann", self.ann, "ben") };
        let wanted: Vec<String> = (0..count).map(|number| format!("{name} {number}")).collect();
        let sent: Vec<Message> = self.sim.messages(node, to).into_iter().filter(|message| message.outgoing).collect();
        assert_eq!(sent.iter().map(|message| message.text.clone()).collect::<Vec<_>>(), wanted, "written by {name}");
        let got = texts(&mut self.sim, other, back);
        assert_eq!(got.len(), wanted.len(), "arrived from {name}; missing {:?}", missing(&wanted, &got));
        assert_eq!(got, wanted, "order of what came from {name}");
        let late: Vec<&Message> = sent.iter().filter(|message| message.state < MessageState::Delivered).collect();
        assert!(late.is_empty(), "{} of {name} are not delivered: {:?}", late.len(), late.first());
    }
}

fn missing(wanted: &[String], got: &[String]) -> Vec<String> {
    let got: BTreeSet<&String> = got.iter().collect();
    wanted.iter().filter(|text| !got.contains(text)).take(5).cloned().collect()
}

/// What came from a contact, in the order in which it is shown.
pub(crate) fn texts(sim: &mut Sim, node: NodeId, contact: &str) -> Vec<String> {
    sim.messages(node, contact).into_iter().filter(|message| !message.outgoing).map(|message| message.text).collect()
}

/// The states of what a node wrote to a contact.
pub(crate) fn states(sim: &mut Sim, node: NodeId, contact: &str) -> Vec<MessageState> {
    sim.messages(node, contact).into_iter().filter(|message| message.outgoing).map(|message| message.state).collect()
}

/// A node's contacts.
pub(crate) fn contacts(sim: &mut Sim, node: NodeId) -> Vec<Contact> {
    match sim.tell(node, Command::Contacts {}) {
        Answer::Contacts(contacts) => contacts,
        other => panic!("{other:?}"),
    }
}

/// The states of a node's contacts.
pub(crate) fn contact_states(sim: &mut Sim, node: NodeId) -> Vec<ContactState> {
    contacts(sim, node).into_iter().map(|contact| contact.state).collect()
}

/// Whether a link to the contact of this name is open.
pub(crate) fn in_reach(sim: &mut Sim, node: NodeId, name: &str) -> bool {
    contacts(sim, node).iter().any(|contact| contact.name.as_deref() == Some(name) && contact.in_reach)
}

/// Whether a link to any contact is open.
pub(crate) fn in_reach_any(sim: &mut Sim, node: NodeId) -> bool {
    contacts(sim, node).iter().any(|contact| contact.in_reach)
}

/// How a node is doing.
pub(crate) fn status(sim: &mut Sim, node: NodeId) -> Status {
    match sim.tell(node, Command::Status {}) {
        Answer::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

/// Makes a link.
pub(crate) fn invite(sim: &mut Sim, node: NodeId, hours: u32) -> String {
    match sim.tell(node, Command::Invite { hours }) {
        Answer::Invitation(invitation) => invitation.link,
        other => panic!("{other:?}"),
    }
}

/// Takes a link up.
pub(crate) fn add(sim: &mut Sim, node: NodeId, link: &str) -> Result<(), CommandError> {
    sim.ask(node, Command::AddContact { link: link.into(), alias: None, message: None }).expect("the node restarted").map(|_| ())
}

/// Takes a link up with a first message.
pub(crate) fn add_with(sim: &mut Sim, node: NodeId, link: &str, message: &str) -> Added {
    match sim.tell(node, Command::AddContact { link: link.into(), alias: None, message: Some(message.into()) }) {
        Answer::Added(added) => added,
        other => panic!("{other:?}"),
    }
}

/// The kinds of notices that a node has told, with their contacts' numbers.
pub(crate) fn notices(sim: &mut Sim, node: NodeId) -> Vec<std::borrow::Cow<'static, str>> {
    let events = sim.take_events(node).into_iter();
    events.filter_map(|event| if let Event::Notice { kind, .. } = event { Some(kind) } else { None }).collect()
}

/// Records that engines have sent, by sender.
pub(crate) type Heard = Rc<RefCell<Vec<(NodeId, Vec<u8>)>>>;

/// Listens to all records before they are sealed.
pub(crate) fn listen(sim: &mut Sim) -> Heard {
    let heard = Heard::default();
    let ear = Rc::clone(&heard);
    sim.on_transmit(move |node, _, record| {
        ear.borrow_mut().push((node, record.to_vec()));
        true
    });
    heard
}

/// The bundles among records: what follows type, age and copies.
pub(crate) fn bundles(heard: &Heard, from: NodeId) -> Vec<Vec<u8>> {
    let heard = heard.borrow();
    heard.iter().filter(|(node, record)| *node == from && record[0] == 5).map(|(_, record)| record[4..].to_vec()).collect()
}
