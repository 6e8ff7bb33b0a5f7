//! Stops a node at every write and every commit in turn, and fills its disk at each: what was answered is never lost or doubled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::collections::BTreeMap;

use common::{SECOND, Two, bundles, listen, seed, texts};
use hedgerow_sync::{
    sim::{Faults, NodeId},
    store::memory::MemoryStore,
    view::{Answer, Command, ContactState},
};

/// What is done to a store, given the point.
type Fault = fn(&MemoryStore, u64);

/// A run from nothing to a talk, with a fault somewhere: what each side was promised.
struct Run {
    two: Two,
    promised: BTreeMap<NodeId, Vec<String>>,
    /// The contact's number at each side.
    number: BTreeMap<NodeId, String>,
    heard: common::Heard,
}

impl Run {
    /// Asks until it is answered, as a script does that gets no answer from a node that stopped.
    fn ask(&mut self, node: NodeId, command: &Command) -> Answer {
        for _ in 0..3 {
            if let Some(answer) = self.two.sim.ask(node, command.clone()) {
                return answer.expect("a good command");
            }
            self.two.sim.run_for(SECOND);
        }
        panic!("no answer after three restarts");
    }

    /// Writes once; if the node stopped meanwhile, the message may be there or not, and nothing is promised.
    fn write(&mut self, node: NodeId, text: &str) {
        let command = Command::Send { contact: self.number[&node].clone(), text: text.into(), id: None, urgent: false };
        if let Some(Ok(_)) = self.two.sim.ask(node, command) {
            self.promised.entry(node).or_default().push(text.to_owned());
        }
    }
}

fn run(seed: u64, set: impl FnOnce(&Two)) -> Run {
    let mut two = Two::strangers(seed, Faults::NONE);
    let heard = listen(&mut two.sim);
    set(&two);
    let (ann, ben) = (two.ann, two.ben);
    let mut run = Run { two, promised: BTreeMap::new(), number: BTreeMap::new(), heard };
    let Answer::Invitation(invitation) = run.ask(ann, &Command::Invite { hours: 48 }) else { panic!("no invitation") };
    run.number.insert(ann, invitation.contact.0.to_string());
    let Answer::Added(added) = run.ask(ben, &Command::AddContact { link: invitation.link, alias: None, message: None }) else {
        panic!("not added")
    };
    run.number.insert(ben, added.contact.0.to_string());
    run.write(ben, "b0");
    run.two.sim.run_for(5 * SECOND);
    run.write(ann, "a0");
    run.write(ben, "b1");
    run.two.sim.run_for(SECOND);
    run.two.sim.cut(run.two.wire);
    for number in 1..4 {
        run.write(ann, &format!("a{number}"));
    }
    run.two.sim.mend(run.two.wire);
    run.two.sim.run_for(5 * SECOND);
    let _ = run
        .two
        .sim
        .ask(ben, Command::Messages { contact: added.contact.0.to_string(), since: None, before: None, limit: None, mark_read: true });
    run.write(ben, "b2");
    run.two.sim.run_for(5 * SECOND);
    run
}

/// Everything promised is there, nothing twice, both are contacts, and no tag ever left with two bundles.
fn check(run: &mut Run, what: &str) {
    let (ann, ben) = (run.two.ann, run.two.ben);
    for (node, other) in [(ann, ben), (ben, ann)] {
        let number = run.number[&other].clone();
        let known = common::contacts(&mut run.two.sim, other).into_iter().find(|contact| contact.contact.0.to_string() == number);
        assert!(known.as_ref().is_some_and(|contact| contact.state == ContactState::Established), "{what}: {known:?}");
        let got = texts(&mut run.two.sim, other, &number);
        for text in run.promised.get(&node).into_iter().flatten() {
            let times = got.iter().filter(|other| *other == text).count();
            assert_eq!(times, 1, "{what}: {text} came {times} times; {got:?}");
        }
    }
    no_number_twice(run, what);
}

/// Two bundles under one tag would be two messages under one number.
fn no_number_twice(run: &Run, what: &str) {
    for node in [run.two.ann, run.two.ben] {
        let mut by_tag: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for bundle in bundles(&run.heard, node) {
            let first = by_tag.entry(bundle[8..24].to_vec()).or_insert_with(|| bundle.clone());
            assert!(*first == bundle, "{what}: a tag left with two bundles");
        }
    }
}

/// Repeats the run with a fault at every `step`-th point of either side, as `count` counts them.
fn at_each_point(fault: Fault, count: fn(&MemoryStore) -> u64, step: u64) {
    let seed = seed();
    for side in 0..2 {
        let store = |two: &Two| [&two.ann_store, &two.ben_store][side].handle();
        let mut first = 0;
        let mut quiet = run(seed, |two| first = count(&store(two)));
        let points = count(&store(&quiet.two)) - first;
        check(&mut quiet, "without a fault");
        assert!(points > 30, "the run writes enough to be worth it: {points}");
        for point in (1..=points).step_by(usize::try_from(step).unwrap()) {
            let what = format!("seed {seed}, side {side}, point {point} of {points}");
            let mut run = run(seed, |two| fault(&store(two), point));
            let node = [run.two.ann, run.two.ben][side];
            assert_eq!(run.two.sim.restarts(node), 1, "{what}");
            check(&mut run, &what);
        }
    }
}

#[test]
fn kill_at_each_commit_keeps_acked() {
    at_each_point(MemoryStore::crash_after_writes, MemoryStore::point_count, 1);
}

#[test]
fn kill_behind_each_commit_keeps_acked() {
    at_each_point(MemoryStore::crash_past_commits, MemoryStore::commit_count, 1);
}

#[test]
fn disk_full_at_writes_keeps_acked() {
    // A full disk and a crash differ only in how the engine hears of it: every fifth point is enough.
    at_each_point(MemoryStore::fail_full_after, MemoryStore::point_count, 5);
}
