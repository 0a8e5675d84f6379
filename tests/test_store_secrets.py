"""What of a store's place is public, and that texts are without the rest."""

import json
import logging
import sys

import pytest
from support.accounts import forget_accounts

from biofuse.stores.secrets import (
    VARIABLE,
    RedactingFormatter,
    describe,
    given_secrets,
    join_secrets,
    redact,
    remember,
    secret_variables,
    split_secrets,
)

SECRET = "s3cr3t-0f-th1s-t3st"


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path) -> None:
    forget_accounts(monkeypatch, tmp_path / "home")


URLS = {
    "/a/b?c#d": "/a/b?c#d",
    "s3://bucket/x.vcz": "s3://bucket/x.vcz",
    "https://h:1/x.vcz": "https://h:1/x.vcz",
    f"https://me:{SECRET}@h:1/x.vcz": "https://h:1/x.vcz",
    f"https://{SECRET}@h/x.vcz": "https://h/x.vcz",
    f"https://h/x.vcz?X-Amz-Signature={SECRET}&b=1#c": "https://h/x.vcz",
    "abfss://c@account.dfs.core.windows.net/x": "abfss://c@account.dfs.core.windows.net/x",
    f"abfss://c:{SECRET}@account.dfs.core.windows.net/x": (
        "abfss://account.dfs.core.windows.net/x"
    ),
    f"zip://x.vcz::https://me:{SECRET}@h/a@b.zip?{SECRET}": "zip://x.vcz::https://h/a@b.zip",
    f"ftp://me:{SECRET}@h": "ftp://h",
}


@pytest.mark.parametrize("url", URLS)
def test_urls(url):
    assert describe(url) == URLS[url]
    public, _, secrets = split_secrets(url, {})
    assert public == URLS[url]
    assert bool(secrets) == (public != url)
    assert join_secrets(public, {}, secrets) == (url, {})


HARMLESS = {
    "region": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "endpoint_url": "http://localhost:9000",
    "skip_signature": True,
    "anon": False,
    "branch": "main",
    "account_name": "me",
    "client_options": {"allow_http": True, "timeout": "3s"},
    "retry_config": {"max_retries": 3, "backoff": {"base": 2}},
    "client_kwargs": {"endpoint_url": "http://localhost:9000"},
}
HIDDEN = {
    "secret_access_key": SECRET,
    "aws_access_key_id": "AKIA",
    "key": "k",
    "secret": SECRET,
    "token": {"private_key": SECRET},
    "sas_key": SECRET,
    "whatever": 1,
    "endpoint": f"http://me:{SECRET}@h",
    "client_options": {"proxy_url": f"http://me:{SECRET}@h", "default_headers": {"a": SECRET}},
    "config": {"aws_secret_access_key": SECRET},
    "storage_options": [SECRET],
}


def test_options():
    together = {**HARMLESS, **HIDDEN}
    together["client_options"] = {**HARMLESS["client_options"], **HIDDEN["client_options"]}
    _, public, secrets = split_secrets("s3://b/x", together)
    backoff = secrets["options"].pop("retry_config")
    assert backoff == {"backoff": {"base": 2}}
    assert public == {**HARMLESS, "retry_config": {"max_retries": 3}}
    assert secrets == {"options": HIDDEN}
    assert SECRET not in json.dumps(public)
    secrets["options"]["retry_config"] = backoff
    assert join_secrets("s3://b/x", public, secrets) == ("s3://b/x", together)


def test_what_is_empty():
    options = {"client_options": {}, "region": "", "endpoint": None}
    assert split_secrets("x", options) == ("x", options, {})
    assert secret_variables({}) == {VARIABLE: ""}


def test_from_process_to_process(monkeypatch):
    assert given_secrets() == {}
    _, _, secrets = split_secrets(f"https://me:{SECRET}@h/x", {"key": "ü\n"})
    variables = secret_variables(secrets)
    assert list(variables) == [VARIABLE]
    monkeypatch.setenv(VARIABLE, variables[VARIABLE])
    assert given_secrets() == secrets


TEXTS = {
    f"GET https://me:{SECRET}@h/x?a=1 in 5 ms": "GET https://h/x in 5 ms",
    f"(https://h/x?sig={SECRET})": "(https://h/x)",
    f"Signature={SECRET}, Credential=AKIA/2026": "Signature=***, Credential=***",
    f"Authorization: Bearer {SECRET} now": "Authorization: Bearer *** now",
    f"sv=2020&sig={SECRET}&se=1": "sv=2020&sig=***&se=1",
    "s3://b/x.vcz: nothing of that": "s3://b/x.vcz: nothing of that",
    "the tokens expire: token 7 of 9": "the tokens expire: token 7 of 9",
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text):
    assert redact(text) == TEXTS[text]


def test_known_values(monkeypatch):
    assert redact(f"it is {SECRET}") == f"it is {SECRET}"
    split_secrets("s3://b/x", {"secret_access_key": SECRET, "key": 123456789012, "n": 1000})
    assert redact(f"it is {SECRET}, 123456789012 of 1000") == "it is ***, *** of 1000"
    split_secrets("https://h/x?token=of-the-url&n=20260101", {})
    assert redact("of-the-url 20260101") == "*** 20260101"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-a-variable")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "a-connection-string")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/the/file")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-access-key-id")
    told = redact("token-of-a-variable a-connection-string /the/file an-access-key-id")
    assert told == "*** *** /the/file an-access-key-id"
    remember("word")
    assert redact("word") == "word"


def test_logs():
    remember(SECRET)
    try:
        raise ValueError(f"it is {SECRET}")
    except ValueError:
        record = logging.LogRecord("a", 10, "f", 1, "%s", (SECRET,), sys.exc_info())
    text = RedactingFormatter("%(levelname)s %(message)s").format(record)
    assert text.startswith("DEBUG ***\n")
    assert "ValueError: it is ***" in text
    assert SECRET not in text
