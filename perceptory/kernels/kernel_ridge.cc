// Kernel ridge regression of tables (networks/kernel_ridge.py), called through XLA's foreign function interface (FFI).
//
// Of rows x [row, feature] with targets t [row, out] and weights w [row], C = √w (s k(x, x) + c x xᵀ) √w + λ. k is
// exp(-apart), exp(-√apart) or exp(-apart / 2) with apart = Σ over numbers of |a_i - a_j| or (a_i - a_j)², a = x ν, and
// over the other features, 0 or 1 and mostly 0, of a_i + a_j - 2 a_i x_j, or a_i² + a_j² - 2 a_i a_j.
//
// likely:   x, t, w, learn [step, some], first [group + 3], deviation [] -> scales [group + 3]: the logarithms of ν by
//           group of features, of s, c and λ that make t likely, by Adam from `first`, each step by the likelihood of the
//           rows at its places `learn`, with a Cauchy prior of ν (ops/kernel_ridge.py has it in formulas, and computes
//           the same without this kernel).
// solution: x, t, w, scales [feature + 3], chosen [some] -> strengths √w C⁻¹ √w t [row, out], and the places of `chosen`
//           on the diagonal of C⁻¹ [some]; nan where C is not positive definite. λ is `roundings` of the diagonal's
//           largest number and of each row at least.
// values:   v [row, feature], centers [center, feature], narrow [feature], alpha [center, out] -> Σ_c k(v, c) alpha_c
//           [row, out], with a = v narrow.
//
// Any array may have member axes in front, of size 1 where all members share it; no bit depends on other members or on
// the number of threads.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "calls.h"
#include "neurons.h"
#include "triangle.h"

typedef Number T;
constexpr int64_t BLOCK = 512;       // columns of a row that are computed at a time, within the nearest cache
constexpr int64_t PANEL = 256;       // rows that are factorized before the rest is updated
constexpr int64_t HAND = 96;         // rows that are updated at a time
constexpr int AT_ONCE = 4;           // vectors of a row whose distances stay in registers
constexpr int64_t SIDE = 8 * WIDE;   // vectors beside a panel's triangle that are made ready at a time
constexpr double PI = 3.14159265358979323846;
constexpr double WORTH = 1e5;        // products that take longer than to wake a thread
constexpr int64_t STRIP = WIDE * W<T>;
static_assert(HAND % HIGH == 0 && PANEL % HIGH == 0 && PANEL % W<T> == 0 && BLOCK % W<T> == 0);

// Calls under way. Devices share the threads: where each call took all of them, they would push each other's panels out
// of the caches.
static std::atomic<int32_t> under_way{0};
struct Threads {
  const int32_t all;
  explicit Threads(const Call& call) : all(call.scalar<int32_t>("threads")) { under_way++; }
  ~Threads() { under_way--; }
  operator int32_t() const { return std::max(1, all / std::max(1, under_way.load())); }
};

INLINE V<T> root_of(V<T> v) {
  T part[W<T>];
  memcpy(part, &v, sizeof v);
  for (int i = 0; i < W<T>; i++) part[i] = std::sqrt(part[i]);
  memcpy(&v, part, sizeof v);
  return v;
}
// Rows of a table, of which pairs are looked at. Arrays by feature have `wide` rows, the last of them zeros.
struct Rows {
  int64_t count, features, numbers, wide;
  Neuron kind;
  Room<T> room;
  T *turned, *scaled, *root, *own;  // x and a [feature, row]; √w [row]; Σ of the flags' a, or a² [row]
  std::vector<std::vector<int32_t>> some;  // of each row the flags that are not 0

  Rows(int64_t count, int64_t features, int64_t numbers, Neuron kind)
      : count(count), features(features), numbers(numbers), wide(vectors<T>(count) * W<T>), kind(kind),
        room(sized({2 * features + 2, wide})), turned(room.data), scaled(turned + features * wide),
        root(scaled + features * wide), own(root + wide), some(count) {}

