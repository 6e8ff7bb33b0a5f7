//! Repair after a restored backup, over real engines on virtual time (docs/protocol.md, section 7.7).
#![expect(clippy::panic, clippy::unwrap_used, reason = "what a helper of a test can't go on with ends the test")]

use std::{collections::BTreeSet, time::Duration};

use hedgerow_sync::{
    sim::{Faults, NodeId, Sim, WireId},
    store::{Setting, Store, memory::MemoryStore},
    view::{Answer, Command, Event, MessageState},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Rounds of [`Scene::talk`] after which the pair epoch of before is not listed any more (docs/protocol.md, section 8.4: 50 messages).
const EPOCH_MOVES: usize = 8;

struct Scene {
    sim: Sim,
    ann: NodeId,
    ben: NodeId,
    wire: WireId,
    /// Steer the stores as they were made.
    stores: (MemoryStore, MemoryStore),
}

impl Scene {
    /// Two contacts on a good wire.
    fn new(seed: u64) -> Self {
        let seed = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(seed);
        println!("SIM_SEED={seed}");
        let mut sim = Sim::new(seed);
        let ((ann, ann_store), (ben, ben_store)) = (sim.node("ann"), sim.node("ben"));
        sim.introduce(ann, ben);
        let wire = sim.connect(ann, ben, Faults::NONE);
        sim.run_for(2 * SECOND);
        Self { sim, ann, ben, wire, stores: (ann_store, ben_store) }
    }

    /// Both write `rounds` times five messages, and so move the pair epoch on.
    fn talk(&mut self, rounds: usize, word: &str) {
        for round in 0..rounds {
            for index in 0..5 {
                self.sim.send(self.ann, "ben", &format!("ann {word} {round} {index}"));
                self.sim.send(self.ben, "ann", &format!("ben {word} {round} {index}"));
            }
            self.sim.run_for(SECOND);
        }
    }

    /// Stops a node and starts it with a copy of `backup`, marked as `hedgerow restore` does; the store returned steers it.
    fn restore(&mut self, node: NodeId, backup: &MemoryStore) -> MemoryStore {
        let mut store = backup.clone();
        store.reopen();
        store.begin().unwrap();
        store.save_setting(Setting::Restored, &[1]).unwrap();
        store.commit().unwrap();
        self.sim.restore(node, &store);
        store
    }

    fn both(&self) -> [(NodeId, &'static str); 2] {
        [(self.ann, "ben"), (self.ben, "ann")]
    }

    /// How often a node has told of a repair since it was last asked.
    fn notices(&mut self, node: NodeId) -> usize {
        let events = self.sim.take_events(node);
        events.iter().filter(|event| matches!(event, Event::Notice { kind, .. } if kind == "repaired")).count()
    }

    fn forget_notices(&mut self) {
        for (node, _) in self.both() {
            self.sim.take_events(node);
        }
    }

    fn has(&mut self, node: NodeId, text: &str) -> bool {
        let other = if node == self.ann { "ben" } else { "ann" };
        self.sim.messages(node, other).iter().any(|message| message.text == text)
    }

    fn bundles(&mut self, node: NodeId) -> usize {
        match self.sim.tell(node, Command::Status {}) {
            Answer::Status(status) => status.bundles,
            other => panic!("{other:?}"),
        }
    }

    fn in_reach(&mut self, node: NodeId) -> bool {
        match self.sim.tell(node, Command::Contacts {}) {
            Answer::Contacts(contacts) => contacts.iter().any(|contact| contact.in_reach),
            other => panic!("{other:?}"),
        }
    }

    /// What both sides have written with `word` in it is at the other and delivered; nothing is anywhere twice. Messages from before a
    /// restore that were receipted are not their sender's to send again.
    fn expect_delivered(&mut self, word: &str) {
        let [(ann, ben_name), (ben, ann_name)] = self.both();
        let (at_ann, at_ben) = (self.sim.messages(ann, ben_name), self.sim.messages(ben, ann_name));
        for (own, other) in [(&at_ann, &at_ben), (&at_ben, &at_ann)] {
            let texts: Vec<&str> = other.iter().filter(|message| !message.outgoing).map(|message| message.text.as_str()).collect();
            assert_eq!(texts.len(), texts.iter().collect::<BTreeSet<_>>().len(), "nothing comes twice");
            for message in own.iter().filter(|message| message.outgoing && message.text.contains(word)) {
                assert!(message.state >= MessageState::Delivered, "{message:?}");
                assert!(texts.contains(&message.text.as_str()), "{message:?}");
            }
        }
    }

    fn verified(&mut self, node: NodeId) -> bool {
        match self.sim.tell(node, Command::Contacts {}) {
            Answer::Contacts(contacts) => contacts[0].verified,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn sim_a_restored_side_is_repaired_though_epochs_have_moved() {
    let mut scene = Scene::new(1);
    let fingerprint = match scene.sim.tell(scene.ben, Command::Status {}) {
        Answer::Status(status) => status.fingerprint,
        other => panic!("{other:?}"),
    };
    scene.sim.tell(scene.ann, Command::VerifyContact { contact: "ben".into(), fingerprint });
    scene.talk(1, "early");
    let backup = scene.stores.0.clone();
    scene.talk(2 * EPOCH_MOVES, "later");
    scene.sim.cut(scene.wire);
    scene.sim.send(scene.ben, "ann", "ben keeps this");
    scene.sim.send(scene.ann, "ben", "ann forgets this");
    scene.restore(scene.ann, &backup);
    scene.sim.send(scene.ann, "ben", "ann keeps this");
    let (ann, ben) = (scene.ann, scene.ben);
    let waiting = scene.sim.messages(ann, "ben").pop().unwrap();
    assert_eq!((waiting.state, waiting.why.is_some()), (MessageState::Queued, true));
    scene.forget_notices();
    scene.sim.mend(scene.wire);
    scene.sim.run_for(30 * SECOND);

    assert_eq!((scene.notices(ann), scene.notices(ben)), (1, 1));
    assert!(scene.has(ann, "ben keeps this") && scene.has(ben, "ann keeps this") && !scene.has(ben, "ann forgets this"));
    scene.expect_delivered("keeps");
    scene.talk(EPOCH_MOVES, "afterwards");
    scene.expect_delivered("afterwards");
    assert!(scene.verified(ann), "the cards are the same");
    assert_eq!((scene.notices(ann), scene.notices(ben)), (0, 0));
}

#[test]
fn sim_what_carriers_hold_under_the_old_keys_does_not_count_after_a_repair() {
    let mut scene = Scene::new(9);
    let backup = scene.stores.1.clone();
    scene.talk(EPOCH_MOVES, "early");
    scene.sim.cut(scene.wire);
    let (carrier, _) = scene.sim.node("carrier");
    let to_carrier = scene.sim.connect(carrier, scene.ann, Faults::NONE);
    scene.sim.send(scene.ann, "ben", "slow");
    scene.sim.run_for(600 * SECOND);
    scene.sim.cut(to_carrier);
    let handed = |scene: &mut Scene| {
        let message = scene.sim.messages(scene.ann, "ben").pop().unwrap();
        (message.text, message.state, message.handed_contacts, message.handed_strangers)
    };
    assert_eq!(handed(&mut scene), ("slow".into(), MessageState::Carried, 0, 1));
    scene.restore(scene.ben, &backup);
    scene.sim.mend(scene.wire);
    scene.sim.run_for(HOUR);
    assert_eq!(handed(&mut scene), ("slow".into(), MessageState::Delivered, 1, 0));
}

#[test]
fn sim_a_restored_side_seals_nothing_before_the_answer() {
    let mut scene = Scene::new(2);
    scene.talk(1, "early");
    let backup = scene.stores.0.clone();
    scene.talk(2, "later");
    scene.sim.cut(scene.wire);
    scene.sim.run_for(SECOND);
    scene.restore(scene.ann, &backup);
    scene.sim.run_for(SECOND);
    let before = scene.bundles(scene.ann);
    for index in 0..20 {
        scene.sim.send(scene.ann, "ben", &format!("held back {index}"));
    }
    scene.sim.run_for(10 * HOUR);
    assert!(scene.bundles(scene.ann) <= before, "the offer was sealed at once, and nothing since");
    scene.sim.mend(scene.wire);
    scene.sim.run_for(30 * SECOND);
    scene.expect_delivered("held back");
}

#[test]
fn sim_both_sides_may_be_restored() {
    for apart in [false, true] {
        let mut scene = Scene::new(3);
        scene.talk(1, "early");
        let first = scene.stores.0.clone();
        scene.talk(if apart { EPOCH_MOVES } else { 2 }, "later");
        let second = scene.stores.1.clone();
        scene.talk(if apart { EPOCH_MOVES } else { 1 }, "later still");
        scene.sim.cut(scene.wire);
        scene.restore(scene.ann, &first);
        scene.restore(scene.ben, &second);
        scene.forget_notices();
        scene.sim.send(scene.ann, "ben", "ann afterwards");
        scene.sim.send(scene.ben, "ann", "ben afterwards");
        scene.sim.mend(scene.wire);
        scene.sim.run_for(60 * SECOND);
        assert_eq!((scene.notices(scene.ann), scene.notices(scene.ben)), (1, 1), "of two offers one wins");
        scene.talk(3, "afterwards");
        scene.expect_delivered("afterwards");
    }
}

#[test]
fn sim_a_repair_survives_a_cut_at_any_message() {
    // Without a new pair epoch in between, and with one, where it takes two sessions to recognise each other: about forty messages.
    for (rounds, messages) in [(1, 24), (EPOCH_MOVES, 42)] {
        let mut prepared = Scene::new(100);
        let backup = prepared.stores.0.clone();
        prepared.talk(rounds, "later");
        prepared.sim.cut(prepared.wire);
        prepared.sim.run_for(SECOND);
        let other = prepared.stores.1.clone();
        for message in (1..messages).step_by(2) {
            // The same state again and again, in a network of its own.
            let scene = &mut prepared;
            scene.sim.cut(scene.wire);
            scene.sim.restore(scene.ben, &other.clone());
            scene.restore(scene.ann, &backup);
            let word = format!("cut at {rounds} {message}");
            scene.sim.send(scene.ann, "ben", &format!("ann {word}"));
            scene.sim.send(scene.ben, "ann", &format!("ben {word}"));
            scene.sim.cut_after_messages(scene.wire, message);
            scene.sim.mend(scene.wire);
            scene.sim.run_for(60 * SECOND);
            scene.expect_delivered(&word);
        }
    }
}

#[test]
fn sim_a_repair_survives_a_crash_at_any_write() {
    for step in 0..24 {
        let mut scene = Scene::new(200);
        let backup = scene.stores.0.clone();
        scene.talk(1, "later");
        scene.sim.cut(scene.wire);
        let restored = scene.restore(scene.ann, &backup);
        scene.sim.send(scene.ann, "ben", "ann afterwards");
        scene.sim.send(scene.ben, "ann", "ben afterwards");
        let store = if step % 2 == 0 { restored } else { scene.stores.1.handle() };
        store.crash_after_writes(1 + step / 2 * 3);
        scene.sim.mend(scene.wire);
        scene.sim.run_for(60 * SECOND);
        scene.talk(1, "afterwards");
        scene.expect_delivered("afterwards");
    }
}

#[test]
fn sim_a_side_restored_twice_on_a_day_is_repaired_again_on_the_next() {
    let mut scene = Scene::new(4);
    let backup = scene.stores.0.clone();
    scene.talk(1, "early");
    for expected in [1, 0] {
        scene.forget_notices();
        scene.restore(scene.ann, &backup);
        scene.sim.send(scene.ann, "ben", &format!("afterwards {expected}"));
        scene.sim.run_for(HOUR);
        assert_eq!(scene.notices(scene.ben), expected, "one repair a day");
    }
    assert!(!scene.has(scene.ben, "afterwards 0"));
    scene.sim.run_for(2 * DAY);
    assert!(scene.notices(scene.ben) == 1 && scene.has(scene.ben, "afterwards 0"));
    scene.talk(2, "afterwards");
    scene.expect_delivered("afterwards");
}

#[test]
fn sim_an_unanswered_offer_is_not_sealed_more_than_daily() {
    let mut scene = Scene::new(5);
    let backup = scene.stores.0.clone();
    scene.sim.cut(scene.wire);
    scene.restore(scene.ann, &backup);
    scene.sim.run_for(5 * HOUR); // what is left of the exchange is acknowledged
    let start = scene.bundles(scene.ann);
    scene.sim.run_for(4 * DAY - 5 * HOUR);
    assert_eq!(scene.bundles(scene.ann), start, "the first one still lives");
    scene.sim.run_for(2 * DAY + 2 * HOUR);
    assert_eq!(scene.bundles(scene.ann), start + 1, "before it ends, another");
}

#[test]
fn sim_a_removed_or_blocked_contact_repairs_nothing() {
    for remove in [true, false] {
        let mut scene = Scene::new(6);
        let backup = scene.stores.0.clone();
        scene.talk(EPOCH_MOVES, "early");
        scene.sim.cut(scene.wire);
        scene.restore(scene.ann, &backup);
        let command = |contact: String| match remove {
            true => Command::RemoveContact { contact },
            false => Command::BlockContact { contact, blocked: true },
        };
        scene.sim.tell(scene.ben, command("ann".into()));
        scene.forget_notices();
        scene.sim.mend(scene.wire);
        scene.sim.run_for(3 * DAY);
        assert_eq!((scene.notices(scene.ann), scene.notices(scene.ben)), (0, 0));
        assert!(!scene.in_reach(scene.ann));
        if !remove {
            scene.sim.tell(scene.ben, Command::BlockContact { contact: "ann".into(), blocked: false });
            scene.sim.cut(scene.wire);
            scene.sim.run_for(SECOND);
            scene.sim.mend(scene.wire);
            scene.sim.run_for(DAY);
            assert_eq!((scene.notices(scene.ann), scene.notices(scene.ben)), (1, 1), "once it is a contact again");
        }
    }
}

#[test]
fn sim_missing_receipts_lead_to_a_repair() {
    // Ben's store goes back unnoticed, as a copied virtual machine would: nothing is marked as restored.
    let mut scene = Scene::new(7);
    let backup = scene.stores.1.clone();
    for round in 0..3 {
        scene.sim.send(scene.ann, "ben", &format!("early {round}"));
        scene.sim.send(scene.ben, "ann", &format!("early ben {round}"));
        scene.sim.run_for(SECOND);
    }
    scene.sim.restore(scene.ben, &backup.clone());
    scene.forget_notices();
    scene.sim.run_for(5 * SECOND);
    for index in 0..6 {
        scene.sim.send(scene.ann, "ben", &format!("lost on ben {index}"));
        scene.sim.run_for(90 * SECOND);
    }
    assert_eq!((scene.notices(scene.ann), scene.notices(scene.ben)), (1, 1));
    scene.expect_delivered("lost on ben");
}

#[test]
fn sim_a_slow_reader_is_not_repaired() {
    let mut scene = Scene::new(8);
    for index in 0..10 {
        scene.sim.send(scene.ann, "ben", &format!("message {index}"));
        scene.sim.run_for(Duration::from_millis(2));
        scene.sim.cut(scene.wire);
        scene.sim.run_for(90 * SECOND);
        scene.sim.mend(scene.wire);
        scene.sim.run_for(2 * SECOND);
    }
    scene.sim.run_for(DAY);
    assert_eq!((scene.notices(scene.ann), scene.notices(scene.ben)), (0, 0));
    scene.expect_delivered("message");
}

#[test]
fn sim_a_restored_copy_is_not_recognised_for_ever() {
    // Whoever copied ann's device long ago lists the repair; ben answers that for an hour a day, and tells both people of a repair.
    let mut scene = Scene::new(9);
    let backup = scene.stores.0.clone();
    scene.talk(EPOCH_MOVES, "early");
    scene.sim.restore(scene.ann, &backup.clone());
    scene.sim.run_for(3 * DAY);
    assert!(!scene.in_reach(scene.ann) && !scene.in_reach(scene.ben), "a copy that is not marked knows old epochs only");
    assert_eq!(scene.notices(scene.ben), 0);
}
