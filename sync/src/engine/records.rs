//! Records as they arrive: checked against the state of their link, then handed on.

use hedgerow_transports::LinkId;

use super::{Engine, link::Peer};
use crate::{
    store::{Cursor, StoreError},
    time::Now,
    wire::record::{ByeReason, Record},
};

/// The peer did what the protocol forbids; its link is closed.
#[derive(Debug)]
pub(super) struct Breach;

/// What handling a record may end in: our store's failure, or the peer's fault.
#[derive(Debug)]
pub(super) enum Fault {
    Store(StoreError),
    Peer(Breach),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Breach> for Fault {
    fn from(breach: Breach) -> Self {
        Self::Peer(breach)
    }
}

impl Engine {
    pub(super) fn handle_record(&mut self, now: Now, link: LinkId, bytes: &[u8]) -> Result<(), StoreError> {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.is_open()) else { return Ok(()) };
        state.last_heard = now.mono;
        let probed = state.rival.is_some();
        let outcome = match Record::decode(bytes) {
            Ok(record) => self.dispatch(now, link, record),
            Err(_) => Err(Breach.into()),
        };
        if probed {
            self.settle_rival(now, link);
        }
        match outcome {
            Ok(()) => Ok(()),
            Err(Fault::Store(error)) => Err(error),
            Err(Fault::Peer(Breach)) => {
                self.end_link(link, ByeReason::Protocol);
                Ok(())
            }
        }
    }

    fn dispatch(&mut self, now: Now, link: LinkId, record: Record) -> Result<(), Fault> {
        let Some(state) = self.links.get(&link) else { return Ok(()) };
        let is_contact = matches!(state.peer, Peer::Contact(_));
        // HELLO comes first, and once; the closing word may come at any time.
        if state.hello.is_none() && !matches!(record, Record::Hello(_) | Record::Bye(_)) {
            return Err(Breach.into());
        }
        match record {
            Record::Hello(hello) => self.handle_hello(now, link, hello),
            Record::Offer { batch, ids } => self.handle_offer(now, link, batch, ids)?,
            Record::Pick { batch, wanted } => self.handle_pick(now, link, batch, &wanted)?,
            Record::Want(ids) => self.handle_want(link, &ids)?,
            Record::Bundle { age, copies, bytes } => {
                self.handle_bundle(now, link, age, copies, bytes)?;
                self.compare_waiting(now, link)?;
            }
            Record::Stored(ids) => self.handle_stored(now, link, &ids)?,
            Record::Refused(refusals) => {
                self.handle_refused(now, link, &refusals)?;
                self.compare_waiting(now, link)?;
            }
            Record::Ack(secrets) => self.handle_acks(now, link, &secrets)?,
            Record::Ranges(body) => self.handle_ranges(now, link, body)?,
            Record::Cursor { own_epoch, epoch, sequence } => {
                // Whoever is no contact sends one that says nothing. In a session that is being upgraded another comes, after UPGRADE.
                if is_contact {
                    self.start_sync(now, link, own_epoch, Cursor { epoch, sequence })?;
                } else {
                    self.handle_empty_cursor(link)?;
                }
            }
            Record::Mark { epoch, sequence } => self.handle_mark(link, Cursor { epoch, sequence })?,
            Record::Upgrade(mac) => self.handle_upgrade(now, link, &mac)?,
            Record::Ping => self.transmit(link, &Record::Pong),
            Record::Pong => {
                if let Some(state) = self.links.get_mut(&link) {
                    state.pongs += 1;
                    self.busy_links.insert(link);
                }
            }
            Record::Name(name) => self.handle_name(link, name)?,
            Record::Nearby(step) => self.handle_nearby(now, link, step)?,
            Record::Bye(reason) => {
                match reason {
                    ByeReason::Crowded => self.note_crowded(link),
                    ByeReason::Closing => self.note_useless(now, link),
                    ByeReason::Duplicate | ByeReason::Protocol | ByeReason::Locked | ByeReason::Myself => {}
                }
                self.end_link(link, ByeReason::Closing);
            }
        }
        Ok(())
    }
}
