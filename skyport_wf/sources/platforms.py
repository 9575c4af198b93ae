"""The platform that an image is for: one of another machine is published on purpose, or not at all."""

from skyport_wf.errors import PlatformError
from skyport_wf.image.platforms import is_platform
from skyport_wf.image.variables import platform_arguments
from skyport_wf.image_list.spec import ImageSpec


def check_platform(spec: ImageSpec, platform: str) -> None:
    """Raise PlatformError if the image is not for the platform that the list asks for, or else for this machine.

    platform: what the image says, such as `linux/arm64`; what it does not say counts as right.
    """
    wanted = spec.platform or own_platform()
    if is_platform(platform, wanted):
        return
    if spec.platform:
        raise PlatformError(
            f"{spec.name} is an image for {platform}, and the image list asks for {spec.platform}. Mend `platform` "
            "there, or have it made for that."
        )
    raise PlatformError(
        f"{spec.name} is an image for {platform}, and this machine is {wanted}: others of its kind could not run it. "
        f"If that is meant, write `platform: {platform}` in the image list."
    )


def own_platform() -> str:
    """Return the platform of this machine, such as `linux/amd64`."""
    return platform_arguments(None)["TARGETPLATFORM"]
