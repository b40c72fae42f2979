"""`python -m cluster.launcher.shows LOAD ENDPOINTS KEY_FILE`: the process that makes a load.

A launcher starts it, and its stdin ends with the launcher.
"""

from __future__ import annotations

import json
import logging
import sys

from cluster.launcher.shows.load import LoadMix
from cluster.launcher.shows.loading import main

if __name__ == "__main__":
    # The terminal is the launcher's, and the launcher tells itself which nodes are away.
    logging.getLogger("leasehold.client").addHandler(logging.NullHandler())
    main(LoadMix(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3])
