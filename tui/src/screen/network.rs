//! Neighbours, what is carried for others, space, clock, what leaks below us.

use hedgerow_sync::{
    time::UnixMillis,
    view::{Mode, Neighbour, NodeStatus, Relay, Status, ago_in_words},
};
use ratatui::{Frame, layout::Rect, text::Line};

use super::{Context, Look, Step, UiInput, View, body};
use crate::{
    Request, clean,
    keymap::Action,
    model::Connection,
    text,
    widget::{Scroll, Sheet},
};

/// Cells of the labels.
const LABEL: usize = 14;

/// How this device and those around it are doing. Everything stands in the model; here is only which part is seen.
#[derive(Debug)]
pub(crate) struct Network {
    scroll: Scroll,
}

impl Network {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self { scroll: Scroll::default() }
    }

    fn lines(look: &Look<'_>, width: usize) -> Vec<Line<'static>> {
        let mut page = Sheet::new(width, &look.options.theme);
        Telling { look, page: &mut page }.all();
        page.into_lines()
    }
}

/// Writes what is known onto a page.
struct Telling<'a> {
    look: &'a Look<'a>,
    page: &'a mut Sheet,
}

impl Telling<'_> {
    fn all(mut self) {
        if !self.look.model.is_attached() {
            let words = match self.look.model.connection {
                Connection::Lost { .. } => "The daemon is away: who is in reach is not known. The rest is as it was told last.",
                _ => "The daemon is not reached yet.",
            };
            self.page.text(words, self.look.options.theme.warn);
        }
        if let Some(status) = &self.look.model.status {
            self.trouble(status);
        }
        if self.look.model.is_attached() {
            self.neighbours();
        }
        if let Some(status) = &self.look.model.status {
            if let Some(node) = &status.node {
                self.own(node, status);
                self.carried(&node.relay);
                self.clock(node);
            }
            self.leaks(status);
        }
        self.notices();
    }

    fn trouble(&mut self, status: &NodeStatus) {
        if status.trouble.is_empty() {
            return;
        }
        self.page.heading("Trouble");
        for trouble in &status.trouble {
            let words = format!("{}: {}", clean::name(&trouble.source), clean::name(&trouble.text));
            self.page.item("! ", &words, self.look.options.theme.bad);
        }
    }

    fn neighbours(&mut self) {
        let neighbours = &self.look.model.neighbours;
        self.page.heading(&format!("In reach now: {}", text::count(neighbours.len(), "device")));
        if neighbours.is_empty() {
            self.page.note("Nobody. Devices with Hedgerow on the same network find each other by themselves; messages wait until then.");
        }
        let mut transports: Vec<&str> = neighbours.values().map(|neighbour| neighbour.transport.as_ref()).collect();
        transports.sort_unstable();
        transports.dedup();
        for transport in transports {
            let there: Vec<&Neighbour> = neighbours.values().filter(|neighbour| neighbour.transport == transport).collect();
            let contacts = there.iter().filter(|neighbour| neighbour.contact.is_some()).count();
            let (contacts, strangers) = (text::count(contacts, "contact"), text::count(there.len() - contacts, "stranger"));
            self.page.text(&format!("over {}: {contacts}, {strangers}", text::transport(transport)), self.look.options.theme.dim);
            let (known, unknown): (Vec<&Neighbour>, Vec<&Neighbour>) = there.iter().partition(|neighbour| neighbour.contact.is_some());
            for neighbour in known.into_iter().chain(unknown) {
                self.neighbour(neighbour);
            }
        }
    }

    fn neighbour(&mut self, neighbour: &Neighbour) {
        let way = if neighbour.outbound { "reached by us" } else { "came to us" };
        let carries = if neighbour.carries { "carries for us" } else { "carries nothing for us" };
        let mut words = format!("{}, {way}, {carries}", who(neighbour));
        let links = self.look.model.status.iter().flat_map(|status| &status.links);
        if let Some(link) = links.into_iter().find(|link| link.link == neighbour.link) {
            words.push_str(&format!(", at {}", clean::name(&link.address)));
        }
        let theme = &self.look.options.theme;
        let style = if neighbour.contact.is_some() { theme.good } else { theme.text };
        self.page.item("  - ", &words, style);
    }

    fn own(&mut self, node: &Status, status: &NodeStatus) {
        self.page.heading("This device");
        let waits = match node.undelivered {
            0 => "nothing of yours is on its way".to_owned(),
            count => format!("{} of yours not delivered yet", text::count(count, "message")),
        };
        self.page.pair("your mail", LABEL, &waits);
        let contacts = format!("{}, {} waiting for an answer", text::count(node.contacts, "contact"), node.pending);
        self.page.pair("contacts", LABEL, &contacts);
        self.page.pair("fingerprint", LABEL, &clean::name(&node.fingerprint));
        let kept = format!("{}, {}, yours and those of others", text::count(node.bundles, "sealed bundle"), text::size(node.bundle_bytes));
        self.page.pair("on the disk", LABEL, &kept);
        // What was changed since the status was asked stands in the settings.
        let shown = self.look.model.settings.map_or(node.shown, |settings| settings.shown);
        self.page.pair("mode", LABEL, mode_words(shown.mode));
        self.page.pair("your name", LABEL, &visibility_words(self.look, shown.visible, shown.visible_until));
        let listens = status.listen.iter().map(|address| clean::name(address)).collect::<Vec<_>>().join(", ");
        self.page.pair("listens on", LABEL, if listens.is_empty() { "nothing: others can't reach this device first" } else { &listens });
    }

    fn carried(&mut self, relay: &Relay) {
        self.page.heading("Carried for others");
        let settings = self.look.model.settings.map_or(relay.settings, |settings| settings.relay);
        let share = relay.carried_bytes.saturating_mul(100).checked_div(settings.bytes).unwrap_or(0);
        let held = text::count(relay.carried_bundles, "sealed bundle");
        let (used, space) = (text::size(relay.carried_bytes), text::size(settings.bytes));
        self.page.pair("held", LABEL, &format!("{held}, {used} of {space} ({share} %)"));
        for (bytes, who) in [
            (relay.from_contacts_bytes, "contacts"),
            (relay.from_strangers_inbound_bytes, "strangers who came to us"),
            (relay.from_strangers_outbound_bytes, "strangers whom we reached"),
        ] {
            self.page.pair("", LABEL, &format!("{} brought by {who}", text::size(bytes)));
        }
        if !settings.on {
            self.page.note("Carrying is off: nothing more is taken, and your mail goes straight to its reader alone.");
        } else if !settings.metered {
            self.page.note("Not over networks that cost money.");
        }
    }

    fn clock(&mut self, node: &Status) {
        let clock = &node.clock;
        self.page.heading("Clock");
        let hour = clock.hour.map(|hour| self.moment(UnixMillis(u64::from(hour) * 3_600_000)));
        let hour = hour.map_or("the time is not known".to_owned(), |hour| format!("the hour of {hour}"));
        self.page.text(&format!("{hour}, from {}", clean::name(&clock.trust)), self.look.options.theme.text);
        if let Some(hours) = clock.settles_in_hours {
            self.page.note(&format!("Nothing expires by it for another {hours} h of running."));
        }
        if let Some(jump) = clock.jump {
            let words = format!("It jumped by {:+} h, to {}.", jump.hours, self.moment(jump.at));
            self.page.text(&words, self.look.options.theme.warn);
        }
    }

    fn leaks(&mut self, status: &NodeStatus) {
        if status.leaks.is_empty() {
            return;
        }
        self.page.heading("What others can see, whatever Hedgerow does");
        for leak in &status.leaks {
            let mark = format!("{}: ", text::way(&leak.transport));
            self.page.item(&mark, &clean::name(&leak.text), self.look.options.theme.text);
        }
    }

    fn notices(&mut self) {
        self.page.heading("What was noticed, newest first");
        if self.look.model.notices.is_empty() {
            self.page.note("Nothing since this interface was opened.");
        }
        for notice in self.look.model.notices.iter().rev() {
            let ago = ago_in_words(self.look.now.wall, notice.at);
            let mark = format!("{:<12} {ago:<10}  ", self.moment(notice.at));
            self.page.item(&mark, &clean::name(&notice.text), self.look.options.theme.text);
        }
    }

    fn moment(&self, at: UnixMillis) -> String {
        text::when(self.look.options, self.look.now.wall, at)
    }
}

