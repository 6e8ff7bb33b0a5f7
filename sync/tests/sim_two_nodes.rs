//! Two nodes on virtual time: the whole path from link to receipt, over good and bad wires.

#![expect(clippy::panic, reason = "a test")]

use std::time::Duration;

use hedgerow_sync::{
    sim::{Faults, NodeId, Sim},
    view::{Answer, Command, ContactState, MessageState},
};

const SECOND: Duration = Duration::from_secs(1);

fn seed() -> u64 {
    std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

fn contacts(sim: &mut Sim, node: NodeId) -> Vec<hedgerow_sync::view::Contact> {
    match sim.tell(node, Command::Contacts {}) {
        Answer::Contacts(contacts) => contacts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sim_a_link_makes_contacts_who_write_both_ways() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _)) = (sim.node("ann"), sim.node("ben"));
    sim.introduce(ann, ben);
    sim.connect(ann, ben, Faults::NONE);
    sim.run_for(SECOND);
    assert_eq!(contacts(&mut sim, ann)[0].name.as_deref(), Some("ben"));
    assert_eq!(contacts(&mut sim, ben)[0].name.as_deref(), Some("ann"));
    assert!(contacts(&mut sim, ann).iter().all(|contact| contact.state == ContactState::Established && contact.in_reach));

    sim.send(ann, "ben", "hello ben");
    sim.send(ben, "ann", "hello ann");
    sim.run_for(SECOND);
    for (node, other) in [(ann, "ben"), (ben, "ann")] {
        let messages = sim.messages(node, other);
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages.iter().all(|message| message.state == MessageState::Delivered), "{messages:?}");
    }
}

#[test]
fn sim_two_thousand_queued_messages_arrive_in_order() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _)) = (sim.node("ann"), sim.node("ben"));
    sim.introduce(ann, ben);
    let wire = sim.connect(ann, ben, Faults { rate: 50_000_000, ..Faults::NONE });
    sim.run_for(SECOND);
    for index in 0..2000 {
        sim.send(ann, "ben", &format!("message {index}"));
    }
    sim.run_for(SECOND * 10);
    assert!(sim.is_up(wire));
    let texts: Vec<String> = sim.messages(ben, "ann").into_iter().map(|message| message.text).collect();
    assert_eq!(texts, (0..2000).map(|index| format!("message {index}")).collect::<Vec<_>>());
    assert!(sim.messages(ann, "ben").iter().all(|message| message.state == MessageState::Delivered));
}
