"""What is handed over and is of the wrong kind: told there, in one sentence with the remedy, and never by a traceback.

The calls run in a process of their own, as a user's: in this one every annotation is checked before a call.
"""

import functools
import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob import arguments
from tests.damage.worker import Outcome, Worker, attempt
from tests.infer.known import posterior_at
from tests.reporting.conftest import case_of, simulated

COUNTS = np.random.default_rng(0).poisson(0.3, (20, 20, 8))


def trials() -> Any:
    return nlb.Trials.from_arrays(COUNTS, 20)


def model(**parts: Any) -> Any:
    return nlb.Model(**{"latents": [nlb.LDS(2)]} | parts)


def fit(**options: Any) -> Any:
    return nlb.fit(model(), trials(), **options)


def choose(**options: Any) -> Any:
    return nlb.choose(lambda dim: model(), trials(), **{"dim": [1, 2]} | options)


PARTS: dict[str, tuple[Callable[[], Any], str]] = {
    "observation by name": (lambda: model(observation="poisson"), "observation='poisson'.*observation=nlb.Poisson()"),
    "observation nearly": (lambda: model(observation="negative_binomial"), "observation=nlb.NegativeBinomial()"),
    "observation unknown": (lambda: model(observation="weibull"), "give nlb.Poisson(), .* or nlb.SqrtGaussian()"),
    "observation's class": (lambda: model(observation=nlb.Poisson), "the class Poisson: .*Poisson(...), with parenth"),
    "NumPyro's Poisson": (
        lambda: model(observation=dist.Poisson(1.0)),
        "observation is of type Poisson.*nlb.Poisson()",
    ),
    "no observation": (lambda: model(observation=None), "observation=None.*nlb.Poisson()"),
    "one latent": (lambda: model(latents=nlb.LDS(8)), "latents is of type LDS: give a list, latents=[nlb.LDS(...)]"),
    "latents' class": (lambda: model(latents=[nlb.LDS]), "latents[0] is the class LDS: give an object of it, LDS(...)"),
    "latents by name": (lambda: model(latents=["lds"]), "latents[0]='lds'.*nlb.LDS()"),
    "latents as a number": (lambda: model(latents=8), "latents=8.*list, latents=[...], of nlb.LDS()"),
    "an effect as latent": (lambda: model(latents=[nlb.LDS(2), nlb.History()]), "effects=[nlb.History(...)]"),
    "one effect": (lambda: model(effects=nlb.History()), "effects=[nlb.History(...)]"),
    "readout by prior": (lambda: model(readout="ard"), "nlb.LinearReadout(shrinkage='ard')"),
    "readout by name": (lambda: model(readout="linear"), "readout=nlb.LinearReadout()"),
    "inputs by name": (lambda: nlb.LDS(2, inputs=["stim"]), "inputs holds the name 'stim'.*[nlb.Covariate('stim')]"),
    "one input by name": (lambda: nlb.LDS(2, inputs="stim"), "inputs=[nlb.Covariate('stim')]"),
    "one input": (lambda: nlb.InputEffect(nlb.TrialTime()), "inputs=[nlb.TrialTime(...)]"),
    "no input": (lambda: nlb.InputEffect([]), "InputEffect.*at least one"),
    "two inputs of one name": (
        lambda: model(latents=[nlb.LDS(2, inputs=[nlb.TrialTime(5)])], effects=[nlb.InputEffect([nlb.TrialTime(10)])]),
        "two inputs are named 'trial_time' and differ",
    ),
    "a prior that is a number": (lambda: nlb.LDS(2, priors={"decay_ms": 200}), "priors['decay_ms']=200.*LogNormal"),
    "a prior's class": (lambda: nlb.LDS(2, priors={"decay_ms": dist.LogNormal}), "LogNormal(...), with parentheses"),
    "a prior of no parameter": (lambda: nlb.GP(priors={"lengthscale": dist.Normal()}), "mean 'lengthscale_ms'"),
    "priors as a list": (lambda: nlb.LDS(2, priors=[dist.Normal()]), "priors is of type list"),
    "dim 0": (lambda: nlb.LDS(0), "LDS(dim=0): it must be a whole number, at least 1"),
    "dim negative": (lambda: nlb.GP(dim=-1), "GP(dim=-1).*at least 1"),
    "dim 2.0": (lambda: nlb.Gain(2.0), "Gain(dim=2.0).*write 2"),
    "dim 2.5": (lambda: nlb.Templates(dim=2.5), "Templates(dim=2.5).*whole number"),
    "dim True": (lambda: nlb.SwitchingLDS(dim=True), "SwitchingLDS(dim=True).*whole number"),
    "dim as text": (lambda: nlb.LDS("8"), "LDS(dim='8').*whole number"),
    "dims": (lambda: nlb.LDS(dims=3), "LDS: there is no argument 'dims'. Did you mean 'dim'?"),
    "n_latents": (lambda: nlb.LDS(n_latents=3), "Did you mean 'dim'?"),
    "dynamics": (lambda: nlb.LDS(2, "modl"), "dynamics='modl'.*Did you mean 'modal'"),
    "dynamics as a list": (lambda: nlb.LDS(2, ["dense"]), "dynamics is of type list"),
    "a name that is a number": (lambda: nlb.LDS(2, name=3), "LDS(name=3)"),
    "states": (lambda: nlb.SwitchingLDS(0), "SwitchingLDS(states=0).*at least 1"),
    "k": (lambda: nlb.SwitchingLDS(k=3), "Did you mean 'states'"),
    "recurrent": (lambda: nlb.SwitchingLDS(recurrent="yes"), "recurrent='yes'.*True or False"),
    "flow": (lambda: nlb.Flow(3, 2), "Flow: 3 is no function of a state, such as lambda x"),
    "dwell_ms": (lambda: nlb.SwitchingLDS(dwell_ms=-1), "dwell_ms=-1.*above zero"),
    "lengthscale negative": (lambda: nlb.Matern32(-3), "Matern32(lengthscale_ms=-3).*above zero"),
    "lengthscale NaN": (lambda: nlb.Matern12(np.nan), "lengthscale_ms=nan.*finite"),
    "lengthscale as text": (lambda: nlb.Matern52("50"), "lengthscale_ms='50'.*finite number"),
    "lengthscale": (lambda: nlb.Matern32(lengthscale=3), "Did you mean 'lengthscale_ms'"),
    "kernel by name": (lambda: nlb.GP("matern32"), "kernel=nlb.Matern32()"),
    "kernel's class": (lambda: nlb.GP(nlb.Matern32), "Matern32(...), with parentheses"),
    "kernel + number": (lambda: nlb.Matern32() + 3, "kernel + other.*unit variance"),
    "number * kernel": (lambda: 2 * nlb.Matern32(), "kernel * other.*unit variance"),
    "harmonics": (lambda: nlb.Periodic(harmonics=0), "harmonics=0.*at least 1"),
    "period": (lambda: nlb.QuasiPeriodic(period_ms=-1), "period_ms=-1.*above zero"),
    "shrinkage": (lambda: nlb.LinearReadout("rigde"), "shrinkage='rigde'.*Did you mean 'ridge'"),
    "loading_scale": (lambda: nlb.LinearReadout(loading_scale=0), "loading_scale=0.*above zero"),
    "two scales": (lambda: nlb.LinearReadout(nlb.ARD(0.3), 0.7), "loading_scale=0.7.*shrinkage=ARD(0.7)"),
    "a shrinkage's scale": (lambda: nlb.Laplace(-1), "Laplace(scale=-1).*above zero"),
    "a shrinkage's class": (lambda: nlb.LinearReadout(nlb.ARD), "shrinkage is the class ARD.*ARD(...), with parenth"),
    "a shrinkage as readout": (lambda: model(readout=nlb.ARD(0.5)), "give nlb.LinearReadout(nlb.ARD(...))"),
    "filters": (lambda: nlb.History(filters=0), "filters=0.*at least 1"),
    "longest_ms": (lambda: nlb.History(longest_ms=np.inf), "longest_ms=inf.*finite"),
    "link": (lambda: nlb.Poisson("lgo"), "link='lgo'): no such link"),
    "bumps": (lambda: nlb.TrialTime(0), "bumps=0.*at least 1"),
    "covariate": (lambda: nlb.Covariate(3), "Covariate(name=3).*Trials.inputs"),
    "templates on a block": (lambda: nlb.Templates(on=nlb.LDS(2)), "on is of type LDS.*on='lds'"),
    "a block of an array": (lambda: nlb.LDS(2)(COUNTS), "trials is an array.*from_arrays"),
    "a model of an array": (lambda: model()(COUNTS), "trials is an array.*from_arrays"),
    "observe": (lambda: nlb.observe("poisson", 0.0, trials()), "'poisson' is no observation"),
}

