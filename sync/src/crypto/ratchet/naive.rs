//! A second ratchet, for tests only, written from docs/protocol.md alone: keeps every key, knows no window, tries everything.
//!
//! It shares the primitives and the outer form of bundles with the real one, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use ml_kem::{Ciphertext, Decapsulate, DecapsulationKey, Encapsulate, EncapsulationKey, Key, KeyExport, MlKem768, Seed};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::{
    crypto::{
        bundle_seal::{BundleKeys, Envelope, open_body, open_header, seal_bundle},
        kdf::{dh, hkdf, mac},
        pair_keys::{PairKeys, PairRole},
        secret::Secret,
    },
    id::Tag,
    wire::bundle::Bundle,
};

/// How many messages of one chain are tried; more than a test sends.
const TRIED: usize = 96;

type Bytes32 = [u8; 32];

struct MessageKeys {
    tag: [u8; 16],
    header: Bytes32,
    message: Bytes32,
}

/// All keys of a chain, from its first chain key (unknown for a chain that has not begun) and its header key.
fn all_keys(mut chain: Bytes32, header: Bytes32) -> Vec<MessageKeys> {
    let mut tag_key = header;
    (0..TRIED)
        .map(|_| {
            let out: Secret<80> = hkdf(b"", &tag_key, &[b"hedgerow/1 tag"]);
            tag_key.copy_from_slice(&out.expose()[48..80]);
            let message = mac(&chain, &[&[1]]);
            chain = mac(&chain, &[&[2]]);
            let (mut tag, mut header) = ([0; 16], [0; 32]);
            tag.copy_from_slice(&out.expose()[..16]);
            header.copy_from_slice(&out.expose()[16..48]);
            MessageKeys { tag, header, message }
        })
        .collect()
}

struct ReceivedChain {
    ratchet_key: Bytes32,
    start: u32,
    previous: u32,
    pq: u32,
    keys: Vec<MessageKeys>,
}

enum Step {
    Idle,
    Offered(u32, [u8; 64]),
    Answered(u32, Bytes32, Vec<u8>),
    Decapsulated(u32, Bytes32),
}

/// An item of a hybrid step: kind as in section 8.6, epoch, key or ciphertext.
pub(super) type NaiveItem = (u8, u32, Vec<u8>);

pub(super) struct Naive {
    starts: bool,
    root: Bytes32,
    own: Bytes32,
    chain: Vec<MessageKeys>,
    chain_start: u32,
    sealed: u32,
    previous: u32,
    pq: u32,
    next_own_header: Bytes32,
    received_chains: Vec<ReceivedChain>,
    next_other_header: Bytes32,
    opened: BTreeSet<u32>,
    floor: u32,
    pub(super) peer_confirmed: u32,
    step: Step,
    last_step: u32,
    pub(super) pair_secrets: BTreeMap<u32, Bytes32>,
    pub(super) sending_epoch: u32,
}

fn root_step(root: &mut Bytes32, own: &Bytes32, other: &Bytes32) -> (Bytes32, Bytes32) {
    let shared = dh(&StaticSecret::from(*own), other).unwrap();
    let out: Secret<96> = hkdf(root, shared.expose(), &[b"hedgerow/1 root"]);
    let (mut chain, mut header) = ([0; 32], [0; 32]);
    root.copy_from_slice(&out.expose()[..32]);
    chain.copy_from_slice(&out.expose()[32..64]);
    header.copy_from_slice(&out.expose()[64..96]);
    (chain, header)
}

fn mix(root: &mut Bytes32, shared: &Bytes32) {
    *root = *hkdf(root, shared, &[b"hedgerow/1 pq root"]).expose();
}

