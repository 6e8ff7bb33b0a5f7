//! The tables of a store in memory, and indexes that follow them.

use std::{cmp::Reverse, sync::Arc};

use zeroize::Zeroizing;

use super::pool::Body;
use crate::{
    id::{BundleId, ContactId, MessageId, Tag},
    store::{BundleRow, ContactRow, Cursor, GoneRow, MessageRow, Origin, SecretBytes, Setting, Summary, table::Table},
    time::{Hour, UnixMillis},
    view::MessageState,
    wire::bundle::Class,
};

type MessageKey = (ContactId, bool, MessageId);
/// The place of skipped keys by age: contact, hour, chain, number, tag.
pub(super) type SkippedAge = (ContactId, u32, u32, u32, Tag);

/// Skipped keys without their tag, which is their key here.
#[derive(Clone)]
pub(super) struct Skipped {
    pub(super) contact: ContactId,
    pub(super) number: u32,
    pub(super) chain: u32,
    pub(super) stored_hour: u32,
    pub(super) keys: SecretBytes,
}

impl Skipped {
    pub(super) fn age(&self, tag: Tag) -> SkippedAge {
        (self.contact, self.stored_hour, self.chain, self.number, tag)
    }
}

/// A row of the outbox without its key.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) message: Option<MessageId>,
    pub(super) wants_receipt: bool,
    pub(super) bundle: BundleId,
    pub(super) ack: Zeroizing<[u8; 16]>,
}

/// A bundle held, without its sequence, which is its key here: what is the same at all who hold it, and what is this store's own.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) body: Arc<Body>,
    pub(super) origin: Origin,
    pub(super) stored: Hour,
    pub(super) age: u16,
    pub(super) forwarded: u16,
    pub(super) class: Class,
}

impl Kept {
    pub(super) fn new(row: &BundleRow, body: Arc<Body>) -> Self {
        let &BundleRow { origin, stored, age, forwarded, class, .. } = row;
        Self { body, origin, stored, age, forwarded, class }
    }