FITS: dict[str, tuple[Callable[[], Any], str]] = {
    "progress": (lambda: fit(progress="no"), "fit(progress='no'): it must be True or False"),
    "progress 0": (lambda: fit(progress=0), "fit(progress=0): it must be True or False"),
    "kfold: progress": (lambda: nlb.kfold(model(), trials(), progress="no"), "kfold(progress='no')"),
    "choose: progress": (lambda: nlb.choose(lambda: model(), trials(), progress="no"), "choose(progress='no')"),
    "observed": (lambda: model()(trials(), observed="no"), "observed='no'): it must be True or False"),
    "n_iter": (lambda: fit(n_iter=3), "fit: there is no argument 'n_iter'. Did you mean 'em_iterations'?"),
    "learning_rate": (lambda: fit(learning_rate=0.1), "Did you mean 'optimizer'?"),
    "nothing to fit": (lambda: nlb.fit(model()), "fit: missing a required argument: 'trials'"),
    "one too many": (lambda: nlb.fit(model(), trials(), 3), "fit: too many positional arguments"),
    "an array": (lambda: nlb.fit(model(), COUNTS), "trials is an array of shape (20, 20, 8): .*from_arrays"),
    "a path": (lambda: nlb.fit(model(), "a.nwb"), "trials='a.nwb'.*nlb.load(path, bin_ms=5)"),
    "a dataset": (lambda: nlb.fit(model(), trials().to_xarray()), "trials is of type Dataset: .*from_xarray"),
    "a list of trials": (lambda: nlb.fit(model(), [trials()]), "nlb.stitch({'day1': trials, ...})"),
    "nothing": (lambda: nlb.fit(model(), None), "trials=None.*hand over Trials"),
    "a model's class": (lambda: nlb.fit(nlb.Model, trials()), "model is the class Model.*nlb.Model(latents=[...])"),
    "a model's name": (lambda: nlb.fit("poisson_lds", trials()), "nlb.load_model('poisson_lds')"),
    "a block": (lambda: nlb.fit(nlb.LDS(2), trials()), "nlb.Model(latents=[nlb.LDS(...)])"),
    "no model": (lambda: nlb.fit(None, trials()), "model=None.*NumPyro function of trials"),
    "family": (lambda: fit(posterior="mpa"), "posterior='mpa'.*Did you mean 'map'"),
    "family's class": (lambda: fit(posterior=nlb.LowRank), "posterior is the class LowRank.*LowRank(...), with paren"),
    "no family": (lambda: fit(posterior=3), "posterior=3.*no such posterior"),
    "rank": (lambda: nlb.LowRank(0), "LowRank(rank=0).*at least 1"),
    "init as a path": (lambda: fit(init="runs/a"), "init='runs/a'.*nlb.Posterior.load(folder)"),
    "guide": (lambda: fit(guide="AutoNormal"), "guide='AutoNormal'.*numpyro.infer.autoguide.AutoNormal"),
    "optimizer": (lambda: fit(optimizer="adam"), "optimizer='adam'.*optax.adam(1e-2)"),
    "em_iterations": (lambda: fit(em_iterations=-3), "fit(em_iterations=-3): it must be a whole number, at least 0"),
    "em_iterations 2.0": (lambda: fit(em_iterations=2.0), "em_iterations=2.0.*write 2"),
    "svi_steps": (lambda: fit(svi_steps=-1), "svi_steps=-1.*at least 0"),
    "batch_size": (lambda: fit(batch_size=0), "batch_size=0.*at least 1"),
    "early_stopping 1": (lambda: fit(early_stopping=1), "early_stopping=1.*below 1"),
    "early_stopping True": (lambda: fit(early_stopping=True), "early_stopping=True"),
    "precision": (lambda: fit(precision="float16"), "precision='float16'.*'float32', 'float64'"),
    "seed negative": (lambda: fit(seed=-1), "fit(seed=-1): it must be a whole number, from 0 to 4294967295"),
    "seed that repeats others": (lambda: fit(seed=2**32), "fit(seed=4294967296)"),
    "seed True": (lambda: fit(seed=True), "fit(seed=True)"),
    "seed 1.0": (lambda: fit(seed=1.0), "fit(seed=1.0).*write 1"),
    "seed as text": (lambda: fit(seed="3"), "fit(seed='3')"),
    "no seed": (lambda: fit(seed=[]), "fit(seed=[])"),
    "seed twice": (lambda: fit(seed=[1, np.int64(1)]), "fit(seed=[1, 1]).*differ"),
    "one seed negative": (lambda: fit(seed=[0, -1]), "fit(seed[1]=-1)"),
    "fold": (lambda: choose(fold=5), "made with dim=1, fold=5.*Did you mean 'folds'"),
    "choose: a model": (lambda: nlb.choose(model(), trials(), dim=[2]), "a function of keywords that returns a model"),
    "choose: options": (lambda: choose(fit_options={"n_iter": 3}), "no such argument. Did you mean 'em_iterations'"),
    "choose: two seeds": (lambda: choose(fit_options={"seed": 3}), "the seed of choose(seed=...)"),
    "choose: seed": (lambda: choose(seed=-1), "choose(seed=-1)"),
    "choose: folds": (lambda: choose(folds=2.5), "choose(folds=2.5)"),
    "choose: rule": (lambda: choose(rule="bets"), "rule='bets'.*Did you mean 'best'"),
    "choose: blocks": (lambda: nlb.choose(nlb.LDS, trials(), dim=[2]), "nlb.Model(latents=[nlb.LDS(...)])"),
    "kfold: seed": (lambda: nlb.kfold(model(), trials(), seed=-1), "kfold(seed=-1)"),
    "kfold: an array": (lambda: nlb.kfold(model(), COUNTS), "kfold: trials is an array"),
    "evidence of a model": (lambda: nlb.log_evidence(model(), trials()), "posterior is of type Model: give a fit"),
    "align: one": (lambda: nlb.align(model()), "align: posteriors is of type Model"),
    "align: none": (lambda: nlb.align([]), "align(posteriors=[])"),
    "check_counts": (lambda: nlb.check_counts(trials()), "posterior.to_arviz(trials)"),
    "draws of any number": (lambda: choose(folds=10**30), "choose(folds=1000000000.*from 2 to 2147483647"),
    "a submission without a path": (lambda: nlb.write_submission(None, 1, trials()), "path=None.*'submission.h5'"),
    "a submission's group": (lambda: nlb.write_submission("a.h5", 1, trials(), name=COUNTS), "name is an array.*group"),
    "reaches in one bin": (lambda: nlb.reaches(bin_ms=10**30), "reaches(bin_ms=1000.*above zero, below 500"),
    "reaches that are late": (lambda: nlb.reaches(lag_ms=10**30), "reaches(lag_ms=1000.*below 100000"),
    "a folder in numbers": (lambda: nlb.write_nwb(3, nlb.reaches(trials=20, neurons=12)), "folder=3): give a path"),
}


