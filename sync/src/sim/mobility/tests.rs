use proptest::prelude::*;

use super::*;
use crate::sim::oracle::earliest;
use crate::sim::report::Delays;
use crate::sim::workload::Workload;

fn of(text: &str) -> Mobility {
    text.parse().unwrap()
}

/// The trace as its file would be; reading it finds whatever is wrong with it.
fn csv(trace: &Trace) -> String {
    let rows = trace.contacts.iter().map(|contact| format!("{},{},{},{}\n", contact.start, contact.end, contact.a, contact.b));
    std::iter::once("start_s,end_s,node_a,node_b\n".to_owned()).chain(rows).collect()
}

#[test]
fn a_description_is_read_and_shown() {
    assert_eq!(of("camp"), Mobility::new(Model::Camp));
    assert_eq!(of("march:hours=3"), Mobility { hours: 3, ..Mobility::new(Model::March) });
    assert_eq!(of("city:seed=18446744073709551615,nodes=2000,hours=50").to_string(), "city:nodes=2000,hours=50,seed=18446744073709551615");
    assert_eq!(of("village").to_string(), "village:nodes=150,hours=96,seed=1");
}

#[test]
fn a_bad_description_says_what_is_wrong() {
    let error = |text: &str| text.parse::<Mobility>().unwrap_err();
    for text in ["", "Camp", "camping", " camp"] {
        assert_eq!(error(text), MobilityError::UnknownModel(text.to_owned()));
    }
    for part in ["", "nodes", "nodes=", "nodes=ten", "nodes=+10", "nodes=-1", "people=10", "nodes=99999999999", "nodes =10"] {
        assert_eq!(error(&format!("camp:{part}")), MobilityError::UnknownPart(part.to_owned()));
    }
    assert_eq!((error("camp:nodes=9"), error("camp:nodes=2001")), (MobilityError::Nodes, MobilityError::Nodes));
    assert_eq!((error("camp:hours=0"), error("camp:hours=721")), (MobilityError::Hours, MobilityError::Hours));
    assert_eq!(error("camp:nodes=2000,hours=51"), MobilityError::TooMuch);
}

#[test]
fn in_a_camp_people_meet_most_of_the_others_and_sleep_beside_the_same() {
    let trace = of("camp:nodes=60,hours=24").trace();
    let pairs: std::collections::BTreeSet<_> = trace.contacts.iter().map(|contact| (contact.a, contact.b)).collect();
    assert!(pairs.len() > 60 * 59 / 4, "{} pairs", pairs.len());
    let longest = trace.contacts.iter().max_by_key(|contact| contact.end - contact.start).unwrap();
    assert!(longest.end - longest.start > 6 * HOUR, "a night in one tent");
    assert_eq!(longest.a / 5, longest.b / 5, "of one tent");
}

#[test]
fn on_a_march_neighbours_are_many_and_change_slowly() {
    let trace = of("march:nodes=100,hours=2").trace();
    let degree = |now: u32| trace.contacts.iter().filter(|contact| (contact.start..contact.end).contains(&now)).count() * 2 / 100;
    assert!((10..60).contains(&degree(3_600)), "{} in reach", degree(3_600));
    let mut lengths: Vec<u32> = trace.contacts.iter().map(|contact| contact.end - contact.start).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!((60..3_600).contains(&median), "{median} s");
}

#[test]
fn in_a_city_districts_meet_on_weekdays_only() {
    let trace = of("city:nodes=90,hours=168").trace();
    let district = |node: u32| node / 3 % 6;
    let strangers = |day: u32| {
        let day = (day * 24 - 6) * HOUR..((day + 1) * 24 - 6) * HOUR;
        trace.contacts.iter().filter(|contact| day.contains(&contact.start) && district(contact.a) != district(contact.b)).count()
    };
    assert!(strangers(2) > 50, "{} on a Wednesday", strangers(2));
    assert_eq!(strangers(6), 0, "on a Sunday");
}

#[test]
fn between_villages_mail_goes_by_bus() {
    let trace = of("village:nodes=80,hours=72").trace();
    let village = |node: u32| node / 4 % 5;
    let driver = trace.contacts.iter().filter(|contact| contact.a == 0).count();
    assert!(driver > 50, "the driver meets {driver}");
    let abroad = trace.contacts.iter().filter(|contact| contact.a != 0 && village(contact.a) != village(contact.b)).count();
    let at_home = trace.contacts.iter().filter(|contact| contact.a != 0 && village(contact.a) == village(contact.b)).count();
    assert!(0 < abroad && abroad * 5 < at_home, "{abroad} abroad, {at_home} at home");
    let workload = Workload::draw(&trace, 200, 1);
    let delivered = Delays::within(&workload, &earliest(&trace, &workload, std::time::Duration::from_secs(3)), None).ratio();
    assert!(delivered > 0.9, "{delivered}");
}

#[test]
fn every_model_makes_a_trace_of_its_full_length() {
    for model in Model::ALL {
        let mobility = Mobility { nodes: 40, hours: 12, ..Mobility::new(model) };
        let length = mobility.trace().length();
        assert!((11 * HOUR..=12 * HOUR).contains(&length), "{mobility}: {length} s");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn traces_are_valid_and_the_same_for_the_same_seed(model in 0..4_usize, nodes in 10_u32..40, hours in 1_u32..30, seed: u64) {
        let mobility = Mobility { model: Model::ALL[model], nodes, hours, seed };
        let trace = mobility.trace();
        let read = Trace::parse(&trace.name, &csv(&trace)).map_err(|error| TestCaseError::fail(format!("{mobility}: {error}")))?;
        prop_assert_eq!(&read.contacts, &trace.contacts);
        prop_assert!(read.nodes <= nodes && trace.nodes == nodes && trace.length() <= hours * HOUR);
        prop_assert_eq!(trace.contacts.first().map(|contact| contact.start), Some(0));
        prop_assert_eq!(mobility.trace(), trace);
    }
}
