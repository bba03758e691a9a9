"""Damaged folders of a posterior are refused with a message, or give the very parameters that were saved."""

import hashlib
import io
import json
import pathlib
import shutil
import zipfile

import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob.blocks import spec
from nlbprob.blocks.base import Context
from nlbprob.posterior import archive, store
from tests.damage.worker import seeds

#: Names of what runs code where a file may name any callable.
HOSTILE = ("os:system", "builtins:eval", "nlbprob.cli:main", "nlbprob.run:clear", "nlbprob.model_file:load_model", "os")


def without_priors(model):
    """A model as JSON, but for its priors."""
    if isinstance(model, list):
        return [without_priors(part) for part in model]
    if not isinstance(model, dict):
        return model
    return {name: without_priors(part) for name, part in model.items() if name != "priors"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small posterior that was saved."""
    prior = dist.LogNormal(np.array([5.0, 6.0]), 0.5)
    model = nlb.Model(latents=[nlb.LDS(2, "modal", priors={"frequency_hz": dist.HalfNormal(2.0)}), nlb.Gain()])
    model = nlb.Model(latents=[nlb.LDS(4, "modal", priors={"decay_ms": prior}), *model.latents[1:]])
    made = nlb.simulate(model, 6, neurons=8, bins=10, bin_ms=20.0, seed=0)
    values = {name: np.asarray(value) for name, value in made.parameters.items()}
    draws = {name: np.stack([value, value]) for name, value in values.items()}
    history = {"stage": np.array(["em", "svi"]), "iteration": np.arange(2), "elbo": np.ones(2), "seconds": np.ones(2)}
    config = {"posterior": "neuron", "precision": "float32", "seed": 0, "em_iterations": 1, "svi_steps": 1}
    resolved, ids = model.resolve(made.trials), made.trials.neurons["id"]
    posterior = nlb.Posterior(resolved, Context.of(made.trials), values, draws, ids, history, config)
    return posterior.save(tmp_path_factory.mktemp("whole") / "posterior")


def digest(folder):
    """Everything that a loaded posterior predicts with; the priors of its parameters are no part of that."""
    found = nlb.Posterior.load(pathlib.Path(folder))
    arrays = {"ids": found.neuron_ids, "weights": found.context.bin_weights}
    for group in ("values", "draws"):
        arrays |= {f"{group}/{name}": array for name, array in getattr(found, group).items()}
    parts = [(name, array.shape, array.tobytes()) for name, array in sorted(arrays.items())]
    model = json.dumps(without_priors(spec.to_json(found.model)), sort_keys=True)
    context = (found.context.bin_ms, dict(found.context.covariates), found.context.conditions)
    return hashlib.sha256(repr((parts, model, context, found.config["precision"])).encode()).hexdigest()


def flip(random, folder):
    path = folder / random.choice([store.FACTS, store.ARRAYS])
    content = bytearray(path.read_bytes())
    for place in random.integers(len(content), size=random.integers(1, 9)):
        content[place] ^= 1 << random.integers(8)
    path.write_bytes(content)


def cut(random, folder):
    path = folder / random.choice([store.FACTS, store.ARRAYS])
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(len(content))] + random.bytes(random.integers(3)))


def replaced(random, folder):
    path = folder / random.choice([store.FACTS, store.ARRAYS])
    path.unlink()
    if random.random() < 0.7:
        path.mkdir() if random.random() < 0.3 else path.write_bytes(random.choice([b"", b"{}", b"[1]", b"PK\x03\x04"]))


def rewrite(folder, facts=None, content=None):
    """Write a folder as one who knows how it is checked, with both hashes made anew."""
    facts = json.loads((folder / store.FACTS).read_text()) if facts is None else facts
    content = (folder / store.ARRAYS).read_bytes() if content is None else content
    (folder / store.ARRAYS).write_bytes(content)
    facts.pop("facts_sha256", None)
    if "arrays_sha256" in facts:
        facts["arrays_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / store.FACTS).write_text(json.dumps(facts | {"facts_sha256": store.digest(facts)}))


def places(value, path=()):
    """Every entry of nested JSON, by its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def entry(random, folder, change):
    """Change one entry of posterior.json, in its container."""
    facts = json.loads((folder / store.FACTS).read_text())
    known = [path for path in places(facts) if path[0] not in ("versions", "facts_sha256")]
    path = known[random.integers(len(known))]
    container = facts
    for key in path[:-1]:
        container = container[key]
    change(container, path[-1])
    rewrite(folder, facts)


def remove_entry(random, folder):
    entry(random, folder, lambda container, key: container.pop(key))


def rename_entry(random, folder):
    def change(container, key):
        if isinstance(container, dict):
            container[f"{key}_\x1b[31m"] = container.pop(key)
        else:
            container.append(container[key])

    entry(random, folder, change)


def retype_entry(random, folder):
    def change(container, key):
        others = [None, "text\x1b[2J", -3, 2**70, [], {}, [[1]], {"a": 1}, True, float("nan")]
        others = [other for other in others if type(other) is not type(container[key])]
        container[key] = others[random.integers(len(others))]

    entry(random, folder, change)


def hostile_class(random, folder):
    facts = json.loads((folder / store.FACTS).read_text())
    name = HOSTILE[random.integers(len(HOSTILE))]
    touched = folder / "touched"
    found = {"block": name, "command": f"touch {touched}"}
    facts["model"] = [found, facts["model"] | {"observation": found}, facts["model"] | {"latents": [found]}][
        random.integers(3)
    ]
    rewrite(folder, facts)


def array(random, folder, change):
    """Change the arrays of posterior.npz, a dictionary."""
    with np.load(folder / store.ARRAYS) as file:
        arrays = dict(file)
    change(arrays, list(arrays)[random.integers(len(arrays))])
    rewrite(folder, content=archive.pack(arrays))


def remove_array(random, folder):
    array(random, folder, lambda arrays, name: arrays.pop(name))


def rename_array(random, folder):
    array(random, folder, lambda arrays, name: arrays.update({f"{name}x": arrays.pop(name)}))


def reshape_array(random, folder):
    def change(arrays, name):
        other = [arrays[name][None], arrays[name].reshape(-1)[:-1], np.concatenate([arrays[name]] * 2)]
        arrays[name] = other[random.integers(3)]

    array(random, folder, change)


def retype_array(random, folder):
    def change(arrays, name):
        kinds = [np.complex128, "S3", "datetime64[s]", "V4"]
        arrays[name] = np.zeros(arrays[name].shape, kinds[random.integers(len(kinds))])

    array(random, folder, change)


def spoil_array(random, folder):
    def change(arrays, name):
        names = [name for name, value in arrays.items() if value.dtype.kind == "f" and not name.startswith("history")]
        name = names[random.integers(len(names))]
        arrays[name] = arrays[name].copy()
        arrays[name].flat[random.integers(arrays[name].size)] = random.choice([np.nan, np.inf, -np.inf])

    array(random, folder, change)


def swap_arrays(random, folder):
    def change(arrays, name):
        others = [other for other in arrays if arrays[other].shape != arrays[name].shape]
        other = others[random.integers(len(others))]
        arrays[name], arrays[other] = arrays[other], arrays[name]

    array(random, folder, change)


def huge_array(random, folder):
    """An array whose header declares terabytes."""
    memory = io.BytesIO()
    with zipfile.ZipFile(folder / store.ARRAYS) as old, zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as new:
        chosen = random.integers(len(old.infolist()))
        for number, one in enumerate(old.infolist()):
            content = old.read(one)
            if number == chosen:
                header = io.BytesIO()
                about = {"descr": "<f4", "fortran_order": False, "shape": (10 ** random.integers(6, 13),)}
                np.lib.format.write_array_header_1_0(header, about)
                content = header.getvalue() + bytes(100)
            new.writestr(one.filename, content)
    rewrite(folder, content=memory.getvalue())


DAMAGES = [flip, cut, replaced, remove_entry, rename_entry, retype_entry, hostile_class, remove_array, rename_array]
DAMAGES += [reshape_array, retype_array, spoil_array, swap_arrays, huge_array]


@pytest.mark.parametrize("seed", list(seeds(200)))
def test_a_damaged_posterior_is_refused_or_the_same(seed, folder, worker, tmp_path):
    random, damaged = np.random.default_rng(seed), tmp_path / "posterior"
    shutil.copytree(folder, damaged)
    change = DAMAGES[seed % len(DAMAGES)]
    change(random, damaged)
    outcome = worker.call(digest, str(damaged))
    assert outcome.kind in ("fine", "refused"), (change.__name__, outcome)
    assert not (damaged / "touched").exists()
    if outcome.kind == "fine":
        assert outcome.value == digest(folder), change.__name__
    else:
        assert outcome.text.isprintable(), outcome.text
        assert len(outcome.text) < 1000


@pytest.mark.parametrize("change", [hostile_class, huge_array, spoil_array, swap_arrays, reshape_array, remove_array])
def test_what_no_honest_writer_makes_is_refused(change, folder, worker, tmp_path):
    damaged = tmp_path / "posterior"
    shutil.copytree(folder, damaged)
    change(np.random.default_rng(0), damaged)
    outcome = worker.call(digest, str(damaged))
    assert outcome.kind == "refused", outcome
    assert str(damaged) in outcome.text or "load it with model=" in outcome.text


def test_another_content_with_the_old_hash_is_refused(folder, tmp_path):
    damaged = tmp_path / "posterior"
    shutil.copytree(folder, damaged)
    with np.load(damaged / store.ARRAYS) as file:
        arrays = dict(file)
    arrays["values/baseline"] = arrays["values/baseline"] + np.float32(0.1)
    (damaged / store.ARRAYS).write_bytes(archive.pack(arrays))
    with pytest.raises(nlb.InputError, match="not the file that posterior.json was written with"):
        nlb.Posterior.load(damaged)
    shutil.copytree(folder, damaged, dirs_exist_ok=True)
    path = damaged / store.FACTS
    path.write_text(path.read_text().replace('"bin_ms": 20.0', '"bin_ms": 10.0'))
    with pytest.raises(nlb.InputError, match="changed after it had been written"):
        nlb.Posterior.load(damaged)
