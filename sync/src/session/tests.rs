//! Two sessions, and what goes wrong between them.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{recognition::*, *};

mod plain;

use self::plain::{plain, raw_first_message};

/// A node with keys for some others.
struct Node {
    session: Session,
    keys: Vec<RecognitionKeys>,
    rng: ChaCha20Rng,
    info: Option<SessionInfo>,
    list: Option<Box<[u8; RECOGNITION_LIST_LEN]>>,
    open: Option<bool>,
    records: Vec<Vec<u8>>,
    /// Lengths of everything sent.
    sent: Vec<usize>,
}

impl Node {
    fn new(role: Role, seed: u64, keys: Vec<RecognitionKeys>) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let session = Session::new(role, &mut rng);
        Self { session, keys, rng, info: None, list: None, open: None, records: Vec::new(), sent: Vec::new() }
    }

    /// Answers the session's events as the engine would, and takes what is to be sent.
    fn run(&mut self) -> Vec<Vec<u8>> {
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Handshaken(info) => {
                    let list = build_list(self.keys.iter().map(|keys| keys.own_entry(&info)), &mut self.rng);
                    self.info = Some(info);
                    self.session.recognise(&list).unwrap();
                    self.list = Some(list);
                }
                SessionEvent::PeerList(list) => {
                    let info = self.info.as_ref().unwrap();
                    let expected: Vec<_> = self.keys.iter().map(|keys| (keys.other_entry(info), keys)).collect();
                    let verdict = match find_match(&list, &expected) {
                        Some(keys) => Verdict::matched(keys, info),
                        None => Verdict::unrecognised(&mut self.rng),
                    };
                    self.session.confirm(verdict).unwrap();
                }
                SessionEvent::Open { recognised } => assert_eq!(self.open.replace(recognised), None, "opens once"),
                SessionEvent::Record(record) => self.records.push(record),
            }
        }
        let messages: Vec<_> = std::iter::from_fn(|| self.session.poll_message()).collect();
        self.sent.extend(messages.iter().map(Vec::len));
        messages
    }
}

/// Carries messages between two nodes until both are silent.
fn settle(a: &mut Node, b: &mut Node) -> Result<(), SessionError> {
    loop {
        let (from_a, from_b) = (a.run(), b.run());
        if from_a.is_empty() && from_b.is_empty() {
            return Ok(());
        }
        from_a.iter().try_for_each(|message| b.session.handle_message(message))?;
        from_b.iter().try_for_each(|message| a.session.handle_message(message))?;
    }
}

fn keys(own: u8, other: u8, link: u8) -> RecognitionKeys {
    RecognitionKeys::new(Secret::new([own; 32]), Secret::new([other; 32]), Secret::new([link; 32]))
}

fn strangers() -> (Node, Node) {
    (Node::new(Role::Initiator, 1, vec![]), Node::new(Role::Responder, 2, vec![]))
}

fn contacts() -> (Node, Node) {
    let a = Node::new(Role::Initiator, 1, vec![keys(7, 8, 9), keys(1, 2, 3)]);
    (a, Node::new(Role::Responder, 2, vec![keys(2, 1, 3)]))
}

fn opened((mut a, mut b): (Node, Node)) -> (Node, Node) {
    settle(&mut a, &mut b).unwrap();
    (a, b)
}

/// The first message of a fresh initiator, and the responder it would go to.
fn first_message() -> (Vec<u8>, Session) {
    let message = strangers().0.session.poll_message().unwrap();
    (message, strangers().1.session)
}

fn take(session: &mut Session) -> Vec<u8> {
    session.poll_message().unwrap()
}

/// Both sides after the handshake, without lists.
fn shaken() -> (Session, Session) {
    let (Node { session: mut a, .. }, Node { session: mut b, .. }) = strangers();
    b.handle_message(&take(&mut a)).unwrap();
    a.handle_message(&take(&mut b)).unwrap();
    assert!(
        matches!((a.poll_event(), b.poll_event()), (Some(SessionEvent::Handshaken(x)), Some(SessionEvent::Handshaken(y))) if x.hash == y.hash)
    );
    (a, b)
}

