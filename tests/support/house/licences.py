"""Licences of the packages that this package and its extras install, as their own metadata say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

#: Extras for users; ``demo``, ``training``, ``fuzz`` and ``dev`` are for work on this repository.
EXTRAS = ("transformers", "heif", "postgres", "mysql")
#: Licences without conditions on programs that use the package. MPL-2.0 has conditions on its own files only.
_PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|Unlicense|Zlib|CC0|HPND)\b",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"GPL|General Public|SSPL|BUSL|Commons Clause|Proprietary|Commercial|-NC\b|EUPL|CDDL|OSL",
    re.IGNORECASE,
)
#: Packages with other licences, and what brings each; docs/reference/licences.md says more.
EXCEPTIONS = {
    "text-unidecode": "base",
    "pi-heif": "heif",
    "psycopg2-binary": "postgres",
    "psycopg": "postgres",
    "psycopg-binary": "postgres",
    "mysqlclient": "mysql",
    "mysql-connector-python": "mysql",
}
#: CUDA's libraries, which torch requires on hosts with a GPU: NVIDIA's own terms.
_NVIDIA = re.compile(r"nvidia-|cuda-")


def requirements() -> dict[str, list[str]]:
    """Return the requirements of the base installation and of each extra for users."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return {"base": project["dependencies"]} | {name: extras[name] for name in EXTRAS}


def installed(needed: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Return the installed packages that the requirements bring, by name.

    :param needed: requirements; those of other platforms are left out.
    """
    found: dict[str, metadata.Distribution] = {}
    waiting = [(Requirement(each), "") for each in needed]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            try:
                found[name] = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                continue
            waiting += [(Requirement(each), wanted) for each in found[name].requires or ()]
    return found


def licence(package: metadata.Distribution) -> str:
    """Return the licence that a package's metadata state.

    :param package: installed package.
    """
    fields = package.metadata
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in fields.get_all("Classifier") or ()
        if each.startswith("License :: ")
    ]
    stated = fields.get("License-Expression") or "; ".join(classifiers)
    # Some packages put the licence's whole text into the field.
    return stated or (fields.get("License") or "").partition("\n")[0]


def is_permissive(text: str) -> bool:
    """Return whether a stated licence is one of those that need no entry in :data:`EXCEPTIONS`.

    :param text: licence as the metadata state it.
    """
    return bool(_PERMISSIVE.search(text)) and not _OTHER.search(text)


def others(group: str) -> dict[str, str]:
    """Return packages of a group of requirements whose licence is not permissive, with the licence.

    :param group: ``base``, or an extra.
    """
    packages = installed(requirements()[group])
    stated = {name: licence(package) for name, package in packages.items()}
    return {
        name: text
        for name, text in sorted(stated.items())
        if not is_permissive(text) and not _NVIDIA.match(name)
    }