impl Naive {
    pub(super) fn new(keys: &PairKeys, starts: bool, rng: &mut ChaCha20Rng) -> Self {
        let (issuer_header, invitee_header) = (*keys.issuer_header.expose(), *keys.invitee_header.expose());
        let mut naive = Self {
            starts,
            root: *keys.root.expose(),
            own: *keys.own_ratchet.expose(),
            chain: Vec::new(),
            chain_start: 0,
            sealed: 0,
            previous: 0,
            pq: 0,
            next_own_header: invitee_header,
            received_chains: Vec::new(),
            next_other_header: issuer_header,
            opened: BTreeSet::new(),
            floor: 0,
            peer_confirmed: 0,
            step: Step::Idle,
            last_step: 0,
            pair_secrets: BTreeMap::from([(0, *keys.pair_secret.expose())]),
            sending_epoch: 0,
        };
        match keys.role {
            PairRole::Issuer => {
                let (chain, next) = root_step(&mut naive.root, &naive.own, &keys.other_ratchet);
                naive.chain = all_keys(chain, issuer_header);
                naive.next_own_header = next;
                naive.next_other_header = invitee_header;
            }
            PairRole::Invitee => naive.turn(keys.other_ratchet, 0, 0, rng),
        }
        naive
    }

    pub(super) const fn next_number(&self) -> u32 {
        self.chain_start + self.sealed
    }

    pub(super) fn confirmed(&self) -> u32 {
        (self.floor..).find(|number| !self.opened.contains(number)).unwrap()
    }

    /// The step of the published algorithm: a receiving chain, then a sending chain with a fresh key.
    fn turn(&mut self, other: Bytes32, previous: u32, pq: u32, rng: &mut ChaCha20Rng) {
        let start = self.received_chains.last().map_or(0, |chain| chain.start) + previous;
        if let Step::Answered(epoch, shared, _) = &self.step
            && *epoch == pq
        {
            mix(&mut self.root, shared);
            self.sending_epoch = pq;
            self.step = Step::Idle;
        } else {
            assert_eq!(pq, 0, "an epoch that nobody answered");
        }
        let (chain, next) = root_step(&mut self.root, &self.own, &other);
        let keys = all_keys(chain, self.next_other_header);
        self.received_chains.push(ReceivedChain { ratchet_key: other, start, previous, pq, keys });
        self.next_other_header = next;

        self.chain_start += self.sealed;
        self.previous = self.sealed;
        self.sealed = 0;
        self.pq = 0;
        if let Step::Decapsulated(epoch, shared) = &self.step {
            mix(&mut self.root, shared);
            self.pq = *epoch;
            self.step = Step::Idle;
        }
        rng.fill_bytes(&mut self.own);
        let (chain, next) = root_step(&mut self.root, &self.own, &other);
        self.chain = all_keys(chain, self.next_own_header);
        self.next_own_header = next;
    }

    pub(super) fn seal(&mut self, envelope: Envelope, body: &[u8], floor: u32, rng: &mut ChaCha20Rng) -> Option<(u32, Bundle)> {
        let keys = self.chain.get(self.sealed as usize)?;
        let keys = BundleKeys { tag: Tag(keys.tag), header: Secret::new(keys.header), message: Secret::new(keys.message) };
        let mut fields = [0; 56];
        fields[..32].copy_from_slice(PublicKey::from(&StaticSecret::from(self.own)).as_bytes());
        fields[32..36].copy_from_slice(&self.previous.to_be_bytes());
        fields[36..40].copy_from_slice(&self.sealed.to_be_bytes());
        fields[40..44].copy_from_slice(&self.pq.to_be_bytes());
        fields[44..48].copy_from_slice(&self.confirmed().to_be_bytes());
        fields[48..52].copy_from_slice(&floor.to_be_bytes());
        fields[52..].copy_from_slice(&rng.next_u32().to_be_bytes());
        let sealed = seal_bundle(&keys, envelope, &fields, body, 512, rng).unwrap();
        self.sealed += 1;
        Some((self.next_number() - 1, sealed.bundle))
    }

