"""The launcher's parts that need no process: durations, ports, files, the prompt, the words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.launcher.arguments import LaunchOptions, parse
from cluster.launcher.nodes.files import DataDirectory, LauncherError, delete_left_directories
from cluster.launcher.nodes.layout import (
    NodeRecord,
    choose_nodes,
    flags_of,
    founder,
    name_of,
    next_node,
)
from cluster.launcher.ports import (
    FREE_PORTS,
    LOOPBACK,
    PortClaims,
    Ports,
    PortTakenError,
    free_base_port,
    holder_of,
    is_free,
    ports_from,
    ports_given_away,
)
from cluster.launcher.story.durations import duration
from tests.limits import HANG_SECONDS
from tests.ports import CLAIMS, free_ports

# --- durations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 ms"), (0.0344, "34 ms"), (1.24, "1.2 s"), (99.9, "99.9 s"), (125, "2 min 5 s")],
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# --- ports ------------------------------------------------------------------------------------


USUAL: range = range(32_768, 61_000)
"""What a kernel gives away unless it was told otherwise."""


def clients_from(base_port: int, size: int = 7, given_away: range = USUAL) -> list[int]:
    """The client ports of a cluster; each peer's is one above."""
    layout = ports_from(base_port, size, given_away)
    assert all(pair.peer == pair.client + 1 <= 65_535 for pair in layout)
    return [pair.client for pair in layout]


def test_the_ports_are_those_of_etcds_examples_and_none_that_the_kernel_gives_away() -> None:
    assert clients_from(2379) == [2379, 22379, 32379, 12379, 62379, 2389, 2399]
    # Here 32379 and others are given away.
    assert clients_from(2379, 4, range(30_000, 65_000)) == [2379, 22379, 12379, 2389]


def test_no_port_that_another_cluster_claims_is_called_free() -> None:
    base_port = free_base_port(1)
    assert base_port is not None
    with PortClaims() as others:
        others.claim(Ports(base_port, base_port + 1))
        assert free_base_port(1) != base_port


@pytest.mark.parametrize("base_port", [1, 2379, 7379, 32_760, 35_535, 45_535, 60_995, 65_534])
def test_any_base_port_has_room_for_seven_nodes(base_port: int) -> None:
    clients = clients_from(base_port)
    assert len({port for client in clients for port in (client, client + 1)}) == 14
    assert clients[0] == base_port
    if base_port not in USUAL:
        assert not any({client, client + 1} & set(USUAL) for client in clients)


def test_a_base_port_among_those_that_are_given_away_was_somebodys_choice() -> None:
    assert clients_from(40_000, 3) == [40_000, 40_010, 40_020]
    assert clients_from(2379, 3, range(1_024, 65_536)) == [2379, 2389, 2399]


def test_the_kernel_is_asked_which_ports_it_gives_away(tmp_path: Path) -> None:
    file = tmp_path / "range"
    file.write_text("20000\t30000\n")
    assert ports_given_away(file) == range(20_000, 30_001)
    assert ports_given_away(tmp_path / "none") == USUAL
    assert ports_given_away().start < ports_given_away().stop


def test_claimed_ports_are_free_for_the_node_and_different() -> None:
    with PortClaims() as claims:
        ports = [port for pair in claims.claim_free(5) for port in pair]
        assert len(set(ports)) == 10
        assert all(port in FREE_PORTS and is_free(port) for port in ports)


def test_no_two_clusters_claim_the_same_port() -> None:
    with PortClaims() as mine, PortClaims() as others:
        (ports,) = mine.claim_free(1)
        mine.claim(ports)  # its own claim is no obstacle
        assert not others.maybe_claim(ports)
        # One taken port of two is enough, and then the other one is not kept.
        (spare,) = others.claim_free(1)
        others.release()
        assert not others.maybe_claim(Ports(spare.client, ports.peer))
        assert mine.maybe_claim(spare)
        with pytest.raises(PortTakenError, match=f"port {ports.client} is taken"):
            others.claim(ports)
        mine.release()
        others.claim(ports)


