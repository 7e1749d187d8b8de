// Cross-correlation with stride 1 over one or two axes, and max pooling of it; forwards and backwards, on vectors of
// examples; called through XLA's foreign function interface (FFI).
//
// Shapes, in blocks of L examples, a vector: x [N, I, H, W, L], kernel [k, l, I, O], bias [O], z [N, O, P, Q, L]. Any
// array may have member axes in front, of size 1 where all members share it. An axis is a plane's rows (k, H) or
// columns (l, W).
//
// Forwards:  y(o, p, q) = bias(o) + Σ_i Σ_a Σ_b x(i, p + a d - before, q + b d - before) kernel(a, b, i, o), 0 outside
//            of x; z = the greatest y of each pool, and which one it is: the first of equals (int8, row by row); with
//            `relu`, z = max(z, 0).
// Backwards: G, as y, holds each pool's gradient at its greatest, 0 where relu is; dx is the correlation of G with the
//            kernel turned around and its channels exchanged; dkernel(a, b, i, o) = Σ x(i, p + a d - before, ...)
//            G(o, p, q) over all positions, lanes and blocks; dbias the sum of G alone.
//
// An example's numbers do not depend on its neighbors, and the sums over examples are taken in an order that depends on
// the number of blocks alone: no bit depends on the number of threads.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "calls.h"
#include "correlation.h"
#include "toom_cook.h"
#include "vectors.h"

// One row of pools: the greatest of y [out, rows.pool, columns], and which; nan is the greatest of all.
template <class T>
void greatest(const Shape& s, const T* y, int64_t columns, T* z, int8_t* which, int64_t plane) {
  typedef typename Marks<T>::element E;
  typedef typename Marks<T>::wide I;
  typedef typename Marks<T>::narrow N;
  for (int64_t o = 0; o < s.out; o++)
    for (int64_t q = 0; q < s.columns.pools(); q++) {
      const T* from = y + (o * s.rows.pool * columns + q * s.columns.pool) * W<T>;
      V<T> best = *(const V<T>*)from;
      I mark{};
      for (int64_t a = 0, n = 0; a < s.rows.pool; a++)
        for (int64_t b = 0; b < s.columns.pool; b++, n++) {
          V<T> v = *(const V<T>*)(from + (a * columns + b) * W<T>);
          I more = (I)(v > best) | (I)(v != v);
          best = more ? v : best;
          mark = more ? I{} + (E)n : mark;
        }
      *(V<T>*)(z + o * plane + q * W<T>) = s.relu ? relu<T>(best) : best;
      if (which) *(N*)(which + o * plane + q * W<T>) = __builtin_convertvector(mark, N);
    }
}

// The gradient by y of the gradient g by z, moved by `down` rows and `right` columns in planes that are zero elsewhere.
template <class T>
void spread(const Shape& s, const T* g, const T* z, const int8_t* which, const Planes<T>& to, bool framed, int64_t down,
            int64_t right) {
  typedef typename Marks<T>::element E;
  typedef typename Marks<T>::wide I;
  typedef typename Marks<T>::narrow N;
  if (framed) std::fill_n(to.data, s.out * to.plane(), T(0));
  for (int64_t o = 0; o < s.out; o++)
    for (int64_t p = 0; p < s.rows.used(); p++) {
      if (p + down < 0 || p + down >= to.rows) continue;
      int64_t at = (o * s.rows.pools() + p / s.rows.pool) * s.columns.pools() * W<T>;
      for (int64_t q = 0; q < s.columns.pools(); q++, at += W<T>)
        for (int64_t b = 0; b < s.columns.pool; b++) {
          int64_t column = q * s.columns.pool + b + right;
          if (column < 0 || column >= to.columns) continue;
          V<T> v = *(const V<T>*)(g + at);
          if (s.relu) v = *(const V<T>*)(z + at) > 0 ? v : V<T>{};
          if (which) {
            I mark = __builtin_convertvector(*(const N*)(which + at), I);
            v = mark == I{} + (E)(p % s.rows.pool * s.columns.pool + b) ? v : V<T>{};
          }
          *(V<T>*)to.at(o, p + down, column) = v;
        }
    }
}