  // x [all, feature], w [all] at these places, or all of them; w: null where no row counts more than another. Of flags
  // only what is not 0 is written: there may be hundreds of them, a row's far from one another.
  void take(const T* x, const T* w, const int32_t* places) {
    for (int64_t i = 0; i < count; i++) {
      const int64_t place = places ? places[i] : i;
      const T* row = x + place * features;
      root[i] = w ? std::sqrt(w[place]) : 1;
      for (int32_t f : some[i]) turned[f * wide + i] = scaled[f * wide + i] = 0;
      some[i].clear();
      for (int64_t f = 0; f < numbers; f++) turned[f * wide + i] = row[f];
      for (int64_t f = numbers; f < features; f++)
        if (row[f] != 0) some[i].push_back((int32_t)f), turned[f * wide + i] = row[f];
    }
  }

  void scale(const T* narrow) {
    std::fill_n(own, wide, T(0));
    for (int64_t f = 0; f < numbers; f++)
      for (int64_t i = 0; i < wide; i++) scaled[f * wide + i] = turned[f * wide + i] * narrow[f];
    for (int64_t i = 0; i < count; i++)
      for (int32_t f : some[i]) {
        const T a = scaled[f * wide + i] = turned[f * wide + i] * narrow[f];
        own[i] += kind == LAPLACIAN ? a : a * a;
      }
  }

  // What a flag's a is multiplied by.
  const T* other(int64_t f) const { return (kind == LAPLACIAN ? turned : scaled) + f * wide; }

  // A row of numbers a, `next` numbers apart; own: its sum as in `own`; some: its flags that are not 0, by `twice` their
  // 2 a.
  struct Row {
    const T* a;
    int64_t next;
    T own;
    const std::vector<int32_t>& some;
    T twice(int32_t f) const { return 2 * a[f * next]; }
  };
  Row row(int64_t i) const { return {scaled + i, wide, own[i], some[i]}; }

  // k [columns] of a row and the rows from `begin` to `end`, whole vectors. slope: where it is asked for, by what the
  // parts of `apart` count in -dk/d ln ν, which for the Laplacian is k: d √apart is d apart / (2 √apart), and d a² is
  // 2 a² d ln a.
  template <Neuron KIND>
  void near(const Row& row, int64_t begin, int64_t end, T* k, T* slope) const {
    for (int64_t c = begin; c < end; c += AT_ONCE * W<T>, k += AT_ONCE * W<T>, slope += slope ? AT_ONCE * W<T> : 0)
      fixed<AT_ONCE>((end - c) / W<T>, [&](auto count) { near<KIND, decltype(count)::value>(row, c, k, slope); });
  }
  template <Neuron KIND, int N>
  INLINE void near(const Row& row, int64_t c, T* k, T* slope) const {
    V<T> apart[N];
    EACH for (int n = 0; n < N; n++) apart[n] = *(const V<T>*)(own + c + n * W<T>) + row.own;
    for (int64_t f = 0; f < numbers; f++) {
      const T* a = scaled + f * wide + c;
      V<T> mine = all(row.a[f * row.next]);
      hold(mine);
      EACH for (int n = 0; n < N; n++) {
        const V<T> away = mine - *(const V<T>*)(a + n * W<T>);
        apart[n] += KIND == LAPLACIAN ? size_of(away) : away * away;
      }
    }
    for (int32_t f : row.some) {
      const T *b = other(f) + c, twice = row.twice(f);
      EACH for (int n = 0; n < N; n++) apart[n] -= twice * *(const V<T>*)(b + n * W<T>);
    }
    EACH for (int n = 0; n < N; n++) {
      if constexpr (KIND == LAPLACIAN) {
        *(V<T>*)(k + n * W<T>) = exp_of(-apart[n]);
        continue;
      }
      const V<T> least = all(LEAST), far = apart[n] > least ? apart[n] : least;
      const V<T> root = KIND == EXPONENTIAL ? root_of(far) : far * (T)0.5;
      const V<T> value = exp_of(-root);
      *(V<T>*)(k + n * W<T>) = value;
      if (slope)
        *(V<T>*)(slope + n * W<T>) = apart[n] > least ? (KIND == EXPONENTIAL ? value / root : value) : V<T>{};
    }
  }
  void near(const Row& row, int64_t begin, int64_t end, T* k, T* slope) const {
    switch (kind) {
      case LAPLACIAN: return near<LAPLACIAN>(row, begin, end, k, slope);
      case EXPONENTIAL: return near<EXPONENTIAL>(row, begin, end, k, slope);
      default: return near<GAUSSIAN>(row, begin, end, k, slope);
    }
  }

