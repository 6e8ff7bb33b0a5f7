//! Who is at the other end of a link (docs/protocol.md, sections 3.1 and 7.6), and what happens when a session opens or ends.

use hedgerow_transports::{LinkId, LinkProperties};
use rand_core::Rng;

use super::{
    Engine, Output, Timer,
    config::MAX_OPENING_LINKS,
    link::{LinkState, Peer, Phase},
    pair::{Contact, Exchange},
    records::Breach,
    routing::{Scope, rank},
};
use crate::{
    crypto::{link::LinkKeys, pair_keys::PairRole, ratchet::PairEpochKeys},
    id::ContactId,
    session::{
        RECOGNITION_ENTRIES, RECOGNITION_LIST_LEN, RecognitionKeys, Role, SessionInfo, Verdict,
        recognition::{build_list, find_match},
    },
    store::StoreError,
    time::{Now, UnixMillis},
    view::{ContactState, Event},
    wire::record::{ByeReason, Hello, Record},
};

/// Whom a session lists, with the epoch and its keys.
pub(super) type Listed = Vec<(Peer, u32, RecognitionKeys)>;

/// Places in a list that contacts take in turn, where there are more than fit (policy: a quarter).
const TURNING_PLACES: usize = 32;
/// Pending links that are listed, at most (policy: twice what may wait at once).
const MAX_PENDING_LISTED: usize = 16;

impl Engine {
    pub(super) fn handle_handshaken(&mut self, now: Now, link: LinkId, properties: LinkProperties, info: SessionInfo) {
        if self.links.contains_key(&link) {
            self.outputs.push_back(Output::Close(link));
            return;
        }
        // Who means to be recognised is so within moments: the one that has taken longest gives way.
        let opening = || self.links.iter().filter(|(_, state)| !state.closing && !matches!(state.phase, Phase::Open));
        if opening().count() >= MAX_OPENING_LINKS
            && let Some(slowest) = opening().min_by_key(|(id, state)| (state.opened, **id)).map(|(id, _)| *id)
        {
            self.end_link(slowest, ByeReason::Crowded);
        }
        let repairs = self.listed_repairs();
        let listed = self.listed_keys();
        let entries: Vec<[u8; 8]> =
            repairs.iter().map(|(_, keys)| keys).chain(listed.iter().map(|(_, _, keys)| keys)).map(|keys| keys.own_entry(&info)).collect();
        let list = build_list(entries.into_iter(), self.rng.as_mut());
        let mut state = LinkState::new(properties, info, now.mono);
        state.listed = listed;
        self.links.insert(link, state);
        self.timers.insert((now.mono + self.config.recognise_within, Timer::Link(link)));
        self.outputs.push_back(Output::Recognise { link, list });
    }

    pub(super) fn handle_peer_list(&mut self, link: LinkId, list: &[u8; RECOGNITION_LIST_LEN]) {
        let Some(state) = self.links.get_mut(&link).filter(|link| matches!(link.phase, Phase::Recognising)) else { return };
        let (info, listed) = (state.info.clone(), std::mem::take(&mut state.listed));
        let repairing = self.find_repairing(list, &info);
        let is_repairing = repairing.is_some();
        let matched = repairing.or_else(|| self.find_peer(list, listed, &info));
        let hint = self.find_repair_hint(list, &info);
        let Some(state) = self.links.get_mut(&link) else { return };
        (state.repair_hint, state.repairing) = (hint, is_repairing);
        let (peer, verdict) = match matched {
            Some((peer, keys)) => (peer, Verdict::matched(&keys, &info)),
            None => (Peer::Stranger, Verdict::unrecognised(self.rng.as_mut())),
        };
        state.phase = Phase::Confirming(peer);
        self.outputs.push_back(Output::Confirm { link, verdict });
    }