// sums [A, O] += x of A taps times G of O outputs, over a part of the positions; where z is given, G is 0 where z is
// not positive.
template <class T, int A, int O>
void products(const Planes<T>& x, const int64_t* offsets, const Planes<T>& G, const T* z, int64_t o, int64_t p,
              int64_t rows, int64_t q, int64_t count, V<T>* sums) {
  alignas(BYTES) V<T> sum[A][O];
  for (int a = 0; a < A; a++)
    for (int j = 0; j < O; j++) sum[a][j] = sums[a * O + j];
  for (int64_t r = p; r < p + rows; r++) {
    const T *from[A], *g = G.at(o, r, q), *mask = z ? z + (g - G.data) : nullptr;
    for (int a = 0; a < A; a++) from[a] = x.at(0, r, q) + offsets[a];
    for (int64_t c = 0; c < count * W<T>; c += W<T>) {
      alignas(BYTES) V<T> d[O];
      for (int j = 0; j < O; j++) {
        d[j] = *(const V<T>*)(g + j * G.plane() + c);
        if (mask) d[j] = *(const V<T>*)(mask + j * G.plane() + c) > 0 ? d[j] : V<T>{};
        hold(d[j]);
      }
      for (int a = 0; a < A; a++) {
        V<T> v = *(const V<T>*)(from[a] + c);
        hold(v);
        for (int j = 0; j < O; j++) sum[a][j] += v * d[j];
      }
    }
  }
  for (int a = 0; a < A; a++)
    for (int j = 0; j < O; j++) sums[a * O + j] = sum[a][j];
}

// Sums of N numbers each, `count` times, in place: the first half plus the second, again and again.
template <class T, int N>
void fold(T* p, int64_t count) {
  if constexpr (N == 2) {
    for (int64_t k = 0; k < count; k++) p[k] = p[2 * k] + p[2 * k + 1];
  } else {
    typedef T Half __attribute__((vector_size(N / 2 * sizeof(T)), aligned(sizeof(T)), may_alias));
    for (int64_t k = 0; k < count; k++)
      *(Half*)(p + k * (N / 2)) = *(const Half*)(p + k * N) + *(const Half*)(p + k * N + N / 2);
    fold<T, N / 2>(p, count);
  }
}

// to [tap, in, out], and then [out] for the bias, += one block's part. sums: room for taps · in · OUT vectors.
template <class T>
void by_taps(const Shape& s, const Planes<T>& x, const Planes<T>& G, const T* z, V<T>* sums, int64_t* offsets,
             T* to) {
  constexpr int64_t FEW = 64;  // positions whose vectors stay in the first-level cache
  const int64_t height = s.rows.used(), width = s.columns.used(), entries = s.in * s.taps();
  const int64_t rows = std::max<int64_t>(1, FEW / std::max<int64_t>(width, 1)), few = rows > 1 ? width : FEW;
  for (int64_t e = 0; e < entries; e++) {
    int64_t i = e / s.taps(), k = e / s.columns.taps % s.rows.taps, l = e % s.columns.taps;
    offsets[e] = i * x.plane() + k * s.rows.gap * x.row() + l * s.columns.gap * W<T>;
  }
  Parts tiles(s.out, OUT), parts(entries, TAPS);
  auto outputs = [&](auto outputs, int64_t o) {
    constexpr int O = decltype(outputs)::value;
    for (int64_t e = 0; e < entries * O; e++) sums[e] = V<T>{};
    for (int64_t p = 0; p < height; p += rows)
      for (int64_t q = 0; q < width; q += few)
        for (int64_t k = 0, e = 0; k < parts.count; e += parts.size(k++))
          fixed<TAPS>(parts.size(k), [&](auto taps) {
            products<T, decltype(taps)::value, O>(x, offsets + e, G, z, o, p, std::min(rows, height - p), q,
                                                  std::min(few, width - q), sums + e * O);
          });
    fold<T, W<T>>((T*)sums, entries * O);
    for (int64_t i = 0, e = 0; i < s.in; i++)
      for (int64_t tap = 0; tap < s.taps(); tap++, e++)
        for (int j = 0; j < O; j++) to[(tap * s.in + i) * s.out + o + j] += ((const T*)sums)[e * O + j];
  };
  for (int64_t t = 0, o = 0; t < tiles.count; o += tiles.size(t++))
    fixed<OUT>(tiles.size(t), [&](auto n) { outputs(n, o); });
  for (int64_t o = 0; o < s.out; o++) {
    V<T> sum{};
    for (int64_t p = 0; p < height; p++)
      for (int64_t q = 0; q < width; q++) {
        V<T> v = *(const V<T>*)G.at(o, p, q);
        if (z) v = *(const V<T>*)(z + (G.at(o, p, q) - G.data)) > 0 ? v : V<T>{};
        sum += v;
      }
    fold<T, W<T>>((T*)&sum, 1);
    to[entries * s.out + o] += sum[0];
  }
}

