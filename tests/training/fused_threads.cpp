// Two lanes of the fused kernel by real threads, a thread of the host for each of a block: for
// ThreadSanitizer. The source, with what it is compiled for, is included before.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

int main() {
  const int K = 2, S = 4, n = 3 * BATCH;
  std::vector<real> theta(K * P), first(K * P), second(K * P), gradient(K * P), padded(K * NW);
  std::vector<real> x(n * sizes[0]), y(n * OUT), rate(K * S, (real)0.01), ones(K, (real)0.9);
  std::vector<real> small(K, (real)1e-3);
  std::vector<double> power(S, 0.1), root(S, 1.0);
  std::vector<i64> diverged(K, -1), zeros(K, 0);
  std::vector<unsigned char> is_frozen(K, 0);
  std::vector<u64> keys{123, 456};
  std::vector<int> table(BATCH, 0);
  srand(1);
  for (auto &number : theta) number = (real)(0.6 * (rand() / (double)RAND_MAX - 0.5));
  for (auto &number : x) number = (real)(rand() / (double)RAND_MAX);
  for (auto &number : y) number = (real)(rand() / (double)RAND_MAX);
  Pack pack;
  memset(&pack, 0, sizeof pack);
  pack.theta = theta.data(); pack.first = first.data(); pack.second = second.data();
  pack.gradient = gradient.data(); pack.padded = padded.data(); pack.diverged = diverged.data();
  pack.is_frozen = is_frozen.data(); pack.x = x.data(); pack.y = y.data();
  pack.lane_x = pack.lane_y = pack.lane_rows = pack.lane_beta = zeros.data();
  pack.table = table.data();
  pack.batch_keys = pack.noise_keys = pack.label_keys = keys.data();
  pack.sigma = small.data(); pack.coefficient = small.data(); pack.rate = rate.data();
  pack.decay = small.data(); pack.beta1 = ones.data(); pack.beta2 = ones.data();
  pack.epsilon = small.data(); pack.power = power.data(); pack.root = root.data();
  pack.samples = n; pack.table_steps = 1; pack.steps = S; pack.stride_s = S;
  train(K, &pack);
  double total = 0;
  for (auto number : theta) total += (double)number * (double)number;
  printf("%.17g %lld\n", total, diverged[0]);
}
