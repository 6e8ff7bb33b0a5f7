//! What an interface works with: pages of a conversation, what counts as read, drafts, and what a person has chosen for a contact.

use super::{
    Changed, Engine,
    command::{Outcome, accept},
};
use crate::{
    id::{ContactId, MessageId},
    store::StoreError,
    time::Now,
    view::{CommandError, Contact, Draft, Message, MessageState},
    wire::item::MAX_TEXT_LEN,
};

/// Where a message stands in its conversation.
type Place = (u64, MessageId);

/// What a person asks to see of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Only messages after this one.
    pub(super) since: Option<MessageId>,
    /// Only messages before this one.
    pub(super) before: Option<MessageId>,
    /// At most so many, the newest.
    pub(super) limit: Option<u32>,
}

impl Engine {
    /// Shows a page of a conversation; `mark_read` has what is on it count as read.
    pub(super) fn messages(&mut self, now: Now, contact: ContactId, page: Page, mark_read: bool) -> Outcome<Vec<Message>> {
        self.flush_messages()?;
        // Of an id that both sides have used, the place that lets paging go on.
        let after = match page.since {
            Some(id) => Some(accept!(self.places_of(contact, id)?)[1]),
            None => None,
        };
        let before = match page.before {
            Some(id) => Some(accept!(self.places_of(contact, id)?)[0]),
            None => None,
        };
        let mut rows = self.store.load_messages(contact, after, before, page.limit)?;
        let mut any_read = false;
        for row in rows.iter_mut().filter(|row| mark_read && !row.outgoing && row.state == MessageState::Delivered) {
            row.state = MessageState::Read;
            self.store.save_message(row)?;
            self.changed.insert((contact, false, row.id), Changed { row: row.clone(), saved: true });
            any_read = true;
        }
        if any_read {
            self.note_read(now, contact)?;
        }
        Ok(Ok(rows.iter().map(|row| self.view_message(now, row)).collect::<Result<_, _>>()?))
    }

    /// Has a message and all that came before it count as read.
    pub(super) fn mark_read(&mut self, now: Now, contact: ContactId, id: MessageId) -> Outcome<Contact> {
        self.flush_messages()?;
        let [place, _] = accept!(self.places_of(contact, id)?);
        let read = self.store.mark_read(contact, false, behind(place))?;
        for id in &read {
            if let Some(row) = self.store.find_message(contact, false, *id)? {
                self.changed.insert((contact, false, *id), Changed { row, saved: true });
            }
        }
        if !read.is_empty() {
            self.note_read(now, contact)?;
        }
        self.show_contact(contact)
    }

    /// The first and the last place that an id has in a conversation: one message of each side may have it.
    fn places_of(&self, contact: ContactId, id: MessageId) -> Outcome<[Place; 2]> {
        let mut orders = Vec::new();
        for outgoing in [false, true] {
            orders.extend(self.store.find_message(contact, outgoing, id)?.map(|row| row.order));
        }
        let places = orders.iter().min().zip(orders.iter().max()).map(|(first, last)| [(*first, id), (*last, id)]);
        Ok(places.ok_or(CommandError::UnknownMessage))
    }

    /// A person has read something: the contact is told up to where everything is read, as it is when that is sealed.
    fn note_read(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        if let Some(pair) = self.pair(contact) {
            pair.read_due = true;
            pair.dirty = true;
            self.busy_contacts.insert(contact);
        }
        self.forget_mail(now, contact)
    }

    /// Whether a contact is told when its messages are read.
    pub(super) fn tells_of_reading(&self, contact: ContactId) -> bool {
        self.contacts.get(&contact).is_some_and(|contact| contact.row.receipts)
    }

    /// Changes what a person has chosen for a contact; what is absent stays.
    pub(super) fn set_contact(&mut self, id: ContactId, receipts: Option<bool>, muted: Option<bool>) -> Outcome<Contact> {
        if let Some(state) = self.contacts.get_mut(&id) {
            state.row.receipts = receipts.unwrap_or(state.row.receipts);
            state.row.muted = muted.unwrap_or(state.row.muted);
        }
        self.save_and_show(id)
    }

    /// Shows what is written to a contact and not sent yet.
    pub(super) fn draft(&self, contact: ContactId) -> Result<Draft, StoreError> {
        Ok(Draft { contact, text: self.store.load_draft(contact)?.unwrap_or_default() })
    }

    /// Keeps what is written to a contact and not sent yet, or nothing. Who follows is told when there is one, or no longer.
    pub(super) fn set_draft(&mut self, contact: ContactId, text: String) -> Outcome<Draft> {
        if text.len() > MAX_TEXT_LEN {
            return Ok(Err(CommandError::TextLength { length: text.len(), limit: MAX_TEXT_LEN }));
        }
        if self.store.load_draft(contact)?.is_none() != text.is_empty() {
            self.told.insert(contact);
        }
        if text.is_empty() {
            self.store.delete_draft(contact)?;
        } else {
            self.store.save_draft(contact, &text)?;
        }
        Ok(Ok(Draft { contact, text }))
    }

    /// The conversation of one contact goes on with another, and so does what a person has chosen and begun to write. Of two drafts both
    /// stay if they fit together, else that of `to`.
    pub(super) fn move_choices(&mut self, from: ContactId, to: ContactId) -> Result<(), StoreError> {
        if let Some(moved) = self.store.load_draft(from)? {
            let joined = match self.store.load_draft(to)? {
                Some(kept) => format!("{moved}\n{kept}"),
                None => moved,
            };
            if joined.len() <= MAX_TEXT_LEN {
                self.store.save_draft(to, &joined)?;
            }
        }
        let Some((receipts, muted)) = self.contacts.get(&from).map(|from| (from.row.receipts, from.row.muted)) else { return Ok(()) };
        if let Some(to) = self.touch(to) {
            to.row.receipts &= receipts;
            to.row.muted |= muted;
        }
        Ok(())
    }
}

/// The place right behind one.
fn behind((order, id): Place) -> Place {
    match u128::from_be_bytes(id.0).checked_add(1) {
        Some(next) => (order, MessageId(next.to_be_bytes())),
        None => (order.saturating_add(1), MessageId([0; 16])),
    }
}
