"""Ensembles of trees as texts in a bundle, and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm


def ensemble_files(name: str, content: Mapping[str, Any], boosters: Sequence[lightgbm.Booster]) -> dict[str, str]:
    """File -> text of an ensemble: ``content``, such as what it reads, and its members."""
    members = {f"{name}-{member}.txt": booster.model_to_string() for member, booster in enumerate(boosters)}
    return {f"{name}.json": as_json({**content, "members": len(boosters)}), **members}


def ensemble_of(name: str, files: Mapping[str, str]) -> tuple[dict[str, Any], list[lightgbm.Booster]]:
    """What `ensemble_files` wrote: content and members."""
    content = json.loads(files[f"{name}.json"])
    return content, [lightgbm.Booster(model_str=files[f"{name}-{member}.txt"]) for member in range(content["members"])]


def as_json(content: Any) -> str:
    """The text of a JSON file in a bundle; equal contents give equal texts."""
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)
