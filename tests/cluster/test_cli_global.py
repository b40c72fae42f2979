"""leasectl's global flags and their variables: each of etcdctl's has an effect or is refused."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from cluster.cli.client_log import NAME, show
from cluster.cli.ending import CommandError
from cluster.cli.global_flags import REFUSED, VARIABLES, environment_settings, global_options
from cluster.cli.settings import CliSettings
from tests.cluster.in_process import Leasectl, leasectl_for
from tests.cluster.probe import ProbeCluster, until

ETCDCTL_FLAGS = [
    *("cacert", "cert", "command-timeout", "debug", "dial-timeout", "discovery-srv"),
    *("discovery-srv-name", "endpoints", "hex", "insecure-discovery", "insecure-skip-tls-verify"),
    *("insecure-transport", "keepalive-time", "keepalive-timeout", "key", "password", "user"),
    "write-out",
]

log = logging.getLogger(NAME)


@pytest.fixture(scope="module")
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster(1) as cluster:
        yield cluster


@pytest.fixture
def leasectl(
    probes: ProbeCluster,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Leasectl:
    return leasectl_for(probes.endpoints[0], capsysbinary, monkeypatch)


def test_each_global_flag_of_etcdctl_is_known_and_so_is_its_variable() -> None:
    flags = {name for option in global_options() for name in option.opts}
    for flag in ETCDCTL_FLAGS:
        name = flag.upper().replace("-", "_")
        assert f"--{flag}" in flags
        # The client itself reads the variable of the endpoints.
        assert name in VARIABLES or flag in REFUSED or flag == "endpoints"


def test_a_warning_of_the_client_is_told_once_for_each_endpoint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(debug=False)
    show(debug=False)  # for the next command: it does not double the lines
    for endpoint in ("a:1", "a:1", "b:2"):
        log.warning("endpoint %s is set aside: %s", endpoint, "it speaks HTTP")
        log.info("requests go to %s", endpoint)
    assert capsys.readouterr().err == (
        "Warning: endpoint a:1 is set aside: it speaks HTTP\n"
        "Warning: endpoint b:2 is set aside: it speaks HTTP\n"
    )


def test_an_endpoint_that_cannot_be_used_is_a_warning_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[str] = []

    def is_told() -> bool:
        told.append(capsys.readouterr().err)
        return "set aside" in told[-1]

    with CliSettings(endpoints=["a..b:1"]).client() as client:
        client.get_async("k")
        until(is_told)
    (line,) = "".join(told).splitlines()
    assert line.startswith("Warning: endpoint a..b:1 is set aside: 'a..b' is not a host name")


def test_with_debug_the_whole_log_of_the_client_has_times(leasectl: Leasectl) -> None:
    ended = leasectl("--debug", "get", "k")
    assert ended.code == 0
    lines = ended.stderr.splitlines()
    assert lines
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ", line) for line in lines)
    assert leasectl("get", "k").stderr == ""


@pytest.mark.parametrize("flag", REFUSED)
def test_a_flag_that_is_not_supported_is_refused_by_its_name(leasectl: Leasectl, flag: str) -> None:
    refusal = f"is not supported: {REFUSED[flag]}"
    assert leasectl("get", "k", f"--{flag}=1") == (b"", f"Error: --{flag} {refusal}\n", 4)
    name = f"ETCDCTL_{flag.upper().replace('-', '_')}"
    with pytest.raises(CommandError, match=f"^{name} {refusal}"):
        environment_settings({name: "1"})


def test_the_short_flag_of_etcdctl_is_refused_with_its_long_name(leasectl: Leasectl) -> None:
    assert leasectl("get", "k", "-d", "example.com").stderr.startswith("Error: --discovery-srv is")


def test_variables_set_what_their_flags_set() -> None:
    settings = environment_settings(
        {"ETCDCTL_HEX": "true", "ETCDCTL_DEBUG": "1", "LEASECTL_INSECURE_TRANSPORT": "false"}
    )
    assert (settings.hex, settings.debug, settings.insecure_transport) == (True, True, False)
    with pytest.raises(CommandError, match=r"^ETCDCTL_HEX: strconv\.ParseBool"):
        environment_settings({"ETCDCTL_HEX": "perhaps"})


def test_only_the_third_version_of_etcds_api_is_spoken() -> None:
    environment_settings({"ETCDCTL_API": "3"})
    with pytest.raises(CommandError, match=r"^unsupported API version: 2$"):
        environment_settings({"ETCDCTL_API": "2"})


def test_without_insecure_transport_bare_endpoints_are_inside_tls(
    leasectl: Leasectl, probes: ProbeCluster
) -> None:
    (endpoint,) = probes.endpoints
    assert leasectl("get", "k", "--insecure-transport=true").code == 0
    settings = environment_settings({"ETCDCTL_INSECURE_TRANSPORT": "false"})
    settings.endpoints = [f"{endpoint},http://h:1"]
    assert settings.endpoint_list() == [f"https://{endpoint}", "tcp://h:1"]


def test_a_wrong_command_is_told_what_it_may_have_meant(leasectl: Leasectl) -> None:
    suggested = 'unknown command "putt" for "leasectl"\n\nDid you mean this?\n\tput\n\tauth\n\n'
    ended = leasectl("putt", "k", "v")
    assert ended == (b"", f"Error: {suggested}Run 'leasectl --help' for usage.\n", 1)
    assert "\n\tlist\n" in leasectl("lease", "lst").stderr
    assert "Did you mean" not in leasectl("nothing-like-it").stderr
