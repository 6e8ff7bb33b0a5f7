//! Runs the local network's transport with the least that can drive it, and prints what happens with times in milliseconds since the
//! start: the harness of `tests/netns_lan.rs`, and of use at a desk where two devices don't find each other.
//!
//! ```text
//! lan_probe [--listen ADDRESS]… [--connect ADDRESS]… [--no-mdns] [--rotate-ms N] [--silence-ms N]
//! ```
//!
//! It stands in for the session: each side says its beacon first, and pings as docs/protocol.md, section 4 has it.

use std::{collections::BTreeMap, future::poll_fn, time::Duration};

use anyhow::{Context as _, bail};
use hedgerow_transports::{
    BeaconId, Direction, Link, LinkError, Transport, TransportCommand, TransportEvent,
    lan::{Lan, LanConfig},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

/// docs/protocol.md, section 4. The side that was dialled waits a little longer: otherwise both ping at once, every time.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_AFTER_INBOUND: Duration = Duration::from_secs(22);
const CLOSE_AFTER: Duration = Duration::from_secs(10);
/// Records of one type byte under an authenticator of 16 bytes.
const PING: [u8; 17] = [0x0d; 17];
const PONG: [u8; 17] = [0x0e; 17];

fn config() -> anyhow::Result<LanConfig> {
    let mut config = LanConfig::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--listen" => config.listen.push(value()?.parse()?),
            "--connect" => config.connect.push(value()?),
            "--no-mdns" => config.mdns = false,
            "--rotate-ms" => config.rotate_every = Duration::from_millis(value()?.parse()?),
            "--silence-ms" => {
                let silence = Duration::from_millis(value()?.parse()?);
                config.silence = silence..silence;
            }
            _ => bail!("unknown argument {argument}"),
        }
    }
    Ok(config)
}

/// What the task of a link tells.
enum Told {
    Beacon(BeaconId, Direction, String),
    End(Option<BeaconId>),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let start = Instant::now();
    let say = |text: String| println!("{} {text}", start.elapsed().as_millis());
    let mut lan = Lan::start(config()?)?;
    for address in lan.listening() {
        say(format!("listening {address}"));
    }
    let (told, mut tellings) = mpsc::unbounded_channel();
    let mut beacon = BeaconId([0; 8]);
    let mut links: BTreeMap<BeaconId, usize> = BTreeMap::new();
    loop {
        tokio::select! {
            event = poll_fn(|context| lan.poll_event(context)) => match event {
                TransportEvent::Beacon(new) => {
                    beacon = new;
                    say(format!("beacon {beacon}"));
                }
                TransportEvent::Found(beacon) => say(format!("found {beacon}")),
                TransportEvent::Lost(beacon) => say(format!("lost {beacon}")),
                TransportEvent::NetworkChanged => say("network changed".to_owned()),
                TransportEvent::LinkUp(link) => {
                    tokio::spawn(keep(link, beacon, told.clone()));
                }
                TransportEvent::Others(_) => {}
                TransportEvent::Trouble(what) => say(format!("trouble {}", what.unwrap_or_else(|| "over".to_owned()))),
            },
            Some(telling) = tellings.recv() => match telling {
                Told::Beacon(beacon, direction, peer) => {
                    *links.entry(beacon).or_default() += 1;
                    lan.command(TransportCommand::Linked(beacon));
                    say(format!("up {beacon} {direction:?} {peer} links {}", links.values().sum::<usize>()));
                }
                Told::End(beacon) => {
                    if let Some(beacon) = beacon && let Some(count) = links.get_mut(&beacon) {
                        *count -= 1;
                        if *count == 0 {
                            links.remove(&beacon);
                            lan.command(TransportCommand::Free(beacon));
                        }
                    }
                    say(format!("down links {}", links.values().sum::<usize>()));
                }
            },
        }
    }
}

/// Keeps one link alive until it breaks.
async fn keep(mut link: Box<dyn Link>, own: BeaconId, told: mpsc::UnboundedSender<Told>) {
    let mut peer = None;
    // How the link ended doesn't matter here.
    let _ = converse(&mut link, own, &mut peer, &told).await;
    drop(link);
    let _ = told.send(Told::End(peer));
}

async fn converse(
    link: &mut Box<dyn Link>,
    own: BeaconId,
    peer: &mut Option<BeaconId>,
    told: &mpsc::UnboundedSender<Told>,
) -> Result<(), LinkError> {
    send(link, &own.0).await?;
    let mut pinged = false;
    loop {
        let patience = match (pinged, link.properties().direction) {
            (true, _) => CLOSE_AFTER,
            (false, Direction::Outbound) => PING_AFTER,
            (false, Direction::Inbound) => PING_AFTER_INBOUND,
        };
        match timeout(patience, poll_fn(|context| link.poll_receive(context))).await {
            Ok(received) => {
                pinged = false;
                let Some(message) = received? else {
                    return Ok(());
                };
                if peer.is_none() {
                    let Ok(bytes) = message.try_into() else {
                        return Ok(());
                    };
                    *peer = Some(BeaconId(bytes));
                    let _ = told.send(Told::Beacon(BeaconId(bytes), link.properties().direction, link.peer_address()));
                } else if message == PING {
                    send(link, &PONG).await?;
                }
            }
            Err(_) if pinged => return Ok(()),
            Err(_) => {
                pinged = true;
                send(link, &PING).await?;
            }
        }
    }
}

async fn send(link: &mut Box<dyn Link>, message: &[u8]) -> Result<(), LinkError> {
    poll_fn(|context| link.poll_ready(context)).await?;
    link.start_send(message)?;
    poll_fn(|context| link.poll_flush(context)).await
}
