// Cosine and sine of a number of turns. One type of numbers a library, T.

#pragma once

#include "vectors.h"

typedef Number T;

// cos and sin of 2 pi t: by half turns, so that both only change their sign, then by their series.
struct Wave {
  V<T> cos, sin;
};
#ifdef DOUBLE
typedef uint64_t Word;
constexpr double MAGIC = 0x1.8p52;
constexpr int TERMS = 11;
#else
typedef uint32_t Word;
constexpr float MAGIC = 0x1.8p23f;
constexpr int TERMS = 7;
#endif
typedef Word Words __attribute__((vector_size(BYTES), may_alias));
INLINE Wave wave_of(V<T> t) {
  const V<T> half = t * 2 + all(MAGIC);  // rounds to a whole number, whose last bit is that of the half turns
  const Words sign = (Words)half << (8 * sizeof(T) - 1);
  V<T> r = t - (half - all(MAGIC)) * (T)0.5;
  r = r > (T)0.25 ? all(0.25) : r;  // of so large a number no digit is left
  r = r < (T)-0.25 ? all(-0.25) : r;
  const V<T> y = r * (T)6.283185307179586476925, square = y * y;
  V<T> c = all(1), s = all(1);
#pragma GCC unroll 11
  for (int i = TERMS; i > 0; i--) {  // 1 - y²/2 (1 - y²/12 (...))
    c = 1 - square * (T)(1.0 / ((2 * i - 1) * (2 * i))) * c;
    s = 1 - square * (T)(1.0 / ((2 * i) * (2 * i + 1))) * s;
  }
  s *= y;
  return {(V<T>)((Words)c ^ sign), (V<T>)((Words)s ^ sign)};
}
