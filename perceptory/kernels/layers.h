// Layers of neurons: products with their weights, activations. One type of numbers a library, T.

#pragma once

#include "vectors.h"

typedef Number T;
typedef int64_t I;
constexpr I LANES = 16;          // a row's end is filled up to a multiple, which all vectors divide
constexpr I NARROW = 3;          // outputs up to which vectors run along the last layer's inputs
constexpr I ROWS_AT_ONCE = 256;  // rows of one pass through all layers, which stay in a cache
constexpr I WIDE = W<T>;         // numbers of a vector
enum Kind { LINEAR, TANH, SIGMOID, STEEP_SIGMOID, RELU, LEAKY_RELU, ELU, SELU, SILU, MISH };

typedef T Register __attribute__((vector_size(BYTES)));  // V<T> may lie anywhere, this one where vectors lie

INLINE I filled(I n) { return (n + LANES - 1) / LANES * LANES; }
INLINE I greater(I a, I b) { return a > b ? a : b; }

// c [M, N vectors] = first + a b over `depth`: a [M, depth] with rows `a_row` apart, or, transposed, a [depth, M]. Row
// m starts from first + m first_row, from 0 without `first`.
template <int M, int N, bool TRANSPOSED>
INLINE void tile(I depth, const T* a, I a_row, const T* b, I b_row, const T* first, I first_row, T* c, I c_row) {
  Register sum[M][N];
  EACH for (int n = 0; n < N; n++)
    EACH for (int m = 0; m < M; m++) sum[m][n] = first ? at(first + m * first_row + n * WIDE) : V<T>{};
  for (I k = 0; k < depth; k++, b += b_row) {
    Register w[N];
    EACH for (int n = 0; n < N; n++) {
      V<T> own = at(b + n * WIDE);  // of an array's element `hold` keeps a copy in memory
      hold(own);
      w[n] = own;
    }
    EACH for (int m = 0; m < M; m++) {
      Register s = all(TRANSPOSED ? a[k * a_row + m] : a[m * a_row + k]);
      hold(s);
      EACH for (int n = 0; n < N; n++) sum[m][n] += s * w[n];
    }
  }
  EACH for (int m = 0; m < M; m++)
    EACH for (int n = 0; n < N; n++) put(c + m * c_row + n * WIDE, sum[m][n]);
}

template <int N>
struct Whole {
  constexpr int operator()() const { return N; }
};

// Vectors of a panel, and rows of its tiles: as many sums as leave registers for what they need.
constexpr int PANEL = ROWS > 2 ? 4 : 2;
constexpr int tile_rows(int vectors) { return ROWS <= 2 ? 6 : vectors <= 2 ? 2 * ROWS : ROWS; }

template <int N, bool TRANSPOSED>
void panel(I rows, I depth, const T* a, I a_row, const T* b, I b_row, const T* first, I first_row, T* c, I c_row) {
  constexpr int M = tile_rows(N), LESS = M > 4 ? 4 : 1;
  const I next = TRANSPOSED ? 1 : a_row;
  const auto some = [&](auto m) {
    tile<m(), N, TRANSPOSED>(depth, a, a_row, b, b_row, first, first_row, c, c_row);
    rows -= m(), a += m() * next, first += m() * first_row, c += m() * c_row;
  };
  while (rows >= M && rows != 2 * LESS) some(Whole<M>{});
  while (rows >= LESS) some(Whole<LESS>{});
  while (rows > 0) some(Whole<1>{});
}

// c [rows, columns] = first + a b, as of a tile; columns in whole vectors.
template <bool TRANSPOSED>
void product(I rows, I columns, I depth, const T* a, I a_row, const T* b, I b_row, const T* first, I first_row, T* c,
             I c_row) {
  for (I n = 0; n < columns; n += PANEL * WIDE) {
    const T* start = first ? first + n : nullptr;
    switch (columns - n < PANEL * WIDE ? (columns - n + WIDE - 1) / WIDE : PANEL) {
      case 1: panel<1, TRANSPOSED>(rows, depth, a, a_row, b + n, b_row, start, first_row, c + n, c_row); break;
      case 2: panel<2, TRANSPOSED>(rows, depth, a, a_row, b + n, b_row, start, first_row, c + n, c_row); break;
      case 3: panel<3, TRANSPOSED>(rows, depth, a, a_row, b + n, b_row, start, first_row, c + n, c_row); break;
      default: panel<4, TRANSPOSED>(rows, depth, a, a_row, b + n, b_row, start, first_row, c + n, c_row);
    }
  }
}

template <class F>
INLINE void every(T* p, I count, F f) {
  for (I i = 0; i < count; i += WIDE) put(p + i, f(at(p + i), i));
}

// v = s(z), in place. A comparison with nan is false, and lets it through.
void activate(int kind, T parameter, T* z, I count) {
  const T half = 0.5;
  switch (kind) {
    case TANH: return every(z, count, [](V<T> z, I) { return tanh_of(z); });
    case SIGMOID: return every(z, count, [=](V<T> z, I) { return tanh_of(z * half) * half + half; });
    case STEEP_SIGMOID: return every(z, count, [=](V<T> z, I) { return tanh_of(z) * half + half; });
    case RELU: return every(z, count, [](V<T> z, I) { return z < 0 ? V<T>{} : z; });
    case LEAKY_RELU: return every(z, count, [=](V<T> z, I) { return z > 0 ? z : z * parameter; });
    case ELU: return every(z, count, [=](V<T> z, I) {
      V<T> t = tanh_of((z > 0 ? V<T>{} : z) * half);  // e^z - 1 = 2 t / (1 - t)
      return z > 0 ? z : t * (2 * parameter) / (1 - t);
    });
  }
}