fn unrecognised() -> Verdict {
    Verdict::unrecognised(&mut ChaCha20Rng::seed_from_u64(3))
}

/// A session that is dead refuses everything and yields nothing.
fn assert_dead(session: &mut Session) {
    assert_eq!(session.poll_message(), None);
    assert_eq!(session.poll_event(), None);
    assert_eq!(session.handle_message(&[0; 64]), Err(SessionError::Ended));
    assert_eq!(session.recognise(&[0; RECOGNITION_LIST_LEN]), Err(SessionError::Ended));
    assert_eq!(session.confirm(unrecognised()), Err(SessionError::Ended));
    assert_eq!(session.seal_record(&[1]), Err(SessionError::Ended));
}

#[test]
fn strangers_open_unrecognised() {
    let (a, b) = opened(strangers());
    assert_eq!((a.open, b.open), (Some(false), Some(false)));
    assert_eq!(a.info.unwrap().hash, b.info.unwrap().hash);
}

#[test]
fn contacts_recognise_each_other_and_records_cross_both_ways() {
    let (mut a, mut b) = opened(contacts());
    assert_eq!((a.open, b.open), (Some(true), Some(true)));
    for length in [1, 2, 600, MAX_RECORD_LEN] {
        a.session.seal_record(&vec![1; length]).unwrap();
        b.session.seal_record(&vec![2; length]).unwrap();
    }
    settle(&mut a, &mut b).unwrap();
    assert_eq!(a.records.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 600, MAX_RECORD_LEN]);
    assert!(a.records.iter().flatten().all(|&byte| byte == 2) && b.records.iter().flatten().all(|&byte| byte == 1));
    assert_eq!(b.records.len(), 4);
}

#[test]
fn record_in_flight_right_behind_the_confirmation_is_read_after_the_rekey() {
    for sender_is_initiator in [true, false] {
        let (mut a, mut b) = contacts();
        b.session.handle_message(&a.run()[0]).unwrap();
        let from_b = b.run();
        from_b.iter().for_each(|message| a.session.handle_message(message).unwrap());
        let lists = a.run(); // its list, and its confirmation, since the other's list is there
        let (mut late, mut early) = if sender_is_initiator { (b, a) } else { (a, b) };
        if sender_is_initiator {
            // The responder confirms; the initiator opens on that and sends a record before anything else of its own was read.
            late.session.handle_message(&lists[0]).unwrap();
            let confirmation = late.run();
            early.session.handle_message(&confirmation[0]).unwrap();
            late.session.handle_message(&lists[1]).unwrap();
        } else {
            lists.iter().for_each(|message| early.session.handle_message(message).unwrap());
            // The responder is open already; its confirmation and a record go out together.
        }
        let mut burst = early.run();
        assert_eq!(early.open, Some(true));
        early.session.seal_record(b"early bird").unwrap();
        burst.extend(early.run());
        burst.iter().for_each(|message| late.session.handle_message(message).unwrap());
        late.run();
        assert_eq!((late.open, late.records), (Some(true), vec![b"early bird".to_vec()]));
    }
}

#[test]
fn direction_of_the_link_decides_the_role() {
    assert_eq!(Role::from(Direction::Outbound), Role::Initiator);
    assert_eq!(Role::from(Direction::Inbound), Role::Responder);
    assert_eq!((Role::Initiator.byte(), Role::Responder.byte()), (1, 2));
}

#[test]
fn nonces_go_on_counting_over_the_rekey() {
    let (a, _) = opened(contacts());
    let State::Open(noise) = &a.session.state else { panic!("open") };
    assert_eq!((noise.sending_nonce(), noise.receiving_nonce()), (2, 2));
}

#[test]
fn recognised_sessions_don_t_go_on_under_the_handshake_s_keys() {
    let (mut a, b) = opened(contacts());
    a.session.seal_record(b"secret").unwrap();
    let message = take(&mut a.session);
    let (mut stranger, _) = opened(strangers());
    // Equal ephemerals, so equal handshake keys; only the rekey differs.
    stranger.session.seal_record(b"secret").unwrap();
    let under_old_key = take(&mut stranger.session);
    assert_eq!(stranger.info, a.info);
    assert_ne!(message, under_old_key);
    let mut b = b.session;
    assert_eq!(b.handle_message(&under_old_key), Err(PeerError::Verify.into()));
    assert_dead(&mut b);
}

