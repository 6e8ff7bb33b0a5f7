use std::{ops::ControlFlow, time::Duration};

use hedgerow_transports::LinkId;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    poison::{Supply, unopenable},
    *,
};
use crate::{
    id::{BeaconId, BundleId},
    session::{Role, SessionInfo, ShortIds},
    sim::{
        Faults,
        faults::FaultMix,
        hostile::{Moment, Puppeteer},
        profile::Profile,
        replay::{self, Outcome, Plan},
        trace::Contact,
        workload::Letter,
    },
    time::Hour,
    wire::{
        bundle::{BUNDLE_HEADER_LEN, Bundle, Class, Lifetime},
        record::{Hello, Record},
    },
};

const HOUR: Hour = Hour(498_702);
const LETTER: u32 = 500;
/// What a letter of so many bytes takes.
const BUNDLE: u64 = 1_024;

/// Everybody meets everybody for half a minute, one pair after another, so many times; then the first three once more.
fn rounds(nodes: u32, rounds: u32) -> Trace {
    let pairs: Vec<(u32, u32)> = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b))).collect();
    let again = [(0, 1), (1, 2), (0, 2)];
    let all = (0..rounds).flat_map(|_| pairs.iter()).chain(&again);
    let contacts = all.zip(0..).map(|(&(a, b), turn)| Contact { start: 40 * turn, end: 40 * turn + 30, a, b });
    Trace { name: "rounds".into(), nodes, contacts: contacts.collect() }
}

/// Letters from each but the attackers to the next of them, in the first half of the trace.
fn letters(trace: &Trace, each: u32) -> Workload {
    let (first, others) = (ATTACKERS as u32, trace.nodes - ATTACKERS as u32);
    let step = trace.length() / 2 / (each * others);
    let letters = (0..each * others).map(|number| Letter {
        created: number * step,
        src: first + number % others,
        dst: first + (number + 1 + number / others % (others - 1)) % others,
        size: LETTER,
    });
    Workload { letters: letters.collect() }
}

fn run(assault: Assault, store_bytes: u64) -> Outcome {
    let trace = rounds(8, 4);
    let workload = letters(&trace, 20);
    replay(trace, workload, assault, store_bytes)
}

