//! Commands on what a person has decided about the node: mode, carrying for others, visibility.

use hedgerow_sync::{
    time::UnixMillis,
    view::{Command, Mode},
};
use hedgerow_tui::size;
use serde_json::Value;

use super::{
    args::{AlertsArgs, ModeArgument, RelayArgs, Switch, Visibility},
    error::CliError,
    output::{field, flag, moment, number, show},
};
use crate::{client, config::Config};

/// `mode`.
pub(super) fn mode(config: &Config, mode: Option<ModeArgument>) -> Result<(), CliError> {
    let mode = mode.map(|mode| match mode {
        ModeArgument::Mesh => Mode::Mesh,
        ModeArgument::Contacts => Mode::Contacts,
    });
    let command = mode.map_or(Command::Settings {}, |mode| Command::SetMode { mode });
    decide(config, &command, mode_words)
}

/// `relay`.
pub(super) fn relay(config: &Config, arguments: &RelayArgs) -> Result<(), CliError> {
    let &RelayArgs { relay, space, metered, no_metered } = arguments;
    let command = if relay.is_none() && space.is_none() && !metered && !no_metered {
        Command::Settings {}
    } else {
        let metered = (metered || no_metered).then_some(metered);
        Command::SetRelay { on: relay.map(|relay| relay == Switch::On), bytes: space, metered }
    };
    decide(config, &command, |document| relay_words(&document["relay"]).join("\n"))
}

/// `visibility`.
pub(super) fn visibility(config: &Config, visibility: Option<Visibility>) -> Result<(), CliError> {
    let command = match visibility {
        None => Command::Settings {},
        Some(visibility) => Command::SetVisible { visible: visibility == Visibility::Visible },
    };
    decide(config, &command, visibility_words)
}

/// `alerts`.
pub(super) fn alerts(config: &Config, arguments: &AlertsArgs) -> Result<(), CliError> {
    let [bell, notify, content] = [arguments.bell, arguments.notify, arguments.content].map(|switch| switch.map(|to| to == Switch::On));
    let command = match (bell, notify, content) {
        (None, None, None) => Command::Settings {},
        _ => Command::SetAlerts { bell, notify, content },
    };
    decide(config, &command, alerts_words)
}

/// Asks the daemon for the settings, changed or not, and prints what `words` makes of them.
fn decide(config: &Config, command: &Command, words: impl FnOnce(&Value) -> String) -> Result<(), CliError> {
    let document = client::daemon(config)?.request(command)?;
    show(config, &document, words)
}

/// The mode in settings or a status.
pub(super) fn mode_words(document: &Value) -> String {
    let mode = field(document, "mode");
    let meaning = match mode.as_str() {
        "mesh" => "strangers carry for us, and we for them",
        "contacts" => "strangers are shown a node that holds nothing",
        _ => return format!("mode: {mode}"),
    };
    format!("mode: {mode} ({meaning})")
}

/// The visibility in settings or a status.
pub(super) fn visibility_words(document: &Value) -> String {
    if flag(document, "visible") {
        let until = moment(UnixMillis(number(document, "visible_until")));
        format!("visibility: visible until {until} UTC, or until the network changes (whoever is near is told the name)")
    } else {
        "visibility: hidden (the name is told to nobody but contacts)".to_owned()
    }
}

/// How a new message calls for attention.
fn alerts_words(document: &Value) -> String {
    let alerts = &document["alerts"];
    let on = |name| if flag(alerts, name) { "on" } else { "off" };
    let tells = if flag(alerts, "content") { "saying who wrote, and what" } else { "saying only that there is a message" };
    format!("alerts: bell {}, notification {} ({tells})", on("bell"), on("notify"))
}

/// What is given to carry for others, and how much of it is used where the document says so.
pub(super) fn relay_words(relay: &Value) -> Vec<String> {
    let metered = if flag(relay, "metered") { "on metered networks too" } else { "not on metered networks" };
    let mut lines = vec![if flag(relay, "on") {
        format!("relay: on, up to {}, {metered}", size(number(relay, "bytes")))
    } else {
        "relay: off (nothing is carried for others; mail goes straight to its reader alone)".to_owned()
    }];
    if relay.get("carried_bundles").is_some() {
        let bytes = |name| size(number(relay, name));
        lines.push(format!("carried for others: {} bundles, {}", number(relay, "carried_bundles"), bytes("carried_bytes")));
        lines.push(format!(
            "  from contacts {}, from strangers who dialled us {}, from strangers whom we dialled {}",
            bytes("from_contacts_bytes"),
            bytes("from_strangers_inbound_bytes"),
            bytes("from_strangers_outbound_bytes"),
        ));
    }
    lines
}
