//! Commands to the daemon about its node.

use std::io::IsTerminal;

use hedgerow_sync::{time::UnixMillis, view::Command};
use hedgerow_transports::lan::LanConfig;
use serde_json::{Value, json};

use super::{
    args::DaemonArgs,
    error::CliError,
    output::{elements, field, flag, moment, number, show, show_json, show_text},
    qr, settings,
    terminal::clean,
};
use crate::{client, config::Config, daemon};

/// `daemon`.
pub(super) fn daemon(config: &Config, arguments: DaemonArgs) -> Result<(), CliError> {
    let delay_divisor = arguments.delay_divisor();
    let DaemonArgs { listen, connect, no_mdns, metered, .. } = arguments;
    let wanted = !no_mdns || !listen.is_empty() || !connect.is_empty();
    let lan = wanted.then(|| {
        let mut config = LanConfig { listen, connect, mdns: !no_mdns, ..LanConfig::default() };
        config.metered.extend(metered);
        config
    });
    daemon::run(config, lan, delay_divisor, |config, listen| {
        // A closed output is no reason to end.
        let _ = show(config, &json!({ "ready": true, "listen": listen }), |_| "ready".to_owned());
    })
}

/// `status`.
pub(super) fn status(config: &Config) -> Result<(), CliError> {
    let document = client::daemon(config)?.request(&Command::Status {})?;
    show(config, &document, status_words)
}

/// `invite`.
pub(super) fn invite(config: &Config, hours: u32, with_code: bool) -> Result<(), CliError> {
    let document = client::daemon(config)?.request(&Command::Invite { hours })?;
    if with_code {
        show_text(&qr::draw(&field(&document, "link"), std::io::stdout().is_terminal())?)?;
    }
    show(config, &document, |document| field(document, "link"))
}

/// `events`.
pub(super) fn events(config: &Config) -> Result<(), CliError> {
    let mut client = client::daemon(config)?;
    client.subscribe()?;
    while let Some(event) = client.next_event(None)? {
        if config.json {
            show_json(&event)?;
        } else {
            show_text(&event_words(&event))?;
        }
    }
    Ok(())
}

/// `rpc`.
pub(super) fn rpc(config: &Config) -> Result<(), CliError> {
    client::daemon(config)?.pipe()
}

/// `lock`.
pub(super) fn lock(config: &Config) -> Result<(), CliError> {
    let document = client::daemon(config)?.call("lock", json!({}))?;
    show(config, &document, |_| "The profile is locked; nothing is sent or carried until `hedgerow unlock`.".to_owned())
}

/// `unlock`.
pub(super) fn unlock(config: &Config) -> Result<(), CliError> {
    let mut client = client::daemon(config)?;
    let passphrase = config.passphrase()?;
    let document = client.unlock(&passphrase)?;
    show(config, &document, |_| "The profile is open.".to_owned())
}

/// `stop`. Returns once the daemon has said farewell.
pub(super) fn stop(config: &Config) -> Result<(), CliError> {
    let mut client = client::daemon(config)?;
    let document = client.call("stop", json!({}))?;
    client.wait_for_end();
    show(config, &document, |_| "The daemon has ended.".to_owned())
}

fn status_words(document: &Value) -> String {
    let mut lines = vec![format!("state: {}", field(document, "state"))];
    if document.get("name").is_some() {
        lines.push(format!("name: {}", field(document, "name")));
        lines.push(format!("fingerprint: {}", field(document, "fingerprint")));
        lines.push(format!("contacts: {}, pending: {}", number(document, "contacts"), number(document, "pending")));
        lines.push(format!("undelivered messages: {}", number(document, "undelivered")));
        lines.push(format!("bundles held: {} ({} bytes)", number(document, "bundles"), number(document, "bundle_bytes")));
    }
    if document.get("mode").is_some() {
        lines.push(settings::mode_words(document));
        lines.push(settings::visibility_words(document));
        lines.extend(settings::relay_words(&document["relay"]));
    }
    if let Some(clock) = document.get("clock") {
        lines.extend(clock_words(clock));
    }
    for address in elements(&document["listen"]) {
        lines.push(format!("listens on: {}", clean(address.as_str().unwrap_or_default())));
    }
    for trouble in elements(&document["trouble"]) {
        lines.push(format!("trouble: {}: {}", field(trouble, "source"), field(trouble, "text")));
    }
    for leak in elements(&document["leaks"]) {
        lines.push(format!("others see ({}): {}", field(leak, "transport"), field(leak, "text")));
    }
    for reach in elements(&document["transports"]) {
        let [contacts, strangers] = ["contacts", "strangers"].map(|who| number(reach, who));
        lines.push(format!("neighbours over {}: contacts {contacts}, strangers {strangers}", field(reach, "transport")));
    }
    for neighbour in elements(&document["neighbours"]) {
        let who = neighbour_words(neighbour);
        let way = if flag(neighbour, "outbound") { "dialled" } else { "accepted" };
        let seen = elements(&document["links"]).iter().find(|link| link.get("link") == neighbour.get("link"));
        let address = seen.map(|link| field(link, "address")).unwrap_or_default();
        let carries = if flag(neighbour, "carries") { ", carries for others" } else { "" };
        lines.push(format!("in reach: {who} over {} ({way}{carries}) {address}", field(neighbour, "transport")));
    }
    lines.join("\n")
}

/// Who a neighbour is; a name that it claims itself is drawn as such.
fn neighbour_words(neighbour: &Value) -> String {
    match (neighbour.get("name").is_some(), neighbour.get("claimed_name").is_some()) {
        (true, _) => field(neighbour, "name"),
        (false, true) => format!("a stranger who claims to be {:?}", field(neighbour, "claimed_name")),
        (false, false) => "a stranger".to_owned(),
    }
}

fn clock_words(clock: &Value) -> Vec<String> {
    let hour = clock.get("hour").and_then(Value::as_u64).map(|hour| moment(UnixMillis(hour.saturating_mul(3_600_000))));
    let mut lines = vec![format!("clock: {} UTC, from {}", hour.as_deref().unwrap_or("unknown"), field(clock, "trust"))];
    if clock.get("settles_in_hours").is_some() {
        lines.push(format!("clock: nothing expires by it for another {} h of running", number(clock, "settles_in_hours")));
    }
    if let Some(jump) = clock.get("jump") {
        let hours = jump.get("hours").and_then(Value::as_i64).unwrap_or(0);
        lines.push(format!("clock: it last jumped by {hours:+} h, to {} UTC", moment(UnixMillis(number(jump, "at")))));
    }
    lines
}

fn event_words(event: &Value) -> String {
    match event.get("event").and_then(Value::as_str) {
        Some("message") => super::message::words(event),
        Some("contact") => super::contact::words(event),
        Some("contact_removed") => format!("contact {} is removed", number(event, "contact")),
        Some(kind @ ("link_up" | "link_down")) => {
            let who = neighbour_words(event);
            let what = if kind == "link_up" { "came within reach" } else { "went out of reach" };
            format!("{who} {what} over {}", field(event, "transport"))
        }
        Some("neighbour") => format!("{} is within reach over {}", neighbour_words(event), field(event, "transport")),
        Some("notice") => format!("notice: {}", field(event, "text")),
        _ => clean(&event.to_string()),
    }
}
