//! Links over TCP: frames in both directions, bounded buffers, and the options of every socket.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{BeaconId, Direction, Flow, FrameDecoder, Link, LinkError, LinkProperties, MAX_FRAME_LEN, TransportKind, encode_frame};

/// Most bytes a link holds for the network (policy); what goes beyond waits with its sender.
pub(super) const MAX_BUFFERED: usize = 65_536;
/// So many bytes wait for others that leave in the same write, or for the flush (policy): a frame that left alone would cost a segment and
/// its acknowledgement, 132 bytes of headers.
const GATHERED: usize = 16_384;
/// Bytes taken from the network at a time (guess): a slow reader leaves the rest to TCP's own window.
const READ_SIZE: usize = 4_096;
/// Bytes in flight that stay unacknowledged for so long end the link; without it a link over a cut wire hangs for minutes. Linux counts the
/// time in which the other side has no room as well (measured: 5 s end the link to a live node whose disk is busy for 5.5 s).
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections the system may hold ready for us (policy).
const BACKLOG: i32 = 16;
/// Guess: a good wireless network.
const EXPECTED_RATE: u32 = 10_000_000;
/// Guess: the same.
const EXPECTED_LATENCY_MS: u32 = 5;

/// The worker's hold on a link that somebody else owns.
pub(super) struct LinkHandle {
    stream: Weak<TcpStream>,
    lost: Arc<AtomicBool>,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl LinkHandle {
    /// Ends the link at once because the network under it is gone.
    pub(super) fn close(&self) {
        self.lost.store(true, Ordering::Release);
        if let Some(stream) = self.stream.upgrade() {
            // Wakes the owner, whose next read fails. An error means that the connection has ended by itself.
            let _ = SockRef::from(&*stream).shutdown(std::net::Shutdown::Both);
        }
    }
}

/// One TCP connection as a [`Link`].
pub(super) struct TcpLink {
    stream: Arc<TcpStream>,
    direction: Direction,
    dialled: Option<BeaconId>,
    metered: bool,
    peer: SocketAddr,
    decoder: FrameDecoder,
    out: Vec<u8>,
    sent: usize,
    ended: bool,
    lost: Arc<AtomicBool>,
    key: u64,
    dropped: mpsc::UnboundedSender<u64>,
}

impl TcpLink {
    /// Makes a connection a link. On drop, `key` goes to `dropped`.
    pub(super) fn new(
        stream: TcpStream,
        direction: Direction,
        dialled: Option<BeaconId>,
        metered: bool,
        key: u64,
        dropped: mpsc::UnboundedSender<u64>,
    ) -> io::Result<(Self, LinkHandle)> {
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(false)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        let (local, peer) = (stream.local_addr()?, canonical(stream.peer_addr()?));
        let stream = Arc::new(stream);
        let lost = Arc::new(AtomicBool::new(false));
        let handle = LinkHandle { stream: Arc::downgrade(&stream), lost: Arc::clone(&lost), local, peer };
        let decoder = FrameDecoder::default();
        Ok((
            Self { stream, direction, dialled, metered, peer, decoder, out: Vec::new(), sent: 0, ended: false, lost, key, dropped },
            handle,
        ))
    }

    /// Writes as much as the network takes; ready when all is written.
    fn poll_write_out(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while self.sent < self.out.len() {
            ready!(self.stream.poll_write_ready(context)).map_err(|_| LinkError::Broken)?;
            match self.stream.try_write(self.out.get(self.sent..).unwrap_or_default()) {
                Ok(0) => return Poll::Ready(Err(LinkError::Broken)),
                Ok(count) => self.sent += count,
                Err(error) if is_passing(&error) => {}
                Err(_) => return Poll::Ready(Err(LinkError::Broken)),
            }
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Bytes taken and not written.
    const fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    fn check(&self) -> Result<(), LinkError> {
        if self.lost.load(Ordering::Acquire) { Err(LinkError::Broken) } else { Ok(()) }
    }
}

impl fmt::Debug for TcpLink {
    /// Shows no address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpLink").field("direction", &self.direction).finish_non_exhaustive()
    }
}

impl Drop for TcpLink {
    fn drop(&mut self) {
        // Without a receiver the transport is gone, and nobody waits for this.
        let _ = self.dropped.send(self.key);
    }
}

impl Link for TcpLink {
    fn properties(&self) -> LinkProperties {
        LinkProperties {
            kind: TransportKind::Lan,
            direction: self.direction,
            dialled: self.dialled,
            flow: Flow::Duplex,
            rate: EXPECTED_RATE,
            latency_ms: EXPECTED_LATENCY_MS,
            metered: self.metered,
        }
    }

