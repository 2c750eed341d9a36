"""Actors' recordings: a film, the same sound in a file of its own, or only one of the two."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from fer_jax.data.datasets import clip_builder


@dataclasses.dataclass(frozen=True)
class Recording:
    """The files of one recording, at least one.

    Attributes:
      film: None where there is sound alone: a clip without a picture.
      voice: a file of the sound; None where it is in the film, or nowhere.
    """

    film: Path | None
    voice: Path | None

    @property
    def files(self) -> list[Path]:
        """Those there are, the film first."""
        return [path for path in (self.film, self.voice) if path is not None]


class RecordingBuilder(clip_builder.ClipBuilder, skip_registration=True):
    """Reads clips whose payload is a `Recording`; a detector finds the faces in the films."""

    FACES: ClassVar[tuple[str, ...]] = ('yunet', 'dlib', 'haar', 'face_alignment', 'opencv_dnn')
    LANDMARKS = False
    SCENES = True

    def read(self, source, pool) -> Any:
        return self.film(source, source.payload.film), None

    def has_pictures(self, source) -> bool:
        return source.payload.film is not None

    def sound(self, source):
        samples, rate = self.heard(source, source.payload.voice or source.payload.film)
        if not rate and None not in (source.payload.voice, source.payload.film):
            return self.heard(source, source.payload.film)  # the file of the sound is empty
        return samples, rate
