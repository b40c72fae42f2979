"""`run_cluster.py --web`: what may follow it."""

from __future__ import annotations

import pytest

from cluster.launcher.arguments import LaunchOptions, parse


@pytest.mark.parametrize(
    ("words", "wanted"),
    [((), (False, None)), (("--web",), (True, None)), (("--web", "8400"), (True, 8400))],
)
def test_the_page_is_served_where_it_is_wanted(
    words: tuple[str, ...], wanted: tuple[bool, int | None]
) -> None:
    options = parse(["--ephemeral", *words])
    assert isinstance(options, LaunchOptions)
    assert (options.web, options.web_port) == wanted


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
def test_a_port_that_is_none_is_named(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--web", port])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "--web" in told
    assert port in told
    assert told.count("\n") == 1
