//! Opening: the current chain, the next one, and the turn of the ratchet that it brings.
//!
//! Everything is worked out on copies; the ratchet changes only when header and body have verified and nothing can fail any more.

use rand_core::CryptoRng;

use super::{
    Opened, Place, PlaceChain, Ratchet, Receiving, Sending, SkippedKey,
    chain::{MessageChain, RatchetKey, Reached, RootStep, TagChain, mix_into_root, root_step},
    expect_from,
    header::Header,
    window::{MAX_SKIPPED_PER_CHAIN, RECEIVE_NEXT_WINDOW, RECEIVE_WINDOW},
};
use crate::{
    crypto::{
        bundle_seal::{OpenedBody, open_body, open_header},
        secret::Secret,
    },
    id::Tag,
    wire::bundle::Bundle,
};

impl Ratchet {
    /// Opens the bundle that has the tag expected at `place`. `None` if it does not verify or breaks a rule; nothing has changed then.
    ///
    /// Refused although authentic: a header that contradicts its chain, a floor above the message's own number, a confirmation of numbers
    /// that this side never sealed (so this state is older than what the other side has seen), and what exceeds a window or limit.
    pub fn open(&mut self, place: Place, bundle: &Bundle, rng: &mut (impl CryptoRng + ?Sized)) -> Option<Opened> {
        match place.chain {
            PlaceChain::Current => self.open_current(place.n, bundle),
            PlaceChain::Next => self.open_next(place.n, bundle, rng),
        }
    }

    /// Opens the bundle of a message that was skipped. `None`, with nothing changed, under the same rules as for [`Self::open`].
    ///
    /// The caller deletes `key` in the transaction that stores what was opened.
    pub fn open_skipped(&mut self, key: &SkippedKey, bundle: &Bundle) -> Option<Opened> {
        if bundle.header().tag != key.tag {
            return None;
        }
        let plaintext = open_header(&key.header, bundle)?;
        let header = Header::decode(&plaintext).ok()?;
        if header.place != key.n || !self.admits(key.number, &header) {
            return None;
        }
        let body = open_body(&key.message, &plaintext, bundle)?;
        self.note_opened(key.number, &header);
        Some(Opened {
            number: key.number,
            plaintext: body.plaintext,
            ack: body.ack,
            pq: header.pq,
            skipped: Vec::new(),
            expect: Vec::new(),
            forget: vec![key.tag],
            new_chain: false,
        })
    }

    fn open_current(&mut self, n: u32, bundle: &Bundle) -> Option<Opened> {
        let chain = self.receiving.as_ref()?;
        let steps = n.checked_sub(chain.next).filter(|&steps| steps < RECEIVE_WINDOW)?;
        let reached = chain.near.reach(steps, bundle.header().tag)?;
        let plaintext = open_header(&reached.header, bundle)?;
        let header = Header::decode(&plaintext).ok()?;
        let of_this_chain =
            header.ratchet_key == chain.ratchet_key && header.previous == chain.previous && header.place == n && header.pq == chain.pq;
        let number = chain.start.checked_add(n)?;
        if !of_this_chain || !self.admits(number, &header) {
            return None;
        }
        let mut messages = chain.messages.duplicate();
        let Reached { passed, header: _, after } = reached;
        let mut forget: Vec<Tag> = passed.iter().map(|(tag, _)| *tag).collect();
        forget.push(bundle.header().tag);
        let skipped = skip(&mut messages, passed, chain.index, chain.start, chain.next)?;
        let OpenedBody { plaintext, ack } = open_body(&messages.step(), &plaintext, bundle)?;

        let chain = self.receiving.as_mut()?;
        let mut expect = Vec::with_capacity(steps as usize + 1);
        let far = chain.next.saturating_add(RECEIVE_WINDOW);
        expect_from(&mut expect, &mut chain.far, PlaceChain::Current, far..far.saturating_add(steps + 1));
        chain.messages = messages;
        chain.near = after;
        chain.next = n.saturating_add(1);
        self.note_opened(number, &header);
        Some(Opened { number, plaintext, ack, pq: header.pq, skipped, expect, forget, new_chain: false })
    }