def from_arrays(**fields: Any) -> Any:
    return nlb.Trials.from_arrays(COUNTS, 20, **fields)


def from_spike_times(spike_times: Any = ((0.1, 0.2),), **others: Any) -> Any:
    return nlb.Trials.from_spike_times(spike_times, [0.0], [1.0], **{"bin_ms": 50} | others)


DATA: dict[str, tuple[Callable[[], Any], str]] = {
    "load: behaviour": (lambda: nlb.load("x.nwb", bin_ms=5, behaviour="hand"), "Did you mean 'behavior'?"),
    "load: bin_size": (lambda: nlb.load("x.nwb", bin_size=5), "Did you mean 'bin_ms'?"),
    "from_arrays: behaviour": (lambda: nlb.Trials.from_arrays(COUNTS, 20, behaviour=3), "Did you mean 'behavior'?"),
    "from_arrays: seed": (lambda: nlb.Trials.from_arrays(COUNTS, 20, seed=-1), "from_arrays(seed=-1)"),
    "from_arrays: bin_ms": (lambda: nlb.Trials.from_arrays(COUNTS, "20"), "from_arrays(bin_ms='20').*finite number"),
    "Trials: lag_ms": (lambda: trials().replace(lag_ms="late"), "Trials(lag_ms='late').*finite number"),
    "Trials: condition": (lambda: trials().replace(condition="side"), "condition: no trials column 'side'"),
    "Trials: inputs": (
        lambda: trials().replace(inputs=COUNTS),
        "Trials: inputs is an array.*inputs={'stimulus': array}",
    ),
    "from_spike_times: seed": (
        lambda: nlb.Trials.from_spike_times([[0.1]], [0], [1], bin_ms=5, seed=-1),
        "seed: -1 is not a whole number from 0 to 4294967295",
    ),
    "from_arrays: condition": (lambda: from_arrays(condition=3), "condition: is of type int; give the names of trials"),
    "from_arrays: source": (lambda: from_arrays(source=3), "Trials(source=3): give what is known of the recording"),
    "from_arrays: channels": (lambda: from_arrays(behavior_channels=3), "Trials(behavior_channels=3): give names of"),
    "from_arrays: behavior_name": (lambda: from_arrays(behavior_name=3), "Trials(behavior_name=3): give a name"),
    "from_arrays: bin_ms None": (lambda: nlb.Trials.from_arrays(COUNTS, None), "from_arrays(bin_ms=None)"),
    "spike times by id": (lambda: from_spike_times({0: [0.1]}), "spike_times: is a mapping; give a list.*nlb.load("),
    "spike times of one unit": (
        lambda: from_spike_times(np.arange(3.0)),
        "spike_times of unit 0: expected a list of times in s, got a single number",
    ),
    "spike times: a number": (lambda: from_spike_times(3), "spike_times: is of type int; give a list with the spike"),
    "from_spike_times: behavior": (
        lambda: from_spike_times(behavior=np.ones((100, 2))),
        "behavior: is an array of shape (100, 2); give behavior=(times in s",
    ),
    "from_spike_times: a name": (
        lambda: from_spike_times(behavior="hand_vel"),
        "behavior: is of type str; give behavior=(times in s, values",
    ),
    "from_spike_times: channels": (
        lambda: from_spike_times(behavior_channels=3),
        "behavior_channels: is of type int; give the names of the channels",
    ),
    "from_spike_times: obs_intervals": (
        lambda: from_spike_times(obs_intervals=3),
        "obs_intervals: is of type int; give a list with the intervals",
    ),
    "from_spike_times: bin_ms": (lambda: from_spike_times(bin_ms="a"), "bin_ms: 'a' is not a bin width"),
    "split: a list": (lambda: trials().split(["train"]), "one by one, split('train', 'val')"),
    "hide_heldout: a list": (lambda: trials().hide_heldout(["val"]), "one by one, hide_heldout('train', 'val')"),
    "select": (lambda: trials().select(neuron=[1]), "Trials.select: .*Did you mean 'neurons'"),
    "replace": (lambda: trials().replace(count=3), "Trials: .*Did you mean 'counts'"),
    "score: an array": (lambda: nlb.score(COUNTS + 0.1, COUNTS), "trials is an array"),
    "score: shape": (
        lambda: nlb.score(COUNTS[:2] + 0.1, trials()),
        "rates: shape (2, 20, 8) is not that of the trials",
    ),
    "score: trials": (lambda: nlb.score(trials(), trials()), "rates: of type Trials; hand over rates"),
    "score: on": (lambda: nlb.score(COUNTS + 0.1, trials(), on=3), "on: of type int names no split"),
    "score: fit": (lambda: nlb.score(COUNTS + 0.1, trials(), "train", 3), "on: of type int names no split"),
    "compare: trials": (lambda: nlb.compare(COUNTS, COUNTS, COUNTS), "compare: trials is an array"),
    "write_submission: trials": (
        lambda: nlb.write_submission("a.h5", COUNTS + 0.1, COUNTS),
        "write_submission: trials is an array",
    ),
    "check_counts": (lambda: nlb.check_counts(3, trials()), "check_counts(tree=3): give what posterior.to_arviz"),
    "check_psths": (lambda: nlb.check_psths(COUNTS), "check_psths: tree is an array.*posterior.to_arviz(trials)"),
    "check_correlations": (lambda: nlb.check_correlations(trials()), "tree is of type Trials.*posterior.to_arviz"),
    "Posterior.load": (lambda: nlb.Posterior.load(3), "Posterior.load(folder=3): give the path of a folder"),
    "stitch: shared": (
        lambda: nlb.stitch({"a": trials()}, shared="no"),
        "stitch(shared='no'): it must be True or False",
    ),
    "score: seed": (lambda: nlb.score(COUNTS + 0.1, trials(), seed=-1), "score(seed=-1)"),
    "score: metrics": (lambda: nlb.score(COUNTS + 0.1, trials(), metrics=[max]), "metrics holds .*nlb.Metric(...)"),
    "a metric without a function": (lambda: nlb.Metric("x", "", "", 3), "statistic is of type int; give a function"),
    "sums of different trials": (lambda: nlb.RatioOfSums(np.ones(3), np.ones(2)), "shapes (3,) and (2,)"),
    "score: bootstrap": (lambda: nlb.score(COUNTS + 0.1, trials(), bootstrap=-1), "score(bootstrap=-1)"),
    "compare: seed": (lambda: nlb.compare(COUNTS + 0.1, COUNTS + 0.2, trials(), seed=-1), "compare(seed=-1)"),
    "baselines: seed": (lambda: nlb.baselines(trials(), seed=-1), "baselines(seed=-1)"),
    "baselines: an array": (lambda: nlb.baselines(COUNTS), "baselines: trials is an array"),
    "unstitch": (lambda: nlb.unstitch(COUNTS), "unstitch: trials is an array"),
    "simulate: seed": (lambda: nlb.simulate(model(), seed=-1), "simulate(seed=-1)"),
    "simulate: no trial": (lambda: nlb.simulate(model(), 0), "simulate(trials=0)"),
    "simulate: counts": (lambda: nlb.simulate(model(), COUNTS), "simulate: trials is an array"),
    "simulate: bins": (lambda: nlb.simulate(model(), bin_ms=-5), "simulate(bin_ms=-5).*above zero"),
    "simulate: n_trials": (lambda: nlb.simulate(model(), n_trials=3), "Did you mean 'trials'"),
    "simulate: site": (lambda: nlb.simulate(model(), 3, values={"decay_ms": 9.0}), "mean 'lds.decay_ms'"),
    "simulate: shape": (lambda: nlb.simulate(model(), 3, values={"baseline": [1, 2]}), "shape (100,), got (2,)"),
    "reaches: seed": (lambda: nlb.reaches(seed=-1), "reaches(seed=-1)"),
    "reaches: conditions": (lambda: nlb.reaches(conditions=0), "reaches(conditions=0)"),
    "write_nwb": (lambda: nlb.write_nwb("x", trials()), "what nlb.simulate returned"),
    "load_model": (lambda: nlb.load_model(3), "name=3.*the name of a model"),
    "no model's name": (lambda: nlb.load_model(), "load_model: missing a required argument: 'name'"),
    "no folder": (lambda: nlb.Posterior.load(), "Posterior.load: missing a required argument: 'folder'"),
}


