"""Generative models of spiking activity: write one from blocks, fit it in minutes, score and read it.

>>> import nlbprob as nlb
>>> trials = nlb.load("maze.nwb", bin_ms=5)  # doctest: +SKIP
>>> posterior = nlb.fit(nlb.Model(latents=[nlb.LDS(12)]), trials.split("train"), seed=0)  # doctest: +SKIP
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

if "jax" not in sys.modules:  # it sets a default of its own, and its libraries look once
    # XLA's alarms of slow compilation would break progress bars; its errors come as exceptions all the same.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

#: Public name -> the module that defines it. Each is imported when first asked for, so that `nlbprob --help` is quick;
#: type checkers and editors, which cannot see through `__getattr__`, read the imports below.
PUBLIC = {
    "Trials": "nlbprob.data.trials",
    "load": "nlbprob.data.nwb",
    "stitch": "nlbprob.data.stitch",
    "unstitch": "nlbprob.data.stitch",
    "DoesNotApply": "nlbprob.scoring.metrics.scored",
    "Metric": "nlbprob.scoring.metrics.base",
    "RatioOfSums": "nlbprob.scoring.metrics.base",
    "ScoredRates": "nlbprob.scoring.metrics.scored",
    "Statistic": "nlbprob.scoring.metrics.base",
    "Scores": "nlbprob.scoring.scores",
    "score": "nlbprob.scoring.scores",
    "Difference": "nlbprob.scoring.comparison",
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
    "Flow": "nlbprob.blocks.flow",
    "Gain": "nlbprob.blocks.gain",
    "Templates": "nlbprob.blocks.templates",
    "TrialFactors": "nlbprob.blocks.trial_factors",
    "LinearReadout": "nlbprob.blocks.readout",
    "Ridge": "nlbprob.blocks.shrinkage.ridge",
    "ARD": "nlbprob.blocks.shrinkage.ard",
    "Laplace": "nlbprob.blocks.shrinkage.laplace",
    "Horseshoe": "nlbprob.blocks.shrinkage.horseshoe",
    "Shrinkage": "nlbprob.blocks.shrinkage.shrinkage",
    "InputEffect": "nlbprob.blocks.effects",
    "History": "nlbprob.blocks.effects",
    "Covariate": "nlbprob.blocks.inputs",
    "TrialTime": "nlbprob.blocks.inputs",
    "Bernoulli": "nlbprob.blocks.observations",
    "Gaussian": "nlbprob.blocks.observations",
    "NegativeBinomial": "nlbprob.blocks.negative_binomial",
    "Observation": "nlbprob.blocks.observation_base",
    "Poisson": "nlbprob.blocks.poisson",
    "SqrtGaussian": "nlbprob.blocks.observations",
    "ZeroInflatedPoisson": "nlbprob.blocks.poisson",
    "Model": "nlbprob.model",
    "observe": "nlbprob.blocks.calls",
    "Simulated": "nlbprob.simulation",
    "reaches": "nlbprob.simulation",
    "simulate": "nlbprob.simulation",
    "write_nwb": "nlbprob.simulation",
    "Posterior": "nlbprob.posterior.posterior",
    "FitConfig": "nlbprob.fit_config",
    "Family": "nlbprob.infer.vi.family",
    "Neuron": "nlbprob.infer.vi.neuron",
    "Independent": "nlbprob.infer.vi.independent",
    "LowRank": "nlbprob.infer.vi.lowrank",
    "Point": "nlbprob.infer.vi.point",
    "NumPyroGuide": "nlbprob.infer.vi.numpyro_guide",
    "FitInfo": "nlbprob.infer.fit.state",
    "FitState": "nlbprob.infer.fit.state",
    "Interrupted": "nlbprob.infer.fit.fit",
    "fit": "nlbprob.infer.fit.fit",
    "steps": "nlbprob.infer.fit.loop",
    "Aligned": "nlbprob.posterior.align",
    "align": "nlbprob.posterior.align",
    "Committee": "nlbprob.selection.average",
    "average": "nlbprob.selection.average",
    "Choice": "nlbprob.selection.choose",
    "choose": "nlbprob.selection.choose",
    "Decoder": "nlbprob.posterior.decoder",
    "subspace_angles": "nlbprob.posterior.angles",
    "check_correlations": "nlbprob.posterior.checks",
    "check_counts": "nlbprob.posterior.checks",
    "check_psths": "nlbprob.posterior.checks",
    "kfold": "nlbprob.selection.kfold",
    "Replication": "nlbprob.selection.replicate",
    "replicate": "nlbprob.selection.replicate",
    "log_evidence": "nlbprob.posterior.evidence",
    "Front": "nlbprob.parsimony.front",
    "pareto": "nlbprob.parsimony.pareto",
    "InputError": "nlbprob.errors",
    "RunExistsError": "nlbprob.errors",
    "load_model": "nlbprob.model_file",
}
#: Public modules, imported likewise.
MODULES = ("plot",)


if TYPE_CHECKING:
    from nlbprob import plot as plot
    from nlbprob.blocks.calls import observe as observe
    from nlbprob.blocks.effects import History as History
    from nlbprob.blocks.effects import InputEffect as InputEffect
    from nlbprob.blocks.flow import Flow as Flow
    from nlbprob.blocks.gain import Gain as Gain
    from nlbprob.blocks.gp import GP as GP
    from nlbprob.blocks.inputs import Covariate as Covariate
    from nlbprob.blocks.inputs import TrialTime as TrialTime
    from nlbprob.blocks.kernels import Matern12 as Matern12
    from nlbprob.blocks.kernels import Matern32 as Matern32
    from nlbprob.blocks.kernels import Matern52 as Matern52
    from nlbprob.blocks.kernels import Periodic as Periodic
    from nlbprob.blocks.kernels import QuasiPeriodic as QuasiPeriodic
    from nlbprob.blocks.lds import LDS as LDS
    from nlbprob.blocks.negative_binomial import NegativeBinomial as NegativeBinomial
    from nlbprob.blocks.observation_base import Observation as Observation
    from nlbprob.blocks.observations import Bernoulli as Bernoulli
    from nlbprob.blocks.observations import Gaussian as Gaussian
    from nlbprob.blocks.observations import SqrtGaussian as SqrtGaussian
    from nlbprob.blocks.poisson import Poisson as Poisson
    from nlbprob.blocks.poisson import ZeroInflatedPoisson as ZeroInflatedPoisson
    from nlbprob.blocks.readout import LinearReadout as LinearReadout
    from nlbprob.blocks.shrinkage.ard import ARD as ARD
    from nlbprob.blocks.shrinkage.horseshoe import Horseshoe as Horseshoe
    from nlbprob.blocks.shrinkage.laplace import Laplace as Laplace
    from nlbprob.blocks.shrinkage.ridge import Ridge as Ridge
    from nlbprob.blocks.shrinkage.shrinkage import Shrinkage as Shrinkage
    from nlbprob.blocks.slds import SwitchingLDS as SwitchingLDS
    from nlbprob.blocks.templates import Templates as Templates
    from nlbprob.blocks.trial_factors import TrialFactors as TrialFactors
    from nlbprob.data.nwb import load as load
    from nlbprob.data.stitch import stitch as stitch
    from nlbprob.data.stitch import unstitch as unstitch
    from nlbprob.data.trials import Trials as Trials
    from nlbprob.errors import InputError as InputError
    from nlbprob.errors import RunExistsError as RunExistsError
    from nlbprob.fit_config import FitConfig as FitConfig
    from nlbprob.infer.fit.fit import Interrupted as Interrupted
    from nlbprob.infer.fit.fit import fit as fit
    from nlbprob.infer.fit.loop import steps as steps
    from nlbprob.infer.fit.state import FitInfo as FitInfo
    from nlbprob.infer.fit.state import FitState as FitState
    from nlbprob.infer.vi.family import Family as Family
    from nlbprob.infer.vi.independent import Independent as Independent
    from nlbprob.infer.vi.lowrank import LowRank as LowRank
    from nlbprob.infer.vi.neuron import Neuron as Neuron
    from nlbprob.infer.vi.numpyro_guide import NumPyroGuide as NumPyroGuide
    from nlbprob.infer.vi.point import Point as Point
    from nlbprob.model import Model as Model
    from nlbprob.model_file import load_model as load_model
    from nlbprob.parsimony.front import Front as Front
    from nlbprob.parsimony.pareto import pareto as pareto
    from nlbprob.posterior.align import Aligned as Aligned
    from nlbprob.posterior.align import align as align
    from nlbprob.posterior.angles import subspace_angles as subspace_angles
    from nlbprob.posterior.checks import check_correlations as check_correlations
    from nlbprob.posterior.checks import check_counts as check_counts
    from nlbprob.posterior.checks import check_psths as check_psths
    from nlbprob.posterior.decoder import Decoder as Decoder
    from nlbprob.posterior.evidence import log_evidence as log_evidence
    from nlbprob.posterior.posterior import Posterior as Posterior
    from nlbprob.scoring.baselines import baselines as baselines
    from nlbprob.scoring.comparison import Difference as Difference
    from nlbprob.scoring.comparison import compare as compare
    from nlbprob.scoring.metrics.base import Metric as Metric
    from nlbprob.scoring.metrics.base import RatioOfSums as RatioOfSums
    from nlbprob.scoring.metrics.base import Statistic as Statistic
    from nlbprob.scoring.metrics.scored import DoesNotApply as DoesNotApply
    from nlbprob.scoring.metrics.scored import ScoredRates as ScoredRates
    from nlbprob.scoring.scores import Scores as Scores
    from nlbprob.scoring.scores import score as score
    from nlbprob.scoring.submission import write_submission as write_submission
    from nlbprob.selection.average import Committee as Committee
    from nlbprob.selection.average import average as average
    from nlbprob.selection.choose import Choice as Choice
    from nlbprob.selection.choose import choose as choose
    from nlbprob.selection.kfold import kfold as kfold
    from nlbprob.selection.replicate import Replication as Replication
    from nlbprob.selection.replicate import replicate as replicate
    from nlbprob.simulation import Simulated as Simulated
    from nlbprob.simulation import reaches as reaches
    from nlbprob.simulation import simulate as simulate
    from nlbprob.simulation import write_nwb as write_nwb
else:
    __all__ = [*PUBLIC, *MODULES]

    def __getattr__(name):
        if name in MODULES:
            return importlib.import_module(f"nlbprob.{name}")
        if name not in PUBLIC:
            raise AttributeError(f"module 'nlbprob' has no attribute {name!r}")
        value = getattr(importlib.import_module(PUBLIC[name]), name)
        globals()[name] = value
        return value


def __dir__():
    return [*PUBLIC, *MODULES, "__doc__", "__file__", "__name__", "__path__", "__version__"]
