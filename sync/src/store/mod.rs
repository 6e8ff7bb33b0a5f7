//! Where the engine keeps what must survive: a synchronous trait, and what its rows hold.
//!
//! The driver wraps each batch of inputs in one transaction: [`Store::begin`], the engine's reads and writes, [`Store::commit`]; only
//! then do the batch's outputs leave. Reads see the writes of the open transaction. After any error the engine is dropped, the
//! transaction rolled back and everything rebuilt from what was committed.
//!
//! [`memory::MemoryStore`] serves tests and the simulator and knows crash points; [`sqlite::SqliteStore`] is SQLCipher on disk. One
//! contract suite runs on both (`contract.rs`).

use hedgerow_transports::TransportKind;
use zeroize::Zeroizing;

pub use self::log::{LogEntry, LogEvent, MAX_LOG_ENTRIES, MessageLog};
use crate::{
    id::{BundleId, Commitment, ContactId, MessageId, Tag},
    time::{Hour, UnixMillis},
    view::{ContactState, MessageState},
    wire::bundle::{Class, Lifetime},
};

#[cfg(test)]
mod contract;
#[cfg(feature = "sim")]
pub mod delayed;
#[cfg(feature = "sim")]
pub mod layer;
mod log;
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod table;

/// Secret bytes of a row; wiped when dropped.
pub type SecretBytes = Zeroizing<Vec<u8>>;

/// What our own storage did wrong. Nothing that was committed is lost.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room is left for the file.
    #[error("the disk is full")]
    Full,
    /// The passphrase does not open the key.
    #[error("wrong passphrase")]
    Passphrase,
    /// The file is not a profile of ours, or is damaged: what was found.
    #[error("the profile can't be read: {0}")]
    Damaged(&'static str),
    /// A newer program wrote the file: its schema and the newest known here.
    #[error("the profile has schema {found}, this program knows {known}: use a newer program")]
    Newer {
        /// The schema of the file.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// Another process has it open.
    #[error("the profile is in use by another process")]
    Busy,
    /// A restart between a write and its commit, made by a test.
    #[error("stopped by the test")]
    Crash,
    /// Anything else that reading or writing met: a code of the operating system or of the database, never content.
    #[error("reading or writing the profile failed (code {0})")]
    Io(i32),
}

/// The code of [`StoreError::Io`] where a row that must exist does not; codes are those of SQLite.
pub const NOT_FOUND: i32 = 12;
/// The code of [`StoreError::Io`] where a row that must be new is there, or belongs to a contact that is not.
pub const CONSTRAINT: i32 = 19;
/// The code of [`StoreError::Io`] where a transaction is open that must not be, or is not that must be.
pub const MISUSE: i32 = 21;

/// A value that exists once in a profile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Setting {
    /// Device keys.
    Device,
    /// The profile's name.
    Name,
    /// The random epoch of arrival sequences (docs/protocol.md, section 6.4).
    Epoch,
    /// What the clock was at the last commit that noted it, and what is known of mesh time.
    Clock,
    /// Present once the profile was restored from a backup, so that ratchets may lie behind what was sent since.
    Restored,
    /// Mode, visibility and relay settings; the engine encodes them.
    Policy,
    /// The arrival sequence up to which own bundles have been shown to all.
    Released,
}

/// A contact, without its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContactRow {
    /// Its number.
    pub id: ContactId,
    /// What it is called here.
    pub alias: Option<String>,
    /// What it calls itself.
    pub own_name: Option<String>,
    /// Its card, 1,328 bytes; empty while unknown.
    pub card: Vec<u8>,
    /// How far it has come.
    pub state: ContactState,
    /// Whether the fingerprint was compared.
    pub verified: bool,
    /// When it was made, by the system clock.
    pub created: UnixMillis,
    /// When it was last recognised on a link.
    pub last_seen: Option<UnixMillis>,
    /// Over what it was last recognised.
    pub last_transport: Option<TransportKind>,
    /// Why it failed.
    pub why: Option<String>,
    /// Whether it is told when its messages are read.
    pub receipts: bool,
    /// Whether its messages come without a call for attention.
    pub muted: bool,
}

/// A conversation at a glance. The default is that of a contact without messages, or of none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// How many incoming messages are *delivered*, that is unread.
    pub unread: u64,
    /// When the last message by (order, id) was stored here.
    pub last_message: Option<UnixMillis>,
    /// Whether there is a draft.
    pub draft: bool,
}

/// A contact exchange that is under way or recently ended; the engine encodes its state.
#[derive(Debug)]
pub struct ExchangeRow {
    /// The contact it makes.
    pub contact: ContactId,
    /// The engine's encoding.
    pub state: SecretBytes,
}

