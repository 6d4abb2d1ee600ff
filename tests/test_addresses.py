"""Which addresses a model may be at, as far as that can be told without looking names up."""

from ipaddress import ip_address, ip_network

import pytest

from flask_model_registry.providers.netguard import (
    AddressPolicy,
    BadAddressError,
    is_public,
    parse_base_url,
)

PUBLIC = ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
          "172.15.0.1", "172.32.0.1", "192.167.0.1", "223.255.255.255", "2606:4700::1111", "2a00::1"]  # fmt: skip
NOT_PUBLIC = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.255",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1",
    "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_on_the_internet_are_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_special_addresses_are_not_public(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_a_url_with_a_special_address_is_refused(text):
    host = f"[{text}]" if ":" in text else text

    with pytest.raises(BadAddressError):
        AddressPolicy().check(parse_base_url(f"https://{host}/v1"))


SPELLINGS = [
    "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1",
    "127.0.0.1.", "127.0.0.01", "0127.0.0.1", "1.1.1.1.1", "256.1.1.1", "1.2.3", "0x1", "1e1", "[::1%25lo]",
    "[0:0:0:0:0:0:0:1]", "[::FFFF:7f00:1]", "[127.0.0.1]", "[::1", "::1", "①②⑦.0.0.1", "127。0。0。1",
    "localhost", "LOCALHOST", "x.localhost", "printer.local", "metadata.google.internal", "intranet",
    "user@example.com", "example.com@127.0.0.1", "example.com\\@127.0.0.1", "example.com#@127.0.0.1",
    "example.com%2f@127.0.0.1", "exa mple.com", "exam\tple.com", "example.com\n", "", ".", "..", "a..b",
    "-a.com", "a-.com", "a" * 64 + ".com", "a." * 130 + "com", "ex%61mple.com", "[]", "[example.com]", "[8.8.8.8]",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
def test_other_spellings_are_refused(host):
    with pytest.raises(BadAddressError) as caught:
        AddressPolicy().check(parse_base_url(f"https://{host}/v1"))

    assert "127" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.com", "https://example.com:443"),
        ("https://EXAMPLE.com:443/v1/", "https://example.com:443"),
        ("http://example.com/", "http://example.com:80"),
        ("https://[2606:4700::1]:8443/v1", "https://[2606:4700::1]:8443"),
        ("https://a_b.example.com/x//y", "https://a_b.example.com:443"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, origin):
    assert parse_base_url(url).origin == origin


def test_a_name_may_stand_for_what_the_host_allows():
    policy = AddressPolicy(frozenset({"ollama"}), (ip_network("10.0.0.0/8"),))

    assert policy.permits("a.example.com", ip_address("10.1.2.3"))
    assert policy.permits("a.example.com", ip_address("1.1.1.1"))
    assert policy.permits("ollama", ip_address("192.168.0.1"))
    assert not policy.permits("a.example.com", ip_address("192.168.0.1"))
    assert not policy.permits("a.ollama", ip_address("127.0.0.1"))


def test_what_the_host_allows_is_allowed():
    policy = AddressPolicy(frozenset({"ollama"}), (ip_network("10.0.0.0/8"), ip_network("::1")))

    for url in ("http://ollama:11434/v1", "https://OLLAMA", "http://10.1.2.3", "http://[::1]:8000"):
        policy.check(parse_base_url(url))
    for url in ("http://ollama2", "http://11.1.1.1", "https://192.168.0.1", "https://[::2]"):
        with pytest.raises(BadAddressError):
            policy.check(parse_base_url(url))