    /// Whom we list: contacts with the keys of their newest common epoch, then holders of pending links, and as far as there is room those
    /// of settled links, so that a second user is told and both people are warned. Of more contacts than fit, some take turns.
    fn listed_keys(&mut self) -> Listed {
        let mut contacts: Vec<_> = self
            .contacts
            .values()
            .filter(|contact| contact.is_paired())
            .filter_map(|contact| Some((contact.row.last_seen, contact.row.id, contact.pair.as_ref()?)))
            .collect();
        contacts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let (pending, settled): (Vec<_>, Vec<_>) = self
            .contacts
            .values()
            .filter(|contact| contact.row.state != ContactState::Blocked)
            .filter_map(|contact| Some((contact.row.id, contact.exchange.as_ref()?)))
            .partition(|(_, exchange)| !matches!(exchange, Exchange::Issued { met: true, .. }));
        let wanted = pending.len().min(MAX_PENDING_LISTED) + self.listed_repairs().len();
        let places = RECOGNITION_ENTRIES - wanted.min(RECOGNITION_ENTRIES);
        let room = places.saturating_sub(contacts.len());
        let turn = self.turn;
        let invited = |(id, exchange): (ContactId, &Exchange)| (Peer::Invited(id), 0, exchange_keys(exchange));
        self.turn = turn.wrapping_add(TURNING_PLACES);
        choose(contacts.len(), places, turn)
            .filter_map(|index| contacts.get(index))
            .filter_map(|&(_, id, pair)| {
                let epoch = pair.ratchet.sending_epoch();
                let keys = pair.ratchet.recognition().find(|keys| keys.epoch == epoch)?;
                Some((Peer::Contact(id), epoch, recognition_keys(keys)))
            })
            .chain(pending.into_iter().take(MAX_PENDING_LISTED).map(invited))
            .chain(settled.into_iter().take(room).map(invited))
            .collect()
    }

    /// Looks for an entry that somebody whom we listed would send; returns the keys that both sides confirm with.
    fn find_peer(&self, list: &[u8; RECOGNITION_LIST_LEN], listed: Listed, info: &SessionInfo) -> Option<(Peer, RecognitionKeys)> {
        let mut contacts = Vec::new();
        let mut links = Vec::new();
        let welcome = |peer: Peer| match peer {
            // Somebody may have been blocked since he was listed: our confirmation would tell him who we are.
            Peer::Contact(id) | Peer::Invited(id) => {
                self.contacts.get(&id).is_some_and(|contact| contact.row.state != ContactState::Blocked)
            }
            Peer::Stranger => false,
        };
        for (peer, listed, keys) in listed.into_iter().filter(|(peer, ..)| welcome(*peer)) {
            match peer {
                Peer::Contact(id) => {
                    let Some(pair) = self.contacts.get(&id).and_then(|contact| contact.pair.as_ref()) else { continue };
                    for epoch in pair.ratchet.recognition() {
                        // Both sides use the newer of the epoch that matched and the one listed oneself.
                        let use_epoch = epoch.epoch.max(listed);
                        contacts.push((recognition_keys(epoch).other_entry(info), (peer, Some(use_epoch))));
                    }
                }
                Peer::Invited(_) => links.push((keys.initiator_entry(info), keys.other_entry(info), peer)),
                Peer::Stranger => {}
            }
        }
        links.sort_unstable();
        let expected: Vec<_> = contacts.into_iter().chain(links.into_iter().map(|(_, entry, peer)| (entry, (peer, None)))).collect();
        let &(peer, epoch) = find_match(list, &expected)?;
        let keys = match (peer, epoch) {
            (Peer::Contact(id), Some(epoch)) => {
                let pair = self.contacts.get(&id)?.pair.as_ref()?;
                recognition_keys(pair.ratchet.recognition().find(|keys| keys.epoch == epoch)?)
            }
            (Peer::Invited(id), _) => exchange_keys(self.contacts.get(&id)?.exchange.as_ref()?),
            _ => return None,
        };
        Some((peer, keys))
    }

