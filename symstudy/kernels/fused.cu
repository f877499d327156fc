// Many steps of training of a pack of dense networks in one launch: one thread block is one lane.
//
// The source is compiled for one network by NVRTC, or by a C++ compiler for the tests (-DHOST). What
// it is compiled for are macros, which symstudy/training/engines/fused_program.py writes:
//   REAL, IS_DOUBLE    type of all numbers of a network
//   NT, CB             threads of a block; samples worked on at a time, a multiple of 4
//   NL, SIZES, CODES   layers; their fan-ins and the outputs; codes of symstudy/kernels/functions.py
//   WEIGHTS, BIASES    where each layer's weights and bias begin in a row of parameters, or -1
//   P                  parameters of a lane
//   LOSS, LOSS_SCALE, SMOOTHING, LOSS_LIMIT, MOMENTS, DECOUPLED, NOISE, BATCH, BY_PHILOX
//   SHARED_WEIGHTS     1 where the weights fit the shared memory beside the activations
//
// Threads work on phases `for (t = tid; t < count; t += NT)` between SYNCs, and no sum is taken
// across threads; so the bits depend neither on NT nor on where steps are cut into launches, and one
// thread alone, of a host, runs the same statements.
//
// Arrays are rows of features with the samples of a chunk contiguous (`BP` numbers apart); weights
// are rows of `LD` numbers, so that rows next to each other lie in other banks of shared memory.
// Sizes are rounded up to multiples of 4, what is beyond them is 0 and stays 0.

#ifdef HOST
#include <cmath>
#define DEV static inline
#define BOTH
#if NT == 1
#define SYNC()
#else
// Threads of the host stand for those of a block: for ThreadSanitizer.
#include <barrier>
#include <thread>
#include <vector>
static std::barrier<> gate(NT);
#define SYNC() gate.arrive_and_wait()
#endif
using std::cos; using std::erf; using std::fabs; using std::floor; using std::log; using std::sin; using std::sqrt;
#else
#define DEV __device__ __forceinline__
#define BOTH __host__ __device__
#define SYNC() __syncthreads()
#endif

typedef unsigned long long u64;
typedef unsigned int u32;
typedef long long i64;
typedef REAL real;
struct alignas(16) Four { real x, y, z, w; };

enum { LINEAR, TANH, SILU, RELU, GELU, SIN, POLYNOMIAL };
enum { SQUARED, CROSS_ENTROPY };
enum { NO_NOISE, ADDED, FLIPPED };

constexpr int sizes[] = {SIZES}, codes[] = {CODES}, weights[] = {WEIGHTS}, biases[] = {BIASES};
constexpr int OUT = sizes[NL], BP = CB + 4, CHUNKS = (BATCH + CB - 1) / CB;
constexpr double UNIT = 1.0 / 4294967296.0;

// Device code reads no array of the host but in constants: so these are.
template <int L> struct Layer {
  static constexpr int IN = sizes[L], OUTS = sizes[L + 1], IN4 = (IN + 3) / 4 * 4, OUT4 = (OUTS + 3) / 4 * 4;
  static constexpr int LD = IN4 + 4, WEIGHTS_AT = weights[L], BIAS_AT = biases[L], CODE = codes[L];
};

BOTH constexpr int four(int n) { return (n + 3) / 4 * 4; }
BOTH constexpr int stride(int l) { return four(sizes[l]) + 4; }
BOTH constexpr bool has_slope(int l) { return codes[l] != LINEAR && codes[l] != TANH && codes[l] != RELU; }
BOTH constexpr int widest() {
  int most = 4;
  for (int l = 1; l < NL; l++) most = most < four(sizes[l]) ? four(sizes[l]) : most;
  return most;
}
// Where the padded weights and the bias of layer l begin, in a lane's weights.
BOTH constexpr int at_weight(int l) {
  int at = 0;
  for (int i = 0; i < l; i++) at += four(sizes[i + 1]) * (stride(i) + 1);
  return at;
}
BOTH constexpr int at_bias(int l) { return at_weight(l) + four(sizes[l + 1]) * stride(l); }
constexpr int NW = at_weight(NL);
// Where the inputs of layer l begin, in the numbers of a chunk; those of layer NL are the outputs.
BOTH constexpr int at_hidden(int l) {
  int at = 0;
  for (int i = 0; i < l; i++) at += four(sizes[i]) * BP;
  return at;
}
BOTH constexpr int at_slope(int l) {
  int at = at_hidden(NL + 1);
  for (int i = 0; i < l; i++) at += has_slope(i) ? four(sizes[i + 1]) * BP : 0;
  return at;
}
// What the outputs of layer l send down; two stretches take turns, the outputs have their own.
BOTH constexpr int at_delta(int l) {
  return l == NL - 1 ? at_hidden(NL) : at_slope(NL) + (l % 2) * widest() * BP;
}
constexpr int AT_NOISE = at_slope(NL) + 2 * widest() * BP;
constexpr int AT_LOSS = AT_NOISE + (NOISE == ADDED ? OUT * CB + 4 : 0);
constexpr int CHUNK_NUMBERS = AT_LOSS + CB;
constexpr int SHARED_NUMBERS = CHUNK_NUMBERS + (SHARED_WEIGHTS ? NW : 0);

