//! Each rule of the simulator, broken on purpose: the run stops there, and says what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::time::Duration;

use common::{
    HOUR, MINUTE, SECOND, seed,
    three::{START_HOUR, garbage, handing, node_as},
};
use hedgerow_sync::{
    engine::{EngineConfig, Input},
    id::{BundleId, ContactId, MessageId},
    sim::{Faults, NodeId, Rule, Sim, Trouble, WireId},
    store::{BundleRow, GoneReason, GoneRow, MessageRow, Setting, Store, StoreError, layer::Layer, memory::MemoryStore},
    view::Command,
    wire::{
        bundle::Lifetime,
        record::{Hello, Record},
    },
};

/// What is done to a store that an engine never does.
#[derive(Clone)]
enum Wrong {
    /// Bundles are stored with another byte.
    Alter,
    /// Bundles are not stored.
    Swallow,
    /// What was read goes as if dropped for room.
    Drop,
    /// What was read goes with a secret that proves nothing.
    FalseProof,
    /// What was read goes without a word.
    Silently,
    /// What gives way stays.
    KeepBundles,
    /// What is too much to be remembered stays.
    KeepGone,
    /// A message of one contact is another's too.
    Twice(ContactId),
    /// No message is found that came in.
    Forget,
}

/// A store with a fault.
struct Faulty {
    store: Box<dyn Store>,
    wrong: Wrong,
}

impl Layer for Faulty {
    fn below(&self) -> &dyn Store {
        self.store.as_ref()
    }

    fn below_mut(&mut self) -> &mut dyn Store {
        self.store.as_mut()
    }

    fn insert_bundle(&mut self, row: &BundleRow, bytes: &[u8]) -> Result<u64, StoreError> {
        let mut bytes = bytes.to_vec();
        match self.wrong {
            Wrong::Alter => bytes[200] ^= 1,
            Wrong::Swallow => return Ok(self.store.last_sequence()? + 1),
            _ => {}
        }
        self.store.insert_bundle(row, &bytes)
    }

    fn delete_bundle(&mut self, id: &BundleId) -> Result<(), StoreError> {
        if matches!(self.wrong, Wrong::KeepBundles) { Ok(()) } else { self.store.delete_bundle(id) }
    }

    fn insert_gone(&mut self, row: &GoneRow) -> Result<(), StoreError> {
        let mut row = row.clone();
        match self.wrong {
            Wrong::Silently => return Ok(()),
            Wrong::Drop => row.reason = GoneReason::Dropped,
            Wrong::FalseProof => row.ack[0] ^= 1,
            _ => {}
        }
        self.store.insert_gone(&row)
    }

    fn delete_gone(&mut self, id: &BundleId) -> Result<(), StoreError> {
        if matches!(self.wrong, Wrong::KeepGone) { Ok(()) } else { self.store.delete_gone(id) }
    }

    fn insert_message(&mut self, row: &MessageRow) -> Result<bool, StoreError> {
        if let Wrong::Twice(other) = self.wrong {
            self.store.insert_message(&MessageRow { contact: other, ..row.clone() })?;
        }
        self.store.insert_message(row)
    }

    fn find_message(&self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
        let found = self.store.find_message(contact, outgoing, id)?;
        Ok(found.filter(|_| outgoing || !matches!(self.wrong, Wrong::Forget)))
    }
}

/// Two contacts on a good wire, in a run that is checked, and a third whom both know and who is not in reach.
struct Checked {
    sim: Sim,
    ann: NodeId,
    ben: NodeId,
    ann_store: MemoryStore,
    ben_store: MemoryStore,
    wire: WireId,
    cat_of_ben: ContactId,
}

/// The secret of a pair.
const fn secret(number: u8) -> [u8; 32] {
    [number; 32]
}

impl Checked {
    fn new() -> Self {
        Self::with(EngineConfig::default())
    }

    fn with(config: EngineConfig) -> Self {
        let mut sim = Sim::new(seed()).checked().breakable();
        let (ann, ann_store) = node_as(&mut sim, "ann", config.clone());
        let (ben, ben_store) = node_as(&mut sim, "ben", config.clone());
        let (cat, _) = node_as(&mut sim, "cat", config);
        sim.befriend(ann, ben, &secret(1));
        sim.befriend(ann, cat, &secret(2));
        let [cat_of_ben, _] = sim.befriend(ben, cat, &secret(3));
        let wire = sim.connect(ann, ben, Faults::NONE);
        sim.run_for(2 * SECOND);
        Self { sim, ann, ben, ann_store, ben_store, wire, cat_of_ben }
    }

    /// Something is wrong with what a node's engine does to its store.
    fn break_engine(&mut self, node: NodeId, wrong: Wrong) {
        self.sim.interpose(node, move |store| Box::new(Faulty { store, wrong: wrong.clone() }));
        self.sim.kill(node);
        self.sim.revive(node);
        self.sim.run_for(2 * SECOND);
    }

