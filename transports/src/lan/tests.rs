//! The transport over loopback, without mDNS.

use std::{future::poll_fn, io::Write, net::TcpStream as RawStream, time::Duration};

use tokio::time::timeout;

use super::*;
use crate::{BeaconId, Direction, Link, LinkError};

/// No test waits longer for anything; a bound, not a pause.
const PATIENCE: Duration = Duration::from_secs(10);

fn quiet() -> LanConfig {
    LanConfig { mdns: false, ..LanConfig::default() }
}

fn listening_on(address: &str) -> Lan {
    Lan::start(LanConfig { listen: vec![address.parse().unwrap()], ..quiet() }).unwrap()
}

fn connecting_to(lan: &Lan) -> LanConfig {
    LanConfig { connect: lan.listening().iter().map(ToString::to_string).collect(), ..quiet() }
}

async fn next(lan: &mut Lan) -> TransportEvent {
    timeout(PATIENCE, poll_fn(|context| lan.poll_event(context))).await.unwrap()
}

async fn next_beacon(lan: &mut Lan) -> BeaconId {
    loop {
        if let TransportEvent::Beacon(beacon) = next(lan).await {
            return beacon;
        }
    }
}

async fn next_link(lan: &mut Lan) -> Box<dyn Link> {
    loop {
        if let TransportEvent::LinkUp(link) = next(lan).await {
            return link;
        }
    }
}

async fn receive(link: &mut Box<dyn Link>) -> Result<Option<Vec<u8>>, LinkError> {
    timeout(PATIENCE, poll_fn(|context| link.poll_receive(context))).await.unwrap()
}

async fn send(link: &mut Box<dyn Link>, message: &[u8]) {
    poll_fn(|context| link.poll_ready(context)).await.unwrap();
    link.start_send(message).unwrap();
    poll_fn(|context| link.poll_flush(context)).await.unwrap();
}

#[tokio::test]
async fn a_given_address_is_dialled_over_both_families() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut far = listening_on(address);
        let mut near = Lan::start(connecting_to(&far)).unwrap();
        let (mut out, mut back) = (next_link(&mut near).await, next_link(&mut far).await);
        assert_eq!((out.properties().direction, back.properties().direction), (Direction::Outbound, Direction::Inbound));
        send(&mut out, b"there").await;
        send(&mut back, b"back").await;
        assert_eq!(receive(&mut back).await, Ok(Some(b"there".to_vec())));
        assert_eq!(receive(&mut out).await, Ok(Some(b"back".to_vec())));
        drop(out);
        assert_eq!(receive(&mut back).await, Ok(None));
    }
}

#[tokio::test]
async fn a_given_address_is_dialled_again_after_its_link_has_ended() {
    let mut far = listening_on("127.0.0.1:0");
    let mut near = Lan::start(connecting_to(&far)).unwrap();
    for _ in 0..3 {
        drop(next_link(&mut far).await);
        drop(next_link(&mut near).await);
    }
}

#[tokio::test]
async fn garbage_ends_its_link_and_no_other() {
    let mut far = listening_on("127.0.0.1:0");
    let mut near = Lan::start(connecting_to(&far)).unwrap();
    let (mut out, mut back) = (next_link(&mut near).await, next_link(&mut far).await);
    let mut raw = RawStream::connect(far.listening()[0]).unwrap();
    let mut hostile = next_link(&mut far).await;
    raw.write_all(&[0xff; 4_096]).unwrap();
    assert!(matches!(receive(&mut hostile).await, Err(LinkError::Frame(_))));
    drop(hostile);
    send(&mut out, b"still here").await;
    assert_eq!(receive(&mut back).await, Ok(Some(b"still here".to_vec())));
}

fn of_two_places() -> Lan {
    Lan::start(LanConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], max_links: 2, ..quiet() }).unwrap()
}

/// Waits until the other side has closed this connection.
async fn closed(raw: RawStream) {
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = tokio::task::spawn_blocking(move || std::io::Read::read(&mut &raw, &mut [0; 1]));
    if let Ok(count) = end.await.unwrap().map_err(|error| assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset)) {
        assert_eq!(count, 0);
    }
}