/// The keys of one message that was overtaken; the engine encodes them.
#[derive(Debug)]
pub struct SkippedRow {
    /// Whose message.
    pub contact: ContactId,
    /// The tag it will come under; unique.
    pub tag: Tag,
    /// Its number.
    pub number: u32,
    /// The index of its chain.
    pub chain: u32,
    /// Running time of this profile when it was stored, whole hours.
    pub stored_hour: u32,
    /// Keys.
    pub keys: SecretBytes,
}

/// A message of a conversation. `(contact, outgoing, id)` is unique.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageRow {
    /// With whom.
    pub contact: ContactId,
    /// Whether this side wrote it.
    pub outgoing: bool,
    /// Its id.
    pub id: MessageId,
    /// Its place in the conversation; ties are broken by id.
    pub order: u64,
    /// What was written.
    pub text: String,
    /// When, by the writer's clock.
    pub sent: UnixMillis,
    /// When it was stored here.
    pub stored: UnixMillis,
    /// How far it has come.
    pub state: MessageState,
    /// Whether it is urgent.
    pub urgent: bool,
    /// The ratchet number under which it last travelled.
    pub number: Option<u32>,
    /// Until when carriers keep its bundle.
    pub expires: Option<Hour>,
    /// How many contacts hold it.
    pub handed_contacts: u32,
    /// How many strangers claim to.
    pub handed_strangers: u32,
    /// How often it was sealed.
    pub sealed: u32,
    /// What has happened to it.
    pub log: MessageLog,
}

impl MessageRow {
    /// Puts a message without a receipt back to be sealed with new keys: what others hold of it can't be opened any more and counts no longer.
    pub fn await_new_keys(&mut self, at: UnixMillis) {
        if self.log.under_present_keys().next().is_some() {
            self.log.push(at, LogEvent::NewKeys);
        }
        self.state = MessageState::Queued;
        (self.number, self.expires, self.sealed) = (None, None, 0);
        (self.handed_contacts, self.handed_strangers) = (0, 0);
    }

    /// Puts a message that failed or expired back to be sealed and sent once more. Who held it before holds it in vain.
    pub fn send_again(&mut self, at: UnixMillis) {
        self.log.push(at, LogEvent::Retried);
        self.state = MessageState::Queued;
        (self.number, self.expires, self.sealed) = (None, None, 0);
        (self.handed_contacts, self.handed_strangers) = (0, 0);
    }

    /// Notes that a message was taken back before it left.
    pub fn take_back(&mut self, at: UnixMillis) {
        self.log.push(at, LogEvent::TakenBack);
        self.state = MessageState::Failed;
        (self.number, self.expires, self.sealed) = (None, None, 0);
    }
}

/// How far a large message has come (docs/protocol.md, section 8.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DataState {
    /// Incoming: parts are missing. Outgoing: no chunk has left this device.
    Open,
    /// Outgoing: a chunk has left this device, or may have.
    Left,
    /// Incoming: all parts are here, and the writer does not know it for sure.
    Complete,
    /// Both sides have all parts, and both know it.
    Told,
    /// Incoming: it is not what its manifest said, or its time ran out. Nothing is kept of it.
    Void,
}

/// What is known of a large message beside its row as a message, which has no text. It goes where that row goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataRow {
    /// With whom.
    pub contact: ContactId,
    /// Whether this side wrote it.
    pub outgoing: bool,
    /// The message's id.
    pub id: MessageId,
    /// Length of the content, bytes, at least 1.
    pub length: u32,
    /// Hash of the content.
    pub hash: [u8; 32],
    /// The content key; absent before a message of ours is sealed.
    pub key: Option<Zeroizing<[u8; 32]>>,
    /// The created hour of its chunks; [`Hour::UNKNOWN`] while there is no key.
    pub created: Hour,
    /// How far it has come.
    pub state: DataState,
    /// The number under which its writer was last told that it is complete.
    pub number: Option<u32>,
}

/// A number that was used and is not closed yet (docs/protocol.md, section 8.3).
#[derive(Debug)]
pub struct OutboxRow {
    /// To whom.
    pub contact: ContactId,
    /// The number; unique for a contact.
    pub number: u32,
    /// The message that travels under it; `None` for receipts and other control items.
    pub message: Option<MessageId>,
    /// Whether it is more than receipts, so that the other side owes a receipt.
    pub wants_receipt: bool,
    /// Its bundle.
    pub bundle: BundleId,
    /// Its ack secret.
    pub ack: Zeroizing<[u8; 16]>,
}