constexpr double WORTH = 4e4;  // products of vectors that take longer than to wake a thread

// x [..., N, I, H, W, L] and kernel [..., k, l, I, O] with the axes that all calls share.
struct Stage {
  Shape shape;
  Span<double> matrices;  // of `ToomCook`, B, G, A; or none
  bool pooled;
  int32_t threads;

  // `stage` holds two axes of taps, gap, before, after, pool, and then relu.
  Stage(const Call& call, Dimensions x, Dimensions kernel)
      : matrices(call.list<double>("matrices")), threads(call.scalar<int32_t>("threads")) {
    constexpr int64_t MOST = int64_t(1) << 31;
    const Span<int64_t> numbers = call.list<int64_t>("stage");
    require(numbers.size() == 11 && x.size() >= 5 && kernel.size() >= 4, "the description of its axes is not whole");
    auto axis = [&](int a) {
      const int64_t* n = numbers.begin() + 5 * a;
      const Axis axis{n[0], n[1], n[2], n[3], x.back(3 - a), n[4]};
      bool fits = axis.taps > 0 && axis.gap > 0 && axis.before >= 0 && axis.after >= 0 && axis.pool > 0;
      for (int i = 0; i < 5; i++) fits = fits && n[i] < MOST;
      // With these, no sum or difference of an axis wraps; the others see to the products.
      fits = fits && axis.length < MOST && axis.positions() >= 0;
      require(fits && axis.taps == kernel.back(4 - a), "an axis of the convolution is not possible");
      return axis;
    };
    shape = Shape{x.back(5), kernel.back(2), kernel.back(1), axis(0), axis(1), numbers[10] > 0};
    pooled = shape.rows.pool * shape.columns.pool > 1;
    require(shape.rows.pool * shape.columns.pool <= 128, "a pool holds more values than a byte can tell apart");
    require(x.back(1) == W<Number> && kernel.back(2) == x.back(4), "the sizes of its arrays do not fit together");
    const bool right = shape.rows.taps == 1 && shape.columns.gap == 1 && 1 < shape.columns.taps && shape.columns.taps < POINTS;
    require(!matrices.size() || (right && (int64_t)matrices.size() == ToomCook<Number>::NUMBERS),
            "the matrices of fewer products do not suit the kernel");
    require(shape.in > 0 && shape.out > 0, "an array has no channels");
    weights();
    sized({shape.in + shape.out, shape.rows.padded() + shape.rows.reach(),
           shape.columns.padded() + shape.columns.reach(), W<Number>});
  }
  int64_t weights() const { return sized({1 + sized({shape.in, shape.rows.taps, shape.columns.taps}), shape.out}); }

  void check_x(const Members& members, const Array<Number>& x) const {
    members.check(x, {shape.blocks, shape.in, shape.rows.length, shape.columns.length, W<Number>});
  }
  void check_kernel(const Members& members, const Array<Number>& kernel) const {
    members.check(kernel, {shape.rows.taps, shape.columns.taps, shape.in, shape.out});
  }
  template <class T>
  void check_z(const Members& members, const Array<T>& z) const {
    members.check(z, {shape.blocks, shape.out, shape.rows.pools(), shape.columns.pools(), W<Number>});
  }
};

typedef Number T;