    fn open_next(&mut self, n: u32, bundle: &Bundle, rng: &mut (impl CryptoRng + ?Sized)) -> Option<Opened> {
        if n >= RECEIVE_NEXT_WINDOW {
            return None;
        }
        let reached = TagChain::new(self.next_receiving.duplicate()).reach(n, bundle.header().tag)?;
        let plaintext = open_header(&reached.header, bundle)?;
        let header = Header::decode(&plaintext).ok()?;
        let (index, start) = self.next_chain(&header)?;
        let number = start.checked_add(n)?;
        if header.place != n || !self.admits(number, &header) {
            return None;
        }
        let mixed = match header.pq {
            0 => None,
            epoch => Some(mix_into_root(&self.root, self.hybrid.answered(epoch)?)),
        };
        let RootStep { root, chain, next_header: next_receiving } =
            root_step(mixed.as_ref().unwrap_or(&self.root), &self.sending.ratchet.agree(&header.ratchet_key)?);
        let mut messages = MessageChain::new(chain);
        let Reached { passed, header: _, after } = reached;
        let mut forget: Vec<Tag> = passed.iter().map(|(tag, _)| *tag).collect();
        forget.push(bundle.header().tag);
        let of_new = skip(&mut messages, passed, index, start, 0)?;
        let OpenedBody { plaintext, ack } = open_body(&messages.step(), &plaintext, bundle)?;
        let (mut skipped, left) = self.finish_chain(header.previous)?;
        forget.extend(left);
        skipped.extend(of_new);
        // Only the root and what has been mixed into it decide the next chain of our own, so this comes last and may still fail.
        let turned = self.turn(&root, &header, rng)?;

        if header.pq != 0 {
            self.hybrid.note_mixed(header.pq);
        }
        if turned.sending.pq != 0 {
            self.hybrid.note_mixed(turned.sending.pq);
        }
        self.root = turned.root;
        self.next_sending = turned.next_sending;
        self.sending = turned.sending;
        self.next_receiving = next_receiving;
        let next = n + 1;
        let mut expect = Vec::with_capacity((RECEIVE_WINDOW + RECEIVE_NEXT_WINDOW) as usize);
        let mut far = after.duplicate();
        expect_from(&mut expect, &mut far, PlaceChain::Current, next..next + RECEIVE_WINDOW);
        let mut coming = TagChain::new(self.next_receiving.duplicate());
        expect_from(&mut expect, &mut coming, PlaceChain::Next, 0..RECEIVE_NEXT_WINDOW);
        let Header { ratchet_key, previous, pq, .. } = header;
        self.receiving = Some(Receiving { ratchet_key, index, start, previous, pq, messages, near: after, far, next });
        self.note_opened(number, &header);
        Some(Opened { number, plaintext, ack, pq, skipped, expect, forget, new_chain: true })
    }

    /// Index and start of the chain that `header` begins; `None` if its PN contradicts what has been seen or skips too much.
    fn next_chain(&self, header: &Header) -> Option<(u32, u32)> {
        match &self.receiving {
            None => (header.previous == 0).then_some((0, 0)),
            Some(chain) => {
                let rest = header.previous.checked_sub(chain.next)?;
                (rest <= MAX_SKIPPED_PER_CHAIN).then_some(())?;
                Some((chain.index.checked_add(1)?, chain.start.checked_add(header.previous)?))
            }
        }
    }

    /// The keys of the current chain's messages up to its `length`, and all of its tags that were expected.
    fn finish_chain(&self, length: u32) -> Option<(Vec<SkippedKey>, Vec<Tag>)> {
        let Some(chain) = &self.receiving else { return Some((Vec::new(), Vec::new())) };
        let rest = length.checked_sub(chain.next)?;
        let mut tags = chain.near.duplicate();
        let passed: Vec<_> = (0..rest).map(|_| tags.step()).collect();
        let mut forget: Vec<Tag> = passed.iter().map(|(tag, _)| *tag).take(RECEIVE_WINDOW as usize).collect();
        forget.extend((rest..RECEIVE_WINDOW).map(|_| tags.tag()));
        let skipped = skip(&mut chain.messages.duplicate(), passed, chain.index, chain.start, chain.next)?;
        Some((skipped, forget))
    }

    /// This side's next chain, in answer to the other side's new key.
    fn turn(&self, root: &Secret<32>, header: &Header, rng: &mut (impl CryptoRng + ?Sized)) -> Option<Turned> {
        let to_mix = self.hybrid.to_mix();
        let mixed = to_mix.map(|(_, shared)| mix_into_root(root, shared));
        let ratchet = RatchetKey::new(Secret::random(rng));
        let RootStep { root, chain, next_header } = root_step(mixed.as_ref().unwrap_or(root), &ratchet.agree(&header.ratchet_key)?);
        let pq = to_mix.map_or(0, |(epoch, _)| epoch);
        let (start, previous) = (self.next_number(), self.sending.length);
        let sending = Sending::begin(ratchet, chain, self.next_sending.duplicate(), start, previous, pq);
        Some(Turned { root, sending, next_sending: next_header })
    }

    /// Says whether an authentic header may stand in message `number`.
    fn admits(&self, number: u32, header: &Header) -> bool {
        header.confirmed <= self.next_number() && self.received.admits(number, header.floor)
    }

    /// Takes over what an opened message told.
    fn note_opened(&mut self, number: u32, header: &Header) {
        self.received.insert(number, header.floor);
        if header.confirmed > self.peer_confirmed {
            self.hybrid.note_arrived(self.peer_confirmed..header.confirmed);
            self.peer_confirmed = header.confirmed;
        }
        self.sending.answered |= self.peer_confirmed > self.sending.start;
        self.hybrid.note_message();
    }
}

/// What a turn of the ratchet gives for sending.
struct Turned {
    root: Secret<32>,
    sending: Sending,
    next_sending: Secret<32>,
}

/// Takes the message keys of places passed over, from `first` on.
fn skip(messages: &mut MessageChain, passed: Vec<(Tag, Secret<32>)>, chain: u32, start: u32, first: u32) -> Option<Vec<SkippedKey>> {
    // In this order: the other would count one number too many, which may not exist.
    passed
        .into_iter()
        .zip(first..)
        .map(|((tag, header), n)| Some(SkippedKey { tag, chain, number: start.checked_add(n)?, n, header, message: messages.step() }))
        .collect()
}
