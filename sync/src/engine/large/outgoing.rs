//! The writer's side: the content is kept in parts until the reader has all of it, and sealed into chunks together with its manifest.
//!
//! Chunks spend no ratchet numbers: a window of 200 would hold no more than 800 kB. They are own bundles, held back and released one by one.

use zeroize::Zeroizing;

use super::{
    super::{
        Changed, Engine,
        command::{Outcome, accept},
    },
    Large, content_key,
};
use crate::{
    crypto::{
        chunk::{CHUNK_CAPACITY, ContentKey, chunk_count, content_hash},
        secret::Secret,
    },
    id::{BundleId, ContactId, MessageId, Tag},
    store::{DataRow, DataState, LogEvent, MessageRow, Origin, StoreError},
    time::{Hour, Now},
    view::{CommandError, MessageState, Sent},
    wire::item::{MAX_DATA_LEN, Manifest},
};

/// A large message that was written here.
pub(super) struct Outgoing {
    length: u32,
    /// Absent before it is sealed.
    key: Option<ContentKey>,
    /// A chunk has left this device, or may have.
    left: bool,
}

impl Outgoing {
    /// The tags of all its chunks, with their indexes; none before it is sealed.
    fn tags(&self) -> impl Iterator<Item = (Tag, u32)> {
        let count = self.key.as_ref().map_or(0, |_| chunk_count(self.length));
        (0..count).filter_map(|index| Some((self.key.as_ref()?.tag(index), index)))
    }
}

impl Large {
    /// Enters a message that was written here, as its row says.
    pub(super) fn note_outgoing(&mut self, row: &DataRow) {
        let outgoing = Outgoing { length: row.length, key: content_key(row), left: row.state != DataState::Open };
        self.own.extend(outgoing.tags().map(|(tag, _)| (tag, (row.contact, row.id))));
        self.outgoing.insert((row.contact, row.id), outgoing);
    }
}

impl Engine {
    /// Writes a message that may be larger than a text and hold any bytes, or finds the one of this id.
    pub(in super::super) fn send_data(&mut self, now: Now, contact: ContactId, data: Vec<u8>, id: Option<MessageId>) -> Outcome<Sent> {
        let data = Zeroizing::new(data);
        accept!(check_data(&data));
        accept!(self.may_write_to(contact));
        let hash = content_hash(&data);
        if let Some(id) = id {
            self.flush_messages()?;
            let rows = self.store.find_messages_by_id(id)?;
            if let Some(row) = rows.iter().find(|row| row.outgoing) {
                let before = self.store.find_data(row.contact, true, id)?;
                let same = row.contact == contact && before.is_some_and(|before| before.hash == hash);
                return Ok(if same { Ok(Sent { id, state: row.state }) } else { Err(CommandError::IdTaken) });
            }
        }
        let row = self.new_message(now, contact, id, String::new(), false)?;
        let id = row.id;
        self.store.insert_message(&row)?;
        let (outgoing, length) = (true, data.len() as u32);
        let state = DataState::Open;
        let data_row = DataRow { contact, outgoing, id, length, hash, key: None, created: Hour::UNKNOWN, state, number: None };
        self.store.insert_data(&data_row)?;
        for (part, bytes) in (0..).zip(data.chunks(CHUNK_CAPACITY)) {
            self.store.save_part(contact, true, id, part, bytes)?;
        }
        self.large.note_outgoing(&data_row);
        if let Some(pair) = self.pair(contact) {
            pair.unsealed = true;
        }
        self.busy_contacts.insert(contact);
        self.changed.insert((contact, true, id), Changed { row, saved: true });
        Ok(Ok(Sent { id, state: MessageState::Queued }))
    }

    /// The manifest of a message that is about to be sealed, now that there is mesh time. What was sealed before stays, so that its chunks need
    /// not go out again, unless one of them was let go: then all are sealed anew.
    pub(in super::super) fn manifest_of(&mut self, now: Now, row: &MessageRow) -> Result<Option<Manifest>, StoreError> {
        let Some(mut data) = self.store.find_data(row.contact, true, row.id)? else { return Ok(None) };
        let is_whole = data.key.is_some() && self.has_all_chunks(row.contact, row.id);
        if !is_whole {
            self.drop_chunks(row.contact, row.id)?;
            let key = Secret::<32>::random(self.rng.as_mut());
            data.key = Some(Zeroizing::new(*key.expose()));
            (data.created, data.state) = (self.hour(now), DataState::Open);
            self.store.save_data(&data)?;
            self.large.note_outgoing(&data);
        }
        let DataRow { length, hash, created, .. } = data;
        let manifest = |key| Manifest { id: row.id, sent: row.sent, order: row.order, length, created, key, hash };
        Ok(data.key.map(manifest))
    }

    fn has_all_chunks(&self, contact: ContactId, id: MessageId) -> bool {
        let tags = self.large.outgoing.get(&(contact, id)).map(|outgoing| outgoing.tags());
        tags.is_some_and(|mut tags| tags.all(|(tag, _)| self.own_chunk(contact, &tag).is_some()))
    }

    /// The bundle that was sealed here under the tag of a chunk, if it is held.
    fn own_chunk(&self, contact: ContactId, tag: &Tag) -> Option<BundleId> {
        let is_own = |id: &BundleId| self.holdings.row(id).is_some_and(|row| row.origin == Origin::Own(contact));
        self.holdings.with_tag(tag).into_iter().find(is_own)
    }

