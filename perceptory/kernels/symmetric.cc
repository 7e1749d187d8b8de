// What second-order training needs of symmetric matrices: JᵀCJ from a network's layers or from J itself, Cholesky's
// factor with its solution, the trace of an inverse; called through XLA's foreign function interface (FFI).
//
// Any array may have member axes in front, of size 1 where all members share it. `active`, one number a member, is 0
// where nothing is asked for: zeros then. N rows, M outputs a row, n weights.
//
// normal:   c [N, M, M] symmetric, g [N, M], active [], and for each layer of neurons v [N, in], its inputs, and
//           d [N, M, out], the derivatives of the outputs by its weighted sums. A row of J by a layer's weights
//           [in + 1, out], the last of them the biases, is the outer product of (v, 1) and d; so the part of JᵀCJ of two
//           layers l and k is
//
//             H((i, h), (j, g)) = Σ_rows v_l(i) v_k(j) D(h, g),    D = d_lᵀ C d_k,
//
//           a product over rows of the list of all pairs of inputs and the list of all pairs of units. Within a layer
//           both lists hold each pair once. J stands nowhere, and several outputs cost no more than one.
//           -> H [n, n], gradient Jᵀ g [n].
// product:  a [N, n], b [N, n] -> aᵀ b [n, n], which is symmetric: one triangle of it is computed.
// solution: h [n, n], shift [n], b [n], active [] -> x [n] with (h + diag shift) x = b; nan where that is not positive
//           definite. Of h only what is above the diagonal is read.
// trace:    h [n, n], shift [n], active [] -> the trace of the inverse of h + diag shift [], or nan.
//
// Sums over rows are taken in an order that depends on the number of rows alone: no bit depends on other members or on
// the number of threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "calls.h"
#include "triangle.h"

constexpr int64_t DEPTH = 64;            // rows that are in hand at once
constexpr int64_t SLAB = 1024;           // rows from which on a part of them has sums of its own
constexpr int64_t MOST_SUMS = 1 << 20;  // numbers that such sums may hold together

// --- sums over rows ----------------------------------------------------------------------------------------------

// sums [high, wide vectors] += Σ_k a(k, r) b(k, c); of a triangle nothing below the diagonal but what is in its tiles.
// Of the tiles, every `parts`-th from `part` on.
template <class T>
void multiply(int64_t depth, const T* a, int64_t a_next, int64_t high, const T* b, int64_t b_next, int64_t wide,
              bool triangle, T* sums, int64_t part, int64_t parts) {
  const int64_t strips = (wide + WIDE - 1) / WIDE;
  for (int64_t s = 0, g = 0, next; s < strips; s++, g = next) {
    next = (s + 1) * wide / strips;
    if (s % parts != part) continue;
    fixed<WIDE>(next - g, [&](auto columns) {
      const int64_t last = triangle ? std::min(high, next * W<T>) : high;
      for (int64_t r = 0; r < last; r += HIGH)
        fixed<HIGH>(high - r, [&](auto height) {
          tile<T, decltype(height)::value, decltype(columns)::value, false>(
              depth, a + r, a_next, b + g * W<T>, b_next, sums + (r * wide + g) * W<T>, wide * W<T>);
        });
    });
  }
}

constexpr double WORTH = 1e5;  // products that take longer than to wake a thread

// Sums of all members over all rows: add(member, first row, last row, sums, part, parts), then done(member, sums).
template <class T, class Add, class Done>
void over_rows(ThreadPool& pool, int32_t threads, int64_t members, int64_t rows, int64_t size, const Add& add,
               const Done& done) {
  const int64_t slabs = std::max<int64_t>(1, std::min(rows / SLAB, MOST_SUMS / std::max<int64_t>(size, 1)));
  const int64_t parts = members * slabs < threads ? threads : 1;  // of the tiles, which changes no sum
  const Room<T> room(sized({members, slabs, size}));
  T* sums = room.data;
  const double work = double(members) * rows * size;
  in_turn(pool, threads, members * slabs * parts, work, WORTH, [&](int64_t n) {
    const int64_t m = n / parts / slabs, s = n / parts % slabs;
    add(m, s * rows / slabs, (s + 1) * rows / slabs, sums + (m * slabs + s) * size, n % parts, parts);
  });
  in_turn(pool, threads, members, work / 100, WORTH, [&](int64_t m) {
    T* sum = sums + m * slabs * size;
    for (int64_t s = 1; s < slabs; s++)
      for (int64_t i = 0; i < size; i++) sum[i] += sum[s * size + i];
    done(m, sum);
  });
}

