//! The pair ratchet: its stored form, what a hostile contact can say in a header, and two honest ones on a bad wire (docs/protocol.md,
//! section 8).

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_sync::{
    crypto::{
        bundle_seal::{BundleKeys, Envelope, HEADER_FIELDS_LEN, seal_bundle},
        kdf::{dh, hkdf, label, mac},
        pair_keys::{PairKeys, PairRole},
        ratchet::{
            MAX_SKIPPED_PER_CHAIN, Opened, Place, PlaceChain, PqItem, RECEIVE_NEXT_WINDOW, RECEIVE_WINDOW, Ratchet, SKIPPED_KEY_LEN,
            SealedMessage, SkippedKey,
        },
        secret::Secret,
    },
    id::Tag,
    time::Hour,
    wire::bundle::{Bundle, Class, Lifetime},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use x25519_dalek::{PublicKey, StaticSecret};

use super::Script;

/// Most headers of one input, and most operations: each may cost a thousand key derivations.
const MAX_HEADERS: usize = 8;
/// See [`MAX_HEADERS`].
const MAX_OPERATIONS: usize = 80;

/// The envelope of every message here.
pub fn envelope(hour: u32) -> Envelope {
    Envelope { class: Class::Normal, lifetime: Lifetime::Fortnight, created: Hour(hour) }
}

/// Issuer and invitee after an exchange, the same in every run.
pub fn pair(rng: &mut ChaCha20Rng) -> [Ratchet; 2] {
    let secrets = [Secret::<32>::random(rng), Secret::random(rng)];
    let publics = [0, 1].map(|side: usize| *PublicKey::from(&StaticSecret::from(*secrets[side].expose())).as_bytes());
    [PairRole::Issuer, PairRole::Invitee].map(|role| {
        let own = usize::from(role == PairRole::Invitee);
        let keys = PairKeys {
            role,
            root: Secret::new([1; 32]),
            issuer_header: Secret::new([2; 32]),
            invitee_header: Secret::new([3; 32]),
            pair_secret: Secret::new([4; 32]),
            own_ratchet: secrets[own].duplicate(),
            other_ratchet: publics[1 - own],
        };
        Ratchet::new(keys, role == PairRole::Issuer, rng).expect("the keys are sound")
    })
}

/// A stored state has one form, and one that never came about does no harm.
pub fn ratchet_state(data: &[u8]) -> bool {
    let rng = &mut ChaCha20Rng::seed_from_u64(9);
    let Ok(mut ratchet) = Ratchet::decode(data) else { return false };
    assert!(ratchet.encode()[..] == *data);
    assert!(ratchet.expected().len() <= (RECEIVE_WINDOW + RECEIVE_NEXT_WINDOW) as usize);
    assert!(ratchet.recognition().count() <= 3);
    assert!(ratchet.missing(9).iter().all(|gap| gap.start < gap.end && gap.start >= ratchet.confirmed()));
    let before = (ratchet.allowance(), ratchet.next_number());
    if let Ok(sealed) = ratchet.seal(envelope(1), b"text", u32::MAX, rng) {
        assert_eq!(sealed.number, before.1);
        assert_eq!(ratchet.next_number(), before.1 + 1);
    }
    ratchet.note_receipted(0..u32::MAX);
    ratchet.note_closed(u32::MAX);
    let item = ratchet.poll_pq_item(Hour(490_000), rng);
    assert!(item.is_none() || !ratchet.is_pq_due(Hour(490_000)));
    let message = pair(rng)[0].seal(envelope(1), b"text", 0, rng).expect("the window is open");
    for (chain, n) in [(PlaceChain::Current, 0), (PlaceChain::Next, 0), (PlaceChain::Current, u32::MAX)] {
        let state = ratchet.encode();
        let opened = ratchet.open(Place { chain, n }, &message.bundle, rng);
        assert!(opened.is_some() || ratchet.encode() == state, "what doesn't open changes nothing: {chain:?} {n}");
    }
    assert!(Ratchet::decode(&ratchet.encode()).is_ok(), "a state leads to one that can't be read");
    true
}

/// The stored form of a skipped key.
pub fn skipped_key(data: &[u8]) -> bool {
    let Ok(key) = SkippedKey::decode(Tag([1; 16]), u32::MAX, u32::MAX, data) else { return false };
    assert!(data.len() == SKIPPED_KEY_LEN && key.encode()[..] == *data);
    let rng = &mut ChaCha20Rng::seed_from_u64(9);
    let [mut issuer, mut invitee] = pair(rng);
    let message = issuer.seal(envelope(1), b"text", 0, rng).expect("the window is open");
    assert!(invitee.open_skipped(&key, &message.bundle).is_none());
    true
}

/// What of a receiver's stored state its contact knows as well (`Ratchet::encode`).
struct Shared(Vec<u8>);

impl Shared {
    fn secret(&self, at: usize) -> [u8; 32] {
        self.0[at..at + 32].try_into().expect("32 bytes")
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.0[at..at + 4].try_into().expect("4 bytes"))
    }

    /// Whether there is a receiving chain; the layout below is that with one.
    fn has_chain(&self) -> bool {
        self.0[178] == 1
    }

    fn chain_key(&self) -> [u8; 32] {
        self.secret(179)
    }

    /// Index, start, PN, pq and next N of the receiving chain.
    fn chain(&self) -> [u32; 5] {
        std::array::from_fn(|field| self.number(211 + 4 * field))
    }

    /// The keys of message `n` of a chain: those of the current one stand at its next N, those of the next at 0.
    fn keys(&self, place: Place, ratchet: &StaticSecret) -> BundleKeys {
        let (mut messages, mut tags, steps) = match place.chain {
            PlaceChain::Current => (self.secret(231), self.secret(263), place.n.saturating_sub(self.chain()[4])),
            PlaceChain::Next => {
                let own = PublicKey::from(&StaticSecret::from(self.secret(33)));
                let shared = dh(ratchet, own.as_bytes()).expect("of high order");
                let derived: Secret<96> = hkdf(&self.secret(1), shared.expose(), &[label::ROOT]);
                let chain = derived.expose()[32..64].try_into().expect("32 bytes");
                (chain, self.secret(if self.has_chain() { 327 } else { 179 }), place.n)
            }
        };
        for _ in 0..steps {
            messages = mac(&messages, &[&[2]]);
            let derived: Secret<80> = hkdf(b"", &tags, &[label::TAG]);
            tags = derived.expose()[48..].try_into().expect("32 bytes");
        }
        let derived: Secret<80> = hkdf(b"", &tags, &[label::TAG]);
        let (tag, header) = (derived.expose()[..16].try_into().expect("16 bytes"), derived.expose()[16..48].try_into().expect("32 bytes"));
        BundleKeys { tag: Tag(tag), header: Secret::new(header), message: Secret::new(mac(&messages, &[&[1]])) }
    }
}

