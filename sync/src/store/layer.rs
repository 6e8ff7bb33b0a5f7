//! Stores on top of a store: what a layer does not change goes through to the one below.
//!
//! The simulator watches stores and breaks them this way; a test that needs a store with a fault of its own overrides one method.

use super::{
    AckRow, BundleRow, ContactRow, Cursor, DataRow, ExchangeRow, GoneRow, MessageRow, Origin, OutboxRow, SecretBytes, Setting, SkippedRow,
    Store, StoreError, Summary,
};
use crate::{
    id::{BundleId, ContactId, MessageId, Tag},
    time::Hour,
};

/// Declares [`Layer`] and makes every layer a [`Store`], from the methods of [`Store`]: each one's arguments and what it returns.
macro_rules! layer {
    (
        read { $($read:ident($($read_arg:ident: $read_type:ty),*) -> $read_out:ty;)* }
        write { $($write:ident($($write_arg:ident: $write_type:ty),*) -> $write_out:ty;)* }
    ) => {
        /// A store that stands on another one, and is a [`Store`] by that. Every method of [`Store`] is here and hands on to the store below;
        /// a layer overrides those that it is about.
        pub trait Layer: Send {
            /// The store below, to read.
            fn below(&self) -> &dyn Store;
            /// The store below, to write.
            fn below_mut(&mut self) -> &mut dyn Store;

            /// Comes before every write and commit that the layer does not override.
            ///
            /// # Errors
            ///
            /// What the write is to fail with.
            fn before_write(&mut self) -> Result<(), StoreError> {
                Ok(())
            }

            /// [`Store::begin`].
            ///
            /// # Errors
            ///
            /// As there.
            fn begin(&mut self) -> Result<(), StoreError> {
                self.below_mut().begin()
            }

            /// [`Store::rollback`].
            ///
            /// # Errors
            ///
            /// As there.
            fn rollback(&mut self) -> Result<(), StoreError> {
                self.below_mut().rollback()
            }

            $(
                /// The method of this name of [`Store`].
                ///
                /// # Errors
                ///
                /// As there.
                fn $read(&self, $($read_arg: $read_type),*) -> Result<$read_out, StoreError> {
                    self.below().$read($($read_arg),*)
                }
            )*
            $(
                /// The method of this name of [`Store`].
                ///
                /// # Errors
                ///
                /// As there.
                fn $write(&mut self, $($write_arg: $write_type),*) -> Result<$write_out, StoreError> {
                    self.before_write()?;
                    self.below_mut().$write($($write_arg),*)
                }
            )*
        }

        impl<L: Layer> Store for L {
            fn begin(&mut self) -> Result<(), StoreError> {
                Layer::begin(self)
            }

            fn rollback(&mut self) -> Result<(), StoreError> {
                Layer::rollback(self)
            }

            $(
                fn $read(&self, $($read_arg: $read_type),*) -> Result<$read_out, StoreError> {
                    Layer::$read(self, $($read_arg),*)
                }
            )*
            $(
                fn $write(&mut self, $($write_arg: $write_type),*) -> Result<$write_out, StoreError> {
                    Layer::$write(self, $($write_arg),*)
                }
            )*
        }
    };
}

layer! {
    read {
        load_setting(setting: Setting) -> Option<SecretBytes>;
        load_contacts() -> Vec<ContactRow>;
        load_pair(contact: ContactId) -> Option<SecretBytes>;
        load_exchanges() -> Vec<ExchangeRow>;
        find_skipped(tag: &Tag) -> Option<SkippedRow>;
        visit_skipped(visit: &mut dyn FnMut(Tag)) -> ();
        find_message(contact: ContactId, outgoing: bool, id: MessageId) -> Option<MessageRow>;
        find_messages_by_id(id: MessageId) -> Vec<MessageRow>;
        load_messages(
            contact: ContactId,
            after: Option<(u64, MessageId)>,
            before: Option<(u64, MessageId)>,
            limit: Option<u32>
        ) -> Vec<MessageRow>;
        load_unsealed(contact: ContactId, limit: u32) -> Vec<MessageRow>;
        last_order(contact: ContactId) -> u64;
        summarise(contact: ContactId) -> Summary;
        summarise_all() -> Vec<(ContactId, Summary)>;
        load_draft(contact: ContactId) -> Option<String>;
        first_unread(contact: ContactId) -> Option<(u64, MessageId)>;
        find_data(contact: ContactId, outgoing: bool, id: MessageId) -> Option<DataRow>;
        load_open_data(contact: ContactId) -> Vec<DataRow>;
        load_part(contact: ContactId, outgoing: bool, id: MessageId, part: u32) -> Option<SecretBytes>;
        visit_parts(contact: ContactId, outgoing: bool, id: MessageId, visit: &mut dyn FnMut(u32)) -> ();
        count_undelivered() -> u64;
        load_outbox(contact: ContactId) -> Vec<OutboxRow>;
        last_sequence() -> u64;
        visit_bundles(visit: &mut dyn FnMut(BundleRow)) -> ();
        load_bundle(id: &BundleId) -> Option<Vec<u8>>;
        load_gone() -> Vec<GoneRow>;
        load_acks() -> Vec<AckRow>;
        load_cursor(contact: ContactId) -> Cursor;
    }
    write {
        commit() -> ();
        save_setting(setting: Setting, value: &[u8]) -> ();
        insert_contact(row: &ContactRow) -> ContactId;
        save_contact(row: &ContactRow) -> ();
        delete_contact(id: ContactId) -> ();
        move_messages(from: ContactId, to: ContactId) -> ();
        save_pair(contact: ContactId, state: &[u8]) -> ();
        save_exchange(row: &ExchangeRow) -> ();
        delete_exchange(contact: ContactId) -> ();
        insert_skipped(row: &SkippedRow) -> ();
        delete_skipped(tag: &Tag) -> ();
        prune_skipped(contact: ContactId, before: u32, keep: u32) -> u64;
        insert_message(row: &MessageRow) -> bool;
        save_message(row: &MessageRow) -> ();
        save_draft(contact: ContactId, text: &str) -> ();
        delete_draft(contact: ContactId) -> ();
        mark_read(contact: ContactId, outgoing: bool, before: (u64, MessageId)) -> Vec<MessageId>;
        insert_data(row: &DataRow) -> ();
        save_data(row: &DataRow) -> ();
        save_part(contact: ContactId, outgoing: bool, id: MessageId, part: u32, bytes: &[u8]) -> ();
        delete_parts(contact: ContactId, outgoing: bool, id: MessageId) -> ();
        insert_outbox(row: &OutboxRow) -> ();
        delete_outbox(contact: ContactId, number: u32) -> ();
        insert_bundle(row: &BundleRow, bytes: &[u8]) -> u64;
        save_forwarded(id: &BundleId, forwarded: u16) -> ();
        save_copies(id: &BundleId, copies: u8) -> ();
        save_stored(id: &BundleId, stored: Hour) -> ();
        save_origin(id: &BundleId, origin: Origin) -> ();
        delete_bundle(id: &BundleId) -> ();
        insert_gone(row: &GoneRow) -> ();
        delete_gone(id: &BundleId) -> ();
        insert_ack(row: &AckRow) -> ();
        delete_ack(bundle: &BundleId) -> ();
        save_cursor(contact: ContactId, cursor: Cursor) -> ();
    }
}
