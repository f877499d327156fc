"""What a study file says of data: one dataclass a kind, read without loading any data.

A field whose metadata has `lane` may differ between runs that share one data set in memory; a field
with `values` changes the numbers but not the shapes, so runs that differ in it still share a pack.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

__all__ = [
    "DataConfig",
    "DataShape",
    "DigitsConfig",
    "IdentityConfig",
    "SpectrumConfig",
    "TeacherStudentConfig",
]

NoiseMode = Literal["fixed", "online"]
FORBID: dict[str, Any] = {"extra": "forbid"}


class DataShape(NamedTuple):
    """Sizes that a model and a cost estimate need.

    Attributes:
        inputs: Number of inputs.
        outputs: Number of outputs, or of classes.
        train: Number of training samples; 0 where every batch is drawn anew.
        test: Number of test samples.
        is_classification: Whether targets are classes.
    """

    inputs: int
    outputs: int
    train: int
    test: int
    is_classification: bool


@dataclass(frozen=True, kw_only=True)
class TeacherStudentConfig:
    """A random network of the same family labels Gaussian inputs."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    kind: Literal["teacher_student"] = "teacher_student"
    """Teacher-student regression."""
    input_dim: Annotated[int, Ge(1)] = 8
    """Number of inputs, standard normal."""
    output_dim: Annotated[int, Ge(1)] = 4
    """Number of outputs."""
    teacher_width: Annotated[int, Ge(1)] = field(default=8, metadata={"values": True})
    """Neurons of each hidden layer of the teacher."""
    teacher_depth: Annotated[int, Ge(1)] = field(default=2, metadata={"values": True})
    """Weight layers of the teacher."""
    teacher_activation: Literal["tanh", "silu", "relu", "sin", "linear"] = field(
        default="tanh", metadata={"values": True}
    )
    """Activation of the teacher's hidden layers."""
    teacher_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """Factor on the teacher's outputs."""
    samples: Annotated[int, Ge(1)] = 300
    """Number of training samples of a fixed data set."""
    test_samples: Annotated[int, Ge(1)] = 1000
    """Number of test samples."""
    fresh: bool = False
    """Whether every batch is drawn anew instead of from a fixed data set."""
    input_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """Factor on the inputs, before the teacher sees them."""
    label_noise: Annotated[float, Ge(0)] = field(default=0.0, metadata={"lane": True})
    """Standard deviation of the Gaussian noise on each target."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sample, or at every step."""

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        train = 0 if self.fresh else self.samples
        return DataShape(self.input_dim, self.output_dim, train, self.test_samples, False)


@dataclass(frozen=True, kw_only=True)
class IdentityConfig:
    """Gaussian inputs that are their own targets."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    kind: Literal["identity"] = "identity"
    """Identity regression."""
    input_dim: Annotated[int, Ge(1)] = 20
    """Number of inputs and of outputs."""
    samples: Annotated[int, Ge(1)] = 100
    """Number of training samples of a fixed data set."""
    test_samples: Annotated[int, Ge(1)] = 1000
    """Number of test samples."""
    fresh: bool = False
    """Whether every batch is drawn anew instead of from a fixed data set."""
    input_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """Factor on the inputs."""
    label_noise: Annotated[float, Ge(0)] = field(default=0.0, metadata={"lane": True})
    """Standard deviation of the Gaussian noise on each target."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sample, or at every step."""

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        train = 0 if self.fresh else self.samples
        return DataShape(self.input_dim, self.input_dim, train, self.test_samples, False)


@dataclass(frozen=True, kw_only=True)
class SpectrumConfig:
    """A linear target whose singular values follow a power law, on exactly white inputs.

    The target is y = U diag(amplitude k^-exponent) V^T x with random orthogonal U and V; the inputs
    of a fixed data set satisfy (1/n) sum x x^T = input_scale^2 I exactly. With `axes`, U and V are
    the identity and each input is a multiple of a unit vector, so that a ReLU network sees
    orthogonal inputs and non-negative targets of disjoint supports.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    kind: Literal["spectrum"] = "spectrum"
    """Linear regression with a power-law spectrum."""
    input_dim: Annotated[int, Ge(1)] = 64
    """Number of inputs, of outputs and of singular values."""
    exponent: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """How fast the singular values fall."""
    amplitude: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """The largest singular value."""
    axes: bool = False
    """Whether inputs and singular vectors lie along the axes: exactly solvable for ReLU, too."""
    samples: Annotated[int, Ge(1)] = 64
    """Number of training samples of a fixed data set; at least input_dim."""
    test_samples: Annotated[int, Ge(1)] = 1000
    """Number of test samples."""
    fresh: bool = False
    """Whether every batch is drawn anew instead of from a fixed data set."""
    input_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """Factor on the inputs."""
    label_noise: Annotated[float, Ge(0)] = field(default=0.0, metadata={"lane": True})
    """Standard deviation of the Gaussian noise on each target."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sample, or at every step."""

    def __post_init__(self) -> None:
        """Check that the inputs can be white."""
        if not self.fresh and self.samples < self.input_dim:
            raise ValueError(
                "`data.samples` must be at least `data.input_dim`, so that the inputs can be "
                f"white, but got {self.samples} and {self.input_dim}"
            )
        if self.axes and (self.fresh or self.samples % self.input_dim):
            raise ValueError(
                "`data.axes` must have a fixed data set with each axis equally often, but got "
                f"{self.samples} samples of {self.input_dim} inputs and fresh = {self.fresh}"
            )

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        train = 0 if self.fresh else self.samples
        return DataShape(self.input_dim, self.input_dim, train, self.test_samples, False)


@dataclass(frozen=True, kw_only=True)
class DigitsConfig:
    """The 1,797 real 8x8 digits that come with scikit-learn; no download.

    Pixels are divided by 16 and centred; the split into training and test images is the same for
    every seed.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    kind: Literal["digits"] = "digits"
    """Classification of real images of handwritten digits."""
    samples: Annotated[int, Ge(1), Le(1400)] = 1400
    """Number of training images, of the 1,400 set aside for training."""
    input_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """Factor on the pixels."""
    label_noise: Annotated[float, Ge(0), Le(1)] = field(default=0.0, metadata={"lane": True})
    """Probability that a training label is replaced by another class."""
    noise_mode: NoiseMode = "fixed"
    """Whether labels are flipped once, or at every step."""

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        return DataShape(64, 10, self.samples, 397, True)


DataConfig = TeacherStudentConfig | IdentityConfig | SpectrumConfig | DigitsConfig