@functools.cache
def posterior() -> nlb.Posterior:
    """At known parameters, without a fit."""
    return posterior_at(nlb.simulate(model(), 6, neurons=8, bins=10, bin_ms=20), model())


READINGS: dict[str, tuple[Callable[[], Any], str]] = {
    "contributions: an array": (lambda: posterior().contributions(COUNTS), "contributions: trials is an array"),
    "contributions: bootstrap": (
        lambda: posterior().contributions(trials(), bootstrap=-1),
        "contributions(bootstrap=-1)",
    ),
    "contributions: n_boot": (lambda: posterior().contributions(trials(), n_boot=9), "Did you mean 'bootstrap'"),
    "add_neurons: a path": (lambda: posterior().add_neurons("a.nwb"), "add_neurons(trials='a.nwb').*nlb.load(path"),
    "transfer: seed": (lambda: posterior().transfer(trials(), seed=-1), "transfer(seed=-1)"),
    "flow: latents": (lambda: posterior().flow("ab"), "flow(latents='ab'): give the positions of two latents"),
    "flow: one latent": (lambda: posterior().flow((0, 0)), "flow(latents=(0, 0)): give two latents of one block"),
    "flow: reach": (lambda: posterior().flow(reach=0), "flow(reach=0).*above zero"),
    "decoder: features": (lambda: posterior().decoder(trials(), features=3), "decoder(features=3): no such features"),
    "decoder: causal": (lambda: posterior().decoder(trials(), causal=1), "decoder(causal=1): it must be True or False"),
    "tuning: columns": (
        lambda: posterior().tuning(design(), columns=3),
        "tuning(columns=3): give the name of a trials",
    ),
    "angles: between": (lambda: posterior().subspace_angles(between=3), "subspace_angles(between=3): give 'block'"),
    "angles: one fit": (lambda: nlb.subspace_angles(posterior()), "posteriors is of type Posterior: give fits by name"),
}


