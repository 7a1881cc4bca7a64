"""Which annotation belongs to which image, from the names of files alone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from sac.bundle import alike, is_image

IMAGES = {"image", "images", "img", "imgs", "tissue images", "tissue image", "tissue_images"}
LABELS = {"label", "labels", "mask", "masks", "gt", "annotation", "annotations", "ground_truth", "groundtruth"}
"""What folders are called that hold images, or what is marked in them."""
ENDINGS = tuple(
    joint + word
    for word in ("masks", "mask", "labels", "label", "annotations", "annotation", "anno", "gt")
    for joint in "_-. "
)
"""By which the name of an annotation is longer than that of its image."""
PICTURED = (".ome", "_img", "_image", "_raw")
"""By which the name of an image may be longer than that of its annotation."""
OUTLINES = {".xml", ".geojson", ".json"}
OURS = (".overlay", ".preview", ".outlines", ".areas", ".prompts", ".coco")
"""Ends of the stems of what this program writes beside NAME.labels.tif: that file says it all."""



Kind = Literal["labels", "masks", "outlines", "coco"]


@dataclass(frozen=True)
class Pair:
    """An image and its annotation: a label image, a mask of each nucleus, outlines of its own, or a list of many."""

    image: str
    kind: Kind
    annotations: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What belongs together, by the images' names, and what could not be told, by name or in a sentence."""

    pairs: tuple[Pair, ...] = ()
    unlabelled: tuple[str, ...] = ()
    imageless: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True)
class Name:
    """A file's path as it was sent, and what it says. shared: its first folders, which it has in common with all."""

    path: str
    shared: int = 0

    @cached_property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(alike(self.path.replace("\\", "/"))).parts

    @property
    def ending(self) -> str:
        return PurePosixPath(self.parts[-1]).suffix

    @property
    def stem(self) -> str:
        return self.parts[-1].removesuffix(self.ending)

    @property
    def folder(self) -> tuple[str, ...]:
        """Its folders without those that say what it is: equal for an image and its annotation."""
        return tuple(part for part in self.parts[self.shared : -1] if part not in IMAGES | LABELS)

    @property
    def marks(self) -> bool:
        """Whether it lies among annotations; the innermost folder that says so counts."""
        said = [part for part in self.parts[self.shared : -1] if part in IMAGES | LABELS]
        return bool(said) and said[-1] in LABELS

    @property
    def stems(self) -> set[str]:
        """What the annotation of an image may be called: some programs add an ending to the image's whole name."""
        return {self.stem, self.parts[-1], *(self.stem.removesuffix(end) for end in PICTURED)}

    @property
    def bare(self) -> str:
        """The stem without an annotation's ending."""
        end = next((end for end in ENDINGS if self.stem.endswith(end) and self.stem != end), "")
        return self.stem.removesuffix(end)


def arranged(names: Sequence[str], lists: Mapping[str, Sequence[str]] | None = None) -> Layout:
    """Pairs the files of a bundle. lists: for each COCO file, the names of images that it speaks of."""
    told = _told(name for name in sorted(names) if _matters(name))
    lists = lists or {}
    masks = _mask_folders(told)
    apart = {mask.path for group in masks.values() for mask in group}
    rest = [name for name in told if name.path not in apart and name.path not in lists]
    images, annotations = _sides(rest)
    found = _Found(images)
    for image, group in masks.items():
        found.add(image, "masks", *(mask.path for mask in group))
    for annotation in annotations:
        found.add_fitting(annotation)
    for path, spoken_of in lists.items():
        found.add_listed(path, spoken_of)
    return found.layout()


def _told(names: Iterable[str]) -> list[Name]:
    """Names, and how many folders they have in common: those tell none of them from the others."""
    told = [Name(name) for name in names]
    shared = len(os.path.commonprefix([name.parts[:-1] for name in told]))
    return [Name(name.path, shared) for name in told]


def _matters(name: str) -> bool:
    return is_image(name) or PurePosixPath(name).suffix.lower() in OUTLINES


def _mask_folders(names: Iterable[Name]) -> dict[Name, list[Name]]:
    """As DSB2018 has it: ID/images/ with one image, and ID/masks/ with a mask for each of its nuclei."""
    sides: dict[tuple[str, ...], tuple[list[Name], list[Name]]] = defaultdict(lambda: ([], []))
    for name in names:
        if len(name.parts) > 1 and is_image(name.path) and name.parts[-2] in ("images", "masks"):
            sides[name.parts[:-2]][name.parts[-2] == "masks"].append(name)
    return {images[0]: masks for place, (images, masks) in sides.items() if _is_mask_folder(place, images, masks)}


