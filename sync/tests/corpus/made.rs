//! Inputs that the code makes itself: valid encodings of every kind, the same cut off, and hostile shapes; equal in every run.

use hedgerow_sync::{
    crypto::{
        bundle_seal::{open_body, open_header},
        exchange::{Answerer, IssuedLink},
        identity::{Device, Name},
        ratchet::{PqItem, Ratchet},
    },
    id::{BeaconId, Commitment, MessageId, ShortId, Tag},
    reconcile::{Reconciler, SessionView},
    time::{Hour, UnixMillis},
    wire::{
        bundle::{BUNDLE_SIZES, BundleHeader, Class, Lifetime},
        item::{Item, KEM_CIPHERTEXT_LEN, KEM_KEY_LEN, Manifest, NumberRange, Text},
        nearby::{End, NEARBY_VERSION, Step},
        record::{ByeReason, COPIES_UNLIMITED, Hello, Record, Refusal},
    },
};
use hedgerow_transports::encode_frame;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::targets::{
    exchange::{NOW, Scene},
    ratchet::{envelope, pair},
    reconcile::{CUT, SESSION},
};

/// Target, name and bytes of an input.
pub(super) type Input = (&'static str, String, Vec<u8>);

/// Collects the inputs of one target.
struct Corpus<'a> {
    target: &'static str,
    inputs: &'a mut Vec<Input>,
}

impl Corpus<'_> {
    fn add(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        self.inputs.push((self.target, name.to_owned(), bytes.as_ref().to_vec()));
    }

    /// A valid input, and the same without its last byte, cut in the middle, and with one byte too many.
    fn add_with_cuts(&mut self, name: &str, bytes: &[u8]) {
        self.add(name, bytes);
        self.add(&format!("{name}-short"), bytes.split_last().map_or(bytes, |(_, rest)| rest));
        self.add(&format!("{name}-half"), bytes.split_at(bytes.len() / 2).0);
        self.add(&format!("{name}-long"), [bytes, &[0]].concat());
    }

    /// An input with other bytes at one place.
    fn add_patched(&mut self, name: &str, bytes: &[u8], at: usize, patch: &[u8]) {
        let mut bytes = bytes.to_vec();
        bytes.splice(at..at + patch.len(), patch.iter().copied());
        self.add(name, bytes);
    }
}

