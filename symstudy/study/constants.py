"""Every constant that costs and packs are estimated by, and what each rests on.

*Measured* ones are of `make bench` and `tests/benchmarks` on one core of a server processor with
AVX-512; a slower machine takes proportionally longer, which changes the size of packs little and
results not at all. *Counted* ones are numbers of operations or bytes, of a packed step on a pretend
GPU (`tests/training/conftest.py`). *Assumed* ones nobody has measured: no study has trained on a
GPU yet. Estimates for GPUs may therefore be wrong by a factor of 2 to 3; `symstudy plan --probe` on
the machine itself tells more.
"""

# The CPU: measured.

COMPILED_STEP_S = 1.5e-6
"""Time of a step of the compiled kernels that does not grow with the network."""
COMPILED_FLOPS = {"float32": 150e9, "float64": 70e9}
"""Operations a second of the compiled kernels."""
ENCODER_FLOPS = {"float32": 55e9, "float64": 25e9}
"""The same of transformers in float32: packed torch takes 3 to 5 times as long for widths 16 and 32,
and `HEADS_SHARE` of `EAGER_FLOPS` (`python tests/benchmarks/transformer.py`, on a busy machine). In
float64 it is taken to be as much less as for dense networks."""
EAGER_FLOPS = {"float32": 30e9, "float64": 12e9}
"""Operations a second of packs of the torch engine."""
EAGER_STEP_S = 20e-6
"""Share of a run in the calls of an eager step, in a pack of a dozen runs or more."""
EAGER_CALLS_S = 0.3e-3
"""Time of the calls of one eager step on the CPU, whatever the runs: what a pack less saves. It is
the step of a pack of one run of width 8 to 16 in `python tests/benchmarks/padding.py`, where it
parts what padding gains from what it loses."""
HEADS_SHARE = 0.5
"""Operations a second of transformers over those of dense networks, in packs on the CPU: heads of 8
to 16 numbers on 8 to 16 tokens, `python tests/benchmarks/transformer.py`."""
HEAD_S = 30e-6
"""Time of the singular values of one head's products."""
HEAD_NUMBERS = 50e6
"""Numbers of a head's matrices of which the triangle is found in a second."""
MEASURE_FLOPS = 5e9
"""Operations a second of eigenvalues and spanning trees of one layer."""
READ_BYTES = 40e6
"""Bytes of a file of weights that are read and measured in a second, mostly by QR decompositions:
ViT-B/16 took 4 s and ViT-L/16 20 s, and plain ranks as long again."""
DRAW_ROW_S = 17e-9
"""Time in which a core draws one row of a batch. It is the core's, while a GPU waits: 4.4 ms a step
for 8,192 seeds and batches of 32."""
DRAW_NOISE_S = 46e-9
"""The same for one number of online label noise or of fresh data: 122 ms a step for 8,192 seeds of
32 x 10 numbers."""

# A packed step on a GPU: counted.

GPU_KERNELS = 23
"""Kernels of a step of SGD beside those of its layers: 37, 44 and 58 in all for 2, 3 and 5."""
GPU_LAYER_KERNELS = 7
"""Kernels of a step for each dense layer, forward and backward."""
GPU_MOMENT_KERNELS = 13
"""Kernels of a step for each vector of moments: Adam, which has two, has 26 more than SGD."""
GPU_PARAMETER_PASSES = 18
"""How often a step of SGD reads or writes as many numbers as there are parameters."""
GPU_MOMENT_PASSES = 12.5
"""The same for each vector of moments beside them."""
GPU_ACTIVATION_PASSES = 7.6
"""How often a step reads or writes as many numbers as a batch leaves for the backward pass."""

# A GPU: assumed.

GPU_STEP_S = 0.24e-3
"""Time of the calls of a step that does not grow with its kernels; host dispatch as counted on a
CPU took 0.33 to 0.44 ms for 39 to 86 kernels."""
GPU_CALL_S = 5e-6
"""Time of one call: 2.3 us of dispatch, and the launch of a kernel."""
GPU_FLOPS_SHARE = 0.25
"""Share of a GPU's peak that batched products of matrices of 16 to 256 rows are taken to reach."""
GPU_BANDWIDTH_SHARE = 0.8
"""Share of its memory bandwidth that element-wise kernels are taken to reach."""
CONTEXT_BYTES = 768 << 20
"""GPU memory that a process takes before it has trained anything: the CUDA context and libraries;
data-centre GPUs are known to take 0.3 to 0.6 GiB."""
SLACK = 1.5
"""Memory of a pack over what its runs are estimated to take: torch keeps what it has freed."""
USABLE = 0.9
"""Share of a GPU's memory that packs may fill."""
MOST_PER_GPU = 4
"""Packs on one GPU at the same time: they take turns, and one's calls hide another's work."""
BUSY = 0.5
"""Share of the time in which one pack keeps a GPU busy, at least: packs are cut so that the work of
a step takes no less than its calls. So more than two packs at a time get no more done."""

# Packs.

PACKS_PER_WORKER = 4
"""At least so many packs a worker, if the runs suffice: the last ones then end close together."""
CPU_PACK_BYTES = 2 << 30
"""Memory that the runs of one pack may take on the CPU."""
LARGEST = {"cpu": 1024, "cuda": 8192}
"""No pack has more runs: beyond that a packed step gains nothing, and a lost pack costs more."""
SMALLEST_S = 0.5
"""No pack is split below this much work: starting a pack costs a tenth of it."""
EAGER_LARGE = 200_000
"""Parameters beyond which eager packs on the CPU gain nothing: the products outweigh the calls."""
EAGER_RUNS = 4
"""Runs of a pack of such networks: few, so that their memory stays near the caches."""
TAIL_PARTS = 4
"""Into how many a pack of the tail is cut: the last workers then wait a quarter as long."""
START_S = 5.0
"""From the command to the first pack: Ray, a process a worker, and torch in each. Measured."""
PACK_S = 0.06
"""What a pack takes beside its training: Tune, its data, its files. Measured."""
