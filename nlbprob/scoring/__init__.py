"""Scores of predicted rates, the baselines to beat, and the benchmark's submission file: NumPy, no model needed."""

from nlbprob.scoring.baselines import baselines as baselines
from nlbprob.scoring.comparison import Difference as Difference
from nlbprob.scoring.comparison import compare as compare
from nlbprob.scoring.metrics import bits_per_spike as bits_per_spike
from nlbprob.scoring.metrics import bits_per_spike_by_neuron as bits_per_spike_by_neuron
from nlbprob.scoring.rates import check_rates as check_rates
from nlbprob.scoring.scores import Scores as Scores
from nlbprob.scoring.scores import score as score
from nlbprob.scoring.submission import write_submission as write_submission
