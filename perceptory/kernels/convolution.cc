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
#include <vector>

#include "calls.h"
#include "vectors.h"

// Tiles that fit into the registers with what they need: up to OUT outputs at up to AT positions, or with up to TAPS
// taps.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int OUT = 4, AT = 6, TAPS = 5;
#else
constexpr int OUT = 4, AT = 2, TAPS = 2;
#endif

// One axis: taps, distance between taps, zeros in front and behind, inputs, size of a pool.
struct Axis {
  int64_t taps, gap, before, after, length, pool;
  int64_t reach() const { return (taps - 1) * gap; }
  int64_t padded() const { return length + before + after; }
  int64_t positions() const { return padded() - reach(); }
  int64_t pools() const { return positions() / pool; }
  int64_t used() const { return pools() * pool; }  // positions that a pool sees
};

struct Shape {
  int64_t blocks, in, out;
  Axis rows, columns;
  bool relu;
  int64_t taps() const { return rows.taps * columns.taps; }
  int64_t weights() const { return (1 + in * taps()) * out; }
  int64_t inputs() const { return in * rows.length * columns.length; }
  int64_t pools() const { return out * rows.pools() * columns.pools(); }
  double work() const { return double(in) * out * taps() * rows.used() * columns.used(); }
};

// A thread's own memory, kept between calls: fresh pages cost more than a small convolution.
template <class T>
T* scratch(int64_t size) {
  static thread_local std::vector<T> kept;
  if ((int64_t)kept.size() < size + W<T>) kept = std::vector<T>(), kept.resize(size + W<T>);
  return (T*)(((uintptr_t)kept.data() + BYTES - 1) / BYTES * BYTES);
}

// Planes of vectors, [plane, row, column].
template <class T>
struct Planes {
  T* data;
  int64_t rows, columns;
  int64_t row() const { return columns * W<T>; }
  int64_t plane() const { return rows * row(); }
  T* at(int64_t p, int64_t r, int64_t c) const { return data + p * plane() + r * row() + c * W<T>; }
};

// Parts of up to `most`, as even as they go: the first ones are the greater.
struct Parts {
  int64_t count, total;
  Parts(int64_t total, int64_t most) : count((total + most - 1) / most), total(total) {}
  int64_t size(int64_t k) const { return total / count + (k < total % count); }
};

// f(std::integral_constant<int, n>()) for 1 <= n <= MOST.
template <int MOST, class F>
INLINE void fixed(int64_t n, const F& f) {
  if constexpr (MOST > 1) {
    if (n < MOST) return fixed<MOST - 1>(n, f);
  }
  f(std::integral_constant<int, MOST>());
}

// x within its zeros, in `room` where there are any.
template <class T>
Planes<T> surrounded(const T* x, int64_t planes, const Axis& r, const Axis& c, T* room) {
  Planes<T> to{room, r.padded(), c.padded()}, from{(T*)x, r.length, c.length};
  if (to.rows == from.rows && to.columns == from.columns) return from;
  std::fill_n(room, planes * to.plane(), T(0));
  for (int64_t i = 0; i < planes; i++)
    for (int64_t row = 0; row < r.length; row++)
      std::copy_n(from.at(i, row, 0), from.row(), to.at(i, row + r.before, c.before));
  return to;
}

// The kernel in the order of use: [tile, bias and then in · tap, output of the tile]. Without a bias: as the way back
// sees it, the taps turned around and the channels exchanged.
template <class T>
void pack(const Shape& s, const T* kernel, const T* bias, T* to) {
  Parts tiles(s.out, OUT);
  for (int64_t k = 0, o = 0; k < tiles.count; o += tiles.size(k++)) {
    for (int64_t j = o; j < o + tiles.size(k); j++) *to++ = bias ? bias[j] : T(0);
    for (int64_t i = 0; i < s.in; i++)
      for (int64_t t = 0; t < s.taps(); t++)
        for (int64_t j = o; j < o + tiles.size(k); j++)
          *to++ = bias ? kernel[(t * s.in + i) * s.out + j] : kernel[((s.taps() - 1 - t) * s.out + j) * s.in + i];
  }
}

template <class T>
INLINE V<T> relu(V<T> v) {
  return v < 0 ? V<T>{} : v;  // nan stays nan
}

