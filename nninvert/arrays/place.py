"""Where a message about an input says that it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nninvert.errors import InputError, shortlist

NamedShape = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """A source of values: its name for people, and the part it plays.

    Parameters
    ----------
    file : str
        The file as the user named it, or "standard input".
    role : str
        Which argument it is, such as ``y``: stands where nothing nearer is known.
    parts : sequence of (name, shape), default ()
        What an .npz may hold in place of one array: the parts of rows, where a network
        has several inputs, or outputs.
    """

    file: str
    role: str
    parts: Sequence[NamedShape] = ()

    def inside(self, *parts: str) -> str:
        """The field of an error: places inside the file, else the role of the file."""
        return " > ".join(parts) or self.role

    def ambiguous(self, what: str, names: Sequence[str]) -> InputError:
        """Build the error for a file that holds several arrays and no key to choose."""
        if self.parts:
            wanted = [name for name, _ in self.parts]
            saved = ", ".join(f"{name!r}: ..." for name in wanted[:2])
            saved += ", ..." if len(wanted) > 2 else ""
            return InputError(
                self.inside(),
                got=f"{what} ({shortlist(names)})",
                expected=f"one of whole rows, or an .npz with {shortlist(wanted)}",
                next_step=f"numpy.savez('parts.npz', **{{{saved}}}) writes one.",
                file=self.file,
            )
        example = self.role if self.role in names else names[0]
        return InputError(
            self.inside(),
            got=f"{what} ({shortlist(names)})",
            expected="one",
            next_step=f"Name it, for example: {self.file}:{example}",
            file=self.file,
        )
