//! What has happened to a message: a short list that lies in its row, one column.
//!
//! Bounded, because whoever takes a bundle again and again writes into it: above [`MAX_LOG_ENTRIES`] hand-overs to strangers give way
//! first, as there are many of them and their word is but a claim.

use hedgerow_transports::TransportKind;

use crate::{id::ContactId, time::UnixMillis};

#[cfg(any(test, feature = "sqlite"))]
pub(super) mod codec;

/// Entries of one message, at most (guess: what a person reads; 289 bytes).
pub const MAX_LOG_ENTRIES: usize = 24;
/// The highest time that an entry holds, milliseconds: 48 bits, the year 10889.
const MAX_MILLIS: u64 = (1 << 48) - 1;

/// One thing that happened to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// When, by the system clock.
    pub at: UnixMillis,
    /// What.
    pub what: LogEvent,
}

/// What happened to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogEvent {
    /// It was sealed.
    Sealed {
        /// The ratchet number under which it travels.
        number: u32,
        /// The size of its bundle, one of [`BUNDLE_SIZES`](crate::wire::bundle::BUNDLE_SIZES).
        size: u16,
    },
    /// A device said that it has stored its bundle.
    Handed {
        /// Which contact it was; `None` for a stranger.
        to: Option<ContactId>,
        /// Over what.
        transport: TransportKind,
    },
    /// The reader asked for it once more; it waits to be sealed under another number.
    AskedAgain,
    /// The reader's receipt came, or the proof in it by a carrier.
    Receipt,
    /// The reader has read it.
    Read,
    /// Its time ran out without a receipt.
    Expired,
    /// The pair has new keys: what was handed over before can't be opened any more, and it waits to be sealed anew.
    NewKeys,
    /// A person has had it sent once more: what was handed over before counts no longer, and it waits to be sealed anew.
    Retried,
    /// A person has taken it back; nothing of it had left this device since it was last written or retried.
    TakenBack,
    /// A contact request with its text was handed to a link.
    LeftWithRequest,
}

/// What has happened to a message, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MessageLog(Vec<LogEntry>);