// y of O outputs at A positions of a row, the first of which sees x.
template <class T, int O, int A>
void tile(const Shape& s, const Planes<T>& x, const T* first, int64_t from, int64_t to, const T* kernel, T* y,
          int64_t plane, bool floor) {
  V<T> sum[O][A];
  for (int o = 0; o < O; o++, kernel++)
    for (int a = 0; a < A; a++) sum[o][a] = *kernel - V<T>{};
  for (int64_t i = 0; i < s.in; i++, kernel += (s.rows.taps - to) * s.columns.taps * O) {
    kernel += from * s.columns.taps * O;
    for (int64_t k = from; k < to; k++) {
      const T* at = first + i * x.plane() + k * s.rows.gap * x.row();
      for (int64_t l = 0; l < s.columns.taps; l++, at += s.columns.gap * W<T>, kernel += O) {
        V<T> v[A];
        for (int a = 0; a < A; a++) v[a] = *(const V<T>*)(at + a * W<T>), hold(v[a]);
        for (int o = 0; o < O; o++) {
          V<T> w = kernel[o] - V<T>{};
          for (int a = 0; a < A; a++) sum[o][a] += w * v[a];
        }
      }
    }
  }
  for (int o = 0; o < O; o++)
    for (int a = 0; a < A; a++) *(V<T>*)(y + o * plane + a * W<T>) = floor ? relu<T>(sum[o][a]) : sum[o][a];
}

// y of all outputs at the first `count` positions of row r. The last tile may do some positions once more.
template <class T>
void correlate(const Shape& s, const Planes<T>& x, int64_t r, int64_t count, const T* kernel, T* y, int64_t plane,
               bool floor) {
  int64_t A = 1;
  for (int64_t a = std::min<int64_t>(AT, count), least = count * AT; a > 1 && a > AT - 3; a--)
    if (int64_t all = (count + a - 1) / a * a; all < least) least = all, A = a;
  // Taps that see rows of zeros alone are left out: those before `from` and from `to` on.
  int64_t from = std::max<int64_t>(0, (s.rows.before - r + s.rows.gap - 1) / s.rows.gap);
  int64_t to = std::min<int64_t>(s.rows.taps, (s.rows.before + s.rows.length - r + s.rows.gap - 1) / s.rows.gap);
  to = std::max(from, to);
  Parts tiles(s.out, OUT);
  auto go = [&](auto at_once) {
    constexpr int A = decltype(at_once)::value;
    for (int64_t q = 0; q < count; q += A) {
      int64_t at = std::min<int64_t>(q, count - A);
      const T *panel = kernel, *first = x.at(0, r, at);
      T* end = y + at * W<T>;
      for (int64_t k = 0; k < tiles.count; k++) {
        int64_t n = tiles.size(k);
        fixed<OUT>(n, [&](auto outputs) {
          tile<T, decltype(outputs)::value, A>(s, x, first, from, to, panel, end, plane, floor);
        });
        panel += n * (1 + s.in * s.taps()), end += n * plane;
      }
    }
  };
  if (A == 1)
    go(std::integral_constant<int, 1>());
  else if (A == AT)
    go(std::integral_constant<int, AT>());
  else if (A == AT - 1)
    go(std::integral_constant<int, (AT > 2 ? AT - 1 : 1)>());
  else
    go(std::integral_constant<int, (AT > 2 ? AT - 2 : 1)>());
}

// Toom and Cook's products along a row, for a kernel with one row of taps: of POINTS neighboring inputs d and the taps
// g, y = A'[(G g) (B d)] are POINTS + 1 - taps outputs by POINTS products. Values at the points 0, ±p1, ±p2, ±p3 and
// infinity, so B and A of -p are those of p with the signs of the odd columns turned.
constexpr int64_t POINTS = 8;
template <class T>
struct Minimal {
  int64_t outputs;  // of a tile; 0: not used
  std::vector<T> B, G, A;
  Minimal(const Shape& s, ffi::Span<const double> matrices) {
    const double* p = matrices.begin();
    outputs = matrices.size() ? POINTS + 1 - s.columns.taps : 0;
    if (!outputs) return;
    B.assign(p, p + POINTS * POINTS), p += POINTS * POINTS;
    G.assign(p, p + POINTS * s.columns.taps), p += POINTS * s.columns.taps;
    A.assign(p, p + POINTS * outputs);
  }
  bool takes(const Shape& s, int64_t count) const { return outputs && count >= outputs; }
  int64_t weights(const Shape& s) const { return POINTS * (1 + s.in) * s.out; }
  int64_t room(const Shape& s) const { return POINTS * (s.in + s.out) * AT * W<T>; }