/// All inputs.
pub(super) fn corpus() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (target, make) in [
        ("record", records as fn(&mut Corpus<'_>)),
        ("nearby", steps),
        ("bundle", bundles),
        ("item", items),
        ("frame", frames),
        ("frame_pieces", frame_pieces),
        ("link_text", link_texts),
        ("card", cards),
        ("name", names),
        ("exchange_state", exchange_states),
        ("exchange_bundle", exchange_bundles),
        ("exchange_request", exchange_requests),
        ("ratchet_state", ratchet_states),
        ("skipped_key", skipped_keys),
        ("ratchet_header", ratchet_headers),
        ("ratchet_pair", ratchet_pairs),
        ("session_message", session_messages),
        ("session_pair", session_pairs),
        ("ranges", ranges),
        ("reconcile_pair", reconcile_pairs),
    ] {
        make(&mut Corpus { target, inputs: &mut inputs });
    }
    inputs
}

fn records(out: &mut Corpus<'_>) {
    let records = [
        ("hello", Record::Hello(Hello { beacon: BeaconId([1; 8]), hour: Hour(496_000), window: 262_144, carries: true })),
        ("offer", Record::Offer { batch: 3, ids: vec![ShortId([2; 8]), ShortId([3; 8])] }),
        ("pick", Record::Pick { batch: 3, wanted: vec![0xc0] }),
        ("want", Record::Want(vec![ShortId([3; 8])])),
        ("bundle", Record::Bundle { age: 5, copies: COPIES_UNLIMITED, bytes: header(0, 4).encode().to_vec() }),
        ("stored", Record::Stored(vec![ShortId([4; 8]), ShortId([5; 8])])),
        ("refused", Record::Refused(vec![(ShortId([6; 8]), Refusal::Time), (ShortId([7; 8]), Refusal::Malformed)])),
        ("ack", Record::Ack(vec![[8; 16]])),
        ("ranges", Record::Ranges(vec![1, 0x7f, 0, 0])),
        ("cursor", Record::Cursor { own_epoch: [8; 8], epoch: [9; 8], sequence: u64::MAX }),
        ("mark", Record::Mark { epoch: [9; 8], sequence: 77 }),
        ("upgrade", Record::Upgrade([1; 32])),
        ("ping", Record::Ping),
        ("pong", Record::Pong),
        ("bye", Record::Bye(ByeReason::Myself)),
        ("name", Record::Name(Name::new("Żółw 7").expect("a name"))),
    ];
    for (name, record) in &records {
        out.add(name, record.encode());
        out.add(&format!("{name}-short"), record.encode().split_last().map_or(&[][..], |(_, rest)| rest));
    }
    let hello = records[0].1.encode();
    out.add_patched("hello-window-0", &hello, 13, &[0; 4]);
    out.add_patched("hello-window-max", &hello, 13, &[0xff; 4]);
    out.add_patched("hello-flags", &hello, 17, &[0xff]);
    out.add("want-257", [&[4][..], &[1; 8 * 257]].concat());
    out.add("refused-reason", [&[7][..], &[0; 9]].concat());
    let name = records[15].1.encode();
    out.add_patched("name-filling", &name, 51, &[1]);
    out.add("unknown", [0x12, 0]);
    out.add("ranges-too-long", [9; 4098]);
}

/// Steps of NEARBY, without the type of their record.
fn steps(out: &mut Corpus<'_>) {
    let here = Step::Here { version: NEARBY_VERSION, name: Name::new("Żółw 7").expect("a name") };
    let steps = [
        ("here", here),
        ("gone", Step::Gone),
        ("choose", Step::Choose),
        ("commit", Step::Commit { secret: [1; 16], key: [2; 32], commitment: [3; 32] }),
        ("request", Step::Request(Box::new([4; 4_096]))),
        ("open", Step::Open { nonce: [5; 32], reply: Box::new([6; 4_096]) }),
        ("prove", Step::Prove { held: [7; 16], proof: [8; 32] }),
        ("confirm", Step::Confirm([9; 32])),
        ("end", Step::End(End::Differ)),
    ];
    for (name, step) in steps {
        let record = Record::Nearby(step).encode();
        let bytes = &record[1..];
        out.add(name, bytes);
        out.add(&format!("{name}-short"), &bytes[..bytes.len() - 1]);
        if bytes.len() < 100 {
            out.add(&format!("{name}-long"), [bytes, &[0]].concat());
        }
        match name {
            "here" => {
                out.add_patched("here-version-0", bytes, 1, &[0]);
                out.add_patched("here-version-2", bytes, 1, &[2]);
                out.add_patched("here-filling", bytes, 52, &[1]);
            }
            "end" => out.add_patched("end-reason", bytes, 1, &[4]),
            _ => {}
        }
    }
    out.add("unknown", [0x0a]);
}

fn header(class: u8, lifetime: usize) -> BundleHeader {
    let class = if class == 0 { Class::Normal } else { Class::Urgent };
    let lifetime = Lifetime::ALL[lifetime];
    BundleHeader { class, lifetime, created: Hour(490_000), tag: Tag([1; 16]), commitment: Commitment([2; 16]) }
}

fn bundles(out: &mut Corpus<'_>) {
    for (number, size) in BUNDLE_SIZES.into_iter().enumerate() {
        let mut bytes = header(number as u8 % 2, number).encode().to_vec();
        bytes.resize(size, 9);
        out.add(&format!("{size}"), &bytes);
        out.add(&format!("{size}-short"), &bytes[..size - 1]);
    }
    let mut bytes = header(0, 4).encode().to_vec();
    bytes.resize(512, 0);
    for (name, at, patch) in [
        ("version-2", 0, &[2][..]),
        ("class-2", 1, &[2]),
        ("lifetime-5", 2, &[5]),
        ("reserved", 3, &[1]),
        ("created-unknown", 4, &[0; 4]),
        ("created-last", 4, &[0xff; 4]),
        ("reserved-end", 40, &[0x80]),
    ] {
        out.add_patched(name, &bytes, at, patch);
    }
}

fn items(out: &mut Corpus<'_>) {
    let text = |order, text: &str| Item::Text(Text { id: MessageId([1; 16]), sent: UnixMillis(u64::MAX), order, text: text.into() });
    let manifest = |length, created| {
        Item::Manifest(Manifest {
            id: MessageId([3; 16]),
            sent: UnixMillis(u64::MAX),
            order: u64::MAX,
            length,
            created: Hour(created),
            key: [4; 32].into(),
            hash: [5; 32],
        })
    };
    let ranges = |count| (0..count).map(|n| NumberRange { first: 7 * n, count: 3 }).collect::<Vec<_>>();
    let all = [
        ("text", text(u64::MAX, "hé\u{202e}\u{0}")),
        ("text-longest", text(0, &"a".repeat(3_900))),
        ("text-too-long", text(0, &"a".repeat(3_901))),
        ("text-empty", text(0, "")),
        ("receipt", Item::Receipt(ranges(3))),
        ("receipt-200", Item::Receipt(ranges(200))),
        ("receipt-201", Item::Receipt(ranges(201))),
        ("ask-64", Item::Ask(ranges(64))),
        ("ask-65", Item::Ask(ranges(65))),
        ("ask-everything", Item::Ask(vec![NumberRange { first: 0, count: u32::MAX }])),
        ("ask-beyond", Item::Ask(vec![NumberRange { first: 1, count: u32::MAX }])),
        ("ask-none", Item::Ask(vec![NumberRange { first: 1, count: 0 }])),
        ("read", Item::Read { order: u64::MAX, id: MessageId([0xff; 16]) }),
        ("manifest", manifest(500_000, 490_000)),
        ("manifest-of-4-gib", manifest(u32::MAX, u32::MAX)),
        ("manifest-of-nothing", manifest(0, 490_000)),
        ("manifest-without-an-hour", manifest(1, 0)),
        ("complete", Item::Complete(MessageId([2; 16]))),
        ("pq-key", Item::PqKey { epoch: u32::MAX, key: Box::new([5; KEM_KEY_LEN]) }),
        ("pq-ciphertext", Item::PqCiphertext { epoch: 0, ciphertext: Box::new([6; KEM_CIPHERTEXT_LEN]) }),
    ];
    let mut together = Vec::new();
    for (name, item) in &all {
        let mut body = Vec::new();
        item.encode(&mut body);
        out.add(name, &body);
        if ["text", "receipt", "read", "manifest", "complete"].contains(name) {
            together.extend_from_slice(&body);
        }
    }
    out.add_with_cuts("together", &together);
    out.add("filled", [&together[..], &[0; 9]].concat());
    out.add("filled-badly", [&together[..], &[0, 0, 1]].concat());
    out.add("unknown", [&[0x77, 0, 2, 9, 9][..], &together].concat());
    out.add("unknown-empty-ones", [0x77, 0, 0].repeat(300));
    out.add("empty-receipts", [0x02, 0, 0].repeat(1_314));
    out.add("length-beyond", [0x01, 0xff, 0xff, 0]);
}

fn stream() -> Vec<u8> {
    let mut stream = Vec::new();
    for length in [1, 2, 300, 17] {
        encode_frame(&vec![length as u8; length], &mut stream).expect("a length that fits");
    }
    stream
}

fn frames(out: &mut Corpus<'_>) {
    out.add_with_cuts("stream", &stream());
    out.add("empty-message", [0, 0]);
    out.add("too-long", [0x40, 0x11, 1]);
    out.add("longest-begun", [0x40, 0x10, 1]);
    out.add("good-then-bad", [&stream()[..], &[0xff, 0xff]].concat());
}

fn frame_pieces(out: &mut Corpus<'_>) {
    for size in [1_u8, 2, 3, 255] {
        out.add(&format!("stream-by-{size}"), [&[size - 1][..], &stream()].concat());
    }
    out.add("bad-by-1", [&[0][..], &stream(), &[0, 0, 0, 1, 7]].concat());
    out.add("nothing", []);
    out.add("half-a-length", [0, 1]);
}

fn link_texts(out: &mut Corpus<'_>) {
    let scene = Scene::new();
    let (text, upper) = (scene.issued.link().to_text(), scene.issued.link().to_qr_text());
    out.add_with_cuts("text", text.as_bytes());
    out.add("upper", upper.as_bytes());
    out.add("in-a-sentence", format!("see <{}>, or not", text.as_str()));
    let wrapped: Vec<String> = text.as_bytes().chunks(30).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    out.add("wrapped", wrapped.join("\r\n  "));
    out.add("second-is-good", format!("hedgerow:abc hedgerow: {}", text.as_str()));
    out.add("schemes", "hedgerow:".repeat(455));
    out.add("scheme-and-blanks", format!("hedgerow:{}", " ".repeat(4_000)));
    out.add("too-long-a-text", format!("{} {}", text.as_str(), " ".repeat(4_096)));
    out.add("not-utf8", [&[0xff, 0xfe][..], text.as_bytes()].concat());
    out.add_patched("typo", text.as_bytes(), 50, b"1");
    out.add("no-clock", IssuedLink::new(Hour::UNKNOWN, &mut ChaCha20Rng::seed_from_u64(1)).link().to_text().as_bytes());
    out.add("last-hour", IssuedLink::new(Hour(u32::MAX), &mut ChaCha20Rng::seed_from_u64(1)).link().to_text().as_bytes());
}

fn cards(out: &mut Corpus<'_>) {
    let card = Device::generate(&mut ChaCha20Rng::seed_from_u64(3)).card().encode();
    out.add_with_cuts("card", &card);
    for (name, at, patch) in [
        ("other-device", 0, &[0xff][..]),
        ("identity-zero", 16, &[0; 32]),
        ("agreement-low", 48, &[0; 32]),
        ("kem-modulus", 80, &[0xff; 3]),
        ("signature-zero", 1_264, &[0; 64]),
        ("signature-scalar-high", 1_327, &[0xff]),
    ] {
        out.add_patched(name, &card, at, patch);
    }
}

fn names(out: &mut Corpus<'_>) {
    for (name, text) in [
        ("plain", "Alma"),
        ("blanks", "  Alma B.\u{a0}\u{3000}"),
        ("longest", &"a".repeat(50)),
        ("too-long", &"a".repeat(51)),
        ("too-long-in-bytes", &"é".repeat(26)),
        ("empty", ""),
        ("only-blanks", " \t\u{2028}"),
        ("override", "a\u{202e}b"),
        ("tag-character", "a\u{e0041}"),
        ("combining", "Z\u{351}\u{351}\u{351}\u{351}"),
        ("emoji", "🌿 hedge"),
        ("control", "a\u{7}b"),
    ] {
        out.add(name, text);
    }
    out.add("not-utf8", [b'a', 0xc3, 0x28]);
}

fn exchange_states(out: &mut Corpus<'_>) {
    let mut scene = Scene::new();
    out.add_with_cuts("device", &scene.issuer.encode());
    out.add_with_cuts("issued", &scene.issued.encode());
    let pending = scene.pending.encode();
    out.add_with_cuts("pending", &pending);
    out.add_patched("pending-key-low", &pending, 22, &[0; 32]);
    out.add_patched("pending-name-long", &pending, 54, &[0xff]);
    out.add_patched("pending-version", &pending, 0, &[2]);
    let envelope = scene.issued.link().envelope(NOW);
    let request = scene.pending.request(&scene.invitee, 0, b"", envelope, &mut scene.rng).expect("a first try").bundle;
    let request = scene.issued.open_request(&scene.issuer, &request).expect("it opens");
    let answerer = Answerer { device: &scene.issuer, name: &Name::new("Alma").expect("a name"), held: &[0; 16] };
    let accepted = scene.issued.accept(answerer, &request, 0, envelope, &mut scene.rng).expect("a first reply");
    out.add("reply", accepted.reply.encode());
    out.add("reply-short", &accepted.reply.encode()[..3_000]);
}

fn exchange_bundles(out: &mut Corpus<'_>) {
    let mut scene = Scene::new();
    let envelope = scene.issued.link().envelope(NOW);
    let bundle = scene.pending.request(&scene.invitee, 15, b"", envelope, &mut scene.rng).expect("the last try").bundle;
    out.add("request", bundle.bytes());
    out.add_patched("request-header", bundle.bytes(), 60, &[0xff]);
    out.add_patched("request-body", bundle.bytes(), 4_000, &[0xff]);
    let request = scene.issued.open_request(&scene.issuer, &bundle).expect("it opens");
    let answerer = Answerer { device: &scene.issuer, name: &Name::new("Alma").expect("a name"), held: &[0; 16] };
    let accepted = scene.issued.accept(answerer, &request, 2, envelope, &mut scene.rng).expect("a reply");
    out.add("reply", accepted.bundle.bundle.bytes());
    out.add_patched("reply-tag", accepted.bundle.bundle.bytes(), 8, &[0xff]);
    let used = scene.issued.refuse(&request, 3, envelope, &mut scene.rng).expect("a reply");
    out.add("used", used.bundle.bytes());
}

fn exchange_requests(out: &mut Corpus<'_>) {
    let mut scene = Scene::new();
    let envelope = scene.issued.link().envelope(NOW);
    let bundle = scene.pending.request(&scene.invitee, 2, b"", envelope, &mut scene.rng).expect("a try").bundle;
    let (keys, _) = scene.request_keys(2);
    let header = open_header(&keys.header, &bundle).expect("its own header");
    let body = open_body(&keys.message, &header, &bundle).expect("its own body").plaintext;
    let body = &body[..body.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)];
    let input = [&[2][..], &[0; 24], body].concat();
    out.add("request", &input);
    out.add("request-with-items", [&input[..], &[0x01, 0xff, 0xff]].concat());
    let at = |offset: usize| 1 + 24 + offset;
    out.add_patched("filling", &input, 5, &[1]);
    out.add_patched("card", &input, at(0), &[0xff]);
    out.add_patched("k-modulus", &input, at(1_328), &[0xff; 3]);
    out.add_patched("r-low", &input, at(1_328 + 1_184), &[0; 32]);
    out.add_patched("name-length", &input, at(1_328 + 1_184 + 32), &[0xff]);
    out.add_patched("name-filling", &input, at(1_328 + 1_184 + 32 + 50), &[1]);
    out.add_patched("proof", &input, at(1_328 + 1_184 + 32 + 51), &[0]);
    out.add("nothing", []);
    out.add("zeros", [0; 60]);
}