    pub(super) fn handle_open(&mut self, now: Now, link: LinkId, recognised: bool) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let Phase::Confirming(candidate) = state.phase else { return Ok(()) };
        let peer = if recognised { candidate } else { Peer::Stranger };
        let (hint, repairing) = (state.repair_hint, state.repairing);
        let welcome = match peer {
            Peer::Contact(id) => self.contacts.get(&id).is_some_and(Contact::is_paired),
            Peer::Invited(id) => {
                let has_reason = |contact: &Contact| if repairing { contact.pair.is_some() } else { contact.exchange.is_some() };
                self.contacts.get(&id).is_some_and(|contact| contact.row.state != ContactState::Blocked && has_reason(contact))
            }
            Peer::Stranger => true,
        };
        if !welcome {
            // It was blocked or removed since our confirmation went out.
            self.end_link(link, ByeReason::Closing);
            return Ok(());
        }
        state.phase = Phase::Open;
        state.peer = peer;
        if !self.admit(now, link) {
            return Ok(());
        }
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.last_heard = now.mono;
        state.hour_told = hour;
        let beacon = self.beacons.get(&state.properties.kind).copied().unwrap_or(crate::id::BeaconId([0; 8]));
        let carries = self.links.get(&link).is_some_and(|state| self.scope_for(state) == Scope::Everything);
        let hello = Hello { beacon, hour, window: self.config.window, carries };
        if let Some(state) = self.links.get_mut(&link) {
            state.carries_told = carries;
        }
        self.timers.insert((now.mono + self.config.ping_after, Timer::Link(link)));
        self.transmit(link, &Record::Hello(hello));
        self.tell_name(now, link);
        match peer {
            Peer::Contact(contact) => self.meet_contact(now, link, contact)?,
            Peer::Invited(_) | Peer::Stranger => self.send_empty_cursor(link),
        }
        self.limit_useless_link(now, link);
        self.tell_here(link);
        self.tell_link(link, true);
        if let Some(contact) = hint.filter(|_| !recognised) {
            self.note_repair_hint(now, link, contact);
        }
        Ok(())
    }

    /// Sends what looks like a contact's CURSOR: by its records' lengths nobody is to see whether two nodes are contacts.
    fn send_empty_cursor(&mut self, link: LinkId) {
        let (mut own_epoch, mut epoch, mut sequence) = ([0; 8], [0; 8], [0; 8]);
        for field in [&mut own_epoch, &mut epoch, &mut sequence] {
            self.rng.fill_bytes(field);
        }
        self.transmit(link, &Record::Cursor { own_epoch, epoch, sequence: u64::from_be_bytes(sequence) });
    }

    /// Notes the CURSOR of somebody who is no contact: once a session.
    pub(super) fn handle_empty_cursor(&mut self, link: LinkId) -> Result<(), Breach> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if std::mem::replace(&mut state.empty_cursor, true) { Err(Breach) } else { Ok(()) }
    }

    /// Draws when a link is closed over which a stranger is shown nothing, and until when who was invited is expected to become a contact.
    fn limit_useless_link(&mut self, now: Now, link: LinkId) {
        let lasts = |state: &LinkState| match state.peer {
            Peer::Contact(_) => true,
            Peer::Invited(_) => false,
            Peer::Stranger => self.scope_for(state) != Scope::Nothing,
        };
        if self.links.get(&link).is_none_or(lasts) {
            return;
        }
        let (least, most) = self.config.useless_link;
        let drawn = f64::from(self.jitter.next_u32()) / f64::from(u32::MAX);
        let at = now.mono + least + most.saturating_sub(least).mul_f64(drawn);
        self.timers.insert((at, Timer::Link(link)));
        if let Some(state) = self.links.get_mut(&link) {
            state.give_up = Some(at);
        }
    }

    /// A link was found to lead to a contact: tells both cursors.
    pub(super) fn meet_contact(&mut self, now: Now, link: LinkId, contact: ContactId) -> Result<(), StoreError> {
        let met_before = self.contacts.get(&contact).and_then(|contact| contact.row.last_seen).map(UnixMillis::hour);
        if let Some(state) = self.links.get_mut(&link) {
            state.peer = Peer::Contact(contact);
            state.met_before = met_before;
        }
        // In a session that is being upgraded HELLO has come.
        if self.links.get(&link).is_some_and(|state| state.hello.is_some()) {
            self.settle_scope(link);
        }
        let cursor = self.store.load_cursor(contact)?;
        let own_epoch = self.profile.epoch;
        self.transmit(link, &Record::Cursor { own_epoch, epoch: cursor.epoch, sequence: cursor.sequence });
        let transport = self.links.get(&link).map(|state| state.properties.kind);
        if let Some(contact) = self.touch(contact) {
            (contact.row.last_seen, contact.row.last_transport) = (Some(now.wall), transport);
        }
        self.note_met(now, contact)?;
        self.busy_contacts.insert(contact);
        Ok(())
    }

    /// Handles UPGRADE: the holder of a pending link has become the contact that came of it.
    pub(super) fn handle_upgrade(&mut self, now: Now, link: LinkId, mac: &[u8; 32]) -> Result<(), StoreError> {
        let Some(state) = self.links.get(&link) else { return Ok(()) };
        // Not expected, or not right: the session stays what it is, for a link may have two holders.
        let Peer::Invited(contact) = state.peer else { return Ok(()) };
        let Some(keys) = self.upgrade_keys(contact) else { return Ok(()) };
        if !keys.other_upgrade(&state.info).matches(mac) {
            return Ok(());
        }
        self.send_upgrade(link, &keys);
        self.tell_link(link, false);
        self.meet_contact(now, link, contact)?;
        self.note_linked(link);
        self.tell_link(link, true);
        Ok(())
    }

    /// Offers the holders of a contact's pending link to go on as that contact.
    pub(super) fn send_upgrades(&mut self, contact: ContactId) {
        let Some(keys) = self.upgrade_keys(contact) else { return };
        for link in self.links_to(contact) {
            if self.links.get(&link).is_some_and(|state| state.peer == Peer::Invited(contact)) {
                self.send_upgrade(link, &keys);
            }
        }
    }

    /// The keys of pair epoch 0, by which the holder of a pending link proves to be the contact that came of it.
    fn upgrade_keys(&self, contact: ContactId) -> Option<RecognitionKeys> {
        let contact = self.contacts.get(&contact).filter(|contact| contact.row.state == ContactState::Established)?;
        contact.pair.as_ref()?.ratchet.recognition().find(|keys| keys.epoch == 0).map(recognition_keys)
    }

    /// Sends UPGRADE, once a session.
    fn send_upgrade(&mut self, link: LinkId, keys: &RecognitionKeys) {
        let Some(state) = self.links.get_mut(&link).filter(|state| !state.upgrade_sent) else { return };
        state.upgrade_sent = true;
        let mac = keys.own_upgrade(&state.info);
        self.transmit(link, &Record::Upgrade(mac));
    }

    /// Handles HELLO: notes the hour, and settles which of several links between two nodes stays.
    pub(super) fn handle_hello(&mut self, now: Now, link: LinkId, hello: Hello) {
        let Some(state) = self.links.get_mut(&link) else { return };
        if state.hello.is_some() {
            return self.end_link(link, ByeReason::Protocol);
        }
        state.hello = Some(hello);
        let (peer, kind, hash) = (state.peer, state.properties.kind, state.info.hash);
        if self.beacons.get(&kind) == Some(&hello.beacon) {
            return self.end_link(link, ByeReason::Myself);
        }
        self.clock.witness(now.mono, peer.contact(), hello.hour);
        self.note_linked(link);
        self.settle_scope(link);

        // A contact's links are the same node's whatever beacon it names; among strangers the beacon is all there is to go by.
        let twins: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(id, other)| **id != link && other.is_open() && other.properties.kind == kind && other.peer == peer)
            .filter(|(_, other)| peer.contact().is_some() || other.hello.is_some_and(|other| other.beacon == hello.beacon))
            .map(|(id, _)| *id)
            .collect();
        for twin in twins {
            let Some(other) = self.links.get(&twin) else { continue };
            // Of two that are new the same one stays at both ends. A link that was there before gives way only to a contact's or if it is
            // dead: else whoever names its beacon could end it.
            let both_new = now.mono.since(other.opened) < self.config.replace_after;
            if both_new && hash < other.info.hash && peer.contact().is_some() {
                self.end_link(twin, ByeReason::Duplicate);
            } else if (both_new && hash > other.info.hash) || other.rival.is_some() {
                return self.end_link(link, ByeReason::Duplicate);
            } else {
                self.probe_link(now, twin, link);
            }
        }
        if let Peer::Invited(contact) = peer {
            self.meet_invited(link, contact);
        }
        if peer.contact().is_none() {
            self.start_with_stranger(now, link);
        }
    }

    /// Asks an older link for a sign of life because of a newer one to the same device.
    fn probe_link(&mut self, now: Now, older: LinkId, newer: LinkId) {
        let Some(state) = self.links.get_mut(&older) else { return };
        state.rival = Some((newer, now.mono));
        state.pings += 1;
        state.rival_ping = state.pings;
        let after = self.config.replace_after;
        self.timers.extend([after, 2 * after].map(|after| (now.mono + after, Timer::Rival(older))));
        self.transmit(older, &Record::Ping);
    }

    /// Decides between an older link that was probed and its rival. The side that dialled the newer link decides as soon as the older one
    /// has answered, the other side only if that fails to: so that they don't close both.
    pub(super) fn settle_rival(&mut self, now: Now, older: LinkId) {
        let Some(state) = self.links.get_mut(&older).filter(|state| state.is_open()) else { return };
        let Some((newer, since)) = state.rival else { return };
        let (heard, answered, waited) = (state.last_heard > since, state.pongs >= state.rival_ping, now.mono.since(since));
        let Some(role) = self.links.get(&newer).filter(|newer| newer.is_open()).map(|newer| newer.info.role) else {
            if let Some(state) = self.links.get_mut(&older) {
                state.rival = None;
            }
            return;
        };
        let after = self.config.replace_after;
        let loser = match heard {
            true if (role == Role::Initiator && answered) || waited >= 2 * after => newer,
            false if waited >= after => older,
            _ => return,
        };
        if let Some(state) = self.links.get_mut(&older) {
            state.rival = None;
        }
        self.end_link(loser, ByeReason::Duplicate);
    }

    /// Keeps the transport from dialling the device at the other end. A beacon is but a claim: a contact's is believed, a stranger's if it
    /// is the one that was dialled; else a stranger could name the beacon of somebody else and cut him off.
    fn note_linked(&mut self, link: LinkId) {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.linked.is_none()) else { return };
        let Some(beacon) = state.hello.map(|hello| hello.beacon) else { return };
        if state.peer.contact().is_some() || state.properties.dialled == Some(beacon) {
            state.linked = Some(beacon);
            self.outputs.push_back(Output::Linked { kind: state.properties.kind, beacon });
        }
    }

    /// Says BYE and closes.
    pub(super) fn end_link(&mut self, link: LinkId, reason: ByeReason) {
        let Some(state) = self.links.get_mut(&link).filter(|state| !state.closing) else { return };
        let open = matches!(state.phase, Phase::Open);
        state.closing = true;
        if open {
            self.transmit(link, &Record::Bye(reason));
        }
        self.outputs.push_back(Output::Close(link));
    }

    /// A contact is gone: its links lead to a stranger now, so they are closed, those that are still being recognised too.
    pub(super) fn end_links_of(&mut self, contact: ContactId) {
        let leads = |state: &LinkState| {
            let peer = if let Phase::Confirming(candidate) = state.phase { candidate } else { state.peer };
            matches!(peer, Peer::Contact(id) | Peer::Invited(id) if id == contact)
        };
        let links: Vec<LinkId> = self.links.iter().filter(|(_, state)| leads(state)).map(|(id, _)| *id).collect();
        for link in links {
            self.end_link(link, ByeReason::Closing);
        }
    }

    pub(super) fn handle_link_down(&mut self, link: LinkId) {
        let Some(state) = self.links.get(&link) else { return };
        if matches!(state.phase, Phase::Open) && state.told {
            self.tell_link(link, false);
        }
        let Some(state) = self.links.remove(&link) else { return };
        let kind = state.properties.kind;
        if let Some(beacon) = state.linked {
            let same = |other: &LinkState| other.properties.kind == kind && other.linked == Some(beacon);
            if !self.links.values().any(same) {
                self.outputs.push_back(Output::Free { kind, beacon });
            }
        }
        if let Some(contact) = state.peer.contact() {
            self.told.insert(contact);
            // Live sessions tell acks as they are learnt.
            if state.live
                && state.scope == Scope::Everything
                && let Some(contact) = self.contacts.get_mut(&contact)
            {
                contact.told_acks = contact.told_acks.max(state.told_acks[0]);
            }
        }
    }

    /// A link's timer: asks for a sign of life, or gives the link up.
    pub(super) fn check_link(&mut self, now: Now, link: LinkId) {
        if let Some(until) = self.nearby_keeps(now, link)
            && let Some(state) = self.links.get_mut(&link)
            && let Some(at) = state.give_up.as_mut().filter(|at| **at <= now.mono)
        {
            *at = until;
            self.timers.insert((until, Timer::Link(link)));
        }
        let is_over = |state: &LinkState| matches!(state.peer, Peer::Invited(_)) && state.give_up.is_some_and(|at| at <= now.mono);
        if self.links.get(&link).is_some_and(|state| state.is_open() && is_over(state)) && !self.settle_invited(now, link) {
            return;
        }
        let Some(state) = self.links.get_mut(&link).filter(|state| !state.closing) else { return };
        if !state.is_open() {
            if now.mono.since(state.opened) >= self.config.recognise_within {
                self.end_link(link, ByeReason::Closing);
            }
            return;
        }
        if state.peer == Peer::Stranger && state.give_up.is_some_and(|at| at <= now.mono) {
            self.note_useless(now, link);
            return self.end_link(link, ByeReason::Closing);
        }
        state.told_acks = [state.told_acks[1], Some(self.holdings.let_go())];
        let again = state.take_refused(now.mono);
        let peer = state.peer;
        for id in again {
            if let Some(row) = self.holdings.row(&id) {
                state.offer(rank(&self.holdings, row, peer, false), id);
            }
        }
        let ping_after = state.ping_after(&self.config);
        let silence = now.mono.since(state.last_heard);
        let next = match state.ping_sent {
            Some(sent) if sent >= state.last_heard => {
                if now.mono.since(sent) >= self.config.pong_within {
                    return self.end_link(link, ByeReason::Closing);
                }
                sent + self.config.pong_within
            }
            _ if silence >= ping_after => {
                state.ping_sent = Some(now.mono);
                state.pings += 1;
                self.transmit(link, &Record::Ping);
                now.mono + self.config.pong_within
            }
            _ => state.last_heard + ping_after,
        };
        self.ask_put_off(now, link);
        self.timers.insert((next, Timer::Link(link)));
        self.busy_links.insert(link);
    }

    fn tell_link(&mut self, link: LinkId, up: bool) {
        let Some(neighbour) = self.view_neighbour(link) else { return };
        if let Some(state) = self.links.get_mut(&link) {
            state.told = up;
        }
        if let Some(contact) = neighbour.contact {
            self.told.insert(contact);
        }
        self.outputs.push_back(Output::Event(if up { Event::LinkUp(neighbour) } else { Event::LinkDown(neighbour) }));
    }
}

