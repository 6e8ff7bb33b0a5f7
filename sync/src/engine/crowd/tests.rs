use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;

const PLACES: usize = max_links(TransportKind::Lan);
const NOW: Instant = Instant::from_origin(Duration::from_secs(3600));

const fn contact(number: u32) -> Claim {
    Claim::Contact(ContactId(number))
}

const fn invited(number: u32) -> Claim {
    Claim::Invited { id: ContactId(number), repair: false }
}

const fn repair(number: u32) -> Claim {
    Claim::Invited { id: ContactId(number), repair: true }
}

/// A link that opened at this second and has moved nothing since.
const fn holder(link: u64, claim: Claim, opened: u64) -> Holder {
    let opened = Instant::from_origin(Duration::from_secs(opened));
    Holder { link: LinkId(link), claim, carries: true, idle: true, useful: opened, opened }
}

/// Twelve places: so many strangers who dialled and whom we dialled, the rest contacts.
fn full(inbound: u64, outbound: u64) -> Vec<Holder> {
    let claim = |link| match link {
        link if link < inbound => Claim::Inbound,
        link if link < inbound + outbound => Claim::Outbound,
        link => contact(link as u32),
    };
    (0..PLACES as u64).map(|link| holder(link, claim(link), 10 + link)).collect()
}

#[test]
fn strangers_hold_no_more_than_their_share() {
    assert_eq!(PLACES, 12);
    let mut held = Vec::new();
    for (claim, share) in [(Claim::Inbound, 4), (Claim::Outbound, 3)] {
        for link in 0..share {
            assert_eq!(place_for(claim, &held, PLACES, NOW), Place::Free);
            held.push(holder(link, claim, 0));
        }
        assert_eq!(place_for(claim, &held, PLACES, NOW), Place::Nowhere);
    }
    for claim in [invited(1), invited(2), invited(3), repair(1)] {
        assert_eq!(place_for(claim, &held, PLACES, NOW), Place::Free);
        held.push(holder(u64::from(taken(&held) as u32), claim, 0));
    }
    assert_eq!(place_for(contact(1), &held, PLACES, NOW), Place::Free, "a contact finds one place without anybody's loss");
}

#[test]
fn a_pending_link_has_one_place_and_leaves_one_to_repairs() {
    let mut held = Vec::new();
    for link in 0..2 {
        assert_eq!(place_for(invited(1), &held, PLACES, NOW), Place::Free, "HELLO settles which of two stays");
        held.push(holder(link, invited(1), 0));
    }
    assert_eq!((place_for(invited(1), &held, PLACES, NOW), taken(&held)), (Place::Nowhere, 1));
    held.extend([holder(2, invited(2), 0), holder(3, invited(3), 0)]);
    assert_eq!(place_for(invited(4), &held, PLACES, NOW), Place::Nowhere);
    assert_eq!(place_for(repair(4), &held, PLACES, NOW), Place::Free);
    held.push(holder(4, repair(4), 0));
    assert_eq!(place_for(repair(5), &held, PLACES, NOW), Place::Nowhere);
}

#[test]
fn a_contact_displaces_the_least_useful_stranger() {
    let mut held = full(4, 3);
    let displaced = |held: &[Holder]| place_for(contact(99), held, PLACES, NOW);
    assert_eq!(displaced(&held), Place::Of(LinkId(0)), "idle for longest");
    held[0].useful = NOW;
    assert_eq!(displaced(&held), Place::Of(LinkId(1)));
    held[5].carries = false;
    assert_eq!(displaced(&held), Place::Of(LinkId(5)), "one that doesn't carry");
    held.iter_mut().for_each(|holder| (holder.carries, holder.useful) = (true, NOW));
    assert_eq!(displaced(&held), Place::Of(LinkId(6)), "the newest of equals");
    for claim in [Claim::Inbound, Claim::Outbound, invited(1), repair(1)] {
        let held = full(0, 0);
        assert_eq!(place_for(claim, &held, PLACES, NOW), Place::Nowhere, "nobody else displaces a contact");
    }
}

#[test]
fn who_was_invited_displaces_a_stranger_and_gives_way_to_a_contact() {
    let mut held = full(1, 0);
    assert_eq!(place_for(invited(1), &held, PLACES, NOW), Place::Of(LinkId(0)));
    held[0].claim = invited(1);
    assert_eq!(place_for(invited(2), &held, PLACES, NOW), Place::Nowhere);
    assert_eq!(place_for(contact(99), &held, PLACES, NOW), Place::Of(LinkId(0)));
}

#[test]
fn where_all_are_contacts_a_new_one_has_the_place_of_one_that_rests() {
    let mut held = full(0, 0);
    assert_eq!(place_for(contact(99), &held, PLACES, NOW), Place::Of(LinkId(0)));
    held.iter_mut().for_each(|holder| holder.idle = false);
    assert_eq!(place_for(contact(99), &held, PLACES, NOW), Place::Nowhere);
    held.iter_mut().for_each(|holder| (holder.idle, holder.opened) = (true, Instant::from_origin(Duration::from_secs(3599))));
    assert_eq!(place_for(contact(99), &held, PLACES, NOW), Place::Nowhere, "each stays for a minute");
}

#[test]
fn one_contact_with_many_links_displaces_nobody() {
    let mut held = full(4, 3);
    let known = held[11].claim;
    assert_eq!(place_for(known, &held, PLACES, NOW), Place::Free, "the two settle which of them stays");
    held.push(holder(50, known, 20));
    assert_eq!(taken(&held), PLACES);
    assert_eq!(place_for(known, &held, PLACES, NOW), Place::Nowhere);
}