// s(z) and s'(z).
template <int KIND>
INLINE void value_and_slope(V<T> z, T parameter, V<T>& s, V<T>& slope) {
  const T half = 0.5, alpha = 1.6732632423543772, scale = 1.0507009873554805;
  if (KIND == LINEAR) s = z, slope = all(1);
  if (KIND == TANH) s = tanh_of(z), slope = 1 - s * s;
  if (KIND == SIGMOID) s = tanh_of(z * half) * half + half, slope = s * (1 - s);
  if (KIND == STEEP_SIGMOID) s = tanh_of(z) * half + half, slope = s * (1 - s) * 2;
  if (KIND == RELU) s = z < 0 ? V<T>{} : z, slope = z > 0 ? all(1) : V<T>{};
  if (KIND == LEAKY_RELU) s = z > 0 ? z : z * parameter, slope = z > 0 ? all(1) : all(parameter);
  if (KIND == ELU || KIND == SELU) {
    const T a = KIND == ELU ? parameter : alpha * scale, up = KIND == ELU ? 1 : scale;
    V<T> t = tanh_of((z > 0 ? V<T>{} : z) * half), below = t * (2 * a) / (1 - t);  // a (e^z - 1)
    s = z > 0 ? z * up : below, slope = z > 0 ? all(up) : below + a;
  }
  if (KIND == SILU) {
    V<T> share = tanh_of(z * half) * half + half;
    s = z * share, slope = share + s * (1 - share);
  }
  if (KIND == MISH) {  // z tanh(ln(1 + e^z)), the tanh being u / (u + 2) with u = e^z (e^z + 2)
    V<T> e = exp_of(z > 20 ? all(20) : z), u = e * (e + 2), q = 1 / (u + 2), t = u * q;
    s = z * t, slope = t + z * (e * 4) * (e + 1) * q * q;
  }
}

// Whether a unit stays, and what it is then multiplied by: one layer's noise.
#ifdef DOUBLE
typedef uint64_t Word;
#else
typedef uint32_t Word;
#endif
typedef Word Words __attribute__((vector_size(BYTES), may_alias));
alignas(BYTES) const Word lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
struct Noise {
  Word first, second, threshold;
  T more;  // 1 / keep; 0 where nothing is dropped
  INLINE Words stays(I place) const {
    const Words low = Words{} + 0xffffffffu;  // in words of 64 bits the same numbers
    Words h = *(const Words*)lanes + (Word)place;
    h = ((((h + first) & low) * 0x9e3779b1u) & low) ^ second;
    h ^= h >> 16;
    h = (h * 0x85ebca6bu) & low;
    h ^= h >> 13;
    h = (h * 0xc2b2ae35u) & low;
    h ^= h >> 16;
    return (Words)(h < threshold);
  }
};

// v [rows, wide] from z, each the layer's; a: of parametric units, or null.
template <int KIND>
void units(T parameter, const T* a, I rows, I wide, const T* z, T* v) {
  for (I r = 0; r < rows; r++)
    for (I i = 0; i < wide; i += WIDE, z += WIDE, v += WIDE) {
      V<T> s, slope, own = at(z);
      value_and_slope<KIND>(own, parameter, s, slope);
      put(v, a ? own + (s - own) * at(a + i) : s);
    }
}

#define OF_KIND(call)                             \
  switch (kind) {                                 \
    case LINEAR: return call<LINEAR> ARGUMENTS;   \
    case TANH: return call<TANH> ARGUMENTS;       \
    case SIGMOID: return call<SIGMOID> ARGUMENTS; \
    case STEEP_SIGMOID: return call<STEEP_SIGMOID> ARGUMENTS; \
    case RELU: return call<RELU> ARGUMENTS;       \
    case LEAKY_RELU: return call<LEAKY_RELU> ARGUMENTS; \
    case ELU: return call<ELU> ARGUMENTS;         \
    case SELU: return call<SELU> ARGUMENTS;       \
    case SILU: return call<SILU> ARGUMENTS;       \
    case MISH: return call<MISH> ARGUMENTS;       \
  }
#define ARGUMENTS (parameter, a, rows, wide, z, v)
void units_of(int kind, T parameter, const T* a, I rows, I wide, const T* z, T* v) {
  OF_KIND(units)
}
#undef ARGUMENTS
// The sum of a vector's N numbers, halves first. Halves are copied: a type that a template makes may be taken for one
// that lies on its boundary.
template <int N>
struct Part {
  typedef T Half __attribute__((vector_size(N / 2 * sizeof(T))));
  static INLINE T total(const T* p) {
    Half first, second;
    memcpy(&first, p, sizeof first), memcpy(&second, p + N / 2, sizeof second);
    first += second;
    return Part<N / 2>::total((const T*)&first);
  }
};
template <>
struct Part<2> {
  static INLINE T total(const T* p) { return p[0] + p[1]; }
};
INLINE T total(V<T> v) { return Part<WIDE>::total((const T*)&v); }

INLINE V<T> inverse_root(V<T> v) {
#if defined(__AVX512F__) && !defined(DOUBLE)
  typedef float Whole __attribute__((vector_size(64)));
  const V<T> r = __builtin_ia32_rsqrt14ps512_mask((Whole)v, Whole{}, -1);
  return r * ((T)1.5 - (T)0.5 * v * r * r);
#else
  T part[WIDE];
  memcpy(part, &v, sizeof v);
  for (I i = 0; i < WIDE; i++) part[i] = 1 / (sizeof(T) == 4 ? __builtin_sqrtf(part[i]) : __builtin_sqrt(part[i]));
  memcpy(&v, part, sizeof v);
  return v;
#endif
}
