//! People in one room: the window in which they see each other, who is in it, and the words that two compare.
//!
//! ```text
//!   the window, closed ─ Enter ─▶ open: who is there ─ both choose ─▶ four words ─ y ─▶ waits ─▶ a contact
//!                                   ▲                                     └─ n ─▶ what it can mean
//!                                   └─────────── Tab or Esc ──────────────┴──────────────────┘
//! ```
//!
//! Names are claims until the words were compared, so people are told apart by number. Nothing of the comparison is on Enter.

use std::{collections::BTreeSet, time::Duration};

use hedgerow_sync::{
    id::ContactId,
    time::Instant,
    view::{Command, Event, Nearby, NearbyPeer, NearbyState},
};
use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View, asking::Asking, body};
use crate::{
    Refusal, Reply, RequestId,
    keymap::{Action, Scope},
    model::Model,
    text,
    widget::{
        Page, Selection,
        page::{self, Touch},
    },
};

/// How often the time left is drawn anew.
const SECOND: Duration = Duration::from_secs(1);

/// People in one room: choose each other, compare words.
#[derive(Debug)]
pub(crate) struct NearbyScreen {
    /// The chosen row: somebody's number, or the window itself.
    chosen: Option<u32>,
    /// Whether the person has chosen it; until then it is whoever came first.
    has_moved: bool,
    /// Whose words, or whose end, are shown in place of the list.
    front: Option<u32>,
    /// Whose words have come in front by themselves before.
    shown: BTreeSet<u32>,
    /// Whether it is asked if an exchange may be given up.
    is_leaving: bool,
    asking: Asking<()>,
    next_second: Option<Instant>,
}

