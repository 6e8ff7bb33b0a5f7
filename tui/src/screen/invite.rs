//! A one-time link of ours, as text and QR code.

use hedgerow_sync::{
    id::ContactId,
    view::{Answer, Command, Contact, ContactState, Event, Invitation},
};
use ratatui::{Frame, layout::Rect, text::Line};

use super::{Context, Look, Screen, Step, UiInput, View, asking::Asking, body, contact::ContactScreen};
use crate::{
    Effect, Refusal, Reply, RequestId, clean,
    keymap::{Action, Scope},
    text,
    widget::{
        Page, Selection,
        page::{self, Touch},
        qr::LinkCode,
    },
};

/// How long a link can live, in hours; the third is proposed.
const LIVES: [(&str, &str, u32); 4] = [
    ("1", "1 day: they use it soon", 24),
    ("2", "3 days", 72),
    ("3", "14 days: the answer may have to be carried from device to device", 336),
    ("4", "30 days: the longest", 720),
];
/// Which of them is proposed.
const PROPOSED: usize = 2;
/// Cells between the words and a code beside them.
const GUTTER: u16 = 1;
/// The fewest cells of words beside a code.
const MIN_WORDS: u16 = 22;

/// A one-time link of ours, as text and QR code.
#[derive(Debug)]
pub(crate) struct Invite {
    selection: Selection,
    asking: Asking<()>,
    made: Option<Made>,
}

/// A link, and what can't be read off the model of what has become of it.
struct Made {
    invitation: Invitation,
    code: Option<LinkCode>,
    /// Who has used it, if that was a contact already.
    same_as: Option<ContactId>,
    /// Whether it was taken back.
    is_void: bool,
    /// Whether the link alone is shown, without a code beside it.
    is_plain: bool,
}

impl std::fmt::Debug for Made {
    /// Says nothing of the link: whoever has it can use it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { invitation, code: _, same_as, is_void, is_plain: _ } = self;
        f.debug_struct("Made")
            .field("contact", &invitation.contact)
            .field("same_as", same_as)
            .field("is_void", is_void)
            .finish_non_exhaustive()
    }
}

impl Made {
    /// Whether nobody can use it any more, and nobody has.
    fn is_dead(&self, look: &Look<'_>) -> bool {
        let contact = look.model.contacts.get(&self.invitation.contact);
        self.is_void || contact.is_some_and(|contact| contact.state == ContactState::Failed)
    }

    /// Whoever has used the link, once they have.
    fn contact<'a>(&self, look: &Look<'a>) -> Option<&'a Contact> {
        let contacts = &look.model.contacts;
        let own = contacts.get(&self.invitation.contact).filter(|contact| contact.state == ContactState::Established);
        own.or_else(|| contacts.get(&self.same_as?))
    }
}

impl Invite {
    /// As it opens.
    pub(crate) fn new() -> Self {
        let mut selection = Selection::default();
        selection.choose(PROPOSED);
        Self { selection, asking: Asking::new(), made: None }
    }

    fn make(&mut self, life: usize, context: &mut Context<'_>) {
        self.selection.choose(life);
        if let Some((_, _, hours)) = LIVES.get(life) {
            self.asking.ask(Command::Invite { hours: *hours }, (), context);
        }
    }

    fn act(&mut self, action: Action, context: &mut Context<'_>) -> Step {
        if action == Action::Back {
            return Step::Close;
        }
        let Some(made) = &mut self.made else {
            match (action, self.selection.row(LIVES.len())) {
                (Action::Accept, Some(life)) => self.make(life, context),
                _ => drop(self.selection.handle(action, LIVES.len(), LIVES.len())),
            }
            return Step::Stay;
        };
        match action {
            Action::Copy if made.is_dead(&context.look()) => {}
            Action::Copy => {
                context.effect(Effect::Copy(made.invitation.link.clone()));
                context.toast("The link is on the clipboard, where other programs can read it too.");
            }
            Action::Next => made.is_plain = !made.is_plain,
            Action::Accept => return made.contact(&context.look()).map_or(Step::Stay, |contact| Step::Chat(contact.contact)),
            _ => {}
        }
        Step::Stay
    }

