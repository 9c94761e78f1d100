"""Content of a document that its pages do not show: attached files, and the fields of dynamic forms."""

from __future__ import annotations

from dataclasses import dataclass

#: Attached files that are named, at most; a database needs no more to find the document.
MAX_NAMES = 100
#: Characters of a name, at most: the limit of Linux for the name of a file.
MAX_NAME = 255
_NO_NAME = "(no name)"
#: Names in a line of a log.
NAMED = 5

#: Endings of the names of documents that this package reads.
SUFFIXES = (".pdf", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif")

DYNAMIC_FORM = (
    "It is a dynamic XFA form: its pages show a placeholder, and not the form. Print it to a PDF with a "
    "viewer of XFA forms, such as Adobe Acrobat."
)


@dataclass(frozen=True)
class Attachments:
    """Files that are attached to a document or a page.

    :param count: how many there are.
    :param names: names of the first ones, at most :data:`MAX_NAMES`.
    :param are_documents: whether their text is missed: the document is a portfolio of them, or one of them
        is a PDF or an image. An invoice's data in XML, or the source of a report, is no such file.
    """

    count: int = 0
    names: tuple[str, ...] = ()
    are_documents: bool = False

    def __add__(self, other: Attachments) -> Attachments:
        return Attachments(
            self.count + other.count,
            (self.names + other.names)[:MAX_NAMES],
            self.are_documents or other.are_documents,
        )

    def message(self, most: int) -> str:
        """Return the attached files in a sentence; empty without any.

        :param most: number of names in it, at most.
        """
        if not self.count:
            return ""
        named = self.names[:most]
        more = self.count - len(named)
        files = "1 attached file was" if self.count == 1 else f"{self.count} attached files were"
        return f"{files} not read: {', '.join(named)}" + (f" and {more} more." if more else ".")


NO_ATTACHMENTS = Attachments()


@dataclass(frozen=True)
class AttachedFile:
    """An attached PDF or image that is read as a separate document.

    :param number: its place in the file that it is attached to: from 1 for files of the whole document,
        above 1000 for those of pages.
    :param name: its name, without directories and control characters.
    """

    number: int
    name: str


def clean_name(name: str) -> str:
    """Return the name of an attached file for a line of a log: no directory, control character or length.

    :param name: the name that the document has for it.
    """
    # Unprintable characters, among them those that reverse the direction of writing, could disguise a name.
    printable = "".join(each if each.isprintable() else " " for each in name[: 1 << 16])
    last = printable.replace("\\", "/").rstrip("/ ").rpartition("/")[2]
    return " ".join(last.split())[:MAX_NAME] or _NO_NAME


def is_document_name(name: str) -> bool:
    """Return whether a file is a PDF or an image by its name."""
    return name.lower().endswith(SUFFIXES)


def unshown_messages(
    attachments: Attachments, *, dynamic_form: bool, most: int = NAMED
) -> tuple[str, ...]:
    """Return sentences about the content that is not read; none if there is no such content.

    :param attachments: attached files of the document and of its pages.
    :param dynamic_form: whether the document is a dynamic XFA form.
    :param most: number of names of attached files in them, at most.
    """
    form = DYNAMIC_FORM if dynamic_form else ""
    return tuple(filter(None, (form, attachments.message(most))))