#[test]
fn recognised_and_unrecognised_sessions_have_one_shape() {
    let one_sided = || (contacts().0, Node::new(Role::Responder, 2, vec![]));
    let crowded = || {
        let many = |seed: u8| (0..=u8::MAX).map(|i| keys(i, i.wrapping_add(seed), i)).collect();
        (Node::new(Role::Initiator, 1, many(1)), Node::new(Role::Responder, 2, many(2)))
    };
    let shapes: Vec<_> = [strangers(), contacts(), one_sided(), crowded()].map(opened).into_iter().map(|(a, b)| (a.sent, b.sent)).collect();
    assert_eq!(shapes[0], (vec![34, 1040, 48], vec![49, 1040, 48]));
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
}

#[test]
fn one_sided_knowledge_recognises_nobody() {
    // The initiator lists and expects a contact that the responder does not know, and the reverse.
    let (a, b) = opened((contacts().0, Node::new(Role::Responder, 2, vec![keys(30, 31, 32)])));
    assert_eq!((a.open, b.open), (Some(false), Some(false)));
    let (a, b) = opened((Node::new(Role::Initiator, 1, vec![]), contacts().1));
    assert_eq!((a.open, b.open), (Some(false), Some(false)));
}

#[test]
fn entry_without_the_right_confirmation_is_not_recognised() {
    // Whoever knows only the entry's direction key, but sends a random confirmation.
    let (mut a, mut b) = (contacts().0, contacts().1);
    b.session.handle_message(&a.run()[0]).unwrap();
    a.session.handle_message(&take(&mut b.session)).unwrap();
    let Some(SessionEvent::Handshaken(info)) = b.session.poll_event() else { panic!("handshaken") };
    b.session.recognise(&build_list(std::iter::once(b.keys[0].own_entry(&info)), &mut b.rng)).unwrap();
    a.session.handle_message(&take(&mut b.session)).unwrap();
    let from_a = a.run();
    from_a.iter().take(1).for_each(|message| b.session.handle_message(message).unwrap());
    b.session.confirm(unrecognised()).unwrap();
    a.session.handle_message(&take(&mut b.session)).unwrap();
    a.run();
    assert_eq!(a.open, Some(false));
}

#[test]
fn wrong_link_key_ends_the_session_with_the_first_record() {
    let a = Node::new(Role::Initiator, 1, vec![keys(1, 2, 3)]);
    let b = Node::new(Role::Responder, 2, vec![keys(2, 1, 4)]);
    let (mut a, mut b) = opened((a, b));
    a.session.seal_record(&[1]).unwrap();
    assert_eq!(settle(&mut a, &mut b), Err(PeerError::Verify.into()));
}

#[test]
fn reflected_list_and_confirmation_are_not_recognised() {
    // The attacker speaks Noise itself and sends back what it gets; the same secret in both directions would be the worst case.
    for keys_of_victim in [keys(1, 2, 3), keys(1, 1, 3)] {
        let mut victim = Node::new(Role::Initiator, 1, vec![keys_of_victim]);
        let mut mirror = Session::new(Role::Responder, &mut ChaCha20Rng::seed_from_u64(5));
        mirror.handle_message(&victim.run()[0]).unwrap();
        victim.session.handle_message(&take(&mut mirror)).unwrap();
        let State::Recognition(recognition) = &mut mirror.state else { panic!("recognition") };
        let noise = &mut recognition.noise;
        for _ in 0..2 {
            for message in victim.run() {
                let plaintext = open(noise, &message, 0..=MAX_RECORD_LEN).unwrap();
                victim.session.handle_message(&seal(noise, &plaintext).unwrap()).unwrap();
            }
        }
        victim.run();
        assert_eq!(victim.open, Some(false));
    }
}

#[test]
fn reflected_ciphertexts_end_the_session() {
    let (mut a, _) = shaken();
    a.recognise(&[1; RECOGNITION_LIST_LEN]).unwrap();
    let own = take(&mut a);
    assert_eq!(a.handle_message(&own), Err(PeerError::Verify.into()));
    assert_dead(&mut a);
}