    /// Ann writes to Ben, whose node she calls by its number.
    fn write(&mut self) -> MessageId {
        self.sim.send(self.ann, "node 1", "hello")
    }

    /// The run has stopped because somebody broke this rule.
    fn expect(&mut self, rule: Rule, node: NodeId) {
        let violation = self.sim.violation().expect("a rule is broken").clone();
        assert_eq!((violation.rule, violation.node), (rule, node), "{violation}");
        assert_eq!(violation.seed, seed());
        let stopped = self.sim.elapsed();
        assert_eq!(violation.at, stopped, "{violation}");
        self.sim.run_for(HOUR);
        assert_eq!(self.sim.elapsed(), stopped, "no time passes after it");
    }
}

#[test]
fn sim_an_honest_run_breaks_no_rule() {
    let mut run = Checked::new();
    let id = run.write();
    run.sim.expect_delivery(id, run.ben, Some(run.sim.elapsed()));
    run.sim.run_for(6 * HOUR);
    run.sim.kill(run.ben);
    run.sim.revive(run.ben);
    run.write();
    run.sim.run_for(16 * common::DAY);
    assert_eq!(run.sim.violation(), None);
    assert_eq!(common::texts(&mut run.sim, run.ben, "node 0"), ["hello", "hello"]);
}

#[test]
fn sim_a_bundle_under_another_id_is_seen() {
    let mut run = Checked::new();
    run.break_engine(run.ben, Wrong::Alter);
    run.write();
    run.sim.run_for(MINUTE);
    run.expect(Rule::Genuine, run.ben);
}

#[test]
fn sim_a_word_of_stored_that_is_not_true_is_seen() {
    let mut run = Checked::new();
    run.break_engine(run.ben, Wrong::Swallow);
    run.write();
    run.sim.run_for(MINUTE);
    run.expect(Rule::Genuine, run.ben);
    assert!(run.sim.violation().unwrap().what.contains("said that"));
}

#[test]
fn sim_own_mail_that_goes_without_proof_is_seen() {
    for wrong in [Wrong::Drop, Wrong::FalseProof, Wrong::Silently] {
        let mut run = Checked::new();
        run.break_engine(run.ann, wrong);
        run.write();
        run.sim.run_for(5 * HOUR);
        run.expect(Rule::OwnKept, run.ann);
    }
}

#[test]
fn sim_a_message_that_is_lost_after_delivery_is_seen() {
    let mut sim = Sim::new(seed()).checked();
    let (ann, _) = sim.node("ann");
    let store = MemoryStore::new();
    let below = store.handle();
    let open = move || {
        below.reopen();
        Box::new(Faulty { store: Box::new(below.handle()), wrong: Wrong::Forget }) as Box<dyn Store>
    };
    let ben = sim.node_with("ben", Box::new(store), Box::new(open), EngineConfig::default());
    sim.befriend(ann, ben, &secret(1));
    sim.connect(ann, ben, Faults::NONE);
    sim.send(ann, "node 1", "hello");
    sim.run_for(MINUTE);
    assert_eq!(sim.violation().map(|violation| (violation.rule, violation.node)), Some((Rule::PlaintextKept, ben)));
}

/// Ben gives a megabyte, and a stranger brings 700 bundles: more than there is room for.
fn flood(run: &mut Checked) {
    run.sim.tell(run.ben, Command::SetRelay { on: None, bytes: Some(1 << 20), metered: None });
    let eve = run.sim.stranger("eve");
    let wire = run.sim.connect(eve, run.ben, Faults::NONE);
    run.sim.run_for(SECOND);
    let hello =
        Hello { beacon: hedgerow_sync::id::BeaconId([7; 8]), hour: hedgerow_sync::time::Hour(START_HOUR), window: 4096, carries: true };
    run.sim.send_raw(wire, eve, &Record::Hello(hello).encode());
    for number in 0..700 {
        run.sim.send_raw(wire, eve, &handing(&garbage(number, START_HOUR, Lifetime::Day, 2048), 0));
        run.sim.run_for(Duration::from_millis(10));
    }
    run.sim.run_for(SECOND);
}

#[test]
fn sim_more_of_others_than_there_is_room_for_is_seen() {
    let mut run = Checked::new();
    flood(&mut run);
    assert_eq!(run.sim.violation(), None, "what is too much gives way");
    let mut run = Checked::new();
    run.break_engine(run.ben, Wrong::KeepBundles);
    flood(&mut run);
    run.expect(Rule::Quota, run.ben);
}

#[test]
fn sim_a_pool_that_loses_what_is_within_its_share_is_seen() {
    let mut run = Checked::new();
    run.break_engine(run.ben, Wrong::Drop);
    run.write();
    run.sim.run_for(5 * HOUR);
    run.expect(Rule::Quota, run.ben);
    assert!(run.sim.violation().unwrap().what.contains("of its"));
}