#[tokio::test]
async fn inbound_links_are_bounded_and_give_their_place_back() {
    let mut lan = of_two_places();
    let (address, mut raws, mut links) = (lan.listening()[0], Vec::new(), Vec::new());
    // All of one device, which may have no more, and as far as an open session.
    for _ in 0..2 {
        let mut raw = RawStream::connect(address).unwrap();
        raw.write_all(&[0, 1, 7, 0, 1, 8, 0, 1, 9]).unwrap();
        let mut link = next_link(&mut lan).await;
        for byte in 7..10 {
            assert_eq!(receive(&mut link).await, Ok(Some(vec![byte])));
        }
        raws.push(raw);
        links.push(link);
    }
    closed(RawStream::connect(address).unwrap()).await;
    links.pop();
    let mut later = RawStream::connect(address).unwrap();
    later.write_all(&[0, 1, 9]).unwrap();
    // The worker hears of the freed place and of the connection in either order, so that one try may still be refused.
    let mut link = match timeout(Duration::from_millis(500), next_link(&mut lan)).await {
        Ok(link) => link,
        Err(_) => {
            later = RawStream::connect(address).unwrap();
            later.write_all(&[0, 1, 9]).unwrap();
            next_link(&mut lan).await
        }
    };
    assert_eq!(receive(&mut link).await, Ok(Some(vec![9])));
}

#[tokio::test]
async fn silent_connections_shut_nobody_out() {
    let mut lan = of_two_places();
    let (address, mut links) = (lan.listening()[0], Vec::new());
    let mut raws = Vec::new();
    for _ in 0..6 {
        raws.push(RawStream::connect(address).unwrap());
        links.push(next_link(&mut lan).await);
    }
    for link in links.iter_mut().take(4) {
        assert_eq!(receive(link).await, Err(LinkError::Broken), "it was silent, and older than others");
    }
    for (raw, link) in raws.iter_mut().zip(&mut links).skip(4) {
        raw.write_all(&[0, 1, 9]).unwrap();
        assert_eq!(receive(link).await, Ok(Some(vec![9])));
    }
    // As long as their owner keeps those that were ended, there is a bound on them, too.
    closed(RawStream::connect(address).unwrap()).await;
}

#[tokio::test]
async fn the_beacon_changes_and_links_live_on() {
    let config = LanConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], rotate_every: Duration::from_millis(50), ..quiet() };
    let mut far = Lan::start(config).unwrap();
    let first = next_beacon(&mut far).await;
    let mut near = Lan::start(connecting_to(&far)).unwrap();
    let (mut out, mut back) = (next_link(&mut near).await, next_link(&mut far).await);
    let second = next_beacon(&mut far).await;
    assert!(first != second && second != next_beacon(&mut far).await);
    send(&mut out, b"still here").await;
    assert_eq!(receive(&mut back).await, Ok(Some(b"still here".to_vec())));
}

#[tokio::test]
async fn without_mdns_and_listen_no_port_is_open() {
    let mut lan = Lan::start(quiet()).unwrap();
    next_beacon(&mut lan).await;
    assert_eq!(lan.listening(), []);
}

#[tokio::test]
async fn a_dropped_transport_listens_no_more() {
    let lan = listening_on("127.0.0.1:0");
    let address = lan.listening()[0];
    drop(RawStream::connect(address).unwrap());
    drop(lan);
    timeout(PATIENCE, async {
        while RawStream::connect(address).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn settings_that_cannot_be_followed_are_refused_at_once() {
    let taken = listening_on("127.0.0.1:0");
    let port_in_use = LanConfig { listen: taken.listening(), ..quiet() };
    assert!(matches!(Lan::start(port_in_use), Err(LanError::Listen { .. })));
    let no_address = LanConfig { connect: vec!["nowhere".to_owned()], ..quiet() };
    assert!(matches!(Lan::start(no_address), Err(LanError::Connect(_))));
}

#[test]
fn without_a_runtime_nothing_starts() {
    assert!(matches!(Lan::start(quiet()), Err(LanError::NoRuntime)));
}