  // x xᵀ [columns] of row i and those rows.
  void linear(int64_t i, int64_t begin, int64_t end, T* to) const {
    std::fill_n(to, end - begin, T(0));
    auto add = [&](int64_t f) {
      const T *b = turned + f * wide, mine = b[i];
      for (int64_t c = begin; c < end; c += W<T>) *(V<T>*)(to + c - begin) += mine * *(const V<T>*)(b + c);
    };
    for (int64_t f = 0; f < numbers; f++) add(f);
    for (int32_t f : some[i]) add(f);
  }

  // The first column of row i in the tiles of the diagonal.
  static int64_t first(int64_t i) { return i / HIGH * HIGH / W<T> * W<T>; }
};

// --- likelihood --------------------------------------------------------------------------------------------------

// -log p(t) a row, as a function of the scales, and its slope.
struct Likelihood {
  const Rows& rows;
  int64_t outputs, next;
  Room<T> room;
  T *near, *slope, *linear;  // √w k √w, its slope and √w x xᵀ √w, upper triangles [row, next]
  T *u, *v, *t;              // C and then its inverse; U⁻ᵀ [row, next]; √w t [out, row]
  T *by, *alpha, *done, *inverse;  // slope by a row of C [next]; C⁻¹ t [out, row]; room [next]; [row]

  Likelihood(const Rows& rows, int64_t outputs)
      : rows(rows), outputs(outputs), next(width<T>(rows.count)),
        room(sized({5 * rows.count + 3 + 2 * outputs, next}) + rows.count), near(room.data),
        slope(rows.kind == LAPLACIAN ? near : near + rows.count * next), linear(near + 2 * rows.count * next),
        u(linear + rows.count * next), v(u + rows.count * next), t(v + rows.count * next), by(t + outputs * next),
        alpha(by + next), done(alpha + outputs * next), inverse(done + next) {}

  // After the rows were taken: t [all, out] of them.
  void take(const T* target, const int32_t* places) {
    for (int64_t i = 0; i < rows.count; i++) {
      T* row = linear + i * next;
      rows.linear(i, Rows::first(i), rows.wide, row + Rows::first(i));
      weigh(i, row);
      for (int64_t o = 0; o < outputs; o++) t[o * next + i] = target[places[i] * outputs + o] * rows.root[i];
    }
  }

  // Times √w of both rows; 0 left of the diagonal.
  void weigh(int64_t i, T* row) const {
    const int64_t begin = Rows::first(i);
    for (int64_t c = begin; c < rows.wide; c += W<T>) *(V<T>*)(row + c) *= rows.root[i] * *(const V<T>*)(rows.root + c);
    std::fill(row + begin, row + i, T(0));
  }

  // The slope by the logarithms of ν [feature], s, c and λ; false where C is not positive definite.
  bool slopes(T s, T c, T noise, double* to) {
    const int64_t n = rows.count;
    for (int64_t i = 0; i < n; i++) {
      const int64_t begin = Rows::first(i);
      T *k = near + i * next, *d = rows.kind == LAPLACIAN ? nullptr : slope + i * next, *row = u + i * next;
      const T* x = linear + i * next;
      rows.near(rows.row(i), begin, rows.wide, k + begin, d ? d + begin : nullptr);
      weigh(i, k);
      if (d) weigh(i, d);
      for (int64_t j = begin; j < rows.wide; j += W<T>)
        *(V<T>*)(row + j) = s * *(const V<T>*)(k + j) + c * *(const V<T>*)(x + j);
      row[i] += noise;
    }
    const Triangular<T> factor{n, next, rows.wide, u, inverse};
    if (!factor.factorize()) return false;
    factor.squares(v);
    inverted();
    gradient(s, c, noise, to);
    return true;
  }

