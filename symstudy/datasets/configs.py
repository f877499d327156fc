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
    "InContextConfig",
    "NoDataConfig",
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
        tokens: Tokens that the inputs are a sequence of; 0 for none.
    """

    inputs: int
    outputs: int
    train: int
    test: int
    is_classification: bool
    tokens: int = 0


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
    teacher_directions: Literal["random", "orthogonal"] = field(
        default="random", metadata={"values": True}
    )
    """Whether the teacher's weights are normal numbers of standard deviation 1 / sqrt(fan-in), or
    those of its neurons are orthogonal, incoming and outgoing (two weight layers)."""
    teacher_norm: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """Norm of the incoming weights of each neuron of an orthogonal teacher."""
    teacher_gain_ratio: Annotated[float, Gt(0), Le(1)] = field(
        default=1.0, metadata={"values": True}
    )
    """Norm of the outgoing weights of a neuron of an orthogonal teacher over that of the one before
    it; that of the first is teacher_scale."""
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

    def __post_init__(self) -> None:
        """Check that an orthogonal teacher is possible, and that no key goes unread."""
        if self.teacher_directions == "random":
            for key in ("teacher_norm", "teacher_gain_ratio"):
                if getattr(self, key) != 1.0:
                    raise ValueError(
                        f"`data.{key}` must be left out unless data.teacher_directions = "
                        f"'orthogonal', but got {getattr(self, key)!r}"
                    )
            return
        room = min(self.input_dim, self.output_dim)
        if self.teacher_depth != 2:
            raise ValueError(
                "`data.teacher_depth` must be 2 where data.teacher_directions = 'orthogonal', but "
                f"got {self.teacher_depth}"
            )
        if self.teacher_width > room:
            raise ValueError(
                "`data.teacher_width` must be at most both data.input_dim and data.output_dim "
                f"where data.teacher_directions = 'orthogonal', but got {self.teacher_width} and "
                f"{room}"
            )

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
class NoDataConfig:
    """No data: for models that are measured as they are."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    kind: Literal["none"] = "none"
    """No data; with train.optimizer "none"."""

    @property
    def label_noise(self) -> float:
        """There are no labels."""
        return 0.0

    @property
    def noise_mode(self) -> NoiseMode:
        """There are no labels."""
        return "fixed"

    @property
    def shape(self) -> DataShape:
        """Nothing."""
        return DataShape(0, 0, 0, 0, False)


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
    patch: Literal[0, 1, 2, 4] = 0
    """Side of the square patches, in pixels, that an image is given as tokens of, row by row; 0 for
    its 64 pixels as one row."""
    input_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """Factor on the pixels."""
    label_noise: Annotated[float, Ge(0), Le(1)] = field(default=0.0, metadata={"lane": True})
    """Probability that a training label is replaced by another class."""
    noise_mode: NoiseMode = "fixed"
    """Whether labels are flipped once, or at every step."""

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        tokens = 64 // self.patch**2 if self.patch else 0
        return DataShape(64, 10, self.samples, 397, True, tokens)


@dataclass(frozen=True, kw_only=True)
class InContextConfig:
    """Linear regression in context: sequences of tokens, each sequence with its own task.

    The last number of a token is a linear combination of its others, whose coefficients the tokens
    of a sequence share; that of the final token is the target, and zero in the input. All else is
    standard normal.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    kind: Literal["in_context"] = "in_context"
    """In-context linear regression."""
    length: Annotated[int, Ge(2)] = 8
    """Tokens of a sequence."""
    token_dim: Annotated[int, Ge(2)] = 4
    """Numbers of a token, the linear combination among them."""
    task_dim: Annotated[int, Ge(0)] = field(default=0, metadata={"values": True})
    """Dimensions of the subspace that the coefficients of all sequences lie in; 0 for all."""
    samples: Annotated[int, Ge(1)] = 1000
    """Number of training sequences of a fixed data set."""
    test_samples: Annotated[int, Ge(1)] = 1000
    """Number of test sequences."""
    fresh: bool = True
    """Whether every batch is drawn anew instead of from a fixed data set."""
    input_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"values": True})
    """Factor on the tokens, before they are combined."""
    label_noise: Annotated[float, Ge(0)] = field(default=0.0, metadata={"lane": True})
    """Standard deviation of the Gaussian noise on each target."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sequence, or at every step."""

    def __post_init__(self) -> None:
        """Check that the subspace has no more dimensions than the coefficients."""
        if self.task_dim > self.token_dim - 1:
            raise ValueError(
                "`data.task_dim` must be at most `data.token_dim` - 1, the number of coefficients, "
                f"but got {self.task_dim} and {self.token_dim}"
            )

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        train = 0 if self.fresh else self.samples
        inputs = self.length * self.token_dim
        return DataShape(inputs, 1, train, self.test_samples, False, self.length)


DataConfig = (
    TeacherStudentConfig
    | IdentityConfig
    | SpectrumConfig
    | InContextConfig
    | DigitsConfig
    | NoDataConfig
)
