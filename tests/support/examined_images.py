"""What is found in images made by hand."""

import io

from skyport_wf.image.examination.examine import ImageFindings, examine_archive
from tests.support.docker_archives import Image, legacy, tar_of


def examine(image: Image, **limits: int) -> ImageFindings:
    return examine_archive(io.BytesIO(tar_of(legacy(image))), **limits)