/// States of every shape: fresh, with gaps, in each phase of a hybrid step.
fn states() -> Vec<(&'static str, Vec<u8>)> {
    let rng = &mut ChaCha20Rng::seed_from_u64(21);
    let [mut issuer, mut invitee] = pair(rng);
    let mut states = vec![("issuer", issuer.encode().to_vec()), ("invitee", invitee.encode().to_vec())];
    let read = |reader: &mut Ratchet, bundle: &hedgerow_sync::wire::bundle::Bundle, rng: &mut ChaCha20Rng| {
        let place = reader.expected().into_iter().find(|(tag, _)| *tag == bundle.header().tag).map(|(_, place)| place);
        reader.open(place.expect("its tag is expected"), bundle, rng).expect("it opens")
    };
    let sealed: Vec<_> = (0..60).map(|_| issuer.seal(envelope(490_000), b"text", 0, rng).expect("the window is open").bundle).collect();
    for index in [1, 4, 9] {
        read(&mut invitee, &sealed[index], rng);
    }
    states.push(("gaps", invitee.encode().to_vec()));
    let Some(PqItem::Key { epoch, key }) = issuer.poll_pq_item(Hour(490_000), rng) else { panic!("a key is due") };
    states.push(("offered", issuer.encode().to_vec()));
    assert!(invitee.handle_pq_key(epoch, &key, rng));
    let Some(PqItem::Ciphertext { epoch, ciphertext }) = invitee.poll_pq_item(Hour(490_001), rng) else { panic!("an answer is due") };
    states.push(("answered", invitee.encode().to_vec()));
    assert!(issuer.handle_pq_ciphertext(epoch, &ciphertext));
    states.push(("decapsulated", issuer.encode().to_vec()));
    let answer = invitee.seal(envelope(490_001), b"text", 0, rng).expect("the window is open").bundle;
    read(&mut issuer, &answer, rng);
    states.push(("turned", issuer.encode().to_vec()));
    states
}

