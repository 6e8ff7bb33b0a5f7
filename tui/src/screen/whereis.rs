//! Where a message is, and why.

use std::time::Duration;

use hedgerow_sync::{
    id::MessageId,
    time::{Instant, UnixMillis},
    view::{Answer, Command, Event, Explanation, Happening, ago_in_words, left_in_words},
};
use ratatui::{Frame, layout::Rect, text::Line};

use super::{Context, Look, Step, UiInput, View, body};
use crate::{
    Refusal, Reply, RequestId, clean,
    keymap::{Action, Scope},
    text,
    widget::{Scroll, Sheet},
};

/// How often the answer is asked anew while it is looked at (policy): spans of time and who is in reach change without an event.
const EVERY: Duration = Duration::from_secs(5);
/// How much of the message is shown, cells (policy): enough to know which it is.
const EXCERPT: usize = 200;

/// The way of one message.
#[derive(Debug)]
pub(crate) struct WhereIs {
    message: MessageId,
    explanation: Option<Box<Explanation>>,
    /// Why the last answer was a refusal.
    refusal: Option<String>,
    asked: Option<RequestId>,
    /// Something has changed since it was asked.
    is_stale: bool,
    due: Option<Instant>,
    scroll: Scroll,
}

impl WhereIs {
    /// The way of a message.
    pub(crate) fn new(message: MessageId) -> Self {
        Self { message, explanation: None, refusal: None, asked: None, is_stale: false, due: None, scroll: Scroll::default() }
    }

    /// Asks, unless an answer is on its way already.
    fn ask(&mut self, context: &mut Context<'_>) {
        if !context.model.is_attached() {
            self.due = None;
            return;
        }
        self.due = Some(context.now.mono + EVERY);
        self.is_stale = self.asked.is_some();
        if self.asked.is_none() {
            self.asked = Some(context.command(Command::Explain { id: self.message }));
        }
    }

    fn lines(&self, look: &Look<'_>, width: usize) -> Vec<Line<'static>> {
        let mut page = Sheet::new(width, &look.options.theme);
        if let Some(refusal) = &self.refusal {
            page.text(&clean::name(refusal), look.options.theme.bad);
        }
        match &self.explanation {
            Some(explanation) => Telling { explanation, look, page: &mut page }.all(),
            None if self.refusal.is_some() => {}
            None => page.note("Asking where it is …"),
        }
        page.into_lines()
    }
}

/// Writes an explanation onto a page.
struct Telling<'a> {
    explanation: &'a Explanation,
    look: &'a Look<'a>,
    page: &'a mut Sheet,
}

impl Telling<'_> {
    fn all(mut self) {
        self.message();
        self.state();
        self.reach();
        self.log();
        self.helps();
        self.bundle();
    }

    fn moment(&self, at: UnixMillis) -> String {
        text::when(self.look.options, self.explanation.now, at)
    }

    fn message(&mut self) {
        let message = &self.explanation.message;
        let name = if message.outgoing {
            self.explanation.reader.as_ref().and_then(|reader| reader.name.as_deref()).unwrap_or("(no name yet)")
        } else {
            &message.from
        };
        let way = if message.outgoing { "To" } else { "From" };
        let excerpt = clean::fit(&clean::name(&text::body(message).replace('\n', " ")), EXCERPT);
        self.page.text(&format!("{way} {}: {excerpt}", clean::name(name)), self.look.options.theme.dim);
    }

    fn state(&mut self) {
        let theme = &self.look.options.theme;
        let sign = text::state(self.explanation.message.state).0;
        let words = clean::name(&self.explanation.words);
        self.page.gap();
        if self.look.options.words {
            self.page.text(&words, theme.strong);
        } else {
            self.page.item(&format!("{sign} "), &words, theme.strong);
        }
        let waits = self.explanation.waits.as_ref().map(|waits| &waits.text).or(self.explanation.message.why.as_ref());
        if let Some(waits) = waits {
            self.page.item("why: ", &clean::name(waits), theme.warn);
        }
        if let Some(expires) = self.explanation.message.expires.filter(|_| self.explanation.waits.is_some()) {
            let left = left_in_words(self.explanation.now, expires);
            let words = format!("{} ({left}); then carriers let it go", self.moment(expires));
            self.page.item("until: ", &words, theme.text);
        }
    }

    fn reach(&mut self) {
        let theme = &self.look.options.theme;
        if let Some(reader) = &self.explanation.reader {
            let words = reader.in_words(self.explanation.now, |at| self.moment(at));
            self.page.item("for: ", &clean::name(&words), theme.text);
        }
        let near = self.explanation.neighbours;
        let words = format!("{}, {}", text::count(near.contacts, "contact"), text::count(near.strangers, "stranger"));
        self.page.item("in reach now: ", &words, theme.text);
    }

    fn log(&mut self) {
        self.page.heading("What happened, oldest first");
        for happening in &self.explanation.log {
            self.happening(happening);
        }
        let omitted = self.explanation.log_omitted;
        if omitted > 0 {
            self.page.note(&format!("and {omitted} more hand-overs, of which only the number is kept"));
        }
        if self.explanation.message.handed_strangers > 0 {
            self.page.note("What a stranger says that it holds, nobody can check. A receipt can't be made up.");
        }
    }

    fn happening(&mut self, happening: &Happening) {
        let ago = ago_in_words(self.explanation.now, happening.at);
        let when = format!("{:<12} {ago:<10}  ", self.moment(happening.at));
        self.page.item(&when, &clean::name(&happening.what.in_words()), self.look.options.theme.text);
    }

    fn helps(&mut self) {
        if self.explanation.helps.is_empty() {
            return;
        }
        self.page.heading("What would help");
        for help in &self.explanation.helps {
            self.page.item("- ", &clean::name(&help.text), self.look.options.theme.text);
        }
    }

    fn bundle(&mut self) {
        let Some(bundle) = &self.explanation.bundle else { return };
        self.page.heading("What travels");
        let words = clean::name(&bundle.in_words(self.explanation.now, |at| self.moment(at)));
        self.page.text(&format!("A sealed bundle: {words}."), self.look.options.theme.text);
        if self.explanation.tries > 1 {
            self.page.text(&format!("It was sealed {} times.", self.explanation.tries), self.look.options.theme.text);
        }
    }
}