void values(const Call& call) {
  auto x = call.argument(0, 5), kernel = call.argument(1, 4), bias = call.argument(2, 1), z = call.result(0, 5);
  auto which = call.result<int8_t>(1, 5);
  const Stage stage(call, x.dimensions(), kernel.dimensions());
  const Shape s = stage.shape;
  const Dimensions all = z.dimensions();
  const Members members{all, 5};
  stage.check_x(members, x), stage.check_kernel(members, kernel), stage.check_z(members, z);
  members.check(bias, {s.out});
  const bool pooled = stage.pooled, marked = which.element_count() > 0;
  if (marked) stage.check_z(members, which);
  const ToomCook<T> toom_cook(s, stage.matrices.begin(), stage.matrices.size() > 0);
  const bool few = toom_cook.takes(s, s.columns.used());
  const int64_t count = members.count(), weights = few ? toom_cook.weights(s) : s.weights();
  ThreadPool pool(call);
  std::unique_ptr<T[]> packs(new T[sized({count, weights})]);
  for (int64_t m = 0; m < count; m++) {
    T *from = part(kernel, 4, all, m), *to = packs.get() + m * weights;
    few ? toom_cook.pack(s, from, false, to) : pack<T>(s, from, part(bias, 1, all, m), to);
  }
  in_turn(pool, stage.threads, count * s.blocks, count * s.blocks * s.work(), WORTH, [&](int64_t n) {
    const int64_t m = n / s.blocks, block = n % s.blocks, columns = s.columns.used();
    const int64_t pools = pooled ? s.out * s.rows.pool * columns * W<T> : 0;
    const int64_t room = few ? toom_cook.room(s) : s.in * s.rows.padded() * s.columns.padded() * W<T>;
    T *own = scratch<T>(room + pools), *inputs = part(x, 5, all, m) + block * s.inputs() * W<T>;
    const Framed<T> framed{inputs, nullptr, s.rows.length, s.columns.length, s.rows.before, s.columns.before};
    auto from = few ? Planes<T>{} : surrounded(inputs, s.in, s.rows, s.columns, own);
    T *y = own + room, *to = part(z, 5, all, m) + block * s.pools() * W<T>, *w = packs.get() + m * weights;
    int8_t* mark = marked ? part(which, 5, all, m) + block * s.pools() * W<T> : nullptr;
    const int64_t row = s.columns.pools() * W<T>, plane = s.rows.pools() * row;
    auto line = [&](int64_t p, T* y, int64_t plane, bool floor) {
      few ? toom_cook.correlate(s, framed, p, columns, w, part(bias, 1, all, m), y, plane, floor, own)
          : correlate(s, from, p, columns, w, y, plane, floor);
    };
    for (int64_t p = 0; p < s.rows.pools(); p++) {
      if (!pooled) {
        line(p, to + p * row, plane, s.relu);
        continue;
      }
      for (int64_t a = 0; a < s.rows.pool; a++)
        line(p * s.rows.pool + a, y + a * columns * W<T>, s.rows.pool * columns * W<T>, false);
      greatest(s, y, columns, to + p * row, mark ? mark + p * row : nullptr, plane);
    }
  });
}

// The same axis as the gradient by the inputs sees it: the kernel turned around, and no pool.
Axis turned(const Axis& a) {
  return {a.taps, a.gap, a.reach() - a.before, a.length + a.before - a.used(), a.used(), 1};
}

void by_inputs(const Call& call) {
  auto g = call.argument(0, 5), z = call.argument(1, 5), kernel = call.argument(3, 4), dx = call.result(0, 5);
  auto which = call.argument<int8_t>(2, 5);
  const Dimensions all = dx.dimensions();
  const Stage stage(call, all, kernel.dimensions());
  const Shape s = stage.shape, t{s.blocks, s.out, s.in, turned(s.rows), turned(s.columns), false};
  const Members members{all, 5};
  const bool marked = which.element_count() > 0;
  stage.check_x(members, dx), stage.check_kernel(members, kernel);
  stage.check_z(members, g), stage.check_z(members, z);
  if (marked) stage.check_z(members, which);
  require(marked || !stage.pooled, "an array is missing");
  const ToomCook<T> toom_cook(t, stage.matrices.begin(), stage.matrices.size() > 0);
  const bool few = toom_cook.takes(t, s.columns.length);
  const int64_t count = members.count(), weights = few ? toom_cook.weights(t) : t.weights();
  ThreadPool pool(call);
  std::unique_ptr<T[]> packs(new T[sized({count, weights})]);
  for (int64_t m = 0; m < count; m++) {
    T *from = part(kernel, 4, all, m), *to = packs.get() + m * weights;
    few ? toom_cook.pack(t, from, true, to) : pack<T>(t, from, nullptr, to);
  }
  in_turn(pool, stage.threads, count * s.blocks, count * s.blocks * s.work(), WORTH, [&](int64_t n) {
    const int64_t m = n / s.blocks, block = n % s.blocks;
    const int64_t at = block * s.pools() * W<T>;
    T *from = part(g, 5, all, m) + at, *values = part(z, 5, all, m) + at;
    Planes<T> G{nullptr, t.rows.padded(), t.columns.padded()};
    Framed<T> framed{from, s.relu ? values : nullptr, t.rows.length, t.columns.length, t.rows.before,
                     t.columns.before};
    const int64_t size = few && !marked ? 0 : s.out * G.plane();
    G.data = scratch<T>(size + (few ? toom_cook.room(t) : 0));
    if (size) {
      spread<T>(s, from, values, marked ? part(which, 5, all, m) + at : nullptr, G, true, t.rows.before,
                t.columns.before);
      framed = {G.data, nullptr, G.rows, G.columns, 0, 0};
    }
    T *to = part(dx, 5, all, m) + block * s.inputs() * W<T>, *w = packs.get() + m * weights;
    const int64_t length = s.columns.length, row = length * W<T>, plane = s.rows.length * row;
    for (int64_t p = 0; p < s.rows.length; p++)
      few ? toom_cook.correlate(t, framed, p, length, w, nullptr, to + p * row, plane, false, G.data + size)
          : correlate(t, G, p, length, w, to + p * row, plane, false);
  });
}

