"""Specs: checks, static and traced parts, JSON."""

import json
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perceptory import (
    SGD,
    Adam,
    AdamW,
    Candidate,
    Cosine,
    Exponential,
    KFold,
    Momentum,
    Repeated,
    RMSProp,
    Study,
    WarmUp,
    WeightPenalty,
    choice,
    log_uniform,
)
from perceptory.catalog import SPECS
from perceptory.errors import InputError
from perceptory.networks.mlp import MLP
from perceptory.objectives.table import AbsoluteError, SigmoidCrossEntropy, SquaredError
from perceptory.specs import Spec, Traced, combine, count, from_json, partition, to_json, traced

# --- candidates of every make ------------------------------------------------------------------------------------

rates = st.floats(1e-6, 10, allow_subnormal=False)
shares = st.sampled_from([0.0, 0.1, 0.5, 0.9])
schedules = st.one_of(
    rates,
    st.builds(Cosine, rates, end=shares),
    st.builds(Exponential, rates, end=rates),
    st.builds(WarmUp, st.one_of(rates, st.builds(Cosine, rates)), share=st.sampled_from([0.1, 0.5])),
)
optimizers = st.one_of(
    st.builds(SGD, schedules),
    st.builds(Momentum, schedules, momentum=shares, nesterov=st.booleans()),
    st.builds(RMSProp, schedules, form=st.sampled_from(["usual", "fourth_root"])),
    st.builds(Adam, schedules, beta1=shares, eps=st.sampled_from([1e-8, 1e-3])),
    st.builds(AdamW, schedules, weight_decay=st.sampled_from([0.0, 0.01])),
)
networks = st.builds(
    MLP,
    st.lists(st.integers(1, 64), max_size=3).map(tuple),
    st.sampled_from(["tanh", "relu"]),
    dropout=shares,
    initializer=st.sampled_from([None, "he"]),
)
penalties = st.one_of(st.none(), st.builds(WeightPenalty, st.floats(0, 1), p=st.sampled_from([1, 1.5, 2, 3])))
costs = st.sampled_from([SquaredError(), AbsoluteError(), SigmoidCrossEntropy()])
candidates = st.builds(Candidate, networks, costs, optimizers, penalties, st.one_of(st.none(), st.integers(1, 256)))


@given(candidates)
def test_partition_and_combine_are_inverse(candidate):
    static, numbers = partition(candidate)
    assert combine(static, numbers) == candidate
    assert all(type(n) is float for n in numbers)
    hash(static)


@given(candidates)
def test_json_round_trip_through_text(candidate):
    text = json.dumps(to_json(candidate), allow_nan=False)
    back = from_json(json.loads(text))
    assert back == candidate
    assert to_json(back) == json.loads(text)


@given(candidates, rates)
def test_another_number_has_the_same_static_part(candidate, rate):
    def with_rate(spec):
        if isinstance(spec.learning_rate, float):
            return spec.replace(learning_rate=rate)
        start = spec.learning_rate.after if isinstance(spec.learning_rate, WarmUp) else spec.learning_rate.start
        if isinstance(start, Spec):
            return spec.replace(learning_rate=spec.learning_rate.replace(after=start.replace(start=rate)))
        name = "after" if isinstance(spec.learning_rate, WarmUp) else "start"
        return spec.replace(learning_rate=spec.learning_rate.replace(**{name: rate}))

    other = candidate.replace(optimizer=with_rate(candidate.optimizer))
    assert partition(other)[0] == partition(candidate)[0]
    assert hash(partition(other)[0]) == hash(partition(candidate)[0])


def test_numbers_come_in_the_order_of_the_fields():
    candidate = Candidate(MLP((4,), dropout=0.3), SquaredError(), Adam(Cosine(0.2, end=0.1)), WeightPenalty(0.5))
    static, numbers = partition(candidate)
    assert numbers == (0.3, 0.2, 0.1, 0.9, 0.999, 1e-8, 0.0, 0.5)
    assert static.network.dropout == Traced(0)
    assert static.optimizer.learning_rate == Cosine(Traced(1), end=Traced(2))
    assert static.penalty == WeightPenalty(Traced(7), p=2)


def test_numbers_may_be_tracers():
    static, numbers = partition(Adam(Exponential(0.1, end=0.01)))

    def rate(numbers):
        return combine(static, numbers).learning_rate.at(0.5)

    np.testing.assert_allclose(jax.jit(rate)(jnp.array(numbers)), 0.01, rtol=1e-6)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(rate))(jnp.array([numbers, (0.4, 0.25, 0, 0, 0, 0)])), [0.01, 0.2], rtol=1e-6
    )


