"""Fit a model to a recording, score it, and write all that came of it to a folder."""

from nlbprob.commands.data_options import add_data_arguments, data_options, read_config
from nlbprob.model_file import find_model


def add_arguments(parser) -> None:
    """Add the model, the recording, how to read it and how to fit."""
    parser.add_model()
    parser.add_argument("data", metavar="DATA", help="the recording: an NWB file with units and trials")
    parser.add_argument("--out", metavar="RUN", required=True, help="folder to write the run to")
    parser.add_argument("--force", action="store_true", help="replace the run that the folder holds")
    parser.add_argument("--config", metavar="TOML", help="file with options of [data] and [model]; flags come first")
    add_fit_arguments(parser)
    add_data_arguments(parser)


def add_fit_arguments(parser) -> None:
    """Add how to fit, and what to fit and score on."""
    group = parser.add_argument_group("how to fit")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the fit (default 0)")
    group.add_argument(
        "--posterior",
        choices=("neuron", "normal", "lowrank", "map"),
        default="neuron",
        help="form of the parameters' posterior (default neuron: one normal for each neuron's loadings and baseline)",
    )
    group.add_argument("--em-iterations", type=int, metavar="N", help="iterations of the first stage, variational EM")
    group.add_argument("--svi-steps", type=int, metavar="N", help="steps of the second stage, for the posterior")
    group.add_argument(
        "--early-stopping",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of (trial, neuron) pairs to hide from EM, which goes back to where it predicted them best",
    )
    group.add_argument("--init", metavar="RUN", help="run of the same model and units to start from")
    group.add_argument("--draws", type=int, default=200, metavar="N", help="draws in posterior.nc (default 200)")
    group.add_argument(
        "--latents",
        choices=("summary", "draws"),
        default="summary",
        help="latents in posterior.nc: mean and deviation, or all draws (default summary)",
    )
    group.add_argument("--rates", type=int, metavar="N", help="draws of rates in posterior.nc (default: a few)")
    group.add_argument("--fit-on", default="train", metavar="SPLIT", help="split to learn from (default train)")
    group.add_argument("--score-on", default="val", metavar="SPLIT", help="split to score on (default val)")


def run(arguments) -> int:
    """Fit, score, write, and print the scores and where everything lies."""
    file = find_model(arguments.model)
    model_config, data_config = read_config(arguments.config)
    model_options = file.parse(arguments.model_options, model_config)

    from nlbprob.commands.table import print_scores
    from nlbprob.run import perform
    from nlbprob.settings import Settings

    settings = Settings(
        model=arguments.model,
        data=arguments.data,
        model_options=model_options,
        data_options=data_options(arguments) | ({"config": data_config} if data_config else {}),
        seed=arguments.seed,
        posterior=arguments.posterior,
        em_iterations=arguments.em_iterations,
        svi_steps=arguments.svi_steps,
        early_stopping=arguments.early_stopping,
        init=arguments.init,
        draws=arguments.draws,
        latents=arguments.latents,
        rates=arguments.rates,
        fit_on=arguments.fit_on,
        score_on=arguments.score_on,
    )
    metrics = perform(settings, arguments.out, force=arguments.force)
    print_scores(metrics, f"{file.name} on {arguments.data}")
    print(metrics["verdict"])
    print(f"Everything is in {arguments.out}; look at {arguments.out}/report.html first.")
    return 0