  // The kernel at every point, each packed. Without a bias: as the way back sees it.
  void pack(const Shape& s, const T* kernel, bool back, T* to) const {
    const int64_t n = s.in * s.out, taps = s.columns.taps;
    std::vector<T> at(n), none(s.out);
    for (int64_t point = 0; point < POINTS; point++, to += n + s.out) {
      for (int64_t i = 0; i < s.in; i++)
        for (int64_t o = 0; o < s.out; o++) {
          T sum = 0;
          for (int64_t l = 0; l < taps; l++)
            sum += G[point * taps + l] *
                   (back ? kernel[((taps - 1 - l) * s.out + o) * s.in + i] : kernel[l * n + i * s.out + o]);
          at[i * s.out + o] = sum;
        }
      ::pack<T>(products(s), at.data(), none.data(), to);
    }
  }
  static Shape products(const Shape& s) { return {1, s.in, s.out, {1, 1, 0, 0, 1, 1}, {1, 1, 0, 0, AT, 1}, false}; }

  INLINE void inputs(const T* x, T* to, int64_t next) const {
    auto sum = [&](int64_t point, int64_t odd) {
      V<T> v = *(const V<T>*)(x + odd * W<T>) * B[point * POINTS + odd];
      for (int64_t j = odd + 2; j < POINTS; j += 2) v += *(const V<T>*)(x + j * W<T>) * B[point * POINTS + j];
      return v;
    };
    *(V<T>*)to = sum(0, 0);
    for (int64_t p = 1; p < POINTS - 1; p += 2) {
      V<T> even = sum(p, 0), odd = sum(p, 1);
      *(V<T>*)(to + p * next) = even + odd;
      *(V<T>*)(to + (p + 1) * next) = even - odd;
    }
    *(V<T>*)(to + (POINTS - 1) * next) = sum(POINTS - 1, 1);
  }

  INLINE void sums(const T* from, int64_t next, T bias, T* y, bool floor) const {
    auto at = [&](int64_t point) { return *(const V<T>*)(from + point * next); };
    V<T> even[3], odd[3];
    for (int k = 0; k < 3; k++) even[k] = at(2 * k + 1) + at(2 * k + 2), odd[k] = at(2 * k + 1) - at(2 * k + 2);
    for (int64_t j = 0; j < outputs; j++) {
      V<T> v = bias - V<T>{};
      if (j == 0) v += at(0);
      for (int k = 0; k < 3; k++) v += A[(2 * k + 1) * outputs + j] * (j % 2 ? odd[k] : even[k]);
      if (j == outputs - 1) v += at(POINTS - 1);
      *(V<T>*)(y + j * W<T>) = floor ? relu<T>(v) : v;
    }
  }

  // As `correlate`; the last tile, and the last ones done at once, may do some positions once more.
  void correlate(const Shape& s, const Planes<T>& x, int64_t r, int64_t count, const T* kernel, const T* bias, T* y,
                 int64_t plane, bool floor, T* room) const {
    const int64_t tiles = (count + outputs - 1) / outputs, many = std::min<int64_t>(AT, tiles);
    const int64_t row = many * W<T>, next = s.in * row, after = s.out * row;
    T* products = room + POINTS * next;
    for (int64_t first = 0; first < tiles; first += many) {
      auto place = [&](int64_t a) { return std::min((std::min(first, tiles - many) + a) * outputs, count - outputs); };
      for (int64_t i = 0; i < s.in; i++)
        for (int64_t a = 0; a < many; a++) inputs(x.at(i, r, place(a)), room + i * row + a * W<T>, next);
      for (int64_t p = 0; p < POINTS; p++)
        ::correlate<T>(Minimal::products(s), {room + p * next, 1, many}, 0, many, kernel + p * (1 + s.in) * s.out,
                       products + p * after, row, false);
      for (int64_t o = 0; o < s.out; o++)
        for (int64_t a = 0; a < many; a++)
          sums(products + o * row + a * W<T>, after, bias ? bias[o] : T(0), y + o * plane + place(a) * W<T>, floor);
    }
  }
};

