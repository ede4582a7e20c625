from __future__ import annotations

from base64 import b64encode

import pytest

from acp_langgraph.core.webhooks import (
    WebhookSignatureError,
    key_of,
    new_secret,
    signed,
    verify,
)

# The example of Standard Webhooks' specification.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
NOW = 1614265330.0


def test_the_signature_is_that_of_standard_webhooks():
    assert signed([key_of(SECRET)], HEADERS["webhook-id"], BODY, now=NOW) == HEADERS
    assert verify(SECRET, HEADERS, BODY, now=NOW) == HEADERS["webhook-id"]


@pytest.mark.parametrize("late", [-301, 301])
def test_a_notice_of_long_ago_is_refused(late):
    with pytest.raises(WebhookSignatureError, match="too old"):
        verify(SECRET, HEADERS, BODY, now=NOW + late)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_other"),
        ("webhook-timestamp", "1614265331"),
        ("webhook-timestamp", "\u0661"),
        ("webhook-timestamp", "-1"),
        ("webhook-signature", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("webhook-signature", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("webhook-signature", "v1,\u00e9"),
        ("webhook-signature", ""),
        ("webhook-signature", None),
    ],
)
def test_what_was_changed_is_refused(name, value):
    headers = {**HEADERS, name: value}
    headers = {key: each for key, each in headers.items() if each is not None}

    with pytest.raises(WebhookSignatureError):
        verify(SECRET, headers, BODY, now=NOW)


def test_while_a_secret_is_being_changed_either_is_good():
    old, new = new_secret(), new_secret()
    headers = signed([key_of(old), key_of(new)], "msg", BODY, now=NOW)

    assert verify(old, headers, BODY, now=NOW) == verify([SECRET, new], headers, BODY, now=NOW)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_AAAA", "whsec_!!!!", "MfKQ9r8G", f"whsec_{b64encode(b'a' * 65)}"],
)
def test_what_is_no_secret_is_refused(secret):
    with pytest.raises(ValueError, match="a webhook secret is whsec_"):
        key_of(secret)
