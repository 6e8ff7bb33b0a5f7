use super::{
    super::{
        profile::Profile,
        trace::{Contact, Trace},
        workload::Letter,
    },
    *,
};

/// Who listens to everybody, and those in a ring, of whom each writes to the one opposite.
const LISTENER: u32 = 6;

/// A ring of six for two hours, and one who is linked to all of them; letters from the fifth minute on.
fn ring(letters: u32) -> Plan {
    const LENGTH: u32 = 7_200;
    let whole = |a: u32, b: u32| Contact { start: 0, end: LENGTH, a: a.min(b), b: a.max(b) };
    let around = (0..LISTENER).map(|a| whole(a, (a + 1) % LISTENER));
    let mut contacts: Vec<Contact> = around.chain((0..LISTENER).map(|a| whole(a, LISTENER))).collect();
    contacts.sort_unstable();
    let letter = |number: u32| {
        let src = number * 5 % LISTENER;
        Letter { created: 300 + number * 6_600 / letters, src, dst: (src + 3) % LISTENER, size: 200 }
    };
    Plan {
        trace: Arc::new(Trace { name: "ring".into(), nodes: LISTENER + 1, contacts }),
        workload: Arc::new(Workload { letters: (0..letters).map(letter).collect() }),
        profile: Profile::Lan,
        faults: crate::sim::FaultMix::none(),
        assault: None,
        checked: false,
        store_bytes: 20_000_000,
        seed: 1,
        config: EngineConfig::default(),
    }
}

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn row<'a>(rows: &'a [Row], question: &str) -> &'a Row {
    rows.iter().find(|row| row.question == question).unwrap_or_else(|| panic!("no row {question:?} in {rows:#?}"))
}

#[test]
fn a_listener_finds_nothing_repeated_until_something_is() {
    let plan = ring(8);
    let rows = passive::run(&plan, None, &mut on).unwrap();
    for question in ["strings repeated, openings", "strings repeated, all else"] {
        let Rate { of, right, .. } = row(&rows, question).rate;
        assert!(of > 10_000 && right == 0.0, "{question}: {right} of {of}");
    }
    let leaky = passive::run(&plan, Some(*b"betrayer"), &mut on).unwrap();
    assert!(row(&leaky, "strings repeated, all else").rate.right > 0.0, "eight bytes in each session are seen");
}

#[test]
fn openings_tell_a_listener_neither_kind_nor_device_and_the_moment_of_writing_tells_the_writer() {
    let rows = passive::run(&ring(24), None, &mut on).unwrap();
    for question in ["contacts or strangers, by the opening", "which device, by its opening records"] {
        let row = row(&rows, question);
        assert!(row.rate.of > 5 && row.rate.allows(row.guess), "{row}");
    }
    let writer = row(&rows, "writer, linked while writing");
    assert!(writer.rate.low > writer.guess, "the estimator sees what is there: {writer}");
}

#[test]
fn the_first_to_show_is_the_writer_without_the_rules_and_seldom_with_them() {
    let attackers = BTreeSet::from([LISTENER]);
    let writers = |rules| {
        let rows = strangers::run(&ring(64), &attackers, rules, &mut on).unwrap();
        row(&rows, "writer, the first to show the bundle").clone()
    };
    let (with, without) = (writers(Rules::All), writers(Rules::None));
    println!("{with}\n{without}");
    assert!(without.rate.of > 40 && with.rate.of > 40, "all is seen sooner or later");
    assert!(without.rate.right > 0.9, "{without}");
    assert!(with.rate.right < 0.5, "{with}");
}

#[test]
fn a_reader_that_lets_go_or_acks_at_once_is_named() {
    let attackers = BTreeSet::from([LISTENER]);
    let run = |rules| strangers::run(&ring(64), &attackers, rules, &mut on).unwrap();
    let ack = |rules| row(&run(rules), "reader, the first to tell the ack").clone();
    let (late, at_once) = (ack(Rules::All), ack(Rules::NoAckDelay));
    println!("{late}\n{at_once}");
    assert!(at_once.rate.right > 0.9 && at_once.rate.of > 40, "{at_once}");
    assert!(late.rate.right < 0.8, "{late}");
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let run = |attack| super::run(&ring(6), attack, 1, &mut |_, _| ControlFlow::Continue(())).unwrap();
    for attack in [Attack::Passive, Attack::Active] {
        assert_eq!(run(attack), run(attack));
    }
}

#[test]
fn a_run_that_is_broken_off_gives_no_rows() {
    for attack in [Attack::Passive, Attack::Active] {
        assert!(super::run(&ring(2), attack, 1, &mut |_, _| ControlFlow::Break(())).is_none());
    }
}

#[test]
fn marks_show_which_device_it_is() {
    // Somebody who comes to each of four every quarter of an hour, for half a minute.
    let meeting = |number: u32| Contact { start: number * 225, end: number * 225 + 30, a: number % 4, b: 4 };
    let trace = Trace { name: "rounds".into(), nodes: 5, contacts: (0..40).map(meeting).collect() };
    let plan = Plan { trace: Arc::new(trace), workload: Arc::new(Workload { letters: Vec::new() }), ..ring(1) };
    let rows = marks::run(&plan, &BTreeSet::from([4]), "", &mut on).unwrap();
    for question in ["which device, by marks carried", "which device, by marks acked at once"] {
        let row = row(&rows, question);
        assert!(row.rate.of > 25 && row.rate.right > 0.99 && (row.guess - 0.25).abs() < 1e-9, "{row}");
    }
    assert_eq!(row(&rows, "carried, held: known again").rate.right, 1.0);
    assert_eq!(row(&rows, "acked at once, acknowledged: known, and of this device").rate.right, 1.0);
}
