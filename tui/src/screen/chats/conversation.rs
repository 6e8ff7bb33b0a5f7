//! The open conversation: which part of it is seen, which message is chosen, where the unread ones begin.
//!
//! Only what is seen is laid out. The view hangs on a message, so that it stays where it is while others come above and below.

use std::{borrow::Cow, cmp::Ordering, collections::VecDeque};

use hedgerow_sync::{
    id::{ContactId, MessageId},
    view::{Command, Message, MessageState},
};
use ratatui::text::Line;

use super::{
    block::{Block, Columns},
    composer::Sending,
    wording,
};
use crate::{
    RequestId,
    model::{Conversation, Place, is_unread, place},
    screen::{Context, Look},
    text,
};

/// Messages asked for at once (policy).
const PAGE: u32 = 200;
/// Most messages asked for at once when what was loaded is loaded anew (policy).
const MAX_RELOAD: usize = 2_000;
/// How many of the newest messages are looked through for those that wait, when a link comes or goes (policy).
const MAX_RENEWED: usize = 100;
/// From how near to the oldest loaded message on older ones are asked for (policy).
const NEAR_TOP: usize = 50;
/// As many new messages are counted (policy).
const MAX_NEW: usize = 999;
/// As far back from the last one seen is looked for unread ones (policy).
const LOOK_BACK: usize = 500;

/// Which part is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scroll {
    /// The newest.
    End,
    /// The last line seen is of this message; `below` of its lines are not seen.
    At { last: Place, below: usize },
}

/// The open conversation.
#[derive(Debug)]
pub(super) struct OpenConversation {
    pub(super) contact: ContactId,
    scroll: Scroll,
    chosen: Option<Place>,
    /// Where the unread ones began when it was opened.
    unread_from: Option<Place>,
    /// Whether it has been shown what was unread when it was opened.
    is_placed: bool,
    loading: Option<RequestId>,
    /// Messages that wait, asked for anew.
    renewing: Option<RequestId>,
    /// Why it could not be loaded.
    pub(super) trouble: Option<String>,
}

/// A conversation in a given place on the terminal: what is laid out, and how.
pub(super) struct Scene<'a> {
    look: &'a Look<'a>,
    messages: &'a VecDeque<Message>,
    sending: &'a [Sending],
    columns: Columns,
    pub(super) height: usize,
}

/// A line that is seen, and which message it belongs to.
pub(super) struct Row {
    pub(super) line: Line<'static>,
    index: usize,
}

impl<'a> Scene<'a> {
    /// `size` is that of the part for messages, in cells.
    pub(super) fn new(look: &'a Look<'a>, conversation: &'a Conversation, sending: &'a [Sending], other: &str, size: (u16, u16)) -> Self {
        let columns = Columns::new(look, other, size.0.into());
        Self { look, messages: &conversation.messages, sending, columns, height: size.1.into() }
    }

    fn len(&self) -> usize {
        self.messages.len() + self.sending.len()
    }

    fn last(&self) -> usize {
        self.len().saturating_sub(1)
    }

    fn place(&self, index: usize) -> Option<Place> {
        match self.messages.get(index) {
            Some(message) => Some(place(message)),
            None => self.sending.get(index - self.messages.len()).map(Sending::place),
        }
    }

    /// The index of a place, or of what took its place.
    fn index(&self, wanted: &Place) -> usize {
        if let Some(at) = self.sending.iter().position(|sending| sending.place() == *wanted) {
            return self.messages.len() + at;
        }
        self.messages.partition_point(|message| place(message) < *wanted).min(self.last())
    }
}

impl OpenConversation {
    pub(super) fn new(contact: ContactId) -> Self {
        Self {
            contact,
            scroll: Scroll::End,
            chosen: None,
            unread_from: None,
            is_placed: false,
            loading: None,
            renewing: None,
            trouble: None,
        }
    }

    /// Asks for the newest messages, if they are not there.
    pub(super) fn load(&mut self, context: &mut Context<'_>) {
        let held = context.model.conversations.get(&self.contact);
        if held.is_some_and(|held| held.loaded) || !context.model.is_attached() {
            return;
        }
        let held = held.map_or(0, |held| held.messages.len()).min(MAX_RELOAD) as u32;
        self.ask(None, held.max(PAGE), context);
    }