/// Authentic headers of a hostile contact: for each, one byte of shape, one of place, and five numbers of four bytes.
///
/// Whatever they say, what opens keeps to the rules of section 8.3, and what doesn't open changes nothing.
pub fn ratchet_header(data: &[u8]) -> bool {
    let rng = &mut ChaCha20Rng::seed_from_u64(9);
    let mut script = Script::new(data);
    let [issuer, invitee] = pair(rng);
    let mut ratchet = if script.byte() & 1 == 0 { invitee } else { issuer };
    let mut taken = false;
    for _ in 0..MAX_HEADERS {
        let Some(shape) = script.next() else { break };
        let state = Shared(ratchet.encode().to_vec());
        let fresh = StaticSecret::from([script.byte() | 1; 32]);
        let chain = if shape & 1 == 0 && state.has_chain() { PlaceChain::Current } else { PlaceChain::Next };
        let [index, start, previous, pq, next] = if state.has_chain() { state.chain() } else { [0; 5] };
        // Small steps by shape, so that what is far away must be meant.
        let ahead = u32::from(script.byte()) * if shape & 2 == 0 { 1 } else { 8 };
        let n = if chain == PlaceChain::Current { next.saturating_add(ahead) } else { ahead };
        let place = Place { chain, n };
        let honest = match chain {
            PlaceChain::Current => [previous, n, pq],
            PlaceChain::Next => [if state.has_chain() { next } else { 0 }, n, 0],
        };
        let ratchet_key = match chain {
            PlaceChain::Current if shape & 4 == 0 => state.chain_key(),
            _ => *PublicKey::from(&fresh).as_bytes(),
        };
        // A number of the script is added to the honest one, so that zeros are honest.
        let [previous, told, pq] = honest.map(|number| number.wrapping_add(if shape & 8 == 0 { 0 } else { script.number() }));
        let (confirmed, floor) = if shape & 16 == 0 { (0, 0) } else { (script.number(), script.number()) };
        let mut fields = [0; HEADER_FIELDS_LEN];
        fields[..32].copy_from_slice(&ratchet_key);
        for (field, number) in fields[32..].chunks_exact_mut(4).zip([previous, told, pq, confirmed, floor]) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        let keys = state.keys(place, &fresh);
        let sealed = seal_bundle(&keys, envelope(490_000), &fields, b"body", 512, rng).expect("it fits");
        let sealed_so_far = ratchet.next_number();
        let (was_confirmed, was_floor) = (ratchet.confirmed(), ratchet.peer_floor());
        let Some(opened) = ratchet.open(place, &sealed.bundle, rng) else {
            assert!(ratchet.encode()[..] == state.0, "what doesn't open changes nothing");
            continue;
        };
        taken = true;
        assert!(told == n && confirmed <= sealed_so_far && floor <= opened.number);
        assert!(opened.number < u32::MAX && opened.number.saturating_sub(was_confirmed.max(floor)) < 2_000);
        assert!(ratchet.confirmed() >= was_confirmed && ratchet.peer_floor() >= was_floor && ratchet.peer_floor() <= ratchet.confirmed());
        assert!(opened.skipped.len() <= 2 * MAX_SKIPPED_PER_CHAIN as usize);
        assert!(opened.skipped.iter().all(|key| key.chain == index || key.chain == index + 1 || start == 0));
        let again = Ratchet::decode(&ratchet.encode()).expect("an opened message leaves a sound state");
        assert!(again.encode() == ratchet.encode());
        assert!(again.received_beyond().len() <= 1_000);
    }
    taken
}

