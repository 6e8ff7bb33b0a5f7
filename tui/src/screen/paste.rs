//! Takes a link of somebody else. Whether it is one, the node says.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use hedgerow_sync::view::{Answer, Command, ContactState};
use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::Line,
    widgets::{Clear, Paragraph},
};

use super::{Context, Look, Step, UiInput, View, asking::Asking, body};
use crate::{
    Refusal, Reply, RequestId, clean,
    keymap::{Action, Scope},
    text,
    widget::{Editor, Field, page::inside},
};

/// Most bytes around and in a link (policy): a mail with its greeting.
const MAX_LINK_BYTES: usize = 8_192;
/// Most bytes of a name (docs/protocol.md, "Names").
const MAX_NAME_BYTES: usize = 50;
/// Most bytes of a text that travels with the request (docs/api.md, `add_contact`).
const MAX_MESSAGE_BYTES: usize = 1_282;
/// How many fields there are.
const FIELDS: usize = 3;

/// Takes a link of somebody else.
#[derive(Debug)]
pub(crate) struct Paste {
    link: Field,
    name: Field,
    message: Field,
    /// Which of them is written in, from above.
    focus: usize,
    asking: Asking<()>,
    /// What is wrong before anything is asked.
    complaint: Option<String>,
}

impl Paste {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self {
            link: Field::new("The link that you were given (text around it does no harm)", Editor::line(MAX_LINK_BYTES)),
            name: Field::new("What you call them (may stay empty: their own name)", Editor::line(MAX_NAME_BYTES)),
            message: Field::new("A first message (may stay empty)", Editor::lines(MAX_MESSAGE_BYTES)),
            focus: 0,
            asking: Asking::new(),
            complaint: None,
        }
    }

    /// With the link pasted already.
    pub(crate) fn with(text: &str) -> Self {
        let mut screen = Self::new();
        screen.write(text);
        screen
    }

    fn fields(&self) -> [&Field; FIELDS] {
        [&self.link, &self.name, &self.message]
    }

    fn editor(&mut self) -> &mut Editor {
        match self.focus {
            0 => &mut self.link.editor,
            1 => &mut self.name.editor,
            _ => &mut self.message.editor,
        }
    }

    fn go(&mut self, steps: usize) {
        self.focus = (self.focus + steps) % FIELDS;
    }

    /// Writes into the field in front; says so if not everything had room.
    fn write(&mut self, text: &str) {
        let has_room = self.editor().insert(text);
        self.asking.forgive();
        self.complaint = (!has_room).then(|| match self.focus {
            0 => "That is more than the field holds, and the end is missing. Paste the link alone.".to_owned(),
            1 => format!("A name has at most {MAX_NAME_BYTES} bytes; the end is missing."),
            _ => format!("A first message has at most {MAX_MESSAGE_BYTES} bytes; the end is missing. Write the rest in the conversation."),
        });
    }

    fn send(&mut self, context: &mut Context<'_>) {
        if self.link.editor.text().trim().is_empty() {
            self.focus = 0;
            self.complaint = Some("Paste the link first: it begins with “hedgerow:”.".to_owned());
            return;
        }
        let written = |field: &Field| Some(field.editor.text().trim().to_owned()).filter(|text| !text.is_empty());
        self.complaint = None;
        let command =
            Command::AddContact { link: self.link.editor.text().to_owned(), alias: written(&self.name), message: written(&self.message) };
        self.asking.ask(command, (), context);
    }

    fn click(&mut self, mouse: MouseEvent, context: &Context<'_>) {
        if mouse.kind == MouseEventKind::Down(MouseButton::Left) {
            let at = Position::new(mouse.column, mouse.row);
            let places = places(&self.fields(), inside(body(&context.look(), context.size)));
            self.focus = places.iter().position(|place| place.contains(at)).unwrap_or(self.focus);
        }
    }

    /// What stands below the fields: what is wrong, or what comes next.
    fn note(&self, look: &Look<'_>, cells: usize) -> Vec<Line<'static>> {
        let theme = &look.options.theme;
        let (words, style) = match (&self.complaint, self.asking.refusal(), self.asking.is_open()) {
            (Some(complaint), _, _) => (complaint.clone(), theme.bad),
            (None, Some(refusal), _) => (format!("{} {}", text::why_not(refusal), what_next(refusal)), theme.bad),
            (None, None, true) => ("Looking at the link …".to_owned(), theme.dim),
            (None, None, false) => (
                "Enter adds the contact. The answer comes at once if they are near; else it travels from device to device, for up to 14 days. Tab goes to the next field."
                    .to_owned(),
                theme.text,
            ),
        };
        clean::wrap(words.trim_end(), cells).into_iter().map(|line| Line::styled(line, style)).collect()
    }
}

