//! Bundles that are not what their tag says, and bundles out of order: the real message opens, whatever came before it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{MINUTE, SECOND, Two, seed, status, texts};
use hedgerow_sync::{
    engine::Input,
    sim::{Faults, NodeId},
    wire::record::Record,
};

fn bundle_record(bytes: &[u8]) -> Vec<u8> {
    Record::Bundle { age: 0, copies: 255, bytes: bytes.to_vec() }.encode()
}

/// A contact's device that was taken over, between the two others: Ann knows it, and it has seen a bundle of Ben's.
struct Three {
    two: Two,
    eve: NodeId,
    eve_wire: hedgerow_sync::sim::WireId,
    /// The bundle of Ben's message, which has not reached Ann.
    real: Vec<u8>,
}

fn three(seed: u64) -> Three {
    let mut two = Two::contacts(seed);
    let (eve, _) = two.sim.node("eve");
    two.sim.introduce(two.ann, eve);
    let eve_wire = two.sim.connect(eve, two.ann, Faults::NONE);
    two.sim.run_for(2 * MINUTE);
    two.sim.possess(eve);
    // Ben's bundle is lost on the link to Ann, and is copied there.
    let ben = two.ben;
    let copied = common::Heard::default();
    let ear = std::rc::Rc::clone(&copied);
    two.sim.on_transmit(move |node, _, record| {
        let taken = node == ben && record[0] == 5;
        if taken {
            ear.borrow_mut().push((node, record.to_vec()));
        }
        !taken
    });
    two.sim.send(ben, "ann", "the real one");
    two.sim.run_for(SECOND);
    let real = common::bundles(&copied, ben).remove(0);
    Three { two, eve, eve_wire, real }
}

impl Three {
    /// Ben's link comes up again and hands the message over.
    fn meet_ben(&mut self) {
        self.two.sim.transmit_all();
        self.two.sim.cut(self.two.wire);
        self.two.sim.mend(self.two.wire);
        self.two.sim.run_for(2 * SECOND);
    }
}

#[test]
fn sim_ten_thousand_copies_of_a_tag_do_not_stop_the_real_message() {
    let mut three = three(seed());
    let before = status(&mut three.two.sim, three.two.ann);
    for number in 0..10_000_u32 {
        let mut garbage = three.real.clone();
        garbage[100..104].copy_from_slice(&number.to_be_bytes());
        three.two.sim.send_raw(three.eve_wire, three.eve, &bundle_record(&garbage));
        if number % 500 == 0 {
            three.two.sim.run_for(SECOND / 2);
        }
    }
    three.two.sim.run_for(20 * SECOND);
    assert!(three.two.sim.is_up(three.eve_wire), "garbage is no breach: a carrier can't know");
    let after = status(&mut three.two.sim, three.two.ann);
    assert_eq!(after.bundles - before.bundles, 10_000, "counted as any other bundle of that contact");
    assert_eq!(texts(&mut three.two.sim, three.two.ann, "ben"), [""; 0]);
    three.meet_ben();
    assert_eq!(texts(&mut three.two.sim, three.two.ann, "ben"), ["the real one"]);
}

#[test]
fn sim_a_real_message_that_came_behind_too_much_garbage_opens_when_its_sender_comes() {
    let mut three = three(seed());
    for number in 0..20_u32 {
        let mut garbage = three.real.clone();
        garbage[100..104].copy_from_slice(&number.to_be_bytes());
        three.two.sim.send_raw(three.eve_wire, three.eve, &bundle_record(&garbage));
    }
    let real = bundle_record(&three.real);
    three.two.sim.send_raw(three.eve_wire, three.eve, &real);
    three.two.sim.run_for(SECOND);
    three.meet_ben();
    assert_eq!(texts(&mut three.two.sim, three.two.ann, "ben"), ["the real one"]);
}

