//! One contact: who they are, whether the fingerprint was compared, and what can be done.

use std::borrow::Cow;

use hedgerow_sync::{
    id::ContactId,
    view::{Command, Contact, ContactState, Event},
};
use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View, asking::Asking, body};
use crate::{
    Refusal, Reply, RequestId,
    keymap::{Action, Scope},
    widget::{
        Editor, Field, Page, Selection,
        page::{self, Touch, inside},
    },
};

mod words;

/// Most bytes of a name (docs/protocol.md, "Names").
const MAX_NAME_BYTES: usize = 50;
/// What is typed to remove a contact whose name can't be typed.
const REMOVE: &str = "remove";

/// One contact: verify, rename, mute, block, remove.
#[derive(Debug)]
pub(crate) struct ContactScreen {
    contact: ContactId,
    selection: Selection,
    front: Front,
    asking: Asking<Deed>,
}

/// What is in front of the screen.
#[derive(Debug)]
enum Front {
    /// What is known, and what can be done.
    Deeds,
    /// Two fingerprints to compare. This one is confirmed, whatever the contact's may have become meanwhile.
    Verify(String),
    /// They differ.
    Differ,
    /// A new name.
    Rename(Field),
    /// Whether to block or unblock.
    Block,
    /// Whether to remove.
    Remove(Field),
}

/// What can be done with a contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    Open,
    Verify,
    Rename,
    Receipts,
    Mute,
    Block,
    Remove,
}

/// Every deed and its key.
const DEEDS: [(Deed, char); 7] = [
    (Deed::Open, 'o'),
    (Deed::Verify, 'v'),
    (Deed::Rename, 'n'),
    (Deed::Receipts, 'r'),
    (Deed::Mute, 'm'),
    (Deed::Block, 'b'),
    (Deed::Remove, 'x'),
];

impl Deed {
    /// Whether it can be done now.
    fn fits(self, contact: &Contact) -> bool {
        match self {
            Self::Verify => contact.fingerprint.is_some(),
            Self::Block => matches!(contact.state, ContactState::Established | ContactState::Blocked),
            _ => true,
        }
    }
}

fn deeds(contact: &Contact) -> Vec<(Deed, char)> {
    DEEDS.into_iter().filter(|(deed, _)| deed.fits(contact)).collect()
}

impl ContactScreen {
    /// The screen of a contact.
    pub(crate) fn new(contact: ContactId) -> Self {
        Self { contact, selection: Selection::default(), front: Front::Deeds, asking: Asking::new() }
    }

    fn name(&self) -> String {
        self.contact.0.to_string()
    }

