# SPDX-License-Identifier: MIT
"""Keys of CURVE, the encryption of ZeroMQ: what ``key_file`` and ``server_key`` are."""

from __future__ import annotations

from . import _native

__all__ = ["make_key", "public_key"]


def make_key(path: str) -> str:
    """Make a pair: the secret key goes to a new file of mode 0600, the public one is returned.

    Raises :class:`dxh.ExistsError`, :class:`dxh.AccessError`, :class:`dxh.NotFoundError` without the
    folder.
    """
    return _native.key_make(path)


def public_key(path: str) -> str:
    """The public key that belongs to the secret one in a file.

    Raises :class:`dxh.NotFoundError`; :class:`dxh.AccessError` unless it is ours and of mode 0600.
    """
    return _native.key_public(path)
