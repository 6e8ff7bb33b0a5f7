//! People in one room become contacts (docs/protocol.md, section 7.8): the window, who is in it, what a person asks.
//!
//! ```text
//!   Idle ── our person chooses ─▶ Chosen ── both have ─▶ Committed ─▶ Opened ─┐        (the side that dialled)
//!                                                     └▶ Asked ───────────────┴▶ Comparing ─ equal ─▶ Confirmed ─ both ─▶ Established
//!   from anywhere before Established, by END from either side: Failed          └─ they differ ─▶ Failed
//! ```
//!
//! Nothing is stored before our person has found the words equal; then contact and pair are, and wait (`pending`) until the other side shows
//! that its person has: by CONFIRM, or later by anything that only the pair's keys can make. `exchange` has the steps, `places` how links
//! are kept for them, `peer` how they show.

mod exchange;
mod peer;
mod places;

use std::collections::BTreeMap;

use hedgerow_transports::LinkId;

use self::peer::{Peer, Phase};
pub(super) use self::places::LinkNearby;
use super::{
    Engine, Output, Timer,
    command::parse_number,
    config::{MAX_CONTACTS, MAX_FAILED_COMPARISONS, MAX_NEARBY_SHOWN},
};
use crate::{
    id::ContactId,
    store::StoreError,
    time::{Instant, Now, UnixMillis},
    view::{self, CommandError, Event, NearbyPeer},
    wire::{
        nearby::{End, NEARBY_VERSION, Step},
        record::Record,
    },
};

type Answered<T> = Result<Result<T, CommandError>, StoreError>;

/// The window and who is in it. Lost with the process, as it would have closed.
#[derive(Default)]
pub(super) struct Nearby {
    /// When it closes, by running time and as people are told; absent while it is closed.
    window: Option<(Instant, UnixMillis)>,
    /// Comparisons that have failed since the profile was opened.
    mismatches: u32,
    /// Exchanges that have failed in this window in a way that somebody in between could have caused.
    failures: u8,
    last_number: u32,
    peers: BTreeMap<u32, Peer>,
    /// Subscribers are to be told.
    changed: bool,
}

impl Nearby {
    const fn is_open(&self) -> bool {
        self.window.is_some()
    }

    /// The number of whoever is at the other end of a link.
    fn number_of(&self, link: LinkId) -> Option<u32> {
        self.peers.iter().find(|(_, peer)| peer.link == Some(link)).map(|(number, _)| *number)
    }

    fn peer_on(&mut self, link: LinkId) -> Option<&mut Peer> {
        self.peers.values_mut().find(|peer| peer.link == Some(link))
    }
}

