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
IMAGE_FLOPS = {"float32": 80e9, "float64": 40e9}
"""Operations a second of the compiled convolutions: `python tests/benchmarks/convolution.py` on two
cores that other work shared; an idle core is faster."""
IMAGE_NUMBER_S = 1.5e-9
"""Time that the norms, sums and activations beside them take for each number that a sample leaves
for the backward pass, in float32."""
ENCODER_FLOPS = {"float32": 55e9, "float64": 25e9}
"""The same of transformers in float32: packed torch takes 3 to 5 times as long for widths 16 and
32, at `HEADS_SHARE` of `EAGER_FLOPS` (`python tests/benchmarks/transformer.py`, on a busy
machine). In float64 it is taken to be as much less as for dense networks."""
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
"""Time in which a core draws one row of a batch: 4.4 ms a step for 8,192 seeds and batches of 32. A
GPU draws its own."""
DRAW_NOISE_S = 46e-9
"""The same for one number of fresh data, which a core draws for a GPU too: 122 ms a step for 8,192
seeds of 32 x 10 numbers."""

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
GPU_DRAW_BYTES = 500
"""Bytes that a GPU moves to draw one row by torch: ten rounds of ten operations on 64-bit integers,
for four rows at a time (`symstudy/training/philox.py`)."""
GPU_NOISE_BYTES = 800
"""The same for one normal number, made in float64 of a word."""

# A GPU: assumed.

GPU_STEP_S = 0.24e-3
"""Time of the calls of a step that does not grow with its kernels; host dispatch as counted on a
CPU took 0.33 to 0.44 ms for 39 to 86 kernels."""
GPU_CALL_S = 5e-6
"""Time of one call: 2.3 us of dispatch, and the launch of a kernel."""
GRAPH_STEP_S = 20e-6
"""Time of starting a step that is a CUDA graph."""
GRAPH_CALL_S = 1.8e-6
"""Time between two kernels of a graph, as is told of an H200."""
FUSED_STEP_S = 8e-6
"""Time of a step of one lane alone in the fused kernel that does not grow with the network: 14
barriers of 250 cycles, and 3,500 instructions that are no multiplication."""
FUSED_LANE_FLOPS = 200e9
"""Operations a second of one lane alone: those of 128 to 256 threads of one multiprocessor."""
FUSED_FLOPS_SHARE = 0.27
"""Share of a GPU's peak that full multiprocessors reach in the fused kernel: of ten instructions
4.5 multiply, and 0.6 of the issue slots are used."""
FUSED_STEP_FLOPS = 0.37e6
"""Operations for which the rest of a step of the fused kernel stands: 3,500 instructions."""
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

# What the fused kernel knows.

FUSED_WIDEST = 128
"""Neurons of a layer, at most: beyond, products of matrices by the library are as fast."""
FUSED_OPTIMIZERS = ("sgd", "adam", "adamw")
"""Optimisers whose steps it takes."""

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
