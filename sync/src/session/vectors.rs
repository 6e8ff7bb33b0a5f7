//! Test vectors for other implementations: one recognised session, byte by byte, in `sync/tests/data/vectors/session.json`.
//!
//! Written anew by `HEDGEROW_WRITE_VECTORS=1 cargo test -p hedgerow-sync session::vectors`.

use std::{fs, path::Path};

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use data_encoding::HEXLOWER;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::{recognition::rekey, *};
use crate::{crypto::kdf::hash, id::BundleId};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/vectors/session.json");

/// One session; all bytes in hexadecimal. `i` is the initiator, `r` the responder.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Vectors {
    about: String,
    ephemeral_private_i: String,
    ephemeral_private_r: String,
    recognition_key_i_to_r: String,
    recognition_key_r_to_i: String,
    link_key: String,
    message_1: String,
    message_2: String,
    handshake_hash: String,
    noise_key_i: String,
    noise_key_r: String,
    entry_i: String,
    entry_r: String,
    list_i: String,
    list_r: String,
    message_3_i: String,
    message_3_r: String,
    confirm_i: String,
    confirm_r: String,
    message_4_i: String,
    message_4_r: String,
    rekeyed_i: String,
    rekeyed_r: String,
    record_i: String,
    record_r: String,
    message_5_i: String,
    message_5_r: String,
    upgrade_i: String,
    upgrade_r: String,
    bundle_id: String,
    short_id: String,
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn secret(name: &str) -> Secret<32> {
    Secret::new(hash(&[b"hedgerow test vector ", name.as_bytes()]))
}

fn take(session: &mut Session) -> Vec<u8> {
    session.poll_message().unwrap()
}

/// A new session with the first secret that its random source gives, which is the ephemeral key.
fn begin(role: Role, seed: &str) -> (Session, String) {
    let rng = ChaCha20Rng::from_seed(*secret(seed).expose());
    let ephemeral = hex(Secret::<32>::random(&mut rng.clone()).expose());
    (Session::new(role, &mut rng.clone()), ephemeral)
}

fn handshaken(session: &mut Session) -> SessionInfo {
    match session.poll_event() {
        Some(SessionEvent::Handshaken(info)) => info,
        other => panic!("{other:?}"),
    }
}