impl NearbyScreen {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self {
            chosen: None,
            has_moved: false,
            front: None,
            shown: BTreeSet::new(),
            is_leaving: false,
            asking: Asking::new(),
            next_second: None,
        }
    }

    /// Takes over who is there: chooses whoever came first, so that Enter goes on with them, and brings the words of an exchange in front
    /// once, when they have come.
    fn follow(&mut self, nearby: &Nearby) {
        if !self.has_moved && nearby.until.is_some() && self.chosen_peer(nearby).is_none() {
            let can_be_chosen = |peer: &&NearbyPeer| matches!(peer.state, NearbyState::Seen | NearbyState::ChoseUs);
            self.chosen = nearby.peers.iter().find(can_be_chosen).map(|peer| peer.peer);
        }
        let comparing: BTreeSet<u32> =
            nearby.peers.iter().filter(|peer| peer.state == NearbyState::Comparing).map(|peer| peer.peer).collect();
        let new = comparing.difference(&self.shown).next().copied();
        self.shown = comparing;
        if self.in_front(nearby).is_none() {
            self.front = new;
        }
    }

    /// Whoever is shown in place of the list.
    fn in_front<'n>(&self, nearby: &'n Nearby) -> Option<&'n NearbyPeer> {
        let has_page = |peer: &&NearbyPeer| {
            matches!(peer.state, NearbyState::Comparing | NearbyState::Confirmed | NearbyState::Established | NearbyState::Failed)
        };
        peer(nearby, self.front?).filter(has_page)
    }

    fn chosen_peer<'n>(&self, nearby: &'n Nearby) -> Option<&'n NearbyPeer> {
        peer(nearby, self.chosen?)
    }

    /// Wakes up each second while time runs down.
    fn keep_time(&mut self, context: &Context<'_>) {
        self.next_second = is_open(context.model, context.now.wall).then(|| context.now.mono + SECOND);
    }

    fn ask(&mut self, command: Command, context: &mut Context<'_>) {
        self.asking.ask(command, (), context);
    }

    fn choose(&mut self, peer: &NearbyPeer, context: &mut Context<'_>) {
        self.ask(Command::NearbyAdd { peer: peer.peer.to_string() }, context);
    }

    /// What Enter does.
    fn accept(&mut self, context: &mut Context<'_>) -> Step {
        let nearby = context.model.nearby.clone();
        if let Some(peer) = self.in_front(&nearby) {
            return match peer.state {
                NearbyState::Established => self.open_chat(peer, context),
                NearbyState::Failed => {
                    self.front = None;
                    Step::Stay
                }
                // Words are answered by their own keys.
                _ => Step::Stay,
            };
        }
        let Some(peer) = self.chosen_peer(&nearby) else {
            self.ask(Command::NearbyOpen {}, context);
            return Step::Stay;
        };
        match peer.state {
            NearbyState::Seen | NearbyState::ChoseUs => self.choose(peer, context),
            NearbyState::Chosen => context.toast("They have to choose you on their screen now."),
            NearbyState::Comparing | NearbyState::Confirmed | NearbyState::Failed => self.front = Some(peer.peer),
            NearbyState::Established => return self.open_chat(peer, context),
        }
        Step::Stay
    }

    /// Answers whether the words are the same.
    fn answer(&mut self, matches: bool, context: &mut Context<'_>) {
        let comparing = self.in_front(&context.model.nearby).filter(|peer| peer.state == NearbyState::Comparing);
        if let Some(peer) = comparing.map(|peer| peer.peer.to_string()) {
            self.ask(Command::NearbyConfirm { peer, matches }, context);
        }
    }

    /// What a letter does.
    fn letter(&mut self, letter: char, context: &mut Context<'_>) -> Step {
        match (self.is_leaving, letter.to_ascii_lowercase()) {
            (true, 'y') => return self.close(context),
            (true, 'n') => self.is_leaving = false,
            (false, 'y') => self.answer(true, context),
            (false, 'n') => self.answer(false, context),
            (false, 't') => self.try_again(context),
            (_, '?') => return Step::Act(Action::Help),
            _ => {}
        }
        Step::Stay
    }

    fn try_again(&mut self, context: &mut Context<'_>) {
        let failed = self.in_front(&context.model.nearby).filter(|peer| peer.state == NearbyState::Failed);
        if let Some(peer) = failed.cloned() {
            self.choose(&peer, context);
        }
    }

    /// Goes away, unless that would end something that somebody waits for.
    fn back(&mut self, context: &mut Context<'_>) -> Step {
        if self.is_leaving {
            self.is_leaving = false;
            return Step::Stay;
        }
        let front = self.in_front(&context.model.nearby).map(|peer| peer.state);
        if matches!(front, Some(NearbyState::Failed | NearbyState::Established)) {
            self.front = None;
            return Step::Stay;
        }
        if waiting(&context.model.nearby).is_some() {
            self.is_leaving = true;
            return Step::Stay;
        }
        self.close(context)
    }

    fn close(&mut self, context: &mut Context<'_>) -> Step {
        let nearby = &context.model.nearby;
        if context.model.is_attached() && (nearby.until.is_some() || waiting(nearby).is_some()) {
            context.command(Command::NearbyClose {});
        }
        let confirmed = context.model.nearby.peers.iter().find(|peer| peer.state == NearbyState::Confirmed);
        if let Some(name) = confirmed.map(|peer| text::name(&peer.name)) {
            context.toast(format!("{name} becomes a contact as soon as they say so too."));
        }
        Step::Close
    }

    /// Goes to the conversation. The window closes unless somebody still waits in it.
    fn open_chat(&mut self, peer: &NearbyPeer, context: &mut Context<'_>) -> Step {
        let Some(contact) = peer.contact else { return Step::Stay };
        if waiting(&context.model.nearby).is_none() {
            self.close(context);
        }
        Step::Chat(contact)
    }

    fn act(&mut self, action: Action, context: &mut Context<'_>) -> Step {
        match action {
            Action::Back => return self.back(context),
            _ if self.is_leaving => {}
            Action::Accept => return self.accept(context),
            Action::Next if self.in_front(&context.model.nearby).is_some() => self.front = None,
            _ if self.in_front(&context.model.nearby).is_some() => {}
            _ => self.move_to(action, &context.model.nearby),
        }
        Step::Stay
    }

    /// Moves the choice, which stays with a person when others come and go.
    fn move_to(&mut self, action: Action, nearby: &Nearby) {
        let mut selection = Selection::default();
        selection.choose(self.row(nearby));
        let rows = nearby.peers.len() + 1;
        if selection.handle(action, rows, rows) {
            self.choose_row(selection.row(rows).unwrap_or(0), nearby);
        }
    }

    /// The chosen row: the window is the first, people follow.
    fn row(&self, nearby: &Nearby) -> usize {
        self.chosen.and_then(|chosen| nearby.peers.iter().position(|peer| peer.peer == chosen)).map_or(0, |index| index + 1)
    }

    fn choose_row(&mut self, row: usize, nearby: &Nearby) {
        self.has_moved = true;
        self.chosen = row.checked_sub(1).and_then(|index| nearby.peers.get(index)).map(|peer| peer.peer);
    }

    fn touched(&mut self, touch: Touch, context: &mut Context<'_>) -> Step {
        match touch {
            Touch::Act(action) => self.act(action, context),
            Touch::Choose(row) if row == self.row(&context.model.nearby) => self.accept(context),
            Touch::Choose(row) => {
                self.choose_row(row, &context.model.nearby);
                Step::Stay
            }
        }
    }

    fn page(&self, look: &Look<'_>, area: Rect) -> Page {
        let nearby = &look.model.nearby;
        let mut page = Page::new(look.options, area);
        match (self.is_leaving.then(|| waiting(nearby)).flatten(), self.in_front(nearby)) {
            (Some(peer), _) => leaving_page(&mut page, peer),
            (None, Some(peer)) => peer_page(&mut page, look, peer),
            (None, None) => self.list_page(&mut page, look),
        }
        page.refusal(self.asking.refusal());
        page
    }

    fn list_page(&self, page: &mut Page, look: &Look<'_>) {
        let nearby = &look.model.nearby;
        let row = self.row(nearby);
        if is_open(look.model, look.now.wall) {
            window_rows(page, look, row == 0);
        } else {
            closed_rows(page, look, row == 0);
        }
        if nearby.mismatches > 0 {
            page.say_as(&mismatch_words(nearby.mismatches), look.options.theme.warn);
            page.gap();
        }
        for (index, peer) in nearby.peers.iter().enumerate() {
            let title = format!("#{}  {}", peer.peer, text::name(&peer.name));
            page.choice(index + 1, row == index + 1, "", &title, &state_words(look.model, nearby, peer, row == index + 1));
        }
    }
}

