"""Outbox: what one member has to say to others, and when each message may leave.

Most may leave at once. A promise - a vote, an acknowledgement - may leave only when everything that
this member has decided so far is durable: a crash must not undo what another member counts on.
Refuses to know what a message means.
"""

from __future__ import annotations

from actors.raft.elector import Elector
from actors.raft.rpc import AppendResponse, Message


class Outbox:
    """What waits to be taken by the next output."""

    def __init__(self, elector: Elector) -> None:
        self._elector = elector
        self.messages: list[Message] = []
        self.promises: list[Message] = []

    def say(self, message: Message) -> None:
        """Send at once - unless it would show a term that a crash could still undo."""
        # A crash would take this member back to the term before. If others had heard it speak in
        # this one, it could do something else in a term in which it has been heard already.
        (self.promises if self._elector.is_unsaved else self.messages).append(message)

    def promise(self, message: Message) -> None:
        """Send when everything that this member has decided so far is durable."""
        self.promises.append(message)

    def drop_acknowledgements(self) -> None:
        """A new term has begun: what was about to be acknowledged may not stay in this log.

        The next leader may replace, before they are ever saved, entries that the last one was about
        to be told of.
        """
        self.promises = [each for each in self.promises if not isinstance(each, AppendResponse)]

    def take(self) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """Give out what may leave at once, and what may leave after the save."""
        taken = tuple(self.messages), tuple(self.promises)
        self.messages.clear()
        self.promises.clear()
        return taken

    def clear(self) -> None:
        """Nothing of it is to be relied on."""
        self.messages.clear()
        self.promises.clear()