/// Whose bundle it is, for pools and eviction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// Sealed here for this contact.
    Own(ContactId),
    /// Taken from this recognised contact.
    Contact(ContactId),
    /// Taken from a stranger who dialled us.
    StrangerInbound,
    /// Taken from a stranger whom we dialled.
    StrangerOutbound,
}

/// What is known of a bundle without its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BundleRow {
    /// Its id; unique.
    pub id: BundleId,
    /// Its arrival sequence, from 1, never reused; set by [`Store::insert_bundle`].
    pub sequence: u64,
    /// Size in bytes.
    pub size: u16,
    /// From its header.
    pub class: Class,
    /// From its header.
    pub lifetime: Lifetime,
    /// From its header.
    pub created: Hour,
    /// From its header.
    pub tag: Tag,
    /// From its header.
    pub commitment: Commitment,
    /// Whose it is.
    pub origin: Origin,
    /// Age in hours when it came.
    pub age: u16,
    /// Mesh hour when it came.
    pub stored: Hour,
    /// How often it was handed on.
    pub forwarded: u16,
    /// How many copies this node may still hand on; 255: as many as it likes (docs/protocol.md, section 4, BUNDLE).
    pub copies: u8,
}

/// Why an id is remembered without its bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GoneReason {
    /// Dropped for lack of room.
    Dropped,
    /// Its ack secret was told.
    Acknowledged,
}

/// A bundle that is no longer held but remembered until it expires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GoneRow {
    /// Its id; unique, and not among the bundles held.
    pub id: BundleId,
    /// Its created hour.
    pub created: Hour,
    /// The hour from which it need not be remembered.
    pub expiry: Hour,
    /// Its tag, so that it is wanted again once expected.
    pub tag: Tag,
    /// Its commitment. Acks are checked against bundles held only, as nobody else's are kept; a carrier that dropped one will need it.
    pub commitment: Commitment,
    /// Why.
    pub reason: GoneReason,
    /// The ack secret of an acknowledged one, told to whoever still has it; zeros for a dropped one. No longer a secret once told.
    pub ack: [u8; 16],
    /// Mesh hour when it went.
    pub at: Hour,
    /// Whose it was: nobody else is told that it was here.
    pub origin: Origin,
}

/// An ack secret that waits to be told.
#[derive(Debug)]
pub struct AckRow {
    /// The bundle.
    pub bundle: BundleId,
    /// The secret.
    pub secret: Zeroizing<[u8; 16]>,
    /// From when on it is told to links, by the system clock.
    pub due: UnixMillis,
}

/// Up to where a contact's arrivals have been dealt with (docs/protocol.md, section 6.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// The epoch of the contact's store.
    pub epoch: [u8; 8],
    /// The sequence in it.
    pub sequence: u64,
}

/// The engine's durable state. Object-safe; one user at a time.
///
/// Writes need an open transaction ([`MISUSE`]). What belongs to a contact can't be written before the contact ([`CONSTRAINT`]). A write
/// that failed may have been done in part: roll back. Numbers given in a transaction that was rolled back may be given again.
pub trait Store: Send {
    /// Opens a transaction; none is open ([`MISUSE`]).
    ///
    /// # Errors
    ///
    /// [`StoreError`] if storage fails, here and in all other methods.
    fn begin(&mut self) -> Result<(), StoreError>;
    /// Makes everything since [`begin`](Self::begin) durable, all of it or nothing.
    fn commit(&mut self) -> Result<(), StoreError>;
    /// Forgets everything since [`begin`](Self::begin); harmless where none is open.
    fn rollback(&mut self) -> Result<(), StoreError>;

    /// Loads a setting.
    fn load_setting(&self, setting: Setting) -> Result<Option<SecretBytes>, StoreError>;
    /// Saves a setting.
    fn save_setting(&mut self, setting: Setting, value: &[u8]) -> Result<(), StoreError>;

    /// Loads all contacts, by number.
    fn load_contacts(&self) -> Result<Vec<ContactRow>, StoreError>;
    /// Inserts a contact under the next number, never used before; `row.id` is ignored.
    fn insert_contact(&mut self, row: &ContactRow) -> Result<ContactId, StoreError>;
    /// Saves a contact that exists ([`NOT_FOUND`]).
    fn save_contact(&mut self, row: &ContactRow) -> Result<(), StoreError>;
    /// Deletes a contact with its pair state, exchange, skipped keys, outbox, messages with their data, draft, cursor and the bundles sealed for it.
    fn delete_contact(&mut self, id: ContactId) -> Result<(), StoreError>;