    /// Tries every key it has. Number and body of a message not opened before.
    pub(super) fn open(&mut self, bundle: &Bundle, rng: &mut ChaCha20Rng) -> Option<(u32, Vec<u8>)> {
        let fits = |keys: &MessageKeys| open_header(&Secret::new(keys.header), bundle);
        let u32_at = |header: &[u8], at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let coming = all_keys([0; 32], self.next_other_header);
        if let Some(header) = coming.iter().find_map(fits) {
            self.turn(header[..32].try_into().unwrap(), u32_at(&header[..], 32), u32_at(&header[..], 40), rng);
        }
        let (chain, n, header) = self
            .received_chains
            .iter()
            .find_map(|chain| chain.keys.iter().enumerate().find_map(|(n, keys)| Some((chain, n, fits(keys)?))))?;
        assert_eq!(bundle.header().tag.0, chain.keys[n].tag);
        assert_eq!(header[..32], chain.ratchet_key);
        assert_eq!([32, 36, 40].map(|at| u32_at(&header[..], at)), [chain.previous, n as u32, chain.pq]);
        let number = chain.start + n as u32;
        let body = open_body(&Secret::new(chain.keys[n].message), &header, bundle)?;
        if !self.opened.insert(number) {
            return None;
        }
        self.peer_confirmed = self.peer_confirmed.max(u32_at(&header[..], 44));
        self.floor = self.floor.max(u32_at(&header[..], 48));
        Some((number, body.plaintext.to_vec()))
    }

    /// What to put into the next body: the open step's item every time, without any pacing.
    pub(super) fn item(&mut self, hour: u32, rng: &mut ChaCha20Rng) -> Option<NaiveItem> {
        if matches!(self.step, Step::Idle) && self.starts && hour - self.last_step >= 168 {
            let mut seed = [0; 64];
            rng.fill_bytes(&mut seed);
            self.step = Step::Offered(self.pair_secrets.len() as u32, seed);
            self.last_step = hour;
        }
        match &self.step {
            Step::Offered(epoch, seed) => Some((4, *epoch, decapsulation_key(seed).encapsulation_key().to_bytes().to_vec())),
            Step::Answered(epoch, _, ciphertext) => Some((5, *epoch, ciphertext.clone())),
            Step::Idle | Step::Decapsulated(..) => None,
        }
    }

    pub(super) fn handle_item(&mut self, (kind, epoch, value): NaiveItem, rng: &mut ChaCha20Rng) {
        let fresh = epoch as usize == self.pair_secrets.len();
        let answers = match &self.step {
            Step::Idle => true,
            Step::Offered(..) => !self.starts,
            Step::Answered(..) | Step::Decapsulated(..) => false,
        };
        match (kind, &self.step) {
            (4, _) if answers && fresh => {
                let key: [u8; 1184] = value.try_into().unwrap();
                let key = EncapsulationKey::<MlKem768>::new(&Key::<EncapsulationKey<MlKem768>>::from(key)).unwrap();
                let (ciphertext, shared) = key.encapsulate_with_rng(rng);
                self.next_epoch(epoch, shared.into());
                self.step = Step::Answered(epoch, shared.into(), ciphertext.to_vec());
            }
            (5, Step::Offered(open, seed)) if *open == epoch => {
                let ciphertext: [u8; 1088] = value.try_into().unwrap();
                let shared = decapsulation_key(seed).decapsulate(&Ciphertext::<MlKem768>::from(ciphertext)).into();
                self.next_epoch(epoch, shared);
                self.sending_epoch = epoch;
                self.step = Step::Decapsulated(epoch, shared);
            }
            _ => {}
        }
    }

    fn next_epoch(&mut self, epoch: u32, shared: Bytes32) {
        let next = *hkdf(&self.pair_secrets[&(epoch - 1)], &shared, &[b"hedgerow/1 pair epoch"]).expose();
        self.pair_secrets.insert(epoch, next);
    }
}

fn decapsulation_key(seed: &[u8; 64]) -> DecapsulationKey<MlKem768> {
    DecapsulationKey::from_seed(Seed::from(*seed))
}