    fn peer_address(&self) -> String {
        self.peer.to_string()
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, LinkError>> {
        loop {
            self.check()?;
            if let Some(message) = self.decoder.next_message()? {
                return Poll::Ready(Ok(Some(message)));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            ready!(self.stream.poll_read_ready(context)).map_err(|_| LinkError::Broken)?;
            let mut bytes = [0; READ_SIZE];
            match self.stream.try_read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(count) => self.decoder.feed(bytes.get(..count).unwrap_or_default()),
                Err(error) if is_passing(&error) => {}
                Err(_) => return Poll::Ready(Err(LinkError::Broken)),
            }
        }
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        if self.waiting() >= GATHERED {
            let written = self.poll_write_out(context)?;
            if written.is_pending() && self.waiting() + MAX_FRAME_LEN + 2 > MAX_BUFFERED {
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        self.check()?;
        self.out.drain(..self.sent);
        self.sent = 0;
        // A caller that didn't wait for `poll_ready` must not make the buffer grow.
        if self.out.len() + message.len() + 2 > MAX_BUFFERED {
            return Err(LinkError::Broken);
        }
        Ok(encode_frame(message, &mut self.out)?)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        self.poll_write_out(context)
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Writes an IPv4 address that a dual-stack socket shows as IPv6 in its own form.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().map_or(address, |ip| SocketAddr::V4(SocketAddrV4::new(ip, v6.port()))),
        SocketAddr::V4(_) => address,
    }
}

/// Listens on an address; `only_v6` keeps an IPv6 wildcard from taking the IPv4 port of the same number.
pub(super) fn listen(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Listens on a port that the system chooses, over IPv6 and IPv4, or over IPv4 alone where there is no IPv6.
pub(super) fn listen_anywhere() -> io::Result<TcpListener> {
    listen(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0).into(), false)
        .or_else(|_| listen(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into(), false))
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        io::{Read, Write},
    };

    use super::*;
    use crate::FrameError;

    /// An accepted link over `address` and the raw connection at its other end.
    async fn link_and_raw(address: &str) -> (TcpLink, LinkHandle, std::net::TcpStream, mpsc::UnboundedReceiver<u64>) {
        let listener = listen(address.parse().unwrap(), true).unwrap();
        let raw = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (dropped, drops) = mpsc::unbounded_channel();
        let (link, handle) = TcpLink::new(stream, Direction::Inbound, None, true, 7, dropped).unwrap();
        (link, handle, raw, drops)
    }

    async fn receive(link: &mut TcpLink) -> Result<Option<Vec<u8>>, LinkError> {
        poll_fn(|context| link.poll_receive(context)).await
    }

    #[tokio::test]
    async fn messages_cross_both_ways_over_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (mut link, _handle, mut raw, mut drops) = link_and_raw(address).await;
            raw.write_all(&[0, 2, 5, 6, 0, 1, 9]).unwrap();
            assert_eq!(receive(&mut link).await, Ok(Some(vec![5, 6])));
            assert_eq!(receive(&mut link).await, Ok(Some(vec![9])));
            poll_fn(|context| link.poll_ready(context)).await.unwrap();
            link.start_send(&[1, 2, 3]).unwrap();
            poll_fn(|context| link.poll_flush(context)).await.unwrap();
            let mut seen = [0; 5];
            raw.read_exact(&mut seen).unwrap();
            assert_eq!(seen, [0, 3, 1, 2, 3]);
            drop(raw);
            assert_eq!(receive(&mut link).await, Ok(None));
            drop(link);
            assert_eq!(drops.recv().await, Some(7));
        }
    }

