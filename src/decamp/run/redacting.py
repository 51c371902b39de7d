"""Takes out of a sentence what looks like a credential, before it is kept."""

from __future__ import annotations

import re

LONGEST = 2000
"""Characters of a service's own words that are worth keeping."""

_SECRETS = (
    re.compile(r"(?P<keep>://[^/\s:@]+:)[^@\s/]+(?=@)"),
    re.compile(r"(?P<keep>x-(?:auth|subject|service|openstack)[\w-]{0,20}token\s*[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}]+", re.IGNORECASE),
    re.compile(r"(?P<keep>authorization\s*[\"']?\s*[:=]\s*[\"']?(?:basic|bearer)?\s*)[^\s\"',;}]+", re.IGNORECASE),
    re.compile(
        r"(?P<keep>[\w-]{0,40}(?:password|passwd|secret|passphrase|private_key|adminpass|access_key)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<keep>)\bgAAAA[\w-]{20,}={0,2}"),
)
"""URLs with a password; headers of tokens; key-value pairs by their names; Fernet tokens (they all begin with gAAAA)."""


def without_secrets(text: str) -> str:
    """In one line, cut to LONGEST characters, with *** for what looks like a password, a token or a key."""
    line = " ".join(text.split())[: LONGEST * 2]
    for pattern in _SECRETS:
        line = pattern.sub(r"\g<keep>***", line)
    return line[:LONGEST]
