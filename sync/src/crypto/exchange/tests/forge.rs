//! Requests and replies put together by hand, by somebody who knows all keys but may lie.

use super::{super::given::AnswerBase, *};

/// A request put together by hand: every part may be wrong.
pub(super) struct Forgery {
    pub(super) e: Secret<32>,
    pub(super) shown_e: Option<[u8; 32]>,
    pub(super) filling: u8,
    pub(super) card: [u8; CARD_LEN],
    pub(super) agreement: Secret<32>,
    pub(super) k: [u8; kem::KEY_LEN],
    pub(super) r: [u8; 32],
    pub(super) name: [u8; NAME_FIELD_LEN],
}

impl Forgery {
    /// What `device` could honestly send; its agreement key stands at byte 49 of its encoding.
    pub(super) fn honest(device: &Device) -> Self {
        let rng = &mut rng(200);
        Self {
            e: Secret::random(rng),
            shown_e: None,
            filling: 0,
            card: device.card().encode(),
            agreement: Secret::from_slice(&device.encode()[49..81]).unwrap(),
            k: *kem::encapsulation_key(&Secret::random(rng)),
            r: public_half(&Secret::random(rng)),
            name: name("Mallory").encode_field(),
        }
    }

    pub(super) fn seal(&self, link: &Link) -> Bundle {
        let e = self.shown_e.unwrap_or_else(|| public_half(&self.e));
        // With an `e` of low order the shared secret is known to be zero.
        let zero = || Secret::new([0; 32]);
        let el = if self.shown_e.is_some() { zero() } else { agree(&self.e, link.public()).unwrap() };
        let al = agree(&self.agreement, link.public()).unwrap();
        let th1 = RequestTranscript { e: &e, card: &self.card, k: &self.k, r: &self.r, name: &self.name }.hash(link);
        let proof = request_proof(link, &e, &el, &al, &th1);
        let body = [&self.card[..], &self.k, &self.r, &self.name, &proof].concat();
        let mut fields = [self.filling; HEADER_FIELDS_LEN];
        fields[..32].copy_from_slice(&e);
        let keys =
            BundleKeys { tag: link.request_tag(0), header: request_header_key(link, 0), message: request_message_key(link, &e, &el) };
        seal_bundle(&keys, link.envelope(Hour(499_900)), &fields, &body, MAX_BUNDLE_LEN, &mut rng(201)).unwrap().bundle
    }
}

/// A reply put together by hand by an issuer who knows all secrets of the exchange but may lie.
pub(super) struct ReplyForgery {
    pub(super) card: [u8; CARD_LEN],
    pub(super) agreement: Secret<32>,
    pub(super) shown_f: Option<[u8; 32]>,
    pub(super) shown_q: Option<[u8; 32]>,
    pub(super) flip_c1: bool,
    pub(super) flip_c2: bool,
    pub(super) kind: u8,
    pub(super) filling: u8,
}

impl ReplyForgery {
    pub(super) fn honest(device: &Device) -> Self {
        Self {
            card: device.card().encode(),
            agreement: Secret::from_slice(&device.encode()[49..81]).unwrap(),
            shown_f: None,
            shown_q: None,
            flip_c1: false,
            flip_c2: false,
            kind: KIND_REPLY,
            filling: 0,
        }
    }

    pub(super) fn seal(&self, scene: &Scene, request: &Bundle) -> Bundle {
        let link = scene.issued.link();
        let header = open_header(&request_header_key(link, 0), request).unwrap();
        let e: [u8; 32] = *header.first_chunk().unwrap();
        let el = agree(&scene.private(), &e).unwrap();
        let body = open_body(&request_message_key(link, &e, &el), &header, request).unwrap().plaintext;
        let k: [u8; kem::KEY_LEN] = body[CARD_LEN..][..kem::KEY_LEN].try_into().unwrap();
        let th1 = *scene.open(request).unwrap().transcript();

        let rng = &mut rng(300);
        let (f_secret, q_secret) = (Secret::random(rng), Secret::random(rng));
        let f = self.shown_f.unwrap_or_else(|| public_half(&f_secret));
        let q = self.shown_q.unwrap_or_else(|| public_half(&q_secret));
        let zero_or = |shared: Secret<32>| if self.shown_f.is_some() { Secret::new([0; 32]) } else { shared };
        let (mut c1, s1) = kem::encapsulate(&k, rng).unwrap();
        let (mut c2, s2) = kem::encapsulate(scene.boris.card().kem(), rng).unwrap();
        c1[7] ^= u8::from(self.flip_c1);
        c2[7] ^= u8::from(self.flip_c2);
        let secrets = PairSecrets {
            fe: zero_or(agree(&f_secret, &e).unwrap()),
            ae: agree(&self.agreement, &e).unwrap(),
            fa: zero_or(agree(&f_secret, scene.boris.card().agreement()).unwrap()),
            al: agree(&scene.private(), scene.boris.card().agreement()).unwrap(),
            s1,
            s2,
        };
        let (base, name) = (ReplyBase::new(link, e, &el), name("Alma").encode_field());
        let th2 = ReplyTranscript { th1: &th1, f: &f, c1: &c1, card: &self.card, c2: &c2, q: &q, name: &name, held: &[0; 16] }.hash();
        let proof = DerivedKeys::derive(&base, &secrets, &th2).proof(&th2);
        let mut inner = [&self.card[..], c2.as_slice(), &q, &name, &[0; 16], &proof].concat();
        let authenticator = seal_once(&base.inner_key(&f, &secrets.fe, &secrets.s1), &[], &mut inner);
        let body = [&[self.kind], c1.as_slice(), &inner, &authenticator, &[self.filling]].concat();
        let mut fields = [0; HEADER_FIELDS_LEN];
        fields[..32].copy_from_slice(&f);
        let keys = base.bundle_keys(0, base.message_key(&f, &secrets.fe));
        seal_bundle(&keys, scene.envelope(), &fields, &body, MAX_BUNDLE_LEN, rng).unwrap().bundle
    }
}
