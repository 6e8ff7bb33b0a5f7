"""Writes ratchet.json: root and message chains as the Python package `doubleratchet` 1.3.0 computes them.

Run (Python 3.10 or later), in this folder:

    python3 -m venv /tmp/vectors && /tmp/vectors/bin/pip install doubleratchet==1.3.0
    /tmp/vectors/bin/python ratchet.py > ratchet.json

Two parties with fixed keys take turns. Each entry of `steps` is one root step: who did it, root key before and after, own private and
other public ratchet key, first chain key, and the first message keys of that chain. Header keys, tags and the hybrid step are Hedgerow's
own (docs/protocol.md, section 8.1) and not part of this.
"""

import asyncio
import json

from doubleratchet.recommended import HashFunction, diffie_hellman_ratchet_curve25519, kdf_hkdf, kdf_separate_hmacs
from doubleratchet.types import Header

ROOT_LABEL = b"hedgerow/1 root"
# The package takes the first HMAC as the next chain key, the second as the message key.
MESSAGE_CONSTANTS = b"\x02\x01"
MESSAGES = 3
TURNS = 4

root = bytes(range(32))
private_keys = iter(bytes([seed]) * 32 for seed in range(0x41, 0x60))


class RootKDF(kdf_hkdf.KDF):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256

    @staticmethod
    def _get_info():
        return ROOT_LABEL


class MessageKDF(kdf_separate_hmacs.KDF):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256


class Ratchet(diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet):
    steps = []
    owner = ""

    @staticmethod
    def _generate_priv():
        return next(private_keys)

    @staticmethod
    def _perform_diffie_hellman(own_priv, other_pub):
        Ratchet.steps.append({
            "private": own_priv.hex(),
            "public": Ratchet._derive_pub(own_priv).hex(),
            "other_public": other_pub.hex(),
        })
        return diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet._perform_diffie_hellman(own_priv, other_pub)


class RecordingRootKDF(RootKDF):
    @classmethod
    async def derive(cls, key, data, length):
        derived = await super().derive(key, data, length)
        Ratchet.steps[-1].update(root=key.hex(), next_root=derived[:32].hex(), chain=derived[32:].hex())
        return derived


async def create(own_private, other_public):
    return await Ratchet.create(own_private, other_public, RecordingRootKDF, root, MessageKDF, MESSAGE_CONSTANTS, 100)


def take(before, owner):
    """Names the steps recorded since `before`."""
    for step in Ratchet.steps[before:]:
        step["owner"] = owner


async def main():
    invitee_private = next(private_keys)
    issuer = await create(None, Ratchet._derive_pub(invitee_private))
    take(0, "issuer")
    before = len(Ratchet.steps)
    invitee = await create(invitee_private, bytes.fromhex(Ratchet.steps[0]["public"]))
    take(before, "invitee")

    parties = [("issuer", issuer), ("invitee", invitee)]
    for turn in range(TURNS):
        _, sender = parties[turn % 2]
        owner, receiver = parties[(turn + 1) % 2]
        chain = sender.model.symmetric_key_ratchet.sending_chain.key.hex()
        keys = []
        before = len(Ratchet.steps)
        for _ in range(MESSAGES):
            key, header = await sender.next_encryption_key()
            received, skipped = await receiver.next_decryption_key(Header(
                ratchet_pub=header.ratchet_pub,
                previous_sending_chain_length=header.previous_sending_chain_length,
                sending_chain_length=header.sending_chain_length,
            ))
            assert received == key and not skipped
            keys.append(key.hex())
        take(before, owner)
        for step in Ratchet.steps:
            if step["chain"] == chain:
                step["message_keys"] = keys

    print(json.dumps({"source": "doubleratchet 1.3.0", "root_label": ROOT_LABEL.decode(), "steps": Ratchet.steps}, indent=1))


asyncio.run(main())
