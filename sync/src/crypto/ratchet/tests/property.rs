//! Random sequences on both sides: real against real, and real against the naive model in either role.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rand_core::Rng;

use super::*;
use crate::crypto::ratchet::naive::Naive;

/// Either ratchet, as one end of a pair.
enum Party {
    Real(Box<Device>),
    Naive(Box<Naive>),
}

impl Party {
    fn seal(&mut self, id: u32, hour: u32, dropped: &BTreeSet<u32>, rng: &mut ChaCha20Rng) -> Option<(u32, u32, Bundle)> {
        let mut body = id.to_be_bytes().to_vec();
        let mut put = |kind: u8, epoch: u32, value: &[u8]| {
            body.push(kind);
            body.extend_from_slice(&epoch.to_be_bytes());
            body.extend_from_slice(value);
        };
        let floor = (self.peer_confirmed()..self.next_number()).find(|number| !dropped.contains(number)).unwrap_or(self.next_number());
        match self {
            Self::Real(device) => {
                if device.ratchet.allowance() == 0 {
                    return None;
                }
                match device.ratchet.poll_pq_item(Hour(hour), rng) {
                    Some(PqItem::Key { epoch, key }) => put(4, epoch, key.as_slice()),
                    Some(PqItem::Ciphertext { epoch, ciphertext }) => put(5, epoch, ciphertext.as_slice()),
                    None => {}
                }
                let sealed = device.ratchet.seal(envelope(hour), &body, floor, rng).unwrap();
                Some((floor, sealed.number, sealed.bundle))
            }
            Self::Naive(naive) => {
                if let Some((kind, epoch, value)) = naive.item(hour, rng) {
                    put(kind, epoch, &value);
                }
                let (number, bundle) = naive.seal(envelope(hour), &body, floor, rng)?;
                Some((floor, number, bundle))
            }
        }
    }

    /// Number and id of a message that opens now and did not before.
    fn open(&mut self, bundle: &Bundle, rng: &mut ChaCha20Rng) -> Option<(u32, u32)> {
        let (number, body) = match self {
            Self::Real(device) => device.open(bundle, rng).map(|opened| (opened.number, opened.plaintext.to_vec()))?,
            Self::Naive(naive) => naive.open(bundle, rng)?,
        };
        let (kind, epoch) = (body[4], u32::from_be_bytes(body[5..9].try_into().unwrap()));
        let key = || body[9..9 + PQ_KEY_LEN].try_into().unwrap();
        let ciphertext = || body[9..9 + PQ_CIPHERTEXT_LEN].try_into().unwrap();
        match (self, kind) {
            (Self::Real(device), 4) => _ = device.ratchet.handle_pq_key(epoch, &key(), rng),
            (Self::Real(device), 5) => _ = device.ratchet.handle_pq_ciphertext(epoch, &ciphertext()),
            (Self::Naive(naive), 4) => naive.handle_item((4, epoch, key().to_vec()), rng),
            (Self::Naive(naive), 5) => naive.handle_item((5, epoch, ciphertext().to_vec()), rng),
            _ => {}
        }
        Some((number, u32::from_be_bytes(body[..4].try_into().unwrap())))
    }

    fn restart(&mut self) {
        if let Self::Real(device) = self {
            device.restart();
        }
    }

    /// The whole state, where that can be told.
    fn state(&self) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Real(device) => Some(device.ratchet.encode()),
            Self::Naive(_) => None,
        }
    }

    fn confirmed(&self) -> u32 {
        match self {
            Self::Real(device) => device.ratchet.confirmed(),
            Self::Naive(naive) => naive.confirmed(),
        }
    }

    fn peer_confirmed(&self) -> u32 {
        match self {
            Self::Real(device) => device.ratchet.peer_confirmed(),
            Self::Naive(naive) => naive.peer_confirmed,
        }
    }

    fn next_number(&self) -> u32 {
        match self {
            Self::Real(device) => device.ratchet.next_number(),
            Self::Naive(naive) => naive.next_number(),
        }
    }

    fn sending_epoch(&self) -> u32 {
        match self {
            Self::Real(device) => device.ratchet.sending_epoch(),
            Self::Naive(naive) => naive.sending_epoch,
        }
    }

    /// The newest pair epochs and their link keys, newest first.
    fn link_keys(&self) -> Vec<(u32, [u8; 32])> {
        match self {
            Self::Real(device) => device.ratchet.recognition().map(|keys| (keys.epoch, *keys.link.expose())).collect(),
            Self::Naive(naive) => {
                let link = |secret: &[u8; 32]| *hkdf(b"", secret, &[b"hedgerow/1 link"]).expose();
                naive.pair_secrets.iter().rev().take(3).map(|(epoch, secret)| (*epoch, link(secret))).collect()
            }
        }
    }
}

/// A message on its way.
struct Flying {
    id: u32,
    number: u32,
    floor: u32,
    bundle: Bundle,
}

/// Two parties, what is on its way between them, and what must come of it.
struct World {
    parties: [Party; 2],
    flying: [Vec<Flying>; 2],
    read: [Vec<Bundle>; 2],
    numbers: [BTreeSet<u32>; 2],
    floors: [u32; 2],
    dropped: [BTreeSet<u32>; 2],
    next_id: u32,
    hour: u32,
    rng: ChaCha20Rng,
}

