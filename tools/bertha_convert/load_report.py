"""What transformers 5.23.0 warns of when it loads a checkpoint (its LOAD REPORT), as sentences and as an error.

It goes on where weights are missing and makes them from random numbers, so that each load gives other answers. Here
that is refused for a head; the pooler of an encoder alone is left out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from .errors import ConvertError
from .families import WRAPPERS, unwrapped

SHOWN = 8  # names of a kind that a sentence lists
QUIET = "position_ids"  # a buffer of old checkpoints, of which transformers says nothing


def some(names: list[str]) -> str:
    """The first of many names, and how many there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def check_trained(head: str, needed: list[str], present: Container[str], where: Path) -> None:
    """Throws where the checkpoint lacks weights that the head needs."""
    missing = [name for name in needed if name not in present]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        raise ConvertError(
            f"{where}: the {head} head was never trained, or not saved: the checkpoint lacks {names}. transformers "
            "would warn and make them from random numbers, and each load would answer otherwise. Convert a checkpoint "
            "that was fine-tuned for this task, or the encoder alone by --head none.",
            missing,
        )


def sentences(head: str, renamed: Iterable[str], left_out: list[str], missing: list[str], prefix: str = "") -> list[str]:
    """What there is to say about a checkpoint that is converted; `renamed` are names that the checkpoint has, `prefix` is
    the family's own."""
    unused = [name for name in left_out if not name.endswith(QUIET)]
    result = []
    for word, origin in WRAPPERS.items():
        if wrapped := sum(word in unwrapped(name, prefix)[1] for name in renamed):
            what = "transformers would not know them and make them from random numbers, here it is removed"
            result.append(f"{wrapped} tensors of the checkpoint have the prefix {word} of {origin}: {what}")
    if unused:
        user = "an encoder alone" if head == "none" else f"the {head} head"
        what = "tensor of the checkpoint is" if len(unused) == 1 else "tensors of the checkpoint are"
        result.append(f"{len(unused)} {what} not used by {user}: {some(unused)}")
    if missing:
        what = "transformers would make a pooler from random numbers, the file has none"
        result.append(f"the checkpoint lacks {some(missing)}: {what}")
    return result