struct Layer {
  int64_t in, out;      // inputs with the 1 of the biases, units
  int64_t first;        // place of its first weight
  int64_t v, d, t, q;   // where a row's numbers of this layer are in `Rows`
};

// Two lists whose product over rows is a part of the result.
struct Pair {
  int l, k;        // layers; k = -1: the gradient by l
  int64_t units, inputs;
  bool turned;           // inputs are the rows of the sums and units the columns
  int64_t high, wide, at;
};

template <class T>
struct Network {
  int64_t rows, outputs, n = 0, numbers = 0, size = 0, longest = 1;
  std::vector<Layer> layers;
  std::vector<Pair> pairs;

  Network(int64_t rows, int64_t outputs, const std::vector<std::pair<int64_t, int64_t>>& sizes)
      : rows(rows), outputs(outputs) {
    auto take = [&](int64_t count) {
      int64_t at = numbers;
      numbers += count;
      return at;
    };
    for (auto [in, out] : sizes) {
      Layer layer{in + 1, out, n, take(in + 1), 0, 0, 0};
      for (int64_t m = 0; m < outputs; m++) m ? take(out) : layer.d = take(out);
      for (int64_t m = 0; m < outputs; m++) m ? take(out) : layer.t = take(out);
      layer.q = take(out);
      layers.push_back(layer), n += (in + 1) * out;
    }
    numbers += W<T>;
    for (int l = 0; l < (int)layers.size(); l++)
      for (int k = l - 1; k < (int)layers.size(); k++) {
        const Layer& a = layers[l];
        Pair p{l, k < l ? -1 : k, a.out, a.in};
        if (k == l) p.units = a.out * (a.out + 1) / 2, p.inputs = a.in * (a.in + 1) / 2;
        if (k > l) p.units = a.out * layers[k].out, p.inputs = a.in * layers[k].in;
        // What is filled up to whole vectors is the side that this makes less longer.
        p.turned = p.inputs * vectors<T>(p.units) < p.units * vectors<T>(p.inputs);
        p.high = p.turned ? p.inputs : p.units, p.wide = vectors<T>(p.turned ? p.units : p.inputs);
        p.at = size, size += p.high * p.wide * W<T>;
        longest = std::max({longest, width<T>(p.units), width<T>(p.inputs)});
        pairs.push_back(p);
      }
  }

  // A row's numbers stand close together, and so do those of a list. What is read and written by whole vectors goes past
  // the end of a part, and the next part is written later; what ends up in sums past the last column is not used.

  // All Σ_m a(m, i) b(m, j), with `half` those of i <= j alone.
  INLINE static void outer(int64_t M, const T* a, int64_t n, const T* b, int64_t k, bool half, T* to) {
    for (int64_t i = 0; i < n; i++) {
      const int64_t start = half ? i : 0;
      for (int64_t j = start; j < k; j += W<T>) {
        V<T> sum = a[i] * *(const V<T>*)(b + j);
        for (int64_t m = 1; m < M; m++) sum += a[m * n + i] * *(const V<T>*)(b + m * k + j);
        *(V<T>*)(to + j - start) = sum;
      }
      to += k - start;
    }
  }

  int64_t room() const { return DEPTH * (numbers + 2 * (longest + W<T>)) + W<T>; }

  // n numbers times a factor; nothing from `end` on is read.
  INLINE static void copy(const T* from, int64_t n, const T* end, T* to, T factor = 1) {
    for (int64_t i = 0; i < n; i += W<T>) {
      const bool whole = from + i + W<T> <= end;
      *(V<T>*)(to + i) = factor * (whole ? *(const V<T>*)(from + i) : load(from + i, std::min<int64_t>(W<T>, n - i)));
    }
  }