impl View for NearbyScreen {
    fn title(&self, _look: &Look<'_>) -> String {
        "nearby".to_owned()
    }

    fn scope(&self) -> Scope {
        Scope::List
    }

    fn hints(&self, look: &Look<'_>) -> Vec<Action> {
        let front = self.in_front(&look.model.nearby).map(|peer| peer.state);
        match front {
            _ if self.is_leaving => vec![Action::Back, Action::Help],
            Some(NearbyState::Comparing | NearbyState::Confirmed) => vec![Action::Next, Action::Back, Action::Help],
            _ => vec![Action::Accept, Action::Back, Action::Help],
        }
    }

    fn label(&self, look: &Look<'_>, action: Action) -> Option<&'static str> {
        let nearby = &look.model.nearby;
        match (action, self.in_front(nearby), self.chosen_peer(nearby)) {
            (Action::Next, ..) => Some("who else is here"),
            (Action::Accept, None, None) if is_open(look.model, look.now.wall) => Some("two minutes again"),
            (Action::Accept, None, None) => Some("open the window"),
            (Action::Accept, None, Some(peer)) if peer.state == NearbyState::Seen => Some("choose"),
            (Action::Accept, None, Some(peer)) if peer.state == NearbyState::ChoseUs => Some("agree"),
            _ => None,
        }
    }

    fn opened(&mut self, context: &mut Context<'_>) {
        if context.model.is_attached() {
            context.command(Command::Nearby {});
        }
        let nearby = context.model.nearby.clone();
        self.follow(&nearby);
        self.keep_time(context);
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(action) => self.act(action, context),
            UiInput::Key(key) => page::letter(&key).map_or(Step::Stay, |letter| self.letter(letter, context)),
            UiInput::Mouse(mouse) => {
                let touch = self.page(&context.look(), body(&context.look(), context.size)).touch(&mouse);
                touch.map_or(Step::Stay, |touch| self.touched(touch, context))
            }
            UiInput::Paste(_) => Step::Stay,
        }
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Step> {
        self.asking.take(id, result)?;
        let nearby = context.model.nearby.clone();
        self.follow(&nearby);
        self.keep_time(context);
        Some(Step::Stay)
    }

    fn event(&mut self, event: &Event, context: &mut Context<'_>) -> Step {
        if let Event::Nearby(nearby) = event {
            self.follow(nearby);
            self.is_leaving &= waiting(nearby).is_some();
            self.keep_time(context);
        }
        Step::Stay
    }

    fn due(&self) -> Option<Instant> {
        self.next_second
    }

    fn tick(&mut self, context: &mut Context<'_>) -> Step {
        if self.next_second.is_some_and(|due| due <= context.now.mono) {
            self.keep_time(context);
        }
        Step::Stay
    }

    fn leaving(&mut self, context: &mut Context<'_>) {
        // Nobody would look at the window any more, and it shows the person's name.
        self.close(context);
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        self.page(look, area).render(frame);
    }
}

fn peer(nearby: &Nearby, number: u32) -> Option<&NearbyPeer> {
    nearby.peers.iter().find(|peer| peer.peer == number)
}

/// With whom something would end if the window closed. What our person has found equal goes on without it, and whom we have not chosen
/// can't hold us.
fn waiting(nearby: &Nearby) -> Option<&NearbyPeer> {
    nearby.peers.iter().find(|peer| matches!(peer.state, NearbyState::Chosen | NearbyState::Comparing))
}

fn is_open(model: &Model, now: hedgerow_sync::time::UnixMillis) -> bool {
    model.nearby.until.is_some_and(|until| until > now)
}

/// The window, closed: what opening it does.
fn closed_rows(page: &mut Page, look: &Look<'_>, is_chosen: bool) {
    page.title("Add somebody who is in the room with you.");
    page.gap();
    page.say("For two minutes everybody in reach who runs Hedgerow can see your name, and you see who else has this window open.");
    page.say("Then you choose each other, and read four words aloud. Nobody is added before that.");
    page.gap();
    let name = look.model.own_name().map_or_else(String::new, |own| format!(" They see “{}”.", text::name(own)));
    let words = format!("It closes by itself.{name}");
    page.choice(0, is_chosen, "", "Press Enter to open the window", &words);
    page.gap();
    page.say("The other person does the same: F2, then 1.");
    page.gap();
}

/// The window, open: how long yet, and what to wait for.
fn window_rows(page: &mut Page, look: &Look<'_>, is_chosen: bool) {
    let left = look.model.nearby.until.map_or(0, |until| until.0.saturating_sub(look.now.wall.0).div_ceil(1_000));
    let title = format!("Open: {}:{:02} left", left / 60, left % 60);
    page.choice(0, is_chosen, "", &title, if is_chosen { "Enter makes it two minutes again. Esc closes it." } else { "" });
    page.gap();
    if look.model.nearby.peers.is_empty() {
        page.say("Nobody is here yet. The other person presses F2, then 1, and opens the window too. Both need to be on the same network.");
        page.gap();
        return;
    }
    page.say("In the room. A name is only what somebody claims until you have compared words.");
    page.gap();
}

/// How far somebody has come, and on the chosen row what Enter does.
fn state_words(model: &Model, nearby: &Nearby, peer: &NearbyPeer, is_chosen: bool) -> String {
    let (state, enter) = match peer.state {
        NearbyState::Seen => ("Here", " Enter chooses them."),
        NearbyState::Chosen => ("You have chosen them. Waiting for them to choose you.", ""),
        NearbyState::ChoseUs => ("Has chosen you.", " Enter agrees."),
        NearbyState::Comparing => ("Four words wait to be compared.", " Enter shows them."),
        NearbyState::Confirmed => ("You said that the words are the same. Waiting for them to say so.", " Enter shows them."),
        NearbyState::Established => ("Is a contact now.", " Enter opens the conversation."),
        NearbyState::Failed => ("Was not added.", " Enter says why."),
    };
    let mut words = state.to_owned();
    if peer.state == NearbyState::Seen {
        words.push_str(&format!(", over {}.", text::transport(&peer.transport)));
        if let Some(contact) = peer.contact {
            words.push_str(&format!(" You know them as {}.", known_as(model, contact)));
        }
    }
    if nearby.peers.iter().filter(|other| text::name(&other.name) == text::name(&peer.name)).count() > 1 {
        words.push_str(" Somebody else here claims this name too.");
    }
    if is_chosen {
        words.push_str(enter);
    }
    words
}

fn known_as(model: &Model, contact: ContactId) -> String {
    model.contacts.get(&contact).map_or_else(|| format!("contact {}", contact.0), text::contact_name)
}

fn mismatch_words(count: u32) -> String {
    let times = if count == 1 { "1 comparison has".to_owned() } else { format!("{count} comparisons have") };
    format!("{times} failed since Hedgerow was started. If that goes on, somebody may be in between: meet elsewhere.")
}

/// What is shown of somebody in place of the list.
fn peer_page(page: &mut Page, look: &Look<'_>, peer: &NearbyPeer) {
    match peer.state {
        NearbyState::Established => established_page(page, look, peer),
        NearbyState::Failed => failed_page(page, look, peer),
        _ => words_page(page, look, peer),
    }
}

fn words_page(page: &mut Page, look: &Look<'_>, peer: &NearbyPeer) {
    let theme = &look.options.theme;
    let name = text::name(&peer.name);
    page.title(&format!("You and #{} {name}", peer.peer));
    page.gap();
    for (index, word) in peer.words.iter().flatten().enumerate() {
        page.middle(&format!("{}.  {:<12}", index + 1, text::brief(word, 30)), theme.strong);
        page.gap();
    }
    if peer.state == NearbyState::Confirmed {
        page.say(&format!("You said that they are the same. Waiting for {name} to say so too."));
        page.gap();
        page.say_as("Tab shows who else is here, Esc stops.", theme.dim);
        return;
    }
    page.say("Read them aloud. Are they the same on both screens?");
    page.gap();
    page.answer("y", "They are the same");
    page.answer("n", "They differ");
    page.gap();
    page.say_as("Compare with the person beside you, not in writing. Tab shows who else is here.", theme.dim);
}

fn established_page(page: &mut Page, look: &Look<'_>, peer: &NearbyPeer) {
    let contact = peer.contact.and_then(|contact| look.model.contacts.get(&contact));
    let name = contact.map_or_else(|| text::name(&peer.name), text::contact_name);
    // The exchange has compared; the contact's own word counts where it is known.
    let verified = if contact.is_none_or(|contact| contact.verified) { ", verified" } else { "" };
    page.title(&format!("{name} is now a contact{verified}."));
    page.gap();
    let compared = if verified.is_empty() { "" } else { "You compared the words, so nobody is in between. " };
    page.say(&format!("{compared}You can write to each other from now on, also when you are far apart."));
    page.gap();
    page.answer("Enter", "Open the conversation");
    page.answer("Esc", "Back to who is here");
}

fn failed_page(page: &mut Page, look: &Look<'_>, peer: &NearbyPeer) {
    let theme = &look.options.theme;
    page.title(&format!("#{} {} was not added.", peer.peer, text::name(&peer.name)));
    if let Some(why) = &peer.why {
        page.say_as(&format!("Why: {}.", text::brief(why, 120).trim_end_matches('.')), theme.bad);
    }
    page.gap();
    page.say("If the words differed, somebody may be in between the two of you, or one of you has chosen somebody else. Nothing private was sent.");
    page.gap();
    page.say("What to do: look at whom you both have chosen, and try again once. If the words differ again, meet elsewhere, or add each other another way, such as by a link on paper.");
    if look.model.nearby.mismatches > 0 {
        page.gap();
        page.say_as(&mismatch_words(look.model.nearby.mismatches), theme.warn);
    }
    page.gap();
    page.answer("t", "Try again: choose them once more");
    page.answer("Esc", "Back to who is here");
}

fn leaving_page(page: &mut Page, peer: &NearbyPeer) {
    page.title(&format!("Stop here? #{} {} waits.", peer.peer, text::name(&peer.name)));
    page.gap();
    page.say("Closing the window ends what you have begun with each other. Nothing is lost: you can begin anew.");
    page.gap();
    page.answer("y", "Stop and close the window");
    page.answer("n", "Go on");
}
