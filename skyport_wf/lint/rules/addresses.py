"""SKY05x: addresses in an image list that can give something else tomorrow."""

from collections.abc import Iterator

from skyport_wf.image_list.addresses import FileAddress, GitAddress
from skyport_wf.lint.findings import Finding, Rule

SOURCE_BY_NAME = Rule("SKY051", "warning")
SOURCE_PLAIN_HTTP = Rule("SKY052", "info")
RULES = (SOURCE_BY_NAME, SOURCE_PLAIN_HTTP)

_PLAIN = "http://"


def check_address(address: FileAddress | GitAddress, line: int, *, commit: str) -> Iterator[Finding]:
    """Yield the findings about one address.

    commit: what the ref of a git address means now.
    """
    url = address.repository if isinstance(address, GitAddress) else address.url
    if isinstance(address, GitAddress) and not address.commit:
        named = f"`{address.ref}` is a branch or a tag" if address.ref else "without a ref, its preferred branch counts"
        folder = f":{address.folder}" if address.folder else ""
        what = f"of {url}, {named}: it can be another commit at each build, and is {commit[:12]} now"
        yield SOURCE_BY_NAME.at(line, what, f"`{url}#{commit}{folder}`")
    if url.lower().startswith(_PLAIN):
        what = f"{url} comes over plain http: whoever is on the way can change it"
        yield SOURCE_PLAIN_HTTP.at(line, what, f"`https://{url[len(_PLAIN) :]}`, if the server has that too")
