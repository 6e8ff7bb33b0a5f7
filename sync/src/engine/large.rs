//! Large messages: content that no bundle holds travels as chunks beside a manifest (docs/protocol.md, section 8.7;
//! docs/design/010-large-messages.md).
//!
//! ```text
//!  writer   send_data ──▶ content in parts ──▶ manifest (ratchet) + chunks (content key) ───────────────▶ delivered, content deleted
//!                                                   │           │                              ▲
//!  reader                                       tags expected   part stored, tag spent … all there: hash, COMPLETE
//! ```
//!
//! `outgoing` is the writer's side, `incoming` the reader's. Here is what both keep in memory; all of it is rebuilt from the store.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use self::{incoming::Incoming, outgoing::Outgoing};
use super::{Engine, Expected};
use crate::{
    crypto::{
        chunk::{CHUNK_CAPACITY, ContentKey, chunk_count},
        secret::Secret,
    },
    id::{ContactId, MessageId, Tag},
    store::{DataRow, DataState, MessageRow, StoreError},
    time::Hour,
    view::Data,
};

/// Stands for an incoming message whose chunks are expected, in the table of tags.
pub(super) type Slot = u32;

/// What is under way.
#[derive(Default)]
pub(super) struct Large {
    /// Incoming ones whose chunks are expected.
    incoming: BTreeMap<Slot, Incoming>,
    slots: BTreeMap<(ContactId, MessageId), Slot>,
    next_slot: Slot,
    /// Incoming ones that wait until there is room for their tags.
    waiting: BTreeSet<(ContactId, MessageId)>,
    /// Those written here whose reader has not said that it has all of them.
    outgoing: BTreeMap<(ContactId, MessageId), Outgoing>,
    /// The tags of their chunks. Looked up, never iterated.
    own: HashMap<Tag, (ContactId, MessageId)>,
    /// Complete ones whose writers are to be told.
    due: BTreeSet<(ContactId, MessageId)>,
    /// Those whose writers were told, by the number that said so, while it is open.
    told: BTreeMap<(ContactId, u32), Vec<MessageId>>,
}

impl Large {
    /// Forgets a contact.
    pub(super) fn forget(&mut self, contact: ContactId) {
        self.incoming.retain(|_, incoming| incoming.contact != contact);
        self.slots.retain(|(id, _), _| *id != contact);
        self.waiting.retain(|(id, _)| *id != contact);
        self.outgoing.retain(|(id, _), _| *id != contact);
        self.own.retain(|_, (id, _)| *id != contact);
        self.due.retain(|(id, _)| *id != contact);
        self.told.retain(|(id, _), _| *id != contact);
    }

    /// Whether a message was written here and its reader does not have all of it.
    pub(super) fn is_outgoing(&self, contact: ContactId, id: MessageId) -> bool {
        self.outgoing.contains_key(&(contact, id))
    }

    /// The message that a chunk sealed here belongs to.
    pub(super) fn message_of(&self, tag: &Tag) -> Option<(ContactId, MessageId)> {
        self.own.get(tag).copied()
    }

    /// The slots of a contact.
    fn slots_of(&self, contact: ContactId) -> impl Iterator<Item = (Slot, &Incoming)> {
        let all = (contact, MessageId([0; 16]))..=(contact, MessageId([0xff; 16]));
        self.slots.range(all).filter_map(|(_, slot)| Some((*slot, self.incoming.get(slot)?)))
    }

    /// The tags of the chunks that a contact may send.
    pub(super) fn tags_of(&self, contact: ContactId) -> Vec<(Tag, Expected)> {
        let slots = self.slots_of(contact);
        slots.flat_map(|(slot, incoming)| incoming.tags().map(move |(tag, index)| (tag, Expected::Chunk(contact, slot, index)))).collect()
    }
}

impl Engine {
    /// Loads what is under way with a contact.
    pub(super) fn load_large(&mut self, contact: ContactId) -> Result<(), StoreError> {
        for row in self.store.load_open_data(contact)? {
            let key = (contact, row.id);
            match (row.outgoing, row.state) {
                (true, _) => self.large.note_outgoing(&row),
                (false, DataState::Complete) => match row.number.filter(|number| self.is_number_open(contact, *number)) {
                    Some(number) => self.large.told.entry((contact, number)).or_default().push(row.id),
                    None => {
                        self.large.due.insert(key);
                    }
                },
                (false, _) if self.large.slots.contains_key(&key) => {}
                (false, _) => {
                    self.large.waiting.insert(key);
                }
            }
        }
        self.admit_waiting(contact)
    }

    fn is_number_open(&self, contact: ContactId, number: u32) -> bool {
        let pair = self.contacts.get(&contact).and_then(|contact| contact.pair.as_ref());
        pair.is_some_and(|pair| pair.outbox.contains_key(&number))
    }

    /// What an interface is told of a message that is no text.
    pub(super) fn view_data(&self, row: &MessageRow) -> Result<Option<Data>, StoreError> {
        // Every text has at least one byte.
        if !row.text.is_empty() {
            return Ok(None);
        }
        Ok(self
            .store
            .find_data(row.contact, row.outgoing, row.id)?
            .map(|data| Data { length: data.length, received: self.received(&data) }))
    }

    /// How many bytes of a content its reader has, as far as is known here.
    fn received(&self, data: &DataRow) -> u32 {
        match data.state {
            DataState::Complete | DataState::Told => data.length,
            DataState::Left | DataState::Void => 0,
            DataState::Open => {
                let slot = self.large.slots.get(&(data.contact, data.id)).filter(|_| !data.outgoing);
                slot.and_then(|slot| self.large.incoming.get(slot)).map_or(0, Incoming::received)
            }
        }
    }
}

/// The key of a row that has one.
fn content_key(row: &DataRow) -> Option<ContentKey> {
    let key = row.key.as_ref().filter(|_| row.created != Hour::UNKNOWN)?;
    Some(ContentKey::new(Secret::new(**key), row.created))
}

/// How many bytes so many whole chunks hold, at most those of the content.
fn bytes_of(chunks: u32, length: u32) -> u32 {
    if chunks >= chunk_count(length) { length } else { chunks.saturating_mul(CHUNK_CAPACITY as u32) }
}