def design() -> nlb.Trials:
    """Trials of the posterior's neurons."""
    return nlb.simulate(model(), 6, neurons=8, bins=10, bin_ms=20).trials


@functools.cache
def drawn() -> Any:
    """A posterior with its trials and latents, made without a fit."""
    return case_of(*simulated(), dim=3)


def of_posterior(name: str, *arguments: Any, **options: Any) -> Any:
    return getattr(drawn().posterior, name)(*arguments, **options)


def figure(name: str, **options: Any) -> Any:
    trials_shown = () if name == "modes" else (drawn().trials,)
    known = {"latents": drawn().latents} if name in ("latents", "trajectories") else {}
    return getattr(nlb.plot, name)(drawn().posterior, *trials_shown, **known | options)


READINGS |= {
    "dynamics: draws": (lambda: of_posterior("dynamics", draws=10**30), "draws=1000.*from .* to 2147483647"),
    "parameters: draws": (lambda: of_posterior("parameters", draws=10**30), "draws=1000.*from .* to 2147483647"),
    "latents: causal": (lambda: of_posterior("latents", drawn().trials, causal=COUNTS), "causal is an array.*True or"),
    "rates: causal": (lambda: of_posterior("rates", drawn().trials, causal="yes"), "causal='yes'.*True or False"),
    "rates: far": (lambda: of_posterior("rates", drawn().trials, beyond_ms=1e30), "beyond_ms=1e+30.*below"),
    "netcdf nowhere": (lambda: of_posterior("to_netcdf", None, drawn().trials), "path=None): give a path, such as"),
    "netcdf of nothing": (lambda: of_posterior("to_netcdf", "a.nc", None), "to_netcdf(trials=None): hand over Trials"),
    "a form": (
        lambda: of_posterior("to_arviz", drawn().trials, log_likelihood=COUNTS),
        "log_likelihood is an array of shape",
    ),
    "latents as text": (lambda: figure("latents", latents="x"), "plot.latents: latents is of type str; give what post"),
    "latents as a dict": (lambda: figure("trajectories", latents={}), "plot.trajectories: latents is of type dict"),
    "latents as an array": (lambda: figure("latents", latents=COUNTS), "latents is an array of shape (20, 20, 8)"),
    "colors as a number": (lambda: figure("latents", colors=3), "colors=3): give a color for each condition"),
    "colors as text": (lambda: figure("psths", colors="x"), "plot.psths(colors='x'): give a color for each condition"),
    "trials by name": (lambda: figure("rasters", which="x"), "plot.rasters: which is of type str; trials: expected a"),
    "one trial": (lambda: figure("trajectories", which=3), "which is of type int; trials: expected a mask or whole"),
    "one neuron": (lambda: figure("psths", neurons=1), "neurons is of type int; neurons: expected a mask or whole"),
    "one latent": (lambda: figure("trajectories", pairs=3), "pairs 3 are no pairs of 3 latents"),
    "pairs in decimals": (lambda: figure("trajectories", pairs=[(0.0, 1.0)]), "pairs [(0.0, 1.0)] are no pairs of 3"),
    "pairs that differ": (lambda: figure("trajectories", pairs=[(0, 1), (2,)]), "are no pairs of 3 latents"),
    "dynamics as text": (lambda: figure("modes", dynamics="x"), "dynamics is of type str; give what"),
    "a length as text": (lambda: figure("modes", longest_ms="x"), "plot.modes(longest_ms='x').*finite number"),
    "regimes as text": (lambda: figure("regimes", regimes="x"), "regimes is of type str; give what posterior.regimes"),
}

