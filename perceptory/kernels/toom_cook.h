// Toom and Cook's products along a row, for a kernel with one row of taps: of POINTS neighboring inputs d and the taps
// g, y = A'[(G g) (B d)] are M = POINTS + 1 - taps outputs by POINTS products; the gradient by the taps is
// G'[(B d) (A h)] for the gradient h by y. Values at the points 0, ±p1, ±p2, ±p3 and infinity, so B and A of -p are
// those of p with the signs of the odd columns turned; B of the finite points but 0 has no first and no last entry.

#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "correlation.h"
#include "vectors.h"

constexpr int64_t POINTS = 8;

// Tiles that fit into the registers: of up to FEW outputs at up to MANY places; of up to HIGH inputs and 2 vectors of
// outputs.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int FEW = 8, MANY = 3, HIGH = 12;
#else
constexpr int FEW = 4, MANY = 2, HIGH = 5;
#endif

// Planes [plane, row, column] within zeros, so many of them above and before; where z is given, 0 where z is not
// positive.
template <class T>
struct Framed {
  const T *x, *z;
  int64_t rows, columns, above, before;

  // N columns from c on.
  template <int N>
  INLINE void get(int64_t plane, int64_t r, int64_t c, V<T>* to) const {
    r -= above, c -= before;
    const int64_t at = ((plane * rows + r) * columns + c) * W<T>;
    if (r >= 0 && r < rows && c >= 0 && c + N <= columns) {
      for (int j = 0; j < N; j++) to[j] = *(const V<T>*)(x + at + j * W<T>);
      if (z)
        for (int j = 0; j < N; j++) to[j] = *(const V<T>*)(z + at + j * W<T>) > 0 ? to[j] : V<T>{};
    } else {
      for (int j = 0; j < N; j++) {
        to[j] = V<T>{};
        if (r < 0 || r >= rows || c + j < 0 || c + j >= columns) continue;
        to[j] = *(const V<T>*)(x + at + j * W<T>);
        if (z) to[j] = *(const V<T>*)(z + at + j * W<T>) > 0 ? to[j] : V<T>{};
      }
    }
  }

  // Starts to bring columns into the second-level cache; those outside do no harm.
  INLINE void expect(int64_t plane, int64_t r, int64_t c, int64_t count) const {
    const int64_t at = ((plane * rows + r - above) * columns + c - before) * W<T>;
    for (int64_t j = 0; j < count * W<T>; j += W<T>) {
      __builtin_prefetch(x + at + j, 0, 2);
      if (z) __builtin_prefetch(z + at + j, 0, 2);
    }
  }
};

// Every second of two vectors' numbers, from the first halves or from the second halves.
template <class T, bool SECOND, size_t... K>
INLINE V<T> laced(V<T> a, V<T> b, std::index_sequence<K...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, (int)(K % 2 * W<T> + K / 2 + SECOND * W<T> / 2)...);
#else
  typedef typename Marks<T>::wide I;
  return __builtin_shuffle(a, b, I{(int)(K % 2 * W<T> + K / 2 + SECOND * W<T> / 2)...});
#endif
}

// Turns the rows of a square of numbers into its columns.
template <class T>
INLINE void transpose(V<T>* v) {
  constexpr int N = W<T>;
  for (int n = 1; n < N; n *= 2) {
    alignas(BYTES) V<T> u[N];
    for (int k = 0; k < N / 2; k++) {
      u[2 * k] = laced<T, false>(v[k], v[k + N / 2], std::make_index_sequence<N>());
      u[2 * k + 1] = laced<T, true>(v[k], v[k + N / 2], std::make_index_sequence<N>());
    }
    for (int k = 0; k < N; k++) v[k] = u[k];
  }
}

// y [O, A] = u [in, O]' v [in, A], of vectors A.
template <class T, int O, int A>
void outer(int64_t in, const T* v, const T* u, T* y) {
  alignas(BYTES) V<T> sum[O][A]{};
  for (int64_t i = 0; i < in; i++, v += A * W<T>, u += O) {
    alignas(BYTES) V<T> x[A];
    for (int a = 0; a < A; a++) x[a] = *(const V<T>*)(v + a * W<T>), hold(x[a]);
    for (int o = 0; o < O; o++) {
      V<T> w = u[o] - V<T>{};
      for (int a = 0; a < A; a++) sum[o][a] += w * x[a];
    }
  }
  for (int o = 0; o < O; o++)
    for (int a = 0; a < A; a++) *(V<T>*)(y + (o * A + a) * W<T>) = sum[o][a];
}