def test_what_is_off_stays_static():
    assert partition(MLP((4,), dropout=0.0)) == (MLP((4,)), ())
    assert partition(MLP((4,), dropout=0)) == (MLP((4,)), ())
    static, numbers = partition(MLP((4,), dropout=0.2))
    assert (static.dropout, numbers) == (Traced(0), (0.2,))
    assert static.stochastic
    assert static != partition(MLP((4,)))[0]
    # a penalty of strength 0 is traced like any other: 0 and 1e-4 share a program
    assert partition(WeightPenalty(0))[0] == partition(WeightPenalty(1e-4))[0]


def test_a_tuple_is_walked_and_an_optax_transformation_is_not():
    import optax

    from perceptory import Optax

    _, numbers = partition((MLP((2,), dropout=0.1), Adam(0.3), WeightPenalty(0.2)))
    assert numbers == (0.1, 0.3, 0.9, 0.999, 1e-8, 0.0, 0.2)
    spec = Optax(optax.sgd(0.1))
    assert partition(spec) == (spec, ())
    assert partition(spec)[0].chain is spec.chain


# --- JSON --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "study",
    [
        Study(),
        Study(
            networks=[MLP((4,), choice("tanh", "relu")), MLP((choice(8, 16), 4))],
            optimizer=Adam(log_uniform(1e-4, 1e-1)),
            penalty=choice(None, WeightPenalty(choice(0, 1e-3))),
            validation=Repeated(KFold(5), times=2),
            seeds=2,
            samples=7,
            score="mae",
            rule="one_standard_error",
        ),
        Study(cost="absolute", optimizer="nesterov", batch_size=choice(8, 16)),
    ],
)
def test_a_study_survives_a_file(study):
    back = from_json(json.loads(json.dumps(to_json(study), allow_nan=False)))
    assert back == study
    assert back.candidates(SquaredError()) == study.candidates(SquaredError())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "MLPP"}, r"unknown spec 'MLPP'\. Did you mean 'MLP'\?"),
        ({"kind": "os.system"}, "unknown spec 'os.system'"),
        ({"kind": "perceptory.networks.mlp:MLP"}, "unknown spec 'perceptory.networks.mlp:MLP'"),
        ({"kind": "mlp"}, r"unknown spec 'mlp'\. Did you mean 'MLP'\?"),
        ({"kind": "read_table"}, "unknown spec 'read_table'"),
        ({"kind": "Custom"}, "unknown spec 'Custom'"),
        ({"kind": "MLP", "hiden": [3]}, r"MLP has no field 'hiden'\. Did you mean 'hidden'\?"),
        ({"kind": "MLP", "build": 1}, "MLP has no field 'build'"),
        ({"hidden": [3]}, r"a spec needs a 'kind', got \{'hidden': \[3\]\}"),
        ({}, r"a spec needs a 'kind', got \{\}"),
        ({"kind": 3}, "a spec needs a 'kind'"),
        ({"kind": None}, "a spec needs a 'kind'"),
        ({"custom": "lion"}, "a spec needs a 'kind'"),
        ({"kind": "MLP", "hidden": [3], "activation": {"kind": "Nothing"}}, "unknown spec 'Nothing'"),
        ({"kind": "MLP", "hidden": [3.0]}, "needs positive widths"),
        ({"kind": "MLP", "hidden": "3"}, "needs a tuple of widths"),
        ({"kind": "MLP", "dropout": "0.1"}, "finite number"),
        ({"kind": "MLP", "dropout": True}, "finite number, got True"),
        ({"kind": "MLP", "dropout": [0.1]}, "finite number"),
        ({"kind": "MLP", "dropout": None}, "finite number, got None"),
        ({"kind": "Adam", "learning_rate": {"kind": "MLP"}}, "Adam.learning_rate needs a finite number"),
        ({"kind": "WeightPenalty", "strength": float("nan")}, "finite number, got nan"),
        ({"kind": "Candidate"}, "Candidate cannot be read"),
    ],
)
def test_unknown_kinds_and_fields(data, message):
    with pytest.raises(InputError, match=message) as caught:
        from_json(data)
    assert "\n" not in str(caught.value)


kinds = st.sampled_from(list(SPECS))
json_data = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), kinds),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["kind", "hidden", "dropout", "learning_rate", "values", "low", "x"]), inner),
    ),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(SPECS)), st.dictionaries(st.text(max_size=3), json_data), st.data())
