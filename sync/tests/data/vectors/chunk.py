"""Writes chunk.json: the chunks of a content (docs/protocol.md, section 8.7) as the Python standard library and `cryptography` compute them.

Run (Python 3.10 or later, with the package `cryptography`), in this folder: python3 chunk.py > chunk.json
"""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

CAPACITY = 4_032
LABEL = b"hedgerow/1 "
content_key = bytes(range(32))
created = 498_702
content = bytes(index * 7 % 251 for index in range(2 * CAPACITY + 100))


def hkdf(ikm, info, length):
    """RFC 5869 with SHA-256 and an empty salt."""
    key = hmac.digest(bytes(32), ikm, "sha256")
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out, counter = out + block, counter + 1
    return out[:length]


chunks = []
for index in range((len(content) + CAPACITY - 1) // CAPACITY):
    hour = created.to_bytes(4, "big")
    derived = hkdf(content_key, LABEL + b"chunk" + hour + index.to_bytes(4, "big"), 64)
    tag, key, ack = derived[:16], derived[16:48], derived[48:]
    commitment = hashlib.sha256(LABEL + b"commit" + ack).digest()[:16]
    # Version, class, lifetime of 14 days, reserved; hour; tag; commitment; work stamp.
    header = bytes([1, 0, 3, 0]) + hour + tag + commitment + bytes(8)
    part = content[index * CAPACITY:(index + 1) * CAPACITY]
    sealed = ChaCha20Poly1305(key).encrypt(bytes(12), part + bytes(CAPACITY - len(part)), header)
    bundle = header + sealed
    assert len(bundle) == 4_096
    chunks.append({
        "tag": tag.hex(),
        "ack secret": ack.hex(),
        "header": header.hex(),
        "authenticator": sealed[-16:].hex(),
        "bundle id": hashlib.sha256(bundle).hexdigest(),
    })

print(json.dumps({
    "content key": content_key.hex(),
    "created": created,
    "content": content.hex(),
    "content hash": hashlib.sha256(LABEL + b"content" + content).hexdigest(),
    "chunks": chunks,
}, indent=1))