    pub(super) fn row(&self, sequence: u64) -> BundleRow {
        let Body { id, size, lifetime, created, tag, commitment, .. } = *self.body;
        let Self { origin, stored, age, forwarded, class, .. } = *self;
        BundleRow { id, sequence, size, class, lifetime, created, tag, commitment, origin, age, stored, forwarded }
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident: $key:ty => $value:ty,)*) => {
        #[derive(Clone, Default)]
        pub(super) struct Tables {
            $($(#[$doc])* pub(super) $table: Table<$key, $value>,)*
        }

        impl Tables {
            /// Keeps what was done.
            pub(super) fn commit(&mut self) {
                $(self.$table.commit();)*
            }

            /// Takes back what was done since the last commit.
            pub(super) fn rollback(&mut self) {
                $(self.$table.rollback();)*
            }
        }
    };
}

tables! {
    settings: Setting => SecretBytes,
    contacts: ContactId => ContactRow,
    /// The last number given to a contact.
    last_contact: () => u32,
    pairs: ContactId => SecretBytes,
    exchanges: ContactId => SecretBytes,
    skipped: Tag => Skipped,
    /// Index: the oldest of a contact first.
    skipped_by_age: SkippedAge => (),
    messages: MessageKey => MessageRow,
    /// Index: a conversation in order.
    by_order: (ContactId, u64, MessageId, bool) => (),
    /// Index: queued outgoing messages without a number, urgent ones first.
    unsealed: (ContactId, Reverse<bool>, u64, MessageId) => (),
    /// Index: messages of each side that are delivered and not read.
    delivered: (ContactId, bool, u64, MessageId) => (),
    /// Index: outgoing messages that are queued or carried.
    undelivered: (ContactId, MessageId) => (),
    outbox: (ContactId, u32) => Outbox,
    bundles: u64 => Kept,
    /// Index: the sequence of each bundle.
    sequences: BundleId => u64,
    /// The last sequence given to a bundle.
    last_sequence: () => u64,
    gone: BundleId => GoneRow,
    acks: BundleId => (Zeroizing<[u8; 16]>, UnixMillis),
    cursors: ContactId => Cursor,
    drafts: ContactId => String,
}

impl Tables {
    /// Puts a message and lists it in the indexes.
    pub(super) fn put_message(&mut self, row: MessageRow) {
        self.unlist_message(&row);
        let MessageRow { contact, outgoing, id, order, .. } = row;
        self.by_order.put((contact, order, id, outgoing), ());
        if row.state == MessageState::Delivered {
            self.delivered.put((contact, outgoing, order, id), ());
        }
        if outgoing {
            if row.state <= MessageState::Carried {
                self.undelivered.put((contact, id), ());
            }
            if row.state == MessageState::Queued && row.number.is_none() {
                self.unsealed.put((contact, Reverse(row.urgent), order, id), ());
            }
        }
        self.messages.put((contact, outgoing, id), row);
    }

    /// Takes what is there under a message's key out of the indexes that a change can touch.
    fn unlist_message(&mut self, row: &MessageRow) {
        let MessageRow { contact, outgoing, id, .. } = *row;
        let Some(&MessageRow { urgent, order, .. }) = self.messages.get(&(contact, outgoing, id)) else { return };
        self.delivered.remove(&(contact, outgoing, order, id));
        if outgoing {
            self.undelivered.remove(&(contact, id));
            self.unsealed.remove(&(contact, Reverse(urgent), order, id));
        }
    }

    /// The places of a contact's unread incoming messages, in order.
    pub(super) fn unread(&self, contact: ContactId) -> impl DoubleEndedIterator<Item = (u64, MessageId)> {
        let (first, last) = ((contact, false, 0, MessageId([0; 16])), (contact, false, u64::MAX, MessageId([0xff; 16])));
        self.delivered.range(first..=last).map(|(&(_, _, order, id), ())| (order, id))
    }

    /// A contact's conversation at a glance.
    pub(super) fn summarise(&self, contact: ContactId) -> Summary {
        let all = (contact, 0, MessageId([0; 16]), false)..=(contact, u64::MAX, MessageId([0xff; 16]), true);
        let last = self.by_order.range(all).next_back();
        let last = last.and_then(|(&(contact, _, id, outgoing), ())| self.messages.get(&(contact, outgoing, id)));
        Summary { unread: self.unread(contact).count() as u64, last_message: last.map(|row| row.stored), draft: self.drafts.has(&contact) }
    }

    /// Removes the keys for a tag, if there.
    pub(super) fn remove_skipped(&mut self, tag: &Tag) {
        if let Some(age) = self.skipped.get(tag).map(|skipped| skipped.age(*tag)) {
            self.skipped_by_age.remove(&age);
            self.skipped.remove(tag);
        }
    }

    /// A contact's skipped keys, oldest first.
    pub(super) fn skipped_of(&self, contact: ContactId) -> impl DoubleEndedIterator<Item = &SkippedAge> {
        let (first, last) = ((contact, 0, 0, 0, Tag([0; 16])), (contact, u32::MAX, u32::MAX, u32::MAX, Tag([0xff; 16])));
        self.skipped_by_age.range(first..=last).map(|(age, ())| age)
    }

    /// Changes what is a store's own of a bundle, if held.
    pub(super) fn change_bundle(&mut self, id: &BundleId, change: impl FnOnce(&mut Kept)) {
        if let Some(&sequence) = self.sequences.get(id)
            && let Some(mut kept) = self.bundles.get(&sequence).cloned()
        {
            change(&mut kept);
            self.bundles.put(sequence, kept);
        }
    }

    /// Removes a bundle, if held.
    pub(super) fn remove_bundle(&mut self, id: &BundleId) {
        if let Some(&sequence) = self.sequences.get(id) {
            self.sequences.remove(id);
            self.bundles.remove(&sequence);
        }
    }

    /// Takes out a contact's messages.
    pub(super) fn remove_messages(&mut self, id: ContactId) -> Vec<MessageRow> {
        let (least, most) = (MessageId([0; 16]), MessageId([0xff; 16]));
        let all = (id, false, least)..=(id, true, most);
        let rows = self.messages.range(all.clone()).map(|(_, row)| row.clone()).collect();
        self.messages.remove_range(all);
        self.by_order.remove_range((id, 0, least, false)..=(id, u64::MAX, most, true));
        self.unsealed.remove_range((id, Reverse(true), 0, least)..=(id, Reverse(false), u64::MAX, most));
        self.delivered.remove_range((id, false, 0, least)..=(id, true, u64::MAX, most));
        self.undelivered.remove_range((id, least)..=(id, most));
        rows
    }

    /// Removes a contact with all that belongs to it.
    pub(super) fn remove_contact(&mut self, id: ContactId) {
        self.contacts.remove(&id);
        self.pairs.remove(&id);
        self.exchanges.remove(&id);
        self.cursors.remove(&id);
        self.drafts.remove(&id);
        self.outbox.remove_range((id, 0)..=(id, u32::MAX));
        self.remove_messages(id);
        let tags: Vec<Tag> = self.skipped_of(id).map(|age| age.4).collect();
        for tag in &tags {
            self.remove_skipped(tag);
        }
        let own: Vec<BundleId> =
            self.bundles.iter().filter(|(_, kept)| kept.origin == Origin::Own(id)).map(|(_, kept)| kept.body.id).collect();
        for bundle in &own {
            self.remove_bundle(bundle);
        }
    }
}