  // C⁻¹ = (U⁻ᵀ)ᵀ U⁻ᵀ, in place of U, upper triangle, and C⁻¹ t: row k of U⁻ᵀ is 0 right of column k.
  void inverted() {
    const int64_t n = rows.count;
    for (int64_t i = 0; i < n; i++) std::fill(u + i * next + Rows::first(i), u + i * next + rows.wide, T(0));
    for (int64_t c = 0; c < vectors<T>(n); c += WIDE)
      fixed<WIDE>(vectors<T>(n) - c, [&](auto columns) {
        const int64_t from = c * W<T>, last = std::min(n, from + decltype(columns)::value * W<T>);
        for (int64_t i = 0; i < last; i += HIGH)
          fixed<HIGH>(n - i, [&](auto height) {
            const int64_t k = std::max(i, from);
            tile<T, decltype(height)::value, decltype(columns)::value, false>(
                n - k, v + k * next + i, next, v + k * next + from, next, u + i * next + from, next);
          });
      });
    for (int64_t o = 0; o < outputs; o++) {
      T* to = alpha + o * next;
      std::fill_n(to, next, T(0));
      for (int64_t k = 0; k < n; k++) {
        const T* row = v + k * next;
        const int64_t end = vectors<T>(k + 1) * W<T>;
        V<T> sum{};
        for (int64_t j = 0; j < end; j += W<T>) sum += *(const V<T>*)(row + j) * *(const V<T>*)(t + o * next + j);
        const T value = in_order<T>(sum);
        for (int64_t j = 0; j < end; j += W<T>) *(V<T>*)(to + j) += value * *(const V<T>*)(row + j);
      }
    }
  }

  void gradient(T s, T c, T noise, double* to) {
    const int64_t n = rows.count, features = rows.features;
    const T each = T(0.5) / (T(n) * T(outputs));
    double by_smooth = 0, by_linear = 0, by_noise = 0;
    std::fill_n(to, features + 3, 0.0);
    std::fill_n(done, next, T(0));
    for (int64_t i = 0; i < n; i++) {
      const int64_t begin = Rows::first(i);
      const T *row = u + i * next, *k = near + i * next, *d = slope + i * next, *x = linear + i * next;
      V<T> smooth{}, straight{}, sum{};
      for (int64_t j = begin; j < rows.wide; j += W<T>) {
        V<T> g = *(const V<T>*)(row + j) * T(outputs);
        for (int64_t o = 0; o < outputs; o++) g -= alpha[o * next + i] * *(const V<T>*)(alpha + o * next + j);
        *(V<T>*)(by + j) = g * (2 * each);  // each pair of two rows stands for two
      }
      std::fill(by + begin, by + i, T(0));
      by[i] *= T(0.5);
      by_noise += by[i];
      for (int64_t j = begin; j < rows.wide; j += W<T>) {
        V<T> g = *(V<T>*)(by + j);
        smooth += g * *(const V<T>*)(k + j);
        straight += g * *(const V<T>*)(x + j);
        g *= -s * *(const V<T>*)(d + j);
        *(V<T>*)(by + j) = g;
        *(V<T>*)(done + j) += g;
        sum += g;
      }
      by_smooth += in_order<T>(smooth), by_linear += in_order<T>(straight);
      done[i] += in_order<T>(sum);
      for (int64_t f = 0; f < rows.numbers; f++) {
        const T* a = rows.scaled + f * rows.wide;
        V<T> mine = all(a[i]), part{};
        hold(mine);
        for (int64_t j = begin; j < rows.wide; j += W<T>) {
          const V<T> apart = mine - *(const V<T>*)(a + j);
          part += *(const V<T>*)(by + j) * (rows.kind == LAPLACIAN ? size_of(apart) : apart * apart);
        }
        to[f] += in_order<T>(part);
      }
      for (int32_t f : rows.some[i]) {
        const T *b = rows.other(f), twice = 2 * rows.scaled[f * rows.wide + i];
        V<T> part{};
        for (int64_t j = begin; j < rows.wide; j += W<T>) part += *(const V<T>*)(by + j) * *(const V<T>*)(b + j);
        to[f] -= twice * in_order<T>(part);
      }
    }
    for (int64_t f = rows.numbers; f < features; f++) {
      const T* a = rows.scaled + f * rows.wide;
      V<T> part{};
      for (int64_t j = 0; j < rows.wide; j += W<T>) {
        const V<T> value = *(const V<T>*)(a + j);
        part += *(const V<T>*)(done + j) * (rows.kind == LAPLACIAN ? value : value * value);
      }
      to[f] += in_order<T>(part);
    }
    to[features] = by_smooth * s, to[features + 1] = by_linear * c, to[features + 2] = by_noise * noise;
  }
};