  // The numbers of `depth` rows from `first` on: of each layer its inputs and 1, its d, C d, dᵀ g.
  void take(const std::vector<const T*>& v, const std::vector<const T*>& d, const T* c, const T* g, int64_t first,
            int64_t depth, T* in_hand) const {
    const int64_t M = outputs;
    for (size_t l = 0; l < layers.size(); l++) {
      const Layer& layer = layers[l];
      const int64_t next = layer.out, inputs = layer.in - 1;
      for (int64_t k = 0, row = first; k < depth; k++, row++) {
        T* of = in_hand + k * numbers;
        copy(v[l] + row * inputs, inputs, v[l] + rows * inputs, of + layer.v);
        of[layer.v + inputs] = 1;
        const T* end = d[l] + rows * M * layer.out;
        for (int64_t m = 0; m < M; m++) copy(d[l] + (row * M + m) * layer.out, layer.out, end, of + layer.d + m * next);
        if (M > 1) continue;
        copy(d[l] + row * layer.out, layer.out, end, of + layer.t, c[row]);
        copy(d[l] + row * layer.out, layer.out, end, of + layer.q, g[row]);
      }
      if (M == 1) continue;
      for (int64_t k = 0, row = first; k < depth; k++, row++) {
        T* of = in_hand + k * numbers;
        auto mixed = [&](const T* by, T* to) {
          for (int64_t h = 0; h < layer.out; h += W<T>) {
            V<T> sum = by[0] * *(const V<T>*)(of + layer.d + h);
            for (int64_t m = 1; m < M; m++) sum += by[m] * *(const V<T>*)(of + layer.d + m * next + h);
            *(V<T>*)(to + h) = sum;
          }
        };
        for (int64_t m = 0; m < M; m++) mixed(c + (row * M + m) * M, of + layer.t + m * next);
        mixed(g + row * M, of + layer.q);
      }
    }
  }

  // sums += the part of rows from `begin` to `end`.
  void add(const std::vector<const T*>& v, const std::vector<const T*>& d, const T* c, const T* g, int64_t begin,
           int64_t end, T* sums, int64_t part, int64_t parts) const {
    T* in_hand = scratch<T>(room());
    T *one = in_hand + DEPTH * numbers, *two = one + DEPTH * longest + W<T>;
    for (int64_t first = begin; first < end; first += DEPTH) {
      const int64_t depth = std::min(DEPTH, end - first);
      take(v, d, c, g, first, depth, in_hand);
      for (const Pair& p : pairs) {
        const Layer &l = layers[p.l], &k = layers[std::max(p.k, 0)];
        const T *units = in_hand + l.q, *inputs = in_hand + l.v;
        int64_t units_next = numbers, inputs_next = numbers;
        if (p.k >= 0) {
          const bool half = p.k == p.l;
          units = one, units_next = width<T>(p.units), inputs = two, inputs_next = width<T>(p.inputs);
          for (int64_t r = 0; r < depth; r++) {
            const T* of = in_hand + r * numbers;
            outer(outputs, of + l.t, l.out, of + k.d, k.out, half, one + r * units_next);
            outer(1, of + l.v, l.in, of + k.v, k.in, half, two + r * inputs_next);
          }
        }
        if (p.turned)
          multiply(depth, inputs, inputs_next, p.high, units, units_next, p.wide, false, sums + p.at, part, parts);
        else
          multiply(depth, units, units_next, p.high, inputs, inputs_next, p.wide, false, sums + p.at, part, parts);
      }
    }
  }

  // The sums to their places in H [n, n] and in the gradient [n].
  void spread(const T* sums, T* H, T* gradient) const {
    for (const Pair& p : pairs) {
      const T* from = sums + p.at;
      const int64_t unit = p.turned ? 1 : p.wide * W<T>, input = p.turned ? p.wide * W<T> : 1;
      const Layer &l = layers[p.l], &k = layers[std::max(p.k, 0)];
      if (p.k < 0) {
        for (int64_t i = 0; i < l.in; i++)
          for (int64_t h = 0; h < l.out; h++) gradient[l.first + i * l.out + h] = from[h * unit + i * input];
        continue;
      }
      auto both = [&](int64_t a, int64_t b, T value) { H[a * n + b] = value, H[b * n + a] = value; };
      const bool half = p.k == p.l;
      for (int64_t i = 0, at = 0; i < l.in; i++)
        for (int64_t j = half ? i : 0; j < k.in; j++, at++) {
          const T* value = from + at * input;
          for (int64_t h = 0; h < l.out; h++)
            for (int64_t g = half ? h : 0; g < k.out; g++, value += unit) {
              both(l.first + i * l.out + h, k.first + j * k.out + g, *value);
              if (half) both(l.first + i * l.out + g, k.first + j * k.out + h, *value);
            }
        }
    }
  }
};