#[test]
fn what_is_wanted_follows_the_places() {
    let want = |held: &[Holder]| wanted(held, PLACES);
    assert_eq!(want(&[]), Wanted { neighbours: 3, contacts: true });
    assert_eq!(want(&[holder(1, Claim::Outbound, 0), holder(2, Claim::Inbound, 0)]), Wanted { neighbours: 2, contacts: true });
    let seven: Vec<Holder> = (0..7).map(|link| holder(link, contact(link as u32), 0)).collect();
    assert_eq!(want(&seven), Wanted { neighbours: 1, contacts: true }, "up to two thirds are filled by dialling anybody");
    assert_eq!(want(&full(4, 3)), Wanted { neighbours: 0, contacts: true });
    assert_eq!(want(&full(0, 0)), Wanted { neighbours: 0, contacts: false });
}

/// A hall in which everybody has everybody else in sight, and all are strangers.
struct Hall {
    /// Whom each has dialled; `None` for who has gone.
    dialled: Vec<Option<Vec<usize>>>,
    inbound: Vec<usize>,
    most: (usize, usize),
    rng: ChaCha20Rng,
    attempts: usize,
}

impl Hall {
    fn new(outbound: usize, inbound: usize) -> Self {
        Self { dialled: Vec::new(), inbound: Vec::new(), most: (outbound, inbound), rng: ChaCha20Rng::seed_from_u64(7), attempts: 0 }
    }

    fn join(&mut self) -> usize {
        self.dialled.push(Some(Vec::new()));
        self.inbound.push(0);
        self.dialled.len() - 1
    }

    /// Lets one dial others in random order, each once, until it has enough or nobody is left.
    fn dial(&mut self, node: usize) {
        let mut others: Vec<usize> = (0..self.dialled.len()).filter(|other| *other != node).collect();
        while let Some(mine) = &self.dialled[node]
            && mine.len() < self.most.0
            && !others.is_empty()
        {
            let other = others.swap_remove(self.rng.next_u32() as usize % others.len());
            let Some(theirs) = &self.dialled[other] else { continue };
            if mine.contains(&other) || theirs.contains(&node) {
                continue;
            }
            self.attempts += 1;
            if self.inbound[other] < self.most.1 {
                self.inbound[other] += 1;
                self.dialled[node].as_mut().unwrap().push(other);
            }
        }
    }

    fn leave(&mut self, node: usize) {
        for other in self.dialled[node].take().unwrap_or_default() {
            self.inbound[other] -= 1;
        }
        for mine in self.dialled.iter_mut().flatten() {
            mine.retain(|other| *other != node);
        }
    }

    fn links(&self, node: usize) -> usize {
        self.dialled[node].as_ref().map_or(0, Vec::len) + self.inbound[node]
    }

    fn is_connected(&self) -> bool {
        let there: Vec<usize> = (0..self.dialled.len()).filter(|node| self.dialled[*node].is_some()).collect();
        let mut neighbours = vec![Vec::new(); self.dialled.len()];
        for (node, mine) in self.dialled.iter().enumerate() {
            for other in mine.iter().flatten() {
                neighbours[node].push(*other);
                neighbours[*other].push(node);
            }
        }
        let (mut seen, mut open) = (BTreeSet::from([there[0]]), vec![there[0]]);
        while let Some(node) = open.pop() {
            open.extend(neighbours[node].iter().filter(|other| seen.insert(**other)));
        }
        seen.len() == there.len()
    }
}

fn shares() -> (usize, usize) {
    (Claim::Outbound.share(PLACES), Claim::Inbound.share(PLACES))
}

#[test]
fn a_hall_of_strangers_is_one_graph_and_stays_one_when_half_of_it_leaves() {
    for size in [30, 1000] {
        let (outbound, inbound) = shares();
        let mut hall = Hall::new(outbound, inbound);
        for _ in 0..size {
            let node = hall.join();
            hall.dial(node);
        }
        (0..size).for_each(|node| hall.dial(node)); // who came first has found fewer than it wants
        assert!(hall.is_connected(), "{size}");
        println!("{size}: {} attempts", hall.attempts);
        assert!(hall.attempts <= 3 * outbound * size, "{} attempts of {size}", hall.attempts);
        for node in (0..size).filter(|node| node % 2 == 0) {
            hall.leave(node);
        }
        (0..size).for_each(|node| hall.dial(node));
        assert!(hall.is_connected(), "half of {size}");
        assert!((0..size).all(|node| hall.links(node) <= outbound + inbound));
    }
}

/// How many of a hundred newcomers to a hall of a thousand find as many links as they want, and after how many attempts.
fn newcomers(outbound: usize, inbound: usize) -> (usize, usize) {
    let mut hall = Hall::new(outbound, inbound);
    (0..1000).for_each(|_| {
        hall.join();
    });
    (0..1000).for_each(|node| hall.dial(node));
    hall.attempts = 0;
    let newcomers: Vec<usize> = (0..100).map(|_| hall.join()).collect();
    newcomers.iter().for_each(|node| hall.dial(*node));
    (newcomers.iter().filter(|node| hall.dialled[**node].as_ref().unwrap().len() == outbound).count(), hall.attempts)
}

#[test]
fn newcomers_find_places_because_everybody_takes_more_than_it_dials() {
    let (outbound, inbound) = shares();
    let (satisfied, attempts) = newcomers(outbound, inbound);
    let (as_many, in_vain) = newcomers(inbound, inbound);
    println!("{outbound} of {inbound}: {satisfied} after {attempts}; {inbound} of {inbound}: {as_many} after {in_vain}");
    assert_eq!(satisfied, 100);
    assert!(attempts <= 100 * 3 * outbound, "{attempts}");
    assert!(in_vain > 5 * attempts, "{in_vain}, where everybody dials as many as it takes");
}