    /// Gives the messages of one contact, with their data, to another, which has none of the same ids: a new exchange with the same person. Outgoing ones that are *queued* or
    /// *carried* become *queued* without a number.
    fn move_messages(&mut self, from: ContactId, to: ContactId) -> Result<(), StoreError>;

    /// Loads the engine's encoding of a contact's ratchet and conversation.
    fn load_pair(&self, contact: ContactId) -> Result<Option<SecretBytes>, StoreError>;
    /// Saves it.
    fn save_pair(&mut self, contact: ContactId, state: &[u8]) -> Result<(), StoreError>;

    /// Loads all contact exchanges, by contact.
    fn load_exchanges(&self) -> Result<Vec<ExchangeRow>, StoreError>;
    /// Saves the exchange of a contact, new or not.
    fn save_exchange(&mut self, row: &ExchangeRow) -> Result<(), StoreError>;
    /// Deletes the exchange of a contact, if there is one.
    fn delete_exchange(&mut self, contact: ContactId) -> Result<(), StoreError>;

    /// Inserts skipped keys; a row with the same tag is replaced.
    fn insert_skipped(&mut self, row: &SkippedRow) -> Result<(), StoreError>;
    /// Finds the keys for a tag.
    fn find_skipped(&self, tag: &Tag) -> Result<Option<SkippedRow>, StoreError>;
    /// Visits the tags of all skipped keys, in order.
    fn visit_skipped(&self, visit: &mut dyn FnMut(Tag)) -> Result<(), StoreError>;
    /// Deletes the keys for a tag, if there are any.
    fn delete_skipped(&mut self, tag: &Tag) -> Result<(), StoreError>;
    /// Deletes a contact's keys stored before `before` (running hours), then the oldest above `keep`; returns how many went. Oldest is by
    /// (hour, chain, number, tag).
    fn prune_skipped(&mut self, contact: ContactId, before: u32, keep: u32) -> Result<u64, StoreError>;

