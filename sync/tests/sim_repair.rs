//! Repair after a restored backup, over real engines on virtual time (docs/protocol.md, section 7.7).

use std::{collections::BTreeSet, time::Duration};

use hedgerow_sync::{
    sim::{Faults, NodeId, Sim, WireId},
    store::memory::MemoryStore,
    view::{Answer, Command, Event, Message, MessageState},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

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
        let mut sim = Sim::new(std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(seed));
        let ((ann, ann_store), (ben, ben_store)) = (sim.node("ann"), sim.node("ben"));
        sim.introduce(ann, ben);
        let wire = sim.connect(ann, ben, Faults::NONE);
        sim.run_for(2 * SECOND);
        Self { sim, ann, ben, wire, stores: (ann_store, ben_store) }
    }

    /// Both write `count` messages in turn.
    fn talk(&mut self, count: usize, word: &str) {
        for index in 0..count {
            self.sim.send(self.ann, "ben", &format!("ann {word} {index}"));
            self.sim.run_for(SECOND);
            self.sim.send(self.ben, "ann", &format!("ben {word} {index}"));
            self.sim.run_for(SECOND);
        }
    }

    fn both(&self) -> [(NodeId, &'static str); 2] {
        [(self.ann, "ben"), (self.ben, "ann")]
    }

    fn notices(&mut self, node: NodeId, wanted: &str) -> usize {
        let events = self.sim.take_events(node);
        events.iter().filter(|event| matches!(event, Event::Notice { kind, .. } if *kind == wanted)).count()
    }

    /// Everything that either side has written and still has is at the other, once, and delivered.
    fn expect_all_delivered(&mut self) {
        let [(ann, ben_name), (ben, ann_name)] = self.both();
        let (at_ann, at_ben) = (self.sim.messages(ann, ben_name), self.sim.messages(ben, ann_name));
        for (own, other) in [(&at_ann, &at_ben), (&at_ben, &at_ann)] {
            let texts: Vec<&str> = other.iter().filter(|message| !message.outgoing).map(|message| message.text.as_str()).collect();
            assert_eq!(texts.len(), texts.iter().collect::<BTreeSet<_>>().len(), "nothing comes twice");
            for message in own.iter().filter(|message| message.outgoing) {
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

fn find<'a>(messages: &'a [Message], text: &str) -> Option<&'a Message> {
    messages.iter().find(|message| message.text == text)
}

#[test]
fn sim_a_restored_side_is_repaired_though_epochs_have_moved() {
    let mut scene = Scene::new(1);
    let fingerprint = match scene.sim.tell(scene.ben, Command::Status {}) {
        Answer::Status(status) => status.fingerprint,
        other => panic!("{other:?}"),
    };
    scene.sim.tell(scene.ann, Command::VerifyContact { contact: "ben".into(), fingerprint });
    scene.talk(3, "early");
    let backup = scene.stores.0.clone();
    scene.talk(120, "later");
    scene.sim.cut(scene.wire);
    scene.sim.send(scene.ben, "ann", "ben while cut");
    scene.sim.send(scene.ann, "ben", "ann forgets this");
    scene.sim.restore(scene.ann, &backup);
    scene.sim.send(scene.ann, "ben", "ann after the restore");
    assert_eq!(find(&scene.sim.messages(scene.ann, "ben"), "ann after the restore").unwrap().state, MessageState::Queued);
    let (ann, ben) = (scene.ann, scene.ben);
    scene.notices(ann, "repaired");
    scene.notices(ben, "repaired");
    scene.sim.mend(scene.wire);
    scene.sim.run_for(30 * SECOND);

    assert_eq!((scene.notices(ann, "repaired"), scene.notices(ben, "repaired")), (1, 1));
    assert!(find(&scene.sim.messages(ann, "ben"), "ben while cut").is_some());
    assert!(find(&scene.sim.messages(ben, "ann"), "ann after the restore").is_some());
    scene.talk(60, "afterwards");
    scene.expect_all_delivered_of("after");
    assert!(scene.verified(ann), "the cards are the same");
    assert!(find(&scene.sim.messages(ben, "ann"), "ann forgets this").is_none());
}

impl Scene {
    /// The same for the messages that contain `word`: what was receipted before a restore is not the sender's to send again.
    fn expect_all_delivered_of(&mut self, word: &str) {
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
}