    fn ask(&mut self, before: Option<MessageId>, limit: u32, context: &mut Context<'_>) {
        let contact = self.contact.0.to_string();
        self.trouble = None;
        self.loading = Some(context.command(Command::Messages { contact, since: None, before, limit: Some(limit), mark_read: false }));
    }

    /// Asks for older messages, if the oldest loaded one is nearly seen.
    pub(super) fn load_older(&mut self, height: usize, context: &mut Context<'_>) {
        let Some(held) = context.model.conversations.get(&self.contact) else { return };
        let seen = match self.scroll {
            Scroll::End => held.messages.len(),
            Scroll::At { last, .. } => held.find(&last).unwrap_or_else(|index| index),
        };
        let is_near = seen.saturating_sub(height) < NEAR_TOP;
        let can_ask = self.loading.is_none() && self.trouble.is_none() && context.model.is_attached();
        if let Some(first) = held.messages.front().map(|message| message.id)
            && is_near
            && can_ask
            && held.loaded
            && !held.whole
        {
            self.ask(Some(first), PAGE, context);
        }
    }

    /// Asks anew for the newest messages from the first one on that waits, so that why it waits is true.
    pub(super) fn renew_waiting(&mut self, context: &mut Context<'_>) {
        let Some(held) = context.model.conversations.get(&self.contact).filter(|held| held.loaded) else { return };
        if self.renewing.is_some() || !context.model.is_attached() {
            return;
        }
        let waits = |message: &Message| message.outgoing && matches!(message.state, MessageState::Queued | MessageState::Carried);
        let from = held.messages.len().saturating_sub(MAX_RENEWED);
        let Some(first) = held.messages.iter().skip(from).position(waits) else { return };
        let limit = (held.messages.len() - from - first) as u32;
        let contact = self.contact.0.to_string();
        self.renewing =
            Some(context.command(Command::Messages { contact, since: None, before: None, limit: Some(limit), mark_read: false }));
    }

    /// Takes a reply. Returns whether it was one to this conversation.
    pub(super) fn replied(&mut self, id: RequestId, refusal: Option<&str>) -> bool {
        if self.renewing.take_if(|asked| *asked == id).is_some() {
            return true;
        }
        if self.loading != Some(id) {
            return false;
        }
        self.loading = None;
        self.trouble = refusal.map(str::to_owned);
        true
    }

    /// What has been asked for will not come.
    pub(super) fn forget_requests(&mut self) {
        (self.loading, self.renewing) = (None, None);
        self.trouble = None;
    }

    /// Notes where the unread ones begin, and shows them from there if they are more than fit.
    pub(super) fn place_unread(&mut self, conversation: &Conversation, scene: &Scene<'_>) {
        let first = conversation.first_unread();
        if self.is_placed {
            // An older page may hold older unread ones.
            let is_older = matches!((first, self.unread_from), (Some(first), Some(known)) if first < known);
            self.unread_from = if is_older { first } else { self.unread_from };
            return;
        }
        self.is_placed = true;
        self.unread_from = first;
        if let Some(first) = first {
            let from = scene.index(&first);
            if !self.fits(scene, from, scene.last(), scene.height) {
                self.show_from(scene, from);
            }
        }
    }