void normal(const Call& call) {
  typedef Number T;
  const int32_t threads = call.scalar<int32_t>("threads");
  auto c = call.argument(0, 3), g = call.argument(1, 2), active = call.argument(2, 0);
  auto H = call.result(0, 2), gradient = call.result(1, 1);
  const Dimensions all = H.dimensions();
  const Members members{all, 2};
  const int64_t rows = g.dimensions().back(2), outputs = g.dimensions().back(1);
  require(outputs > 0 && call.arguments() > 3 && call.arguments() % 2, "an array is missing");
  members.check(c, {rows, outputs, outputs}), members.check(g, {rows, outputs}), members.check(active, {});
  std::vector<Array<T>> inputs, derivatives;
  std::vector<std::pair<int64_t, int64_t>> sizes;
  for (int64_t i = 3; i < call.arguments(); i += 2) {
    inputs.push_back(call.argument(i, 2)), derivatives.push_back(call.argument(i + 1, 3));
    sizes.push_back({inputs.back().dimensions().back(1), derivatives.back().dimensions().back(1)});
    members.check(inputs.back(), {rows, sizes.back().first});
    members.check(derivatives.back(), {rows, outputs, sizes.back().second});
  }
  const Network<T> network(rows, outputs, sizes);
  members.check(H, {network.n, network.n}), members.check(gradient, {network.n});
  ThreadPool pool(call);
  over_rows<T>(
      pool, threads, members.count(), rows, network.size,
      [&](int64_t m, int64_t begin, int64_t end, T* sums, int64_t part_of_tiles, int64_t parts) {
        if (*part(active, 0, all, m) == 0) return;
        std::vector<const T*> v, d;
        for (size_t i = 0; i < inputs.size(); i++) {
          v.push_back(part(inputs[i], 2, all, m)), d.push_back(part(derivatives[i], 3, all, m));
        }
        network.add(v, d, part(c, 3, all, m), part(g, 2, all, m), begin, end, sums, part_of_tiles, parts);
      },
      [&](int64_t m, const T* sums) { network.spread(sums, part(H, 2, all, m), part(gradient, 1, all, m)); });
}

void product(const Call& call) {
  typedef Number T;
  const int32_t threads = call.scalar<int32_t>("threads");
  auto a = call.argument(0, 2), b = call.argument(1, 2), H = call.result(0, 2);
  const Dimensions all = H.dimensions();
  const Members members{all, 2};
  const int64_t rows = a.dimensions().back(2), n = a.dimensions().back(1), wide = vectors<T>(n);
  members.check(a, {rows, n}), members.check(b, {rows, n}), members.check(H, {n, n});
  const bool same = a.typed_data() == b.typed_data();
  ThreadPool pool(call);
  over_rows<T>(
      pool, threads, members.count(), rows, sized({n, wide * W<T>}),
      [&](int64_t m, int64_t begin, int64_t end, T* sums, int64_t part_of_tiles, int64_t parts) {
        const int64_t next = width<T>(n);
        T *one = scratch<T>(2 * next * DEPTH), *two = same ? one : one + next * DEPTH;
        auto copy = [&](const T* from, int64_t depth, T* to) {
          for (int64_t k = 0; k < depth; k++, from += n, to += next)
            for (int64_t c = 0; c < n; c += W<T>) *(V<T>*)(to + c) = load(from + c, std::min<int64_t>(W<T>, n - c));
        };
        for (int64_t first = begin; first < end; first += DEPTH) {
          const int64_t depth = std::min(DEPTH, end - first);
          copy(part(a, 2, all, m) + first * n, depth, one);
          if (!same) copy(part(b, 2, all, m) + first * n, depth, two);
          multiply(depth, one, next, n, two, next, wide, true, sums, part_of_tiles, parts);
        }
      },
      [&](int64_t m, const T* sums) {
        T* to = part(H, 2, all, m);
        for (int64_t i = 0; i < n; i++)
          for (int64_t j = i; j < n; j++) to[i * n + j] = to[j * n + i] = sums[i * wide * W<T> + j];
      });
}

