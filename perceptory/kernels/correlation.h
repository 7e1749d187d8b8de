// Correlation as `convolution.cc` has it, and what its other ways share: shapes, planes of vectors, memory.

#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

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

// Whole numbers as wide as T, and as bytes.
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
  int64_t start(int64_t k) const { return total / count * k + std::min(k, total % count); }
};

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
  alignas(BYTES) V<T> sum[O][A];
  for (int o = 0; o < O; o++, kernel++)
    for (int a = 0; a < A; a++) sum[o][a] = *kernel - V<T>{};
  for (int64_t i = 0; i < s.in; i++, kernel += (s.rows.taps - to) * s.columns.taps * O) {
    kernel += from * s.columns.taps * O;
    for (int64_t k = from; k < to; k++) {
      const T* at = first + i * x.plane() + k * s.rows.gap * x.row();
      for (int64_t l = 0; l < s.columns.taps; l++, at += s.columns.gap * W<T>, kernel += O) {
        alignas(BYTES) V<T> v[A];
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