#[test]
fn man_in_the_middle_of_two_contacts_recognises_nobody() {
    let (mut a, mut b) = contacts();
    let mut to_a = Session::new(Role::Responder, &mut ChaCha20Rng::seed_from_u64(11));
    let mut to_b = Session::new(Role::Initiator, &mut ChaCha20Rng::seed_from_u64(12));
    to_a.handle_message(&a.run()[0]).unwrap();
    a.session.handle_message(&take(&mut to_a)).unwrap();
    b.session.handle_message(&take(&mut to_b)).unwrap();
    let mut from_b = b.run();
    to_b.handle_message(&from_b.remove(0)).unwrap();
    let (State::Recognition(left), State::Recognition(right)) = (&mut to_a.state, &mut to_b.state) else { panic!("recognition") };
    let mut from_a = a.run();
    // Lists, then confirmations, opened on one side and sealed for the other.
    for _ in 0..2 {
        for message in from_a {
            b.session
                .handle_message(&seal(&mut right.noise, &open(&mut left.noise, &message, 0..=MAX_RECORD_LEN).unwrap()).unwrap())
                .unwrap();
        }
        for message in from_b {
            a.session
                .handle_message(&seal(&mut left.noise, &open(&mut right.noise, &message, 0..=MAX_RECORD_LEN).unwrap()).unwrap())
                .unwrap();
        }
        (from_a, from_b) = (a.run(), b.run());
    }
    assert_eq!((a.open, b.open), (Some(false), Some(false)));
}

#[test]
fn relay_of_raw_bytes_between_contacts_stays_a_relay() {
    // What a relay can do to a recognised session is cut it: any change is noticed.
    let (mut a, mut b) = opened(contacts());
    a.session.seal_record(b"one").unwrap();
    a.session.seal_record(b"two").unwrap();
    let (one, two) = (take(&mut a.session), take(&mut a.session));
    b.session.handle_message(&one).unwrap();
    assert_eq!(b.session.handle_message(&one), Err(PeerError::Verify.into()), "replayed");
    assert_dead(&mut b.session);
    let (_, mut b) = opened(contacts());
    assert_eq!(b.session.handle_message(&two), Err(PeerError::Verify.into()), "out of order");
}

#[test]
fn recorded_session_cannot_be_replayed() {
    let (mut a, mut b) = contacts();
    let mut recorded = Vec::new();
    for _ in 0..6 {
        let (from_a, from_b) = (a.run(), b.run());
        from_a.iter().for_each(|message| b.session.handle_message(message).unwrap());
        from_b.iter().for_each(|message| a.session.handle_message(message).unwrap());
        recorded.extend(from_a);
    }
    assert_eq!((b.open, recorded.len()), (Some(true), 3));
    // The same first message to a responder with a fresh ephemeral: its list does not verify.
    let mut again = Node::new(Role::Responder, 99, vec![keys(2, 1, 3)]);
    again.session.handle_message(&recorded[0]).unwrap();
    again.run();
    assert_eq!(again.session.handle_message(&recorded[1]), Err(PeerError::Verify.into()));
    assert_dead(&mut again.session);
}