// sums [I, width] += v [I, count] h [count, width], for O vectors of the width.
template <class T, int I, int O>
void inner(int64_t count, const T* v, int64_t next, const T* h, int64_t width, T* sums) {
  alignas(BYTES) V<T> sum[I][O];
  for (int i = 0; i < I; i++)
    for (int o = 0; o < O; o++) sum[i][o] = *(const V<T>*)(sums + i * width + o * W<T>);
  for (int64_t k = 0; k < count; k++, v++, h += width) {
    alignas(BYTES) V<T> d[O];
    for (int o = 0; o < O; o++) d[o] = *(const V<T>*)(h + o * W<T>), hold(d[o]);
    for (int i = 0; i < I; i++) {
      V<T> w = v[i * next] - V<T>{};
      for (int o = 0; o < O; o++) sum[i][o] += w * d[o];
    }
  }
  for (int i = 0; i < I; i++)
    for (int o = 0; o < O; o++) *(V<T>*)(sums + i * width + o * W<T>) = sum[i][o];
}

template <class T>
struct ToomCook {
  int64_t outputs;  // M; 0: not used
  std::vector<T> B, G, A;
  ToomCook(const Shape& s, const double* p, bool given) : outputs(given ? POINTS + 1 - s.columns.taps : 0) {
    if (!outputs) return;
    B.assign(p, p + POINTS * POINTS), p += POINTS * POINTS;
    G.assign(p, p + POINTS * s.columns.taps), p += POINTS * s.columns.taps;
    A.assign(p, p + POINTS * outputs);
  }
  static constexpr int64_t NUMBERS = POINTS * (2 * POINTS + 1);  // in the three matrices
  bool takes(const Shape& s, int64_t count) const { return outputs && count >= outputs; }
  int64_t weights(const Shape& s) const { return POINTS * s.in * s.out; }
  // Between the points' parts stand as many numbers more, so that they do not meet in the same places of the cache.
  int64_t room(const Shape& s) const { return POINTS * (s.in * MANY + FEW * MANY + 2) * W<T>; }

  // The kernel at every point, [tile, point, in, output of the tile]; `back`: as the way back sees it.
  void pack(const Shape& s, const T* kernel, bool back, T* to) const {
    const int64_t n = s.in * s.out, taps = s.columns.taps;
    std::vector<T> at(POINTS * n);
    for (int64_t point = 0; point < POINTS; point++)
      for (int64_t l = 0; l < taps; l++) {
        const T w = G[point * taps + l], *from = kernel + (back ? taps - 1 - l : l) * n;
        for (int64_t k = 0; k < n; k++) at[point * n + k] += w * from[k];
      }
    Parts tiles(s.out, FEW);
    for (int64_t k = 0, o = 0; k < tiles.count; o += tiles.size(k++))
      for (int64_t point = 0; point < POINTS; point++)
        for (int64_t i = 0; i < s.in; i++)
          for (int64_t j = o; j < o + tiles.size(k); j++) *to++ = at[point * n + (back ? j * s.in + i : i * s.out + j)];
  }

  // B d, to [point].
  INLINE void inputs(const V<T>* d, T* to, int64_t next) const {
    const T* b = B.data();
    *(V<T>*)to = d[0] * b[0] + d[2] * b[2] + d[4] * b[4] + d[6] * b[6];
    for (int p = 1; p < POINTS - 1; p += 2) {
      const T* b = B.data() + p * POINTS;
      V<T> even = d[2] * b[2] + d[4] * b[4] + d[6] * b[6], odd = d[1] * b[1] + d[3] * b[3] + d[5] * b[5];
      *(V<T>*)(to + p * next) = even + odd;
      *(V<T>*)(to + (p + 1) * next) = even - odd;
    }
    b += (POINTS - 1) * POINTS;
    *(V<T>*)(to + (POINTS - 1) * next) = d[1] * b[1] + d[3] * b[3] + d[5] * b[5] + d[7] * b[7];
  }

