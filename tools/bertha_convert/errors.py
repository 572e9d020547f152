"""The converter's one exception: every message says what is wrong, where, what to expect and what to do."""

from __future__ import annotations


class ConvertError(Exception):
    """An input that can't be converted, told in one message; `missing` names the weights that a head would need."""

    def __init__(self, message: str, missing: list[str] | None = None) -> None:
        super().__init__(message)
        self.missing = missing or []


NOTHING = object()  # a part that a message doesn't have; None is JSON's null


def fail(
    what: str, *, where: object = None, expected: object = None, got: object = NOTHING, do: str = ""
) -> ConvertError:
    """The error whose message puts the parts in the order where, what, expected, got, what to do."""
    message = f"{where}: {what}" if where is not None else what
    if expected is not None:
        message += f"; expected {expected}"
    if got is not NOTHING:
        message += f"; got {'null' if got is None else got}"
    return ConvertError(f"{message}. {do}" if do else message)