#[test]
fn version_lists_must_be_sound_and_have_one_in_common() {
    let malformed: [&[u8]; 9] =
        [&[0], &[1], &[0, 1], &[2, 1], &[1, 1, 2], &[2, 2, 1], &[2, 1, 1], &[9, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[255, 1, 2]];
    for list in malformed {
        let (_, mut responder) = first_message();
        let error = responder.handle_message(&raw_first_message(list)).unwrap_err();
        let length = matches!(error, SessionError::Peer(PeerError::Length(_))) && !(2..=9).contains(&list.len());
        assert!(length || error == PeerError::VersionList.into(), "{list:?}: {error}");
        assert_dead(&mut responder);
    }
    let (_, mut responder) = first_message();
    assert_eq!(responder.handle_message(&raw_first_message(&[2, 2, 3])), Err(PeerError::NoCommonVersion.into()));
    for list in [&[3, 0, 1, 7][..], &[8, 1, 2, 3, 4, 5, 6, 7, 255]] {
        let (_, mut responder) = first_message();
        responder.handle_message(&raw_first_message(list)).unwrap();
        assert!(matches!(responder.poll_event(), Some(SessionEvent::Handshaken(SessionInfo { version: 1, .. }))));
    }
}

#[test]
fn version_that_was_not_offered_is_refused() {
    for payload in [&[2][..], &[0], &[1, 1], &[]] {
        let (first, _) = first_message();
        let mut initiator = strangers().0.session;
        initiator.poll_message().unwrap();
        let mut responder = plain(Role::Responder);
        responder.read_message(&first, &mut [0; 64]).unwrap();
        let mut second = [0; 128];
        let length = responder.write_message(payload, &mut second).unwrap();
        let expected = match payload {
            [version] => PeerError::VersionNotOffered(*version),
            _ => PeerError::Length(length),
        };
        assert_eq!(initiator.handle_message(&second[..length]), Err(expected.into()));
        assert_dead(&mut initiator);
    }
}

#[test]
fn rewritten_version_list_fails_message_two() {
    for rewritten in [&[2, 1, 9][..], &[2, 0, 1]] {
        let (first, mut responder) = first_message();
        let mut initiator = strangers().0.session;
        let forged = [&first[..32], rewritten].concat();
        responder.handle_message(&forged).unwrap();
        assert_eq!(initiator.handle_message(&take(&mut responder)), Err(PeerError::Verify.into()));
        assert_dead(&mut initiator);
    }
}

#[test]
fn points_of_low_order_are_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one] {
        let (_, mut responder) = first_message();
        assert_eq!(responder.handle_message(&[&point[..], &[1, 1]].concat()), Err(PeerError::Verify.into()));
        let mut initiator = strangers().0.session;
        assert_eq!(initiator.handle_message(&[&point[..], &[0; 17]].concat()), Err(PeerError::Verify.into()));
        assert_dead(&mut initiator);
    }
}

/// Makes a session that stands at a certain step.
type Make = fn() -> Session;

/// Messages 1 to 5 of a session, with a fresh receiver for each that stands where the message is due.
fn each_step() -> Vec<(Vec<u8>, Make)> {
    let (first, _) = first_message();
    let second = {
        let mut responder = strangers().1.session;
        responder.handle_message(&first).unwrap();
        take(&mut responder)
    };
    let (mut a, mut b) = shaken();
    a.recognise(&[1; RECOGNITION_LIST_LEN]).unwrap();
    let list = take(&mut a);
    b.recognise(&[2; RECOGNITION_LIST_LEN]).unwrap();
    a.handle_message(&take(&mut b)).unwrap();
    a.confirm(unrecognised()).unwrap();
    let confirmation = take(&mut a);
    let (mut open, _) = opened(strangers());
    open.session.seal_record(&[5; 40]).unwrap();
    let record = take(&mut open.session);
    vec![
        (first, || strangers().1.session),
        (second, || strangers().0.session),
        (list, || shaken().1),
        (confirmation, || {
            let (mut a, mut b) = shaken();
            a.recognise(&[1; RECOGNITION_LIST_LEN]).unwrap();
            b.recognise(&[2; RECOGNITION_LIST_LEN]).unwrap();
            b.handle_message(&take(&mut a)).unwrap();
            b
        }),
        (record, || opened(strangers()).1.session),
    ]
}

#[test]
fn truncated_lengthened_and_foreign_messages_end_the_session_at_every_step() {
    let steps = each_step();
    for (step, (message, receiver)) in steps.iter().enumerate() {
        receiver().handle_message(message).unwrap();
        let mut bad: Vec<Vec<u8>> = (0..message.len()).step_by(1 + message.len() / 40).map(|cut| message[..cut].to_vec()).collect();
        bad.push([message.as_slice(), &[0]].concat());
        bad.push([message.as_slice(), message.as_slice()].concat());
        bad.push(vec![0; 70_000]);
        bad.extend(steps.iter().enumerate().filter(|(other, _)| *other != step).map(|(_, (message, _))| message.clone()));
        for message in bad {
            let mut session = receiver();
            let error = session.handle_message(&message).unwrap_err();
            assert!(matches!(error, SessionError::Peer(_)), "step {step}, {} bytes: {error}", message.len());
            assert_dead(&mut session);
        }
    }
}