impl View for WhereIs {
    fn title(&self, _look: &Look<'_>) -> String {
        "where is it?".to_owned()
    }

    fn scope(&self) -> Scope {
        Scope::List
    }

    fn writes(&self) -> bool {
        false
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Back, Action::PageDown, Action::PageUp, Action::Help]
    }

    fn opened(&mut self, context: &mut Context<'_>) {
        // What was asked before the daemon went away is not answered any more.
        self.asked = None;
        self.ask(context);
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        let area = body(&context.look(), context.size);
        let lines = self.lines(&context.look(), area.width.into()).len();
        match input {
            UiInput::Action(Action::Back | Action::Accept) => Step::Close,
            input => {
                self.scroll.handle(&input, lines, area.height.into());
                Step::Stay
            }
        }
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Step> {
        if self.asked != Some(id) {
            return None;
        }
        self.asked = None;
        match result {
            Ok(Reply::Answer(Answer::Explanation(explanation))) => {
                self.explanation = Some(explanation.clone());
                self.refusal = None;
            }
            Ok(_) => self.refusal = Some("The daemon gave another answer than was asked for; is it of this version?".to_owned()),
            Err(refusal) => self.refuse(refusal),
        }
        if self.is_stale {
            self.ask(context);
        }
        Some(Step::Stay)
    }

    fn event(&mut self, event: &Event, context: &mut Context<'_>) -> Step {
        let concerns = match event {
            Event::Message(message) => message.id == self.message,
            Event::LinkUp(_) | Event::LinkDown(_) => true,
            _ => false,
        };
        if concerns {
            self.ask(context);
        }
        Step::Stay
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn tick(&mut self, context: &mut Context<'_>) -> Step {
        if self.due.is_some_and(|due| due <= context.now.mono) {
            self.ask(context);
        }
        Step::Stay
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        self.scroll.render(self.lines(look, area.width.into()), &look.options.theme, frame, area);
    }
}

impl WhereIs {
    fn refuse(&mut self, refusal: &Refusal) {
        self.refusal = Some(match refusal.kind.as_str() {
            "unknown_message" => {
                self.explanation = None;
                self.due = None;
                "This message is not here any more: it was removed, with its contact perhaps. Esc goes back.".to_owned()
            }
            // What is known stays; the banner says the rest.
            "gone" => "The daemon is away; what stands below was true when it went.".to_owned(),
            _ => format!("It can't be said now: {}", refusal.message),
        });
        if refusal.kind == "gone" && self.explanation.is_none() {
            self.refusal = Some("The daemon is away; it is asked again as soon as it is back.".to_owned());
        }
    }
}