/// Who a neighbour is. What a stranger calls itself is drawn as a claim.
fn who(neighbour: &Neighbour) -> String {
    match (&neighbour.name, &neighbour.claimed_name) {
        (Some(name), _) => clean::name(name),
        (None, _) if neighbour.contact.is_some() => "a contact without a name".to_owned(),
        (None, Some(claimed)) => format!("a stranger that calls itself “{}” (unchecked)", clean::name(claimed)),
        (None, None) => "a stranger".to_owned(),
    }
}

/// What the mode means.
fn mode_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Mesh => "mesh: strangers carry for you, and you for them",
        Mode::Contacts => "contacts only: strangers are shown a device that holds nothing",
    }
}

fn visibility_words(look: &Look<'_>, visible: bool, until: Option<UnixMillis>) -> String {
    match until.filter(|_| visible) {
        Some(until) => format!("told to whoever is near, until {} at the latest", text::when(look.options, look.now.wall, until)),
        None if visible => "told to whoever is near".to_owned(),
        None => "told to nobody but contacts".to_owned(),
    }
}

impl View for Network {
    fn title(&self, _look: &Look<'_>) -> String {
        "network".to_owned()
    }

    fn writes(&self) -> bool {
        false
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Back, Action::PageDown, Action::PageUp, Action::Settings, Action::Help]
    }

    fn opened(&mut self, context: &mut Context<'_>) {
        if context.model.is_attached() {
            context.ask(Request::Status);
        }
    }

    fn attached(&mut self, _context: &mut Context<'_>) -> Step {
        // The interface asks by itself when the daemon is back.
        Step::Stay
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        let area = body(&context.look(), context.size);
        let lines = Self::lines(&context.look(), area.width.into()).len();
        match input {
            UiInput::Action(Action::Back | Action::Accept) => Step::Close,
            input => {
                self.scroll.handle(&input, lines, area.height.into());
                Step::Stay
            }
        }
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        self.scroll.render(Self::lines(look, area.width.into()), &look.options.theme, frame, area);
    }
}