#[test]
fn flipped_bits_end_the_session_at_every_step() {
    for (step, (message, receiver)) in each_step().into_iter().enumerate().skip(1) {
        for position in (0..message.len()).step_by(1 + message.len() / 60) {
            let mut flipped = message.clone();
            flipped[position] ^= 0x10;
            let mut session = receiver();
            assert_eq!(session.handle_message(&flipped), Err(PeerError::Verify.into()), "step {step}, byte {position}");
            assert_dead(&mut session);
        }
    }
    // The first message is in the clear; a change of it shows in the second, or at once in the list of versions.
    let (first, _) = first_message();
    for position in 0..first.len() {
        let mut flipped = first.clone();
        flipped[position] ^= 0x10;
        let (mut initiator, mut responder) = (strangers().0.session, strangers().1.session);
        if responder.handle_message(&flipped).is_ok() {
            assert_eq!(initiator.handle_message(&take(&mut responder)), Err(PeerError::Verify.into()));
        }
    }
}

#[test]
fn replayed_messages_end_the_session_at_every_step() {
    for (step, (message, receiver)) in each_step().into_iter().enumerate() {
        let mut session = receiver();
        session.handle_message(&message).unwrap();
        assert!(matches!(session.handle_message(&message), Err(SessionError::Peer(_))), "step {step}");
        assert_dead(&mut session);
    }
}

#[test]
fn list_that_comes_before_ours_is_held_and_told_later() {
    let (mut a, mut b) = shaken();
    a.recognise(&[1; RECOGNITION_LIST_LEN]).unwrap();
    b.handle_message(&take(&mut a)).unwrap();
    assert_eq!(b.poll_event(), None);
    b.recognise(&[2; RECOGNITION_LIST_LEN]).unwrap();
    assert_eq!(b.poll_event(), Some(SessionEvent::PeerList(Box::new([1; RECOGNITION_LIST_LEN]))));
}

#[test]
fn confirmation_that_comes_before_the_verdict_is_held() {
    let (mut a, mut b) = shaken();
    a.recognise(&[1; RECOGNITION_LIST_LEN]).unwrap();
    b.recognise(&[2; RECOGNITION_LIST_LEN]).unwrap();
    a.handle_message(&take(&mut b)).unwrap();
    a.confirm(unrecognised()).unwrap();
    b.handle_message(&take(&mut a)).unwrap();
    b.handle_message(&take(&mut a)).unwrap();
    assert!(matches!((b.poll_event(), b.poll_event()), (Some(SessionEvent::PeerList(_)), None)));
    b.confirm(unrecognised()).unwrap();
    assert_eq!(b.poll_event(), Some(SessionEvent::Open { recognised: false }));
}

#[test]
fn peer_that_floods_before_the_verdict_is_ended() {
    // A correct implementation cannot send this, so the attacker's Noise state is used directly.
    let attacker = |(a, b): (Session, Session)| match a.state {
        State::Recognition(recognition) => (recognition.noise, b),
        _ => panic!("recognition"),
    };
    // Its confirmation before our list.
    let (mut noise, mut victim) = attacker(shaken());
    victim.handle_message(&seal(&mut noise, &[0; RECOGNITION_LIST_LEN]).unwrap()).unwrap();
    assert_eq!(victim.handle_message(&seal(&mut noise, &[0; 32]).unwrap()), Err(PeerError::Early.into()));
    assert_dead(&mut victim);
    // Its first record before our confirmation.
    let (mut noise, mut victim) = attacker(shaken());
    victim.recognise(&[2; RECOGNITION_LIST_LEN]).unwrap();
    victim.handle_message(&seal(&mut noise, &[0; RECOGNITION_LIST_LEN]).unwrap()).unwrap();
    victim.handle_message(&seal(&mut noise, &[0; 32]).unwrap()).unwrap();
    assert_eq!(victim.handle_message(&seal(&mut noise, &[1]).unwrap()), Err(PeerError::Early.into()));
    assert_dead(&mut victim);
}

