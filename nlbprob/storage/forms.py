"""What the JSON files of a run hold, so that a damaged one raises an error before it is used."""

from typing import Any

from nlbprob.errors import InputError, printable

#: A score, or null where it does not apply; its interval.
SCORE, INTERVAL = (float, None), ([float], None)
SCORES = {str: SCORE}
#: metrics.json, beside the scores themselves, which stand under the name of their split.
METRICS = {
    "split": str,
    "fit_on": str,
    "bin_ms": float,
    "intervals": {str: INTERVAL},
    "reasons": {str: str},
    "baselines": {str: SCORES},
    "baseline_intervals?": {str: {str: INTERVAL}},
    "baseline_settings?": {str: {str: float}},
    "differences?": {str: SCORES},
    "difference_intervals?": {str: {str: INTERVAL}},
    "by_neuron?": [{"co-bps": SCORE}],
    "units?": {str: str},
    "meanings?": {str: str},
    "verdict?": str,
    "members?": {str: SCORES},
}
#: config.json.
CONFIG = {"settings": {"model": str, "data": object}, "data": {"options?": {"dataset?": (str, None)}}}
#: test.json.
RECORD = {
    "date": str,
    "dataset": str,
    "bin_ms": float,
    "scores": SCORES,
    "statement": str,
    "notes": [str],
    "earlier": int,
    "later": bool,
    "fit_on": str,
}
#: Kinds of value in words.
WORDS = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}
#: No score, width or count comes near it.
LARGEST = 1e300


def conform(value: Any, form: Any, place: str) -> None:
    """See that JSON has a form.

    Args:
        value: of JSON.
        form: a type (`float` takes every finite number); a tuple of alternatives, None for null; a list with the form
            of each element; a dictionary with that of each key, with "?" behind a key that may be absent, and with
            `str` as the only key for all of them.
        place: what messages call it.

    Raises:
        InputError: it has another form.
    """
    alternatives = form if isinstance(form, tuple) else (form,)
    if value is None and None in alternatives:
        return
    (form,) = [each for each in alternatives if each is not None]
    kind = form if isinstance(form, type) else type(form)
    if not is_of(value, kind):
        raise InputError(f"{place} holds {str(value)[:40]!r} in the place of {WORDS[kind]}")
    if isinstance(form, list) and isinstance(value, list):
        for number, each in enumerate(value):
            conform(each, form[0], f"{place}[{number}]")
    elif isinstance(form, dict) and isinstance(value, dict):
        conform_table(value, form, place)


def conform_table(table: dict[str, Any], form: dict[Any, Any], place: str) -> None:
    """`conform` for what stands in a table."""
    fields = dict.fromkeys(table, form[str]) if str in form else form
    for key, each in fields.items():
        name = key if str in form else key.removesuffix("?")
        if name in table:
            conform(table[name], each, f"{place}: {name}")
        elif name == key:
            raise InputError(f"{place} lacks {name!r}")


def is_of(value: Any, kind: type) -> bool:
    """Whether a value of JSON is of a kind; `float` is every number that can be meant, and no kind but bool is bool."""
    if kind is float:
        return type(value) in (int, float) and abs(value) < LARGEST
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def shown(value: Any) -> Any:
    """The same JSON, its texts without control characters."""
    if isinstance(value, dict):
        return {printable(key): shown(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shown(each) for each in value]
    return printable(value) if isinstance(value, str) else value
