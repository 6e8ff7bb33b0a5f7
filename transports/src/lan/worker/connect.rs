//! Connections before they are links: the owner's addresses, dialling, listening.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    super::{LanError, dial::MAX_ADDRESSES},
    RETRY_AFTER,
};

/// A neighbour on the local network answers within milliseconds, or it is asleep.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Lead of each of a neighbour's addresses over the next (RFC 8305, section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// An address of the owner's.
#[derive(Clone)]
pub(super) enum Fixed {
    Address(SocketAddr),
    Host(String, u16),
}

/// Reads `host:port`; an IPv6 address stands in brackets, with `%interface` if it is link-local.
pub(super) fn parse_fixed(text: &str) -> Result<Fixed, LanError> {
    if let Ok(address) = text.parse() {
        return Ok(Fixed::Address(address));
    }
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok().filter(|port| *port != 0)?)));
    let Some((host, port)) = parts else {
        return Err(LanError::Connect(text.to_owned()));
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // What is left of an IPv6 address without brackets is no host.
    if bare.is_empty() || (bare.len() == host.len() && host.contains(':')) || bare.contains(['/', ' ', '[', ']']) {
        return Err(LanError::Connect(text.to_owned()));
    }
    Ok(Fixed::Host(bare.to_owned(), port))
}

/// Hands every connection to the worker; while that is busy, connections wait in the system's own bounded queue.
pub(super) async fn accept_all(listener: TcpListener, accepted: mpsc::Sender<TcpStream>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if accepted.send(stream).await.is_err() {
                    return;
                }
            }
            // The other side has gone already, or no descriptors are left; the latter needs a pause.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => sleep(RETRY_AFTER).await,
        }
    }
}

pub(super) async fn connect_fixed(fixed: Option<Fixed>) -> Option<TcpStream> {
    let addresses = match fixed? {
        Fixed::Address(address) => vec![address],
        Fixed::Host(host, port) => timeout(CONNECT_TIMEOUT, lookup_host((host, port))).await.ok()?.ok()?.take(MAX_ADDRESSES).collect(),
    };
    connect_any(addresses).await
}

/// Connects to one of the addresses, each a little after the one before; the first connection stays.
pub(super) async fn connect_any(addresses: Vec<SocketAddr>) -> Option<TcpStream> {
    let connecting = async {
        let mut waiting = addresses.into_iter();
        let mut attempts = JoinSet::new();
        attempts.spawn(TcpStream::connect(waiting.next()?));
        loop {
            tokio::select! {
                result = attempts.join_next() => match result {
                    Some(Ok(Ok(stream))) => return Some(stream),
                    Some(_) => {}
                    None => {
                        attempts.spawn(TcpStream::connect(waiting.next()?));
                    }
                },
                () = sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => {
                    attempts.spawn(TcpStream::connect(waiting.next()?));
                }
            }
        }
    };
    let stream = timeout(CONNECT_TIMEOUT, connecting).await.ok()??;
    // TCP connects a socket to itself when the port dialled happens to be the one the system chose for it.
    let to_itself = stream.local_addr().ok() == stream.peer_addr().ok();
    (!to_itself).then_some(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_owner_are_read_or_refused() {
        assert!(matches!(parse_fixed("127.0.0.1:80"), Ok(Fixed::Address(_))));
        assert!(matches!(parse_fixed("[::1]:80"), Ok(Fixed::Address(_))));
        assert!(matches!(parse_fixed("desk.lan:80"), Ok(Fixed::Host(host, 80)) if host == "desk.lan"));
        assert!(matches!(parse_fixed("[fe80::1%eth0]:80"), Ok(Fixed::Host(host, 80)) if host == "fe80::1%eth0"));
        for wrong in ["", "desk", "desk:", "desk:0", "desk:65536", ":80", "[]:80", "fe80::1:80:", "fe80::zz:80", "http://desk:80"] {
            assert!(matches!(parse_fixed(wrong), Err(LanError::Connect(_))), "{wrong}");
        }
    }
}
