#!/usr/bin/env python3
"""Recomputes exchange.json from docs/protocol.md, sections 5.1 and 7, with other implementations of everything.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install cryptography kyber-py && /tmp/venv/bin/python exchange.py

Opens the request as issuer and both replies as invitee, checks cards, proofs and acks, and derives the 160 bytes.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from kyber_py.ml_kem import ML_KEM_768

VECTORS = json.loads(pathlib.Path(__file__).with_name("exchange.json").read_text())


def vector(name):
    return bytes.fromhex(VECTORS[name])


def label(name):
    return b"hedgerow/1 " + name.encode()


def H(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def MAC(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf(salt, ikm, info, length=32):
    return HKDF(algorithm=SHA256(), length=length, salt=salt or None, info=info).derive(ikm)


def dh(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def aead_open(key, associated, sealed):
    return ChaCha20Poly1305(key).decrypt(bytes(12), sealed, associated)


def same(name, got, want):
    if got != want:
        raise SystemExit(f"{name}: got {got!r}, the file has {want!r}")
    print(f"ok  {name}")


class Fields:
    def __init__(self, data):
        self.data = data

    def take(self, length):
        assert len(self.data) >= length, "too short"
        field, self.data = self.data[:length], self.data[length:]
        return field


class Device:
    def __init__(self, encoded):
        fields = Fields(encoded)
        assert fields.take(1) == b"\x01"
        self.id = fields.take(16)
        self.identity = Ed25519PrivateKey.from_private_bytes(fields.take(32))
        self.a = fields.take(32)
        self.m_public, self.m = ML_KEM_768.key_derive(fields.take(64))
        assert not fields.data
        card = self.id + self.identity.public_key().public_bytes_raw() + public(self.a) + self.m_public
        self.card = card + self.identity.sign(label("card") + card)


def check_card(card):
    Ed25519PublicKey.from_public_bytes(card[16:48]).verify(card[1264:], label("card") + card[:1264])
    return card[48:80]


def open_header(hk, bundle):
    assert len(bundle) == 4096 and bundle[0] == 1
    header = aead_open(hk, bundle[:48], bundle[48:136])
    assert header[32:56] == bytes(24)
    return header[:32], header[56:]


def open_body(mk, random, bundle, what):
    same(f"{what} ack commitment", H(label("commit"), hkdf(random, mk, label("ack"), 16))[:16], bundle[24:40])
    if f"{what} ack" in VECTORS:
        same(f"{what} ack", hkdf(random, mk, label("ack"), 16), vector(f"{what} ack"))
    return aead_open(hkdf(random, mk, label("body")), bundle[:136], bundle[136:])


def read_name(field):
    assert 1 <= field[0] <= 50 and not any(field[1 + field[0]:])
    return field[1:1 + field[0]].decode()


issuer, invitee = Device(vector("issuer device")), Device(vector("invitee device"))
same("issuer card", issuer.card, vector("issuer card"))
same("invitee card", invitee.card, vector("invitee card"))
fingerprint = base64.b32encode(H(issuer.card[16:48])[:20]).decode().lower()
same("fingerprint", " ".join(fingerprint[i:i + 4] for i in range(0, 32, 4)), VECTORS["issuer fingerprint"])

# 7.2: the link.
text = VECTORS["link"]
assert text.startswith("hedgerow:") and len(text) == 101
raw = base64.b32decode(text[9:].upper() + "====")
assert len(raw) == 57 and raw[0] == 1
same("link checksum", H(label("link check"), raw[:53])[:4], raw[53:])
secret, L = raw[5:21], raw[21:53]
issued = vector("issued link")
same("issued link", issued[:21], b"\x01" + raw[1:21])
l = issued[21:]
same("L", public(l), L)
keys = VECTORS["link keys"]
same("recognition invitee to issuer", hkdf(b"", secret, label("link recognise") + b"\x01").hex(), keys["invitee to issuer"])
same("recognition issuer to invitee", hkdf(b"", secret, label("link recognise") + b"\x02").hex(), keys["issuer to invitee"])
same("link key", hkdf(b"", secret, label("link rekey")).hex(), keys["link"])
same("request tags", [hkdf(b"", secret, label("request tag") + bytes([t]), 16).hex() for t in range(16)], VECTORS["request tags"])

# 7.3: the request, opened by the issuer.
request = vector("request")
t = VECTORS["request try"]
same("request tag", request[8:24].hex(), VECTORS["request tags"][t])
same("lifetime", (request[2], struct.unpack(">I", request[4:8])[0]), (2, 499_900))
e, random = open_header(hkdf(b"", secret, label("request header") + bytes([t])), request)
el = dh(l, e)
body = Fields(open_body(hkdf(e, secret + el, label("request")), random, request, "request"))
card, k, r, name, proof = (body.take(n) for n in (1328, 1184, 32, 51, 32))
same("request card", card, invitee.card)
same("request name", read_name(name), "Boris")
th1 = H(label("request transcript"), b"\x01", L, e, card, k, r, name)
same("th1", th1, vector("th1"))
al = dh(l, check_card(card))
same("request proof", proof, MAC(hkdf(e, secret + el + al, label("request proof")), th1))
items, filling = body.data[:len(vector("request items"))], body.data[len(vector("request items")):]
same("request items", items, vector("request items"))
assert not any(filling)
# 8.6: one text rides along.
text = items[35:].decode()
same("text", items, struct.pack(">BH16sQQ", 1, 32 + len(items[35:]), b"\xab" * 16, 1_799_640_000_000, 1) + text.encode())
same("what it says", text, "Grüße, Älma")

# The invitee's own state shows the same keys.
pending = Fields(vector("pending request"))
same("pending link", pending.take(54), b"\x01" + raw[:53])
same("pending name", pending.take(51), name)
e_private, k_seed, r_private = pending.take(32), pending.take(64), pending.take(32)
assert not pending.data
k_public, k_private = ML_KEM_768.key_derive(k_seed)
same("e, k, r", (public(e_private), k_public, public(r_private)), (e, k, r))
same("DH(e, L)", dh(e_private, L), el)
same("DH(A_invitee, L)", dh(invitee.a, L), al)


# 7.4: the replies, opened by the invitee.
def open_reply(name, t):
    reply = vector(name)
    same(f"{name} tag", reply[8:24], hkdf(e, secret + el, label("reply tag") + bytes([t]), 16))
    f, random = open_header(hkdf(e, secret + el, label("reply header") + bytes([t])), reply)
    fe = dh(e_private, f)
    return f, fe, Fields(open_body(hkdf(e + f, secret + el + fe, label("reply")), random, reply, name))


same("reply tags", [hkdf(e, secret + el, label("reply tag") + bytes([t]), 16).hex() for t in range(16)], VECTORS["reply tags"])
_, _, used = open_reply("used", VECTORS["reply try"] + 1)
same("used kind", used.take(1), b"\x02")
assert not any(used.data)

f, fe, body = open_reply("reply", VECTORS["reply try"])
same("reply kind", body.take(1), b"\x01")
c1 = body.take(1088)
s1 = ML_KEM_768.decaps(k_private, c1)
sealed = body.take(2547 + 16)
assert not any(body.data)
inner = Fields(aead_open(hkdf(e + f, secret + el + fe + s1, label("reply inner")), b"", sealed))
card, c2, q, name, held, proof = (inner.take(n) for n in (1328, 1088, 32, 51, 16, 32))
assert not inner.data
same("reply card", card, issuer.card)
same("held pair", held, vector("held pair"))
same("reply name", read_name(name), "Älma")
s2 = ML_KEM_768.decaps(invitee.m, c2)
th2 = H(label("reply transcript"), th1, f, c1, card, c2, q, name, held)
secrets = secret + el + fe + dh(e_private, check_card(card)) + dh(invitee.a, f) + al + s1 + s2
derived = hkdf(th2, secrets, label("pair"), 160)
same("reply proof", proof, MAC(derived[128:], label("reply proof"), th2))
pair = VECTORS["issuer keys"]
for i, field in enumerate(["root", "issuer header", "invitee header", "pair secret"]):
    same(field, derived[32 * i:32 * i + 32].hex(), pair[field])
same("issuer's ratchet key", public(bytes.fromhex(pair["own ratchet"])), q)
same("invitee's ratchet key", pair["other ratchet"], r.hex())
print("all vectors agree")
