"""Where callbacks and webhooks may go."""

import pytest

from mlq.deliveries.allowed import TargetRefused, Targets, find
from mlq.errors import InputError

METADATA = [
    "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::a9fe:a9fe%1", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "0.1.2.3", "::", "224.0.0.1", "ff02::1",
    "255.255.255.255",
    "::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
    "::ffff:a9fe:a9fe", "0:0:0:0:0:FFFF:A9FE:A9FE", "::ffff:0:169.254.169.254", "2001:db8::5efe:169.254.169.254",
    "2001:db8::200:5efe:a9fe:a9fe", "5f00::1", "5f00:0:1::169.254.169.254", "::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::", "2001:0:a9fe:a9fe::", "2001:0:808:808:0:0:5601:5601",
]  # fmt: skip
INSIDE = ["fec0::1", "127.0.0.1", "127.8.9.1", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1",
          "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::",
          # what IANA's registries call special, and what is assigned to nobody
          "::ffff:8.8.8.8", "::FFFF:808:808", "0:0:0:0:0:ffff:8.8.8.8", "::8.8.8.8", "2002:808:808::1", "3fff::1",
          "2001:0:808:808::f7f7:f7f7", "2001:2::1", "2001:20::1", "2001:db8::1", "100::1", "100:0:0:1::1", "1::1",
          "4000::1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
          "203.0.113.1", "240.0.0.1", "255.255.255.254", "2606:4700::5efe:10.0.0.1"]  # fmt: skip
OUTSIDE = ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::8.8.8.8", "223.255.255.255", "2a00::1"]


def allowed(setting, *addresses, host="host.example"):
    """Whether a setting lets a host with these addresses be a target."""
    try:
        Targets(setting).check(host, list(addresses))
    except TargetRefused:
        return False
    return True


def test_refusal_says_what_to_look_at():
    """The setting, the host and the address."""
    with pytest.raises(TargetRefused, match=r"^a\.b \(10\.0\.0\.1\) .* MLQ_CALLBACK_TARGETS=public$"):
        Targets("public").check("a.b", ["8.8.8.8", "10.0.0.1"])


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("setting", ["local", "public", "host.example", "10.0.0.0/8"])
def test_metadata_is_refused_in_every_form(setting, address):
    """By every setting that does not name its network; a name that is allowed leads to none, either."""
    assert not allowed(setting, address)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside(address):
    """Receivers on a single machine or in its network are the usual case, and what `public` is against."""
    assert allowed("local", address)
    assert not allowed("public", address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_outside(address):
    """Allowed unless others are listed."""
    assert allowed("local", address)
    assert allowed(" PUBLIC ", address)
    assert not allowed("other.example, 10.0.0.0/8", address)


def test_each_address_must_be_allowed():
    """One that is refused among others would be reached sooner or later."""
    assert allowed("public", "8.8.8.8", "1.1.1.1")
    assert not allowed("public", "8.8.8.8", "10.0.0.1")
    assert not allowed("local", "8.8.8.8", "169.254.169.254")


def test_list_of_names_and_networks():
    """Those alone; a network that is named holds whatever it holds."""
    setting = "hooks.example,10.1.0.0/16, 169.254.7.0/24,fd12::/16,192.168.1.5"
    assert allowed(setting, "8.8.8.8", host="hooks.example")
    assert allowed(setting, "8.8.8.8", host="HOOKS.example.")
    assert not allowed(setting, "8.8.8.8", host="evil.hooks.example")
    for address in ("10.1.2.3", "169.254.7.7", "fd12::9", "192.168.1.5", "::ffff:10.1.2.3"):
        assert allowed(setting, address)
    for address in ("10.2.0.1", "169.254.169.254", "192.168.1.6", "127.0.0.1", "64:ff9b::10.1.2.3"):
        assert not allowed(setting, address)


@pytest.mark.parametrize(
    "setting", ["10.0.0.1/8", "local,public", "a b", "http://x", "1.2.3", "[::1]", "10.0.0.5:80", "*.a"]
)
def test_settings_that_are_none(setting):
    """A mistake must not open or close everything."""
    with pytest.raises(InputError, match="MLQ_CALLBACK_TARGETS"):
        Targets(setting)


def test_nothing_set_is_local():
    """And so is a blank."""
    assert allowed("", "127.0.0.1")
    assert not allowed(" ", "169.254.169.254")
    assert not allowed(",", "127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "127.0.1", "localhost", "LOCALHOST",
     "127.0.0.1", "::1", "::ffff:127.0.0.1", "::FFFF:7F00:1", "0:0:0:0:0:ffff:7f00:0001"],
)  # fmt: skip
def test_names_of_the_loopback(host):
    """Whatever way of writing it the resolver knows, its addresses are what is checked."""
    assert not allowed("public", *find(host, 80, 5.0), host=host)


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a" * 70, "x..y"])
def test_names_without_an_address(host):
    """An error of the network, not of ours."""
    with pytest.raises(OSError, match=r"address"):
        find(host, 80, 5.0)


def test_resolver_that_hangs(monkeypatch):
    """Does not hold a try for longer than it may take."""
    import socket
    import threading

    go_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go_on.wait(20) and [])
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        find("slow.example", 80, 0.05)
    go_on.set()
