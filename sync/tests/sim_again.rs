//! The same two people once more: after one has removed the other, a new link gives new keys and the conversation goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{SECOND, Two, contacts, seed, texts};
use hedgerow_sync::view::{Command, ContactState, MessageState};

#[test]
fn sim_a_new_link_after_a_removal_goes_on_with_the_conversation() {
    for issuer_kept in [true, false] {
        let mut two = Two::contacts(seed());
        two.write(two.ann, 3);
        two.sim.run_for(SECOND);
        let (keeper, remover, other) = if issuer_kept { (two.ann, two.ben, "ann") } else { (two.ben, two.ann, "ben") };
        let kept = if issuer_kept { "ben" } else { "ann" };
        two.sim.tell(remover, Command::RemoveContact { contact: other.into() });
        two.sim.run_for(SECOND * 3);
        let waiting = two.sim.send(keeper, kept, "written while removed");
        two.sim.run_for(SECOND * 3);
        // Ann makes the link both times, once as the one who kept the contact and once as the one who removed it.
        two.sim.introduce(two.ann, two.ben);
        two.sim.run_for(SECOND * 30);

        for (node, name) in [(two.ann, "ben"), (two.ben, "ann")] {
            let known = contacts(&mut two.sim, node);
            assert_eq!(known.len(), 1, "{known:?}");
            assert_eq!(known[0].name.as_deref(), Some(name));
            assert_eq!(known[0].state, ContactState::Established);
        }
        assert_eq!(two.sim.messages(keeper, kept).len(), 4, "what was said before is still there");
        assert_eq!(texts(&mut two.sim, remover, other), ["written while removed"]);
        let row = two.sim.messages(keeper, kept).into_iter().find(|message| message.id == waiting).unwrap();
        assert_eq!(row.state, MessageState::Delivered);
    }
}

#[test]
fn sim_a_contact_that_calls_itself_a_number_gets_nothing_meant_for_another() {
    let mut sim = hedgerow_sync::sim::Sim::new(seed());
    let ((ann, _), (two, _), (mallory, _)) = (sim.node("ann"), sim.node("ben"), sim.node("1"));
    sim.introduce(ann, two);
    sim.connect(ann, two, hedgerow_sync::sim::Faults::NONE);
    sim.run_for(SECOND);
    sim.introduce(ann, mallory);
    sim.connect(ann, mallory, hedgerow_sync::sim::Faults::NONE);
    sim.run_for(SECOND * 5);
    let known = contacts(&mut sim, ann);
    assert_eq!(known.iter().map(|contact| contact.name.as_deref().unwrap()).collect::<Vec<_>>(), ["1-2", "ben"]);
    sim.send(ann, "1", "for ben");
    sim.run_for(SECOND);
    assert_eq!(texts(&mut sim, two, "ann"), ["for ben"]);
    assert_eq!(texts(&mut sim, mallory, "ann"), [""; 0]);
}