template <class T>
struct Marks;
template <>
struct Marks<float> {
  typedef int32_t element;
  typedef element wide __attribute__((vector_size(BYTES), may_alias));
  typedef int8_t narrow __attribute__((vector_size(BYTES / 4), aligned(1), may_alias));
};
template <>
struct Marks<double> {
  typedef int64_t element;
  typedef element wide __attribute__((vector_size(BYTES), may_alias));
  typedef int8_t narrow __attribute__((vector_size(BYTES / 8), aligned(1), may_alias));
};

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

// sums [A, O] += x of A taps times G of O outputs, over a part of the positions.
template <class T, int A, int O>
void products(const Planes<T>& x, const int64_t* offsets, const Planes<T>& G, int64_t o, int64_t p, int64_t rows,
              int64_t q, int64_t count, V<T>* sums) {
  V<T> sum[A][O];
  for (int a = 0; a < A; a++)
    for (int j = 0; j < O; j++) sum[a][j] = sums[a * O + j];
  for (int64_t r = p; r < p + rows; r++) {
    const T *from[A], *g = G.at(o, r, q);
    for (int a = 0; a < A; a++) from[a] = x.at(0, r, q) + offsets[a];
    for (int64_t c = 0; c < count * W<T>; c += W<T>) {
      V<T> d[O];
      for (int j = 0; j < O; j++) d[j] = *(const V<T>*)(g + j * G.plane() + c), hold(d[j]);
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
void by_taps(const Shape& s, const Planes<T>& x, const Planes<T>& G, V<T>* sums, int64_t* offsets, T* to) {
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
    std::fill_n(sums, entries * O, V<T>{});
    for (int64_t p = 0; p < height; p += rows)
      for (int64_t q = 0; q < width; q += few)
        for (int64_t k = 0, e = 0; k < parts.count; e += parts.size(k++))
          fixed<TAPS>(parts.size(k), [&](auto taps) {
            products<T, decltype(taps)::value, O>(x, offsets + e, G, o, p, std::min(rows, height - p), q,
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
      for (int64_t q = 0; q < width; q++) sum += *(const V<T>*)G.at(o, p, q);
    fold<T, W<T>>((T*)&sum, 1);
    to[entries * s.out + o] += sum[0];
  }
}

// work(n) for n < count, by several threads where that pays, and by whichever is free.
template <class Work>
void in_turn(ffi::ThreadPool& pool, int32_t threads, int64_t count, double products, const Work& work) {
  constexpr double WORTH = 1e5;  // products of vectors that take longer than to wake a thread
  int64_t parts = std::max<int64_t>(1, std::min<int64_t>({threads, count, (int64_t)(products / WORTH)}));
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  in_shares(pool, parts, [&](int64_t) {
    for (int64_t n; (n = next++) < count;) try {
        work(n);
      } catch (const std::bad_alloc&) {  // must not leave one of XLA's threads
        failed = true;
      }
  });
  if (failed) throw std::bad_alloc();
}

typedef ffi::Span<const int64_t> Sizes;
typedef ffi::Span<const double> Matrices;  // of `Minimal`, B, G, A; or none

// x [..., N, I, H, W, L], of which `how` holds two axes of taps, gap, before, after, pool, and then `relu`; kernel
// [..., k, l, I, O].
Shape shape_of(Dimensions x, Dimensions kernel, Sizes how) {
  auto axis = [&](int a) {
    const int64_t* h = how.begin() + 5 * a;
    return Axis{h[0], h[1], h[2], h[3], x[x.size() - 3 + a], h[4]};
  };
  return Shape{x[x.size() - 5], kernel[kernel.size() - 2], kernel[kernel.size() - 1], axis(0), axis(1), how[10] > 0};
}

// All members of an array with `own` axes of its own.
int64_t members_in(Dimensions all, size_t own) {
  int64_t count = 1;
  for (size_t i = 0; i + own < all.size(); i++) count *= all[i];
  return count;
}

template <ffi::DataType D>
using In = ffi::Buffer<D>;
template <ffi::DataType D>
using Out = ffi::Result<ffi::Buffer<D>>;
typedef ffi::Buffer<ffi::S8> Which;

template <class Body>
ffi::Error guarded(const Body& body) try {
  body();
  return ffi::Error::Success();
} catch (const std::bad_alloc&) {
  return ffi::Error(ffi::ErrorCode::kResourceExhausted, "no memory for a convolution");
}

template <ffi::DataType D>
ffi::Error values(ffi::ThreadPool pool, int32_t threads, Sizes how, Matrices matrices, In<D> x, In<D> kernel,
                  In<D> bias, Out<D> z, ffi::Result<Which> which) {
  typedef ffi::NativeType<D> T;
  return guarded([&] {
    Shape s = shape_of(x.dimensions(), kernel.dimensions(), how);
    Dimensions all = z->dimensions();
    const Minimal<T> minimal(s, matrices);
    const bool few = minimal.takes(s, s.columns.used());
    const int64_t members = members_in(all, 5), weights = few ? minimal.weights(s) : s.weights();
    const bool pooled = s.rows.pool * s.columns.pool > 1, marked = which->element_count() > 0;
    std::unique_ptr<T[]> packs(new T[members * weights]);
    for (int64_t m = 0; m < members; m++) {
      T *from = part(kernel, 4, all, m), *to = packs.get() + m * weights;
      few ? minimal.pack(s, from, false, to) : pack<T>(s, from, part(bias, 1, all, m), to);
    }
    in_turn(pool, threads, members * s.blocks, members * s.blocks * s.work(), [&](int64_t n) {
      const int64_t m = n / s.blocks, block = n % s.blocks, columns = s.columns.used();
      const int64_t room = s.in * s.rows.padded() * s.columns.padded() * W<T>;
      const int64_t pools = s.out * s.rows.pool * columns * W<T>;
      T* own = scratch<T>(room + pools + (few ? minimal.room(s) : 0));
      auto from = surrounded(part(x, 5, all, m) + block * s.inputs() * W<T>, s.in, s.rows, s.columns, own);
      T *y = own + room, *to = part(*z, 5, all, m) + block * s.pools() * W<T>, *w = packs.get() + m * weights;
      int8_t* mark = marked ? part(*which, 5, all, m) + block * s.pools() * W<T> : nullptr;
      const int64_t row = s.columns.pools() * W<T>, plane = s.rows.pools() * row;
      auto line = [&](int64_t p, T* y, int64_t plane, bool floor) {
        few ? minimal.correlate(s, from, p, columns, w, part(bias, 1, all, m), y, plane, floor, own + room + pools)
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
  });
}

// The same axis as the gradient by the inputs sees it: the kernel turned around, and no pool.
Axis turned(const Axis& a) {
  return {a.taps, a.gap, a.reach() - a.before, a.length + a.before - a.used(), a.used(), 1};
}

template <ffi::DataType D>
ffi::Error by_inputs(ffi::ThreadPool pool, int32_t threads, Sizes how, Matrices matrices, In<D> g, In<D> z,
                     Which which, In<D> kernel, Out<D> dx) {
  typedef ffi::NativeType<D> T;
  return guarded([&] {
    Dimensions all = dx->dimensions();
    Shape s = shape_of(all, kernel.dimensions(), how);
    Shape t{s.blocks, s.out, s.in, turned(s.rows), turned(s.columns), false};
    const Minimal<T> minimal(t, matrices);
    const bool few = minimal.takes(t, s.columns.length);
    const int64_t members = members_in(all, 5), weights = few ? minimal.weights(t) : t.weights();
    const bool marked = which.element_count() > 0;
    std::unique_ptr<T[]> packs(new T[members * weights]);
    for (int64_t m = 0; m < members; m++) {
      T *from = part(kernel, 4, all, m), *to = packs.get() + m * weights;
      few ? minimal.pack(t, from, true, to) : pack<T>(t, from, nullptr, to);
    }
    in_turn(pool, threads, members * s.blocks, members * s.blocks * s.work(), [&](int64_t n) {
      const int64_t m = n / s.blocks, block = n % s.blocks;
      Planes<T> G{nullptr, t.rows.padded(), t.columns.padded()};
      G.data = scratch<T>(s.out * G.plane() + (few ? minimal.room(t) : 0));
      const int64_t at = block * s.pools() * W<T>;
      spread<T>(s, part(g, 5, all, m) + at, part(z, 5, all, m) + at, marked ? part(which, 5, all, m) + at : nullptr, G,
                true, t.rows.before, t.columns.before);
      T* to = part(*dx, 5, all, m) + block * s.inputs() * W<T>;
      const int64_t count = s.columns.length, row = count * W<T>, plane = s.rows.length * row;
      T *w = packs.get() + m * weights, *room = G.data + s.out * G.plane();
      for (int64_t p = 0; p < s.rows.length; p++)
        few ? minimal.correlate(t, G, p, count, w, nullptr, to + p * row, plane, false, room)
            : correlate(t, G, p, count, w, to + p * row, plane, false);
    });
  });
}

template <ffi::DataType D>
ffi::Error by_kernel(ffi::ThreadPool pool, int32_t threads, Sizes how, Matrices, In<D> x, In<D> g, In<D> z,
                     Which which, Out<D> dkernel, Out<D> dbias) {
  typedef ffi::NativeType<D> T;
  return guarded([&] {
    Dimensions all = dkernel->dimensions();
    Shape s = shape_of(x.dimensions(), all, how);
    const int64_t members = members_in(all, 4), weights = s.weights();
    const bool marked = which.element_count() > 0;
    const bool spreads = marked || s.relu;
    constexpr int64_t MOST = 32;  // sums of blocks of their own, so many that threads find work, whatever their number
    Parts groups(s.blocks, (s.blocks + MOST - 1) / MOST);
    std::unique_ptr<T[]> sums(new T[members * groups.count * weights]());
    in_turn(pool, threads, members * groups.count, members * s.blocks * s.work(), [&](int64_t n) {
      const int64_t m = n / groups.count, k = n % groups.count;
      const int64_t room = s.in * s.rows.padded() * s.columns.padded() * W<T>, entries = s.in * s.taps();
      Planes<T> G{nullptr, s.rows.used(), s.columns.used()};
      T* own = scratch<T>(room + s.out * G.plane() + entries * (OUT * W<T> + sizeof(int64_t) / sizeof(float)));
      V<T>* vectors = (V<T>*)(own + room + s.out * G.plane());
      int64_t first = 0;
      for (int64_t i = 0; i < k; i++) first += groups.size(i);
      for (int64_t block = first; block < first + groups.size(k); block++) {
        auto from = surrounded(part(x, 5, all, m) + block * s.inputs() * W<T>, s.in, s.rows, s.columns, own);
        const int64_t at = block * s.pools() * W<T>;
        T* by = part(g, 5, all, m) + at;
        G.data = spreads ? own + room : by;
        if (spreads)
          spread<T>(s, by, part(z, 5, all, m) + at, marked ? part(which, 5, all, m) + at : nullptr, G, false, 0, 0);
        by_taps(s, from, G, vectors, (int64_t*)(vectors + entries * OUT), sums.get() + n * weights);
      }
    });
    for (int64_t m = 0; m < members; m++) {
      T* sum = sums.get() + m * groups.count * weights;
      for (int64_t k = 1; k < groups.count; k++)
        for (int64_t i = 0; i < weights; i++) sum[i] += sum[k * weights + i];
      std::copy_n(sum, weights - s.out, part(*dkernel, 4, all, m));
      std::copy_n(sum + weights - s.out, s.out, part(*dbias, 1, all, m));
    }
  });
}

auto call() {
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Attr<int32_t>("threads").Attr<Sizes>("how").Attr<Matrices>("matrices");
}

typedef In<KIND> A;
XLA_FFI_DEFINE_HANDLER_SYMBOL(convolution_values, values<KIND>,
                              call().Arg<A>().Arg<A>().Arg<A>().Ret<A>().Ret<Which>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(convolution_by_inputs, by_inputs<KIND>,
                              call().Arg<A>().Arg<A>().Arg<Which>().Arg<A>().Ret<A>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(convolution_by_kernel, by_kernel<KIND>,
                              call().Arg<A>().Arg<A>().Arg<A>().Arg<Which>().Ret<A>().Ret<A>());

// Bytes of a vector: a block is as many examples as fit in it.
extern "C" int convolution_vector() { return BYTES; }