    fn letter(&mut self, letter: char, context: &mut Context<'_>) -> Step {
        let used_by = self.made.as_ref().map(|made| made.contact(&context.look()).map(|contact| contact.contact));
        match (letter, used_by) {
            ('?', _) => return Step::Act(Action::Help),
            ('v' | 'V', Some(Some(contact))) => return Step::replace(Screen::Contact(ContactScreen::new(contact))),
            (_, None) => {
                let life = LIVES.iter().position(|(key, _, _)| key.starts_with(letter));
                life.into_iter().for_each(|life| self.make(life, context));
            }
            _ => {}
        }
        Step::Stay
    }

    fn lives_page(&self, look: &Look<'_>, area: Rect) -> Page {
        let mut page = Page::new(look.options, area);
        page.title("Make a link that one person can use once.");
        page.gap();
        page.say("Whoever has the link first becomes your contact. Send it over something that you both trust, or show its code.");
        page.gap();
        page.say("How long can it be used?");
        page.gap();
        let chosen = self.selection.row(LIVES.len());
        for (index, (key, title, _)) in LIVES.into_iter().enumerate() {
            page.choice(index, chosen == Some(index), key, title, "");
        }
        page.gap();
        page.say(if self.asking.is_open() { "Making the link …" } else { "Enter makes the link." });
        page.refusal(self.asking.refusal());
        page
    }
}

impl View for Invite {
    fn title(&self, _look: &Look<'_>) -> String {
        "make a link".to_owned()
    }

    fn scope(&self) -> Scope {
        Scope::List
    }

    fn hints(&self, look: &Look<'_>) -> Vec<Action> {
        let is_open = self.made.as_ref().is_some_and(|made| made.contact(look).is_none() && !made.is_dead(look));
        vec![if is_open { Action::Copy } else { Action::Accept }, Action::Back, Action::Help]
    }

    fn attached(&mut self, _context: &mut Context<'_>) -> Step {
        Step::Stay
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(action) => self.act(action, context),
            UiInput::Key(key) => page::letter(&key).map_or(Step::Stay, |letter| self.letter(letter, context)),
            UiInput::Mouse(mouse) if self.made.is_none() => {
                match self.lives_page(&context.look(), body(&context.look(), context.size)).touch(&mouse) {
                    Some(Touch::Choose(life)) if Some(life) == self.selection.row(LIVES.len()) => {
                        self.make(life, context);
                        Step::Stay
                    }
                    Some(Touch::Choose(life)) => {
                        self.selection.choose(life);
                        Step::Stay
                    }
                    Some(Touch::Act(action)) => self.act(action, context),
                    None => Step::Stay,
                }
            }
            UiInput::Mouse(_) | UiInput::Paste(_) => Step::Stay,
        }
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, _context: &mut Context<'_>) -> Option<Step> {
        let ((), reply) = self.asking.take(id, result)?;
        if let Some(Reply::Answer(Answer::Invitation(invitation))) = reply {
            let code = LinkCode::new(&invitation.link);
            self.made = Some(Made { invitation: invitation.clone(), code, same_as: None, is_void: false, is_plain: false });
        }
        Some(Step::Stay)
    }

    fn event(&mut self, event: &Event, _context: &mut Context<'_>) -> Step {
        if let (Some(made), Event::ContactRemoved { contact, same_as }) = (&mut self.made, event)
            && *contact == made.invitation.contact
        {
            made.same_as = *same_as;
            made.is_void = same_as.is_none();
        }
        Step::Stay
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        match &self.made {
            None => self.lives_page(look, area).render(frame),
            Some(made) => made.render(look, frame, area),
        }
    }
}