#[test]
fn sim_a_real_message_from_another_hand_opens() {
    let mut three = three(seed());
    let real = bundle_record(&three.real);
    three.two.sim.send_raw(three.eve_wire, three.eve, &real);
    three.two.sim.run_for(SECOND);
    assert_eq!(texts(&mut three.two.sim, three.two.ann, "ben"), ["the real one"]);
    three.meet_ben();
    three.two.sim.run_for(SECOND);
    assert_eq!(texts(&mut three.two.sim, three.two.ann, "ben"), ["the real one"]);
}

#[test]
fn sim_a_rewrapped_header_is_not_opened_and_spends_nothing() {
    let mut three = three(seed());
    // Class, lifetime, created hour, commitment: all are associated data.
    for offset in [1, 2, 7, 24] {
        let mut forged = three.real.clone();
        forged[offset] = if offset == 1 { 1 } else { forged[offset] ^ 1 };
        three.two.sim.send_raw(three.eve_wire, three.eve, &bundle_record(&forged));
    }
    three.two.sim.run_for(SECOND);
    assert_eq!(texts(&mut three.two.sim, three.two.ann, "ben"), [""; 0]);
    three.meet_ben();
    assert_eq!(texts(&mut three.two.sim, three.two.ann, "ben"), ["the real one"]);
}

#[test]
fn sim_expired_and_future_bundles_of_others_are_refused() {
    let mut three = three(seed());
    let hour = u32::from_be_bytes(three.real[4..8].try_into().unwrap());
    three.two.sim.take_records(three.eve);
    let before = status(&mut three.two.sim, three.two.ann).bundles;
    for created in [hour - 14 * 24, hour + 3, u32::MAX] {
        let mut other = three.real.clone();
        other[4..8].copy_from_slice(&created.to_be_bytes());
        three.two.sim.send_raw(three.eve_wire, three.eve, &bundle_record(&other));
    }
    three.two.sim.run_for(SECOND);
    let refused = three.two.sim.take_records(three.eve).into_iter().filter(|record| record[0] == 7);
    assert!(refused.map(|record| record[9]).eq([1, 1, 1]), "all for their time");
    assert_eq!(status(&mut three.two.sim, three.two.ann).bundles, before);
}

#[test]
fn sim_messages_delivered_newest_first_all_arrive() {
    const COUNT: usize = 1_000;
    let mut two = Two::contacts_over(seed(), Faults { rate: 100_000_000, ..Faults::NONE });
    // Ben has answered before, so the chain is open and a whole window fits it.
    two.sim.send(two.ben, "ann", "go on");
    two.sim.run_for(SECOND);
    let ann = two.ann;
    for round in 0..5 {
        let held = common::Heard::default();
        let ear = std::rc::Rc::clone(&held);
        two.sim.on_transmit(move |node, _, record| {
            let taken = node == ann && record[0] == 5;
            if taken {
                ear.borrow_mut().push((node, record.to_vec()));
            }
            !taken
        });
        for number in 0..COUNT {
            two.sim.send(ann, "ben", &format!("ann {}", round * COUNT + number));
        }
        two.sim.run_for(SECOND);
        let link = two.sim.link_of(two.wire, two.ben).unwrap();
        // As many as the windows let out at once, the newest of them first, until nothing more comes.
        loop {
            let taken: Vec<Vec<u8>> = held.borrow_mut().drain(..).map(|(_, record)| record).collect();
            if taken.is_empty() {
                break;
            }
            for record in taken.into_iter().rev() {
                two.sim.inject(two.ben, Input::Record { link, record });
            }
            two.sim.run_for(2 * SECOND);
        }
        two.sim.transmit_all();
    }
    two.sim.run_for(10 * SECOND);
    // A chain change: Ben answers, Ann's next chain begins.
    two.sim.send(two.ben, "ann", "all there");
    two.sim.run_for(SECOND);
    two.sim.send(ann, "ben", &format!("ann {}", 5 * COUNT));
    two.sim.run_for(5 * SECOND);
    two.expect_all(ann, 5 * COUNT + 1);
}