fn replay(trace: Trace, workload: Workload, assault: Assault, store_bytes: u64) -> Outcome {
    let plan = Plan {
        trace: Arc::new(trace),
        workload: Arc::new(workload),
        profile: Profile::BleGood,
        faults: FaultMix::none(),
        assault: Some(assault),
        checked: true,
        store_bytes,
        seed: 1,
        config: assault.config(),
    };
    let outcome = replay::run(&plan, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(outcome.violation, None, "{assault:?}");
    outcome
}

#[test]
fn letters_of_attackers_are_not_written_and_shift_nobody_elses() {
    let trace = rounds(8, 4);
    let mut workload = letters(&trace, 20);
    let count = workload.letters.len();
    let created = trace.length() / 2;
    workload.letters.insert(0, Letter { created, src: 0, dst: 5, size: LETTER });
    let outcome = replay(trace, workload, on(Abuse::Absent), 20 << 20);
    assert_eq!(outcome.workload.letters.len(), count);
    let too_early = |(letter, arrival): &(&Letter, &Option<Duration>)| {
        arrival.is_some_and(|arrival| arrival < Duration::from_secs(letter.created.into()))
    };
    assert_eq!(outcome.workload.letters.iter().zip(&outcome.arrivals).filter(too_early).count(), 0);
    assert_eq!(delivered(&outcome), count, "all meet in time");
}

fn delivered(outcome: &Outcome) -> usize {
    outcome.arrivals.iter().flatten().count()
}

fn on(abuse: Abuse) -> Assault {
    Assault { abuse, defended: true }
}

/// An attacker with two open sessions, in both of which HELLO was said.
fn attacker(abuse: Abuse, workload: &Workload) -> (Attacker, [ShortIds; 2]) {
    let mut attacker = Attacker::new(abuse, workload, [0, 1], 1);
    let shorts = [1, 2].map(|number| {
        let info = SessionInfo { role: Role::Responder, hash: [number; 32], version: 1 };
        let link = LinkId(number.into());
        assert_eq!(attacker.greet(link, &info, at(0)).len(), 1, "HELLO alone");
        let hello = Hello { beacon: BeaconId([number; 8]), hour: HOUR, window: 1 << 20, carries: true };
        let said = attacker.answer(link, &Record::Hello(hello).encode(), at(0));
        assert!(said.is_empty(), "who is dialled waits");
        ShortIds::new(&info.hash)
    });
    (attacker, shorts)
}

fn at(seconds: u64) -> Moment {
    Moment { elapsed: Duration::from_secs(seconds), hour: HOUR }
}

/// Gives an attacker a bundle on its first link; what it says there, and then on the second to PING.
fn give(attacker: &mut Attacker, bytes: &[u8]) -> [Vec<Record>; 2] {
    let bundle = Record::Bundle { age: 1, copies: 9, bytes: bytes.to_vec() };
    [(1, bundle), (2, Record::Ping)].map(|(link, record)| {
        let said = attacker.answer(LinkId(link), &record.encode(), at(10));
        said.iter().map(|record| Record::decode(record).unwrap()).collect()
    })
}

fn honest() -> Vec<u8> {
    unopenable(1_024, Class::Normal, HOUR, &mut ChaCha20Rng::seed_from_u64(7))
}

fn bundles(said: &[Record]) -> Vec<(u16, Bundle)> {
    let bundle = |record: &Record| match record {
        Record::Bundle { age, bytes, .. } => Some((*age, Bundle::decode(bytes.clone()).unwrap())),
        _ => None,
    };
    said.iter().filter_map(bundle).collect()
}

#[test]
fn those_who_meet_most_attack_and_two_others_are_left() {
    assert_eq!(attackers(&rounds(8, 1)), [0, 1, 2]);
    let contact = |a, b| Contact { start: 0, end: 9, a, b };
    let trace = |nodes, contacts: &[(u32, u32)]| Trace {
        name: String::new(),
        nodes,
        contacts: contacts.iter().map(|&(a, b)| contact(a, b)).collect(),
    };
    assert_eq!(attackers(&trace(6, &[(1, 5), (4, 5), (2, 4)])), [4, 5, 1]);
    assert_eq!(attackers(&trace(3, &[(1, 2)])), [1]);
    assert!(attackers(&trace(2, &[(0, 1)])).is_empty());
}

#[test]
fn only_letters_and_contacts_between_the_others_count() {
    let letter = |src, dst| Letter { created: 0, src, dst, size: 1 };
    let workload = Arc::new(Workload { letters: vec![letter(0, 3), letter(3, 4), letter(4, 1), letter(4, 3)] });
    assert_eq!(between_others(&workload, &[0, 1]).letters, [letter(3, 4), letter(4, 3)]);
    let left = without(&rounds(5, 1), &[0, 1, 2]).contacts;
    assert_eq!(left.iter().map(|contact| (contact.a, contact.b)).collect::<Vec<_>>(), [(3, 4)]);
}

#[test]
fn abuses_are_found_by_their_names() {
    assert_eq!("all".parse::<Abuses>().unwrap().0.len(), Abuse::ALL.len());
    for (name, abuse) in Abuse::ALL {
        assert_eq!(name.parse(), Ok(Abuses(vec![abuse])));
        assert_eq!(abuse.to_string(), name);
    }
    for wrong in ["", "Flood", "flood,urgent", "none"] {
        assert!(wrong.parse::<Abuses>().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_supply_is_six_times_the_honest_bundles_within_their_span_and_shared_by_all() {
    let letter = |created, size| Letter { created, src: 0, dst: 1, size };
    let workload = Workload { letters: vec![letter(100, 500), letter(900, 10_000)] };
    let mut sizes = Vec::new();
    for turn in 0..3 {
        let mut supply = Supply::of(&workload, [turn, 3], &mut ChaCha20Rng::seed_from_u64(turn as u64));
        assert_eq!(supply.next(Duration::from_secs(99)), None, "before the first letter");
        let own: Vec<usize> = std::iter::from_fn(|| supply.next(Duration::from_secs(900))).collect();
        assert!(own.len() >= 10, "each has its part: {own:?}");
        sizes.extend(own);
    }
    sizes.sort_unstable();
    // A letter of 10,000 bytes: three chunks and what names them.
    assert_eq!(sizes, [vec![1_024; 6], vec![4_096; 6 * 4]].concat());
}

#[test]
fn aged_bundles_are_handed_on_as_nearly_over() {
    let (mut attacker, [first, _]) = attacker(Abuse::Aged, &Workload { letters: Vec::new() });
    let bytes = honest();
    let id = BundleId::of(&bytes);
    let [answer, elsewhere] = give(&mut attacker, &bytes);
    assert_eq!(answer, [Record::Stored(vec![first.short(&id)])]);
    let [(age, bundle)] = &bundles(&elsewhere)[..] else { panic!("{elsewhere:?}") };
    assert_eq!((u32::from(*age), bundle.bytes()), (Lifetime::Fortnight.hours() - 1, &bytes[..]));
}

#[test]
fn tags_are_copied_into_garbage_and_the_original_is_dropped() {
    let (mut attacker, [first, _]) = attacker(Abuse::CopiedTags, &Workload { letters: Vec::new() });
    let bytes = honest();
    let [answer, elsewhere] = give(&mut attacker, &bytes);
    assert_eq!(answer[0], Record::Stored(vec![first.short(&BundleId::of(&bytes))]));
    let copies = bundles(&elsewhere);
    let ids: std::collections::BTreeSet<_> = copies.iter().map(|(_, bundle)| bundle.id()).collect();
    assert_eq!((copies.len(), ids.len()), (8, 8));
    for (_, copy) in &copies {
        assert_eq!(copy.bytes()[..BUNDLE_HEADER_LEN], bytes[..BUNDLE_HEADER_LEN]);
        assert_ne!(copy.bytes(), bytes);
    }
    assert_eq!(attacker.tally().swallowed, 1);
}

#[test]
fn what_is_said_to_be_stored_is_dropped() {
    let (mut attacker, [first, _]) = attacker(Abuse::LyingStored, &Workload { letters: Vec::new() });
    let bytes = honest();
    let [answer, elsewhere] = give(&mut attacker, &bytes);
    assert_eq!(answer, [Record::Stored(vec![first.short(&BundleId::of(&bytes))])]);
    assert_eq!(elsewhere, [Record::Pong]);
    assert_eq!(attacker.tally(), Tally { swallowed: 1, ..Tally::default() });
}

#[test]
fn floods_take_nothing_and_are_of_their_class() {
    // Made while both sessions stand: what was made before goes by comparison.
    let workload = Workload { letters: vec![Letter { created: 5, src: 0, dst: 1, size: LETTER }] };
    for (abuse, class) in [(Abuse::Flood, Class::Normal), (Abuse::Urgent, Class::Urgent)] {
        let (mut attacker, _) = attacker(abuse, &workload);
        let [answer, elsewhere] = give(&mut attacker, &honest());
        assert!(matches!(&answer[0], Record::Refused(refused) if refused.len() == 1), "{answer:?}");
        for said in [answer, elsewhere] {
            let poison = bundles(&said);
            assert_eq!(poison.len(), FLOOD_FACTOR, "to everybody");
            assert!(poison.iter().all(|(_, bundle)| bundle.header().class == class));
        }
    }
}

#[test]
fn a_session_is_like_no_other() {
    let mut sim = Sim::new(1);
    let [(eve, _), (ann, _)] = ["eve", "ann"].map(|name| sim.node(name));
    sim.turn_against(eve, Box::new(Attacker::new(Abuse::LyingStored, &Workload { letters: Vec::new() }, [0, 1], 1)));
    let wire = sim.connect(ann, eve, Faults::NONE);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        sim.run_for(Duration::from_secs(2));
        assert!(sim.session_hash(wire, ann).is_some(), "a session stands");
        seen.insert(sim.beacon(eve));
        sim.cut(wire);
        sim.mend(wire);
    }
    assert_eq!(seen.len(), 5);
    let mut attacker = Attacker::new(Abuse::Flood, &Workload { letters: Vec::new() }, [0, 1], 1);
    let info = SessionInfo { role: Role::Responder, hash: [1; 32], version: 1 };
    let hellos = [1, 2].map(|link| attacker.greet(LinkId(link), &info, at(0)));
    assert_ne!(hellos[0], hellos[1], "HELLO has a beacon of its own too");
}

#[test]
fn a_flood_arrives_whole_and_the_same_for_one_seed() {
    let [one, same] = [(); 2].map(|()| run(on(Abuse::Flood), 1 << 20));
    let honest = one.workload.letters.len() as u64;
    assert_eq!((one.tally.made, one.tally.made_bytes), (6 * honest, 6 * honest * BUNDLE));
    assert!(one.tally.placed > one.tally.made, "most go to several: {:?}", one.tally);
    assert_eq!((one.log_hash, one.tally, &one.arrivals), (same.log_hash, same.tally, &same.arrivals));
    let quiet = run(on(Abuse::Carrying), 1 << 20);
    assert_eq!(quiet.tally, Tally::default());
    assert_ne!(quiet.log_hash, one.log_hash);
}

#[test]
fn a_flood_costs_no_more_with_the_defence_than_without() {
    let store = 40 * BUNDLE;
    let [with, without] = [true, false].map(|defended| run(Assault { abuse: Abuse::Flood, defended }, store));
    assert!(without.counts.evicted > 0, "stores are full");
    assert!(delivered(&with) >= delivered(&without), "{} and {}", delivered(&with), delivered(&without));
    assert!(delivered(&with) < with.workload.letters.len() || delivered(&without) > 0, "the runs say something");
}

#[test]
fn poison_that_is_no_flood_takes_next_to_nothing_where_there_is_room() {
    let absent = delivered(&run(on(Abuse::Absent), 16 << 20));
    assert!(absent > 0);
    for abuse in [Abuse::Aged, Abuse::CopiedTags, Abuse::LyingStored] {
        let outcome = run(on(abuse), 16 << 20);
        let did = if abuse == Abuse::LyingStored { outcome.tally.swallowed } else { outcome.tally.placed };
        assert!(did > 0, "{abuse} does something");
        assert!(delivered(&outcome) + 2 >= absent, "{abuse}: {} of {absent}", delivered(&outcome));
    }
}
