"""Masking: payloads as people may see them, the values of secret fields left out.

A job keeps its payload as it came, since its worker needs it; whatever shows a job (API, events, dashboard, command
line) goes through here.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from workplatform.models import SECRET, WireModel

MASK: Final = "***"


def masked_fields(model: type[WireModel], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload, or a part of a submission, its secret fields masked; names inside them stay readable."""
    secrets = _secret_names(model)
    return {name: _masked(value) if name in secrets else value for name, value in payload.items()}


@cache
def _secret_names(model: type[WireModel]) -> frozenset[str]:
    """Return what callers may call the secret fields: by the wire's spelling or by ours."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.items() >= SECRET.items():
            names.update({name, field.alias or name})
    return frozenset(names)


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: inner if name == "name" else _masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value if value is None or isinstance(value, bool) else MASK