    fn shown<'a>(&self, look: &Look<'a>) -> Option<&'a Contact> {
        look.model.contacts.get(&self.contact)
    }

    fn ask(&mut self, command: Command, deed: Deed, context: &mut Context<'_>) {
        self.asking.ask(command, deed, context);
    }

    /// Begins a deed, or does it where nothing is to be asked before.
    fn begin(&mut self, deed: Deed, context: &mut Context<'_>) -> Step {
        let Some(contact) = self.shown(&context.look()).filter(|contact| deed.fits(contact)).cloned() else { return Step::Stay };
        self.asking.forgive();
        let set = |receipts, muted| Command::SetContact { contact: self.contact.0.to_string(), receipts, muted };
        match deed {
            Deed::Open => return Step::Chat(self.contact),
            Deed::Verify => self.front = contact.fingerprint.map_or(Front::Deeds, Front::Verify),
            Deed::Rename => {
                let mut field = Field::new("What you call them from now on", Editor::line(MAX_NAME_BYTES));
                field.editor.set(contact.name.as_deref().unwrap_or_default());
                self.front = Front::Rename(field);
            }
            Deed::Receipts => self.ask(set(Some(!contact.receipts), None), deed, context),
            Deed::Mute => self.ask(set(None, Some(!contact.muted)), deed, context),
            Deed::Block => self.front = Front::Block,
            Deed::Remove => self.front = Front::Remove(Field::new("Type it here", Editor::line(MAX_NAME_BYTES.max(REMOVE.len())))),
        }
        Step::Stay
    }

    /// What Enter does.
    fn accept(&mut self, context: &mut Context<'_>) -> Step {
        let contact = self.shown(&context.look()).cloned();
        let name = self.name();
        match (&self.front, contact) {
            (Front::Deeds, Some(contact)) => {
                let deeds = deeds(&contact);
                let deed = self.selection.row(deeds.len()).and_then(|row| deeds.get(row).copied());
                return deed.map_or(Step::Stay, |(deed, _)| self.begin(deed, context));
            }
            (Front::Rename(field), _) => {
                let alias = field.editor.text().trim().to_owned();
                self.ask(Command::RenameContact { contact: name, alias }, Deed::Rename, context);
            }
            (Front::Remove(field), Some(contact)) if is_confirmed(field.editor.text(), &contact) => {
                self.ask(Command::RemoveContact { contact: name }, Deed::Remove, context);
            }
            (Front::Differ, _) => self.front = Front::Deeds,
            // What endangers something has its own key.
            _ => {}
        }
        Step::Stay
    }

    fn letter(&mut self, letter: char, context: &mut Context<'_>) -> Step {
        let letter = letter.to_ascii_lowercase();
        let name = self.name();
        match (&self.front, letter) {
            (_, '?') => return Step::Act(Action::Help),
            (Front::Deeds, _) => {
                let deed = DEEDS.into_iter().find(|(_, key)| *key == letter);
                return deed.map_or(Step::Stay, |(deed, _)| self.begin(deed, context));
            }
            (Front::Verify(fingerprint), 'y') => {
                let fingerprint = fingerprint.clone();
                self.ask(Command::VerifyContact { contact: name, fingerprint }, Deed::Verify, context);
            }
            (Front::Verify(_), 'n') => self.front = Front::Differ,
            (Front::Block, 'y') => {
                let blocked = self.shown(&context.look()).is_some_and(|contact| contact.state == ContactState::Established);
                self.ask(Command::BlockContact { contact: name, blocked }, Deed::Block, context);
            }
            (Front::Block, 'n') => self.front = Front::Deeds,
            _ => {}
        }
        Step::Stay
    }

    fn act(&mut self, action: Action, context: &mut Context<'_>) -> Step {
        match (action, &self.front) {
            (Action::Back, Front::Deeds) => return Step::Close,
            (Action::Back, _) => {
                self.asking.forgive();
                self.front = Front::Deeds;
            }
            (Action::Accept, _) => return self.accept(context),
            (_, Front::Deeds) => {
                let rows = self.shown(&context.look()).map_or(0, |contact| deeds(contact).len());
                self.selection.handle(action, rows, rows);
            }
            _ => {}
        }
        Step::Stay
    }

    fn touched(&mut self, touch: Touch, context: &mut Context<'_>) -> Step {
        match touch {
            Touch::Act(action) => self.act(action, context),
            Touch::Choose(row) => {
                let rows = self.shown(&context.look()).map_or(0, |contact| deeds(contact).len());
                let is_chosen = self.selection.row(rows) == Some(row);
                self.selection.choose(row);
                if is_chosen { self.accept(context) } else { Step::Stay }
            }
        }
    }

    /// What is written into, if anything is.
    fn field(&mut self) -> Option<&mut Field> {
        match &mut self.front {
            Front::Rename(field) | Front::Remove(field) => Some(field),
            _ => None,
        }
    }

    fn form(&self) -> Option<&Field> {
        match &self.front {
            Front::Rename(field) | Front::Remove(field) => Some(field),
            _ => None,
        }
    }

    /// Draws the words, the field below them, and below it why it was refused. Where not all has room, the words go first.
    fn render_form(&self, field: &Field, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let mut refusal = Page::new(look.options, area);
        refusal.refusal(self.asking.refusal());
        let refused = u16::try_from(refusal.height()).unwrap_or(u16::MAX).min(area.height);
        let height = field.height(inside(area).width).min(area.height - refused);
        let words = self.page(look, area);
        let above = u16::try_from(words.height()).unwrap_or(u16::MAX).saturating_add(1).min(area.height - refused - height);
        self.page(look, Rect { height: above, ..area }).render(frame);
        field.render(look.options, frame, Rect { y: area.y + above, height, ..inside(area) }, true);
        let mut below = Page::new(look.options, Rect { y: area.y + above + height, height: refused, ..area });
        below.refusal(self.asking.refusal());
        below.render(frame);
    }

    fn page(&self, look: &Look<'_>, area: Rect) -> Page {
        let mut page = Page::new(look.options, area);
        let Some(contact) = self.shown(look) else {
            page.say("This contact is not here any more. Esc goes back.");
            return page;
        };
        match &self.front {
            Front::Deeds => {
                words::facts(&mut page, look, contact);
                page.gap();
                let deeds = deeds(contact);
                let chosen = self.selection.row(deeds.len());
                for (row, (deed, key)) in deeds.into_iter().enumerate() {
                    page.choice(row, chosen == Some(row), &key.to_string(), &words::deed(deed, contact), "");
                }
            }
            Front::Verify(fingerprint) => words::verify(&mut page, look, contact, fingerprint),
            Front::Differ => words::differ(&mut page, contact),
            Front::Rename(_) => words::rename(&mut page, contact),
            Front::Block => words::block(&mut page, contact),
            Front::Remove(_) => words::remove(&mut page, contact, &confirmation(contact)),
        }
        if self.form().is_none() {
            page.refusal(self.asking.refusal());
        }
        page
    }
}

