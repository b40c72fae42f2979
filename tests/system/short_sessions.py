"""`python -m tests.system.short_sessions`: a node as it is shipped, but its sessions end soon."""

from __future__ import annotations

import functools
import sys
from typing import Final
from unittest.mock import patch

from actors.__main__ import main
from actors.store.machine import Machine
from actors.store.sessions import SESSION_LIMITS

TTL_MS: Final = 300

if __name__ == "__main__":
    limits = SESSION_LIMITS._replace(ttl_ms=TTL_MS)
    with patch("actors.node.Machine", functools.partial(Machine, session_limits=limits)):
        sys.exit(main())