void by_kernel(const Call& call) {
  auto x = call.argument(0, 5), g = call.argument(1, 5), z = call.argument(2, 5);
  auto which = call.argument<int8_t>(3, 5);
  auto dkernel = call.result(0, 4), dbias = call.result(1, 1);
  const Dimensions all = dkernel.dimensions();
  const Stage stage(call, x.dimensions(), all);
  const Shape s = stage.shape;
  const Members members{all, 4};
  const bool marked = which.element_count() > 0;
  stage.check_x(members, x), stage.check_kernel(members, dkernel), members.check(dbias, {s.out});
  stage.check_z(members, g), stage.check_z(members, z);
  if (marked) stage.check_z(members, which);
  require(marked || !stage.pooled, "an array is missing");
  const ToomCook<T> toom_cook(s, stage.matrices.begin(), stage.matrices.size() > 0);
  const int64_t count = members.count(), weights = s.weights();
  const bool few = toom_cook.takes_taps(s);
  constexpr int64_t MOST = 32;  // sums of blocks of their own, so many that threads find work, whatever their number
  const Parts groups(std::max<int64_t>(s.blocks, 1), std::max<int64_t>((s.blocks + MOST - 1) / MOST, 1));
  std::unique_ptr<T[]> sums(new T[sized({count, groups.count, weights})]());
  ThreadPool pool(call);
  in_turn(pool, stage.threads, count * groups.count, count * s.blocks * s.work(), WORTH, [&](int64_t n) {
    const int64_t m = n / groups.count, k = n % groups.count, entries = s.in * s.taps();
    const int64_t room = few ? toom_cook.taps_room(s) : s.in * s.rows.padded() * s.columns.padded() * W<T>;
    const int64_t more = few ? toom_cook.taps_sums(s) : entries * (OUT * W<T> + sizeof(int64_t) / sizeof(float));
    Planes<T> G{nullptr, s.rows.used(), s.columns.used()};
    T *own = scratch<T>(room + more + (marked ? s.out * G.plane() : 0)), *part_of_sums = sums.get() + n * weights;
    V<T>* vectors = (V<T>*)(own + room);
    if (few) std::fill_n(own + room, more, T(0));
    for (int64_t block = groups.start(k); block < std::min(s.blocks, groups.start(k) + groups.size(k)); block++) {
      const int64_t at = block * s.pools() * W<T>;
      T *inputs = part(x, 5, all, m) + block * s.inputs() * W<T>, *values = part(z, 5, all, m) + at;
      T* by = part(g, 5, all, m) + at;
      G.data = marked ? own + room + more : by;
      if (marked) spread<T>(s, by, values, part(which, 5, all, m) + at, G, false, 0, 0);
      const T* mask = s.relu && !marked ? values : nullptr;
      if (few) {
        const Framed<T> from{inputs, nullptr, s.rows.length, s.columns.length, s.rows.before, s.columns.before};
        toom_cook.by_taps(s, from, {G.data, mask, G.rows, G.columns, 0, 0}, own + room,
                        own);
      } else {
        auto from = surrounded(inputs, s.in, s.rows, s.columns, own);
        by_taps(s, from, G, mask, vectors, (int64_t*)(vectors + entries * OUT), part_of_sums);
      }
    }
    if (few) toom_cook.taps(s, own + room, part_of_sums);
  });
  for (int64_t m = 0; m < count; m++) {
    T* sum = sums.get() + m * groups.count * weights;
    for (int64_t k = 1; k < groups.count; k++)
      for (int64_t i = 0; i < weights; i++) sum[i] += sum[k * weights + i];
    std::copy_n(sum, weights - s.out, part(dkernel, 4, all, m));
    std::copy_n(sum + weights - s.out, s.out, part(dbias, 1, all, m));
  }
}

HANDLER(convolution_values, values)
HANDLER(convolution_by_inputs, by_inputs)
HANDLER(convolution_by_kernel, by_kernel)

// Bytes of a vector: a block is as many examples as fit in it.
extern "C" int convolution_vector() { return BYTES; }
