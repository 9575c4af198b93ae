"""What is found in images made by hand."""

import io

from skyport_wf.image.examination.examine import ImageExamination, examine_archive
from skyport_wf.image.layers.file_index import FileIndex
from tests.support.docker_archives import Image, legacy, tar_of


def examine(image: Image, **limits: int) -> ImageExamination:
    with FileIndex(**limits) as index:
        return examine_archive(io.BytesIO(tar_of(legacy(image))), index=index)