def _is_mask_folder(place: tuple[str, ...], images: list[Name], masks: list[Name]) -> bool:
    if len(images) != 1 or not masks or images[0].stem in {stem for mask in masks for stem in (mask.stem, mask.bare)}:
        return False
    return len(masks) > 1 or images[0].stem == (place or ("",))[-1]


def _sides(names: Iterable[Name]) -> tuple[list[Name], list[Name]]:
    """Images, and annotations: by their folder, else by their ending where an image without it is there."""
    names = list(names)
    plain = {(name.folder, stem) for name in names if is_image(name.path) and not name.marks for stem in name.stems}
    ours = {(name.folder, name.bare) for name in names if name.stem.endswith(".labels")}
    images, annotations = [], []
    for name in names:
        if any(name.stem.endswith(end) and (name.folder, name.stem.removesuffix(end)) in ours for end in OURS):
            continue
        fits = name.bare != name.stem and (name.folder, name.bare) in plain
        (images if is_image(name.path) and not name.marks and not fits else annotations).append(name)
    return images, annotations


@dataclass
class _Found:
    """Images, and the annotations that were found for each."""

    images: list[Name]
    pairs: dict[str, list[Pair]] = field(default_factory=lambda: defaultdict(list))
    imageless: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    blamed: set[str] = field(default_factory=set)
    """Images of which `unclear` speaks."""

    @cached_property
    def by_stem(self) -> dict[tuple[tuple[str, ...], str], list[Name]]:
        """Images by folder and what their annotation may be called."""
        table = defaultdict(list)
        for image in self.images:
            for stem in image.stems:
                table[image.folder, stem].append(image)
        return table

    @cached_property
    def by_name(self) -> dict[str, list[Name]]:
        table = defaultdict(list)
        for image in self.images:
            table[image.parts[-1]].append(image)
        return table

    def add(self, image: Name, kind: Kind, *annotations: str) -> None:
        self.pairs[image.path].append(Pair(image.path, kind, annotations))

    def add_fitting(self, annotation: Name) -> None:
        """For the image of its stem, or of its stem without an ending."""
        stems = dict.fromkeys((annotation.stem, annotation.bare, annotation.stem.removesuffix(".ome")))
        fits = next((self.by_stem[annotation.folder, s] for s in stems if (annotation.folder, s) in self.by_stem), [])
        if not fits:
            self.imageless.append(annotation.path)
        elif len(fits) > 1:
            self.unclear.append(f"{annotation.path} fits both {fits[0].path} and {fits[1].path}: rename one of them")
            self.blamed |= {image.path for image in fits}
        else:
            self.add(fits[0], "outlines" if annotation.ending in OUTLINES else "labels", annotation.path)

    def add_listed(self, path: str, spoken_of: Sequence[str]) -> None:
        """For all images of a list, by as much of their path as it says, else by the file's name alone."""
        for told in dict.fromkeys(spoken_of):
            parts = Name(told).parts or ("",)
            fits = self.by_name.get(parts[-1], [])
            exact = [image for image in fits if image.parts[-len(parts) :] == parts]
            fits = exact or fits
            if len(fits) == 1:
                self.add(fits[0], "coco", path)
            elif fits:
                self.unclear.append(f"{path} speaks of {told}, and there are {len(fits)} of that name")
                self.blamed |= {image.path for image in fits}

    def layout(self) -> Layout:
        pairs = []
        for image in self.images:
            candidates = self.pairs.get(image.path, [])
            best = _preferred(candidates)
            if len(best) == 1:
                pairs.append(best[0])
            elif best:
                first, second = (pair.annotations[0] for pair in best[:2])
                self.unclear.append(
                    f"{image.path} has more than one annotation, {first} and {second}: leave one of them"
                )
        bare = [i.path for i in self.images if i.path not in self.pairs and i.path not in self.blamed]
        return Layout(tuple(pairs), tuple(bare), tuple(self.imageless), tuple(self.unclear))


def _preferred(candidates: list[Pair]) -> list[Pair]:
    """Of several: our labels say it all; a table of run lengths repeats what the masks beside it hold."""
    files = [pair for pair in candidates if not pair.annotations[0].lower().endswith(".csv")]
    return [pair for pair in files if ".labels.tif" in pair.annotations[0].lower()] or files or candidates
