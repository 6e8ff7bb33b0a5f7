//! The ways to add a contact, each with its price.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Screen, Step, UiInput, View, body, invite::Invite, nearby::NearbyScreen, paste::Paste};
use crate::{
    keymap::Action,
    widget::{
        Page, Selection,
        page::{self, Touch},
    },
};

/// Title and price of each way, the safest first.
const WAYS: [(&str, &str, &str); 3] = [
    ("1", "Nearby", "You are in one room: you choose each other and compare four words. This is the safest way."),
    ("2", "Make a link", "You send it over something you both trust. It works once: whoever sees it first can use it."),
    ("3", "Use a link", "Somebody gave you a link, such as by mail, on paper, or as a code that you have scanned."),
];

/// The ways to add a contact.
#[derive(Debug)]
pub(crate) struct Add {
    selection: Selection,
}

impl Add {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self { selection: Selection::default() }
    }

    fn take_way(way: usize) -> Step {
        match way {
            0 => Step::open(Screen::Nearby(NearbyScreen::new())),
            1 => Step::open(Screen::Invite(Invite::new())),
            2 => Step::open(Screen::Paste(Paste::new())),
            _ => Step::Stay,
        }
    }

    fn act(&mut self, action: Action) -> Step {
        match (action, self.selection.row(WAYS.len())) {
            (Action::Back, _) => return Step::Close,
            (Action::Accept, Some(way)) => return Self::take_way(way),
            _ => self.selection.handle(action, WAYS.len(), WAYS.len()),
        };
        Step::Stay
    }

    fn page(&self, look: &Look<'_>, area: Rect) -> Page {
        let mut page = Page::new(look.options, area);
        page.title("How do you want to meet?");
        page.gap();
        let chosen = self.selection.row(WAYS.len());
        for (index, (key, title, price)) in WAYS.into_iter().enumerate() {
            page.choice(index, chosen == Some(index), key, title, price);
            page.gap();
        }
        page.say("Both of you need Hedgerow. There is no account and no server.");
        page
    }
}

impl View for Add {
    fn title(&self, _look: &Look<'_>) -> String {
        "add a contact".to_owned()
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(action) => self.act(action),
            UiInput::Key(key) => match page::letter(&key) {
                Some('?') => Step::Act(Action::Help),
                Some(digit) => {
                    digit.to_digit(10).and_then(|digit| digit.checked_sub(1)).map_or(Step::Stay, |way| Self::take_way(way as usize))
                }
                None => Step::Stay,
            },
            UiInput::Mouse(mouse) => match self.page(&context.look(), body(&context.look(), context.size)).touch(&mouse) {
                Some(Touch::Choose(way)) => Self::take_way(way),
                Some(Touch::Act(action)) => self.act(action),
                None => Step::Stay,
            },
            // What is pasted here can only be a link.
            UiInput::Paste(text) => Step::open(Screen::Paste(Paste::with(&text))),
        }
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        self.page(look, area).render(frame);
    }
}