impl Made {
    /// Draws words and link, with the code beside or below them where it has room.
    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        if self.contact(look).is_some() || self.is_dead(look) {
            let mut page = Page::new(look.options, area);
            self.say_state(&mut page, look);
            page.render(frame);
            return;
        }
        let code = self.code.as_ref().filter(|_| !self.is_plain);
        let Some((code, place)) = code.and_then(|code| Some((code, self.place(code, look, area)?))) else {
            self.page(look, area, Some(self.missing())).render(frame);
            return;
        };
        self.page(look, place.words, None).render(frame);
        code.render(frame, place.code);
    }

    fn missing(&self) -> Missing {
        match &self.code {
            None => Missing::NoCode,
            Some(_) if self.is_plain => Missing::Hidden,
            Some(_) => Missing::NoRoom,
        }
    }

    /// Where words and code go: the code below the words, else beside them; `None` if it has no room.
    fn place(&self, code: &LinkCode, look: &Look<'_>, area: Rect) -> Option<Place> {
        let height = u16::try_from(self.page(look, area, None).height()).unwrap_or(u16::MAX).saturating_add(1);
        let below = Rect {
            y: area.y.saturating_add(height),
            height: area.height.saturating_sub(height),
            x: area.x + 1,
            width: area.width.saturating_sub(1),
        };
        if code.size_in(below).is_some() {
            return Some(Place { words: Rect { height, ..area }, code: below });
        }
        let (width, _) = code.size_in(area)?;
        let left = area.width.checked_sub(width + GUTTER).filter(|left| *left >= MIN_WORDS)?;
        let beside = Rect { x: area.x + left + GUTTER, width, ..area };
        let words = Rect { width: left, ..area };
        self.page(look, words, None).fits().then_some(Place { words, code: beside })
    }

    fn page(&self, look: &Look<'_>, area: Rect, missing: Option<Missing>) -> Page {
        let theme = &look.options.theme;
        let mut page = Page::new(look.options, area);
        self.say_state(&mut page, look);
        page.gap();
        // The link is as wide as the place allows, so that as few ends of lines as can be get into it.
        for line in broken(&self.invitation.link, page.cells()) {
            page.line(Line::styled(line, theme.strong));
        }
        page.gap();
        page.say("Ctrl-Y copies the link.");
        match missing {
            Some(Missing::Hidden) => page.say_as("Tab shows the code.", theme.dim),
            Some(Missing::NoRoom) => page.say_as("The code to scan needs a larger terminal, such as 80×24.", theme.warn),
            Some(Missing::NoCode) => {}
            None => page.say_as("Tab shows the link alone.", theme.dim),
        }
        page
    }

    fn say_state(&self, page: &mut Page, look: &Look<'_>) {
        let theme = &look.options.theme;
        if let Some(contact) = self.contact(look) {
            let name = text::contact_name(contact);
            let title = if self.same_as.is_some() {
                format!("{name} has used the link: you knew each other already.")
            } else {
                format!("{name} has used the link and is now a contact.")
            };
            page.say_as(&title, theme.good);
            page.gap();
            page.say("The link is used up. Whoever had it first has become this contact, so compare fingerprints when you can.");
            page.gap();
            page.answer("Enter", "Open the conversation");
            page.answer("v", "See the contact and compare fingerprints");
            return;
        }
        if self.is_dead(look) {
            page.say_as("This link can't be used any more. Make another one.", theme.bad);
            return;
        }
        let until = text::when(look.options, look.now.wall, self.invitation.expires);
        page.say_as(&format!("Works once, until {until}."), theme.strong);
        page.gap();
        page.say(
            "Give it to one person. The contact appears as soon as it is used; you can leave this screen. The link is not shown again.",
        );
    }
}

/// Where words and code go.
struct Place {
    words: Rect,
    code: Rect,
}

/// Why there is no code beside the link.
#[derive(Clone, Copy)]
enum Missing {
    /// The person has chosen so.
    Hidden,
    /// The terminal is too small.
    NoRoom,
    /// The link is too long for one.
    NoCode,
}

/// A link in lines of `cells` cells.
fn broken(link: &str, cells: usize) -> Vec<String> {
    let letters: Vec<char> = clean::name(link).chars().collect();
    letters.chunks(cells.max(1)).map(|line| line.iter().collect()).collect()
}