DEV void philox(u64 key, u64 block, u64 place, u32 *c) {
  u32 k0 = (u32)key, k1 = (u32)(key >> 32);
  u32 c0 = (u32)place, c1 = (u32)(place >> 32), c2 = (u32)block, c3 = (u32)(block >> 32);
  for (int r = 0; r < 10; r++) {
    u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
    c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
    c1 = (u32)p1;
    c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
    c3 = (u32)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  c[0] = c0; c[1] = c1; c[2] = c2; c[3] = c3;
}

// The exponential and the hyperbolic tangent of symstudy/kernels/functions.py.
#if IS_DOUBLE
DEV double exp_(double x) {
  x = x < -708.0 ? -708.0 : x > 709.0 ? 709.0 : x;
  double power = floor(x * 1.4426950408889634073599 + 0.5), r = x - power * 6.93145751953125e-1;
  r = r - power * 1.42860682030941723212e-6;
  double z = r * r, p = 1.26177193074810590878e-4, q = 3.00198505138664455042e-6;
  p = p * z + 3.02994407707441961300e-2;
  p = (p * z + 9.99999999999999999910e-1) * r;
  q = q * z + 2.52448340349684104192e-3;
  q = q * z + 2.27265548208155028766e-1;
  q = q * z + 2.00000000000000000009e0;
  union { i64 bits; double value; } scale;
  scale.bits = ((i64)power + 1023) << 52;
  return (1.0 + 2.0 * (p / (q - p))) * scale.value;
}
DEV double tanh_(double x) {
  double size = fabs(x), z = x * x, p = -9.64399179425052238628e-1, q = z + 1.12811678491632931402e2;
  p = p * z - 9.92877231001918586564e1;
  p = p * z - 1.61468768441708447952e3;
  q = q * z + 2.23548839060100448583e3;
  q = q * z + 4.84406305325125486048e3;
  double close = x + x * z * (p / q), far = 1.0 - 2.0 / (exp_(size + size) + 1.0);
  return size >= 0.625 ? (x >= 0.0 ? far : -far) : close;
}
#else
DEV float exp_(float x) {
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  float power = floor(x * 1.44269504f + 0.5f), r = x - power * 0.693359375f;
  r = r + power * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  union { int bits; float value; } scale;
  scale.bits = ((int)power + 127) << 23;
  return (p * r * r + r + 1.0f) * scale.value;
}
DEV float tanh_(float x) {
  float size = fabs(x), z = x * x, p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  float close = p * z * x + x, far = 1.0f - 2.0f / (exp_(size + size) + 1.0f);
  return size >= 0.625f ? (x >= 0.0f ? far : -far) : close;
}
#endif

// f(z); its slope is written where it cannot be told from f(z).
template <int CODE> DEV real activate(real z, real a, real *slope) {
  const real one = 1, half = (real)0.5;
  if constexpr (CODE == TANH) return tanh_(z);
  if constexpr (CODE == RELU) return z * (z > 0 ? one : (real)0);
  if constexpr (CODE == SILU) {
    real gate = one / (one + exp_(-z));
    *slope = gate * (one + z * (one - gate));
    return z * gate;
  }
  if constexpr (CODE == GELU) {
    real below = half * (one + (real)erf((double)z * 0.70710678118654752440));
    *slope = below + z * (real)0.39894228040143267794 * exp_(-half * z * z);
    return z * below;
  }
  if constexpr (CODE == SIN) {
    *slope = cos(z);
    return sin(z);
  }
  if constexpr (CODE == POLYNOMIAL) {
    *slope = one + (a + a) * z;
    return z + a * z * z;
  }
  return z;
}
template <int CODE> DEV real slope_of(real f) {
  if constexpr (CODE == TANH) return (real)1 - f * f;
  if constexpr (CODE == RELU) return f > 0 ? (real)1 : (real)0;
  return (real)1;
}

struct Step { real rate, coupled, shrink, beta1, beta2, corrected, root, epsilon; };

// What a lane reads and writes; `weights` and `chunk` are in shared memory, or the former is not.
struct Lane {
  real *weights, *chunk;
  int *rows, *shifts;
  real *first, *second, *gradient;
  const real *x, *y;
  const int *table;
  u64 batch_key, noise_key, label_key;
  real sigma, coefficient;
  int samples;
};

DEV void move(const Lane &lane, int at, int flat, real g, const Step &p) {
  real w = lane.weights[at];
  g += p.coupled * w;
  if constexpr (MOMENTS == 2) {
    real m = p.beta1 * lane.first[flat] + ((real)1 - p.beta1) * g;
    real v = p.beta2 * lane.second[flat] + ((real)1 - p.beta2) * g * g;
    lane.first[flat] = m;
    lane.second[flat] = v;
    lane.weights[at] = w * p.shrink - p.corrected * m / (sqrt(v) * p.root + p.epsilon);
  } else if constexpr (MOMENTS == 1) {
    real v = p.beta1 * lane.first[flat] + g;
    lane.first[flat] = v;
    lane.weights[at] = w - p.rate * v;
  } else {
    lane.weights[at] = w - p.rate * g;
  }
}

// One number of the gradient: it moves its weight at once, or is summed over the chunks of a batch.
DEV void take(const Lane &lane, int at, int flat, real g, int chunk, const Step &p) {
  if constexpr (CHUNKS == 1) move(lane, at, flat, g, p);
  else lane.gradient[flat] = chunk == 0 ? g : lane.gradient[flat] + g;
}

#define AT4(p) (*(Four *)(p))
#define ADD4(a, f, q) a[0] += (f) * (q).x; a[1] += (f) * (q).y; a[2] += (f) * (q).z; a[3] += (f) * (q).w;

// z[o, b] = f(sum_i W[o, i] h[i, b] + c[o]); a thread has rows o, o + R, .. and four samples.
template <int L> DEV void forward(int tid, const Lane &lane) {
  using Here = Layer<L>;
  constexpr int NI = Here::IN4, LD = Here::LD, R = Here::OUT4 / 4, Q = CB / 4;
  constexpr int AT_W = at_weight(L), AT_C = at_bias(L), AT_H = at_hidden(L), AT_Z = at_hidden(L + 1);
  const real *w_at = lane.weights + AT_W, *c_at = lane.weights + AT_C;
  real *h = lane.chunk + AT_H, *z = lane.chunk + AT_Z;
  for (int t = tid; t < R * Q; t += NT) {
    int o = t / Q, b = 4 * (t % Q);
    real a[4][4];
#pragma unroll
    for (int r = 0; r < 4; r++)
      for (int c = 0; c < 4; c++) a[r][c] = c_at[o + r * R];
#pragma unroll 2
    for (int i = 0; i < NI; i += 4) {
      Four h0 = AT4(h + i * BP + b), h1 = AT4(h + (i + 1) * BP + b);
      Four h2 = AT4(h + (i + 2) * BP + b), h3 = AT4(h + (i + 3) * BP + b);
#pragma unroll
      for (int r = 0; r < 4; r++) {
        Four w = AT4(w_at + (o + r * R) * LD + i);
        ADD4(a[r], w.x, h0) ADD4(a[r], w.y, h1) ADD4(a[r], w.z, h2) ADD4(a[r], w.w, h3)
      }
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      int line = (o + r * R) * BP + b;
#pragma unroll
      for (int c = 0; c < 4; c++) {
        real slope;
        z[line + c] = activate<Here::CODE>(a[r][c], lane.coefficient, &slope);
        if constexpr (has_slope(L)) {
          constexpr int AT_S = at_slope(L);
          lane.chunk[AT_S + line + c] = slope;
        }
      }
    }
  }
  SYNC();
  if constexpr (L + 1 < NL) forward<L + 1>(tid, lane);
}

// d[i, b] = sum_o W[o, i] e[o, b] f'(z[i, b]); a thread has four inputs in a row and four samples.
template <int L> DEV void send_down(int tid, const Lane &lane) {
  using Here = Layer<L>;
  constexpr int NI = Here::IN4, NO = Here::OUT4, LD = Here::LD, Q = CB / 4, BELOW = Layer<L - 1>::CODE;
  constexpr int AT_W = at_weight(L), AT_E = at_delta(L), AT_D = at_delta(L - 1), AT_H = at_hidden(L);
  const real *w_at = lane.weights + AT_W, *e = lane.chunk + AT_E, *h = lane.chunk + AT_H;
  real *d = lane.chunk + AT_D;
  for (int t = tid; t < NI / 4 * Q; t += NT) {
    int i = 4 * (t / Q), b = 4 * (t % Q);
    real a[4][4] = {};
#pragma unroll 4
    for (int o = 0; o < NO; o++) {
      Four w = AT4(w_at + o * LD + i), g = AT4(e + o * BP + b);
      ADD4(a[0], w.x, g) ADD4(a[1], w.y, g) ADD4(a[2], w.z, g) ADD4(a[3], w.w, g)
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      int line = (i + r) * BP + b;
#pragma unroll
      for (int c = 0; c < 4; c++) {
        real slope;
        if constexpr (has_slope(L - 1)) {
          constexpr int AT_S = at_slope(L - 1);
          slope = lane.chunk[AT_S + line + c];
        } else {
          slope = slope_of<BELOW>(h[line + c]);
        }
        d[line + c] = a[r][c] * slope;
      }
    }
  }
  SYNC();
}

// The gradient of W[o, i] is sum_b e[o, b] h[i, b]; rows R apart and columns S apart.
template <int L> DEV void update(int tid, const Lane &lane, int chunk, const Step &p) {
  using Here = Layer<L>;
  constexpr int R = Here::OUT4 / 4, S = Here::IN4 / 4, AT_W = at_weight(L), AT_C = at_bias(L);
  constexpr int AT_H = at_hidden(L), AT_E = at_delta(L);
  const real *h = lane.chunk + AT_H, *e = lane.chunk + AT_E;
  for (int t = tid; t < R * S; t += NT) {
    int o = t / S, i = t % S;
    real a[4][4] = {};
#pragma unroll 2
    for (int b = 0; b < CB; b += 4) {
      Four q[4];
#pragma unroll
      for (int c = 0; c < 4; c++) q[c] = AT4(h + (i + c * S) * BP + b);
#pragma unroll
      for (int r = 0; r < 4; r++) {
        Four g = AT4(e + (o + r * R) * BP + b);
#pragma unroll
        for (int c = 0; c < 4; c++) a[r][c] += g.x * q[c].x + g.y * q[c].y + g.z * q[c].z + g.w * q[c].w;
      }
    }
#pragma unroll
    for (int r = 0; r < 4; r++)
#pragma unroll
      for (int c = 0; c < 4; c++) {
        int row = o + r * R, column = i + c * S;
        if (row < Here::OUTS && column < Here::IN)
          take(lane, AT_W + row * Here::LD + column, Here::WEIGHTS_AT + row * Here::IN + column, a[r][c], chunk, p);
      }
  }
  if constexpr (Here::BIAS_AT >= 0)
    for (int o = tid; o < Here::OUTS; o += NT) {
      real total = 0;
      for (int b = 0; b < CB; b++) total += e[o * BP + b];
      take(lane, AT_C + o, Here::BIAS_AT + o, total, chunk, p);
    }
}

template <int L> DEV void backward(int tid, const Lane &lane, int chunk, const Step &p) {
  if constexpr (L > 0) send_down<L>(tid, lane);
  update<L>(tid, lane, chunk, p);
  // The layer below writes its deltas where this one's are read, but for those of the outputs.
  if constexpr (L > 1 && L < NL - 1) SYNC();
  if constexpr (L > 0) backward<L - 1>(tid, lane, chunk, p);
}

// The step of a gradient that was summed over chunks.
template <int L> DEV void apply(int tid, const Lane &lane, const Step &p) {
  using Here = Layer<L>;
  constexpr int AT_W = at_weight(L), AT_C = at_bias(L);
  for (int t = tid; t < Here::OUTS * Here::IN; t += NT) {
    int at = AT_W + t / Here::IN * Here::LD + t % Here::IN;
    move(lane, at, Here::WEIGHTS_AT + t, lane.gradient[Here::WEIGHTS_AT + t], p);
  }
  if constexpr (Here::BIAS_AT >= 0)
    for (int o = tid; o < Here::OUTS; o += NT)
      move(lane, AT_C + o, Here::BIAS_AT + o, lane.gradient[Here::BIAS_AT + o], p);
  if constexpr (L + 1 < NL) apply<L + 1>(tid, lane, p);
}

// Which samples a chunk takes, and what noise its targets get.
DEV void draw(int tid, const Lane &lane, u64 step, int table_step, int begin, int count) {
  for (int j = tid; j < CB / 4; j += NT) {
    u32 c[4] = {0, 0, 0, 0};
    if constexpr (BY_PHILOX) philox(lane.batch_key, step, (u64)(begin / 4 + j), c);
    for (int i = 0; i < 4; i++) {
      int b = 4 * j + i, row = 0;
      if (b < count) {
        if constexpr (BY_PHILOX) row = (int)(((u64)c[i] * (u64)lane.samples) >> 32);
        else row = lane.table[(i64)table_step * BATCH + begin + b];
      }
      lane.rows[b] = row;
    }
  }
  if constexpr (NOISE == ADDED) {
    // Normal numbers come in pairs, and the numbers of a sample may begin in the middle of one.
    int from = begin * OUT, until = (begin + count) * OUT;
    for (int pair = from / 2 + tid; pair < (until + 1) / 2; pair += NT) {
      u32 c[4];
      philox(lane.noise_key, step, (u64)(pair / 2), c);
      int w = 2 * (pair % 2);
      double radius = sqrt(-2.0 * log(((double)c[w] + 0.5) * UNIT));
      double angle = 6.283185307179586 * ((double)c[w + 1] * UNIT);
      for (int i = 0; i < 2; i++) {
        int at = 2 * pair + i - from;
        if (at >= 0 && at < count * OUT) lane.chunk[AT_NOISE + at] = (real)(radius * (i ? sin(angle) : cos(angle)));
      }
    }
  }
  if constexpr (NOISE == FLIPPED)
    for (int b = tid; b < count; b += NT) {
      u32 chance[4], label[4];
      int at = begin + b;
      philox(lane.noise_key, step, (u64)(at / 4), chance);
      philox(lane.label_key, step, (u64)(at / 4), label);
      bool moves = (real)(((double)chance[at % 4] + 0.5) * UNIT) < lane.sigma;
      lane.shifts[b] = moves ? 1 + (int)(((u64)label[at % 4] * (u64)(OUT - 1)) >> 32) : 0;
    }
  SYNC();
}

// Targets of a sample, with the noise of the step; `labels` of a flipped one.
DEV real target(const Lane &lane, int b, int o, int label) {
  real y = lane.y[(i64)lane.rows[b] * OUT + o];
  if constexpr (NOISE == ADDED) y += lane.sigma * lane.chunk[AT_NOISE + b * OUT + o];
  if constexpr (NOISE == FLIPPED)
    if (lane.shifts[b]) y = o == label ? (real)1 : (real)0;
  if constexpr (LOSS == CROSS_ENTROPY && SMOOTHING > 0.0) y = (real)(1.0 - SMOOTHING) * y + (real)(SMOOTHING / OUT);
  return y;
}

// Replace the outputs by the slope of the mean loss; a thread has whole samples.
DEV void lose(int tid, const Lane &lane, int count) {
  constexpr int AT_F = at_hidden(NL);
  real *f = lane.chunk + AT_F;
  for (int b = tid; b < CB; b += NT) {
    if (b >= count) {
      for (int o = 0; o < OUT; o++) f[o * BP + b] = 0;
      lane.chunk[AT_LOSS + b] = 0;
      continue;
    }
    int label = 0;
    if constexpr (NOISE == FLIPPED) {
      // The largest of the clean targets, as many classes on as was drawn.
      const real *y = lane.y + (i64)lane.rows[b] * OUT;
      for (int o = 1; o < OUT; o++) label = y[o] > y[label] ? o : label;
      label = (label + lane.shifts[b]) % OUT;
    }
    real loss = 0;
    if constexpr (LOSS == SQUARED) {
      const real factor = (real)(2.0 * LOSS_SCALE / BATCH);
      for (int o = 0; o < OUT; o++) {
        real error = f[o * BP + b] - target(lane, b, o, label);
        loss += error * error;
        f[o * BP + b] = factor * error;
      }
    } else {
      const real share = (real)(1.0 / BATCH);
      real peak = f[b], total = 0;
      for (int o = 1; o < OUT; o++) peak = f[o * BP + b] > peak ? f[o * BP + b] : peak;
      for (int o = 0; o < OUT; o++) total += exp_(f[o * BP + b] - peak);
      loss = peak + (real)log((double)total);
      total = (real)1 / total;
      for (int o = 0; o < OUT; o++) {
        real out = f[o * BP + b], y = target(lane, b, o, label);
        loss -= y * out;
        f[o * BP + b] = share * (exp_(out - peak) * total - y);
      }
    }
    lane.chunk[AT_LOSS + b] = loss;
  }
  SYNC();
}

// Sum of a chunk's losses, taken by each thread in the same order.
DEV double chunk_loss(const Lane &lane) {
  real total = 0;
  for (int b = 0; b < CB; b++) total += lane.chunk[AT_LOSS + b];
  return (double)total;
}

// One step; false where the loss says that the lane has diverged, and then nothing has moved.
DEV bool take_step(int tid, const Lane &lane, u64 step, int table_step, const Step &p) {
  double loss = 0;
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    int begin = chunk * CB, count = BATCH - begin < CB ? BATCH - begin : CB;
    draw(tid, lane, step, table_step, begin, count);
    using Here = Layer<0>;
    for (int t = tid; t < Here::IN4 * CB; t += NT) {
      int b = t / Here::IN4, j = t % Here::IN4;
      bool is_there = j < Here::IN && b < count;
      lane.chunk[j * BP + b] = is_there ? lane.x[(i64)lane.rows[b] * Here::IN + j] : (real)0;
    }
    SYNC();
    forward<0>(tid, lane);
    lose(tid, lane, count);
    loss += chunk_loss(lane);
    if (CHUNKS == 1 && !(loss * (LOSS == SQUARED ? LOSS_SCALE : 1.0) / BATCH < LOSS_LIMIT)) return false;
    backward<NL - 1>(tid, lane, chunk, p);
    SYNC();
  }
  if constexpr (CHUNKS > 1) {
    if (!(loss * (LOSS == SQUARED ? LOSS_SCALE : 1.0) / BATCH < LOSS_LIMIT)) return false;
    apply<0>(tid, lane, p);
    SYNC();
  }
  return true;
}

