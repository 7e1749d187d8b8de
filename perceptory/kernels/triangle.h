// Products of tiles that stay in registers, and Cholesky's factor by them.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "vectors.h"

// A tile of sums that fits into the registers with what it needs: HIGH rows of WIDE vectors.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int HIGH = 8, WIDE = 3;
#else
constexpr int HIGH = 4, WIDE = 3;
#endif

template <class T>
int64_t vectors(int64_t n) {
  return (n + W<T> - 1) / W<T>;
}

// The sum of a vector's numbers, one after the other.
template <class T>
T in_order(V<T> v) {
  T sum = 0;
  for (int c = 0; c < W<T>; c++) sum += v[c];
  return sum;
}

// Numbers in a row of a matrix of so many columns: whole vectors, and an odd number of them, so that the rows fall on
// all lines of a cache.
template <class T>
int64_t width(int64_t columns) {
  return (vectors<T>(columns) | 1) * W<T>;
}

// to [R, C vectors] += Σ_k a(k, r) b(k, c), or -= it; a_next, b_next, next: numbers in a row of each.
template <class T, int R, int C, bool MINUS>
void tile(int64_t depth, const T* a, int64_t a_next, const T* b, int64_t b_next, T* to, int64_t next) {
  alignas(BYTES) V<T> sum[R][C];
  EACH for (int r = 0; r < R; r++)
    EACH for (int c = 0; c < C; c++) sum[r][c] = *(const V<T>*)(to + r * next + c * W<T>);
  for (int64_t k = 0; k < depth; k++, a += a_next, b += b_next) {
    alignas(BYTES) V<T> v[C];
    EACH for (int c = 0; c < C; c++) {
      V<T> own = *(const V<T>*)(b + c * W<T>);  // of an array's element `hold` keeps a copy in memory
      hold(own);
      v[c] = own;
    }
    EACH for (int r = 0; r < R; r++) {
      V<T> u = a[r] - V<T>{};
      hold(u);
      EACH for (int c = 0; c < C; c++)
        if constexpr (MINUS)
          sum[r][c] -= u * v[c];
        else
          sum[r][c] += u * v[c];
    }
  }
  EACH for (int r = 0; r < R; r++)
    EACH for (int c = 0; c < C; c++) *(V<T>*)(to + r * next + c * W<T>) = sum[r][c];
}

// U of a = Uᵀ U in place, row by row, in rows of `next` numbers, of which `wide` count, whole vectors; what stands right
// of column n is treated as a is, so a column b becomes U⁻ᵀ b. False where a is not positive definite. Of a the upper
// triangle is read, and what stands left of it in the tiles of the diagonal must be finite.
template <class T>
struct Triangular {
  int64_t n, next, wide;
  T *u, *inverse;  // [n, next]; [n] 1 over its diagonal

  // rows from j to j + R of `to`, in vectors from `begin` to `end`, less those above times U, from row `from` on.
  void subtract(int64_t j, int64_t R, const T* above, T* to, int64_t ahead, int64_t begin, int64_t end,
                int64_t from) const {
    fixed<HIGH>(R, [&](auto height) {
      for (int64_t c = begin; c < end; c += WIDE)
        fixed<WIDE>(end - c, [&](auto columns) {
          tile<T, decltype(height)::value, decltype(columns)::value, true>(
              j - from, u + from * next + j, next, above + from * ahead + c * W<T>, ahead, to + j * ahead + c * W<T>,
              ahead);
        });
    });
  }

  // The rows from j to j + R on, in vectors from `begin` to `end`, when nothing above them is left in them; false where a
  // number on the diagonal is not above 0. own: whether these columns begin with the diagonal.
  bool finish(int64_t j, int64_t R, int64_t begin, int64_t end, bool own) const {
    for (int64_t i = j; i < j + R; i++) {
      T* row = u + i * next;
      if (own) {
        if (!(row[i] > 0) || !std::isfinite(row[i])) return false;
        inverse[i] = 1 / std::sqrt(row[i]);
      }
      for (int64_t c = begin * W<T>; c < end * W<T>; c += W<T>) *(V<T>*)(row + c) *= inverse[i];
      for (int64_t k = i + 1; k < j + R; k++) {
        const T share = row[k];
        T* other = u + k * next;
        for (int64_t c = begin * W<T>; c < end * W<T>; c += W<T>) *(V<T>*)(other + c) -= share * *(const V<T>*)(row + c);
      }
    }
    return true;
  }

  bool factorize() const {
    for (int64_t j = 0; j < n; j += HIGH) {
      const int64_t R = std::min<int64_t>(HIGH, n - j), begin = j / W<T>, end = wide / W<T>;
      if (j) subtract(j, R, u, u, next, begin, end, 0);
      if (!finish(j, R, begin, end, true)) return false;
    }
    return true;
  }

  // After `factorize`, of columns right of `wide`, in vectors from `begin` to `end`: as it would have treated them.
  void follow(int64_t begin, int64_t end) const {
    for (int64_t j = 0; j < n; j += HIGH) {
      const int64_t R = std::min<int64_t>(HIGH, n - j);
      if (j) subtract(j, R, u, u, next, begin, end, 0);
      finish(j, R, begin, end, false);
    }
  }

  // Σ of the squares of U⁻ᵀ, which is made in x [n, next].
  T squares(T* x) const {
    std::fill_n(x, n * next, T(0));
    V<T> sum{};
    for (int64_t j = 0; j < n; j += HIGH) {
      const int64_t R = std::min<int64_t>(HIGH, n - j), end = vectors<T>(j + R);
      for (int64_t i = j; i < j + R; i++) x[i * next + i] = 1;
      for (int64_t c = 0; c < vectors<T>(j); c += WIDE)  // above row c W these columns are zeros
        subtract(j, R, x, x, next, c, std::min(vectors<T>(j), c + WIDE), std::min(j, c * W<T>));
      for (int64_t i = j; i < j + R; i++) {
        T* row = x + i * next;
        for (int64_t c = 0; c < end * W<T>; c += W<T>) {
          *(V<T>*)(row + c) *= inverse[i];
          sum += *(V<T>*)(row + c) * *(V<T>*)(row + c);
        }
        for (int64_t k = i + 1; k < j + R; k++) {
          const T share = u[i * next + k];
          T* other = x + k * next;
          for (int64_t c = 0; c < end * W<T>; c += W<T>) *(V<T>*)(other + c) -= share * *(const V<T>*)(row + c);
        }
      }
    }
    return in_order<T>(sum);
  }
};
