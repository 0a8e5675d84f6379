"""Profiles of ~/.aws/config and ~/.aws/credentials.

A mount may stay for days, so credentials are looked for again whenever obstore asks: programs
that renew those in the files do so every hour.
"""

import datetime
import functools
import importlib
import json
import os
import shlex
from collections.abc import Callable
from typing import Any

from biofuse.errors import BiofuseError, one_line
from biofuse.stores.access import variable
from biofuse.stores.secrets import remember

# obstore asks again once less than five minutes are left of what it was given.
_LOOK_AGAIN = datetime.timedelta(minutes=6)
# What botocore hands out is good for so long.
_BOTO_GIVES = datetime.timedelta(minutes=10)
# Seconds that a credential_process may take, in which somebody may have to confirm it.
_PROCESS_TIME = 60
# Profiles that botocore can make credentials of.
_BOTO = ("role_arn", "sso_session", "sso_start_url", "login_session", "web_identity_token_file")

Credential = dict[str, Any]


class Profile:
    """A profile of the user's; empty where there are no files.

    Parameters
    ----------
    name : str
    told : bool
        Whether the user has named it.
    """

    def __init__(self, name: str, told: bool):
        self.name = name
        self.told = told
        self._config, self._credentials = _read_files()
        section = name if name == "default" else f"profile {name}"
        config = self._config.get(section) or self._config.get(f"profile {name}")
        credentials = self._credentials.get(name)
        self.exists = config is not None or credentials is not None
        self._values = {**(config or {}), **(credentials or {})}

    def get(self, key: str) -> str | None:
        """A setting."""
        return self._values.get(key)

    @property
    def source(self) -> str:
        """Where its credentials are from, for messages."""
        return f"the profile {self.name} of ~/.aws"

    @property
    def endpoint(self) -> str | None:
        """The URL of the S3 server that it names."""
        services = self._config.get(f"services {self.get('services')}") or {}
        # Settings of a service are lines below its name.
        for line in services.get("s3", "").splitlines():
            key, equals, value = line.partition("=")
            if equals and key.strip() == "endpoint_url":
                return value.strip()
        return self.get("endpoint_url")

    def provider(self) -> Callable[[], Credential] | None:
        """What gives its credentials; None if it has none.

        Raises
        ------
        BiofuseError
            If the user has named a profile that is not there, or it takes boto3.
        """
        if self.told and not self.exists:
            raise BiofuseError(
                f"the profile {self.name}, which AWS_PROFILE names, is in neither "
                f"{_path('credentials')} nor {_path('config')}"
            )
        if any(self.get(key) for key in _BOTO):
            return _boto_provider(self.name)
        if self.get("aws_access_key_id") and self.get("aws_secret_access_key"):
            return functools.partial(_static, self.name)
        command = self.get("credential_process")
        if command:
            return _ProcessProvider(command)
        return None


def find_profile() -> Profile:
    """The profile that AWS_PROFILE names, else the default one."""
    told = variable("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    return Profile(told or "default", told is not None)


def _path(name: str) -> str:
    told = {"config": "AWS_CONFIG_FILE", "credentials": "AWS_SHARED_CREDENTIALS_FILE"}[name]
    return os.path.expanduser(variable(told) or f"~/.aws/{name}")


Sections = dict[str, dict[str, str]]


def _read_files() -> tuple[Sections, Sections]:
    """The config file and the credentials file."""
    return _read(_path("config")), _read(_path("credentials"))


def _read(path: str) -> Sections:
    try:
        status = os.stat(path)
    except OSError:
        return {}
    return _parse(path, status.st_mtime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=8)
def _parse(path: str, *_: int) -> Sections:
    """The sections of a file as it is; read again when its time, size or inode is another."""
    # Most have no such file.
    import configparser

    parser = configparser.RawConfigParser(strict=False, default_section="\0")
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, ValueError) as error:
        raise BiofuseError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        ) from error
    except configparser.Error as error:
        raise BiofuseError(f"{path} is not of the form of an AWS file") from error
    return {name.replace('"', ""): dict(parser[name]) for name in parser.sections()}


def _static(name: str) -> Credential:
    """What stands in the files now."""
    profile = Profile(name, True)
    key, secret = profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")
    if not (key and secret):
        raise BiofuseError(f"the profile {name} of ~/.aws has no keys any more")
    token = profile.get("aws_session_token")
    remember([secret, token])
    return {
        "access_key_id": key,
        "secret_access_key": secret,
        "token": token,
        "expires_at": _now() + _LOOK_AGAIN,
    }


class _ProcessProvider:
    """The credentials that a command prints, which is run again when they end."""

    def __init__(self, command: str):
        self._command = command

    def __call__(self) -> Credential:
        value = self._run()
        expiration = value.get("Expiration")
        remember([value["SecretAccessKey"], value.get("SessionToken")])
        return {
            "access_key_id": value["AccessKeyId"],
            "secret_access_key": value["SecretAccessKey"],
            "token": value.get("SessionToken"),
            "expires_at": _time(expiration) if expiration else None,
        }

    def _run(self) -> dict[str, Any]:
        import subprocess

        words = shlex.split(self._command)
        words[0] = os.path.expanduser(words[0])
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_PROCESS_TIME,
            )
        except (OSError, subprocess.SubprocessError) as error:
            why = getattr(error, "strerror", None) or f"no answer in {_PROCESS_TIME} s"
            raise BiofuseError(f"the credential_process {words[0]} fails: {why}") from None
        if done.returncode != 0:
            raise BiofuseError(
                f"the credential_process {words[0]} fails: exit code {done.returncode}"
            )
        try:
            value = json.loads(done.stdout)
            if all(isinstance(value[key], str) for key in ("AccessKeyId", "SecretAccessKey")):
                return dict(value)
        except (ValueError, KeyError, TypeError):
            pass
        # What it is may be a secret.
        raise BiofuseError(f"the credential_process {words[0]} does not print credentials")


def _boto_provider(name: str) -> Callable[[], Credential]:
    """The credentials of a role or of a sign-on, which botocore keeps fresh.

    Raises
    ------
    BiofuseError
        If it is not installed, or finds none.
    """
    try:
        boto3 = importlib.import_module("boto3")
    except ImportError:
        raise BiofuseError(
            f"the profile {name} of ~/.aws is of a role or of single sign-on, for which boto3 is "
            "needed: pip install boto3"
        ) from None
    try:
        found = boto3.Session(profile_name=name).get_credentials()
    except Exception as error:
        raise BiofuseError(f"the profile {name} of ~/.aws: {one_line(error)}") from None
    if found is None:
        raise BiofuseError(f"the profile {name} of ~/.aws has no credentials")

    def provide() -> Credential:
        try:
            frozen = found.get_frozen_credentials()
        except Exception as error:
            raise BiofuseError(f"the profile {name} of ~/.aws: {one_line(error)}") from None
        remember([frozen.secret_key, frozen.token])
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": _now() + _BOTO_GIVES,
        }

    return provide


def _time(text: str) -> datetime.datetime:
    """A time of ISO 8601."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BiofuseError("a credential_process prints an Expiration that is no time") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=datetime.UTC)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
