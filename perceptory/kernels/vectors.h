// Vectors of the processor's width, and tanh of them.

#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#define INLINE inline __attribute__((always_inline))
#define EACH _Pragma("GCC unroll 16")  // a loop over registers: unrolled before the compiler asks where its array lies

// A library is for one type of numbers: fewer seconds of compilation, and most never need the other.
#ifdef DOUBLE
typedef double Number;
#else
typedef float Number;
#endif

// BYTES: width of a vector; ROWS: rows of a tile, so that ROWS x 4 sums and what they need fit into the registers.
#if defined(__AVX512F__)
constexpr int BYTES = 64, ROWS = 4;
#elif defined(__AVX__)
constexpr int BYTES = 32, ROWS = 2;
#elif defined(__aarch64__)
constexpr int BYTES = 16, ROWS = 4;
#else
constexpr int BYTES = 16, ROWS = 2;
#endif

template <class T>
struct Vector;
template <>
struct Vector<float> {
  typedef float type __attribute__((vector_size(BYTES), aligned(4), may_alias));
};
template <>
struct Vector<double> {
  typedef double type __attribute__((vector_size(BYTES), aligned(8), may_alias));
};
// Local arrays of them are declared `alignas(BYTES)`: where a template deduces their type, clang++ takes it for one
// that lies on the boundary of a vector.
template <class T>
using V = typename Vector<T>::type;
template <class T>
constexpr int W = BYTES / sizeof(T);

// f(std::integral_constant<int, n>()) for 1 <= n <= MOST.
template <int MOST, class F>
INLINE void fixed(int64_t n, const F& f) {
  if constexpr (MOST > 1) {
    if (n < MOST) return fixed<MOST - 1>(n, f);
  }
  f(std::integral_constant<int, MOST>());
}

INLINE V<Number> all(Number value) { return value - V<Number>{}; }

// A vector of the library's own numbers that lies anywhere, read and written. clang++ may take a reference to one for
// memory on the boundary of a vector, so there it is copied, which GCC does by way of the stack.
#if defined(__clang__)
INLINE V<Number> at(const Number* p) {
  V<Number> v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void put(Number* p, V<Number> v) { memcpy(p, &v, sizeof v); }
#else
INLINE V<Number> at(const Number* p) { return *(const V<Number>*)p; }
INLINE void put(Number* p, V<Number> v) { *(V<Number>*)p = v; }
#endif

// The first n of a vector's numbers; the others are 0.
template <class T>
INLINE V<T> load(const T* p, int n) {
  if (n >= W<T>) return *(const V<T>*)p;
  V<T> v{};
  memcpy(&v, p, n * sizeof(T));
  return v;
}
template <class T>
INLINE void store(T* p, V<T> v, int n) {
  if (n >= W<T>)
    *(V<T>*)p = v;
  else
    memcpy(p, &v, n * sizeof(T));
}

// Keeps a vector in a register that the compiler would otherwise load again for every use. Not a template: a deduced
// type is the vector without its `aligned`, which a compiler may then take for aligned memory.
#if defined(__AVX__)
#define HOLD(v) asm("" : "+v"(v))
#else
#define HOLD(v) (void)v
#endif
INLINE void hold(V<float>& v) { HOLD(v); }
INLINE void hold(V<double>& v) { HOLD(v); }
#undef HOLD

// A comparison with nan is false: nan stays nan in both functions.
INLINE void tanh_parts(V<float> x, V<float>& up, V<float>& down) {  // rational, as in Eigen and XLA: error of a few units
  const V<float> most = V<float>{} + 7.90531110763549805f;          // in the last place
  x = x > most ? most : x;
  x = x < -most ? -most : x;
  V<float> u = x * x, p = u * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = u * p + -8.60467152213735e-11f;
  p = u * p + 5.12229709037114e-08f;
  p = u * p + 1.48572235717979e-05f;
  p = u * p + 6.37261928875436e-04f;
  p = u * p + 4.89352455891786e-03f;
  V<float> q = u * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = u * q + 2.26843463243900e-03f;
  q = u * q + 4.89352518554385e-03f;
  up = x * p, down = q;
}
INLINE V<float> tanh_of(V<float> x) {
  V<float> up, down;
  tanh_parts(x, up, down);
  return up / down;
}

// e^x = power * (1 + less), x = n ln 2 + r with n a whole number: power = 2^n by the exponent's bits, less = e^r - 1 by a
// polynomial.
struct Split {
  V<double> power, less;
};
INLINE Split split_exp(V<double> x) {
  typedef uint64_t I __attribute__((vector_size(BYTES), may_alias));
  const V<double> magic = V<double>{} + 0x1.8p52;  // adding it rounds to a whole number
  V<double> k = x * 1.4426950408889634 + magic, n = k - magic;
  V<double> r = x - n * 0.693147180369123816490;
  r = r - n * 1.90821492927058770002e-10;
  V<double> p = r * (1 / 6227020800.0) + 1 / 479001600.0;
  p = p * r + 1 / 39916800.0;
  p = p * r + 1 / 3628800.0;
  p = p * r + 1 / 362880.0;
  p = p * r + 1 / 40320.0;
  p = p * r + 1 / 5040.0;
  p = p * r + 1 / 720.0;
  p = p * r + 1 / 120.0;
  p = p * r + 1 / 24.0;
  p = p * r + 1 / 6.0;
  p = p * r + 0.5;
  I bits = ((I)k << 52) + ((I{} + 1023) << 52);
  return {(V<double>)bits, p * r * r + r};
}

INLINE V<double> tanh_of(V<double> x) {  // E / (E + 2) with E = exp(2 |x|) - 1
  const V<double> most = V<double>{} + 40;
  V<double> y = (x < 0 ? -x : x) * 2;
  Split e = split_exp(y > most ? most : y);
  V<double> E = e.less * e.power + (e.power - 1), t = E / (E + 2);
  return x < 0 ? -t : t;
}

// e^x for x up to 88: powers of two by the exponent's bits, the rest by a polynomial.
INLINE V<float> exp_of(V<float> x) {
  typedef uint32_t I __attribute__((vector_size(BYTES), may_alias));
  const V<float> least = V<float>{} - 87, magic = V<float>{} + 0x1.8p23f;
  x = x < least ? least : x;
  V<float> k = x * 1.44269504088896341f + magic, n = k - magic;
  V<float> r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  V<float> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1;
  I bits = ((I)k << 23) + ((I{} + 127) << 23);
  return p * (V<float>)bits;
}

INLINE V<double> exp_of(V<double> x) {
  const V<double> least = V<double>{} - 700;
  Split e = split_exp(x < least ? least : x);
  return (e.less + 1) * e.power;
}