/// What is to be typed before a contact is removed: its name, or a plain word if the name can't be typed.
fn confirmation(contact: &Contact) -> Cow<'_, str> {
    let is_typable = |name: &&str| {
        name.len() <= MAX_NAME_BYTES && name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !name.trim().is_empty()
    };
    match contact.name.as_deref().filter(is_typable) {
        Some(name) => Cow::Borrowed(name.trim()),
        None => Cow::Borrowed(REMOVE),
    }
}

fn is_confirmed(typed: &str, contact: &Contact) -> bool {
    let typed = typed.trim();
    typed.eq_ignore_ascii_case(&confirmation(contact))
        || contact.name.as_deref().is_some_and(|name| !typed.is_empty() && typed == name.trim())
}

impl View for ContactScreen {
    fn title(&self, _look: &Look<'_>) -> String {
        "contact".to_owned()
    }

    fn contact(&self) -> Option<ContactId> {
        Some(self.contact)
    }

    fn scope(&self) -> Scope {
        if matches!(self.front, Front::Rename(_) | Front::Remove(_)) { Scope::Form } else { Scope::List }
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        if matches!(self.front, Front::Verify(_) | Front::Block) {
            vec![Action::Back, Action::Help]
        } else {
            vec![Action::Accept, Action::Back, Action::Help]
        }
    }

    fn opened(&mut self, context: &mut Context<'_>) {
        if context.model.is_attached() {
            context.command(Command::Contact { contact: self.name() });
        }
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(action) => return self.act(action, context),
            UiInput::Mouse(mouse) => {
                let touch = self.page(&context.look(), body(&context.look(), context.size)).touch(&mouse);
                return touch.map_or(Step::Stay, |touch| self.touched(touch, context));
            }
            UiInput::Key(key) => match (self.field(), page::letter(&key)) {
                (Some(field), _) => drop(field.editor.handle(&key)),
                (None, Some(letter)) => return self.letter(letter, context),
                (None, None) => {}
            },
            UiInput::Paste(text) => {
                if let Some(field) = self.field() {
                    field.editor.insert(&text);
                }
            }
        }
        Step::Stay
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Step> {
        let (deed, reply) = self.asking.take(id, result)?;
        if reply.is_none() {
            return Some(Step::Stay);
        }
        if deed == Deed::Remove {
            context.toast("The contact is removed, with keys and messages.");
            return Some(Step::Home);
        }
        if let Some(contact) = self.shown(&context.look()) {
            let words = words::done(deed, contact);
            context.toast(words);
        }
        self.front = Front::Deeds;
        Some(Step::Stay)
    }

    fn event(&mut self, event: &Event, context: &mut Context<'_>) -> Step {
        match event {
            Event::ContactRemoved { contact, same_as } if *contact == self.contact => {
                if let Some(other) = same_as {
                    context.toast("This turned out to be somebody whom you had added before.");
                    *self = Self::new(*other);
                    self.opened(context);
                    return Step::Stay;
                }
                context.toast("The contact is removed, with keys and messages.");
                Step::Home
            }
            _ => Step::Stay,
        }
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        match self.form().filter(|_| self.shown(look).is_some()) {
            Some(field) => self.render_form(field, look, frame, area),
            None => self.page(look, area).render(frame),
        }
    }
}