#[test]
fn empty_record_and_overlong_record_end_the_session() {
    for length in [0, MAX_RECORD_LEN + 1] {
        let (mut a, mut b) = opened(strangers());
        let State::Open(noise) = &mut a.session.state else { panic!("open") };
        let message = seal(noise, &vec![1; length]).unwrap();
        assert_eq!(b.session.handle_message(&message), Err(PeerError::Length(length + AUTHENTICATOR_LEN).into()));
        let (mut a, _) = opened(strangers());
        assert_eq!(a.session.seal_record(&vec![1; length]), Err(SessionError::RecordLength(length)));
        assert_dead(&mut a.session);
    }
}

#[test]
fn calls_out_of_turn_end_the_session() {
    type Call = fn(&mut Session) -> Result<(), SessionError>;
    let calls: [Call; 3] = [
        |session| session.recognise(&[0; RECOGNITION_LIST_LEN]),
        |session| session.confirm(unrecognised()),
        |session| session.seal_record(&[1]),
    ];
    let stages: [(Make, Option<usize>); 4] = [
        (|| strangers().0.session, None),
        (|| shaken().0, Some(0)),
        (each_step()[3].1, None), // has recognised, but its verdict is due
        (|| opened(strangers()).0.session, Some(2)),
    ];
    for (stage, (session, allowed)) in stages.iter().enumerate() {
        for (call, run) in calls.iter().enumerate() {
            let mut session = session();
            let allowed = *allowed == Some(call) || (stage, call) == (2, 1);
            assert_eq!(run(&mut session), if allowed { Ok(()) } else { Err(SessionError::OutOfTurn) }, "stage {stage}, call {call}");
            if !allowed {
                assert_dead(&mut session);
            }
        }
    }
    // Each answer counts once.
    let mut session = shaken().0;
    calls[0](&mut session).unwrap();
    assert_eq!(calls[0](&mut session), Err(SessionError::OutOfTurn));
    let mut session = each_step()[3].1();
    calls[1](&mut session).unwrap();
    assert_eq!(calls[1](&mut session), Err(SessionError::OutOfTurn));
}

#[test]
fn queues_are_bounded() {
    let (mut a, mut b) = opened(strangers());
    for _ in 0..MAX_QUEUED {
        a.session.seal_record(&[1]).unwrap();
    }
    let messages: Vec<_> = std::iter::from_fn(|| a.session.poll_message()).collect();
    messages.iter().for_each(|message| b.session.handle_message(message).unwrap());
    a.session.seal_record(&[1]).unwrap();
    assert_eq!(b.session.handle_message(&take(&mut a.session)), Err(SessionError::Backlog));
    assert_dead(&mut b.session);
    let failed = (0..=MAX_QUEUED).map(|_| a.session.seal_record(&[1])).find(Result::is_err);
    assert_eq!(failed, Some(Err(SessionError::Backlog)));
}

#[test]
fn debug_shows_no_key_and_no_content() {
    let (a, _) = shaken();
    assert_eq!(format!("{a:?}"), "Session { role: Initiator, state: \"recognition\", .. }");
    assert_eq!(format!("{:?}", SessionEvent::Record(vec![7; 3])), "Record(.. 3 bytes)");
    assert_eq!(format!("{:?}", SessionEvent::PeerList(Box::new([7; RECOGNITION_LIST_LEN]))), "PeerList(..)");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(step in 0_usize..5, length in 0_usize..2_000, seed: u64, more in proptest::collection::vec(any::<u8>(), 0..80)) {
        let (_, receiver) = &each_step()[step];
        let mut session = receiver();
        let mut bytes = vec![0; length];
        ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        let _ = session.handle_message(&bytes);
        let _ = session.handle_message(&more);
        prop_assert!(step == 0 || matches!(session.state, State::Dead));
    }

    #[test]
    fn random_first_messages_never_panic(ephemeral: [u8; 32], list in proptest::collection::vec(any::<u8>(), 0..12)) {
        let (_, mut responder) = first_message();
        let _ = responder.handle_message(&[&ephemeral[..], &list].concat());
    }
}