    /// Inserts a message; `false`, and nothing changes, if `(contact, outgoing, id)` is there already.
    fn insert_message(&mut self, row: &MessageRow) -> Result<bool, StoreError>;
    /// Finds a message by its id and side.
    fn find_message(&self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<Option<MessageRow>, StoreError>;
    /// Finds messages of any contact by id, by (contact, outgoing): at most one each way for a contact.
    fn find_messages_by_id(&self, id: MessageId) -> Result<Vec<MessageRow>, StoreError>;
    /// Saves a message that exists ([`NOT_FOUND`]); text, order and id don't change, whatever the row says.
    fn save_message(&mut self, row: &MessageRow) -> Result<(), StoreError>;
    /// Loads a contact's messages by (order, id): those after one place and before another, where given (neither itself); if `limit` is
    /// given, the newest so many of them. Costs what it returns, however long the conversation is.
    fn load_messages(
        &self,
        contact: ContactId,
        after: Option<(u64, MessageId)>,
        before: Option<(u64, MessageId)>,
        limit: Option<u32>,
    ) -> Result<Vec<MessageRow>, StoreError>;
    /// Loads the first outgoing messages in state *queued* without a number, by (order, id), urgent ones first; at most `limit`.
    fn load_unsealed(&self, contact: ContactId, limit: u32) -> Result<Vec<MessageRow>, StoreError>;
    /// The highest order in a conversation, 0 if it is empty.
    fn last_order(&self, contact: ContactId) -> Result<u64, StoreError>;
    /// A conversation at a glance.
    fn summarise(&self, contact: ContactId) -> Result<Summary, StoreError>;
    /// All contacts' conversations at a glance, by number.
    fn summarise_all(&self) -> Result<Vec<(ContactId, Summary)>, StoreError>;
    /// Loads what is written to a contact and not sent yet.
    fn load_draft(&self, contact: ContactId) -> Result<Option<String>, StoreError>;
    /// Saves it, in place of what was there.
    fn save_draft(&mut self, contact: ContactId, text: &str) -> Result<(), StoreError>;
    /// Deletes it, if there is one.
    fn delete_draft(&mut self, contact: ContactId) -> Result<(), StoreError>;
    /// The first unread incoming message by (order, id): its place.
    fn first_unread(&self, contact: ContactId) -> Result<Option<(u64, MessageId)>, StoreError>;
    /// Moves the *delivered* messages of one side before a place (by order, id; not itself) to *read*; returns their ids, in order.
    fn mark_read(&mut self, contact: ContactId, outgoing: bool, before: (u64, MessageId)) -> Result<Vec<MessageId>, StoreError>;
    /// Inserts what is known of a large message; its message must be there, and this not ([`CONSTRAINT`]).
    fn insert_data(&mut self, row: &DataRow) -> Result<(), StoreError>;
    /// Finds it.
    fn find_data(&self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<Option<DataRow>, StoreError>;
    /// Loads all of a contact that are not [`DataState::Told`] or [`DataState::Void`], incoming ones first, by id.
    fn load_open_data(&self, contact: ContactId) -> Result<Vec<DataRow>, StoreError>;
    /// Saves it; one that is absent is refused ([`NOT_FOUND`]).
    fn save_data(&mut self, row: &DataRow) -> Result<(), StoreError>;
    /// Saves one part of a large message's content, in place of the one that is there. [`NOT_FOUND`] without its [`DataRow`].
    fn save_part(&mut self, contact: ContactId, outgoing: bool, id: MessageId, part: u32, bytes: &[u8]) -> Result<(), StoreError>;
    /// Loads one part.
    fn load_part(&self, contact: ContactId, outgoing: bool, id: MessageId, part: u32) -> Result<Option<SecretBytes>, StoreError>;
    /// Visits the numbers of the parts that are there, in order, without reading them.
    fn visit_parts(&self, contact: ContactId, outgoing: bool, id: MessageId, visit: &mut dyn FnMut(u32)) -> Result<(), StoreError>;
    /// Deletes all parts of a large message.
    fn delete_parts(&mut self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<(), StoreError>;
    /// How many outgoing messages are *queued* or *carried*.
    fn count_undelivered(&self) -> Result<u64, StoreError>;

    /// Inserts a number that was used; a number that is there is refused ([`CONSTRAINT`]).
    fn insert_outbox(&mut self, row: &OutboxRow) -> Result<(), StoreError>;
    /// Loads the open numbers of a contact, in order.
    fn load_outbox(&self, contact: ContactId) -> Result<Vec<OutboxRow>, StoreError>;
    /// Deletes a number that is closed.
    fn delete_outbox(&mut self, contact: ContactId, number: u32) -> Result<(), StoreError>;

    /// Inserts a bundle and returns its arrival sequence; `row.sequence` is ignored. An id that is held is refused
    /// ([`CONSTRAINT`]); that it is not among the gone is the caller's business.
    fn insert_bundle(&mut self, row: &BundleRow, bytes: &[u8]) -> Result<u64, StoreError>;
    /// The highest arrival sequence given so far, 0 if none was; bundles that are gone count.
    fn last_sequence(&self) -> Result<u64, StoreError>;
    /// Visits all bundles held, by sequence.
    fn visit_bundles(&self, visit: &mut dyn FnMut(BundleRow)) -> Result<(), StoreError>;
    /// Loads a bundle's bytes.
    fn load_bundle(&self, id: &BundleId) -> Result<Option<Vec<u8>>, StoreError>;
    /// Notes how often a bundle was handed on, if held.
    fn save_forwarded(&mut self, id: &BundleId, forwarded: u16) -> Result<(), StoreError>;
    /// Notes how many copies of a bundle are left, if held.
    fn save_copies(&mut self, id: &BundleId, copies: u8) -> Result<(), StoreError>;
    /// Notes the hour from which a bundle's age counts, if held: for one that came while there was no clock.
    fn save_stored(&mut self, id: &BundleId, stored: Hour) -> Result<(), StoreError>;
    /// Notes whose a bundle is, if held: for one whose reader goes on as another contact.
    fn save_origin(&mut self, id: &BundleId, origin: Origin) -> Result<(), StoreError>;
    /// Deletes a bundle, if held.
    fn delete_bundle(&mut self, id: &BundleId) -> Result<(), StoreError>;

    /// Remembers an id without its bundle; an id that is there is replaced.
    fn insert_gone(&mut self, row: &GoneRow) -> Result<(), StoreError>;
    /// Loads all remembered ids, oldest `at` first, then by id.
    fn load_gone(&self) -> Result<Vec<GoneRow>, StoreError>;
    /// Forgets an id.
    fn delete_gone(&mut self, id: &BundleId) -> Result<(), StoreError>;

    /// Inserts an ack secret that waits; a row of the same bundle is replaced.
    fn insert_ack(&mut self, row: &AckRow) -> Result<(), StoreError>;
    /// Loads those that wait, by due time, then by bundle.
    fn load_acks(&self) -> Result<Vec<AckRow>, StoreError>;
    /// Deletes one, if there.
    fn delete_ack(&mut self, bundle: &BundleId) -> Result<(), StoreError>;

    /// Loads the cursor into a contact's arrivals.
    fn load_cursor(&self, contact: ContactId) -> Result<Cursor, StoreError>;
    /// Saves it.
    fn save_cursor(&mut self, contact: ContactId, cursor: Cursor) -> Result<(), StoreError>;
}