fn compute() -> Vectors {
    let (mut i, ephemeral_private_i) = begin(Role::Initiator, "initiator");
    let (mut r, ephemeral_private_r) = begin(Role::Responder, "responder");
    let there = || secret("recognition i to r");
    let back = || secret("recognition r to i");
    let link = secret("link key");
    let keys_i = RecognitionKeys::new(there(), back(), link.duplicate());
    let keys_r = RecognitionKeys::new(back(), there(), link.duplicate());

    let message_1 = take(&mut i);
    r.handle_message(&message_1).unwrap();
    let message_2 = take(&mut r);
    i.handle_message(&message_2).unwrap();
    let (info_i, info_r) = (handshaken(&mut i), handshaken(&mut r));
    let State::Recognition(recognition) = &i.state else { panic!("recognition") };
    let (noise_i, noise_r) = (recognition.keys.0.duplicate(), recognition.keys.1.duplicate());

    let mut rng = ChaCha20Rng::from_seed(*secret("lists").expose());
    let list_i = recognition::build_list(std::iter::once(keys_i.own_entry(&info_i)), &mut rng);
    let list_r = recognition::build_list(std::iter::once(keys_r.own_entry(&info_r)), &mut rng);
    i.recognise(&list_i).unwrap();
    r.recognise(&list_r).unwrap();
    let (message_3_i, message_3_r) = (take(&mut i), take(&mut r));
    i.handle_message(&message_3_r).unwrap();
    r.handle_message(&message_3_i).unwrap();
    i.confirm(Verdict::matched(&keys_i, &info_i)).unwrap();
    r.confirm(Verdict::matched(&keys_r, &info_r)).unwrap();
    let (message_4_i, message_4_r) = (take(&mut i), take(&mut r));
    i.handle_message(&message_4_r).unwrap();
    r.handle_message(&message_4_i).unwrap();
    let (record_i, record_r) = ([0x0d], [0x0e]);
    i.seal_record(&record_i).unwrap();
    r.seal_record(&record_r).unwrap();
    let (message_5_i, message_5_r) = (take(&mut i), take(&mut r));
    r.handle_message(&message_5_i).unwrap();
    i.handle_message(&message_5_r).unwrap();

    let bundle = BundleId(*secret("bundle").expose());
    let rekeyed = |sender, noise: &Secret<32>| hex(rekey(sender, &info_i.hash, noise, &link).expose());
    Vectors {
        about: "One recognised session of docs/protocol.md, sections 3 and 4; i is the initiator, r the responder. upgrade_* is computed \
                under the two recognition keys, as if they were those of pair epoch 0."
            .into(),
        ephemeral_private_i,
        ephemeral_private_r,
        recognition_key_i_to_r: hex(there().expose()),
        recognition_key_r_to_i: hex(back().expose()),
        link_key: hex(link.expose()),
        message_1: hex(&message_1),
        message_2: hex(&message_2),
        handshake_hash: hex(&info_i.hash),
        noise_key_i: hex(noise_i.expose()),
        noise_key_r: hex(noise_r.expose()),
        entry_i: hex(&keys_i.own_entry(&info_i)),
        entry_r: hex(&keys_r.own_entry(&info_r)),
        list_i: hex(list_i.as_slice()),
        list_r: hex(list_r.as_slice()),
        message_3_i: hex(&message_3_i),
        message_3_r: hex(&message_3_r),
        confirm_i: hex(keys_i.own_confirmation(&info_i).expose()),
        confirm_r: hex(keys_r.own_confirmation(&info_r).expose()),
        message_4_i: hex(&message_4_i),
        message_4_r: hex(&message_4_r),
        rekeyed_i: rekeyed(Role::Initiator, &noise_i),
        rekeyed_r: rekeyed(Role::Responder, &noise_r),
        record_i: hex(&record_i),
        record_r: hex(&record_r),
        message_5_i: hex(&message_5_i),
        message_5_r: hex(&message_5_r),
        upgrade_i: hex(&keys_i.own_upgrade(&info_i)),
        upgrade_r: hex(&keys_r.own_upgrade(&info_r)),
        bundle_id: hex(&bundle.0),
        short_id: hex(&ShortIds::new(&info_i.hash).short(&bundle).0),
    }
}

#[test]
fn vectors_are_what_they_were() {
    let computed = compute();
    if std::env::var_os("HEDGEROW_WRITE_VECTORS").is_some() {
        fs::create_dir_all(Path::new(PATH).parent().unwrap()).unwrap();
        fs::write(PATH, serde_json::to_string_pretty(&computed).unwrap() + "\n").unwrap();
    }
    let stored: Vectors = serde_json::from_slice(&fs::read(PATH).unwrap()).unwrap();
    assert_eq!(computed, stored);
}

#[test]
fn sealed_messages_open_with_the_named_keys_and_running_nonces() {
    let stored = compute();
    let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    for (key, nonce, message, plaintext) in [
        (&stored.noise_key_i, 0_u64, &stored.message_3_i, &stored.list_i),
        (&stored.noise_key_r, 0, &stored.message_3_r, &stored.list_r),
        (&stored.noise_key_i, 1, &stored.message_4_i, &stored.confirm_i),
        (&stored.noise_key_r, 1, &stored.message_4_r, &stored.confirm_r),
        (&stored.rekeyed_i, 2, &stored.message_5_i, &stored.record_i),
        (&stored.rekeyed_r, 2, &stored.message_5_r, &stored.record_r),
    ] {
        // Noise, section 12.3: 32 zero bits and the counter, little-endian.
        let nonce: [u8; 12] = [&[0; 4][..], &nonce.to_le_bytes()].concat().try_into().unwrap();
        let cipher = ChaCha20Poly1305::new_from_slice(&bytes(key)).unwrap();
        assert_eq!(hex(&cipher.decrypt(&nonce.into(), bytes(message).as_slice()).unwrap()), *plaintext);
    }
}