void likely(const Call& call) {
  const Threads threads(call);
  auto x = call.argument(0, 2), t = call.argument(1, 2), w = call.argument(2, 1), first = call.argument(4, 1);
  auto learn = call.argument<int32_t>(3, 2);
  auto deviation = call.argument(5, 0), found = call.result(0, 1);
  const auto of_group = call.list<int64_t>("groups");
  const auto limits = call.list<double>("limits");
  const int64_t numbers = call.scalar<int64_t>("numbers");
  const double rate = call.scalar<double>("rate");
  const Neuron kind = (Neuron)call.scalar<int64_t>("kind");
  const Dimensions all = found.dimensions();
  const Members members{all, 1};
  const int64_t n = w.dimensions().back(1), features = x.dimensions().back(1), outputs = t.dimensions().back(1);
  const int64_t groups = all.back(1) - 3, steps = learn.dimensions().back(2), some = learn.dimensions().back(1);
  members.check(x, {n, features}), members.check(t, {n, outputs}), members.check(w, {n});
  members.check(first, {groups + 3}), members.check(deviation, {}), members.check(learn, {steps, some});
  bool fits = groups >= 0 && (int64_t)of_group.size() == features && limits.size() == 8 && numbers <= features;
  for (int64_t g : of_group) fits = fits && g >= 0 && g < groups;
  for (int64_t i = 0; i < learn.element_count(); i++)
    fits = fits && learn.typed_data()[i] >= 0 && learn.typed_data()[i] < n;
  require(fits && some > 0 && outputs > 0, "the sizes of its arrays do not fit together");
  ThreadPool pool(call);
  const double work = double(members.count()) * steps * some * some * some / 2;
  in_turn(pool, threads, members.count(), work, WORTH, [&](int64_t m) {
    const T *values = part(x, 2, all, m), *target = part(t, 2, all, m), *weights = part(w, 1, all, m);
    const int32_t* places = part(learn, 2, all, m);
    Rows rows(some, features, numbers, kind);
    Likelihood likelihood(rows, outputs);
    const double d = *part(deviation, 0, all, m);
    std::vector<double> at(groups + 3), mean(groups + 3), square(groups + 3), by(features + 3), slope(groups + 3);
    std::copy_n(part(first, 1, all, m), groups + 3, at.begin());
    std::vector<T> narrow(features);
    for (int64_t k = 0; k < steps; k++, places += some) {
      rows.take(values, weights, places);
      likelihood.take(target, places);
      int64_t counted = 0;
      for (int64_t i = 0; i < some; i++) counted += weights[places[i]] > 0;
      const double count = double(std::max<int64_t>(counted, 1)) * outputs;
      double middle = 0;
      for (int64_t g = 0; g < groups; g++) middle += at[g] / groups;
      for (int64_t f = 0; f < features; f++) narrow[f] = (T)std::exp(at[of_group[f]]);
      rows.scale(narrow.data());
      const bool sound = likelihood.slopes((T)std::exp(at[groups]), (T)std::exp(at[groups + 1]),
                                           (T)std::exp(at[groups + 2]), by.data());
      for (int64_t g = 0; g < groups; g++) {
        const double away = at[g] - middle;
        slope[g] = 2 * away / ((d * d + away * away) * count);
      }
      for (int64_t f = 0; f < features; f++) slope[of_group[f]] += by[f];
      for (int64_t i = 0; i < 3; i++) slope[groups + i] = by[features + i];
      const double step = rate * 0.5 * (1 + std::cos(PI * k / steps));
      const double one = 1 - std::pow(0.8, k + 1), two = 1 - std::pow(0.9, k + 1);
      for (int64_t g = 0; g < groups + 3; g++) {
        const double value = sound && std::isfinite(slope[g]) ? slope[g] : 0;
        mean[g] = 0.8 * mean[g] + 0.2 * value;
        square[g] = 0.9 * square[g] + 0.1 * value * value;
        const int64_t field = g < groups ? 0 : g - groups + 1;
        const double moved = at[g] - step * (mean[g] / one) / (std::sqrt(square[g] / two) + 1e-6);
        at[g] = std::min(std::max(moved, limits[2 * field]), limits[2 * field + 1]);
      }
    }
    std::copy_n(at.begin(), groups + 3, part(found, 1, all, m));
  });
}