impl View for Paste {
    fn title(&self, _look: &Look<'_>) -> String {
        "use a link".to_owned()
    }

    fn scope(&self) -> Scope {
        Scope::Form
    }

    fn label(&self, _look: &Look<'_>, action: Action) -> Option<&'static str> {
        (action == Action::Accept).then_some("add")
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Accept, Action::Next, Action::Back, Action::Help]
    }

    fn attached(&mut self, _context: &mut Context<'_>) -> Step {
        Step::Stay
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => return Step::Close,
            UiInput::Action(Action::Accept) => self.send(context),
            UiInput::Action(Action::Next) => self.go(1),
            UiInput::Action(Action::Previous) => self.go(FIELDS - 1),
            UiInput::Action(_) => {}
            UiInput::Key(key) => match key.code {
                KeyCode::Down => self.go(1),
                KeyCode::Up => self.go(FIELDS - 1),
                KeyCode::Char(letter) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
                    self.write(letter.encode_utf8(&mut [0; 4]));
                }
                _ => drop(self.editor().handle(&key)),
            },
            UiInput::Paste(text) => self.write(&text),
            UiInput::Mouse(mouse) => self.click(mouse, context),
        }
        Step::Stay
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Step> {
        let ((), reply) = self.asking.take(id, result)?;
        let Some(Reply::Answer(Answer::Added(added))) = reply else { return Some(Step::Stay) };
        // So that the conversation has a name from the start.
        context.command(Command::Contact { contact: added.contact.0.to_string() });
        context.toast(if added.state == ContactState::Pending {
            "Waiting for the answer; it travels with whoever carries it, up to 14 days."
        } else {
            "This link led to somebody whom you had added before."
        });
        Some(Step::Chat(added.contact))
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let area = inside(area);
        let note = self.note(look, area.width.into());
        let note_height = u16::try_from(note.len()).unwrap_or(u16::MAX);
        let fields = self.fields();
        let mut lowest = area.y;
        for (index, (field, place)) in fields.iter().zip(places(&fields, area)).enumerate() {
            field.render(look.options, frame, place, index == self.focus);
            lowest = place.bottom().saturating_add(1);
        }
        // What is wrong is said even where not everything has room.
        let top = lowest.min(area.bottom().saturating_sub(note_height)).max(area.y);
        let below = Rect { y: top, height: area.bottom() - top, ..area };
        frame.render_widget(Clear, below);
        frame.render_widget(Paragraph::new(note), below);
    }
}

/// Where the fields stand, one below the other.
fn places(fields: &[&Field; FIELDS], area: Rect) -> [Rect; FIELDS] {
    let mut top = area.y;
    fields.map(|field| {
        let height = field.height(area.width).min(area.bottom().saturating_sub(top));
        let place = Rect { y: top, height, ..area };
        top = place.bottom().saturating_add(1).min(area.bottom());
        place
    })
}

/// What a person can do about a refusal.
fn what_next(refusal: &Refusal) -> &'static str {
    match refusal.kind.as_str() {
        "link" => "Check that the whole link is here, or ask for a new one.",
        "name" => "Choose another name, or leave it empty.",
        "text_length" => "Make the first message shorter.",
        "too_many" => "Remove a contact that you no longer wait for, then try again.",
        "gone" => "Doing it twice does no harm.",
        _ => "",
    }
}
