//! Links, cards, names, stored states of a contact exchange, and what a holder of the link can send (docs/protocol.md, section 7).

use hedgerow_sync::{
    crypto::{
        bundle_seal::{BundleKeys, HEADER_FIELDS_LEN, seal_bundle},
        exchange::{Answerer, IssuedLink, PendingRequest, Reply, ReplyState},
        identity::{CARD_LEN, Card, Device, MAX_NAME_LEN, Name},
        kdf::{dh, hkdf, label},
        link::{Link, TRIES},
        secret::Secret,
    },
    time::Hour,
    wire::bundle::{Bundle, MAX_BUNDLE_LEN, body_capacity},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// When the scene's link was given away.
pub const NOW: Hour = Hour(499_900);

/// Two people and a link between them, the same in every run.
pub struct Scene {
    /// Made the link.
    pub issuer: Device,
    /// Was given the link.
    pub invitee: Device,
    /// The link.
    pub issued: IssuedLink,
    /// The link in the invitee's hands.
    pub pending: PendingRequest,
    /// For what is drawn afterwards.
    pub rng: ChaCha20Rng,
}

impl Scene {
    /// Sets the scene.
    pub fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let (issuer, invitee) = (Device::generate(&mut rng), Device::generate(&mut rng));
        let issued = IssuedLink::new(Hour(500_000), &mut rng);
        let link = Link::parse(&issued.link().to_text()).expect("its own text");
        let pending = PendingRequest::new(link, Name::new("Boris").expect("a name"), &mut rng);
        Self { issuer, invitee, issued, pending, rng }
    }

    /// The keys of try `number` of a request, and the ephemeral key `e` that its header shows.
    pub fn request_keys(&self, number: u8) -> (BundleKeys, [u8; 32]) {
        // Private e: behind version, link and name field; private L: at the end of the issued link.
        let (pending, issued) = (self.pending.encode(), self.issued.encode());
        let take = |bytes: &[u8], at: usize| -> [u8; 32] { bytes[at..at + 32].try_into().expect("32 bytes") };
        let (e_secret, l_secret) = (take(&pending, 1 + 53 + 51), take(&issued, 21));
        let e = *x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(e_secret)).as_bytes();
        let el = dh(&x25519_dalek::StaticSecret::from(l_secret), &e).expect("of high order");
        let secret = &issued[5..21];
        let keys = BundleKeys {
            tag: self.issued.request_tags()[usize::from(number % TRIES)],
            header: hkdf(&[], secret, &[label::REQUEST_HEADER, &[number % TRIES]]),
            message: hkdf(&e, &[secret, el.expose()].concat(), &[label::REQUEST]),
        };
        (keys, e)
    }
}

/// A link that was found in a text is found again in its own text, and has not lost anything.
pub fn link_text(data: &[u8]) -> bool {
    let Ok(link) = Link::parse(&String::from_utf8_lossy(data)) else { return false };
    assert!(link.expires() != Hour::UNKNOWN);
    assert_eq!(link.to_text().len(), 101);
    let again = Link::parse(&link.to_qr_text()).expect("a link's own text contains it");
    assert!(*again.to_text() == *link.to_text() && again.id() == link.id() && again.expires() == link.expires());
    let envelope = link.envelope(NOW);
    assert!(envelope.lifetime.hours() >= 24 && envelope.created == NOW);
    true
}

/// A card has one form.
pub fn card(data: &[u8]) -> bool {
    let Ok(card) = Card::decode(data) else { return false };
    assert_eq!(data.len(), CARD_LEN);
    assert!(card.encode()[..] == *data);
    assert_eq!(card.fingerprint().len(), 39);
    true
}

/// A name is short, clean at its ends and stays what it is.
pub fn name(data: &[u8]) -> bool {
    let Ok(name) = Name::new(&String::from_utf8_lossy(data)) else { return false };
    let text = name.as_str();
    assert!((1..=MAX_NAME_LEN).contains(&text.len()) && text == text.trim());
    assert!(
        !text.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}'))
    );
    assert!(Name::new(text) == Ok(name.clone()));
    true
}

/// What the store holds of a device or an exchange has one form; every decoder looks at the input.
pub fn exchange_state(data: &[u8]) -> bool {
    let device = Device::decode(data).map(|device| assert!(device.encode()[..] == *data && Card::decode(&device.card().encode()).is_ok()));
    let issued = IssuedLink::decode(data).map(|issued| assert!(issued.encode()[..] == *data && issued.request_tags().len() == 16));
    let pending = PendingRequest::decode(data).map(|pending| assert!(pending.encode()[..] == *data && pending.reply_tags().len() == 16));
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let reply = ReplyState::decode(data).map(|reply| {
        assert!(reply.encode()[..] == *data);
        let link = Scene::new().issued.link().envelope(NOW);
        assert!(reply.seal(0, link, &mut rng).is_ok() && reply.seal(TRIES, link, &mut rng).is_err());
    });
    device.is_ok() || issued.is_ok() || pending.is_ok() || reply.is_ok()
}

/// A bundle of anyone's making, opened at both ends of a link. Nobody can have made a reply but the issuer.
pub fn exchange_bundle(data: &[u8]) -> bool {
    let Ok(bundle) = Bundle::decode(data.to_vec()) else { return false };
    let scene = Scene::new();
    match scene.pending.open_reply(&scene.invitee, &bundle) {
        Ok(Reply::Established { card, .. }) => {
            assert!(card == *scene.issuer.card());
            return true;
        }
        Ok(Reply::Used { .. }) => return true,
        Err(_) => {}
    }
    let Ok(request) = scene.issued.open_request(&scene.issuer, &bundle) else { return false };
    assert!(request.number() < TRIES && request.card() == scene.invitee.card());
    true
}

/// What a holder of the link can seal: the first byte is the try, then come 24 bytes of header and the body.
///
/// Whatever it says, only what the invitee's own device proves makes a request.
pub fn exchange_request(data: &[u8]) -> bool {
    let mut scene = Scene::new();
    let Some((&number, rest)) = data.split_first() else { return false };
    let Some((filling, body)) = rest.split_at_checked(HEADER_FIELDS_LEN - 32) else { return false };
    let (keys, e) = scene.request_keys(number);
    let mut fields = [0; HEADER_FIELDS_LEN];
    fields[..32].copy_from_slice(&e);
    fields[32..].copy_from_slice(filling);
    let body = &body[..body.len().min(body_capacity(MAX_BUNDLE_LEN))];
    let envelope = scene.issued.link().envelope(NOW);
    let sealed = seal_bundle(&keys, envelope, &fields, body, MAX_BUNDLE_LEN, &mut scene.rng).expect("it fits");
    let Ok(request) = scene.issued.open_request(&scene.issuer, &sealed.bundle) else { return false };
    assert!(request.number() == number % TRIES && request.card() == scene.invitee.card() && request.name().as_str() == "Boris");
    assert!(request.ack().matches(sealed.ack.expose()));
    let answerer = Answerer { device: &scene.issuer, name: &Name::new("Alma").expect("a name"), held: &[0; 16] };
    let accepted = scene.issued.accept(answerer, &request, 0, envelope, &mut scene.rng).expect("a request is answered");
    assert!(accepted.reply.answers(&request));
    let reply = scene.pending.open_reply(&scene.invitee, &accepted.bundle.bundle).expect("the answer opens");
    let Reply::Established { keys, .. } = reply else { panic!("the answer makes a contact") };
    assert!(Secret::matches(&keys.root, accepted.keys.root.expose()));
    true
}
