//! The in-process link of tests, benchmarks and the demo: two ends joined by bounded queues.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{Direction, FrameError, Link, LinkError, LinkProperties, MAX_FRAME_LEN};

/// Messages that one direction holds before its sender has to wait: guess, about a TCP buffer's worth of full records.
pub const MAX_QUEUED_MESSAGES: usize = 16;

/// Makes a link within this process. The first end is the dialling one; both declare `properties` but for the direction.
pub fn pair(properties: LinkProperties) -> (MemoryLink, MemoryLink) {
    let there = Arc::new(Mutex::new(Pipe::default()));
    let back = Arc::new(Mutex::new(Pipe::default()));
    let dialling = MemoryLink {
        properties: LinkProperties { direction: Direction::Outbound, ..properties },
        outgoing: Arc::clone(&there),
        incoming: Arc::clone(&back),
    };
    let accepting = MemoryLink {
        properties: LinkProperties { direction: Direction::Inbound, dialled: None, ..properties },
        outgoing: back,
        incoming: there,
    };
    (dialling, accepting)
}

/// One end of a link within this process. Dropping it closes the other end, which first reads what was already sent.
pub struct MemoryLink {
    properties: LinkProperties,
    outgoing: Arc<Mutex<Pipe>>,
    incoming: Arc<Mutex<Pipe>>,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    messages: VecDeque<Vec<u8>>,
    /// One of the two ends is gone.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    // A panic while the lock was held leaves a queue that is whole all the same.
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        for pipe in [&self.outgoing, &self.incoming] {
            let (reader, writer) = {
                let mut pipe = lock(pipe);
                pipe.closed = true;
                (pipe.reader.take(), pipe.writer.take())
            };
            reader.into_iter().chain(writer).for_each(Waker::wake);
        }
    }
}

impl Link for MemoryLink {
    fn properties(&self) -> LinkProperties {
        self.properties
    }

    fn peer_address(&self) -> String {
        "this process".to_owned()
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, LinkError>> {
        let mut pipe = lock(&self.incoming);
        if let Some(message) = pipe.messages.pop_front() {
            let writer = pipe.writer.take();
            drop(pipe);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Ok(Some(message)));
        }
        if pipe.closed {
            return Poll::Ready(Ok(None));
        }
        pipe.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let mut pipe = lock(&self.outgoing);
        if pipe.closed {
            return Poll::Ready(Err(LinkError::Broken));
        }
        if pipe.messages.len() < MAX_QUEUED_MESSAGES {
            return Poll::Ready(Ok(()));
        }
        pipe.writer = Some(context.waker().clone());
        Poll::Pending
    }

    fn start_send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        if !(1..=MAX_FRAME_LEN).contains(&message.len()) {
            return Err(FrameError::Length(message.len()).into());
        }
        let mut pipe = lock(&self.outgoing);
        // A caller that didn't wait for `poll_ready` must not make the queue grow.
        if pipe.closed || pipe.messages.len() >= MAX_QUEUED_MESSAGES {
            return Err(LinkError::Broken);
        }
        pipe.messages.push_back(message.to_vec());
        let reader = pipe.reader.take();
        drop(pipe);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    fn poll_flush(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if lock(&self.outgoing).closed {
            return Poll::Ready(Err(LinkError::Broken));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use super::*;
    use crate::{Flow, TransportKind};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn ends() -> (MemoryLink, MemoryLink) {
        pair(LinkProperties {
            kind: TransportKind::Memory,
            direction: Direction::Outbound,
            dialled: None,
            flow: Flow::Duplex,
            rate: 1_000_000,
            latency_ms: 0,
            metered: false,
        })
    }

    fn wakes() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    #[test]
    fn messages_arrive_in_order_and_wake_the_reader() {
        let (mut near, mut far) = ends();
        let (count, waker) = wakes();
        let mut context = Context::from_waker(&waker);
        assert_eq!((near.properties().direction, far.properties().direction), (Direction::Outbound, Direction::Inbound));
        assert!(far.poll_receive(&mut context).is_pending());
        near.start_send(&[1]).unwrap();
        near.start_send(&[2, 2]).unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(far.poll_receive(&mut context), Poll::Ready(Ok(Some(vec![1]))));
        assert_eq!(far.poll_receive(&mut context), Poll::Ready(Ok(Some(vec![2, 2]))));
        assert!(far.poll_receive(&mut context).is_pending());
    }

    #[test]
    fn a_slow_reader_holds_the_writer_back() {
        let (mut near, mut far) = ends();
        let (count, waker) = wakes();
        let mut context = Context::from_waker(&waker);
        for _ in 0..MAX_QUEUED_MESSAGES {
            assert_eq!(near.poll_ready(&mut context), Poll::Ready(Ok(())));
            near.start_send(&[0; MAX_FRAME_LEN]).unwrap();
        }
        assert!(near.poll_ready(&mut context).is_pending());
        assert_eq!(near.start_send(&[0]), Err(LinkError::Broken));
        assert!(matches!(far.poll_receive(&mut context), Poll::Ready(Ok(Some(_)))));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(near.poll_ready(&mut context), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_dropped_end_closes_the_other_after_what_it_sent() {
        let (mut near, mut far) = ends();
        let (count, waker) = wakes();
        let mut context = Context::from_waker(&waker);
        near.start_send(&[7]).unwrap();
        assert!(near.poll_receive(&mut context).is_pending());
        drop(far);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(near.poll_receive(&mut context), Poll::Ready(Ok(None)));
        assert_eq!(near.poll_ready(&mut context), Poll::Ready(Err(LinkError::Broken)));
        assert_eq!(near.start_send(&[1]), Err(LinkError::Broken));

        (near, far) = ends();
        near.start_send(&[7]).unwrap();
        drop(near);
        assert_eq!(far.poll_receive(&mut context), Poll::Ready(Ok(Some(vec![7]))));
        assert_eq!(far.poll_receive(&mut context), Poll::Ready(Ok(None)));
    }

    #[test]
    fn messages_that_no_frame_could_carry_are_refused() {
        let (mut near, _far) = ends();
        assert_eq!(near.start_send(&[]), Err(LinkError::Frame(FrameError::Length(0))));
        assert!(matches!(near.start_send(&[0; MAX_FRAME_LEN + 1]), Err(LinkError::Frame(_))));
    }
}
