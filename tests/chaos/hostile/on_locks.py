"""What is done to ports that want keys (CURVE), at the handshake and around it.

Half handshakes, garbage in them, other mechanisms, handshakes by the hundred, and what was recorded
of true conversations. Whoever gets to the end of a handshake at a peer port has got through, and so
has a frame that is taken a second time.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Final

from actors.raft import rpc
from cluster.client_lock import FRONT
from cluster.curve import new_pair
from cluster.wire import pack
from tests.chaos.hostile.curve import GREETING, Handshake, SealedConnection, opened_at_once
from tests.chaos.hostile.intruder import Address, Intruder, Kind
from tests.chaos.hostile.on_clients import BULK, HOLD_SECONDS, WAIT_SECONDS
from tests.chaos.hostile.person import Secrets
from tests.chaos.hostile.zmtp import COMMAND, Connection, frame, greeting, message, ready
from tests.forgery import forged

HALF_OPEN: Final = 200
"""Handshakes that are begun in one act, and held for a while."""

_READY, _ERROR = b"\x05READY", b"\x05ERROR"


def _a_port(me: Intruder) -> tuple[str, Address, bytes]:
    """Any port that wants a key: of which node, where, and for which kind of socket."""
    facts, name = me.facts(), me.any_node()
    at_peers = me.chance.random() < 0.5
    return (name, facts.peers[name], b"PUSH") if at_peers else (name, facts.doors[name], b"DEALER")


def _secrets(me: Intruder) -> Secrets:
    secrets = me.facts().secrets
    assert secrets is not None, "this is for ports that want keys"
    return secrets


def _handshake(me: Intruder, name: str) -> Handshake:
    return Handshake(me.person.pair or new_pair(), _secrets(me).keys[name])


def _see_refusal(me: Intruder, connection: Connection, what: str) -> None:
    """Read until the end; a handshake that ends well got through."""
    said = b""
    connection.socket.settimeout(WAIT_SECONDS)
    with suppress(TimeoutError):
        try:
            while data := connection.socket.recv(4_096):
                said += data
            me.sight.add("closed by the node")
        except OSError:
            me.sight.add("closed by the node")
    if _READY in said:
        me.saw_through(what)
    if _ERROR in said:
        me.sight.add("told an error")


def half_handshakes(me: Intruder) -> None:
    """A handshake that is broken off somewhere: then silence, a bit more, or the end."""
    name, address, kind = _a_port(me)
    handshake = _handshake(me, name)
    with Connection(address) as connection:
        if me.chance.random() < 0.5:
            whole = GREETING + handshake.hello()
            connection.send(whole[: me.chance.randrange(len(whole))])
        else:
            connection.send(GREETING + handshake.hello())
            connection.take_greeting()
            handshake.take_welcome(connection.take_frame()[1])
            whole = handshake.initiate(kind)
            connection.send(whole[: me.chance.randrange(len(whole))])
        closed = connection.is_closed_within(me.chance.choice((0.1, HOLD_SECONDS)))
        me.sight.add("closed by the node" if closed else "left open")


def odd_commands(me: Intruder) -> None:
    """Commands that are none, out of order, of odd sizes, or changed in some bytes."""
    chance = me.chance
    name, address, kind = _a_port(me)
    handshake = _handshake(me, name)
    hello, initiate = handshake.hello(), handshake.initiate(kind)
    shape = chance.randrange(8)
    if shape == 0:  # the second one first
        said = initiate + hello
    elif shape == 1:
        said = frame(b"\x07WELCOME" + chance.randbytes(160), COMMAND) + hello
    elif shape == 2:
        said = ready(kind) + message(b"forged")
    elif shape == 3:
        said = hello + handshake.message(0, b"forged") + initiate
    elif shape == 4:
        said = hello + hello + initiate
    elif shape == 5:
        said = frame(b"\x05HELLO" + chance.randbytes(chance.choice((0, 193, 194, 195, 70_000))), 4)
    elif shape == 6:
        data = bytearray(hello + initiate)
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        said = bytes(data)
    else:
        said = bytes([chance.choice((2, 6, 7))]) + (1 << 62).to_bytes(8, "big") + bytes(60_000)
    with Connection(address) as connection:
        connection.send(GREETING + said)
        _see_refusal(me, connection, "a port with a key, by odd commands")


def other_mechanisms(me: Intruder) -> None:
    """To a port of CURVE: no mechanism, a name and a password, an unknown one, a server's part."""
    chance = me.chance
    _, address, kind = _a_port(me)
    password = chance.choice(("", "0" * 64, chance.randbytes(32).hex()))
    login = b"\x05HELLO" + b"".join(
        bytes([len(text)]) + text.encode() for text in (FRONT, password)
    )
    as_server = bytearray(GREETING)
    as_server[32] = 1
    said = chance.choice(
        (
            greeting(b"NULL") + ready(kind),
            greeting(b"PLAIN") + frame(login, COMMAND) + frame(b"\x08INITIATE", COMMAND),
            greeting(b"GSSAPI") + frame(b"\x08INITIATE" + bytes(500), COMMAND),
            greeting(b"CURVE\0NULL") + ready(kind),
            bytes(as_server) + ready(kind),
            b"\xff" + bytes(8) + b"\x7f\x01" + bytes(52) + ready(kind),
        )
    )
    with Connection(address) as connection:
        connection.send(said + message(b"forged"))
        _see_refusal(me, connection, "a port with a key, by another mechanism")