// Padded weights of a lane from its parameters, and back.
template <int L> DEV void load(int tid, real *to, const real *theta) {
  using Here = Layer<L>;
  constexpr int AT_W = at_weight(L), AT_C = at_bias(L);
  for (int t = tid; t < Here::OUT4 * Here::LD; t += NT) {
    int o = t / Here::LD, i = t % Here::LD;
    bool is_there = o < Here::OUTS && i < Here::IN;
    to[AT_W + t] = is_there ? theta[Here::WEIGHTS_AT + o * Here::IN + i] : (real)0;
  }
  for (int o = tid; o < Here::OUT4; o += NT) {
    bool is_there = o < Here::OUTS && Here::BIAS_AT >= 0;
    to[AT_C + o] = is_there ? theta[Here::BIAS_AT + o] : (real)0;
  }
  if constexpr (L + 1 < NL) load<L + 1>(tid, to, theta);
}
template <int L> DEV void store(int tid, const real *from, real *theta) {
  using Here = Layer<L>;
  constexpr int AT_W = at_weight(L), AT_C = at_bias(L);
  for (int t = tid; t < Here::OUTS * Here::IN; t += NT)
    theta[Here::WEIGHTS_AT + t] = from[AT_W + t / Here::IN * Here::LD + t % Here::IN];
  if constexpr (Here::BIAS_AT >= 0)
    for (int o = tid; o < Here::OUTS; o += NT) theta[Here::BIAS_AT + o] = from[AT_C + o];
  if constexpr (L + 1 < NL) store<L + 1>(tid, from, theta);
}

