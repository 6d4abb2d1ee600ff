"""A key management service like those of clouds, for the documentation's secret boxes."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Kms:
    """A key management service: its keys never leave it."""

    class RefusedError(Exception):
        pass

    class AwayError(Exception):
        pass

    def __init__(self):
        self._keys = {}

    def encrypt(self, key_id, plaintext):
        key = self._keys.setdefault(key_id, AESGCM(AESGCM.generate_key(256)))
        nonce = os.urandom(12)
        return f"{key_id}|".encode() + nonce + key.encrypt(nonce, plaintext, None)

    def decrypt(self, blob):
        key_id, _, sealed = blob.partition(b"|")
        try:
            return self._keys[key_id.decode()].decrypt(sealed[:12], sealed[12:], None)
        except (KeyError, ValueError, InvalidTag):
            raise self.RefusedError from None
