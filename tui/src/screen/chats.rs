//! The conversations, and the open one with what is written to it.
//!
//! In the list letters find somebody and Enter opens a conversation; in a conversation letters are written, and Esc goes back to the list.
//! Where the terminal is wide both are seen, but keys never go to both: they go to the conversation while one is open.

mod block;
mod composer;
mod conversation;
mod draw;
mod list;
mod panes;
pub(crate) mod wording;
mod written;

use std::{collections::BTreeMap, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use hedgerow_sync::{
    id::ContactId,
    time::Instant,
    view::{Command, Contact, Event, Message},
    wire::item::MAX_TEXT_LEN,
};
use ratatui::{
    Frame,
    layout::{Position, Rect},
};

use self::{
    composer::{Composer, Outcome},
    conversation::{OpenConversation, Scene},
    list::{Beside, List},
    panes::{Panes, Parts},
    written::Written,
};
use super::{Context, Look, Screen, Step, UiInput, View, contact::ContactScreen, message, message::MessageMenu, whereis::WhereIs};
use crate::{
    Refusal, Reply, RequestId, command,
    keymap::{Action, Scope},
    model::Conversation,
    text,
};

/// How long a message is on the screen before it counts as read (policy).
const SEEN_AFTER: Duration = Duration::from_millis(500);
/// How long after a refusal messages are marked as read again (policy).
const SEEN_AGAIN: Duration = Duration::from_secs(5);
/// Lines that a turn of the wheel moves (policy).
const WHEEL: isize = 3;

/// The conversations, and the open one with what is written to it.
#[derive(Debug)]
pub(crate) struct Chats {
    list: List,
    open: Option<OpenConversation>,
    /// What is written, of each conversation that was opened.
    composers: BTreeMap<ContactId, Composer>,
    reading: Reading,
    /// What was asked for messages, and what to say once it is done.
    acts: BTreeMap<RequestId, &'static str>,
    /// How many texts were sent from here, for their ids.
    sent: u64,
}

/// Marking as read what has been seen for a while.
#[derive(Debug, Default)]
struct Reading {
    due: Option<Instant>,
    /// When the while was over.
    ripe: Option<Instant>,
    asked: Option<RequestId>,
}

impl Chats {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self { list: List::new(), open: None, composers: BTreeMap::new(), reading: Reading::default(), acts: BTreeMap::new(), sent: 0 }
    }

    /// Opens a conversation.
    pub(crate) fn open(&mut self, contact: ContactId, context: &mut Context<'_>) {
        self.list.chosen = Some(contact);
        self.list.filter.clear();
        if self.open.as_ref().is_some_and(|open| open.contact == contact) {
            return;
        }
        self.close(context);
        let may_have_draft = context.model.contacts.get(&contact).is_none_or(|contact| contact.draft);
        self.composers.entry(contact).or_insert_with(|| Composer::new(contact, may_have_draft)).load(context);
        let mut open = OpenConversation::new(contact);
        open.load(context);
        self.open = Some(open);
        if context.model.conversations.get(&contact).is_some_and(|held| held.loaded) {
            self.place_unread(context);
        }
    }

    /// Back to the list; what is written is kept.
    fn close(&mut self, context: &mut Context<'_>) {
        let Some(open) = self.open.take() else { return };
        self.reading = Reading::default();
        if let Some(composer) = self.composers.get_mut(&open.contact) {
            composer.keep(context);
        }
    }

    fn place_unread(&mut self, context: &Context<'_>) {
        let Some(contact) = self.open.as_ref().map(|open| open.contact) else { return };
        let Some(held) = context.model.conversations.get(&contact) else { return };
        self.with_scene(context, |open, scene| open.place_unread(held, scene));
    }

    /// Lets the open conversation be moved through as it is laid out.
    fn with_scene<R>(&mut self, context: &Context<'_>, act: impl FnOnce(&mut OpenConversation, &Scene<'_>) -> R) -> Option<R> {
        let look = context.look();
        let parts = self.parts(super::body(&look, context.size))?;
        let open = self.open.as_mut()?;
        let composer = self.composers.get(&open.contact)?;
        let empty = Conversation::default();
        let held = look.model.conversations.get(&open.contact).unwrap_or(&empty);
        let size = (parts.messages.width, parts.messages.height);
        Some(act(open, &Scene::new(&look, held, &composer.sending, &name_of(&look, open.contact), size)))
    }

    /// Where the open conversation is drawn.
    fn parts(&self, body: Rect) -> Option<Parts> {
        let composer = self.composers.get(&self.open.as_ref()?.contact)?;
        let area = Panes::new(body, true).conversation?;
        Some(Parts::new(area, composer.editor.height(Composer::room(area.width))))
    }

    fn composer(&mut self) -> Option<&mut Composer> {
        self.composers.get_mut(&self.open.as_ref()?.contact)
    }

    fn handle_list(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Accept) => {
                if let Some(contact) = self.list.chosen(context.model) {
                    self.open(contact, context);
                }
            }
            UiInput::Action(Action::Back) => self.list.filter.clear(),
            UiInput::Action(action) => {
                let area = Panes::new(super::body(&context.look(), context.size), false).list;
                self.list.handle(action, context.model, area.unwrap_or_default());
            }
            UiInput::Key(KeyEvent { code: KeyCode::Char('?'), .. }) if self.list.filter.is_empty() => return Step::Act(Action::Help),
            UiInput::Key(KeyEvent { code: KeyCode::Char('/'), .. }) if self.list.filter.is_empty() => return Step::Act(Action::Palette),
            UiInput::Key(key) => drop(self.list.filter.handle(&key)),
            UiInput::Paste(text) => drop(self.list.filter.insert(&text)),
            UiInput::Mouse(_) => {}
        }
        Step::Stay
    }

    fn handle_open(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(action) => return self.act(action, context),
            UiInput::Key(key) => self.write(context, |composer| composer.editor.handle(&key)),
            UiInput::Paste(text) => {
                let mut has_room = true;
                self.write(context, |composer| {
                    has_room = composer.editor.insert(&text);
                    true
                });
                if !has_room {
                    context.toast(format!(
                        "Only the first part had room: a message has at most {MAX_TEXT_LEN} bytes. Send it, then paste the rest."
                    ));
                }
            }
            UiInput::Mouse(_) => {}
        }
        Step::Stay
    }

    /// Changes what is written; then nothing is chosen any more.
    fn write(&mut self, context: &Context<'_>, change: impl FnOnce(&mut Composer) -> bool) {
        let Some(composer) = self.composer() else { return };
        composer.note = None;
        if change(composer) {
            composer.changed(context.now);
            if let Some(open) = self.open.as_mut().filter(|open| open.is_choosing()) {
                open.go_to_end();
            }
        }
    }

    fn act(&mut self, action: Action, context: &mut Context<'_>) -> Step {
        let is_choosing = self.open.as_ref().is_some_and(OpenConversation::is_choosing);
        match action {
            Action::Back if is_choosing => self.go_to_end(),
            Action::Back => self.close(context),
            Action::Accept if is_choosing => return self.open_menu(context),
            Action::Accept => return self.submit(context),
            Action::Newline => self.write(context, |composer| composer.editor.insert("\n")),
            Action::Next => self.complete(context),
            Action::Up | Action::Down => self.move_row(action == Action::Down, context),
            Action::PageUp | Action::PageDown => self.move_page(action == Action::PageDown, context),
            Action::First => drop(self.with_scene(context, OpenConversation::go_to_start)),
            Action::Last => self.go_to_end(),
            Action::Where => return self.show_where(context),
            Action::Copy | Action::Retry | Action::TakeBack => self.act_on_chosen(action, context),
            _ => {}
        }
        Step::Stay
    }

    fn go_to_end(&mut self) {
        if let Some(open) = &mut self.open {
            open.go_to_end();
        }
    }

    /// Up and down: in what is written, and from its first line on among the messages.
    fn move_row(&mut self, down: bool, context: &Context<'_>) {
        let is_choosing = self.open.as_ref().is_some_and(OpenConversation::is_choosing);
        if !is_choosing {
            let look = context.look();
            let width = self.parts(super::body(&look, context.size)).map_or(0, |parts| parts.composer.width);
            let has_moved = self.composer().is_some_and(|composer| composer.editor.move_line(down, Composer::room(width)));
            if has_moved || down {
                return;
            }
        }
        self.with_scene(context, |open, scene| if down { open.choose_below(scene) } else { open.choose_above(scene) });
    }

    fn move_page(&mut self, down: bool, context: &Context<'_>) {
        self.with_scene(context, |open, scene| {
            let page = isize::try_from(scene.height.saturating_sub(1).max(1)).unwrap_or(1);
            open.scroll(scene, if down { -page } else { page });
        });
    }

    fn complete(&mut self, context: &Context<'_>) {
        self.write(context, |composer| match command::complete(composer.editor.text()) {
            Some(line) => {
                composer.editor.set(&line);
                true
            }
            None => false,
        });
    }

    fn submit(&mut self, context: &mut Context<'_>) -> Step {
        let sent = self.sent;
        let Some(composer) = self.composer() else { return Step::Stay };
        composer.note = None;
        let text = match Written::read(composer.editor.text()) {
            Written::Nothing => return Step::Stay,
            Written::Command(line) => return self.run(&line, context),
            Written::Text(text) => text,
        };
        if text.len() > MAX_TEXT_LEN {
            context.toast(format!("Not sent: {} bytes too long. Shorten it, or send it in two parts.", text.len() - MAX_TEXT_LEN));
            return Step::Stay;
        }
        if !context.model.is_attached() {
            context.toast("Not sent: there is no connection to the daemon. Your text stays here; press Enter again once it is back.");
            return Step::Stay;
        }
        composer.editor.clear();
        composer.send(text, sent, context);
        self.sent += 1;
        self.go_to_end();
        Step::Stay
    }

    fn run(&mut self, line: &str, context: &mut Context<'_>) -> Step {
        let contact = self.open.as_ref().map(|open| open.contact);
        match command::run(line, context, contact) {
            Ok(step) => {
                self.write(context, |composer| {
                    composer.editor.clear();
                    true
                });
                step
            }
            Err(why) => {
                context.toast(why);
                Step::Stay
            }
        }
    }

    fn chosen<'m>(&self, context: &'m Context<'_>) -> Option<&'m Message> {
        let open = self.open.as_ref()?;
        open.chosen(context.model.conversations.get(&open.contact))
    }

    fn open_menu(&self, context: &Context<'_>) -> Step {
        match self.chosen(context) {
            Some(message) => Step::open(Screen::Message(MessageMenu::new(message.clone()))),
            None => Step::Stay,
        }
    }

    /// Shows where the chosen message is, or else the last one of ours.
    fn show_where(&self, context: &mut Context<'_>) -> Step {
        let held = self.open.as_ref().and_then(|open| context.model.conversations.get(&open.contact));
        let last = || held.and_then(|held| held.messages.iter().rev().find(|message| message.outgoing));
        let id = self.chosen(context).or_else(last).map(|message| message.id);
        match id {
            Some(id) => Step::open(Screen::Where(WhereIs::new(id))),
            None => {
                context.toast("There is no message of yours here yet.");
                Step::Stay
            }
        }
    }

    fn act_on_chosen(&mut self, action: Action, context: &mut Context<'_>) {
        match self.chosen(context).cloned() {
            Some(message) => self.acts.extend(message::act(action, &message, context)),
            None => context.toast("Choose a message first: press Up until it is marked."),
        }
    }

    /// Opens the conversation `by` rows below the open or chosen one.
    fn switch(&mut self, down: bool, context: &mut Context<'_>) {
        self.list.filter.clear();
        let order = self.list.order(context.model);
        let here = self.open.as_ref().map(|open| open.contact).or(self.list.chosen);
        let row = order.iter().position(|contact| Some(contact.contact) == here);
        let next = match (row, down) {
            (None, _) => Some(0),
            (Some(row), true) => Some(row + 1),
            (Some(row), false) => row.checked_sub(1),
        };
        if let Some(contact) = next.and_then(|row| order.get(row)).map(|contact| contact.contact) {
            self.open(contact, context);
        }
    }

    fn open_next_unread(&mut self, context: &mut Context<'_>) {
        self.list.filter.clear();
        let order = self.list.order(context.model);
        let here = self.open.as_ref().map(|open| open.contact);
        let row = order.iter().position(|contact| Some(contact.contact) == here).map_or(0, |row| row + 1);
        let is_wanted = |contact: &&&Contact| contact.unread > 0 && Some(contact.contact) != here;
        match order.iter().cycle().skip(row).take(order.len()).find(is_wanted).map(|contact| contact.contact) {
            Some(contact) => self.open(contact, context),
            None => context.toast("Nothing unread in other conversations."),
        }
    }

    fn handle_mouse(&mut self, mouse: MouseEvent, context: &mut Context<'_>) -> Step {
        let at = Position::new(mouse.column, mouse.row);
        let body = super::body(&context.look(), context.size);
        let panes = Panes::new(body, self.open.is_some());
        let turn = match mouse.kind {
            MouseEventKind::ScrollUp => WHEEL,
            MouseEventKind::ScrollDown => -WHEEL,
            MouseEventKind::Down(MouseButton::Left) => 0,
            _ => return Step::Stay,
        };
        if let Some(area) = panes.list.filter(|area| area.contains(at)) {
            match turn {
                0 => {
                    if let Some(contact) = self.list.at(context.model, area, at.y) {
                        self.open(contact, context);
                    }
                }
                _ => drop(self.list.handle(if turn > 0 { Action::Up } else { Action::Down }, context.model, area)),
            }
            return Step::Stay;
        }
        let Some(parts) = self.parts(body) else { return Step::Stay };
        if turn != 0 {
            self.with_scene(context, |open, scene| open.scroll(scene, turn));
        } else if parts.messages.contains(at) {
            let line = usize::from(at.y - parts.messages.y);
            self.with_scene(context, |open, scene| {
                if let Some(index) = open.index_at(scene, line) {
                    open.choose(scene, index);
                }
            });
        } else if parts.rule.contains(at) {
            self.go_to_end();
        }
        Step::Stay
    }

    /// Whether something is unread that is not in front.
    fn is_unread_elsewhere(&self, look: &Look<'_>) -> bool {
        let here = self.open.as_ref().map(|open| open.contact);
        look.model.contacts.values().any(|contact| contact.unread > 0 && Some(contact.contact) != here)
    }

    /// The contact that keys are about: of the open conversation, or the chosen one.
    fn spoken_of(&self, context: &Context<'_>) -> Option<ContactId> {
        self.open.as_ref().map(|open| open.contact).or_else(|| self.list.chosen(context.model))
    }

    fn removed(&mut self, contact: ContactId, same_as: Option<ContactId>, context: &mut Context<'_>) {
        let is_open = self.open.as_ref().is_some_and(|open| open.contact == contact);
        let written = self.composers.remove(&contact).map(|composer| composer.unsent()).unwrap_or_default();
        if is_open {
            self.open = None;
            self.reading = Reading::default();
        }
        match same_as {
            Some(other) => {
                let composer = self.composers.entry(other).or_insert_with(|| Composer::new(other, true));
                composer.give_back(&written);
                composer.changed(context.now);
                if is_open {
                    self.open(other, context);
                }
            }
            None if is_open => context.toast("This contact was removed."),
            None => {}
        }
    }
}