#: What a user only gets back or derives classes from, and the errors.
NOT_CALLED = {
    *("Aligned", "Choice", "Committee", "Difference", "FitInfo", "FitState", "Front", "Replication", "Scores"),
    "Simulated",
    *("Observation", "Shrinkage", "Family", "Statistic", "ScoredRates"),
    *("DoesNotApply", "InputError", "Interrupted", "RunExistsError"),
}
UNKNOWN: dict[str, tuple[Callable[[], Any], str]] = {
    name: (functools.partial(lambda name: getattr(nlb, name)(none_such=1), name), f"{name}: ")
    for name in sorted(nlb.PUBLIC.keys() - NOT_CALLED)
}
KINDS = {"part": PARTS, "fit": FITS, "data": DATA, "reading": READINGS, "unknown keyword": UNKNOWN}
CASES = {f"{kind}: {name}": case for kind, cases in KINDS.items() for name, case in cases.items()}


def run_all() -> dict[str, Outcome]:
    outcomes = {name: attempt(call) for name, (call, _) in CASES.items()}
    return {name: Outcome(outcome.kind, outcome.text, repr(outcome.value)) for name, outcome in outcomes.items()}


@pytest.fixture(scope="module")
def outcomes():
    worker = Worker(limit_s=math.inf)  # for hundreds of calls
    done = worker.call(run_all)
    worker.close()
    assert done.kind == "fine", done.text
    return done.value