fn ratchet_states(out: &mut Corpus<'_>) {
    let states = states();
    for (name, state) in &states {
        out.add(name, state);
        out.add(&format!("{name}-half"), &state[..state.len() / 2]);
    }
    let (_, state) = &states[1];
    // Offsets are those of `Ratchet::encode`.
    for (name, at, patch) in [
        ("version", 0, &[2][..]),
        ("start-last", 129, &[0xff; 4]),
        ("length-last", 133, &[0xff; 4]),
        ("all-numbers-used", 129, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        ("previous-last", 137, &[0xff; 4]),
        ("flag", 145, &[2]),
        ("receiving-index-last", 211, &[0xff; 4]),
        ("receiving-start-last", 215, &[0xff; 4]),
        ("receiving-next-last", 227, &[0xff; 4]),
        ("confirmed-last", 359, &[0xff; 4]),
        ("floor-last", 363, &[0xff; 4]),
        ("count-last", 367, &[0xff; 4]),
        ("peer-confirmed-last", 371, &[0xff; 4]),
        ("own-floor-last", 375, &[0xff; 4]),
    ] {
        out.add_patched(name, state, at, patch);
    }
    out.add("long", [&state[..], &[0]].concat());
}

fn skipped_keys(out: &mut Corpus<'_>) {
    let bytes: Vec<u8> = (0..68).collect();
    out.add_with_cuts("key", &bytes);
    out.add("last", [0xff; 68]);
}

/// One header of `targets::ratchet::ratchet_header`.
fn hostile(shape: u8, ahead: u8, numbers: &[u32]) -> Vec<u8> {
    let mut bytes = vec![shape, 7, ahead];
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
    bytes
}

fn ratchet_headers(out: &mut Corpus<'_>) {
    let (last, below) = (u32::MAX, u32::MAX - 1);
    let cases: [(&str, Vec<Vec<u8>>); 18] = [
        ("honest", vec![hostile(0, 0, &[]), hostile(0, 0, &[]), hostile(1, 0, &[]), hostile(0, 3, &[])]),
        ("far-ahead", vec![hostile(2, 127, &[]), hostile(2, 127, &[])]),
        ("turns", vec![hostile(1, 0, &[]); 8]),
        ("next-far", vec![hostile(1, 255, &[]), hostile(1, 255, &[])]),
        ("next-too-far", vec![hostile(3, 32, &[])]),
        ("other-key-in-chain", vec![hostile(4, 0, &[])]),
        ("place-differs", vec![hostile(8, 0, &[0, 1, 0])]),
        ("previous-last", vec![hostile(9, 0, &[last, 0, 0])]),
        ("previous-2000", vec![hostile(9, 0, &[2_000, 0, 0]), hostile(9, 0, &[2_000, 0, 0])]),
        ("previous-2001", vec![hostile(9, 0, &[2_001, 0, 0])]),
        ("pq-unknown", vec![hostile(9, 0, &[0, 0, 1])]),
        ("pq-last", vec![hostile(9, 0, &[0, 0, last])]),
        ("confirmed-last", vec![hostile(16, 0, &[last, 0])]),
        ("floor-above", vec![hostile(16, 0, &[0, 1])]),
        ("floor-last", vec![hostile(16, 0, &[0, last])]),
        ("floor-equal", vec![hostile(0, 0, &[]), hostile(16, 9, &[0, 10]), hostile(0, 0, &[])]),
        ("floor-almost-last", vec![hostile(25, 1, &[below, 0, 0, 0, below])]),
        ("skips-pile-up", vec![hostile(2, 124, &[]), hostile(1, 200, &[]), hostile(2, 124, &[]), hostile(1, 200, &[])]),
    ];
    for (name, headers) in cases {
        out.add(name, [&[0][..], &headers.concat()].concat());
    }
    out.add("first-chain", [&[1][..], &hostile(1, 0, &[]), &hostile(0, 0, &[])].concat());
    out.add("first-chain-previous", [&[1][..], &hostile(9, 0, &[1, 0, 0])].concat());
}

/// `count` random bytes.
fn random(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

fn ratchet_pairs(out: &mut Corpus<'_>) {
    // Operations of `ratchet_pair`: seal 0 and 1, deliver the oldest 4 and 5, any 6 and 7, lose 8 and 9, restart 10, hybrid 12 and 13.
    out.add("back-and-forth", [0, 4, 1, 5].repeat(20));
    out.add("newest-first", [vec![0; 15], [0xe6, 0xd6, 0xc6, 0xb6].repeat(4), vec![1, 5, 0, 4]].concat());
    out.add("losses", [0, 0x10, 8, 4, 1, 0x11, 9, 5, 10, 11].repeat(10));
    out.add("hybrid", [[0, 4, 1, 5].repeat(13), [0xfc, 4, 0xfd, 5].repeat(7)].concat());
    out.add("silence", vec![0; 80]);
    for seed in 0..4 {
        out.add(&format!("random-{seed}"), random(seed, 80));
    }
    out.add("nothing", []);
}

fn session_messages(out: &mut Corpus<'_>) {
    use hedgerow_sync::session::{Role, Session};
    let piece = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let first = Session::new(Role::Initiator, rng).poll_message().expect("the first message");
    out.add("first", [vec![1], piece(&first)].concat());
    out.add("first-twice", [vec![1], piece(&first), piece(&first)].concat());
    out.add("first-short", [vec![1], piece(&first[..33])].concat());
    out.add("first-long", [vec![1], piece(&[&first[..], &[2; 9]].concat())].concat());
    for (name, list) in
        [("none", &[0, 1][..]), ("descending", &[2, 2, 1]), ("later-only", &[1, 9]), ("eight", &[8, 1, 2, 3, 4, 5, 6, 7, 8])]
    {
        out.add(&format!("versions-{name}"), [vec![1], piece(&[&first[..32], list].concat())].concat());
    }
    out.add("key-low", [vec![1], piece(&[&[0; 32][..], &[1, 1]].concat())].concat());
    out.add("to-initiator", [vec![0], piece(&first)].concat());
    out.add("second-forged", [vec![0], piece(&[7; 49])].concat());
    for stage in 1..=6_u8 {
        for (name, length) in [("list", 1_040), ("confirmation", 48), ("record", 17)] {
            let shape = stage << 1 | stage & 1 | if stage % 2 == 0 { 0x40 } else { 0 };
            out.add(&format!("stage-{stage}-{name}"), [vec![shape], piece(&vec![stage; length])].concat());
        }
    }
    out.add("nothing", []);
}

fn session_pairs(out: &mut Corpus<'_>) {
    // Operations of `session_pair`: deliver 0 and 1, list 4 and 5, confirm 6 and 7 (0x10: knows the other), record 8 and 9 and its length,
    // change 10 and 11, double 12 and 13, lose 14 and 15.
    let opening = |knows: u8| [0, 1, 4, 5, 0, 1, 6 | knows, 7 | knows, 0, 1];
    out.add("strangers", [&opening(0)[..], &[8, 5, 9, 200, 0, 1]].concat());
    out.add("friends", [&opening(0x10)[..], &[8, 5, 0, 9, 200, 1, 0x18, 252, 0]].concat());
    out.add("one-knows", [&opening(0)[..7], &[0x17, 0, 1, 8, 5, 0]].concat());
    out.add("record-empty", [&opening(0)[..], &[8, 0]].concat());
    out.add("record-too-long", [&opening(0)[..], &[0x18, 255]].concat());
    out.add("record-before-open", [&opening(0)[..8], &[8, 5]].concat());
    out.add("record-changed", [&opening(0x10)[..], &[8, 5, 10, 0, 0, 0, 3, 0]].concat());
    out.add("record-twice", [&opening(0x10)[..], &[8, 5, 8, 6, 12, 0, 0]].concat());
    out.add("record-lost", [&opening(0x10)[..], &[8, 5, 8, 6, 8, 7, 0, 14, 0]].concat());
    out.add("first-changed", [&[10, 0, 0, 0, 33][..], &opening(0)].concat());
    out.add("second-changed", [&[0, 11, 0, 0, 0, 40][..], &opening(0)[1..]].concat());
    out.add("list-twice", [&opening(0)[..4], &[4]].concat());
    out.add("list-late", [0, 1, 4, 0, 4, 5, 1, 6, 7, 0, 1]);
    out.add("confirm-early", [0, 1, 6]);
    for seed in 0..4 {
        out.add(&format!("random-{seed}"), [&opening(seed as u8 & 1)[..], &random(seed, 80)].concat());
    }
    out.add("nothing", []);
}

fn ranges(out: &mut Corpus<'_>) {
    let piece = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    // What a node with nothing, and one with much, says to an initiator of another kind.
    let view = SessionView { cut: CUT, empty: false };
    let mut answers = Vec::new();
    for shape in [0_u8, 3] {
        let mut node = Reconciler::new(SESSION, true, view);
        let mut set = hedgerow_sync::reconcile::ItemSet::new();
        for number in 0..if shape == 0 { 0 } else { 600 } {
            set.insert(super::targets::reconcile::hour(number), super::targets::reconcile::id(number), None, true);
        }
        node.start(&set, &mut ChaCha20Rng::seed_from_u64(5));
        while let Some(body) = node.poll_record() {
            answers.push(body);
        }
    }
    for (number, body) in answers.iter().enumerate() {
        for shape in [0_u8, 3, 11] {
            out.add(&format!("question-{number}-to-{shape}"), [vec![shape], piece(body)].concat());
        }
        out.add(&format!("question-{number}-short"), [vec![3], piece(&body[..body.len() - 1])].concat());
    }
    out.add("out-of-turn", [vec![7], piece(&[0, 63])].concat());
    out.add("answer-unasked", [vec![3], piece(&[2, 63])].concat());
    out.add("empty-lists", [vec![3], piece(&[0, 0xbf, 0]).repeat(200)].concat());
    let whole = [&[1, 0x7f][..], &[9; 12]].concat();
    out.add("whole-differs", [vec![3], piece(&whole)].concat());
    out.add("whole-differs-four-times", [vec![3], piece(&whole).repeat(4)].concat());
    out.add("hours-one-by-one", [vec![3], piece(&[&[1][..], &[0, 1].repeat(2_000)].concat())].concat());
    out.add("hours-one-by-one-asked", [vec![3], piece(&[&[1][..], &[&[0x40, 1][..], &[9; 12]].concat().repeat(290)].concat())].concat());
    out.add("bounds-ascend", [vec![3], piece(&[0, 0, 1, 0, 0])].concat());
    out.add("hour-beyond", [vec![3], piece(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1])].concat());
    out.add("prefix-62", [vec![3], piece(&[&[0, 62, 1][..], &[1; 62]].concat())].concat());
    out.add("prefix-zero-end", [vec![3], piece(&[0, 2, 1, 5, 0])].concat());
    out.add("mode-3", [vec![3], piece(&[0, 0xff])].concat());
    out.add("list-257", [vec![3], piece(&[&[0, 0xbf, 0x81, 0x02][..], &[1; 2_100]].concat())].concat());
    out.add("list-twice-the-same", [vec![3], piece(&[&[0, 0xbf, 2][..], &[1; 16], &[0xc0]].concat())].concat());
    out.add("list-bitmap", [vec![3], piece(&[&[0, 0xbf, 1][..], &[1; 8], &[0xff]].concat())].concat());
    out.add("too-long", [vec![3], piece(&[1; 4_097])].concat());
    out.add("flags", [vec![3], piece(&[8])].concat());
    out.add("nothing", []);
}

fn reconcile_pairs(out: &mut Corpus<'_>) {
    // After seed and changes, operations of two bytes: one bundle for side 0 or 1 (with 4: later), 2 a run in both, 3 a far one.
    out.add("both-empty", [0, 0]);
    out.add("one-empty", [&[0, 0][..], &(1..80).flat_map(|number| [0x20, number]).collect::<Vec<_>>()].concat());
    out.add("equal", [&[0, 0][..], &(0..12).flat_map(|number| [2, 8 * number]).collect::<Vec<_>>()].concat());
    out.add("one-differs", [&[0, 0][..], &(0..12).flat_map(|number| [2, 8 * number]).collect::<Vec<_>>(), &[0x21, 250]].concat());
    out.add("random-bounds", [&[15, 0][..], &(0..12).flat_map(|number| [2, 20 * number]).collect::<Vec<_>>(), &[0x20, 249]].concat());
    out.add(
        "changes",
        [&[1, 40][..], &(0..60).flat_map(|number| [4 | number & 1 | 0x20, 4 * number, 2, 4 * number]).collect::<Vec<_>>()].concat(),
    );
    for seed in 0..6 {
        out.add(&format!("random-{seed}"), [&[seed as u8, 0][..], &random(seed, 40 << seed)].concat());
    }
}
