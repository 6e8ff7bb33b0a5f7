//! Vectors: `ratchet.json` is another implementation's word on root and message chains; `ratchet-own.json` is ours on the rest, for
//! whoever writes another node. It holds fixed keys of both parties and what must come of them:
//!
//! - `pair`: the outcome of a contact exchange, as the issuer has it;
//! - `first_chain`: tag, header key and message key of the first messages of the issuer's first chain;
//! - `bundle`: a bundle whose header ends with the random bytes given, under the first of these keys;
//! - `hybrid`: root and pair secret after a hybrid step, and the keys of the pair epoch.
//!
//! The file is written anew by `HEDGEROW_WRITE_VECTORS=1 cargo test -p hedgerow-sync own_vectors`.

use std::convert::Infallible;

use data_encoding::HEXLOWER;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};

use super::*;
use crate::crypto::{
    bundle_seal::{RANDOM_LEN, open_body, open_header},
    ratchet::chain::mix_into_root,
};

const FOREIGN: &str = include_str!("../../../../tests/data/vectors/ratchet.json");
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/vectors/ratchet-own.json");

fn hex(bytes: &[u8]) -> Value {
    HEXLOWER.encode(bytes).into()
}

fn secret(value: &Value) -> Secret<32> {
    Secret::from_slice(&HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()).unwrap()
}

/// Gives out one byte again and again.
struct Constant(u8);