def test_any_json_gives_a_spec_or_an_input_error(kind, extra, data):
    import dataclasses

    known = [f.name for f in dataclasses.fields(SPECS[kind])]
    fields = data.draw(st.dictionaries(st.sampled_from(known), json_data)) if known else {}
    made, message = None, ""
    try:
        made = from_json({"kind": kind} | fields | (extra if data.draw(st.integers(0, 9)) == 0 else {}))
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    assert message or isinstance(made, SPECS[kind])


@dataclass(frozen=True)
class Foreign(Spec):
    rate: float = traced(1.0)


@dataclass(frozen=True)
class Pretender(Spec):
    hidden: int = 3


Pretender.__name__ = "MLP"


@pytest.mark.parametrize("spec", [Foreign(), Pretender()])
def test_what_is_not_in_the_table_is_not_written(spec):
    with pytest.raises(InputError, match="is not in the table of specs, so it cannot be written to a file"):
        to_json(spec)
    written = to_json((spec, 1), strict=False)
    assert list(written[0]) == ["custom"]
    with pytest.raises(InputError):
        from_json(written)


def test_numpy_scalars_are_written_as_numbers():
    assert json.dumps(to_json(Adam(np.float32(0.5)))) == json.dumps(to_json(Adam(0.5)))
    assert to_json(MLP((np.int64(3),)))["hidden"] == [3]


def test_every_spec_can_be_found_under_its_own_name():
    for name, cls in SPECS.items():
        assert cls.__name__ == name


# --- checks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [True, False, float("nan"), float("inf"), "1", None, 1 + 2j, [1.0], np.nan])
def test_numbers_only(bad):
    with pytest.raises(InputError, match=r"^SGD\.learning_rate needs a finite number, got .*\.$"):
        SGD(bad)


@pytest.mark.parametrize("good", [1, 0.5, np.float32(0.25), np.int64(2)])
def test_all_kinds_of_numbers(good):
    assert SGD(good).learning_rate == good


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "3", None, float("nan"), 2.0])
def test_counts(bad):
    with pytest.raises(InputError, match="x needs a whole number of at least 1, got"):
        count("x", bad)


def test_search_values_placeholders_and_tracers_pass_the_checks():
    assert isinstance(Adam(choice(0.1, 0.2)).learning_rate, Spec)
    assert Adam(Traced(3)).learning_rate == Traced(3)
    jax.jit(lambda x: SGD(x).learning_rate)(-1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Study(networks=[]), r"networks needs at least one network, got \(\)\. Example: networks=\[MLP"),
        (lambda: Study(networks="MLP"), r"networks needs at least one network, got 'MLP'\. Example"),
        (lambda: Study(networks=[3]), r"networks needs a Network, got 3\. Example: MLP\(\(32, 32\)\)"),
        (lambda: Study(optimizer=0.1), r"optimizer needs an Optimizer, got 0\.1\. Example: Adam\(1e-2\)"),
        (lambda: Study(optimizer="adm"), r"unknown optimizer 'adm'\. Did you mean 'adam'\?"),
        (lambda: Study(cost="mse"), "unknown cost 'mse'"),
        (lambda: Study(penalty=0.1), r"penalty needs a Penalty, got 0\.1\. Example: WeightPenalty\(1e-4\)"),
        (lambda: Study(test=1.0), r"Study\.test needs a share of at least 0 and below 1, got 1\.0\. Ex"),
        (lambda: Study(test=True), "needs a share"),
        (lambda: Study(test=float("nan")), "needs a share"),
        (lambda: Study(epochs=0), r"Study\.epochs needs a whole number of at least 1, got 0"),
        (lambda: Study(seeds=1.5), r"Study\.seeds needs a whole number"),
        (lambda: Study(patience=-2), r"Study\.patience needs a whole number of at least -1"),
        (lambda: Study(epochs=choice(1, 2)), "epochs needs one plain value, got the search value"),
        (lambda: Study(validation=choice(KFold(2), KFold(3))), "validation needs one plain value"),
        (lambda: Study(batch_size=0), "batch_size needs a whole number of at least 1"),
        (lambda: Study(rule="bst"), r"unknown rule 'bst'\. Did you mean 'best'\?"),
        (lambda: Study(final="fold"), r"unknown final model 'fold'\. Did you mean 'folds'\?"),
        (lambda: Study(precision="half"), "unknown precision 'half'"),
        (lambda: Study(sampling="bootstrap"), "unknown sampling"),
        (lambda: Study(memory=0), r"Study\.memory needs a number above 0"),
        (lambda: Study(validation=5), "needs an object with a split method, got 5"),
        (lambda: Momentum(nesterov="no"), r"Momentum\.nesterov needs True or False, got 'no'"),
    ],
)  # fmt: skip
def test_messages_say_expected_received_and_remedy(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