// --- solution ----------------------------------------------------------------------------------------------------

// U of a [n, next] = Uᵀ U in place, as `Triangular`, panel after panel: the rows below a panel are updated by tiles of
// numbers that lie side by side, as a row of the matrix is longer than a page.
bool factorized(ThreadPool& pool, const Threads& threads, T* a, int64_t n, int64_t next, T* inverse) {
  const Room<T> packed(sized({PANEL, next + STRIP}));
  for (int64_t p = 0; p < n; p += PANEL) {
    const int64_t depth = std::min(PANEL, n - p), from = p + depth;
    const int64_t own = vectors<T>(depth), others = (next - p) / W<T> - own, sides = (others + SIDE - 1) / SIDE;
    const Triangular<T> corner{depth, next, own * W<T>, a + p * next + p, inverse + p};
    if (!corner.factorize()) return false;
    in_turn(pool, threads, sides, double(depth) * depth * others * W<T> / 2, WORTH,
            [&](int64_t s) { corner.follow(own + s * SIDE, own + std::min(others, (s + 1) * SIDE)); });
    if (from >= n) break;
    const int64_t begin = from / W<T> * W<T>, strips = (next - begin + STRIP - 1) / STRIP;
    in_turn(pool, threads, strips, double(strips) * depth * STRIP, WORTH, [&](int64_t s) {
      const int64_t column = begin + s * STRIP, wide = std::min(STRIP, next - column);
      T* to = packed.data + s * PANEL * STRIP;
      for (int64_t k = 0; k < depth; k++)
        std::copy_n(a + (p + k) * next + column, wide, to + k * STRIP);
    });
    const int64_t hands = (n - from + HAND - 1) / HAND;
    in_turn(pool, threads, hands, double(n - from) * (next - from) * depth / 2, WORTH, [&](int64_t h) {
      const int64_t top = from + h * HAND, bottom = std::min(n, top + HAND);
      T* own = scratch<T>(PANEL * HAND);
      for (int64_t i = top; i < bottom; i += HIGH)
        for (int64_t k = 0; k < depth; k++)
          for (int64_t r = 0; r < HIGH; r++)
            own[(i - top) * PANEL + k * HIGH + r] = i + r < bottom ? a[(p + k) * next + i + r] : 0;
      for (int64_t s = (top - begin) / STRIP; s < strips; s++) {
        const int64_t column = begin + s * STRIP;
        fixed<WIDE>((next - column) / W<T>, [&](auto columns) {
          const int64_t last = std::min(bottom, column + decltype(columns)::value * W<T>);
          for (int64_t i = top; i < last; i += HIGH)
            fixed<HIGH>(bottom - i, [&](auto height) {
              // The next tile's rows: so far apart that nothing foresees them.
              for (int64_t r = i + HIGH; r < std::min(last, i + 2 * HIGH); r++) {
                __builtin_prefetch(a + r * next + column, 1);
                __builtin_prefetch(a + r * next + column + STRIP - 1, 1);
              }
              tile<T, decltype(height)::value, decltype(columns)::value, true>(
                  depth, own + (i - top) * PANEL, HIGH, packed.data + s * PANEL * STRIP, STRIP, a + i * next + column,
                  next);
            });
        });
      }
    });
  }
  return true;
}

