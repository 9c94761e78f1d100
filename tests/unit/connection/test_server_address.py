"""The spellings of a server's address."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from airflow_deepseek_ocr.connection.server_address import parse_server_address, split_hosts
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import remote_endpoint
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("ocr", None, "http://ocr"),
        ("ocr", 0, "http://ocr"),
        ("ocr", 8000, "http://ocr:8000"),
        ("ocr:8000", None, "http://ocr:8000"),
        ("ocr:8000", 0, "http://ocr:8000"),
        ("ocr:8000", 8000, "http://ocr:8000"),
        ("ocr:08000", 8000, "http://ocr:8000"),
        ("ocr:", 8000, "http://ocr:8000"),
        ("//ocr:8000/", None, "http://ocr:8000"),
        (" ocr\n", 8000, "http://ocr:8000"),
        ("\u00a0ocr\u00a0", 8000, "http://ocr:8000"),
        ("http", 8000, "http://http:8000"),
        ("http:8000", None, "http://http:8000"),
        ("localhost", 8000, "http://localhost:8000"),
        ("ocr.example.com.", None, "http://ocr.example.com."),
        ("ocr_server", 1, "http://ocr_server:1"),
        ("OCR.Example.com", None, "http://OCR.Example.com"),
        ("bücher.example", None, "http://bücher.example"),
        ("10.0.0.1", 8808, "http://10.0.0.1:8808"),
        ("10.0.0.1:8808", None, "http://10.0.0.1:8808"),
        # IPv6, as Airflow gives the host of a URI: without brackets.
        ("::1", 9, "http://[::1]:9"),
        ("::1", None, "http://[::1]"),
        ("[::1]", 9, "http://[::1]:9"),
        ("[::1]:9", None, "http://[::1]:9"),
        ("[::1]:9", 9, "http://[::1]:9"),
        ("[::1]:", 9, "http://[::1]:9"),
        ("http://::1", 9, "http://[::1]:9"),
        ("https://[2001:db8::7]:8443/v1/", None, "https://[2001:db8::7]:8443"),
        ("2001:db8::7", 8443, "http://[2001:db8::7]:8443"),
        ("::ffff:10.0.0.1", 80, "http://[::ffff:10.0.0.1]:80"),
        ("fe80::1%eth0", 80, "http://[fe80::1%eth0]:80"),
        ("[fe80::1%25eth0]:80", None, "http://[fe80::1%eth0]:80"),
        ("https://ocr", 8443, "https://ocr:8443"),
        ("HTTPS://ocr", 8443, "https://ocr:8443"),
        ("Http://ocr:80/", None, "http://ocr:80"),
        ("https://ocr/v1", None, "https://ocr"),
        ("https://ocr/v1/", None, "https://ocr"),
        ("https://ocr///", None, "https://ocr"),
        ("https://ocr/v1/models", None, "https://ocr"),
        ("https://ocr/v1/chat/completions", None, "https://ocr"),
        ("ocr:8000/v1", None, "http://ocr:8000"),
        ("ocr/deep", 8000, "http://ocr:8000/deep"),
        ("https://gate/team/ocr/v1", 1443, "https://gate:1443/team/ocr"),
        ("https://gate/v1beta", None, "https://gate/v1beta"),
    ],
)
def test_spellings_of_one_address(host: str, port: int | None, url: str) -> None:
    address = parse_server_address(host, port)
    assert (address.url, address.socket_path) == (url, None)
    assert httpx.URL(url).host
    assert remote_endpoint(Settings.of({}, host=host, port=port)).url == url


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("unix:///run/s.sock", "/run/s.sock"),
        ("UNIX:///run/s.sock", "/run/s.sock"),
        ("unix:///run/s.sock/", "/run/s.sock"),
        ("unix:////run/s.sock", "/run/s.sock"),
        ("unix:///run/with space/ü.sock", "/run/with space/ü.sock"),
        ("unix:///run/a@b/s.sock?x#y", "/run/a@b/s.sock?x#y"),
        ("unix:///run/v1", "/run/v1"),
        (" unix:///run/s.sock ", "/run/s.sock"),
    ],
)
@pytest.mark.parametrize("port", [None, 0, 1])
def test_spellings_of_a_socket(host: str, path: str, port: int | None) -> None:
    assert parse_server_address(host, port).socket_path == Path(path)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        # Two ports, or none that can be.
        ("ocr:8000", 9000, "has port 8000, and Port is 9000"),
        ("http://ocr:8000", 1, "Empty one of them"),
        ("[::1]:9", 10, "Empty one of them"),
        ("ocr:abc", None, "no number"),
        ("ocr:-1", None, "no number"),
        ("ocr:٨", None, "no number"),
        ("ocr:99999", None, "between 1 and 65535"),
        ("ocr:0", None, "between 1 and 65535"),
        ("ocr", 65536, "between 1 and 65535"),
        ("ocr", -1, "between 1 and 65535"),
        # IPv6 that is none.
        ("::g", None, "no IPv6 address"),
        ("1:2:3", None, "no IPv6 address"),
        ("ocr:8000:8000", None, "no IPv6 address"),
        ("[::1", None, "without its pair"),
        ("::1]", None, "no IPv6 address"),
        ("[::1]9", None, "without its pair"),
        ("[ocr]:80", None, "no IPv6 address"),
        ("[10.0.0.1]", None, "no IPv6 address"),
        ("fe80::1%a b", None, "space"),
        # Names that are none.
        ("http://", None, "no name"),
        (":8000", None, "no name"),
        ("http://:8000", None, "no name"),
        ("//", None, "no name"),
        ("http:///v1", None, "no name"),
        ("a..b", None, "no name or IP address"),
        ("-a", None, "no name or IP address"),
        ("a*", None, "no name or IP address"),
        ("a" * 64, None, "no name or IP address"),
        ("a." * 200, None, "no name or IP address"),
        ("a b", None, "space"),
        ("a\x00b", None, "control character"),
        ("http://a\r\nX: y", None, "control character"),
        ("http:\\\\ocr", None, "backslash"),
        (",", None, "no server between its commas"),
        (" , ,", None, "no server between its commas"),
        # Schemes.
        ("ftp://ocr", None, "https://"),
        ("ws://ocr", None, "https://"),
        ("grpc://ocr:80", None, "https://"),
        ("tcp://ocr:80", None, "https://"),
        ("://ocr", None, "https://"),
        ("http:ocr", None, "without two slashes"),
        ("https:/ocr", None, "without two slashes"),
        ("https:/ocr:8443/v1", None, "without two slashes"),
        # Sockets.
        ("unix://", None, "unix:// and the path"),
        ("unix:///", None, "unix:// and the path"),
        ("unix://run/s.sock", None, "unix:// and the path"),
        ("unix:/run/s.sock", None, "unix:// and the path"),
        ("unix:run/s.sock", None, "unix:// and the path"),
        ("/run/s.sock", None, "unix:// and the path"),
        ("file:///run/s.sock", None, "unix:// and the path"),
        ("http+unix://%2Frun%2Fs.sock", None, "unix:// and the path"),
        ("unix://%2Frun%2Fs.sock", None, "unix:// and the path"),
        ("unix:///run/\x00s.sock", None, "unix:// and the path"),
        ("unix:///s.sock", 8808, "Empty the port"),
        ("unix:///" + "d" * 107, None, "too long for a Unix socket"),
        ("unix:///" + "ü" * 54, None, "too long for a Unix socket"),
    ],
)
def test_what_is_no_address_is_refused(host: str, port: int | None, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Settings.of({}, host=host, port=port)
    assert caught.value.code is ErrorCode.CONNECTION
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "host",
    [
        "http://user:hunter2@ocr",
        "https://hunter2@ocr:8443/v1",
        "user:hunter2@ocr",
        "hunter2@ocr",
        "hunter2@",
        "//:hunter2@ocr",
        "HTTP://user:hunter2@[::1]:80/",
        "http://user:hunter2%40ocr",
        # Passwords with the marks of a URL's other parts.
        "http://user:hun/hunter2@ocr",
        "http://user:hun?hunter2@ocr",
        "http://user:hun#hunter2@ocr",
        "http://user:hun,hunter2@ocr",
        "http://user:hunter2,hun@ocr",
        "ocr,http://user:hunter2@ocr",
        "http://user:hunter2 @ocr",
        "http:user:hunter2@ocr",
        "ftp://user:hunter2@ocr",
        "http://a:80@b:hunter2@ocr",
        # No login, but as secret.
        "https://ocr/v1?api_key=hunter2",
        "https://ocr#hunter2",
        "user:hunter2",
        "unix://user:hunter2@host/run/s.sock",
        "[hunter2]",
    ],
)
@pytest.mark.parametrize("engine", ["auto", "remote", "resident"])
def test_no_message_quotes_what_may_be_a_secret(host: str, engine: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.of({"engine": engine}, host=host)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)
    assert caught.value.code is ErrorCode.CONNECTION


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        ("", ()),
        ("a", ("a",)),
        ("http://a:8000,http://b:8000", ("http://a:8000", "http://b:8000")),
        (" a , b,, a ,", ("a", "b")),
        ("[::1]:8000,unix:///run/s.sock", ("[::1]:8000", "unix:///run/s.sock")),
    ],
)
def test_several_servers(host: str, hosts: tuple[str, ...]) -> None:
    assert split_hosts(host) == hosts
    assert tuple(each.host for each in Settings.of({}, host=host).each_server()) == hosts


def test_each_of_several_servers_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="no number"):
        Settings.of({}, host="http://a:8000,http://b:x")