fn name_of(look: &Look<'_>, contact: ContactId) -> String {
    look.model.contacts.get(&contact).map_or_else(|| "?".to_owned(), wording::contact_name)
}

impl View for Chats {
    fn title(&self, look: &Look<'_>) -> String {
        let open = self.open.as_ref().and_then(|open| look.model.contacts.get(&open.contact));
        open.map_or_else(|| "chats".to_owned(), text::contact_name)
    }

    fn writes(&self) -> bool {
        // A letter in the list looks for a name.
        self.open.as_ref().is_none_or(|open| self.composers.get(&open.contact).is_some_and(|composer| !composer.editor.is_empty()))
    }

    fn contact(&self) -> Option<ContactId> {
        self.open.as_ref().map(|open| open.contact)
    }

    fn scope(&self) -> Scope {
        if self.open.is_some() { Scope::Conversation } else { Scope::Chats }
    }

    fn hints(&self, look: &Look<'_>) -> Vec<Action> {
        match &self.open {
            None if look.model.contacts.is_empty() => vec![Action::AddContact, Action::Help, Action::Palette, Action::Quit],
            None if self.is_unread_elsewhere(look) => {
                vec![Action::Accept, Action::AddContact, Action::NextUnread, Action::Palette, Action::Help, Action::Quit]
            }
            None => vec![Action::Accept, Action::AddContact, Action::Palette, Action::Help, Action::Quit],
            Some(open) if open.is_choosing() => {
                vec![Action::Accept, Action::Where, Action::Copy, Action::Retry, Action::TakeBack, Action::Back]
            }
            Some(_) if self.is_unread_elsewhere(look) => {
                vec![Action::Accept, Action::Newline, Action::Back, Action::Where, Action::NextUnread, Action::Help]
            }
            Some(_) => vec![Action::Accept, Action::Newline, Action::Back, Action::Where, Action::Palette, Action::Help],
        }
    }

