"""The packages in an image as a CycloneDX document, which scanners of licences and of known flaws read.

The same image gives the same bytes: no time of writing, and a serial number made from the image's name and id.
Source: CycloneDX 1.6; the package URL types of deb, apk, rpm, pypi, cran, bioconductor and conda.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

from skyport_wf import __version__
from skyport_wf.image.examination.package_list import PackageList
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image_list.reference import split_docker_name

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

_OF_A_DISTRIBUTION: Final = frozenset({"deb", "apk", "rpm"})
"""Kinds of packages whose URL names the distribution that they are of."""


def make_sbom(name: str, listed: PackageList) -> bytes:
    """Return the CycloneDX 1.6 JSON document that names the packages in an image.

    name: the image's, REPO:TAG; one without a tag is there with its id as version.
    The metadata's properties `skyport-wf:note` name the files that could not be read: a reader must not take the list
    for complete.
    """
    from cyclonedx.output.json import JsonV1Dot6

    document = json.loads(JsonV1Dot6(_bom(name, listed)).output_as_string())
    # The library notes when it ran, which would make another document of the same image each time.
    del document["metadata"]["timestamp"]
    # It orders occurrences by where they lie in memory.
    for component in document.get("components", []):
        component.get("evidence", {}).get("occurrences", []).sort(key=itemgetter("location"))
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _bom(name: str, listed: PackageList) -> Bom:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    image_id = listed.image_id
    repository, tag, _ = split_docker_name(name)
    image = Component(type=ComponentType.CONTAINER, name=repository, version=tag or image_id, bom_ref=image_id)
    tool = Component(type=ComponentType.APPLICATION, name="skyport-wf", version=__version__)
    notes = [Property(name="skyport-wf:note", value=note) for note in listed.notes]
    bom = Bom(
        metadata=BomMetaData(component=image, tools=ToolRepository(components=[tool]), properties=notes),
        components=_components(listed),
        serial_number=uuid5(NAMESPACE_URL, f"skyport-wf {__version__} {name} {image_id}"),
    )
    bom.register_dependency(image, bom.components)
    return bom


def _components(listed: PackageList) -> Iterator[Component]:
    from cyclonedx.model.component import Component, ComponentType

    system = listed.operating_system
    if system is not None:
        yield Component(
            type=ComponentType.OPERATING_SYSTEM,
            name=system.id,
            version=system.version or None,
            description=system.name,
            bom_ref=f"os:{system.id}-{system.version}",
        )
    # A package that is there twice is one component with two occurrences. The library makes up a reference, another
    # one each time, where two components have the same: those of `PyYAML` and `pyyaml` would, whose URL is one.
    found: dict[str, list[Package]] = {}
    for package in sorted(listed.packages):
        found.setdefault(_reference(package, system), []).append(package)
    for reference, same in found.items():
        yield _component(reference, same, system)


def _reference(package: Package, system: OperatingSystem | None) -> str:
    url = package_url(package, system)
    named = url.to_string() if url else f"{package.kind}:{package.name}@{package.version}"
    return f"{named}#{package.source}" if package.source else named


def _component(reference: str, same: list[Package], system: OperatingSystem | None) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence

    package = same[0]
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=package_url(package, system),
        bom_ref=reference,
        properties=[Property(name="skyport-wf:source", value=package.source)] if package.source else [],
        evidence=ComponentEvidence(occurrences=[Occurrence(location=other.found_in) for other in same]),
    )


def package_url(package: Package, system: OperatingSystem | None) -> PackageURL | None:
    """Return the package's URL (purl), as scanners look it up; None if no URL can have its name, such as `/`.

    system: the distribution that the image is of, if it says so.
    """
    from packageurl import PackageURL

    # The library takes blanks and slashes off a name, and fails where nothing is left.
    if not package.name.strip().strip("/"):
        return None
    version, qualifiers = package.version, {"arch": package.architecture}
    namespace = None
    if package.kind in _OF_A_DISTRIBUTION and system is not None:
        namespace = system.id
        qualifiers["distro"] = f"{system.id}-{system.version}" if system.version else system.id
    if package.kind == "rpm":
        epoch, _, version = version.rpartition(":")
        qualifiers["epoch"] = epoch
    if package.kind == "conda":
        version, _, build = version.partition("=")
        qualifiers = {"build": build, "channel": package.source, "subdir": package.architecture}
    known = {key: value for key, value in qualifiers.items() if value}
    return PackageURL(package.kind, namespace, package.name, version, known)