/// Which of `count` contacts, the most recently seen first, get the `places` of a list: the first of them always, the others by turns.
fn choose(count: usize, places: usize, turn: usize) -> impl Iterator<Item = usize> {
    let fixed = if count > places { places - TURNING_PLACES.min(places) } else { count };
    let others = count - fixed;
    (0..fixed).chain((0..others.min(places - fixed)).map(move |index| fixed + (turn.wrapping_add(index)) % others))
}

fn recognition_keys(keys: PairEpochKeys) -> RecognitionKeys {
    RecognitionKeys::new(keys.own, keys.other, keys.link)
}

/// The keys by which the holder of a link is recognised.
fn exchange_keys(exchange: &Exchange) -> RecognitionKeys {
    let (role, LinkKeys { invitee_to_issuer, issuer_to_invitee, link }) = match exchange {
        Exchange::Issued { link, .. } => (PairRole::Issuer, link.link().keys()),
        Exchange::Requested { request, .. } => (PairRole::Invitee, request.link_keys()),
    };
    match role {
        PairRole::Issuer => RecognitionKeys::new(issuer_to_invitee, invitee_to_issuer, link),
        PairRole::Invitee => RecognitionKeys::new(invitee_to_issuer, issuer_to_invitee, link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contact_is_listed_sooner_or_later() {
        for (count, places) in [(0, 128), (5, 112), (112, 112), (113, 112), (500, 112), (2000, 128)] {
            let mut seen = std::collections::BTreeSet::new();
            let turns = count / TURNING_PLACES + 1;
            for turn in 0..turns {
                let chosen: Vec<usize> = choose(count, places, turn * TURNING_PLACES).collect();
                assert_eq!(chosen.len(), count.min(places));
                assert_eq!(chosen.iter().collect::<std::collections::BTreeSet<_>>().len(), chosen.len(), "none twice");
                assert!((0..count.min(places - TURNING_PLACES)).all(|recent| chosen.contains(&recent)), "recent ones always");
                seen.extend(chosen);
            }
            assert_eq!(seen.len(), count, "{count} contacts on {places} places");
        }
    }
}
