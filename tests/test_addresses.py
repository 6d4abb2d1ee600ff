"""Which addresses a model may have, without looking names up."""

from ipaddress import ip_address, ip_network

import pytest

from flask_model_registry.providers.base_urls import (
    AddressPolicy,
    BadAddressError,
    is_public,
    parse_base_url,
)
from tests.addresses import NOT_PUBLIC, SPELLINGS

PUBLIC = ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
          "172.15.0.1", "172.32.0.1", "192.167.0.1", "223.255.255.255", "2606:4700::1111", "2a00::1"]  # fmt: skip


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


def test_a_name_may_lead_to_an_address_that_the_host_allows():
    policy = AddressPolicy(frozenset({"ollama"}), (ip_network("10.0.0.0/8"),))

    assert policy.permits("a.example.com", ip_address("10.1.2.3"))
    assert policy.permits("a.example.com", ip_address("1.1.1.1"))
    assert policy.permits("ollama", ip_address("192.168.0.1"))
    assert not policy.permits("a.example.com", ip_address("192.168.0.1"))
    assert not policy.permits("a.ollama", ip_address("127.0.0.1"))


def test_a_host_that_the_app_allows_is_allowed():
    policy = AddressPolicy(frozenset({"ollama"}), (ip_network("10.0.0.0/8"), ip_network("::1")))

    for url in ("http://ollama:11434/v1", "https://OLLAMA", "http://10.1.2.3", "http://[::1]:8000"):
        policy.check(parse_base_url(url))
    for url in ("http://ollama2", "http://11.1.1.1", "https://192.168.0.1", "https://[::2]"):
        with pytest.raises(BadAddressError):
            policy.check(parse_base_url(url))
