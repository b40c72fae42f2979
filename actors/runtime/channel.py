"""Channel: a node's end of the way to the launcher that has started it.

It is an inherited descriptor, one end of a pair of sockets that nobody else can connect to. Each
packet is one JSON object: the node tells what happens to it, and is told what is to go wrong with
its links. The channel's end means that the launcher is gone, however it died: then the node stops.
Refuses to know what the happenings mean, and how links are harmed.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Any, Final

from cluster.link_plan import LinkPlan, link_plan_of
from cluster.logs import PACKET_BYTES_MAX, told
from cluster.processes import continue_when_parent_dies

ORPHAN_SECONDS: Final = 15.0
"""A node whose launcher has died may take this time to stop gracefully; after it, it just exits."""

log = logging.getLogger("leasehold")


class Channel:
    """The node's end. Any thread may read `link_plan` and `is_recording`: what was said last.

    What the launcher had said before the node's process began holds when the channel is made.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        # The processes that a node starts must not hold the channel open.
        self._socket.set_inheritable(False)
        self._telling = threading.Lock()
        self._untold = 0
        self.link_plan = LinkPlan()
        self.is_recording = False
        self.chance = Random()
        self.catch_up()

    def catch_up(self) -> None:
        """Obey what the launcher has said so far, without waiting for more."""
        with suppress(OSError):  # no more has come; or the launcher is gone, as `_follow` will see
            while packet := self._socket.recv(PACKET_BYTES_MAX, socket.MSG_DONTWAIT):
                self._obey(packet)

    def follow(self) -> None:
        """Obey the launcher from now on, and stop the node when it is gone."""
        # A node that is paused must go on then: it cannot stop otherwise.
        continue_when_parent_dies()
        threading.Thread(target=self._follow, name="launcher", daemon=True).start()

    def tell(self, document: Mapping[str, Any]) -> None:
        """Tell the launcher what happened, without waiting: any thread may.

        What the channel has no room for is dropped, and counted: the launcher is told the number
        as soon as there is room again.
        """
        with self._telling:
            if self._untold and self._maybe_send(_of_untold(self._untold)):
                self._untold = 0
            if self._untold or not self._maybe_send(document):
                self._untold += 1

    def took_effect(self, kind: str) -> None:
        """A planned fault takes effect. The launcher has planned it, and needs no telling."""

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    # --- inside ---

    def _maybe_send(self, document: Mapping[str, Any]) -> bool:
        packet = _packet(document)
        if len(packet) > PACKET_BYTES_MAX:
            return False
        try:
            self._socket.send(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the launcher is gone, and this node soon will be
        return True

    def _follow(self) -> None:
        with suppress(ConnectionError):  # the launcher died before it had read everything
            while packet := self._socket.recv(PACKET_BYTES_MAX):
                self._obey(packet)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    def _obey(self, packet: bytes) -> None:
        try:
            document = json.loads(packet)
            if not isinstance(document, dict):
                raise ValueError("no object")
            if "links" in document:
                self.link_plan = link_plan_of(document["links"])
        except (ValueError, RecursionError) as error:
            log.warning("ignoring what the launcher says: %s", error)
            return
        self.is_recording = bool(document.get("record", self.is_recording))
        if "number" in document:
            # Waits for room: the launcher may be waiting for this answer, and then reads.
            with suppress(ConnectionError):
                self._socket.send(_packet({"applied": document["number"]}))


def _packet(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), default=str).encode()


def _of_untold(count: int) -> dict[str, Any]:
    text = f"{count} happenings were not told: the launcher did not take them in time"
    fields = {"what": "launcher", "untold": count}
    return told("slow", text, time.monotonic(), time.time(), fields)