    #[tokio::test]
    async fn garbage_ends_the_link_with_a_frame_error() {
        for garbage in [&b"\x00\x00"[..], b"GET / HTTP/1.1\r\n", &[0xff; 64]] {
            let (mut link, _handle, mut raw, _drops) = link_and_raw("127.0.0.1:0").await;
            raw.write_all(garbage).unwrap();
            assert!(matches!(receive(&mut link).await, Err(LinkError::Frame(FrameError::Length(_)))));
        }
    }

    #[tokio::test]
    async fn a_truncated_frame_yields_no_message() {
        let (mut link, _handle, mut raw, _drops) = link_and_raw("127.0.0.1:0").await;
        raw.write_all(&[0, 9, 1, 2]).unwrap();
        drop(raw);
        assert_eq!(receive(&mut link).await, Ok(None));
    }

    #[tokio::test]
    async fn a_slow_reader_bounds_what_is_held_for_it() {
        let (mut link, _handle, mut raw, _drops) = link_and_raw("127.0.0.1:0").await;
        let message = [3; MAX_FRAME_LEN];
        let mut taken = 0_usize;
        while poll_fn(|context| Poll::Ready(link.poll_ready(context))).await.is_ready() {
            link.start_send(&message).unwrap();
            taken += 1;
            assert!(link.out.len() <= MAX_BUFFERED);
            assert!(taken < 10_000, "nothing ever pushes back");
        }
        while link.start_send(&message).is_ok() {}
        assert!(link.out.len() <= MAX_BUFFERED);

        let reader = std::thread::spawn(move || std::io::copy(&mut raw, &mut std::io::sink()).unwrap());
        poll_fn(|context| link.poll_ready(context)).await.unwrap();
        poll_fn(|context| link.poll_flush(context)).await.unwrap();
        drop(link);
        assert!(reader.join().unwrap() >= taken as u64 * (MAX_FRAME_LEN as u64 + 2));
    }

    #[tokio::test]
    async fn small_frames_leave_together_at_the_flush() {
        let (mut link, _handle, mut raw, _drops) = link_and_raw("127.0.0.1:0").await;
        raw.set_nonblocking(true).unwrap();
        let mut seen = vec![0; MAX_BUFFERED];
        for number in 0..10 {
            poll_fn(|context| link.poll_ready(context)).await.unwrap();
            link.start_send(&[number; 560]).unwrap();
            assert_eq!(raw.read(&mut seen).unwrap_err().kind(), io::ErrorKind::WouldBlock, "frame {number} left alone");
        }
        poll_fn(|context| link.poll_flush(context)).await.unwrap();
        raw.set_nonblocking(false).unwrap();
        assert_eq!(raw.read(&mut seen).unwrap(), 10 * 562, "all at once");
    }

    #[tokio::test]
    async fn much_leaves_before_the_flush() {
        let (mut link, _handle, mut raw, _drops) = link_and_raw("127.0.0.1:0").await;
        let frames = GATHERED / 562 + 1;
        for _ in 0..frames {
            poll_fn(|context| link.poll_ready(context)).await.unwrap();
            link.start_send(&[7; 560]).unwrap();
        }
        poll_fn(|context| link.poll_ready(context)).await.unwrap();
        assert_eq!(link.waiting(), 0);
        raw.read_exact(&mut vec![0; frames * 562]).unwrap();
    }

    #[tokio::test]
    async fn a_lost_network_wakes_and_ends_the_link() {
        let (mut link, handle, _raw, _drops) = link_and_raw("[::1]:0").await;
        assert!(link.properties().metered, "as it was told");
        let waiting = tokio::spawn(async move { (receive(&mut link).await, link.start_send(&[1])) });
        tokio::task::yield_now().await;
        handle.close();
        assert_eq!(waiting.await.unwrap(), (Err(LinkError::Broken), Err(LinkError::Broken)));
    }

    #[tokio::test]
    async fn messages_that_no_frame_could_carry_are_refused() {
        let (mut link, _handle, _raw, _drops) = link_and_raw("127.0.0.1:0").await;
        assert!(matches!(link.start_send(&[]), Err(LinkError::Frame(_))));
        assert!(matches!(link.start_send(&[0; MAX_FRAME_LEN + 1]), Err(LinkError::Frame(_))));
        assert!(link.out.is_empty());
        assert!(!format!("{link:?}").contains("127"));
    }
}