impl Engine {
    /// Opens the window, or makes it last from now on.
    pub(super) fn open_nearby(&mut self, now: Now) -> view::Nearby {
        let lasts = self.config.nearby_window;
        let ends = now.mono + lasts;
        if self.nearby.window.replace((ends, UnixMillis(now.wall.0.saturating_add(lasts.as_millis() as u64)))).is_none() {
            self.nearby.failures = 0;
        }
        self.timers.insert((ends, Timer::Nearby));
        // What has come to an end is not shown any more.
        self.nearby.peers.retain(|_, peer| {
            if matches!(peer.phase, Phase::Failed(_) | Phase::Established(_)) {
                peer.phase = Phase::Idle;
            }
            peer.link.is_some() || matches!(peer.phase, Phase::Comparing(_))
        });
        self.nearby.changed = true;
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.tell_here(link);
        }
        self.look_anew();
        self.view_nearby()
    }

    /// Closes the window at a person's wish: whatever no person here has found equal ends with it.
    pub(super) fn end_nearby(&mut self, now: Now) -> view::Nearby {
        let under_way = |peer: &Peer| peer.is_engaged() && !matches!(peer.phase, Phase::Chosen | Phase::Confirmed(..));
        for number in self.nearby.peers.iter().filter(|(_, peer)| under_way(peer)).map(|(number, _)| *number).collect::<Vec<_>>() {
            self.break_off(number, End::Withdrawn, "it was ended here");
        }
        self.close_nearby(now);
        self.view_nearby()
    }

    /// Closes the window. Exchanges that both have begun go on.
    fn close_nearby(&mut self, now: Now) {
        self.nearby.window = None;
        self.nearby.changed = true;
        let chosen = |peer: &Peer| matches!(peer.phase, Phase::Chosen) && !peer.chose_us;
        for peer in self.nearby.peers.values_mut() {
            // GONE says so.
            if chosen(peer) {
                peer.phase = Phase::Idle;
            }
            peer.chose_us &= peer.is_engaged();
        }
        for (link, state) in &mut self.links {
            if std::mem::take(&mut state.nearby.told) && state.is_open() {
                self.outputs.push_back(Output::Transmit { link: *link, record: Record::Nearby(Step::Gone).encode() });
            }
        }
        self.settle_visitors(now);
    }

    /// Chooses a peer. Nothing more happens if it was chosen before.
    pub(super) fn add_nearby(&mut self, now: Now, wanted: &str) -> Result<NearbyPeer, CommandError> {
        if !self.nearby.is_open() {
            return Err(CommandError::Nearby("the window is closed: open it first"));
        }
        if self.contacts.len() >= MAX_CONTACTS {
            return Err(CommandError::TooMany("contacts"));
        }
        let number = self.find_nearby(wanted)?;
        let Some(peer) = self.nearby.peers.get_mut(&number) else { return Err(CommandError::UnknownPeer(wanted.to_owned())) };
        // What both have just brought to its end begins anew only if the other asks for it.
        let is_over = matches!(peer.phase, Phase::Established(_)) && !peer.chose_us;
        if !peer.is_engaged() && !is_over {
            let (true, Some(link)) = (peer.here, peer.link) else {
                return Err(CommandError::Nearby("its window is closed, or it is out of reach"));
            };
            (peer.phase, peer.since) = (Phase::Chosen, now.mono);
            let both = peer.chose_us;
            self.nearby.changed = true;
            self.host(link);
            self.transmit(link, &Record::Nearby(Step::Choose));
            if both {
                self.begin_exchange(now, number);
            }
        }
        self.show_nearby(number)
    }

    /// Takes a person's word on whether the words are equal.
    pub(super) fn confirm_nearby(&mut self, now: Now, wanted: &str, matches: bool) -> Answered<NearbyPeer> {
        let number = match self.find_nearby(wanted) {
            Ok(number) => number,
            Err(error) => return Ok(Err(error)),
        };
        match self.nearby.peers.get(&number).map(|peer| &peer.phase) {
            Some(Phase::Comparing(_)) if matches => self.keep_pair(now, number)?,
            Some(Phase::Comparing(_)) => {
                self.note_mismatch("the words differed: somebody may be between the two of you. Nothing was agreed");
                self.break_off(number, End::Differ, "the words differed: somebody may be in between");
                self.note_failure(now);
            }
            Some(Phase::Confirmed(..) | Phase::Established(_)) if matches => {}
            Some(Phase::Confirmed(..) | Phase::Established(_)) => {
                return Ok(Err(CommandError::Nearby("the words were found equal before; remove the contact if that was wrong")));
            }
            _ => return Ok(Err(CommandError::Nearby("there are no words to compare yet"))),
        }
        Ok(self.show_nearby(number))
    }

    /// The window and who is in it, as people see it.
    pub(super) fn view_nearby(&self) -> view::Nearby {
        let (engaged, others): (Vec<_>, Vec<_>) = self.shown_nearby().partition(|(_, peer)| peer.is_engaged());
        let room = MAX_NEARBY_SHOWN.saturating_sub(engaged.len());
        let shown: BTreeMap<u32, &Peer> = engaged.into_iter().chain(others.into_iter().take(room)).collect();
        let peers = shown.into_iter().map(|(number, peer)| peer.view(number, self.contact_on(peer))).collect();
        view::Nearby { until: self.nearby.window.map(|(_, until)| until), mismatches: self.nearby.mismatches, peers }
    }

    /// Tells subscribers, where something has changed in this batch.
    pub(super) fn tell_nearby(&mut self) {
        if std::mem::take(&mut self.nearby.changed) {
            let view = self.view_nearby();
            self.outputs.push_back(Output::Event(Event::Nearby(view)));
        }
    }

    /// Tells a peer that our window is open, once.
    pub(super) fn tell_here(&mut self, link: LinkId) {
        let open = self.nearby.is_open();
        let Some(state) = self.links.get_mut(&link).filter(|state| open && state.is_open() && !state.nearby.told) else { return };
        state.nearby.told = true;
        let name = self.profile.name.clone();
        self.transmit(link, &Record::Nearby(Step::Here { version: NEARBY_VERSION, name }));
    }

    /// The timer of all this: ends what has lasted long enough.
    pub(super) fn check_nearby(&mut self, now: Now) {
        if self.nearby.window.is_some_and(|(ends, _)| ends <= now.mono) {
            self.close_nearby(now);
        }
        let (answers, people) = (self.config.nearby_answer, self.config.nearby_comparison);
        let late = |peer: &Peer| {
            let waited = now.mono.since(peer.since);
            (peer.is_in_flight() && waited >= answers) || (matches!(peer.phase, Phase::Comparing(_)) && waited >= people)
        };
        for number in self.nearby.peers.iter().filter(|(_, peer)| late(peer)).map(|(number, _)| *number).collect::<Vec<_>>() {
            let Some(peer) = self.nearby.peers.get(&number) else { continue };
            let (end, why, counts) = if peer.is_in_flight() {
                (End::Failed, "no answer came in time", peer.has_shown())
            } else {
                (End::Withdrawn, "nobody said in time whether the words are equal", true)
            };
            self.break_off(number, end, why);
            if counts {
                self.note_failure(now);
            }
        }
        self.settle_visitors(now);
    }

    /// A link is gone, and with it whoever was at its other end, unless a person here has seen words.
    pub(super) fn part_nearby(&mut self, now: Now, link: LinkId) {
        let Some(number) = self.nearby.number_of(link) else { return };
        let Some(peer) = self.nearby.peers.get_mut(&number) else { return };
        self.nearby.changed = true;
        let broke_off = peer.has_shown();
        (peer.link, peer.here, peer.chose_us) = (None, false, false);
        if !peer.outlasts_link() {
            self.nearby.peers.remove(&number);
        }
        if broke_off {
            self.note_failure(now);
        }
    }

    /// A contact is removed or blocked, and with that ends what was begun with it here; unless it goes on as `same_as`.
    pub(super) fn part_nearby_with(&mut self, contact: ContactId, same_as: Option<ContactId>) {
        let mut over = Vec::new();
        for (number, peer) in &mut self.nearby.peers {
            match (&mut peer.phase, same_as) {
                (Phase::Confirmed(_, of) | Phase::Established(of), Some(other)) if *of == contact => *of = other,
                (Phase::Established(of), None) if *of == contact => peer.phase = Phase::Idle,
                (Phase::Confirmed(_, of), None) if *of == contact => over.push(*number),
                // The words vouch for a pair that is gone.
                (Phase::Comparing(comparison), _) if comparison.same == Some(contact) => over.push(*number),
                _ => continue,
            }
            self.nearby.changed = true;
        }
        for number in over {
            self.break_off(number, End::Withdrawn, "the contact was removed or blocked");
        }
    }

    /// Counts words that differ, or what amounts to it, and says so.
    fn note_mismatch(&mut self, text: &'static str) {
        self.nearby.mismatches = self.nearby.mismatches.saturating_add(1);
        self.nearby.changed = true;
        self.notice("words_differ", text.into(), None);
    }

    /// Counts an exchange that somebody in between may have spoilt: each is one guess at the words. After a few the window closes.
    fn note_failure(&mut self, now: Now) {
        self.nearby.failures = self.nearby.failures.saturating_add(1);
        if self.nearby.is_open() && self.nearby.failures >= MAX_FAILED_COMPARISONS {
            self.close_nearby(now);
            self.notice("nearby_closed", "too many exchanges nearby have failed: the window is closed".into(), None);
        }
    }

    /// Who is shown, in the order in which they came.
    fn shown_nearby(&self) -> impl Iterator<Item = (u32, &Peer)> {
        let open = self.nearby.is_open();
        let is_shown = move |peer: &Peer| (open && peer.here) || !matches!(peer.phase, Phase::Idle);
        self.nearby.peers.iter().filter(move |(_, peer)| is_shown(peer)).map(|(number, peer)| (*number, peer))
    }

    /// The contact whose session a peer's link is, with whether it is verified.
    fn contact_on(&self, peer: &Peer) -> Option<(ContactId, bool)> {
        let contact = self.links.get(&peer.link?)?.peer.contact()?;
        Some((contact, self.contacts.get(&contact)?.row.verified))
    }

    fn find_nearby(&self, wanted: &str) -> Result<u32, CommandError> {
        let unknown = || CommandError::UnknownPeer(wanted.to_owned());
        if let Some(number) = parse_number(wanted) {
            return self.shown_nearby().find(|(other, _)| *other == number).map(|_| number).ok_or_else(unknown);
        }
        let mut named = self.shown_nearby().filter(|(_, peer)| peer.name.as_str() == wanted).map(|(number, _)| number);
        let number = named.next().ok_or_else(unknown)?;
        if named.next().is_some() { Err(CommandError::Nearby("several claim this name: say its number")) } else { Ok(number) }
    }

    fn show_nearby(&self, number: u32) -> Result<NearbyPeer, CommandError> {
        let peer = self.nearby.peers.get(&number).ok_or_else(|| CommandError::UnknownPeer(number.to_string()))?;
        Ok(peer.view(number, self.contact_on(peer)))
    }
}