@pytest.mark.process
def test_another_process_has_its_claims_until_it_ends() -> None:
    """However it ends: here it is killed."""
    program = (
        "import sys; from cluster.launcher.ports import PortClaims;"
        "claims = PortClaims(); print(*claims.claim_free(1)[0], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        ports = Ports(*map(int, other.stdout.readline().split()))
        with PortClaims() as claims:
            assert not claims.maybe_claim(ports)
            with socket.create_server((LOOPBACK, ports.client)):
                pass  # a node listens on it while the claim is held
            other.kill()
            other.wait(HANG_SECONDS)
            claims.claim(ports)


def test_a_taken_port_names_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
        assert not CLAIMS.maybe_claim(Ports(port, port))
        assert holder_of(port).endswith(f"(pid {os.getpid()})")


def test_a_port_that_is_only_claimed_names_its_holder() -> None:
    with PortClaims() as claims:
        (ports,) = claims.claim_free(1)
        assert holder_of(ports.client).endswith(f"(pid {os.getpid()})")
    assert holder_of(ports.client) == ""


# --- the data directory -----------------------------------------------------------------------


def test_a_data_directory_is_used_by_one_launcher_at_a_time(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path)
    with pytest.raises(LauncherError, match=f"is in use by pid {os.getpid()}"):
        DataDirectory(tmp_path)
    first.release()
    DataDirectory(tmp_path).release()


def test_what_a_killed_launcher_has_left_in_the_temporary_directory_is_deleted(
    tmp_path: Path,
) -> None:
    names = ("leasehold-cluster-left", "leasehold-cluster-used", "other-left")
    places = {name: tmp_path / name for name in names}
    directories = {name: DataDirectory(path) for name, path in places.items()}
    for name in ("leasehold-cluster-left", "other-left"):
        os.close(directories[name].lock_fd)  # as the system does when the last process ends
    (tmp_path / "leasehold-cluster-beginning").mkdir()
    (tmp_path / "leasehold-cluster-link").symlink_to(places["other-left"])
    delete_left_directories(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "leasehold-cluster-beginning",
        "leasehold-cluster-link",
        "leasehold-cluster-used",
        "other-left",
    ]
    directories["leasehold-cluster-used"].release()
    delete_left_directories(tmp_path)
    assert places["leasehold-cluster-used"].exists()  # its launcher is about to delete it


def first_nodes(size: int = 3, base_port: int = 2379) -> list[NodeRecord]:
    """The first nodes of a cluster on fixed ports."""
    return [founder(name_of(i), pair) for i, pair in enumerate(ports_from(base_port, size))]


def test_the_recorded_nodes_come_back_once_a_node_has_data(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first = first_nodes()
    joined = NodeRecord("n4", Ports(5, 6), 2**64 - 1, "n1=tcp://h:1,n4=tcp://h:6", is_learner=True)
    records = (first[0]._replace(is_removed=True), *first[1:], joined)
    directory.record_nodes(records)
    assert directory.recorded_nodes() == ()
    directory.node_directory("n1").mkdir()
    assert directory.recorded_nodes() == records
    (tmp_path / "cluster.json").write_text("{}")
    with pytest.raises(LauncherError, match=r"cluster\.json is damaged"):
        directory.recorded_nodes()
    directory.release()


# --- which nodes, and with which flags --------------------------------------------------------


@pytest.fixture
def claims() -> Iterator[PortClaims]:
    with PortClaims() as claims:
        yield claims


def was_free(ports: Ports) -> bool:
    """Whether this test could have had these ports, and has not got them."""
    with PortClaims() as others:
        return others.maybe_claim(ports)


def test_the_next_node_goes_on_with_names_and_ports(claims: PortClaims) -> None:
    base = free_ports(1)[0].client
    first = first_nodes(2, base)
    third = next_node(first, None, learner=False, claims=claims)
    assert third.name == "n3"
    assert third.joined_with.endswith(f",n3={third.peer_url}")
    assert third.ports == ports_from(base, 3)[2] or not was_free(ports_from(base, 3)[2])
    gone = [*first, third._replace(is_removed=True)]
    fourth = next_node(gone, None, learner=True, claims=claims)
    assert (fourth.name, fourth.is_learner) == ("n4", True)
    assert third.peer_url not in fourth.joined_with


def test_a_node_on_ports_of_no_layout_gets_free_ones(claims: PortClaims) -> None:
    scattered = [founder(name_of(i), pair) for i, pair in enumerate(free_ports(3))]
    added = next_node(scattered, None, learner=False, claims=claims)
    assert added.ports not in {record.ports for record in scattered}
    assert is_free(added.ports.client) and is_free(added.ports.peer)


def test_a_lone_node_on_a_free_port_gets_company_on_free_ports(claims: PortClaims) -> None:
    """Not 20,000 further up, where the kernel takes ports for outgoing connections."""
    added = next_node([founder("n1", free_ports(1)[0])], None, learner=False, claims=claims)
    assert added.ports.client in FREE_PORTS
    on_default_ports = next_node(
        [founder("n1", ports_from(2379, 1)[0])], None, learner=False, claims=claims
    )
    assert on_default_ports.ports.client == 22_379 or not was_free(Ports(22_379, 22_380))


def test_a_name_is_used_once_and_a_cluster_has_its_limit(claims: PortClaims) -> None:
    first = first_nodes(6)
    removed = [first[0]._replace(is_removed=True), *first[1:]]
    for name in ("n1", "N1"):
        with pytest.raises(LauncherError, match="there is or was a node n1"):
            next_node(removed, name, learner=False, claims=claims)
    with pytest.raises(LauncherError, match="Leader is not a valid name for a node"):
        next_node(removed, "Leader", learner=False, claims=claims)
    with pytest.raises(LauncherError, match="n/1 is not a valid name for a node"):
        next_node(removed, "n/1", learner=False, claims=claims)
    with pytest.raises(LauncherError, match="at most 7 nodes"):
        next_node(first_nodes(7), None, learner=False, claims=claims)


def test_the_first_nodes_keep_their_flags_whoever_joins_or_goes() -> None:
    first = first_nodes(2)
    joined = NodeRecord("n3", Ports(5, 6), 7, "n1=tcp://a:1,n3=tcp://b:6")
    before = flags_of(first[1], first, "d")
    after = flags_of(first[1], [first[0]._replace(is_removed=True), first[1], joined], "d")
    assert before == after
    assert before["initial-cluster-state"] == "new"
    flags = flags_of(joined, [*first, joined], "d")
    assert flags["initial-cluster"] == joined.joined_with
    assert flags["initial-cluster-state"] == "existing"


def test_a_node_with_a_front_shows_its_url_and_its_own_beside_it() -> None:
    first = first_nodes(1)
    alone, beside = flags_of(first[0], first, "d"), flags_of(first[0], first, "d", 12_345)
    assert alone["listen-client-urls"] == alone["advertise-client-urls"] == "tcp://127.0.0.1:2379"
    both = "http://127.0.0.1:2379,tcp://127.0.0.1:12345"
    assert beside["listen-client-urls"] == beside["advertise-client-urls"] == both


def test_a_data_directory_counts_the_members_that_are_left() -> None:
    first = first_nodes(3)
    records = (first[0]._replace(is_removed=True), *first[1:])
    assert choose_nodes(records, 2, None, False, "d", CLAIMS) == records
    with pytest.raises(LauncherError, match="holds a cluster of size 2, not 3"):
        choose_nodes(records, 3, None, False, "d", CLAIMS)


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LauncherError, match=r"cannot use data directory .*file/data"):
        DataDirectory(tmp_path / "file" / "data")


def test_the_last_words_of_a_node_are_its_last_line(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.log_of("n1").write_text("x" * 20_000 + "\nfirst\n  last words \n\n")
    assert directory.last_log_line("n1") == "last words"
    assert directory.last_log_line("n2") == ""
    directory.release()


# --- arguments --------------------------------------------------------------------------------


def test_without_arguments_the_defaults_are_left_to_the_data_directory() -> None:
    assert parse([]) == parse(["up"]) == LaunchOptions(data_dir="cluster-data")


def test_a_command_gets_a_temporary_cluster_unless_a_directory_is_named() -> None:
    assert parse(["--", "make", "test"]) == LaunchOptions(data_dir=None, command=("make", "test"))
    assert parse(["--data-dir", "d", "--", "a", "--", "-n", "b"]) == LaunchOptions(
        data_dir="d", command=("a", "--", "-n", "b")
    )


def test_node_flags_are_passed_on() -> None:
    options = parse(["--heartbeat-interval", "10", "--election-timeout=100", "-n", "5"])
    assert options.size == 5
    assert options.node_flags == ("--heartbeat-interval=10", "--election-timeout=100")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "0"], "argument -n: 0: a local cluster has 1 to 7 nodes"),
        (["-n", "8"], "argument -n: 8: a local cluster has 1 to 7 nodes"),
        (["-n", "x"], "argument -n: x: a local cluster has 1 to 7 nodes"),
        (["--nodes", "3"], "there is no flag --nodes"),
        (["--ephemerel"], "there is no flag --ephemerel (did you mean --ephemeral?)"),
        (["--ephemeral", "--data-dir", "d"], "--ephemeral and --data-dir exclude each other"),
        (["--"], "a command is expected after --"),
        (["-n", "3", "up"], "up is not expected here"),
        (["upp"], "there is no run_cluster.py upp (did you mean up?)"),
        (["--base-port", "0"], "argument --base-port: 0: a port is a number from 1 to 65534"),
        (
            ["--base-port", "65535"],
            "argument --base-port: 65535: a port is a number from 1 to 65534",
        ),
        (["--heartbeat-interval", "100"], "--election-timeout[300ms] should be at least as 5"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"run_cluster.py: {message}")
    assert error.count("\n") == 1