  // A' of the products at `from`, plus the bias.
  template <int M>
  INLINE void sums(const T* from, int64_t next, T bias, T* y, bool floor) const {
    auto at = [&](int point) { return *(const V<T>*)(from + point * next); };
    alignas(BYTES) V<T> even[3], odd[3];
    for (int k = 0; k < 3; k++) even[k] = at(2 * k + 1) + at(2 * k + 2), odd[k] = at(2 * k + 1) - at(2 * k + 2);
    for (int j = 0; j < M; j++) {
      V<T> v = bias - V<T>{};
      if (j == 0) v += at(0);
      for (int k = 0; k < 3; k++) v += A[(2 * k + 1) * M + j] * (j % 2 ? odd[k] : even[k]);
      if (j == M - 1) v += at(POINTS - 1);
      *(V<T>*)(y + j * W<T>) = floor ? relu<T>(v) : v;
    }
  }

  // A h, to [point].
  template <int M>
  INLINE void gradients(const V<T>* h, T* to, int64_t next) const {
    *(V<T>*)to = h[0];
    for (int p = 1; p < POINTS - 1; p += 2) {
      V<T> even = h[0], odd{};
      for (int j = 2; j < M; j += 2) even += h[j] * A[p * M + j];
      for (int j = 1; j < M; j += 2) odd += h[j] * A[p * M + j];
      *(V<T>*)(to + p * next) = even + odd;
      *(V<T>*)(to + (p + 1) * next) = even - odd;
    }
    *(V<T>*)(to + (POINTS - 1) * next) = h[M - 1];
  }

  // Row r of y [out, count], as `correlate`; the last tile may do some positions once more.
  void correlate(const Shape& s, const Framed<T>& x, int64_t r, int64_t count, const T* kernel, const T* bias, T* y,
                 int64_t plane, bool floor, T* room) const {
    const int64_t tiles = (count + outputs - 1) / outputs;
    const Parts parts(s.out, FEW);
    auto go = [&](auto at_once, auto each, int64_t first) {
      constexpr int many = decltype(at_once)::value, M = decltype(each)::value;
      const int64_t next = s.in * many * W<T> + W<T>, after = FEW * many * W<T> + W<T>;
      T* products = room + POINTS * next;
      auto place = [&](int64_t a) { return std::min((first + a) * M, count - M); };
      for (int64_t i = 0; i < s.in; i++)
        for (int64_t a = 0; a < many; a++) {
          alignas(BYTES) V<T> d[POINTS];
          x.template get<POINTS>(i, r, place(a), d);
          inputs(d, room + (i * many + a) * W<T>, next);
        }
      const T* u = kernel;
      for (int64_t k = 0, o = 0; k < parts.count; o += parts.size(k++)) {
        const int64_t size = parts.size(k);
        fixed<FEW>(size, [&](auto outputs) {
          for (int64_t p = 0; p < POINTS; p++, u += s.in * size) {
            const int64_t n = k * POINTS + p, all = parts.count * POINTS;
            for (int64_t i = n * s.in / all; i < (n + 1) * s.in / all; i++)
              x.expect(i, r, (first + many) * M + POINTS - M, many * M);
            for (int64_t j = p * size / POINTS; j < (p + 1) * size / POINTS; j++)
              for (int64_t c = 0; c < many * M; c++)
                __builtin_prefetch(y + (o + j) * plane + (place(0) + c) * W<T>, 1, 3);
            outer<T, decltype(outputs)::value, many>(s.in, room + p * next, u, products + p * after);
          }
        });
        for (int64_t j = 0; j < size; j++)
          for (int64_t a = 0; a < many; a++)
            sums<M>(products + (j * many + a) * W<T>, after, bias ? bias[o + j] : T(0),
                    y + (o + j) * plane + place(a) * W<T>, floor);
      }
    };
    fixed<POINTS - 1>(outputs, [&](auto each) {
      for (int64_t first = 0; first < tiles; first += MANY)
        fixed<MANY>(std::min<int64_t>(MANY, tiles - first), [&](auto many) { go(many, each, first); });
    });
  }

  // The gradient by the taps: its vectors hold neighboring outputs, not examples.
  static constexpr int64_t TILES = 4;  // whose parts stay in the first-level cache while a point's products are taken
  static int64_t width(const Shape& s) { return (s.out + W<T> - 1) / W<T> * W<T>; }
  // Not where most of a vector stays empty.
  bool takes_taps(const Shape& s) const { return takes(s, s.columns.used()) && 2 * width(s) <= 3 * s.out; }
  int64_t taps_sums(const Shape& s) const { return (POINTS * s.in + 1) * width(s); }
  int64_t taps_room(const Shape& s) const {
    return POINTS * ((s.in + width(s)) * TILES + 2) * W<T> + (POINTS - 1) * W<T> * W<T>;
  }