// Of K lanes and S steps: theta, first, second, gradient [K, P]; padded [K, NW] where weights are not
// shared; rate [K, S]; power [H, S] is 1 - beta1^t and root [H, S] 1 / sqrt(1 - beta2^t) of each pair
// of betas, lane_beta[K] which pair; table [G, T, BATCH] rows of T steps, the last for all further.
struct Pack {
  real *theta, *first, *second, *gradient, *padded;
  i64 *diverged;
  const unsigned char *is_frozen;
  const real *x, *y;
  const i64 *lane_x, *lane_y, *lane_rows, *lane_beta;
  const int *table;
  const u64 *batch_keys, *noise_keys, *label_keys;
  const real *sigma, *coefficient, *rate, *decay, *beta1, *beta2, *epsilon;
  const double *power, *root;
  i64 step;
  int samples, table_steps, steps, stride_s;
};

DEV void train_lane(int k, int tid, real *shared, int *rows, int *shifts, const Pack &pack) {
  if (pack.diverged[k] >= 0 || pack.is_frozen[k]) return;
  Lane lane;
  lane.chunk = shared;
  lane.weights = SHARED_WEIGHTS ? shared + CHUNK_NUMBERS : pack.padded + (i64)k * NW;
  lane.rows = rows;
  lane.shifts = shifts;
  lane.first = pack.first + (i64)k * (MOMENTS > 0 ? P : 0);
  lane.second = pack.second + (i64)k * (MOMENTS > 1 ? P : 0);
  lane.gradient = pack.gradient + (i64)k * (CHUNKS > 1 ? P : 0);
  lane.x = pack.x + pack.lane_x[k] * pack.samples * Layer<0>::IN;
  lane.y = pack.y + pack.lane_y[k] * pack.samples * OUT;
  lane.table = pack.table + pack.lane_rows[k] * pack.table_steps * BATCH;
  lane.batch_key = pack.batch_keys[k];
  lane.noise_key = pack.noise_keys[k];
  lane.label_key = pack.label_keys[k];
  lane.sigma = pack.sigma[k];
  lane.coefficient = pack.coefficient[k];
  lane.samples = pack.samples;
  for (int t = tid; t < CHUNK_NUMBERS; t += NT) shared[t] = 0;
  load<0>(tid, lane.weights, pack.theta + (i64)k * P);
  SYNC();
  for (int s = 0; s < pack.steps; s++) {
    Step p;
    real decay = pack.decay[k];
    p.rate = pack.rate[(i64)k * pack.stride_s + s];
    p.coupled = DECOUPLED ? (real)0 : decay;
    p.shrink = DECOUPLED ? (real)1 - p.rate * decay : (real)1;
    p.beta1 = pack.beta1[k];
    p.beta2 = pack.beta2[k];
    p.epsilon = pack.epsilon[k];
    p.corrected = p.root = 0;
    if constexpr (MOMENTS == 2) {
      i64 at = pack.lane_beta[k] * pack.stride_s + s;
      p.corrected = (real)((double)p.rate / pack.power[at]);
      p.root = (real)pack.root[at];
    }
    int table_step = s < pack.table_steps ? s : pack.table_steps - 1;
    if (!take_step(tid, lane, (u64)(pack.step + s), table_step, p)) {
      if (tid == 0) pack.diverged[k] = pack.step + s;
      break;
    }
  }
  SYNC();
  store<0>(tid, lane.weights, pack.theta + (i64)k * P);
}

#ifdef HOST
extern "C" int shared_bytes() { return SHARED_NUMBERS * (int)sizeof(real); }
extern "C" int padded_numbers() { return NW; }
extern "C" void train(int lanes, const Pack *pack) {
  alignas(16) static real shared[SHARED_NUMBERS];
  static int rows[CB], shifts[CB];
  for (int k = 0; k < lanes; k++) {
#if NT == 1
    train_lane(k, 0, shared, rows, shifts, *pack);
#else
    std::vector<std::thread> block;
    for (int tid = 0; tid < NT; tid++)
      block.emplace_back([=] { train_lane(k, tid, shared, rows, shifts, *pack); });
    for (auto &thread : block) thread.join();
#endif
  }
}
#else
extern "C" __global__ void __launch_bounds__(NT) train(const Pack *pack) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ int rows[CB], shifts[CB];
  train_lane(blockIdx.x, threadIdx.x, (real *)memory, rows, shifts, *pack);
}
#endif