void solution(const Call& call) {
  const Threads threads(call);
  auto x = call.argument(0, 2), t = call.argument(1, 2), w = call.argument(2, 1), scales = call.argument(3, 1);
  auto chosen = call.argument<int32_t>(4, 1);
  auto found = call.result(0, 2), diagonal = call.result(1, 1);
  const Neuron kind = (Neuron)call.scalar<int64_t>("kind");
  const int64_t numbers = call.scalar<int64_t>("numbers");
  const double roundings = call.scalar<double>("roundings");
  const Dimensions all = found.dimensions();
  const Members members{all, 2};
  const int64_t n = all.back(2), outputs = all.back(1), features = x.dimensions().back(1);
  const int64_t some = chosen.dimensions().back(1), next = width<T>(n + outputs + some);
  members.check(x, {n, features}), members.check(t, {n, outputs}), members.check(w, {n});
  members.check(scales, {features + 3}), members.check(chosen, {some}), members.check(diagonal, {some});
  require(numbers <= features && n > 0 && outputs > 0, "the sizes of its arrays do not fit together");
  ThreadPool pool(call);
  for (int64_t m = 0; m < members.count(); m++) {
    Rows rows(n, features, numbers, kind);
    rows.take(part(x, 2, all, m), part(w, 1, all, m), nullptr);
    const T *logarithms = part(scales, 1, all, m), *target = part(t, 2, all, m);
    const int32_t* which = part(chosen, 1, all, m);
    std::vector<T> narrow(features);
    for (int64_t f = 0; f < features; f++) narrow[f] = std::exp(logarithms[f]);
    rows.scale(narrow.data());
    const T s = std::exp(logarithms[features]), c = std::exp(logarithms[features + 1]);
    const Room<T> room(sized({n + 2, next}));
    T *a = room.data, *inverse = a + n * next, *solved = inverse + next;
    const int64_t hands = (n + HAND - 1) / HAND;
    in_turn(pool, threads, hands, double(n) * n * features / 2, WORTH, [&](int64_t h) {
      T *k = scratch<T>(2 * BLOCK), *straight = k + BLOCK;
      for (int64_t i = h * HAND; i < std::min(n, (h + 1) * HAND); i++) {
        T* row = a + i * next;
        const int64_t first = Rows::first(i);
        for (int64_t begin = first; begin < rows.wide; begin += BLOCK) {
          const int64_t end = std::min(rows.wide, begin + BLOCK);
          rows.near(rows.row(i), begin, end, k, nullptr);
          rows.linear(i, begin, end, straight);
          for (int64_t j = begin; j < end; j += W<T>)
            *(V<T>*)(row + j) = rows.root[i] * *(const V<T>*)(rows.root + j) *
                                (s * *(const V<T>*)(k + j - begin) + c * *(const V<T>*)(straight + j - begin));
        }
        std::fill(row + first, row + i, T(0));
        std::fill(row + n, row + next, T(0));
        for (int64_t o = 0; o < outputs; o++) row[n + o] = target[i * outputs + o] * rows.root[i];
      }
    });
    T most = 0;
    for (int64_t i = 0; i < n; i++) most = std::max(most, a[i * next + i]);
    const T least = T(roundings) * std::numeric_limits<T>::epsilon() * n * most;
    for (int64_t i = 0; i < n; i++) a[i * next + i] += std::max<T>(std::exp(logarithms[features + 2]), least);
    for (int64_t k = 0; k < some; k++)
      if (which[k] >= 0 && which[k] < n) a[which[k] * next + n + outputs + k] = 1;
    T *to = part(found, 2, all, m), *on = part(diagonal, 1, all, m);
    if (!factorized(pool, threads, a, n, next, inverse)) {
      std::fill_n(to, n * outputs, std::numeric_limits<T>::quiet_NaN());
      std::fill_n(on, some, std::numeric_limits<T>::quiet_NaN());
      continue;
    }
    std::fill_n(on, some, T(0));
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < some; k++) on[k] += a[i * next + n + outputs + k] * a[i * next + n + outputs + k];
    for (int64_t o = 0; o < outputs; o++) {
      std::fill_n(solved, next, T(0));
      for (int64_t i = n; i-- > 0;) {
        const T* row = a + i * next;
        V<T> sum{};
        for (int64_t j = i / W<T> * W<T>; j < rows.wide; j += W<T>)
          sum += *(const V<T>*)(row + j) * *(const V<T>*)(solved + j);
        // Behind the last row are the targets, which meet zeros here.
        solved[i] = (row[n + o] - in_order<T>(sum)) * inverse[i];
        to[i * outputs + o] = rows.root[i] * solved[i];
      }
    }
  }
}

