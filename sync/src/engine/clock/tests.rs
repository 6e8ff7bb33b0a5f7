use super::*;
use crate::time::UnixMillis;

const GOOD: u32 = RELEASE_HOUR + 500;
const YEAR: u32 = 8_766;
/// Midnight of 2100-01-01.
const IN_2100: u32 = 1_139_592;

/// A machine that runs, sleeps and restarts.
struct Machine {
    time: MeshTime,
    /// Running time, seconds; goes on at a restart as another driver's origin might not.
    running: u64,
    /// What its clock says, seconds.
    wall: u64,
}

impl Machine {
    fn at(hour: u32) -> Self {
        let time = MeshTime::load(at(0, hour), None).unwrap();
        Self { time, running: 0, wall: u64::from(hour) * 3600 }
    }

    /// One that has settled at this hour.
    fn settled_at(hour: u32) -> Self {
        let mut machine = Self::at(hour - 25);
        machine.run(25);
        assert_eq!(machine.settled(), Some(hour));
        machine
    }

    fn now(&self) -> Now {
        Now { mono: Instant::from_origin(Duration::from_secs(self.running)), wall: UnixMillis(self.wall * 1000) }
    }

    /// Runs for so many hours, and is looked at every ten minutes; whether a jump was noticed.
    fn run(&mut self, hours: u64) -> bool {
        let mut jumped = self.time.observe(self.now());
        for _ in 0..hours * 6 {
            self.running += 600;
            self.wall += 600;
            jumped |= self.time.observe(self.now());
        }
        jumped
    }

    /// Sleeps or has its clock set: the wall clock moves, running time does not.
    fn shift(&mut self, hours: i64) -> bool {
        self.wall = self.wall.saturating_add_signed(hours * 3600);
        self.time.observe(self.now())
    }

    fn restart(&mut self, hours_off: i64) {
        let saved = self.time.encode();
        self.wall = self.wall.saturating_add_signed(hours_off * 3600);
        self.running = 0;
        self.time = MeshTime::load(self.now(), Some(&saved)).unwrap();
    }

    fn meet(&mut self, contact: u32, hour: u32) {
        self.time.witness(self.now().mono, Some(ContactId(contact)), Hour(hour));
        self.time.observe(self.now());
    }

    fn meet_stranger(&mut self, hour: u32) {
        self.time.witness(self.now().mono, None, Hour(hour));
        self.time.observe(self.now());
    }

    fn read(&self) -> (Hour, ClockSource) {
        self.time.read(self.now())
    }

    fn settled(&self) -> Option<u32> {
        self.time.settled(self.now()).map(|hour| hour.0)
    }
}

fn at(seconds: u64, hour: u32) -> Now {
    Now { mono: Instant::from_origin(Duration::from_secs(seconds)), wall: UnixMillis(u64::from(hour) * 3_600_000) }
}

#[test]
fn a_plausible_system_clock_counts() {
    assert_eq!(Machine::at(GOOD).read(), (Hour(GOOD), ClockSource::System));
}

#[test]
fn clocks_at_1970_and_2100_are_not_believed() {
    for hour in [0, 5, IN_2100, u32::MAX] {
        let mut machine = Machine::at(hour);
        assert_eq!(machine.read(), (Hour::UNKNOWN, ClockSource::Unknown));
        machine.meet(1, GOOD);
        machine.run(2);
        assert_eq!(machine.read(), (Hour(GOOD + 2), ClockSource::Contacts));
    }
    let far = Now { mono: Instant::ZERO, wall: UnixMillis(u64::from(GOOD) * 3_600_000 + (1 << 32) * 3_600_000) };
    assert_eq!(MeshTime::load(far, None).unwrap().read(far).0, Hour::UNKNOWN, "an hour beyond 32 bits is no plausible one");
}

#[test]
fn a_stranger_or_a_contact_at_2100_moves_nothing() {
    for hour in [5, GOOD] {
        let mut machine = Machine::at(hour);
        let before = machine.read().1;
        for contact in 0..20 {
            machine.meet_stranger(IN_2100);
            machine.meet(contact, IN_2100);
            machine.run(6);
        }
        assert_eq!(machine.read().1, before);
    }
}

#[test]
fn strangers_count_only_together_and_over_a_day() {
    let mut machine = Machine::at(5);
    for _ in 0..5 {
        machine.meet_stranger(GOOD);
    }
    machine.run(24);
    assert_eq!(machine.read().1, ClockSource::Unknown);
    for met in 1..5 {
        assert_eq!(machine.read().1, ClockSource::Unknown, "after {met}");
        machine.meet_stranger(GOOD + 24 + (met - 1) * 6);
        machine.run(6);
    }
    assert_eq!(machine.read(), (Hour(GOOD + 48), ClockSource::Strangers));
}

