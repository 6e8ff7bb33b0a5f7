//! What somebody in between, or a side that changes its mind, can try; then that the two agree.

use std::collections::BTreeSet;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::crypto::identity::tests::{LOW_ORDER, device};

const SESSION: [u8; 32] = [7; 32];
const NOBODY: [u8; PAIR_ID_LEN] = [0; PAIR_ID_LEN];

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// One exchange between Alma, the first, and Boris, up to where Alma has the request.
struct Scene {
    alma: Device,
    boris: Device,
    committed: Committed,
    asked: Asked,
    request: Bundle,
    rng: ChaCha20Rng,
}

impl Scene {
    fn new(seed: u64) -> Self {
        Self::over(seed, SESSION, SESSION)
    }

    /// With the hashes of each side's session.
    fn over(seed: u64, first: [u8; 32], second: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (alma, boris) = (device(1), device(2));
        let committed = Committed::new(&alma, name("Alma"), &first, &mut rng);
        let (asked, request) = Asked::new(&boris, name("Boris"), &second, committed.offer(), &mut rng).unwrap();
        Self { alma, boris, committed, asked, request, rng }
    }

    /// What Alma opens with, and what she holds.
    fn open(self) -> (Asked, Device, [u8; 32], Bundle, Agreed) {
        let Self { alma, boris, committed, asked, request, mut rng } = self;
        let request = committed.open_request(&alma, &request).unwrap();
        let (nonce, reply, agreed) = committed.open(&alma, &request, NOBODY, &mut rng).unwrap();
        (asked, boris, nonce, reply, agreed)
    }

    fn finish(self) -> Result<(Agreed, Agreed), ExchangeError> {
        let (asked, boris, nonce, reply, at_alma) = self.open();
        Ok((at_alma, asked.open(&boris, nonce, &reply)?))
    }
}

#[test]
fn who_relays_untouched_is_noticed_by_the_second_side() {
    assert_eq!(Scene::over(1, [1; 32], [2; 32]).finish().err(), Some(ExchangeError::Commitment));
}

#[test]
fn what_was_committed_to_cannot_be_changed() {
    let changes: [fn(&mut Scene); 3] = [
        |scene| scene.committed.ephemeral.f_secret = Secret::new([9; 32]),
        |scene| scene.committed.ephemeral.q_secret = Secret::new([9; 32]),
        |scene| scene.committed.name = name("Alina"),
    ];
    for change in changes {
        let mut scene = Scene::new(2);
        change(&mut scene);
        assert_eq!(scene.finish().err(), Some(ExchangeError::Commitment));
    }
    let mut scene = Scene::new(2);
    scene.alma = device(3);
    assert_eq!(scene.finish().err(), Some(ExchangeError::Commitment), "another identity");
    let (asked, boris, mut nonce, reply, _) = Scene::new(2).open();
    nonce[31] ^= 1;
    assert_eq!(asked.open(&boris, nonce, &reply).err(), Some(ExchangeError::Commitment));
}

#[test]
fn a_link_key_of_low_order_is_refused() {
    for key in LOW_ORDER {
        let offer = Offer { secret: [1; 16], key, commitment: [2; 32] };
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        assert_eq!(Asked::new(&device(2), name("Boris"), &SESSION, offer, &mut rng).err(), Some(ExchangeError::Malformed));
    }
}

#[test]
fn garbage_opens_nothing() {
    let scene = Scene::new(4);
    let garbage = Bundle::decode([&scene.request.bytes()[..48], &[9; 4_048]].concat()).unwrap();
    assert_eq!(scene.committed.open_request(&scene.alma, &garbage).err(), Some(ExchangeError::Closed));
    let (asked, boris, nonce, reply, _) = Scene::new(4).open();
    let garbage = Bundle::decode([&reply.bytes()[..48], &[9; 4_048]].concat()).unwrap();
    assert_eq!(asked.open(&boris, nonce, &garbage).err(), Some(ExchangeError::Closed));
}

#[test]
fn ones_own_identity_is_noticed() {
    let mut scene = Scene::new(5);
    scene.alma = device(2);
    assert_eq!(scene.committed.open_request(&scene.alma, &scene.request).err(), Some(ExchangeError::OwnIdentity));
}

#[test]
fn somebody_in_between_with_an_exchange_of_his_own_gets_other_words() {
    for seed in 0..20 {
        let (at_alma, _) = Scene::new(2 * seed).finish().unwrap();
        let (_, at_boris) = Scene::new(2 * seed + 1).finish().unwrap();
        assert_ne!(at_alma.words(), at_boris.words());
    }
}

#[test]
fn words_depend_on_the_nonce_and_on_the_request() {
    let all: BTreeSet<_> = (0..=255_u8)
        .flat_map(|byte| [([byte; 32], [1; 32]), ([1; 32], [byte; 32])])
        .map(|(nonce, th1)| agreed_words(&[3; 32], &nonce, &th1))
        .collect();
    assert_eq!(all.len(), 511, "two of the cases are the same");
}

#[test]
fn proofs_and_confirmations_serve_their_side_and_nothing_else() {
    let (at_alma, at_boris) = Scene::new(6).finish().unwrap();
    let held = [5; PAIR_ID_LEN];
    let proof = at_boris.proof(&held);
    assert!(at_alma.is_proof(&held, &proof) && !at_alma.is_proof(&NOBODY, &proof));
    for (one, other) in [(&at_alma, &at_boris), (&at_boris, &at_alma)] {
        assert!(one.is_confirmation(&other.confirmation()));
        assert!(!one.is_confirmation(&one.confirmation()), "said back, it is nobody's");
    }
    let (other, _) = Scene::new(7).finish().unwrap();
    assert!(!at_alma.is_confirmation(&other.confirmation()));
}

