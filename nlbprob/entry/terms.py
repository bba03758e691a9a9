"""The licence and the citation of an entry."""

import importlib.metadata
import importlib.resources
import json
import pathlib
from collections.abc import Sequence

from nlbprob import __version__
from nlbprob.errors import InputError


def licence() -> str:
    """The licence of nlbprob, from its installation or from beside its package.

    Raises:
        InputError: neither has it.
    """
    beside = pathlib.Path(str(importlib.resources.files("nlbprob"))).parent / "LICENSE"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        installed = importlib.metadata.distribution("nlbprob").read_text("licenses/LICENSE")
    except importlib.metadata.PackageNotFoundError:
        installed = None
    if installed is None:
        raise InputError("The installation of nlbprob lacks its LICENSE, which an entry carries: install it again.")
    return installed


def citation(title: str, authors: Sequence[str], date: str) -> str:
    """CITATION.cff of an entry.

    Args:
        title: of the entry.
        authors: names; none: the entry names nobody.
        date: in ISO format.
    """
    names = authors or ["The authors of this entry"]
    people = "\n".join(f"  - name: {json.dumps(name, ensure_ascii=False)}" for name in names)
    return f"""cff-version: 1.2.0
message: If you use this entry, please cite it, the software, the benchmark, and the source of the recording.
type: dataset
title: {json.dumps(title, ensure_ascii=False)}
authors:
{people}
date-released: {date[:10]}
references:
  - type: software
    title: "nlbprob: generative models of spiking activity in JAX and NumPyro"
    authors:
      - name: The nlbprob developers
    version: {__version__}
  - type: conference-paper
    title: "Neural Latents Benchmark '21: Evaluating latent variable models of neural population activity"
    authors:
      - family-names: Pei
        given-names: Felix
      - name: and 15 others
    year: 2021
    notes: arXiv:2109.04463
"""
