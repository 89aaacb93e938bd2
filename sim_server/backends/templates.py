"""The templates of one section of a Habitat scene dataset: files found by its `paths`, and its inline `configs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Optional

from protocol.errors import VantageError
from sim_server.backends.untrusted import is_inside, read_json

ASSET_SUFFIXES = (".glb", ".gltf")
SUFFIXES = {
    "stages": ".stage_config.json",
    "objects": ".object_config.json",
    "scene_instances": ".scene_instance.json",
    "semantic_scene_descriptor_instances": ".semantic_config.json",
}
_MAX_FILES = 1_000_000  # of one section
_OWN_KEYS = ("paths", "default_attributes", "configs")


class Template(NamedTuple):
    """key: the path without its suffix, or the handle of an inline config; file: describes the template, an asset
    describes itself; folder: that of relative asset names; inline: attributes in the dataset's own file."""

    key: str
    file: Path
    folder: Path
    inline: dict[str, Any]

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


class Templates:
    """One section of the dataset's configuration."""

    def __init__(self, dataset: Path, config: dict[str, Any], section: str) -> None:
        """Raises VantageError("corrupt") for an invalid section and for files outside of the dataset's folder."""
        self._dataset, self._root, self.section = dataset, dataset.parent, section
        self._by_key: dict[str, Template] = {}
        self._by_name: dict[str, list[Template]] = {}
        try:
            entry = config.get(section, {})
            self._defaults = dict(entry.get("default_attributes", {}))
            for extension, patterns in entry.get("paths", {}).items():
                for pattern in patterns:
                    self._add_files(str(pattern), SUFFIXES[section] if extension == ".json" else str(extension))
            for inline in entry.get("configs", []):
                self._add_inline(inline)
            if section == "semantic_scene_descriptor_instances":
                for handle, place in entry.items():
                    if handle not in _OWN_KEYS:
                        file = self._root / str(place)
                        self._add(Template(handle, file, file.parent, {}))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, NotImplementedError, OSError) as error:
            raise self._wrong(f"has an invalid section {section!r} ({error})") from None

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({template.name for template in self._by_key.values()}))

    def find(self, name: str, used_by: Path) -> Template:
        """Find a template by the end of its key, else by a part of it, as habitat-sim does."""
        found = self.lookup(name)
        if found is None:
            defect = f"refers to the template {name!r}, which is not among the {self.section} of {self._dataset.name}"
            raise VantageError("corrupt", f"{used_by} {defect}: correct it or restore the file.")
        return found

    def lookup(self, name: str) -> Optional[Template]:
        """See find; None if there is none."""
        for suffix in (*SUFFIXES.values(), *ASSET_SUFFIXES):
            name = name[: -len(suffix)] if name.endswith(suffix) else name
        if name in self._by_key:
            return self._by_key[name]
        for template in self._by_name.get(name.rpartition("/")[2], ()):
            if template.key.endswith("/" + name):
                return template
        return next((template for key, template in self._by_key.items() if name and name in key), None)

    def attributes(self, template: Template) -> dict[str, Any]:
        """The attributes: the section's defaults, overridden by the template's file and by its inline config.

        Raises VantageError("corrupt") if the file cannot be read.
        """
        described = template.file.suffix == ".json" and template.file != self._dataset
        own = read_json(template.file, self._root) if described else {}
        return {**self._defaults, **own, **template.inline}

    def _add(self, template: Template) -> None:
        if len(self._by_key) >= _MAX_FILES:
            raise self._wrong(f"lists more than {_MAX_FILES} files in {self.section!r}")
        replaced = self._by_key.get(template.key)
        self._by_key[template.key] = template
        same = self._by_name.setdefault(template.name, [])
        if replaced is not None:
            same.remove(replaced)
        same.append(template)

    def _add_files(self, pattern: str, suffix: str) -> None:
        folder = self._root / pattern
        if ".." in folder.parts and not is_inside(folder, self._root):  # before a search outside
            raise self._wrong(f"refers to {pattern!r}, which is not inside its folder")
        matches = [folder] if folder.exists() else sorted(self._root.glob(pattern.lstrip("/")))
        for match in matches:
            if not is_inside(match, self._root):
                raise self._wrong(f"refers to {pattern!r}, which is not inside its folder")
            for file in sorted(match.glob(f"*{suffix}")) if match.is_dir() else [match]:
                if file.name.endswith(suffix):
                    self._add(Template(file.as_posix()[: -len(suffix)], file, file.parent, {}))

    def _add_inline(self, entry: dict[str, Any]) -> None:
        """Add an element of `configs`: a new template, or attributes that override those of `original_file`."""
        attributes, handle = dict(entry["attributes"]), str(entry.get("template_handle", ""))
        original = str(entry.get("original_file", ""))
        if not (handle or original):
            raise ValueError("a config has no template_handle and no original_file")
        if not original:
            self._add(Template(handle, self._dataset, self._root, attributes))
            return
        found = self.lookup(original)
        if found is None:
            raise ValueError(f"no file matches the original_file {original!r}")
        self._add(found._replace(key=handle or found.key, inline={**found.inline, **attributes}))

    def _wrong(self, defect: str) -> VantageError:
        return VantageError("corrupt", f"{self._dataset} {defect}: correct it or restore the file.")