    /// The chosen message.
    pub(super) fn chosen<'c>(&self, conversation: Option<&'c Conversation>) -> Option<&'c Message> {
        conversation?.at(&self.chosen?)
    }

    /// Whether a message is chosen.
    pub(super) fn is_choosing(&self) -> bool {
        self.chosen.is_some()
    }

    /// Whether the newest line is seen.
    pub(super) fn is_at_end(&self) -> bool {
        self.scroll == Scroll::End
    }

    /// Shows the newest, with nothing chosen.
    pub(super) fn go_to_end(&mut self) {
        self.scroll = Scroll::End;
        self.chosen = None;
    }

    /// Chooses the message above the chosen one, or the last one seen.
    pub(super) fn choose_above(&mut self, scene: &Scene<'_>) {
        let index = match self.chosen {
            Some(chosen) => scene.index(&chosen).saturating_sub(1),
            None => match scene.messages.len().checked_sub(1) {
                Some(last) => last.min(self.bottom(scene).0),
                None => return,
            },
        };
        self.choose(scene, index);
    }

    /// Chooses the message below the chosen one; past the newest none is chosen.
    pub(super) fn choose_below(&mut self, scene: &Scene<'_>) {
        let Some(chosen) = self.chosen else { return };
        let index = scene.index(&chosen) + 1;
        if index >= scene.messages.len() { self.go_to_end() } else { self.choose(scene, index) }
    }

    /// Chooses a message, and shows it.
    pub(super) fn choose(&mut self, scene: &Scene<'_>, index: usize) {
        self.chosen = scene.messages.get(index).map(place);
        let (bottom, below) = self.bottom(scene);
        if index > bottom || (index == bottom && below > 0) {
            self.hang(scene, index, 0);
        }
        // Above, or so long that its beginning is not seen.
        let (bottom, below) = self.bottom(scene);
        if !self.fits(scene, index, bottom, scene.height + below) {
            self.show_from(scene, index);
        }
    }

    /// Moves the view up, or down if negative, by lines.
    pub(super) fn scroll(&mut self, scene: &Scene<'_>, lines: isize) {
        let (mut index, mut below) = self.bottom(scene);
        match lines.cmp(&0) {
            Ordering::Equal => return,
            Ordering::Greater => {
                below += lines.unsigned_abs();
                while index > 0 && below >= self.height(scene, index) {
                    below -= self.height(scene, index);
                    index -= 1;
                }
            }
            Ordering::Less => {
                let mut left = lines.unsigned_abs();
                while left > below {
                    left -= below;
                    if index >= scene.last() {
                        self.scroll = Scroll::End;
                        return;
                    }
                    index += 1;
                    below = self.height(scene, index);
                }
                below -= left;
            }
        }
        self.hang(scene, index, below);
        if self.fits(scene, 0, index, (scene.height + below).saturating_sub(1)) {
            self.show_from(scene, 0);
        }
    }

    /// Shows the oldest message that is loaded, and chooses it if one is chosen.
    pub(super) fn go_to_start(&mut self, scene: &Scene<'_>) {
        self.show_from(scene, 0);
        if self.chosen.is_some() {
            self.chosen = scene.messages.front().map(place);
        }
    }

    /// The newest message that is wholly seen, if it or one of the last before it is unread.
    pub(super) fn unread_seen(&self, conversation: &Conversation) -> Option<MessageId> {
        let held = &conversation.messages;
        let seen = match self.scroll {
            Scroll::End => held.len(),
            Scroll::At { last, below } => held.partition_point(|message| place(message) < last) + usize::from(below == 0),
        }
        .min(held.len());
        let from = seen.saturating_sub(LOOK_BACK);
        let has_unread = held.range(from..seen).any(is_unread);
        has_unread.then(|| held.range(from..seen).rev().find(|message| !message.outgoing).map(|message| message.id)).flatten()
    }

    /// How many unread messages stand below what is seen.
    pub(super) fn new_below(&self, conversation: &Conversation) -> usize {
        let Scroll::At { last, .. } = self.scroll else { return 0 };
        let held = &conversation.messages;
        let from = held.partition_point(|message| place(message) <= last);
        held.range(from..).filter(|message| is_unread(message)).take(MAX_NEW).count()
    }

    /// The lines that are seen, from above; fewer than the height if there are no more.
    pub(super) fn rows(&self, scene: &Scene<'_>) -> Vec<Row> {
        if scene.len() == 0 {
            return Vec::new();
        }
        let (bottom, below) = self.bottom(scene);
        let mut rows = VecDeque::new();
        let mut index = bottom;
        let mut hidden = below;
        loop {
            let mut lines = self.lines(scene, index);
            lines.truncate(lines.len().saturating_sub(std::mem::take(&mut hidden)));
            for line in lines.into_iter().rev() {
                rows.push_front(Row { line, index });
            }
            if rows.len() >= scene.height || index == 0 {
                break;
            }
            index -= 1;
        }
        let above = rows.len().saturating_sub(scene.height);
        let mut rows: Vec<Row> = rows.into_iter().skip(above).collect();
        // At the beginning there may be room below.
        if below > 0 && rows.len() < scene.height {
            let lines = self.lines(scene, bottom);
            let seen = lines.len().saturating_sub(below);
            rows.extend(lines.into_iter().skip(seen).map(|line| Row { line, index: bottom }));
        }
        for index in bottom + 1..scene.len() {
            if rows.len() >= scene.height {
                break;
            }
            rows.extend(self.lines(scene, index).into_iter().map(|line| Row { line, index }));
        }
        rows.truncate(scene.height);
        rows
    }

    /// Which message is drawn `y` lines below the top.
    pub(super) fn index_at(&self, scene: &Scene<'_>, y: usize) -> Option<usize> {
        let rows = self.rows(scene);
        let y = y.checked_sub(scene.height.saturating_sub(rows.len()))?;
        rows.get(y).map(|row| row.index).filter(|index| *index < scene.messages.len())
    }

    /// The last message seen, and how many of its lines are not.
    fn bottom(&self, scene: &Scene<'_>) -> (usize, usize) {
        match self.scroll {
            Scroll::End => (scene.last(), 0),
            Scroll::At { last, below } => {
                let index = scene.index(&last);
                // One that has become shorter, as in a wider terminal, still shows a line.
                (index, below.min(self.height(scene, index).saturating_sub(1)))
            }
        }
    }

    fn hang(&mut self, scene: &Scene<'_>, index: usize, below: usize) {
        self.scroll = match scene.place(index) {
            Some(last) if index < scene.last() || below > 0 => Scroll::At { last, below },
            _ => Scroll::End,
        };
    }

    /// Puts the first line of a message at the top, or as near to it as there are lines below.
    fn show_from(&mut self, scene: &Scene<'_>, first: usize) {
        let mut lines = 0;
        for index in first..scene.len() {
            lines += self.height(scene, index);
            if lines >= scene.height {
                self.hang(scene, index, lines - scene.height);
                return;
            }
        }
        self.scroll = Scroll::End;
    }

    /// Whether two messages and those between them take at most so many lines. Looks no further than it must.
    fn fits(&self, scene: &Scene<'_>, first: usize, last: usize, most: usize) -> bool {
        let mut left = most;
        (first..=last).rev().all(|index| match left.checked_sub(self.height(scene, index)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
    }

    fn height(&self, scene: &Scene<'_>, index: usize) -> usize {
        self.lines(scene, index).len()
    }

    /// One message, or one on its way to the daemon, as lines.
    fn lines(&self, scene: &Scene<'_>, index: usize) -> Vec<Line<'static>> {
        let before = index.checked_sub(1).and_then(|before| scene.messages.get(before));
        let Some(message) = scene.messages.get(index) else {
            return match scene.sending.get(index - scene.messages.len()) {
                Some(sending) => sending_block(scene.look, sending).lines(scene.look, &scene.columns),
                None => Vec::new(),
            };
        };
        let mut block = Block::of(scene.look, message, before);
        let here = place(message);
        block.is_chosen = self.chosen == Some(here);
        block.is_first_unread = self.unread_from == Some(here);
        let is_last = index == scene.last() && message.outgoing;
        if (is_last || block.is_chosen) && block.known.is_none() {
            block.known = Some(wording::known(scene.look, message));
        }
        block.lines(scene.look, &scene.columns)
    }
}

/// A text on its way to the daemon.
fn sending_block<'a>(look: &Look<'_>, sending: &'a Sending) -> Block<'a> {
    let state = sending.accepted.map_or(("…", "sending"), text::state);
    let is_bad = matches!(sending.accepted, Some(MessageState::Failed | MessageState::Expired));
    let words = if look.model.is_attached() { "sending…" } else { "not sent yet; it is as soon as the daemon is back" };
    let known = sending.accepted.is_none().then(|| words.to_owned());
    Block {
        day: None,
        is_first_unread: false,
        time: String::new(),
        state,
        outgoing: true,
        text: Cow::Borrowed(&sending.text),
        known,
        is_chosen: false,
        is_bad,
    }
}