/// A message on its way, with what must come out of it.
struct InFlight {
    sealed: SealedMessage,
    body: Vec<u8>,
    item: Option<PqItem>,
}

/// What the engine keeps beside a ratchet.
struct Node {
    ratchet: Ratchet,
    tags: BTreeMap<Tag, Place>,
    skipped: BTreeMap<Tag, SkippedKey>,
    opened: BTreeSet<u32>,
}

impl Node {
    fn new(ratchet: Ratchet) -> Self {
        let tags = ratchet.expected().into_iter().collect();
        Self { ratchet, tags, skipped: BTreeMap::new(), opened: BTreeSet::new() }
    }

    fn open(&mut self, bundle: &Bundle, rng: &mut ChaCha20Rng) -> Option<Opened> {
        let tag = bundle.header().tag;
        let mut opened = match (self.tags.get(&tag), self.skipped.get(&tag)) {
            (Some(place), None) => self.ratchet.open(*place, bundle, rng)?,
            (None, Some(key)) => self.ratchet.open_skipped(key, bundle)?,
            (None, None) => return None,
            (Some(_), Some(_)) => panic!("a tag is expected and skipped"),
        };
        self.skipped.remove(&tag);
        for tag in &opened.forget {
            self.tags.remove(tag);
        }
        self.skipped.extend(opened.skipped.drain(..).map(|key| (key.tag, key)));
        self.tags.extend(opened.expect.iter().copied());
        assert!(self.opened.insert(opened.number), "a message is read twice");
        Some(opened)
    }

    fn restart(&mut self) {
        let state = self.ratchet.encode();
        self.ratchet = Ratchet::decode(&state).expect("its own state");
        assert_eq!(self.tags, self.ratchet.expected().into_iter().collect());
    }
}

/// Two honest sides, by operations of one byte: seal, deliver in any order, again, or never, restart, hybrid steps.
///
/// What arrives for the first time opens to what was sealed; what arrives again doesn't open.
pub fn ratchet_pair(data: &[u8]) -> bool {
    let rng = &mut ChaCha20Rng::seed_from_u64(9);
    let mut nodes = pair(rng).map(Node::new);
    let mut flight: [Vec<InFlight>; 2] = Default::default();
    let mut hour = 490_000;
    let mut taken = false;
    let mut script = Script::new(data);
    for _ in 0..MAX_OPERATIONS {
        let Some(op) = script.next() else { break };
        let (side, at) = (usize::from(op & 1), usize::from(op >> 4));
        match op >> 1 & 7 {
            0 | 1 | 6 => {
                let ratchet = &mut nodes[side].ratchet;
                if ratchet.allowance() == 0 {
                    continue;
                }
                if op >> 1 & 7 == 6 {
                    hour += 1 + 30 * at as u32;
                }
                let item = ratchet.poll_pq_item(Hour(hour), rng);
                let body = vec![op | 1; at * 20];
                let floor = ratchet.peer_confirmed();
                let sealed = ratchet.seal(envelope(hour), &body, floor, rng).expect("the window is open");
                flight[side].push(InFlight { sealed, body, item });
            }
            2 | 3 if !flight[side].is_empty() => {
                let at = if op & 4 == 0 { 0 } else { at % flight[side].len() };
                let InFlight { sealed: message, body, item } = flight[side].remove(at);
                let node = &mut nodes[1 - side];
                let opened = node.open(&message.bundle, rng).expect("what arrives for the first time opens");
                assert_eq!(opened.number, message.number);
                assert!(opened.plaintext.starts_with(&body) && opened.plaintext[body.len()..].iter().all(|&byte| byte == 0));
                assert!(opened.ack.matches(message.ack.expose()));
                match item {
                    Some(PqItem::Key { epoch, key }) => _ = node.ratchet.handle_pq_key(epoch, &key, rng),
                    Some(PqItem::Ciphertext { epoch, ciphertext }) => _ = node.ratchet.handle_pq_ciphertext(epoch, &ciphertext),
                    None => {}
                }
                let state = node.ratchet.encode();
                assert!(node.open(&message.bundle, rng).is_none() && node.ratchet.encode() == state, "a message opens again");
                taken = true;
            }
            4 if !flight[side].is_empty() => {
                let at = at % flight[side].len();
                flight[side].remove(at);
            }
            5 => nodes[side].restart(),
            _ => {}
        }
    }
    for node in &mut nodes {
        node.restart();
    }
    // Both sides still accept a common pair epoch: that is how they recognise each other.
    let epochs = nodes.each_ref().map(|node| node.ratchet.recognition().map(|keys| keys.epoch).collect::<BTreeSet<_>>());
    assert!(nodes.iter().zip([&epochs[1], &epochs[0]]).all(|(node, other)| other.contains(&node.ratchet.sending_epoch())));
    taken
}
