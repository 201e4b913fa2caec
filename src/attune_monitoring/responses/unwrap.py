"""The response inside a wrapper, when it lies there ready: raw responses of the SDKs, structured-output libraries."""

from __future__ import annotations

import msgspec

from .fields import fields
from .providers import provider_package

__all__ = ["unwrap"]

_MAX_BODY = 32 * 1024 * 1024


def unwrap(wrapper: object) -> object | None:
    """What a wrapper holds; None if it holds no response, or none that could be had without I/O.

    Nothing of the wrapper is called or changed: `parse()` of a raw response may read from the network, and its result
    belongs to the caller.
    """
    own = getattr(wrapper, "__dict__", None)
    if type(own) is not dict:
        return None
    raw = own.get("_raw_response")  # instructor
    if raw is not None:
        return raw  # type: ignore[no-any-return]
    if "http_response" not in own or provider_package(type(wrapper)) is None:
        return None
    for parsed in (own.get("_parsed_by_type") or {}).values():
        return parsed  # type: ignore[no-any-return]
    body = fields(own["http_response"]).get("_content")
    if own.get("_stream") or type(body) is not bytes or len(body) > _MAX_BODY:
        return None
    try:
        return msgspec.json.decode(body)  # type: ignore[no-any-return]
    except msgspec.DecodeError:
        return None