impl TryRng for Constant {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Constant {}

#[test]
fn root_and_message_chains_are_those_of_the_python_package() {
    let vectors: Value = serde_json::from_str(FOREIGN).unwrap();
    let steps = vectors["steps"].as_array().unwrap();
    let mut with_messages = 0;
    for step in steps {
        let own = RatchetKey::new(secret(&step["private"]));
        assert_eq!(hex(own.public()), step["public"]);
        let shared = own.agree(secret(&step["other_public"]).expose()).unwrap();
        let derived = root_step(&secret(&step["root"]), &shared);
        assert_eq!(hex(derived.root.expose()), step["next_root"]);
        assert_eq!(hex(derived.chain.expose()), step["chain"]);
        let mut messages = MessageChain::new(derived.chain);
        for key in step["message_keys"].as_array().into_iter().flatten() {
            assert_eq!(hex(messages.step().expose()), *key);
            with_messages += 1;
        }
    }
    assert!(steps.len() >= 6 && with_messages >= 18);
}

#[test]
fn the_ratchet_makes_the_root_steps_of_the_python_package() {
    let vectors: Value = serde_json::from_str(FOREIGN).unwrap();
    let steps = vectors["steps"].as_array().unwrap();
    let of = |owner: &str| steps.iter().filter(|step| step["owner"] == owner).collect::<Vec<_>>();
    let (issuer_steps, invitee_steps) = (of("issuer"), of("invitee"));
    let keys = |role, step: &Value| PairKeys {
        role,
        root: secret(&step["root"]),
        issuer_header: Secret::new([1; 32]),
        invitee_header: Secret::new([2; 32]),
        pair_secret: Secret::new([3; 32]),
        own_ratchet: secret(&step["private"]),
        other_ratchet: *secret(&step["other_public"]).expose(),
    };
    // Each fresh private key of the vectors is one byte repeated.
    let fresh = |step: &Value| Constant(secret(&step["private"]).expose()[0]);
    let check = |ratchet: &Ratchet, step: &Value| {
        assert_eq!(hex(ratchet.root.expose()), step["next_root"]);
        assert_eq!(hex(ratchet.sending.messages.key().expose()), step["chain"]);
        assert_eq!(hex(ratchet.sending.ratchet.public()), step["public"]);
    };
    let mut issuer = Device::new(Ratchet::new(keys(PairRole::Issuer, issuer_steps[0]), true, &mut Constant(0)).unwrap());
    check(&issuer.ratchet, issuer_steps[0]);
    let mut invitee = Device::new(Ratchet::new(keys(PairRole::Invitee, invitee_steps[0]), false, &mut fresh(invitee_steps[1])).unwrap());
    check(&invitee.ratchet, invitee_steps[1]);

    // Two root steps a turn: receiving, then sending with the fresh key.
    let turn = |sender: &mut Device, receiver: &mut Device, steps: &[&Value]| {
        let message = sender.seal(b"turn", &mut rng(1));
        let place = receiver.tags[&message.bundle.header().tag];
        let opened = receiver.ratchet.open(place, &message.bundle, &mut fresh(steps[1])).unwrap();
        assert!(opened.new_chain);
        receiver.tags.extend(opened.expect);
        check(&receiver.ratchet, steps[1]);
    };
    turn(&mut invitee, &mut issuer, &issuer_steps[1..3]);
    turn(&mut issuer, &mut invitee, &invitee_steps[2..4]);
    turn(&mut invitee, &mut issuer, &issuer_steps[3..5]);
}

fn own_vectors() -> Value {
    let [root, issuer_header, invitee_header, pair_secret, q, r] = [0x10, 0x20, 0x30, 0x40, 0x51, 0x61].map(|byte| [byte; 32]);
    let other_ratchet = *RatchetKey::new(Secret::new(r)).public();
    let keys = || PairKeys {
        role: PairRole::Issuer,
        root: Secret::new(root),
        issuer_header: Secret::new(issuer_header),
        invitee_header: Secret::new(invitee_header),
        pair_secret: Secret::new(pair_secret),
        own_ratchet: Secret::new(q),
        other_ratchet,
    };
    let mut issuer = Ratchet::new(keys(), true, &mut Constant(0)).unwrap();
    let first = root_step(&Secret::new(root), &RatchetKey::new(Secret::new(q)).agree(&other_ratchet).unwrap());
    let (mut tags, mut messages) = (TagChain::new(Secret::new(issuer_header)), MessageChain::new(first.chain));
    let first_chain: Vec<Value> = (0..3)
        .map(|n| {
            let (tag, header) = tags.step();
            json!({ "n": n, "tag": hex(&tag.0), "header_key": hex(header.expose()), "message_key": hex(messages.step().expose()) })
        })
        .collect();
    let random = 0xa5;
    let sealed = issuer.seal(envelope(490_000), b"sealed", 0, &mut Constant(random)).unwrap();
    let shared = Secret::new([0x77; 32]);
    let mixed = mix_into_root(&Secret::new(root), &shared);
    let mut hybrid = Hybrid::new(PairRole::Issuer, true, Secret::new(pair_secret));
    hybrid.push_epoch(1, &shared);
    let epochs: Vec<Value> = hybrid
        .recognition()
        .map(|keys| {
            let PairEpochKeys { epoch, own, other, link } = keys;
            json!({
                "epoch": epoch,
                "issuer_to_invitee": hex(own.expose()),
                "invitee_to_issuer": hex(other.expose()),
                "link_key": hex(link.expose()),
            })
        })
        .collect();
    json!({
        "pair": {
            "root": hex(&root),
            "issuer_header": hex(&issuer_header),
            "invitee_header": hex(&invitee_header),
            "pair_secret": hex(&pair_secret),
            "q_private": hex(&q),
            "r_private": hex(&r),
            "r_public": hex(&other_ratchet),
        },
        "first_chain": first_chain,
        "next_root": hex(first.root.expose()),
        "next_header_key": hex(first.next_header.expose()),
        "bundle": {
            "created_hour": 490_000,
            "class": 0,
            "lifetime": 3,
            "header_random": hex(&[random; RANDOM_LEN]),
            "body": hex(b"sealed"),
            "ack_secret": hex(sealed.ack.expose()),
            "bytes": hex(sealed.bundle.bytes()),
        },
        "hybrid": {
            "shared": hex(shared.expose()),
            "root_before": hex(&root),
            "root_after": hex(mixed.expose()),
            "pair_secret_1": hex(hybrid.secrets[1].1.expose()),
            "epochs": epochs,
        },
    })
}

#[test]
fn own_vectors_hold() {
    let vectors = own_vectors();
    if std::env::var_os("HEDGEROW_WRITE_VECTORS").is_some() {
        std::fs::write(OWN, format!("{}\n", serde_json::to_string_pretty(&vectors).unwrap())).unwrap();
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(OWN).unwrap()).unwrap();
    assert_eq!(written, vectors);

    // The bundle opens with the keys that the file lists, without a ratchet.
    let bundle = Bundle::decode(HEXLOWER.decode(written["bundle"]["bytes"].as_str().unwrap().as_bytes()).unwrap()).unwrap();
    let keys = &written["first_chain"][0];
    assert_eq!(hex(&bundle.header().tag.0), keys["tag"]);
    let header = open_header(&secret(&keys["header_key"]), &bundle).unwrap();
    assert_eq!(hex(&header[56..]), written["bundle"]["header_random"]);
    let body = open_body(&secret(&keys["message_key"]), &header, &bundle).unwrap();
    assert_eq!(body.plaintext[..6], *b"sealed");
    assert_eq!(hex(body.ack.expose()), written["bundle"]["ack_secret"]);
}