  // sums [point, in, width], and then [width] for the bias, += one block's part.
  void by_taps(const Shape& s, const Framed<T>& x, const Framed<T>& g, T* sums, T* room) const {
    const int64_t wide = width(s), next = s.in * TILES * W<T> + W<T>, after = TILES * W<T> * wide + W<T>;
    T *h = room + POINTS * next, *turned = h + POINTS * after, *bias = sums + POINTS * s.in * wide;
    const int64_t tiles = (s.columns.used() + outputs - 1) / outputs;
    const Parts parts(s.in, HIGH);
    auto transform = [&](auto each, int64_t r, int64_t place, int64_t a) {
      constexpr int M = decltype(each)::value;
      for (int64_t i = 0; i < s.in; i++) {
        alignas(BYTES) V<T> d[POINTS];
        x.template get<POINTS>(i, r, place, d);
        inputs(d, room + (i * TILES + a) * W<T>, next);
      }
      for (int64_t o = 0; o < wide; o += W<T>) {
        for (int j = 0; j < M; j++) {
          alignas(BYTES) V<T> v[W<T>];
          for (int k = 0; k < W<T>; k++)
            if (o + k < s.out)
              g.template get<1>(o + k, r, place + j, v + k);
            else
              v[k] = V<T>{};
          transpose<T>(v);
          for (int k = 0; k < W<T>; k++) *(V<T>*)(turned + (k * M + j) * W<T>) = v[k];
        }
        V<T> all{};
        for (int k = 0; k < W<T>; k++) {
          const V<T>* one = (const V<T>*)(turned + k * M * W<T>);
          for (int j = 0; j < M; j++) all += one[j];
          gradients<M>(one, h + (a * W<T> + k) * wide + o, after);
        }
        *(V<T>*)(bias + o) += all;
      }
    };
    for (int64_t r = 0; r < s.rows.used(); r++)
      for (int64_t first = 0; first < tiles; first += TILES) {
        const int64_t many = std::min(TILES, tiles - first);
        fixed<POINTS - 1>(outputs, [&](auto each) {
          for (int64_t a = 0; a < many; a++) transform(each, r, (first + a) * outputs, a);
        });
        for (int64_t p = 0; p < POINTS; p++) {
          for (int64_t i = p * s.in / POINTS; i < (p + 1) * s.in / POINTS; i++)
            x.expect(i, r, (first + TILES - 1) * outputs + POINTS, TILES * outputs);
          for (int64_t o = p * s.out / POINTS; o < (p + 1) * s.out / POINTS; o++)
            g.expect(o, r, (first + TILES) * outputs, TILES * outputs);
          for (int64_t o = 0; o < wide; o += 2 * W<T>)
            for (int64_t k = 0, i = 0; k < parts.count; i += parts.size(k++))
              fixed<HIGH>(parts.size(k), [&](auto high) {
                constexpr int I = decltype(high)::value;
                const T *v = room + p * next + i * TILES * W<T>, *from = h + p * after + o;
                T* to = sums + (p * s.in + i) * wide + o;
                if (o + W<T> < wide)
                  inner<T, I, 2>(many * W<T>, v, TILES * W<T>, from, wide, to);
                else
                  inner<T, I, 1>(many * W<T>, v, TILES * W<T>, from, wide, to);
              });
        }
      }
  }

  // to [tap, in, out], and then [out] for the bias, from the sums at the points.
  void taps(const Shape& s, const T* sums, T* to) const {
    const int64_t wide = width(s), taps = s.columns.taps;
    for (int64_t l = 0; l < taps; l++)
      for (int64_t i = 0; i < s.in; i++, to += s.out)
        for (int64_t p = 0; p < POINTS; p++)
          for (int64_t o = 0; o < s.out; o++) to[o] += G[p * taps + l] * sums[(p * s.in + i) * wide + o];
    for (int64_t o = 0; o < s.out; o++) to[o] += sums[POINTS * s.in * wide + o];
  }
};
