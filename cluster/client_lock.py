"""The lock of a door for clients with keys: any client with a key comes in, and the node's front.

Which user a key stands for, and what that user may do, is decided for each request, and not here.
"""

from __future__ import annotations

import hmac
import os
from typing import Final

from cluster.curve import KeyPair
from cluster.gatekeeper import Applicant
from cluster.links import CURVE

PLAIN: Final = b"PLAIN"
FRONT: Final = "front"
"""ZMTP's mechanism for the node's own front, and its name there. It comes over loopback, from a
process that has no CURVE: with a password that the node gives it."""

PASSWORD_BYTES: Final = 32


class ClientLock:
    """The node's pair, under which clients reach it, and the password of its front."""

    def __init__(self, pair: KeyPair) -> None:
        self.pair = pair
        self.password = os.urandom(PASSWORD_BYTES).hex()

    def judge(self, applicant: Applicant) -> str | None:
        """The public key of a client, or FRONT; None for those that have neither."""
        if applicant.mechanism == CURVE:
            return applicant.credentials[0].hex()
        if applicant.mechanism == PLAIN:
            name, password = applicant.credentials
            is_front = hmac.compare_digest(password, self.password.encode())
            return FRONT if name == FRONT.encode() and is_front else None
        return None