impl World {
    fn new(naive: Option<usize>, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let keys = pair_keys(&mut rng);
        let issuer_starts = seed.is_multiple_of(2);
        let mut index = 0;
        let parties = keys.map(|keys| {
            let starts = (index == 0) == issuer_starts;
            let is_naive = naive == Some(index);
            index += 1;
            if is_naive {
                Party::Naive(Box::new(Naive::new(&keys, starts, &mut rng)))
            } else {
                Party::Real(Box::new(Device::new(Ratchet::new(keys, starts, &mut rng).unwrap())))
            }
        });
        Self {
            parties,
            flying: Default::default(),
            read: Default::default(),
            numbers: Default::default(),
            floors: [0; 2],
            dropped: Default::default(),
            next_id: 1,
            hour: 490_000,
            rng,
        }
    }

    fn send(&mut self, side: usize) {
        let id = self.next_id;
        self.next_id += 1;
        if let Some((floor, number, bundle)) = self.parties[side].seal(id, self.hour, &self.dropped[side], &mut self.rng) {
            self.flying[side].push(Flying { id, number, floor, bundle });
        }
    }

    /// Delivers a message of `side`; it must open, whatever came before.
    fn deliver(&mut self, side: usize, index: usize) {
        if self.flying[side].is_empty() {
            return;
        }
        let index = index % self.flying[side].len();
        let Flying { id, number, floor, bundle } = self.flying[side].swap_remove(index);
        let opened = self.parties[1 - side].open(&bundle, &mut self.rng);
        assert_eq!(opened, Some((number, id)), "message {number} of side {side}");
        self.read[side].push(bundle);
        self.numbers[side].insert(number);
        self.floors[side] = self.floors[side].max(floor);
        let confirmed = (self.floors[side]..).find(|number| !self.numbers[side].contains(number)).unwrap();
        assert_eq!(self.parties[1 - side].confirmed(), confirmed);
    }

    fn refuse(&mut self, side: usize, bundle: &Bundle) {
        let before = self.parties[1 - side].state();
        assert!(self.parties[1 - side].open(bundle, &mut self.rng).is_none());
        assert!(self.parties[1 - side].state() == before);
    }

    fn step(&mut self, op: u8, side: usize, index: usize) {
        match op {
            0..=2 => self.send(side),
            3..=5 => self.deliver(side, index),
            6 if !self.flying[side].is_empty() => {
                let index = index % self.flying[side].len();
                let lost = self.flying[side].swap_remove(index);
                self.dropped[side].insert(lost.number);
            }
            7 if !self.read[side].is_empty() => {
                let again = self.read[side][index % self.read[side].len()].clone();
                self.refuse(side, &again);
            }
            8 if !self.flying[side].is_empty() => {
                let mut bytes = self.flying[side][index % self.flying[side].len()].bundle.bytes().to_vec();
                let at = 24 + self.rng.next_u32() as usize % (bytes.len() - 24);
                bytes[at] ^= 1 << (index % 8);
                if let Ok(garbled) = Bundle::decode(bytes) {
                    self.refuse(side, &garbled);
                }
            }
            9 => self.hour += 60,
            _ => {}
        }
        self.parties.iter_mut().for_each(Party::restart);
    }

    /// Lets everything arrive that is not lost, then some more, and checks that both sides agree.
    fn settle(&mut self) {
        for _ in 0..4 {
            for side in [0, 1] {
                while !self.flying[side].is_empty() {
                    let index = self.rng.next_u32() as usize;
                    self.deliver(side, index);
                }
                self.send(side);
                self.deliver(side, 0);
                self.hour += 30;
            }
        }
        let [left, right] = self.parties.each_ref().map(Party::link_keys);
        for (mine, theirs, party) in [(&left, &right, &self.parties[0]), (&right, &left, &self.parties[1])] {
            assert!(theirs.iter().any(|(epoch, _)| *epoch == party.sending_epoch()), "the other side accepts this side's epoch");
            for (epoch, key) in mine {
                assert!(theirs.iter().all(|(other, same)| other != epoch || key == same), "keys of one epoch are equal");
            }
        }
        for party in &self.parties {
            if let Party::Real(device) = party {
                device.check_tags();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_message_opens_once_in_any_order(
        naive in prop::option::of(0..2_usize),
        seed in any::<u64>(),
        steps in prop::collection::vec((0..10_u8, 0..2_usize, any::<u16>()), 1..90),
    ) {
        let mut world = World::new(naive, seed);
        for (op, side, index) in steps {
            world.step(op, side, usize::from(index));
        }
        world.settle();
    }
}

#[test]
fn hybrid_steps_go_on_between_real_and_naive() {
    for naive in [None, Some(0), Some(1)] {
        for seed in [1, 2] {
            let mut world = World::new(naive, seed);
            for _ in 0..5 {
                world.settle();
                world.hour += 100;
            }
            let epochs = world.parties.each_ref().map(Party::sending_epoch);
            assert!(epochs[0] >= 3 && epochs[0].abs_diff(epochs[1]) <= 1, "{epochs:?}");
        }
    }
}
