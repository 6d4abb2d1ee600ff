"""Whatever a proxy adds to an entity tag, it names the same version of the same model."""

import pytest

from tests.hosts import CANARY, PREFIX, model, register

ADDRESS = f"{PREFIX}/static/model-registry.js"

MARKED = [
    '"{}"',
    'W/"{}"',  # nginx, HAProxy, Varnish, Cloudflare
    'w/"{}"',
    '"{}-gzip"',  # Apache, lighttpd, Caddy
    '"{}-br"',
    '"{}-zstd"',
    '"{}-deflate"',
    '"{};gzip"',
    '"{};gz"',  # LiteSpeed
    '"{}:gzip"',  # Flask-Compress
    '"{}:br"',
    '"{}:zstd"',
    '"{}:deflate"',
    '"{}--gzip"',  # Jetty
    '"{}-GZIP"',
    '"{}-x-gzip"',
    '"{}:br-gzip"',  # Flask-Compress, then Apache
    'W/"{}:zstd"',  # Flask-Compress, then nginx
    'W/"{}:br--gzip;gz"',
    '"{}"-gzip',  # Apache 2.2
    'W/"{}"-gzip',
    "{}",  # quotes lost
    "W/{}",
    "{}-gzip",
    '"{}',
    '{}"',
    'W/W/"{}"',
    '"W/"{}""',
    '"x", W/"{}:br"',
    '"a, b", "{}-gzip", "c"',
    '"x",W/"{}"',
    ' "{}" ',
]


@pytest.fixture
def row_id(alice):
    """A model whose number and version look like others."""
    (row_id,) = register(alice, "m")
    for text in "abcdefghijk":
        assert alice.patch(f"{PREFIX}/{row_id}", json={"description": text}).status_code == 200
    return row_id


def tag_of(client, row_id):
    return client.get(f"{PREFIX}/{row_id}").headers["ETag"].strip('"')


def others(tag):
    """Return texts that look like the tag but aren't."""
    row_id, version, flags = tag.split("-")
    tags = [
        f"{row_id}-{version[:-1]}-{flags}",
        f"{row_id}-{version}{version}-{flags}",
        f"{row_id}-{version}-{flags}1",
        f"{row_id}-{version}-{flags[:-1]}",
        f"{row_id}-{version}-000",
        f"{row_id}-{int(version) - 1}-{flags}",
        f"1{tag}",
        f"0{tag}",
        f"{int(row_id) + 1}-{version}-{flags}",
        f"{row_id}-{version}",
        tag.replace("-", ":"),
        f"{tag}x",
        f"{tag}-x",
        f"{tag}-gzipx",
        f"{tag}gzip",
        f"{tag}-gzip-x",
        f"x-{tag}",
        f"gzip-{tag}",
        f"{tag} {tag}",
        f"{tag}-111",
    ]
    garbage = [
        "",
        "null",
        '"null"',
        '"*"',
        "W/*",
        "**",
        '"',
        '""',
        "W/",
        ",",
        "gzip",
        f'"x, {tag}, y"',
    ]
    garbage += [f'"x, {tag}', f'x"{tag}"', f'"{tag}" "x"', f'\\"{tag}\\"']
    return [*garbage, *(mark.format(each) for each in tags for mark in ('"{}"', 'W/"{}"', "{}"))]


def test_a_marked_tag_lets_every_change_through(host, alice, row_id):
    bob = str(host.user("bob"))
    requests = [
        ("put", "", model(model_id="m")), ("put", "/credential", {"api_key": CANARY}),
        ("put", f"/grants/users/{bob}", {}), ("delete", f"/grants/users/{bob}", None),
        ("put", "/grants/groups/g", {}), ("delete", "/grants/groups/g", None),
        ("delete", "/credential", None), ("post", "/transfer", {"user": str(host.user("alice"))}),
        ("delete", "", None),
    ]  # fmt: skip
    cases = [(each, ("patch", "", {"description": each})) for each in MARKED]
    cases += [('W/"{}:br-gzip"', each) for each in requests]

    for marked, (method, path, body) in cases:
        header = marked.format(tag_of(alice, row_id))
        response = getattr(alice, method)(
            f"{PREFIX}/{row_id}{path}", json=body, headers={"If-Match": header}
        )
        assert response.status_code in {200, 201, 204}, (marked, method, path, response.text)


def test_a_read_with_a_marked_tag_is_304_and_says_the_tag(alice, row_id):
    tag = tag_of(alice, row_id)

    for marked in MARKED:
        for path in (f"/{row_id}", "/by-id/m"):
            response = alice.get(PREFIX + path, headers={"If-None-Match": marked.format(tag)})
            assert (response.status_code, response.data) == (304, b""), marked
            assert response.headers["ETag"] == f'"{tag}"'


def test_a_marked_tag_keeps_a_write_from_what_was_seen(alice, row_id):
    tag = tag_of(alice, row_id)

    for marked in MARKED:
        headers = {"If-None-Match": marked.format(tag)}
        response = alice.patch(f"{PREFIX}/{row_id}", json={"description": "x"}, headers=headers)
        assert response.status_code == 412, marked


def test_a_tag_that_only_looks_alike_is_another(alice, row_id):
    tag = tag_of(alice, row_id)

    for header in others(tag):
        changed = alice.patch(
            f"{PREFIX}/{row_id}", json={"description": "x"}, headers={"If-Match": header}
        )
        assert changed.status_code == 412, header
        assert "Fetch it again and retry." in changed.json["detail"]
        read = alice.get(f"{PREFIX}/{row_id}", headers={"If-None-Match": header})
        assert read.status_code == 200, header
    assert tag_of(alice, row_id) == tag


def test_a_star_is_any_tag(alice, row_id):
    for star in ("*", " * "):
        response = alice.get(f"{PREFIX}/{row_id}", headers={"If-None-Match": star})
        assert response.status_code == 304
        response = alice.patch(f"{PREFIX}/{row_id}", json={}, headers={"If-Match": star})
        assert response.status_code == 200


def test_a_long_header_takes_no_longer_than_its_length(alice, row_id):
    tag = tag_of(alice, row_id)

    for header in ("W/" * 15_000, f'"{tag}' + "-gzip" * 6_000 + "x", '"' * 30_001, ", " * 15_000):
        response = alice.patch(f"{PREFIX}/{row_id}", json={}, headers={"If-Match": header})
        assert response.status_code == 412


def test_a_browser_that_has_the_page_is_not_sent_it_again(host):
    with host.client().get(ADDRESS) as response:
        tag = response.headers["ETag"].strip('"')

    for marked in MARKED:
        headers = {"If-None-Match": marked.format(tag)}
        with host.client().get(ADDRESS, headers=headers) as again:
            assert (again.status_code, again.data) == (304, b""), marked
        headers = {"If-None-Match": marked.format(f"{tag}0")}
        with host.client().get(ADDRESS, headers=headers) as other:
            assert other.status_code == 200, marked