#[test]
fn five_strangers_late_do_not_set_the_hour() {
    let mut machine = Machine::at(5);
    machine.meet_stranger(GOOD);
    machine.run(25);
    for _ in 0..5 {
        machine.meet_stranger(GOOD + YEAR);
        machine.meet_stranger(GOOD + YEAR);
    }
    assert_eq!(machine.read().1, ClockSource::Unknown);
}

#[test]
fn strangers_never_move_a_clock_that_contacts_set_though_it_restarts() {
    let mut machine = Machine::at(5);
    machine.meet(1, GOOD);
    machine.restart(0);
    for met in 0..6 {
        machine.meet_stranger(GOOD + YEAR + met * 6);
        machine.run(6);
    }
    assert_eq!(machine.read().1, ClockSource::Unknown);
    machine.meet(1, GOOD + 400);
    assert_eq!(machine.read(), (Hour(GOOD + 400), ClockSource::Contacts));
}

#[test]
fn two_contacts_do_not_contradict_a_plausible_clock_but_three_who_agree_do() {
    let mut machine = Machine::at(GOOD);
    for contact in [1, 2, 2, 1] {
        machine.meet(contact, GOOD + 100);
    }
    machine.meet(3, GOOD);
    machine.meet(4, GOOD + 1);
    assert_eq!(machine.read().1, ClockSource::System);
    machine.meet(5, GOOD + 102);
    assert_eq!(machine.read(), (Hour(GOOD + 100), ClockSource::Contacts));
}

#[test]
fn contacts_who_disagree_with_each_other_contradict_nothing() {
    let mut machine = Machine::at(GOOD);
    for (contact, hour) in [(1, GOOD + 100), (2, GOOD + 103), (3, GOOD + 106), (4, GOOD + 10_000), (5, RELEASE_HOUR)] {
        machine.meet(contact, hour);
    }
    assert_eq!(machine.read(), (Hour(GOOD), ClockSource::System));
}

#[test]
fn three_colluding_contacts_settle_nothing_for_a_day() {
    let mut machine = Machine::settled_at(GOOD);
    for contact in 1..=3 {
        machine.meet(contact, GOOD + YEAR);
    }
    assert_eq!(machine.read().0, Hour(GOOD + YEAR));
    machine.run(23);
    assert_eq!(machine.settled(), Some(GOOD + 23));
    // An honest majority of the newest five ends it, before anything went.
    for contact in 4..=6 {
        machine.meet(contact, GOOD + 23);
    }
    machine.run(48);
    assert_eq!(machine.read(), (Hour(GOOD + 71), ClockSource::System));
    assert_eq!(machine.settled(), Some(GOOD + 71));
}

#[test]
fn a_new_profile_settles_after_a_day_of_running_time() {
    let mut machine = Machine::at(GOOD);
    machine.run(23);
    assert_eq!(machine.settled(), None);
    machine.run(2);
    assert_eq!(machine.settled(), Some(GOOD + 25));
}

#[test]
fn a_jump_is_noticed_and_settles_after_a_day() {
    let mut machine = Machine::settled_at(GOOD);
    assert!(!machine.run(30), "nothing jumps by itself");
    assert!(machine.shift(800));
    assert_eq!(machine.settled(), Some(GOOD + 30));
    machine.run(23);
    assert_eq!(machine.settled(), Some(GOOD + 53), "what had expired by then still goes");
    machine.run(2);
    assert_eq!(machine.settled(), Some(GOOD + 855));
}

#[test]
fn a_clock_set_back_takes_settled_time_with_it() {
    let mut machine = Machine::settled_at(GOOD + YEAR);
    assert!(machine.shift(-i64::from(YEAR)));
    assert_eq!(machine.settled(), Some(GOOD));
    machine.shift(i64::from(YEAR));
    assert_eq!(machine.settled(), Some(GOOD), "it does not come back without a day's wait");
    machine.run(23);
    machine.shift(-i64::from(YEAR));
    machine.run(2);
    assert_eq!(machine.settled(), Some(GOOD + 25));
}

#[test]
fn a_day_of_suspension_does_not_make_witnesses_contradict_a_right_clock() {
    let mut machine = Machine::settled_at(GOOD);
    for contact in 1..=5 {
        machine.meet(contact, GOOD);
    }
    machine.shift(24);
    assert_eq!(machine.read(), (Hour(GOOD + 24), ClockSource::System));
}

