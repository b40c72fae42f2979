"""Outbox: what one member has to say to others, and when each message may leave.

Most messages may leave at once. A promise - a vote, an acknowledgement - may leave only when
everything that this member has decided so far is durable: a crash must not undo what another member
counts on (Raft figure 2: persistent state is updated before responding). Refuses to know what a
message means.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.raft.elector import Elector
from actors.raft.rpc import AppendResponse, Message


class Outbox:
    """The messages that wait for the next output, and the promises that wait for its save."""

    def __init__(self, elector: Elector) -> None:
        self._elector = elector
        self.messages: list[Message] = []
        self.promises: list[Message] = []
        # Promises about what is being saved.
        self._saving: list[Message] = []

    def say(self, message: Message) -> None:
        """Send at once - unless it would show a term that a crash could still undo."""
        # A crash now would take this member back to the term before. Then it could enter this term
        # a second time, and say something else in it than the others have heard.
        (self.promises if self._elector.is_unsaved else self.messages).append(message)

    def say_all(self, messages: Sequence[Message]) -> None:
        """`say` each of these messages."""
        if self._elector.is_unsaved:
            self.promises += messages
        else:
            self.messages += messages

    def promise(self, message: Message) -> None:
        """Send when everything that this member has decided so far is durable."""
        self.promises.append(message)

    def drop_acknowledgements(self) -> None:
        """Take acknowledgements back: a new term has begun.

        They are about entries that are not saved yet, and the next leader may replace those before
        they ever are.
        """
        self.promises = [each for each in self.promises if not isinstance(each, AppendResponse)]
        self._saving = [each for each in self._saving if not isinstance(each, AppendResponse)]

    def take(self) -> tuple[Message, ...]:
        """Give out the messages that may leave at once."""
        if not self.messages:
            return ()
        taken, self.messages = tuple(self.messages), []
        return taken

    def saving(self) -> None:
        """All that has been decided so far is being saved: the promises wait for that."""
        if self.promises:
            self._saving += self.promises
            self.promises = []

    def take_promises(self) -> tuple[Message, ...]:
        """Give out the promises about what was being saved: it is durable now."""
        if not self._saving:
            return ()
        taken, self._saving = tuple(self._saving), []
        return taken

    def clear(self) -> None:
        """Drop all messages: this member must stop, and its word is not to be relied on."""
        self.messages.clear()
        self.promises.clear()
        self._saving.clear()
