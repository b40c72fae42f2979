"""The flags of TLS, and the files that they name: what is taken, and what is said of the rest."""

from __future__ import annotations

import logging
import os
import re
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.__main__ import main
from cluster.config import NodeConfig, NodeFlags, resolve
from cluster.flag_values import ConfigError
from cluster.front_config import FrontConfig
from cluster.tls import self_signed
from cluster.tls.loading import TlsError
from cluster.tls.options import REFUSED, ServerTls, from_fields
from cluster.tls.serving import complain, served
from cluster.tls.versions import OF_TLS_1_2
from cluster.tls.words import handshake_error
from tests.certificates import Authority, Pair

URL = "https://127.0.0.1:2379"
PAIR = {"cert_file": "c", "key_file": "k"}


def config_of(**flags: str) -> NodeConfig:
    urls = {"listen_client_urls": URL, "advertise_client_urls": URL}
    return resolve(NodeFlags(**{**urls, **flags}))


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            {},
            "TLS key/cert (--cert-file, --key-file) must be provided for client url"
            " https://127.0.0.1:2379 with HTTPS scheme",
        ),
        ({"cert_file": "c"}, "--cert-file and --key-file must both be present [key: , cert: c]"),
        ({"key_file": "k"}, "--cert-file and --key-file must both be present [key: k, cert: ]"),
        (PAIR | {"client_cert_auth": "true"}, "--client-cert-auth needs --trusted-ca-file"),
        (
            PAIR | {"client_cert_auth": "yes"},
            'invalid value "yes" for flag --client-cert-auth: strconv.ParseBool: parsing "yes":'
            " invalid syntax",
        ),
        (PAIR | {"cipher_suites": "FOO"}, 'unexpected TLS cipher suite "FOO"'),
        (PAIR | {"tls_min_version": "TLS1.1"}, 'unexpected TLS version "TLS1.1"'),
        (
            PAIR | {"tls_min_version": "TLS1.3", "tls_max_version": "TLS1.2"},
            "--tls-min-version (TLS1.3) is greater than --tls-max-version (TLS1.2)",
        ),
        (
            PAIR
            | {"tls_min_version": "TLS1.3", "cipher_suites": "TLS_RSA_WITH_AES_128_GCM_SHA256"},
            "--cipher-suites cannot be configured when only TLS1.3 is enabled",
        ),
        (
            PAIR | {"tls_max_version": "TLS1.2", "cipher_suites": "TLS_AES_128_GCM_SHA256"},
            "--cipher-suites: none is of TLS1.2",
        ),
        ({"auto_tls": "true", "self_signed_cert_validity": "0"}, "between 1 and 100 years"),
        (PAIR | {"listen_peer_urls": URL}, "TLS is for clients alone"),
        (
            PAIR | {"listen_client_urls": f"{URL},tcp://127.0.0.1:2379"},
            "--listen-client-urls has tcp://127.0.0.1:2379, where",
        ),
    ],
)
def test_flags_that_do_not_fit_are_named(flags: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        config_of(**flags)


def test_https_urls_are_kept_and_served_by_the_front_with_http_on_the_same_port() -> None:
    urls = f"{URL},http://127.0.0.1:2379,tcp://127.0.0.1:1"
    config = config_of(**PAIR, listen_client_urls=urls, advertise_client_urls="https://a.b:1")
    assert config.front_urls == (URL, "http://127.0.0.1:2379")
    assert config.zeromq_urls == ("tcp://127.0.0.1:1",)
    assert config.advertise_client_urls == ("https://a.b:1",)
    assert config.tls is not None
    assert config.tls.hosts == ("127.0.0.1", "a.b")


def test_without_https_and_without_files_there_is_no_tls() -> None:
    plain = "http://127.0.0.1:2379"
    config = config_of(listen_client_urls=plain, advertise_client_urls=plain)
    assert config.tls is None


def test_suites_of_tls_1_3_alone_ask_for_it_and_among_others_change_nothing() -> None:
    alone = config_of(**PAIR, cipher_suites="TLS_AES_128_GCM_SHA256").tls
    assert alone is not None
    assert (alone.cipher_suites, alone.min_version) == ((), "TLS1.3")
    other = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    both = config_of(**PAIR, cipher_suites=f"TLS_AES_128_GCM_SHA256,{other}").tls
    assert both is not None
    assert (both.cipher_suites, both.min_version) == ((other,), "TLS1.2")


def test_files_that_are_given_count_and_not_those_that_could_be_made() -> None:
    tls = config_of(**PAIR, auto_tls="true").tls
    assert tls is not None
    assert (tls.cert_file, tls.self_signed_years) == (str(Path("c").absolute()), 0)


def test_the_way_of_tls_survives_the_way_to_the_front() -> None:
    tls = ServerTls("c", "k", "a", True, ("x",), "TLS1.2", "TLS1.3", 1, ("h",))
    assert from_fields(tls.to_fields()) == tls
    assert "tls" in FrontConfig._fields


@pytest.mark.parametrize("flag", REFUSED)
def test_a_flag_of_etcd_that_would_be_ignored_is_refused_with_the_reason(
    flag: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not_run(config: NodeConfig) -> int:
        raise AssertionError("it starts")

    with pytest.raises(SystemExit):
        main([f"--{flag}=x"], must_not_run)
    assert f"--{flag}: {REFUSED[flag]}" in capsys.readouterr().err
    variable = f"ETCD_{flag.replace('-', '_').upper()}"
    monkeypatch.setenv(variable, "true")
    with pytest.raises(SystemExit):
        main([], must_not_run)
    assert f"(from {variable})" in capsys.readouterr().err


def test_every_suite_of_tls_1_2_is_known_to_openssl() -> None:
    for name, own in OF_TLS_1_2.items():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(f"{own}:@SECLEVEL=0")
        assert own in {cipher["name"] for cipher in context.get_ciphers()}, name


# --- files ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def tls_of(pair: Pair, ca: Path | None = None, **more: Any) -> ServerTls:
    ca_file = "" if ca is None else str(ca)
    tls = ServerTls(str(pair.cert), str(pair.key), ca_file, False, (), "", "", 0, ())
    return tls._replace(**more)


def test_the_certificate_tells_for_whom_and_until_when_it_is(authority: Authority) -> None:
    found = served(tls_of(authority.issue("good")))
    assert found.names == {"localhost", "127.0.0.1", "::1"}
    assert found.context.verify_mode == ssl.CERT_NONE


def test_an_authority_alone_asks_clients_for_certificates(authority: Authority) -> None:
    found = served(tls_of(authority.issue("good"), authority.cert))
    assert found.context.verify_mode == ssl.CERT_REQUIRED


def test_what_is_wrong_with_a_file_is_one_line_with_its_flag(authority: Authority) -> None:
    good, other = authority.issue("good"), authority.issue("other")
    over = authority.issue("over", life=-timedelta(hours=1))
    future = authority.issue("future", start=timedelta(hours=1))
    locked = authority.issue("locked", password=b"x")
    none, garbage = authority.directory / "none", authority.directory / "garbage"
    garbage.write_bytes(b"\xff no PEM")
    broken = authority.directory / "broken"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    wrong: list[tuple[ServerTls, str]] = [
        (tls_of(Pair(none, good.key)), "--cert-file={cert}: No such file or directory"),
        (tls_of(Pair(good.cert, none)), "--key-file={key}: No such file or directory"),
        (tls_of(good, none), "--trusted-ca-file={ca}: No such file or directory"),
        (tls_of(Pair(authority.directory, good.key)), "--cert-file={cert}: it is no file"),
        (tls_of(Pair(garbage, good.key)), "--cert-file={cert}: there is no certificate in PEM"),
        (tls_of(Pair(broken, good.key)), "--cert-file={cert}, --key-file={key}: "),
        (tls_of(Pair(good.cert, garbage)), "--key-file={key}: there is no private key in PEM"),
        (tls_of(good, garbage), "--trusted-ca-file={ca}: there is no certificate in PEM"),
        (tls_of(good, good.key), "--trusted-ca-file={ca}: there is no certificate in PEM"),
        (tls_of(good, broken), "--trusted-ca-file={ca}: "),
        (tls_of(Pair(good.cert, other.key)), "private key does not match the certificate"),
        (tls_of(over), "--cert-file={cert}: the certificate has expired, on "),
        (tls_of(future), "--cert-file={cert}: the certificate is not valid yet, but from "),
        (tls_of(locked), "--key-file={key}: the key is encrypted"),
        (
            tls_of(good, cipher_suites=("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",))._replace(
                max_version="TLS1.2"
            ),
            "none of them fits the key of --cert-file={cert}",
        ),
    ]
    for tls, complaint in wrong:
        text = complaint.format(cert=tls.cert_file, key=tls.key_file, ca=tls.trusted_ca_file)
        with pytest.raises(TlsError, match=re.escape(text)) as caught:
            served(tls)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(authority: Authority) -> None:
    pair = authority.issue("unreadable")
    pair.key.chmod(0)
    with pytest.raises(TlsError, match="Permission denied"):
        served(tls_of(pair))


def test_what_works_today_and_should_not_stay_so_is_complained_of(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    pair = authority.issue("complained of", life=timedelta(days=3))
    pair.key.chmod(0o644)
    tls = tls_of(pair, pair.cert)
    complain(tls, served(tls))
    assert "may be read by others" in caplog.text
    assert "belong to no authority" in caplog.text
    assert "the certificate ends in 3.0 days" in caplog.text
    caplog.clear()
    pair = authority.issue("praised", life=timedelta(days=300))
    tls = tls_of(pair, authority.cert)
    complain(tls, served(tls))
    assert caplog.text == ""


# --- a certificate of one's own ---------------------------------------------------------------


@pytest.mark.process
def test_a_certificate_of_ones_own_is_kept_until_it_ends_soon_or_hosts_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    pair = Pair(tmp_path / "data" / "cert.pem", tmp_path / "data" / "key.pem")
    tls = tls_of(pair, self_signed_years=1, hosts=("10.0.0.7", "a.b"))
    self_signed.ensure(tls)
    first = pair.cert.read_bytes()
    found = served(tls)
    assert found.names == {"10.0.0.7", "a.b", "localhost", "127.0.0.1", "::1"}
    assert pair.key.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in pair.cert.parent.iterdir()} == {"cert.pem", "key.pem"}
    self_signed.ensure(tls)
    assert pair.cert.read_bytes() == first
    self_signed.ensure(tls._replace(hosts=("c.d",)))
    second = pair.cert.read_bytes()
    assert second != first
    pair.key.write_bytes(b"")
    self_signed.ensure(tls._replace(hosts=("c.d",)))
    assert "making another certificate" in caplog.text
    third = pair.cert.read_bytes()
    monkeypatch.setattr(self_signed, "RENEWED_BEFORE_SECONDS", 366 * 86_400)
    self_signed.ensure(tls._replace(hosts=("c.d",)))
    assert pair.cert.read_bytes() not in {second, third}


def test_without_the_program_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tls = tls_of(Pair(tmp_path / "c", tmp_path / "k"), self_signed_years=1)
    with pytest.raises(TlsError, match="needs the program openssl, which is not found"):
        self_signed.ensure(tls)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "remote error: tls: unknown certificate authority"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "remote error: tls: bad certificate"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "remote error: tls: certificate required"),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "tls: client didn't provide a certificate"),
        ("BAD_RECORD_TYPE", "tls: bad record type"),
    ],
)
def test_a_failed_handshake_is_told_in_etcds_words(reason: str, text: str) -> None:
    error = ssl.SSLError(1, "[SSL: X] x")
    error.reason = reason
    assert handshake_error(error) == text
