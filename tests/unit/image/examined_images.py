"""What is found in images made by hand."""

import io

from docker_archives import Image, legacy, tar_of

from skyport_wf.image.examination.examine import ImageFindings, examine_archive


def examine(image: Image, **limits: int) -> ImageFindings:
    return examine_archive(io.BytesIO(tar_of(legacy(image))), **limits)