    /// Seals the chunks of a message that are not held.
    pub(in super::super) fn seal_chunks(&mut self, now: Now, contact: ContactId, id: MessageId) -> Result<(), StoreError> {
        let Some(outgoing) = self.large.outgoing.get(&(contact, id)) else { return Ok(()) };
        let lacking: Vec<u32> = outgoing.tags().filter(|(tag, _)| self.own_chunk(contact, tag).is_none()).map(|(_, index)| index).collect();
        for index in lacking {
            let part = self.store.load_part(contact, true, id, index)?.unwrap_or_default();
            let Some(key) = self.large.outgoing.get(&(contact, id)).and_then(|outgoing| outgoing.key.as_ref()) else { return Ok(()) };
            let bundle = key.seal(index, &part).bundle;
            self.add_own_bundle(now, contact, &bundle)?;
        }
        Ok(())
    }

    /// Deletes the chunks of a message that are held, and forgets their key.
    fn drop_chunks(&mut self, contact: ContactId, id: MessageId) -> Result<(), StoreError> {
        let Some(outgoing) = self.large.outgoing.get_mut(&(contact, id)) else { return Ok(()) };
        let tags: Vec<Tag> = outgoing.tags().map(|(tag, _)| tag).collect();
        (outgoing.key, outgoing.left) = (None, false);
        for tag in &tags {
            if let Some(bundle) = self.own_chunk(contact, tag) {
                self.discard_bundle(&bundle)?;
            }
            self.large.own.remove(tag);
        }
        Ok(())
    }

    /// Has a message that was taken back or expired sealed anew, if it is sent once more. Harmless for texts.
    pub(in super::super) fn unseal_data(&mut self, contact: ContactId, id: MessageId) -> Result<(), StoreError> {
        if !self.large.is_outgoing(contact, id) {
            return Ok(());
        }
        self.drop_chunks(contact, id)?;
        match self.store.find_data(contact, true, id)? {
            Some(row) => self.store.save_data(&DataRow { key: None, created: Hour::UNKNOWN, state: DataState::Open, ..row }),
            None => Ok(()),
        }
    }

    /// The reader has all of a message: it is delivered, its chunks may be let go after a while, and nothing of the content is kept here.
    pub(in super::super) fn take_complete(&mut self, now: Now, contact: ContactId, id: MessageId) -> Result<(), StoreError> {
        // What was not sealed can't have come.
        let is_sealed = |outgoing: &Outgoing| outgoing.key.is_some();
        if !self.large.outgoing.get(&(contact, id)).is_some_and(is_sealed) {
            return Ok(());
        }
        let Some(outgoing) = self.large.outgoing.remove(&(contact, id)) else { return Ok(()) };
        for (tag, index) in outgoing.tags() {
            self.large.own.remove(&tag);
            let held = self.own_chunk(contact, &tag);
            if let Some((bundle, key)) = held.zip(outgoing.key.as_ref()) {
                self.schedule_ack(now, bundle, &key.ack(index))?;
            }
        }
        self.store.delete_parts(contact, true, id)?;
        if let Some(row) = self.store.find_data(contact, true, id)? {
            self.store.save_data(&DataRow { key: None, state: DataState::Told, ..row })?;
        }
        self.change_message(contact, true, id, |row| {
            if matches!(row.state, MessageState::Queued | MessageState::Carried | MessageState::Expired) {
                row.state = MessageState::Delivered;
                row.log.push(now.wall, LogEvent::Receipt);
            }
        })
    }

    /// The messages to a contact that are not complete: those whose manifests were confirmed have no number any more.
    pub(in super::super) fn unfinished_data(&self, contact: ContactId) -> Vec<MessageId> {
        let all = (contact, MessageId([0; 16]))..=(contact, MessageId([0xff; 16]));
        self.large.outgoing.range(all).filter(|(_, outgoing)| outgoing.key.is_some()).map(|((_, id), _)| *id).collect()
    }

    /// A chunk is handed to a link in this batch; `false` if the bundle is none.
    pub(in super::super) fn note_chunk_left(&mut self, bundle: &BundleId) -> Result<bool, StoreError> {
        let Some((contact, id)) = self.holdings.row(bundle).and_then(|row| self.large.message_of(&row.tag)) else { return Ok(false) };
        if let Some(outgoing) = self.large.outgoing.get_mut(&(contact, id)).filter(|outgoing| !outgoing.left)
            && let Some(row) = self.store.find_data(contact, true, id)?
        {
            outgoing.left = true;
            self.store.save_data(&DataRow { state: DataState::Left, ..row })?;
        }
        Ok(true)
    }

    /// Whether a chunk of a message may have left this device, or is promised to a peer.
    pub(in super::super) fn may_chunk_have_left(&self, contact: ContactId, id: MessageId) -> bool {
        let Some(outgoing) = self.large.outgoing.get(&(contact, id)) else { return false };
        let is_owed = |bundle: BundleId| self.links.values().any(|link| link.owed.contains(&bundle));
        outgoing.left || outgoing.tags().any(|(tag, _)| self.own_chunk(contact, &tag).is_some_and(is_owed))
    }
}

/// Refuses what no large message can hold.
fn check_data(data: &[u8]) -> Result<(), CommandError> {
    if (1..=MAX_DATA_LEN).contains(&data.len()) {
        return Ok(());
    }
    Err(CommandError::TextLength { length: data.len(), limit: MAX_DATA_LEN })
}