#[test]
fn a_year_forward_settles_nothing_for_a_day_though_it_restarts_every_hour() {
    let mut machine = Machine::settled_at(GOOD);
    machine.shift(i64::from(YEAR));
    for hour in 0..23 {
        assert_eq!(machine.settled(), Some(GOOD + hour));
        machine.run(1);
        machine.restart(0);
    }
    machine.run(2);
    assert_eq!(machine.settled(), Some(GOOD + YEAR + 25), "restarts don't begin the day again");
}

#[test]
fn a_laptop_switched_off_every_night_settles_within_days() {
    for hours_on in [3_i64, 8, 12, 20] {
        let mut machine = Machine::settled_at(GOOD);
        let mut worst = 0;
        for day in 0..60 {
            machine.restart(24 - hours_on);
            machine.run(hours_on as u64);
            if day > 20 {
                worst = worst.max(machine.read().0.0 - machine.settled().unwrap());
            }
        }
        let days = worst.div_ceil(24);
        assert!(i64::from(days) <= 2 * (24 / hours_on + 1), "on for {hours_on} h a day, settled {days} days late");
    }
}

#[test]
fn a_laptop_that_sleeps_every_night_settles_within_days() {
    let mut machine = Machine::settled_at(GOOD);
    for _ in 0..30 {
        assert!(machine.shift(16));
        machine.run(8);
    }
    assert!(machine.read().0.0 - machine.settled().unwrap() <= 7 * 24);
}

#[test]
fn short_naps_do_not_hold_settled_time_back_for_long() {
    let mut machine = Machine::settled_at(GOOD);
    for _ in 0..200 {
        machine.shift(1);
        machine.run(1);
    }
    assert!(machine.read().0.0 - machine.settled().unwrap() <= 60);
}

#[test]
fn contacts_cannot_walk_settled_time_in_small_steps() {
    let mut machine = Machine::at(5);
    machine.meet(1, GOOD);
    machine.run(25);
    let settled = machine.settled().unwrap();
    for step in 1..100 {
        machine.meet(1, GOOD + 25 + 2 * step);
    }
    assert!(machine.settled().unwrap() <= settled + 2);
}

#[test]
fn running_hours_go_on_over_restarts_and_jumps() {
    let mut machine = Machine::at(5);
    machine.run(10);
    machine.restart(5_000);
    machine.run(10);
    machine.shift(-3_000);
    assert_eq!(machine.time.running_hours(), 20);
}

#[test]
fn the_state_is_saved_now_and_then_and_at_once_when_it_changed() {
    let mut machine = Machine::settled_at(GOOD);
    machine.time.poll_state();
    assert_eq!(machine.time.poll_state(), None);
    machine.running += 299;
    machine.wall += 299;
    machine.time.observe(machine.now());
    assert_eq!(machine.time.poll_state(), None);
    machine.shift(100);
    assert!(machine.time.poll_state().is_some());
    machine.running += 300;
    machine.wall += 300;
    machine.time.observe(machine.now());
    assert!(machine.time.poll_state().is_some());
}

#[test]
fn a_damaged_state_is_refused() {
    let good = Machine::settled_at(GOOD).time.encode();
    for bad in [&good[..good.len() - 1], &[], &[&[2], &good[1..]].concat()] {
        assert!(MeshTime::load(at(0, GOOD), Some(bad)).is_err());
    }
}

#[test]
fn people_are_told_of_the_last_jump_and_of_how_far_the_clock_is_trusted() {
    let mut machine = Machine::settled_at(GOOD);
    let view = |machine: &Machine| machine.time.view(machine.now());
    assert_eq!((view(&machine).jump, view(&machine).settles_in_hours), (None, None));
    machine.shift(2);
    assert_eq!(view(&machine).jump, None, "not more than two hours");
    machine.run(1);
    machine.shift(9_000);
    let jump = ClockJump { at: UnixMillis(u64::from(GOOD + 3 + 9_000) * 3_600_000), hours: 9_000 };
    assert_eq!((view(&machine).jump, view(&machine).settles_in_hours), (Some(jump), Some(24)));
    machine.restart(0);
    assert_eq!(view(&machine).jump, Some(jump), "it outlives the program");
    machine.shift(-9_000);
    assert_eq!(view(&machine).jump.map(|jump| jump.hours), Some(-9_000));
    for (contact, hours) in [(1, 500), (2, 500), (3, 501)] {
        machine.meet(contact, GOOD + hours);
    }
    let seen = view(&machine);
    assert_eq!((seen.source, seen.jump.map(|jump| jump.hours > 400)), (ClockSource::Contacts, Some(true)));
    assert!(seen.trust.contains("contradict"), "{}", seen.trust);
    let fresh = view(&Machine::at(5));
    assert_eq!((fresh.source, fresh.settles_in_hours, fresh.jump), (ClockSource::Unknown, None, None));
}