    fn label(&self, _look: &Look<'_>, action: Action) -> Option<&'static str> {
        match (&self.open, action) {
            (None, Action::Accept) => Some("open"),
            (Some(open), Action::Accept) if open.is_choosing() => Some("menu"),
            (Some(_), Action::Accept) => Some("send"),
            _ => None,
        }
    }

    fn attached(&mut self, context: &mut Context<'_>) -> Step {
        self.reading = Reading::default();
        self.acts.clear();
        for composer in self.composers.values_mut() {
            composer.attached(context);
        }
        if let Some(open) = &mut self.open {
            open.forget_requests();
            open.load(context);
        }
        Step::Stay
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Mouse(mouse) => return self.handle_mouse(mouse, context),
            UiInput::Action(Action::PreviousChat) => self.switch(false, context),
            UiInput::Action(Action::NextChat) => self.switch(true, context),
            UiInput::Action(Action::NextUnread) => self.open_next_unread(context),
            UiInput::Action(Action::Contact) => {
                return self.spoken_of(context).map_or(Step::Stay, |contact| Step::open(Screen::Contact(ContactScreen::new(contact))));
            }
            input if self.open.is_some() => return self.handle_open(input, context),
            input => return self.handle_list(input, context),
        }
        Step::Stay
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Step> {
        if self.reading.asked == Some(id) {
            self.reading.asked = None;
            if result.is_err() {
                self.reading.due = Some(context.now.mono + SEEN_AGAIN);
            }
            return Some(Step::Stay);
        }
        if let Some(words) = self.acts.remove(&id) {
            match result {
                Ok(_) => context.toast(words),
                Err(refusal) => context.toast(refusal.message.clone()),
            }
            return Some(Step::Stay);
        }
        let refusal = result.as_ref().err().map(|refusal| refusal.message.as_str());
        if self.open.as_mut().is_some_and(|open| open.replied(id, refusal)) {
            if refusal.is_none() {
                self.place_unread(context);
            }
            return Some(Step::Stay);
        }
        let (contact, outcome) =
            self.composers.iter_mut().find_map(|(contact, composer)| Some((*contact, composer.replied(id, result, context)?)))?;
        if let Outcome::Returned(why) = outcome {
            let name = name_of(&context.look(), contact);
            context.toast(format!("Not sent to {name}, your text is back in its field: {why}"));
        }
        Some(Step::Stay)
    }

    fn event(&mut self, event: &Event, context: &mut Context<'_>) -> Step {
        match event {
            Event::Message(message) if message.outgoing => {
                if let Some(composer) = self.composers.get_mut(&message.contact) {
                    composer.arrived(message.id, context);
                }
            }
            Event::ContactRemoved { contact, same_as } => self.removed(*contact, *same_as, context),
            // Why a message waits may be another reason now, and there is no event for that.
            Event::LinkUp(_) | Event::LinkDown(_) => {
                if let Some(open) = &mut self.open {
                    open.renew_waiting(context);
                }
            }
            _ => {}
        }
        Step::Stay
    }

    fn due(&self) -> Option<Instant> {
        self.composers.values().filter_map(Composer::due).chain(self.reading.due).min()
    }

    fn tick(&mut self, context: &mut Context<'_>) -> Step {
        for composer in self.composers.values_mut() {
            composer.tick(context);
        }
        if let Some(due) = self.reading.due.take_if(|due| *due <= context.now.mono) {
            self.reading.ripe = Some(due.max(context.now.mono));
        }
        Step::Stay
    }

    fn seen(&mut self, context: &mut Context<'_>) {
        // Once seen, the choice stays on its contact, whoever comes above.
        if self.list.chosen.is_none() {
            self.list.chosen = self.list.chosen(context.model);
        }
        let look = context.look();
        let height = self.parts(super::body(&look, context.size)).map_or(0, |parts| usize::from(parts.messages.height));
        let Some(open) = &mut self.open else { return };
        open.load_older(height, context);
        let held = context.model.conversations.get(&open.contact).filter(|held| held.loaded && height > 0);
        let ripe = self.reading.ripe.take() == Some(context.now.mono);
        match held.and_then(|held| open.unread_seen(held)) {
            None => self.reading.due = None,
            Some(_) if self.reading.asked.is_some() || !context.model.is_attached() => {}
            Some(id) if ripe => {
                let contact = open.contact.0.to_string();
                self.reading.asked = Some(context.command(Command::MarkRead { contact, id }));
            }
            Some(_) if self.reading.due.is_none() => self.reading.due = Some(context.now.mono + SEEN_AFTER),
            Some(_) => {}
        }
    }

    fn leaving(&mut self, context: &mut Context<'_>) {
        for composer in self.composers.values_mut() {
            composer.keep(context);
        }
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let theme = &look.options.theme;
        let mut panes = Panes::new(area, self.open.is_some());
        if look.model.contacts.is_empty() && self.open.is_none() {
            panes = Panes { list: Some(area), border: None, conversation: None };
        }
        if let Some(list) = panes.list {
            let beside = Beside { composers: &self.composers, open: self.open.as_ref().map(|open| open.contact) };
            self.list.render(look, beside, frame, list);
        }
        if let Some(border) = panes.border {
            for y in border.y..border.bottom() {
                frame.buffer_mut().set_stringn(border.x, y, "│", 1, theme.border);
            }
        }
        let Some(area) = panes.conversation else { return };
        match &self.open {
            Some(open) => self.render_open(open, look, frame, area),
            None => self.render_closed(look, frame, area),
        }
    }
}
