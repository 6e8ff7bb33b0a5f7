//! A Noise responder and initiator that share no code of ours.

use snow::{Builder, TransportState, resolvers::DefaultResolver};

use super::{super::*, recognition::RECOGNITION_LIST_LEN, strangers, take, unrecognised};

/// A Noise side with `snow`'s own primitives; nothing of ours but the names on the page.
pub(super) fn plain(role: Role) -> snow::HandshakeState {
    let builder = Builder::with_resolver("Noise_NN_25519_ChaChaPoly_BLAKE2s".parse().unwrap(), Box::new(OnlyPrimitives));
    let builder = builder.prologue(b"hedgerow/1 session").unwrap().fixed_ephemeral_key_for_testing_only(&[0x42; 32]);
    match role {
        Role::Initiator => builder.build_initiator().unwrap(),
        Role::Responder => builder.build_responder().unwrap(),
    }
}

/// [`DefaultResolver`] with a random source that is asked for by `snow` and never used.
struct OnlyPrimitives;

struct Unused;

impl snow::types::Random for Unused {
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), snow::Error> {
        Err(snow::Error::Rng)
    }
}

impl snow::resolvers::CryptoResolver for OnlyPrimitives {
    fn resolve_rng(&self) -> Option<Box<dyn snow::types::Random>> {
        Some(Box::new(Unused))
    }

    fn resolve_dh(&self, choice: &snow::params::DHChoice) -> Option<Box<dyn snow::types::Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &snow::params::HashChoice) -> Option<Box<dyn snow::types::Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &snow::params::CipherChoice) -> Option<Box<dyn snow::types::Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

pub(super) fn raw_first_message(payload: &[u8]) -> Vec<u8> {
    let mut message = [0; 128];
    let length = plain(Role::Initiator).write_message(payload, &mut message).unwrap();
    message[..length].to_vec()
}

/// Lists, confirmations and a record with a plain Noise peer whose handshake is done.
fn go_on_with_plain(session: &mut Session, mut noise: TransportState, hash: &[u8]) {
    let Some(SessionEvent::Handshaken(info)) = session.poll_event() else { panic!("handshaken") };
    assert_eq!(info.hash, hash);
    session.recognise(&[3; RECOGNITION_LIST_LEN]).unwrap();
    assert_eq!(open(&mut noise, &take(session), 0..=2000).unwrap(), [3; RECOGNITION_LIST_LEN]);
    session.handle_message(&seal(&mut noise, &[4; RECOGNITION_LIST_LEN]).unwrap()).unwrap();
    session.confirm(unrecognised()).unwrap();
    assert_eq!(open(&mut noise, &take(session), 0..=2000).unwrap().len(), 32);
    session.handle_message(&seal(&mut noise, &[5; 32]).unwrap()).unwrap();
    session.seal_record(b"ours").unwrap();
    assert_eq!(open(&mut noise, &take(session), 0..=2000).unwrap(), b"ours");
    session.handle_message(&seal(&mut noise, b"theirs").unwrap()).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    assert_eq!(events[1..], [SessionEvent::Open { recognised: false }, SessionEvent::Record(b"theirs".to_vec())]);
}

#[test]
fn our_initiator_speaks_to_a_plain_noise_responder() {
    let (mut ours, mut theirs) = (strangers().0.session, plain(Role::Responder));
    let mut payload = [0; 64];
    let length = theirs.read_message(&take(&mut ours), &mut payload).unwrap();
    assert_eq!(payload[..length], [1, 1]);
    let mut second = [0; 64];
    let length = theirs.write_message(&[1], &mut second).unwrap();
    ours.handle_message(&second[..length]).unwrap();
    let hash = theirs.get_handshake_hash().to_vec();
    go_on_with_plain(&mut ours, theirs.into_transport_mode().unwrap(), &hash);
}

#[test]
fn our_responder_speaks_to_a_plain_noise_initiator() {
    let (mut ours, mut theirs) = (strangers().1.session, plain(Role::Initiator));
    let mut first = [0; 64];
    let length = theirs.write_message(&[1, 1], &mut first).unwrap();
    ours.handle_message(&first[..length]).unwrap();
    let mut payload = [0; 64];
    let length = theirs.read_message(&take(&mut ours), &mut payload).unwrap();
    assert_eq!(payload[..length], [1]);
    let hash = theirs.get_handshake_hash().to_vec();
    go_on_with_plain(&mut ours, theirs.into_transport_mode().unwrap(), &hash);
}

#[test]
fn another_prologue_does_not_connect() {
    let builder = Builder::with_resolver("Noise_NN_25519_ChaChaPoly_BLAKE2s".parse().unwrap(), Box::new(OnlyPrimitives));
    let builder = builder.prologue(b"hedgerow/2 session").unwrap().fixed_ephemeral_key_for_testing_only(&[0x42; 32]);
    let mut theirs = builder.build_responder().unwrap();
    let mut ours = strangers().0.session;
    theirs.read_message(&take(&mut ours), &mut [0; 64]).unwrap();
    let mut second = [0; 64];
    let length = theirs.write_message(&[1], &mut second).unwrap();
    assert_eq!(ours.handle_message(&second[..length]), Err(PeerError::Verify.into()));
}
