"""A module of the user's own with measures of every sort, beside a study file."""

import pytest

from symstudy.components import looking_in
from symstudy.study import make_study

SOURCE = '''
import torch
from symstudy.measures import measure
from symstudy.symmetry import symmetry
from symstudy.symmetry.sign_flip import SignFlip


@measure(on="layer", kind="number", meaning="largest norm of a neuron, doubled")
def peak_norm(view):
    return 2.0 * view.norms_KN.amax(dim=1)


@measure(on="layer", kind="count", meaning="neurons with a positive first weight")
def positive(view):
    return (view.neurons_KND[:, :, 0] > 0).sum(dim=1)


@measure(on="network", kind="number", meaning="squared norm of the gradient of the test loss")
def steepness(view):
    theta = view.theta_KP.requires_grad_(True)
    (gradient,) = torch.autograd.grad(view.losses(theta).sum(), theta)
    return gradient.square().sum(dim=1)


@measure(on="run", kind="count", meaning="probes of the run")
def probes(view):
    return len(view.steps)


@measure(on="layer", kind="number", meaning="one number for all runs: wrong")
def wrong_shape(view):
    return view.norms_KN.amax()


@measure(on="layer", kind="number", meaning="has the name of a hyperparameter")
def gamma(view):
    return view.scale_K


@measure(on="layer", kind="number", meaning="is a hyperparameter for SQL")
def Gamma(view):
    return view.scale_K


@measure(on="layer", kind="number", meaning="is a built-in measure for SQL")
def Rank(view):
    return view.scale_K


@measure(on="layer", kind="number", meaning="is another measure for SQL")
def Peak_Norm(view):
    return view.scale_K


@measure(on="network", kind="number", meaning="has the name of another column")
def test_loss(view):
    return view.losses()


@measure(on="run", kind="number", meaning="text, which is no number")
def text(view):
    return "3"


@measure(on="network", kind="count", meaning="a half: no count")
def halves(view):
    return torch.full((len(view.theta_KP),), 0.5)


@measure(on="network", kind="count", meaning="nothing that could be counted")
def uncounted(view):
    return torch.full((len(view.theta_KP),), float("nan"))


@measure(on="run", kind="count", meaning="not known of a run")
def unknown(view):
    return -1


@measure(on="layer", kind="number", meaning="nothing that could be measured")
def unmeasured(view):
    return view.scale_K * float("nan")


@measure(on="layer", kind="number", meaning="complex numbers")
def imaginary(view):
    return view.scale_K.to(torch.complex128)


@measure(on="layer", kind="number", meaning="asks for what there is not")
def mistaken(view):
    return view.no_such_thing


@measure(on="attention", kind="number", meaning="largest weight of a query")
def loudest(view):
    return view.weights.query_KHND.abs().flatten(1).amax(dim=1)


def undeclared(view):
    return view.scale_K


@symmetry(
    kind="mirror", action="(u, w) -> (-u, -w)", applies_to="odd neurons",
    symmetric_state="u = w = 0", conserved="nothing", distance="mirrors",
    breaking="neurons with a norm above 0.02 of the largest",
)
class Mirror(SignFlip):
    """Sign flips by another name."""
'''


@pytest.fixture
def own(tmp_path, monkeypatch, request):
    """Write the module under a name of its own; return that name."""
    name = f"own_measures_{abs(hash(request.node.nodeid)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with looking_in(tmp_path):
        yield name


@pytest.fixture
def study_with():
    """Return a maker of small studies that name measures."""

    def make(measures, data=None, **model):
        return make_study(
            {
                "schema": 1,
                "name": "named",
                "model": model
                if "kind" in model
                else {"kind": "fcn", "width": 6, "depth": 3, **model},
                "data": data or {"kind": "teacher_student", "samples": 20, "test_samples": 20},
                "train": {"lr": 0.01, "steps": 5, **({"batch_size": 8} if data else {})},
                "sweep": {"seed": 3},
                "probe": {"num": 4, "detail": 2, "samples": 8, "measures": measures},
            }
        )

    return make
