// Bins of a column's numbers. One type of numbers a library, T.

#pragma once

#include "vectors.h"

typedef Number T;
typedef int64_t I;

// In which of the bins between edges [bins + 1] x lies, the first and the last one reaching to infinity.
INLINE I bin_of(T x, const T* edges, I bins) {
  I k = 0;
  for (I n = bins, half; n > 1; n -= half) half = n / 2, k += edges[k + half] <= x ? half : 0;
  return k;
}
INLINE bool has_width(const T* edges, I k) { return edges[k + 1] > edges[k]; }
// How much of bin k lies below x; nan stays nan.
INLINE T share_of(T x, const T* edges, I k) {
  const T s = (x - edges[k]) / (has_width(edges, k) ? edges[k + 1] - edges[k] : 1);
  return x == x && !has_width(edges, k) ? 0 : s < 0 ? 0 : s > 1 ? 1 : s;
}
// The place of x among the bins that have a width, with mean 0 and deviation 1 where all bins are as likely; under:
// [bins + 1] how many of them there are below, and in all.
INLINE T place_of(T x, const T* edges, const T* under, I bins) {
  const I k = bin_of(x, edges, bins);
  const T all = under[bins] > 1 ? under[bins] : 1;
  return ((under[k] + share_of(x, edges, k)) / all - (T)0.5) * (T)3.4641016151377545871;
}