@pytest.mark.parametrize("name", CASES)
def test_what_is_of_the_wrong_kind_is_told_with_the_remedy(outcomes, name):
    outcome, wanted = outcomes[name], CASES[name][1]
    assert outcome.kind == "refused", outcome
    assert re.search(".*".join(map(re.escape, wanted.split(".*"))), outcome.text), outcome.text
    assert "\n" not in outcome.text


def numpy_numbers() -> dict[str, Any]:
    """Blocks and designs of NumPy's numbers, beside those of Python's."""
    whole, real = np.int64(3), np.float32(50)
    pairs = {
        "LDS": (nlb.LDS(whole), nlb.LDS(3)),
        "SwitchingLDS": (nlb.SwitchingLDS(np.uint8(3), np.int32(2)), nlb.SwitchingLDS(3, 2)),
        "GP": (nlb.GP(nlb.Matern32(real), whole), nlb.GP(nlb.Matern32(50.0), 3)),
        "QuasiPeriodic": (nlb.QuasiPeriodic(real, harmonics=whole), nlb.QuasiPeriodic(50.0, harmonics=3)),
        "Templates": (nlb.Templates(whole, smoothness_ms=real), nlb.Templates(3, smoothness_ms=50.0)),
        "History": (nlb.History(real, whole, np.True_), nlb.History(50.0, 3, True)),
        "TrialTime": (nlb.TrialTime(whole), nlb.TrialTime(3)),
        "LinearReadout": (nlb.LinearReadout(loading_scale=real), nlb.LinearReadout(loading_scale=50.0)),
    }
    repeated = [
        nlb.simulate(model(), a, neurons=b, bins=c, bin_ms=d, seed=e).trials.counts
        for a, b, c, d, e in ((4, 8, 5, 20.0, 3), (np.int64(4), np.int16(8), np.uint8(5), np.float32(20), np.int64(3)))
    ]
    drawn = [nlb.Trials.from_arrays(COUNTS, 20, seed=seed).source for seed in (5, np.int64(5))]
    return {name: (repr(own), repr(other)) for name, (own, other) in pairs.items()} | {
        "simulate": tuple(counts.tolist() for counts in repeated),
        "from_arrays": tuple(map(repr, drawn)),
    }