// --- Cholesky ----------------------------------------------------------------------------------------------------

// The upper triangle of h + diag shift, and b beside it.
template <class T>
void laid_out(const T* h, const T* shift, const T* b, const Triangular<T>& to) {
  std::fill_n(to.u, to.n * to.next, T(0));
  for (int64_t i = 0; i < to.n; i++) {
    std::copy_n(h + i * to.n + i, to.n - i, to.u + i * to.next + i);
    to.u[i * to.next + i] += shift[i];
    if (b) to.u[i * to.next + to.n] = b[i];
  }
}

void solution(const Call& call) {
  typedef Number T;
  const int32_t threads = call.scalar<int32_t>("threads");
  auto h = call.argument(0, 2), shift = call.argument(1, 1), b = call.argument(2, 1), active = call.argument(3, 0);
  auto x = call.result(0, 1);
  const Dimensions all = x.dimensions();
  const Members members{all, 1};
  const int64_t n = all.back(1), next = width<T>(n + 1), count = members.count(), size = sized({n + 2, next});
  members.check(h, {n, n}), members.check(shift, {n}), members.check(b, {n}), members.check(active, {});
  ThreadPool pool(call);
  in_turn(pool, threads, count, double(count) * n * n * n / 6, WORTH, [&](int64_t m) {
    T* to = part(x, 1, all, m);
    if (*part(active, 0, all, m) == 0) return (void)std::fill_n(to, n, T(0));
    T *u = scratch<T>(size), *solved = u + n * next;
    const Triangular<T> factor{n, next, next, u, solved + next};
    laid_out<T>(part(h, 2, all, m), part(shift, 1, all, m), part(b, 1, all, m), factor);
    if (!factor.factorize()) return (void)std::fill_n(to, n, std::numeric_limits<T>::quiet_NaN());
    std::fill_n(solved, next, T(0));
    for (int64_t i = n; i-- > 0;) {
      const T* row = u + i * next;
      V<T> sum{};
      for (int64_t c = i / W<T> * W<T>; c < next; c += W<T>) sum += *(const V<T>*)(row + c) * *(V<T>*)(solved + c);
      solved[i] = (row[n] - in_order<T>(sum)) * factor.inverse[i];
    }
    std::copy_n(solved, n, to);
  });
}

void trace(const Call& call) {
  typedef Number T;
  const int32_t threads = call.scalar<int32_t>("threads");
  auto h = call.argument(0, 2), shift = call.argument(1, 1), active = call.argument(2, 0), found = call.result(0, 0);
  const Dimensions all = found.dimensions();
  const Members members{all, 0};
  const int64_t n = shift.dimensions().back(1), next = width<T>(n), count = members.count();
  const int64_t size = sized({2 * n + 1, next});
  members.check(h, {n, n}), members.check(shift, {n}), members.check(active, {});
  ThreadPool pool(call);
  in_turn(pool, threads, count, double(count) * n * n * n / 3, WORTH, [&](int64_t m) {
    T* to = part(found, 0, all, m);
    if (*part(active, 0, all, m) == 0) return (void)(*to = 0);
    T* u = scratch<T>(size);
    const Triangular<T> factor{n, next, next, u, u + 2 * n * next};
    laid_out<T>(part(h, 2, all, m), part(shift, 1, all, m), nullptr, factor);
    *to = factor.factorize() ? factor.squares(u + n * next) : std::numeric_limits<T>::quiet_NaN();
  });
}

HANDLER(symmetric_normal, normal)
HANDLER(symmetric_product, product)
HANDLER(symmetric_solution, solution)
HANDLER(symmetric_trace, trace)