def replays(me: Intruder) -> None:
    """What a member or an honest client has sent: all of it, in parts, or in another handshake."""
    chance, secrets, name = me.chance, _secrets(me), me.any_node()
    at_peers = chance.random() < 0.5
    recorded = (secrets.of_member if at_peers else secrets.of_client)[name]
    address = (me.facts().peers if at_peers else me.facts().doors)[name]
    hello, initiate, *messages = recorded[1:]
    shape = chance.randrange(4)
    with Connection(address) as connection:
        if shape == 0:
            said = b"".join(recorded)
        elif shape == 1:  # without its first half, as if the node knew the connection
            said = GREETING + initiate + b"".join(messages)
        elif shape == 2:  # when the node has answered the first half, as in a true conversation
            connection.send(GREETING + hello)
            connection.take_greeting()
            connection.take_frame()
            said = initiate + b"".join(messages)
        else:  # with the second half of a stranger, who has a key of its own
            said = GREETING + _handshake(me, name).hello() + initiate + b"".join(messages)
        connection.send(said)
        _see_refusal(me, connection, "a port with a key, by what was recorded")


def replays_of_its_own(me: Intruder) -> None:
    """Sealed frames of others in a connection of one's own, and its own ones a second time."""
    name = me.any_node()
    address = me.facts().doors[name]
    pair = me.person.pair or new_pair()
    keys = _secrets(me).keys
    with SealedConnection(address, pair, keys[name], recorded=True) as connection:
        connection.shake_hands(b"DEALER")
        if me.chance.random() < 0.5:
            connection.send_as_it_is(b"".join(_secrets(me).of_client[name][3:]))
            answers = len(list(connection.messages(1, WAIT_SECONDS)))
            if answers:
                me.saw_through("a frame that another connection has sealed")
            return
        connection.send(message(pack({"op": "range", "key": BULK, "id": 1})))
        assert connection.sent is not None
        connection.send_as_it_is(connection.sent[-1])
        if len(list(connection.messages(2, WAIT_SECONDS))) > 1:
            me.saw_through("a sealed frame a second time")
        me.sight.add("closed by the node")


def forged_elections(me: Intruder) -> None:
    """In a member's name what would depose the leader, said without waiting to be let in."""
    facts, chance = me.facts(), me.chance
    name, target = chance.choice(list(facts.members.items()))
    source = chance.choice([each for each in facts.members.values() if each != target])
    term, last = facts.term, facts.log_index + 1_000
    said = (
        rpc.TimeoutNow(source, target, term),
        rpc.VoteRequest(source, target, term + 1, False, last, term + 1, True),
        rpc.Heartbeat(source, target, term + 1, 1, 0, 0, 0, 0, True),
        rpc.VoteResponse(source, target, term + 1, False, True),
        rpc.RemovedNotice(source, target, term),
    )
    key = _secrets(me).keys[name]
    with opened_at_once(facts.peers[name], me.person.pair, key, b"PUSH") as connection:
        frames = [message(forged(facts.cluster_id, each)) for each in said]
        connection.send(b"".join(frames))
        _see_refusal(me, connection, "the peer port, in a member's name")


def half_open(me: Intruder) -> None:
    """Very many handshakes that are begun, and go on no further."""
    with ExitStack() as open_ones:
        for _ in range(HALF_OPEN):
            name, address, _ = _a_port(me)
            connection = open_ones.enter_context(Connection(address))
            half = GREETING + _handshake(me, name).hello()
            connection.send(half[: me.chance.choice((0, 10, len(GREETING), len(half)))])
        me.sight.add("begun", HALF_OPEN)
        me.hold(me.chance.uniform(0, HOLD_SECONDS))


KINDS: Final = (
    Kind("half-handshakes", half_handshakes, 0.1),
    Kind("odd-commands", odd_commands, 0.1),
    Kind("mechanisms", other_mechanisms, 0.1),
    Kind("replays", replays, 0.1),
    Kind("own-replays", replays_of_its_own, 0.2),
    Kind("forged-elections", forged_elections, 0.05),
    Kind("half-open", half_open, 0.5),
)
"""Everything that is done to a port that wants keys."""