impl MessageLog {
    /// Adds what happened last. If the log is full, the oldest hand-over to a stranger gives way, else the oldest to a contact, else the
    /// oldest entry; a hand-over to a stranger displaces only its like.
    pub fn push(&mut self, at: UnixMillis, what: LogEvent) {
        if self.0.len() >= MAX_LOG_ENTRIES {
            let first = |wanted: fn(&LogEvent) -> bool| self.0.iter().position(|entry| wanted(&entry.what));
            let to_stranger: fn(&LogEvent) -> bool = |what| matches!(what, LogEvent::Handed { to: None, .. });
            let gives_way = match first(to_stranger) {
                Some(index) => index,
                None if to_stranger(&what) => return,
                None => first(|what| matches!(what, LogEvent::Handed { .. })).unwrap_or(0),
            };
            self.0.remove(gives_way);
        }
        self.0.push(LogEntry { at: UnixMillis(at.0.min(MAX_MILLIS)), what });
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[LogEntry] {
        &self.0
    }

    /// What has happened since the pair has its present keys, or since a person had it sent once more; newest first.
    pub fn under_present_keys(&self) -> impl Iterator<Item = &LogEntry> {
        self.0.iter().rev().take_while(|entry| !matches!(entry.what, LogEvent::NewKeys | LogEvent::Retried))
    }

    /// Whether the last thing that happened is that it was taken back.
    pub fn is_taken_back(&self) -> bool {
        self.0.last().is_some_and(|entry| entry.what == LogEvent::TakenBack)
    }

    /// Whether anything since it was last taken back says that it has left this device, or may have. Of a bundle that is on its way without an
    /// answer it says nothing.
    pub fn may_have_left(&self) -> bool {
        let since = self.0.iter().rev().take_while(|entry| entry.what != LogEvent::TakenBack);
        since.into_iter().any(|entry| !matches!(entry.what, LogEvent::Sealed { .. } | LogEvent::Retried))
    }

    /// Whether a contact has said, as far as the log goes back, that it holds the message, sealed with the present keys.
    pub fn was_handed_to(&self, contact: ContactId) -> bool {
        self.under_present_keys().any(|entry| matches!(entry.what, LogEvent::Handed { to: Some(to), .. } if to == contact))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{codec::VERSION, *};
    use crate::{store::StoreError, wire::bundle::BUNDLE_SIZES};

    fn to(contact: Option<u32>) -> LogEvent {
        LogEvent::Handed { to: contact.map(ContactId), transport: TransportKind::Lan }
    }

    fn log(events: impl IntoIterator<Item = LogEvent>) -> MessageLog {
        let mut log = MessageLog::default();
        (0..).zip(events).for_each(|(at, what)| log.push(UnixMillis(at), what));
        log
    }

    fn event() -> impl Strategy<Value = LogEvent> {
        let transport = prop_oneof![Just(TransportKind::Lan), Just(TransportKind::Memory)];
        prop_oneof![
            (any::<u32>(), 0..4_usize).prop_map(|(number, size)| LogEvent::Sealed { number, size: BUNDLE_SIZES[size] as u16 }),
            (any::<Option<u32>>(), transport).prop_map(|(to, transport)| LogEvent::Handed { to: to.map(ContactId), transport }),
            Just(LogEvent::AskedAgain),
            Just(LogEvent::Receipt),
            Just(LogEvent::Read),
            Just(LogEvent::Expired),
            Just(LogEvent::NewKeys),
            Just(LogEvent::Retried),
            Just(LogEvent::TakenBack),
            Just(LogEvent::LeftWithRequest),
        ]
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(events in proptest::collection::vec((any::<u64>(), event()), 0..40)) {
            let mut log = MessageLog::default();
            for (at, what) in &events {
                log.push(UnixMillis(*at), *what);
            }
            let bytes = log.encode();
            prop_assert!(log.entries().len() <= MAX_LOG_ENTRIES);
            prop_assert!(bytes.len() <= 1 + 12 * log.entries().len());
            prop_assert_eq!(MessageLog::decode(&bytes).unwrap(), log);
        }

        #[test]
        fn any_bytes_are_a_log_with_this_encoding_or_damage(bytes in proptest::collection::vec(0_u8..13, 0..320)) {
            match MessageLog::decode(&bytes) {
                Ok(log) => prop_assert_eq!(log.encode(), bytes),
                Err(error) => prop_assert!(matches!(error, StoreError::Damaged(_))),
            }
        }
    }

    #[test]
    fn what_no_program_writes_is_damage() {
        let good = log([LogEvent::Sealed { number: 7, size: 1024 }, to(Some(3)), to(None), LogEvent::Read]).encode();
        assert!(MessageLog::decode(&good).is_ok());
        let ends: Vec<usize> = (1..good.len()).filter(|end| MessageLog::decode(&good[..*end]).is_ok()).collect();
        assert_eq!(ends, [13, 25, 33], "cut anywhere but between entries");
        let changed = |index: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[index] = value;
            MessageLog::decode(&bytes).is_err()
        };
        assert!(changed(0, 2), "version");
        assert!(changed(1, 0) && changed(1, 12), "kind");
        assert!(changed(8, 0) && changed(8, 3) && changed(8, 255), "bundle size");
        assert!(changed(20, 0) && changed(20, 3), "transport");
        let long: Vec<u8> = [VERSION].into_iter().chain([6; 7].repeat(MAX_LOG_ENTRIES + 1)).collect();
        assert!(MessageLog::decode(&long).is_err());
        assert!(MessageLog::decode(&long[..long.len() - 7]).is_ok());
    }

    #[test]
    fn what_is_taken_back_has_not_left_until_something_says_so() {
        let sealed = LogEvent::Sealed { number: 1, size: 512 };
        assert!(!log([]).may_have_left() && !log([sealed]).may_have_left());
        for said in [to(None), to(Some(1)), LogEvent::AskedAgain, LogEvent::NewKeys, LogEvent::Expired, LogEvent::LeftWithRequest] {
            assert!(log([sealed, said]).may_have_left() && log([said, LogEvent::Retried, sealed]).may_have_left(), "{said:?}");
            assert!(!log([said, LogEvent::TakenBack, LogEvent::Retried, sealed]).may_have_left(), "{said:?}");
        }
        assert!(log([sealed, LogEvent::TakenBack]).is_taken_back());
        assert!(!log([LogEvent::TakenBack, LogEvent::Retried]).is_taken_back() && !log([]).is_taken_back());
        assert!(!log([to(Some(1)), LogEvent::Expired, LogEvent::Retried]).was_handed_to(ContactId(1)), "that was before");
    }

    #[test]
    fn a_full_log_loses_strangers_first_and_strangers_displace_only_their_like() {
        let mut log = log([LogEvent::Sealed { number: 1, size: 512 }, to(Some(1))].into_iter().chain((0..1000).map(|_| to(None))));
        assert_eq!(log.entries().len(), MAX_LOG_ENTRIES);
        assert_eq!(log.entries()[0].what, LogEvent::Sealed { number: 1, size: 512 });
        assert_eq!(log.entries()[1].what, to(Some(1)));
        assert_eq!(log.entries().last().unwrap().at, UnixMillis(1001), "the newest are kept");
        (0..22).for_each(|contact| log.push(UnixMillis(2000), to(Some(contact))));
        assert!(log.entries().iter().all(|entry| entry.what != to(None)));
        let full = log.clone();
        log.push(UnixMillis(3000), to(None));
        assert_eq!(log, full);
        log.push(UnixMillis(3000), LogEvent::Receipt);
        assert_eq!(log.entries()[0], full.entries()[0]);
        assert_eq!(log.entries()[1..23], full.entries()[2..]);
        assert_eq!(log.entries()[23].what, LogEvent::Receipt);
        assert!(log.was_handed_to(ContactId(21)) && !log.was_handed_to(ContactId(22)));
        log.push(UnixMillis(4000), LogEvent::NewKeys);
        assert!(!log.was_handed_to(ContactId(21)), "it holds what it can't open");
        assert_eq!(log.under_present_keys().next(), None);
    }
}