#[test]
fn sim_too_many_ids_remembered_are_seen() {
    let config = EngineConfig { gone_ids: 40, ..EngineConfig::default() };
    let mut run = Checked::with(config.clone());
    flood(&mut run);
    assert_eq!(run.sim.violation(), None, "the oldest are forgotten");
    let mut run = Checked::with(config);
    run.break_engine(run.ben, Wrong::KeepGone);
    flood(&mut run);
    run.expect(Rule::Quota, run.ben);
}

#[test]
fn sim_more_than_a_rate_allows_is_seen() {
    let mut run = Checked::new();
    run.write();
    run.sim.set_faults(run.wire, Faults { rate: 100, ..Faults::NONE });
    run.sim.run_for(MINUTE);
    run.expect(Rule::Rate, run.ben);
}

#[test]
fn sim_a_delivery_that_could_not_be_is_seen() {
    for place in 0..3 {
        let mut run = Checked::new();
        let id = run.write();
        match place {
            0 => run.sim.expect_delivery(id, run.ben, Some(run.sim.elapsed() + HOUR)),
            1 => run.sim.expect_delivery(id, run.ben, None),
            _ => run.sim.expect_delivery(id, run.ann, Some(Duration::ZERO)),
        }
        run.sim.run_for(MINUTE);
        run.expect(Rule::Reachable, run.ben);
    }
}

#[test]
fn sim_a_message_that_is_delivered_twice_is_seen() {
    let mut run = Checked::new();
    run.break_engine(run.ben, Wrong::Twice(run.cat_of_ben));
    run.write();
    run.sim.run_for(MINUTE);
    run.expect(Rule::Once, run.ben);
}

/// Ben hears that he has all that came to Ann, and as many more.
fn mark(run: &mut Checked, more: u64) {
    let epoch = run.ann_store.load_setting(Setting::Epoch).unwrap().unwrap();
    let sequence = run.ann_store.last_sequence().unwrap() + more;
    let record = Record::Mark { epoch: epoch.as_slice().try_into().unwrap(), sequence }.encode();
    let link = run.sim.link_of(run.wire, run.ben).unwrap();
    run.sim.inject(run.ben, Input::Record { link, record });
}

#[test]
fn sim_a_cursor_past_what_there_is_is_seen() {
    let mut run = Checked::new();
    run.write();
    run.sim.run_for(MINUTE);
    mark(&mut run, 0);
    assert_eq!(run.sim.violation(), None, "he has it");
    mark(&mut run, 1);
    run.expect(Rule::Cursor, run.ben);
}

#[test]
fn sim_a_cursor_past_what_is_known_is_seen() {
    const OFFER: u8 = 2;
    let mut run = Checked::new();
    run.sim.on_transmit(|_, _, record| record[0] != OFFER);
    run.sim.send(run.ann, "node 2", "to somebody else");
    run.sim.run_for(10 * MINUTE);
    assert_eq!(run.sim.violation(), None);
    mark(&mut run, 0);
    run.expect(Rule::Cursor, run.ben);
    assert!(run.sim.violation().unwrap().what.contains("is not known"));
}

#[test]
fn sim_what_is_lost_over_a_restart_is_seen() {
    let mut run = Checked::new();
    run.write();
    run.sim.run_for(MINUTE);
    let held = run.ben_store.bundle_ids();
    run.sim.kill(run.ben);
    run.ben_store.lose_bundle(&held[0]);
    run.sim.revive(run.ben);
    run.expect(Rule::Durable, run.ben);
}

#[test]
fn sim_a_stop_at_any_point_is_no_loss() {
    for (points, past) in (1..=20).map(|points| (points, false)).chain([(0, true)]) {
        let mut run = Checked::new();
        let trouble = if past { Trouble::CrashPastCommit } else { Trouble::Crash(points) };
        run.sim.trouble(Duration::ZERO, run.ben, trouble);
        run.sim.run_for(Duration::ZERO);
        run.write();
        run.sim.run_for(MINUTE);
        assert_eq!(run.sim.violation(), None, "at point {points}");
        assert!(run.sim.restarts(run.ben) == 1, "at point {points}");
        assert_eq!(common::texts(&mut run.sim, run.ben, "node 0"), ["hello"], "at point {points}");
    }
}

#[test]
fn sim_a_full_disk_stops_a_node_until_there_is_room() {
    let mut run = Checked::new();
    run.sim.trouble(Duration::ZERO, run.ben, Trouble::DiskFull);
    run.sim.trouble(run.sim.elapsed() + 10 * MINUTE, run.ben, Trouble::DiskFree);
    run.write();
    run.sim.run_for(9 * MINUTE);
    assert!(!run.sim.is_up(run.wire) && run.sim.restarts(run.ben) > 5, "it tries again and again");
    run.sim.run_for(3 * MINUTE);
    assert_eq!(run.sim.violation(), None);
    assert_eq!(common::texts(&mut run.sim, run.ben, "node 0"), ["hello"]);
}
