"""Opens what is sealed: the key ring, the keys of a tenant, the envelopes under them.

Written from the description of the stored form alone. What does not open is somebody else's, or damaged.
"""

import base64
import hashlib
import hmac
import os
import struct
import tomllib
import uuid
from pathlib import Path

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# format (1), key id (4), compression (1), dictionary id (4), nonce (12), ciphertext, tag (16)
HEADER = struct.Struct(">BiBI")
NONCE = 12
TAG = 16
PLAIN, ZSTD = 0, 1
RECORD_COLUMN = "records.payload"
CHUNK_COLUMN = "file_chunks.body"
DIGEST_COLUMN = "files.digest"


class DoesNotOpen(Exception):
    """Sealed under another key, for another place, or damaged."""


def record_row(connection: uuid.UUID, object_id: int, record: str) -> bytes:
    """The key of a record's row, to which its payload is bound."""
    return connection.bytes + struct.pack(">i", object_id) + record.encode()


def chunk_row(connection: uuid.UUID, file: str, load: uuid.UUID, number: int) -> bytes:
    """The place of a chunk of a file's body; its digest has the number -1."""
    return connection.bytes + file.encode() + load.bytes + struct.pack(">i", number)


def _bound_to(header: bytes, tenant: uuid.UUID, column: str, row: bytes) -> bytes:
    name = column.encode()
    lengths = (struct.pack(">Q", len(name)), struct.pack(">Q", len(row)))
    return header + tenant.bytes + lengths[0] + name + lengths[1] + row


def key_of(envelope: bytes) -> int:
    """The id of the key that an envelope was sealed under."""
    if len(envelope) < HEADER.size + NONCE + TAG:
        raise DoesNotOpen("too short")
    version, key, _, dictionary = HEADER.unpack_from(envelope)
    if version != 1 or dictionary != 0:
        raise DoesNotOpen("an unknown form")
    return key


def unseal(key: AESGCM, tenant: uuid.UUID, column: str, row: bytes, envelope: bytes) -> bytes:
    """What an envelope at this place holds."""
    key_of(envelope)
    header = envelope[: HEADER.size]
    nonce = envelope[HEADER.size : HEADER.size + NONCE]
    try:
        body = key.decrypt(nonce, envelope[HEADER.size + NONCE :], _bound_to(header, tenant, column, row))
    except InvalidTag as error:
        raise DoesNotOpen("wrong key or wrong place") from error
    if header[5] == PLAIN:
        return body
    if header[5] != ZSTD:
        raise DoesNotOpen("an unknown compression")
    return zstandard.ZstdDecompressor().decompress(body)


def seal(key: AESGCM, key_id: int, tenant: uuid.UUID, column: str, row: bytes, value: bytes) -> bytes:
    """An envelope, for rows that a test makes up."""
    header = HEADER.pack(1, key_id, ZSTD, 0)
    nonce = os.urandom(NONCE)
    body = zstandard.ZstdCompressor().compress(value)
    return header + nonce + key.encrypt(nonce, body, _bound_to(header, tenant, column, row))


def read_key_ring(path: Path) -> dict[str, AESGCM]:
    """The keys that wrap the tenants' keys, by id."""
    entries = tomllib.loads(path.read_text())["key"]
    return {entry["id"]: AESGCM(base64.b64decode(entry["material"])) for entry in entries}


class TenantKeys:
    """The data keys of a tenant, and the key of its content hashes."""

    def __init__(self, tenant: uuid.UUID, data: dict[int, bytes], index: bytes) -> None:
        self.tenant = tenant
        self.data = {key: AESGCM(material) for key, material in data.items()}
        self._hash_key = hmac.new(index, b"content-hash", hashlib.sha256).digest()
        self._token_key = hmac.new(index, b"identity", hashlib.sha256).digest()

    @classmethod
    def unwrap(cls, ring: dict[str, AESGCM], tenant: uuid.UUID, rows: list[tuple]) -> "TenantKeys":
        """From rows of `tenant_keys`: key id, purpose, id of the wrapping key, wrapped bytes."""
        data: dict[int, bytes] = {}
        index = b""
        for key_id, purpose, kek, wrapped in rows:
            material = unseal(ring[kek], tenant, "tenant_keys.wrapped", purpose.encode(), bytes(wrapped))
            if purpose == "index":
                index = material
            else:
                data[key_id] = material
        if not (data and index):
            raise DoesNotOpen(f"the tenant {tenant} has no keys")
        return cls(tenant, data, index)

    def open(self, column: str, row: bytes, envelope: bytes) -> bytes:
        """What is sealed for this tenant at this place."""
        key = self.data.get(key_of(envelope))
        if key is None:
            raise DoesNotOpen("a key that is not the tenant's")
        return unseal(key, self.tenant, column, row, envelope)

    def record(self, row: bytes, envelope: bytes) -> bytes:
        """The canonical record in the payload of this row."""
        return self.open(RECORD_COLUMN, row, envelope)

    def email_token(self, address: str) -> bytes:
        """The keyed token of an e-mail address, which is the same in any case."""
        identity = f"email:{address.strip().lower()}"
        return hmac.new(self._token_key, identity.encode(), hashlib.sha256).digest()[:16]

    def content_hash(self, canonical: bytes) -> bytes:
        """The keyed hash that stands beside a record."""
        return blake3(canonical, key=self._hash_key).digest()[:16]
