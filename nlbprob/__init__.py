"""Generative models of spiking activity: write one from blocks, fit it in minutes, score and read it.

>>> import nlbprob as nlb
>>> trials = nlb.load("maze.nwb", bin_ms=5)  # doctest: +SKIP
>>> posterior = nlb.fit(nlb.Model(latents=[nlb.LDS(12)]), trials.split("train"), seed=0)  # doctest: +SKIP
"""

import importlib

__version__ = "0.1.0.dev0"

#: Public name -> the module that defines it. Each is imported when first asked for, so that `nlbprob --help` is quick.
PUBLIC = {
    "Trials": "nlbprob.data.trials",
    "load": "nlbprob.data.nwb",
    "stitch": "nlbprob.data.stitch",
    "unstitch": "nlbprob.data.stitch",
    "Scores": "nlbprob.scoring.scores",
    "score": "nlbprob.scoring.scores",
    "compare": "nlbprob.scoring.comparison",
    "baselines": "nlbprob.scoring.baselines",
    "write_submission": "nlbprob.scoring.submission",
    "LDS": "nlbprob.blocks.lds",
    "GP": "nlbprob.blocks.gp",
    "Matern12": "nlbprob.blocks.kernels",
    "Matern32": "nlbprob.blocks.kernels",
    "Matern52": "nlbprob.blocks.kernels",
    "Periodic": "nlbprob.blocks.kernels",
    "QuasiPeriodic": "nlbprob.blocks.kernels",
    "SwitchingLDS": "nlbprob.blocks.slds",
    "Gain": "nlbprob.blocks.gain",
    "Templates": "nlbprob.blocks.templates",
    "LinearReadout": "nlbprob.blocks.readout",
    "InputEffect": "nlbprob.blocks.effects",
    "History": "nlbprob.blocks.effects",
    "Covariate": "nlbprob.blocks.inputs",
    "TrialTime": "nlbprob.blocks.inputs",
    "Bernoulli": "nlbprob.blocks.observations",
    "Gaussian": "nlbprob.blocks.observations",
    "NegativeBinomial": "nlbprob.blocks.negative_binomial",
    "Observation": "nlbprob.blocks.observation",
    "Poisson": "nlbprob.blocks.poisson",
    "SqrtGaussian": "nlbprob.blocks.observations",
    "ZeroInflatedPoisson": "nlbprob.blocks.poisson",
    "Model": "nlbprob.model",
    "observe": "nlbprob.blocks.calls",
    "simulate": "nlbprob.simulation",
    "Posterior": "nlbprob.posterior.posterior",
    "fit": "nlbprob.infer.fit.fit",
    "FitConfig": "nlbprob.infer.fit.config",
    "Interrupted": "nlbprob.infer.fit.fit",
    "steps": "nlbprob.infer.fit.loop",
    "align": "nlbprob.posterior.align",
    "choose": "nlbprob.selection.choose",
    "check_correlations": "nlbprob.posterior.checks",
    "check_counts": "nlbprob.posterior.checks",
    "check_psths": "nlbprob.posterior.checks",
    "kfold": "nlbprob.selection.kfold",
    "log_evidence": "nlbprob.posterior.evidence",
    "InputError": "nlbprob.errors",
    "RunExistsError": "nlbprob.errors",
    "load_model": "nlbprob.model_file",
}


def __getattr__(name):
    if name not in PUBLIC:
        raise AttributeError(f"module 'nlbprob' has no attribute {name!r}")
    value = getattr(importlib.import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *PUBLIC})