#[test]
fn both_sides_agree_on_words_keys_and_each_other() {
    let (at_alma, at_boris) = Scene::new(8).finish().unwrap();
    assert_eq!(at_alma.words(), at_boris.words());
    assert_eq!((at_alma.name.as_str(), at_boris.name.as_str()), ("Boris", "Alma"));
    assert_eq!((at_alma.card.identity(), at_boris.card.identity()), (device(2).card().identity(), device(1).card().identity()));
    let (alma, boris) = (at_alma.keys.unwrap(), at_boris.keys.unwrap());
    assert!(alma.root.matches(boris.root.expose()) && alma.pair_secret.matches(boris.pair_secret.expose()));
    assert_eq!(alma.other_ratchet, public_half(&boris.own_ratchet));
    assert_eq!(boris.other_ratchet, public_half(&alma.own_ratchet));
}

mod vectors {
    //! The test vectors of docs/protocol.md, section 7.8: `sync/tests/data/vectors/nearby.json`. With `HEDGEROW_WRITE_VECTORS` set the test
    //! writes the file anew, from a seed; otherwise it checks that nothing has changed.

    use std::path::Path;

    use data_encoding::HEXLOWER;
    use serde_json::{Value, json};

    use super::*;

    const HELD: [u8; PAIR_ID_LEN] = [0xcd; PAIR_ID_LEN];

    fn hex(bytes: &[u8]) -> String {
        HEXLOWER.encode(bytes)
    }

    fn generate() -> Value {
        let rng = &mut ChaCha20Rng::seed_from_u64(2026);
        let (alma, boris) = (Device::generate(rng), Device::generate(rng));
        let committed = Committed::new(&alma, name("Älma"), &SESSION, rng);
        let (link, offer) = (hex(&committed.link.encode()), committed.offer());
        let (f_secret, q_secret) = (hex(committed.ephemeral.f_secret.expose()), hex(committed.ephemeral.q_secret.expose()));
        let (asked, request) = Asked::new(&boris, name("Boris"), &SESSION, offer, rng).unwrap();
        let pending = hex(&asked.request.encode());
        let opened = committed.open_request(&alma, &request).unwrap();
        let th1 = hex(opened.transcript());
        let (nonce, reply, at_alma) = committed.open(&alma, &opened, HELD, rng).unwrap();
        let at_boris = asked.open(&boris, nonce, &reply).unwrap();
        let keys = at_boris.keys.as_ref().unwrap();
        json!({
            "first device": hex(&alma.encode()),
            "second device": hex(&boris.encode()),
            "hh": hex(&SESSION),
            "issued link": link,
            "private f": f_secret,
            "private q": q_secret,
            "secret": hex(&offer.secret),
            "L": hex(&offer.key),
            "commitment": hex(&offer.commitment),
            "pending request": pending,
            "request": hex(request.bytes()),
            "th1": th1,
            "nonce": hex(&nonce),
            "reply": hex(reply.bytes()),
            "held": hex(&HELD),
            "th2": hex(&at_alma.bond.th2),
            "confirm": hex(at_alma.bond.confirm.expose()),
            "proof": hex(&at_boris.proof(&HELD)),
            "confirm first": hex(&at_alma.confirmation()),
            "confirm second": hex(&at_boris.confirmation()),
            "words": at_boris.words(),
            "root": hex(keys.root.expose()),
            "pair secret": hex(keys.pair_secret.expose()),
        })
    }

    #[test]
    fn vectors_hold() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors/nearby.json");
        if std::env::var_os("HEDGEROW_WRITE_VECTORS").is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&generate()).unwrap() + "\n").unwrap();
        }
        let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(generate(), vectors, "the bytes of the exchange have changed");

        // The file alone, as another program would read it.
        let bytes = |name: &str| HEXLOWER.decode(vectors[name].as_str().unwrap().as_bytes()).unwrap();
        let array = |name: &str| <[u8; 32]>::try_from(bytes(name)).unwrap();
        let boris = Device::decode(&bytes("second device")).unwrap();
        let offer = Offer { secret: bytes("secret").try_into().unwrap(), key: array("L"), commitment: array("commitment") };
        let asked = Asked { request: PendingRequest::decode(&bytes("pending request")).unwrap(), session: array("hh"), offer };
        let agreed = asked.open(&boris, array("nonce"), &Bundle::decode(bytes("reply")).unwrap()).unwrap();
        assert!(agreed.is_confirmation(&array("confirm first")) && agreed.proof(&agreed.held) == array("proof"));
        assert_eq!(json!(agreed.words()), vectors["words"]);
        // By the formulas of the page, from what the file says.
        let h = |parts: &[&[u8]]| hash(parts);
        let alma = Device::decode(&bytes("first device")).unwrap();
        let [f, q] = ["private f", "private q"].map(|name| public_half(&Secret::new(array(name))));
        let commitment = h(&[
            b"hedgerow/1 nearby commit\x01",
            &array("hh"),
            &bytes("secret"),
            &array("L"),
            &alma.card().encode(),
            &name("Älma").encode_field(),
            &f,
            &q,
            &array("nonce"),
        ]);
        assert_eq!(commitment, array("commitment"));
        let digest = h(&[b"hedgerow/1 nearby words\x01", &commitment, &array("nonce"), &array("th1")]);
        assert_eq!(json!(words([digest[0], digest[1], digest[2], digest[3]])), vectors["words"]);
        let confirm = array("confirm");
        assert_eq!(mac(&confirm, &[b"hedgerow/1 nearby proof", &array("th2"), &bytes("held")]), array("proof"));
        assert_eq!(mac(&confirm, &[b"hedgerow/1 nearby confirm\x02", &array("th2")]), array("confirm second"));
    }
}
