//! Who wrote and who read a letter, guessed from lengths and times of traffic alone.
//!
//! The listener is given more than a real one has: the second in which each letter is written, and for its reader also the writer.
//! *Writer*: within [`MOMENT`] after that, the first device that *begins of itself*: it sends as much as an offer of one bundle, or a bundle,
//! on a link that was quiet for [`QUIET`], and has had no bundle from anybody for [`DIGESTED`]; if nobody does, the first to send a bundle of
//! those that had no link then. *Reader*: the first device to which the writer sends a bundle after that. Guessing: any one of the devices
//! that send something within an hour (reader: a day).
//!
//! Without that second: of all times that a device begins of itself, so many are those of a letter's writer.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    super::{WireId, replay::Plan},
    Row,
    rate::{Rate, mean},
};
use crate::{crypto::kdf::AUTHENTICATOR_LEN, id::ShortId, wire::record::Record};

const MOMENT: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_secs(1);
/// Longer than a carrier keeps what it was brought before it offers it on.
const DIGESTED: Duration = Duration::from_secs(4);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Smallest message that holds a bundle, bytes.
const BUNDLE: u32 = 512;

/// A message that crosses a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) at: Duration,
    pub(super) wire: WireId,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) length: u32,
}

/// All that crossed, and when who was linked.
pub(super) struct Traffic<'a> {
    plan: &'a Plan,
    flows: Vec<Flow>,
    /// Whether with a message its sender begins of itself.
    of_itself: Vec<bool>,
}

/// A try at one letter.
struct Try {
    right: bool,
    guess: f64,
    linked: bool,
}

impl<'a> Traffic<'a> {
    /// Takes messages in the order of their times.
    pub(super) fn new(plan: &'a Plan, flows: Vec<Flow>) -> Self {
        let offer = Record::Offer { batch: 0, ids: vec![ShortId([0; 8])] }.encode().len() + AUTHENTICATOR_LEN;
        let offer = offer as u32;
        let (mut crossed, mut brought) = (BTreeMap::new(), BTreeMap::new());
        let begins = |flow: &Flow| {
            let since = |before: Option<Duration>| before.map(|before| flow.at.saturating_sub(before));
            let is_quiet = since(crossed.insert(flow.wire, flow.at)).is_some_and(|since| since >= QUIET);
            let is_digested = since(brought.get(&flow.from).copied()).is_none_or(|since| since >= DIGESTED);
            if flow.length >= BUNDLE {
                brought.insert(flow.to, flow.at);
            }
            is_quiet && is_digested && (flow.length == offer || flow.length >= BUNDLE)
        };
        let of_itself = flows.iter().map(begins).collect();
        Self { plan, flows, of_itself }
    }

    /// The rows about writers and readers.
    pub(super) fn rows(&self) -> Vec<Row> {
        let letters = &self.plan.workload.letters;
        let writers: Vec<Try> = letters.iter().filter_map(|letter| self.try_writer(letter.created, letter.src)).collect();
        let readers: Vec<Try> = letters.iter().filter_map(|letter| self.try_reader(letter.created, letter.src, letter.dst)).collect();
        let row = |question, tries: &[Try], linked: Option<bool>| {
            let tries: Vec<&Try> = tries.iter().filter(|one| linked.is_none_or(|linked| one.linked == linked)).collect();
            let rate = Rate::of_counts(tries.iter().filter(|one| one.right).count(), tries.len());
            Row::passive(question, rate, mean(tries.iter().map(|one| one.guess)), "")
        };
        vec![
            self.beginners(),
            row("writer, linked while writing", &writers, Some(true)),
            row("writer, without a link while writing", &writers, Some(false)),
            row("reader, the writer known and linked", &readers, Some(true)),
            row("reader, the writer known, without a link", &readers, Some(false)),
        ]
    }

    /// How many of those who begin of themselves have just written. Guessing: any device, at any second.
    fn beginners(&self) -> Row {
        let letters = &self.plan.workload.letters;
        let wrote = |flow: &Flow| {
            let since = |created: u32| flow.at.checked_sub(Duration::from_secs(created.into()));
            letters.iter().any(|letter| letter.src == flow.from && since(letter.created).is_some_and(|since| since <= MOMENT))
        };
        let begun: Vec<&Flow> = self.from(Duration::ZERO).filter(|(_, of_itself)| *of_itself).map(|(flow, _)| flow).collect();
        let rate = Rate::of_counts(begun.iter().filter(|flow| wrote(flow)).count(), begun.len());
        let (nodes, seconds) = (f64::from(self.plan.trace.nodes), f64::from(self.plan.trace.length()));
        Row::passive("has just written, of who begins of itself", rate, letters.len() as f64 / (nodes * seconds).max(1.0), "")
    }

    fn from(&self, at: Duration) -> impl Iterator<Item = (&Flow, bool)> {
        let start = self.flows.partition_point(|flow| flow.at < at);
        self.flows.iter().zip(self.of_itself.iter().copied()).skip(start)
    }

    /// Who sends anything within a time.
    fn active(&self, at: Duration, span: Duration) -> BTreeSet<u32> {
        self.from(at).take_while(|(flow, _)| flow.at <= at + span).map(|(flow, _)| flow.from).collect()
    }

    fn linked(&self, at: Duration) -> BTreeSet<u32> {
        let set_up = self.plan.profile.set_up();
        let is_up = |start: u32, end: u32| Duration::from_secs(start.into()) + set_up <= at && at < Duration::from_secs(end.into());
        let contacts = self.plan.trace.contacts.iter().take_while(|contact| Duration::from_secs(contact.start.into()) <= at);
        contacts.filter(|contact| is_up(contact.start, contact.end)).flat_map(|contact| [contact.a, contact.b]).collect()
    }

    /// `None` if nobody could have guessed, as the writer sends nothing for an hour.
    fn try_writer(&self, created: u32, writer: u32) -> Option<Try> {
        let at = Duration::from_secs(created.into());
        let active = self.active(at, HOUR);
        active.contains(&writer).then_some(())?;
        let linked = self.linked(at);
        let mut moment = self.from(at).take_while(|(flow, _)| flow.at <= at + MOMENT);
        let at_once = moment.find(|(_, of_itself)| *of_itself).map(|(flow, _)| flow.from);
        let later = || self.from(at).find(|(flow, _)| flow.length >= BUNDLE && !linked.contains(&flow.from)).map(|(flow, _)| flow.from);
        let named = at_once.or_else(later);
        Some(Try { right: named == Some(writer), guess: 1.0 / active.len() as f64, linked: linked.contains(&writer) })
    }

    fn try_reader(&self, created: u32, writer: u32, reader: u32) -> Option<Try> {
        let at = Duration::from_secs(created.into());
        let mut active = self.active(at, DAY);
        active.remove(&writer);
        active.contains(&reader).then_some(())?;
        let named = self.from(at).find(|(flow, _)| flow.from == writer && flow.length >= BUNDLE).map(|(flow, _)| flow.to);
        Some(Try { right: named == Some(reader), guess: 1.0 / active.len() as f64, linked: self.linked(at).contains(&writer) })
    }
}