def test_numpy_numbers_become_pythons():
    worker = Worker(limit_s=math.inf)
    done = worker.call(numpy_numbers)
    worker.close()
    assert done.kind == "fine", done.text
    for name, (own, other) in done.value.items():
        assert own == other, name


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), jax.numpy.asarray(3)])
def test_whole_numbers_of_any_make(value):
    number = arguments.whole_number(value, "f", "x")
    assert (number, type(number)) == (3, int)


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, np.array([3]), -1, 2**33, np.nan])
def test_what_is_no_seed(value):
    with pytest.raises(nlb.InputError, match="^f.*seed.*whole number, from 0 to 4294967295"):
        arguments.seed_number(value, "f")


def test_seeds_that_are_taken_all_differ():
    """Beyond the largest, JAX would repeat smaller ones without a word."""
    seeds = [0, 1, 2**31 - 1, 2**31, arguments.LARGEST_SEED]
    keys = {tuple(jax.random.key_data(jax.random.key(seed)).tolist()) for seed in seeds}
    assert len(keys) == len(seeds)
    repeated, first = (jax.random.key_data(jax.random.key(seed)) for seed in (arguments.LARGEST_SEED + 1, 0))
    assert (repeated == first).all()


def test_keywords_are_checked_and_the_signature_stays():
    @arguments.checked_keywords
    class Thing:
        """A thing."""

        def __init__(self, size: int = 1):
            self.size = size

        @staticmethod
        def made(size: int) -> "Thing":
            return Thing(size)

        def grown(self, by: int, *, twice: bool = False) -> int:
            """More."""
            return self.size + by * (1 + twice)

        def _hidden(self, by):
            return by

    assert Thing(3).grown(2, twice=True) == 7
    assert Thing.made(4).size == 4
    assert str(inspect.signature(Thing)) == "(size: int = 1)"
    assert inspect.signature(Thing.grown).parameters.keys() == {"self", "by", "twice"}
    assert Thing.grown.__doc__ == "More."
    with pytest.raises(nlb.InputError, match="Thing: there is no argument 'sizes'. Did you mean 'size'"):
        Thing(sizes=3)
    with pytest.raises(nlb.InputError, match=r"Thing.grown: missing a required argument: 'by'; .*\(by, twice\)"):
        Thing().grown()
    with pytest.raises(nlb.InputError, match="Thing.made: too many positional arguments"):
        Thing.made(1, 2)
    with pytest.raises(TypeError):
        Thing()._hidden()