// --- predictions -------------------------------------------------------------------------------------------------

void values(const Call& call) {
  const Threads threads(call);
  auto v = call.argument(0, 2), centers = call.argument(1, 2), narrow = call.argument(2, 1), alpha = call.argument(3, 2);
  auto found = call.result(0, 2);
  const Neuron kind = (Neuron)call.scalar<int64_t>("kind");
  const int64_t numbers = call.scalar<int64_t>("numbers");
  const Dimensions all = found.dimensions();
  const Members members{all, 2};
  const int64_t n = all.back(2), outputs = all.back(1), count = centers.dimensions().back(2);
  const int64_t features = centers.dimensions().back(1);
  members.check(v, {n, features}), members.check(centers, {count, features}), members.check(narrow, {features});
  members.check(alpha, {count, outputs});
  require(numbers <= features && count > 0 && outputs > 0, "the sizes of its arrays do not fit together");
  ThreadPool pool(call);
  // Called for some rows after the others: a thread keeps the centers' memory, which the system would clear each time.
  static thread_local std::unique_ptr<Rows> kept;
  if (!kept || kept->count != count || kept->features != features || kept->numbers != numbers || kept->kind != kind)
    kept.reset(), kept = std::make_unique<Rows>(count, features, numbers, kind);
  Rows& rows = *kept;
  for (int64_t m = 0; m < members.count(); m++) {
    const T *own = part(narrow, 1, all, m), *x = part(v, 2, all, m), *strengths = part(alpha, 2, all, m);
    rows.take(part(centers, 2, all, m), nullptr, nullptr);
    rows.scale(own);
    const Room<T> turned(sized({outputs, rows.wide}));
    for (int64_t c = 0; c < count; c++)
      for (int64_t o = 0; o < outputs; o++) turned.data[o * rows.wide + c] = strengths[c * outputs + o];
    T* to = part(found, 2, all, m);
    const int64_t hands = (n + HAND - 1) / HAND;
    in_turn(pool, threads, hands, double(n) * count * features, WORTH, [&](int64_t h) {
      T *k = scratch<T>(BLOCK + features + outputs * W<T>), *a = k + BLOCK, *sum = a + features;
      std::vector<int32_t> some;
      for (int64_t i = h * HAND; i < std::min(n, (h + 1) * HAND); i++) {
        T together = 0;
        some.clear();
        for (int64_t f = 0; f < features; f++) {
          a[f] = x[i * features + f] * own[f];
          if (f < numbers) continue;
          together += rows.kind == LAPLACIAN ? a[f] : a[f] * a[f];
          if (a[f] != 0) some.push_back((int32_t)f);
        }
        std::fill_n(sum, outputs * W<T>, T(0));
        for (int64_t begin = 0; begin < rows.wide; begin += BLOCK) {
          const int64_t end = std::min(rows.wide, begin + BLOCK);
          rows.near({a, 1, together, some}, begin, end, k, nullptr);
          for (int64_t o = 0; o < outputs; o++) {
            const T* own = turned.data + o * rows.wide + begin;
            V<T> total = at(sum + o * W<T>);
            for (int64_t c = 0; c < end - begin; c += W<T>) total += at(k + c) * at(own + c);
            put(sum + o * W<T>, total);
          }
        }
        for (int64_t o = 0; o < outputs; o++) to[i * outputs + o] = in_order<T>(at(sum + o * W<T>));
      }
    });
  }
}

HANDLER(kernel_ridge_likely, likely)
HANDLER(kernel_ridge_values, values)
HANDLER(kernel_ridge_solution, solution)
