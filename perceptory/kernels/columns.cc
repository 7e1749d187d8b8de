// Features of a table's columns for a network, forwards and backwards, for each member's own weights; called through
// XLA's foreign function interface (FFI).
//
// Of a row come n numbers u, flags, and categories as numbers that are mostly 0. Its features are y = scale * [u, v,
// flags, q]: of each number v [width], of each group of categories q [depth], the sum of c vectors[category] over
// what is not 0.
//
// PIECEWISE:  v = sum over bins b of (share_b - 1/2) W[b], share_b being how much of bin b lies below u: 1 below the
//             bin of u, s within, 0 above and in bins without a width. With sums P[k] = sum over b < k of W[b] -
//             1/2 sum W it is P[k] + s W[k], so a number costs the search for its bin, whatever the number of bins.
//             Backwards, with A[k] = sum of dy and S[k] = sum of s dy over rows in bin k: dW[b] = scale (sum over
//             k > b of A[k] + S[b] - 1/2 sum A), and dscale = sum of A P + S W. Edges are no weights.
// PERIODIC:   v = bias + sum over f of cos(2 pi u frequency[f] + phase[f]) W[f].
//
// weights: PIECEWISE W [n, bins, width]; PERIODIC frequency, phase [n, bins], W [n, bins, width], bias [n, width]; then
// vectors [category, depth]; then, where there is one, scale [feature].
//
// Any array may have member axes in front, of size 1 where all members share it. A member is done by one thread and its
// numbers do not depend on the other members.

#include <algorithm>

#include "bins.h"
#include "frame.h"
#include "memory.h"
#include "vectors.h"
#include "waves.h"

constexpr I WIDE = W<T>;
constexpr I ROWS_AT_ONCE = 256;  // whose waves stay in a cache
enum Kind { NONE, PIECEWISE, PERIODIC };

INLINE I whole(I n) { return (n + WIDE - 1) / WIDE * WIDE; }
INLINE T total(const T* p, I count) {
  T sum = 0;
  for (I i = 0; i < count; i++) sum += p[i];
  return sum;
}

struct Columns {
  int32_t kind;
  I batch, numbers, flags, bins, width, depth;  // width: of what stands beside a number; depth: of a category's vector
  Span<I> groups;                               // how many categories each group has
  bool scaled;

  I embedded() const { return kind ? sized({numbers, width}) : 0; }
  I features() const { return sized({1, numbers + embedded() + flags + sized({(I)groups.size(), depth})}); }
  I categories() const {
    I sum = 0;
    for (I size : groups) require(size > 0, "a group has no categories"), sum = sized({1, sum + size});
    return sum;
  }
  I own() const {  // weights of the embedding of one number
    return kind ? sized({bins, width + (kind == PERIODIC ? 2 : 0)}) + (kind == PERIODIC ? width : 0) : 0;
  }
  I weights() const {
    return sized({1, sized({numbers, own()}) + sized({categories(), depth}) + (scaled ? features() : 0)});
  }
  I edges() const { return kind == PIECEWISE ? sized({numbers, bins + 1}) : 0; }
  I kept() const { return kind == PIECEWISE ? sized({2, batch, numbers}) : 0; }
  I scratch() const {
    const I sums = sized({4, bins + 1, width}), waves = sized({1 + width, ROWS_AT_ONCE + WIDE});
    return sized({1, features() + (sums > waves ? sums : waves)});
  }

  // [bins, 2, width]: the sum of a column's vectors before each bin less half of all of them, and the bin's own vector.
  template <int C>
  void sums(const T* edges, const T* __restrict w, T* __restrict table) const {
    const I width = C ? C : this->width;
    for (I i = 0; i < width; i++) table[i] = 0;
    for (I k = 0; k < bins; k++)
      for (I i = 0; i < width; i++) table[i] -= (T)0.5 * w[k * width + i];
    for (I k = 0; k < bins; k++, table += 2 * width, w += width) {
      const T there = has_width(edges, k);
      for (I i = 0; i < width; i++) table[width + i] = there * w[i];
      if (k + 1 < bins)
        for (I i = 0; i < width; i++) table[2 * width + i] = table[i] + table[width + i];
    }
  }

  // Of column c; u and y are its own, a row's apart. kept: of each row the share and the bin.
  template <int C>
  void piecewise(const T* u, const T* edges, const T* w, const T* scale, T* __restrict y, T* kept, T* table) const {
    const I width = C ? C : this->width, row = features();
    sums<C>(edges, w, table);
    for (I r = 0; r < batch; r++, u += numbers, y += row, kept += 2) {
      const I k = bin_of(*u, edges, bins);
      const T s = share_of(*u, edges, k), *__restrict p = table + 2 * k * width;
      kept[0] = s, kept[1] = k;
      for (I i = 0; i < width; i++) y[i] = (p[i] + s * p[width + i]) * scale[i];
    }
  }

  template <int C>
  void piecewise_back(const T* edges, const T* w, const T* scale, const T* kept, const T* __restrict dy, T* dw,
                      T* dscale, T* table, T* __restrict due) const {
    const I width = C ? C : this->width, row = features();
    memset(due, 0, 2 * bins * width * sizeof(T));  // [bins, 2, width]: A and S
    for (I r = 0; r < batch; r++, dy += row, kept += 2) {
      const T s = kept[0], place = kept[1];
      const I k = place >= 0 && place < bins ? (I)place : 0;
      T* __restrict d = due + 2 * k * width;
      for (I i = 0; i < width; i++) d[i] += dy[i], d[width + i] += s * dy[i];
    }
    sums<C>(edges, w, table);
    T *__restrict sum = due + 2 * bins * width, *__restrict part = sum + width;
    for (I i = 0; i < 2 * width; i++) sum[i] = 0;
    for (I k = 0; k < bins; k++) {
      const T *d = due + 2 * k * width, *p = table + 2 * k * width;
      for (I i = 0; i < width; i++) sum[i] += d[i], part[i] += d[i] * p[i] + d[width + i] * p[width + i];
    }
    for (I i = 0; dscale && i < width; i++) dscale[i] = part[i];
    for (I i = 0; i < width; i++) part[i] = 0;  // from here on what is due to the bins above
    for (I k = bins; k-- > 0;) {
      const T* d = due + 2 * k * width;
      const T there = has_width(edges, k);
      T* __restrict to = dw + k * width;
      for (I i = 0; i < width; i++) {
        to[i] = scale[i] * (there * (part[i] + d[width + i]) - sum[i] * (T)0.5);
        part[i] += d[i];
      }
    }
  }

  // Rows of a column that pass at once, one after the other, up to whole vectors of them.
  static void column(const T* from, I row, I rows, T* to) {
    for (I r = 0; r < rows; r++) to[r] = from[r * row];
    for (I r = rows; r < whole(rows); r++) to[r] = 0;
  }

  void periodic(const T* u, const T* frequency, const T* phase, const T* w, const T* bias, const T* scale, T* y,
                T* scratch) const {
    const I row = features();
    T *x = scratch, *v = scratch + whole(ROWS_AT_ONCE);
    for (I from = 0; from < batch; from += ROWS_AT_ONCE) {
      const I rows = batch - from < ROWS_AT_ONCE ? batch - from : ROWS_AT_ONCE, filled = whole(rows);
      column(u + from * numbers, numbers, rows, x);
      for (I i = 0; i < width; i++)
        for (I r = 0; r < filled; r++) v[i * filled + r] = bias[i];
      for (I f = 0; f < bins; f++)
        for (I r = 0; r < filled; r += WIDE) {
          const V<T> c = wave_of(at(x + r) * frequency[f] + phase[f] * (T)0.15915494309189533577).cos;
          for (I i = 0; i < width; i++) put(v + i * filled + r, at(v + i * filled + r) + c * w[f * width + i]);
        }
      for (I r = 0; r < rows; r++)
        for (I i = 0; i < width; i++) y[(from + r) * row + i] = v[i * filled + r] * scale[i];
    }
  }

  void periodic_back(const T* u, const T* frequency, const T* phase, const T* w, const T* bias, const T* scale,
                     const T* dy, T* dfrequency, T* dphase, T* dw, T* dbias, T* dscale, T* scratch) const {
    const I row = features(), most = whole(ROWS_AT_ONCE);
    T *x = scratch, *d = x + most, *sum = d + width * most;
    for (I f = 0; f < bins; f++) dfrequency[f] = dphase[f] = 0;
    for (I i = 0; i < bins * width; i++) dw[i] = 0;
    for (I i = 0; i < width; i++) dbias[i] = 0;
    for (I from = 0; from < batch; from += ROWS_AT_ONCE) {
      const I rows = batch - from < ROWS_AT_ONCE ? batch - from : ROWS_AT_ONCE, filled = whole(rows);
      column(u + from * numbers, numbers, rows, x);
      for (I i = 0; i < width; i++) {
        column(dy + from * row + i, row, rows, d + i * filled);
        dbias[i] += total(d + i * filled, rows);
      }
      for (I f = 0; f < bins; f++) {
        V<T> slope{}, turned{};
        for (I i = 0; i < width * WIDE; i++) sum[i] = 0;
        for (I r = 0; r < filled; r += WIDE) {
          const Wave wave = wave_of(at(x + r) * frequency[f] + phase[f] * (T)0.15915494309189533577);
          V<T> due{};
          for (I i = 0; i < width; i++) {
            const V<T> own = at(d + i * filled + r);
            due += own * (w[f * width + i] * scale[i]);
            put(sum + i * WIDE, at(sum + i * WIDE) + wave.cos * own);
          }
          due *= wave.sin;
          turned += due, slope += due * at(x + r);
        }
        T ends[WIDE];
        memcpy(ends, &turned, sizeof ends), dphase[f] -= total(ends, WIDE);
        memcpy(ends, &slope, sizeof ends), dfrequency[f] -= total(ends, WIDE) * (T)6.283185307179586476925;
        for (I i = 0; i < width; i++) dw[f * width + i] += total(sum + i * WIDE, WIDE);
      }
    }
    for (I i = 0; i < width; i++) {
      T part = bias[i] * dbias[i];
      for (I f = 0; f < bins; f++) part += w[f * width + i] * dw[f * width + i], dw[f * width + i] *= scale[i];
      dbias[i] *= scale[i];
      if (dscale) dscale[i] = part;
    }
  }

  // What is not 0 of a row's categories [count]: place by place, of hundreds most of which are 0 some at a time.
  template <class F>
  static INLINE void each(const T* known, I count, F f) {
    constexpr I SOME = 4 * W<T>;
    for (I j = 0; j < count; j += SOME) {
      const I end = std::min(count, j + SOME);
      if (end - j == SOME) {
        V<T> squares{};
        EACH for (I i = 0; i < SOME; i += W<T>) {
          const V<T> part = at(known + j + i);
          squares += part * part;
        }
        T any = 0;
        EACH for (I i = 0; i < W<T>; i++) any += squares[i];
        if (any == 0) continue;
      }
      for (I i = j; i < end; i++)
        if (known[i] != 0) f(i, known[i]);
    }
  }

  void forward(const T* u, const T* flags, const T* known, const T* edges, const T* w, T* y, T* kept,
               T* scratch) const {
    const I row = features(), vectors = numbers * own(), beside = numbers + embedded(), count = categories();
    const T *lists = w + vectors, *scale = lists + count * depth;
    if (!scaled) {
      for (I i = 0; i < row; i++) scratch[i] = 1;
      scale = scratch;
    }
    scratch += row;
    for (I r = 0; r < batch; r++) {
      T* __restrict own = y + r * row;
      for (I i = 0; i < numbers; i++) own[i] = u[r * numbers + i] * scale[i];
      for (I i = 0; i < this->flags; i++) own[beside + i] = flags[r * this->flags + i] * scale[beside + i];
      own += beside + this->flags;
      const T *c = known + r * count, *list = lists, *scales = scale + beside + this->flags;
      for (I size : groups) {
        for (I i = 0; i < depth; i++) own[i] = 0;
        each(c, size, [&](I j, T value) {
          for (I i = 0; i < depth; i++) own[i] += value * list[j * depth + i];
        });
        for (I i = 0; i < depth; i++) own[i] *= scales[i];
        own += depth, scales += depth, c += size, list += size * depth;
      }
    }
    const I many = bins * numbers;
    for (I c = 0; kind && c < numbers; c++) {
      const T* scales = scale + numbers + c * width;
      T* own = y + numbers + c * width;
      if (kind == PERIODIC) {
        periodic(u + c, w + c * bins, w + many + c * bins, w + 2 * many + c * bins * width,
                 w + 2 * many + many * width + c * width, scales, own, scratch);
        continue;
      }
      const T *edge = edges + c * (bins + 1), *vector = w + c * bins * width;
      T* keep = kept + 2 * c * batch;
      switch (width) {
        case 8: piecewise<8>(u + c, edge, vector, scales, own, keep, scratch); break;
        case 16: piecewise<16>(u + c, edge, vector, scales, own, keep, scratch); break;
        default: piecewise<0>(u + c, edge, vector, scales, own, keep, scratch);
      }
    }
  }

  void backward(const T* u, const T* flags, const T* known, const T* edges, const T* w, const T* kept, const T* dy,
                T* dw, T* scratch) const {
    const I row = features(), vectors = numbers * own(), beside = numbers + embedded(), count = categories();
    const T *lists = w + vectors, *scale = lists + count * depth;
    T *due = dw + vectors, *dscale = scaled ? due + count * depth : nullptr;
    if (!scaled) {
      for (I i = 0; i < row; i++) scratch[i] = 1;
      scale = scratch;
    }
    scratch += row;
    for (I i = 0; i < count * depth; i++) due[i] = 0;
    for (I i = 0; dscale && i < row; i++) dscale[i] = 0;
    for (I r = 0; r < batch; r++) {
      const T* __restrict own = dy + r * row;
      if (dscale) {
        for (I i = 0; i < numbers; i++) dscale[i] += own[i] * u[r * numbers + i];
        for (I i = 0; i < this->flags; i++) dscale[beside + i] += own[beside + i] * flags[r * this->flags + i];
      }
      own += beside + this->flags;
      const T* c = known + r * count;
      T* list = due;
      for (I size : groups) {
        each(c, size, [&](I j, T value) {
          for (I i = 0; i < depth; i++) list[j * depth + i] += value * own[i];
        });
        own += depth, c += size, list += size * depth;
      }
    }
    I place = beside + this->flags, j = 0;
    for (I size : groups) {
      for (I end = j + size; j < end; j++)
        for (I i = 0; i < depth; i++) {
          if (dscale) dscale[place + i] += due[j * depth + i] * lists[j * depth + i];
          due[j * depth + i] *= scale[place + i];
        }
      place += depth;
    }
    const I many = bins * numbers;
    for (I c = 0; kind && c < numbers; c++) {
      const T *scales = scale + numbers + c * width, *own = dy + numbers + c * width;
      T* parts = dscale ? dscale + numbers + c * width : nullptr;
      if (kind == PERIODIC) {
        const I p = many + c * bins, v = 2 * many + c * bins * width, b = 2 * many + many * width + c * width;
        periodic_back(u + c, w + c * bins, w + p, w + v, w + b, scales, own, dw + c * bins, dw + p, dw + v, dw + b,
                      parts, scratch);
        continue;
      }
      const T *edge = edges + c * (bins + 1), *vector = w + c * bins * width, *keep = kept + 2 * c * batch;
      T *to = dw + c * bins * width, *sum = scratch + 2 * (bins + 1) * width;
      switch (width) {
        case 8: piecewise_back<8>(edge, vector, scales, keep, own, to, parts, scratch, sum); break;
        case 16: piecewise_back<16>(edge, vector, scales, keep, own, to, parts, scratch, sum); break;
        default: piecewise_back<0>(edge, vector, scales, keep, own, to, parts, scratch, sum);
      }
    }
  }
};

// --- the interface ---------------------------------------------------------------------------------------------------

thread_local Scratch<T> memory;

template <bool BACK>
void pass(const Call& call) {
  Array<T> u = call.argument(0, 2), flags = call.argument(1, 2), known = call.argument(2, 2);
  Array<T> edges = call.argument(3, 1), w = call.argument(4, 1), first = call.result(0, BACK ? 1 : 2);
  Array<T> kept = BACK ? call.argument(5, 1) : call.result(1, 1), y = BACK ? call.argument(6, 2) : first;
  const Dimensions all = first.dimensions();
  const Members members{all, BACK ? 1u : 2u};
  const Span<I> sizes = call.list<I>("sizes");
  require(sizes.size() == 3 && u.dimensions().back(2) == flags.dimensions().back(2), "its sizes are not whole");
  const Columns columns{call.scalar<int32_t>("kind"), u.dimensions().back(2), u.dimensions().back(1),
                        flags.dimensions().back(1), sizes[0], sizes[1], sizes[2], call.list<I>("groups"),
                        (bool)call.scalar<int32_t>("scaled")};
  require(columns.kind >= NONE && columns.kind <= PERIODIC, "an embedding is unknown");
  for (I size : sizes) require(size >= 0 && size < I(1) << 24, "its sizes are not possible");
  require(!columns.kind || (columns.bins > 0 && columns.width > 0), "an embedding has no size");
  const I weights = columns.weights();
  members.check(u, {columns.batch, columns.numbers}), members.check(flags, {columns.batch, columns.flags});
  members.check(known, {columns.batch, columns.categories()}), members.check(edges, {columns.edges()});
  members.check(w, {weights}), members.check(kept, {columns.kept()});
  members.check(y, {columns.batch, columns.features()});
  if (BACK) members.check(first, {weights});
  T* scratch = memory.of(columns.scratch());
  for (I m = 0, count = members.count(); m < count; m++) {
    const T *numbers = part(u, 2, all, m), *beside = part(flags, 2, all, m), *lists = part(known, 2, all, m);
    const T *edge = part(edges, 1, all, m), *own = part(w, 1, all, m);
    if (BACK)
      columns.backward(numbers, beside, lists, edge, own, part(kept, 1, all, m), part(y, 2, all, m),
                       part(first, 1, all, m), scratch);
    else
      columns.forward(numbers, beside, lists, edge, own, part(first, 2, all, m), part(kept, 1, all, m), scratch);
  }
}

// place [batch, n] = how many bins with a width lie below x [batch, n], edges being [n, bins + 1].
void places(const Call& call) {
  Array<T> x = call.argument(0, 2), edges = call.argument(1, 2), place = call.result(0, 2);
  const Dimensions all = place.dimensions();
  const Members members{all, 2};
  const I batch = all.back(2), numbers = all.back(1), bins = edges.dimensions().back(1) - 1;
  require(bins > 0 && bins < I(1) << 24, "there are no bins");
  members.check(x, {batch, numbers}), members.check(edges, {numbers, bins + 1});
  T* below = memory.of(sized({1, bins}));
  for (I m = 0, count = members.count(); m < count; m++) {
    const T *from = part(x, 2, all, m), *edge = part(edges, 2, all, m);
    T* to = part(place, 2, all, m);
    for (I c = 0; c < numbers; c++, edge += bins + 1) {
      T sum = 0;
      for (I k = 0; k < bins; k++) below[k] = sum, sum += has_width(edge, k);
      for (I r = 0; r < batch; r++) {
        const T value = from[r * numbers + c];
        const I k = bin_of(value, edge, bins);
        to[r * numbers + c] = below[k] + share_of(value, edge, k);
      }
    }
  }
}

// Of the rows x [row, n] with w [row] > 0, column by column in ascending order, what is asked for at shares `levels` of
// them, ascending from 0 to 1, to [n, level]. EDGES: the first number up to which lies that share of the rows and of the
// distinct numbers, both counting half. GAPS: the middle between that and the next larger number, each once and behind
// them NOWHERE. QUANTILES: linear between neighbors. inf where no row counts.
enum Asked { EDGES, GAPS, QUANTILES };
constexpr T NOWHERE = 1e30;  // as in layers/thresholds.py
void ordered(const Call& call, Asked asked) {
  Array<T> x = call.argument(0, 2), w = call.argument(1, 1), levels = call.argument(2, 1), found = call.result(0, 2);
  const Dimensions all = found.dimensions();
  const Members members{all, 2};
  const I rows = w.dimensions().back(1), columns = all.back(2), many = all.back(1);
  members.check(x, {rows, columns}), members.check(w, {rows}), members.check(levels, {many});
  T* column = memory.of(sized({1, rows + 1}));
  for (I m = 0, count = members.count(); m < count; m++) {
    const T *from = part(x, 2, all, m), *weight = part(w, 1, all, m), *level = part(levels, 1, all, m);
    T* to = part(found, 2, all, m);
    for (I c = 0; c < columns; c++, to += many) {
      I real = 0;
      for (I r = 0; r < rows; r++)
        if (weight[r] > 0) column[real++] = from[r * columns + c];
      qsort(column, real, sizeof(T), [](const void* a, const void* b) {  // compiled in no time, unlike a template
        const T one = *(const T*)a, other = *(const T*)b;
        return one != one || other != other ? (one != one) - (other != other) : (one > other) - (one < other);
      });
      if (!real) column[real++] = __builtin_inf();
      const I last = real - 1;
      if (asked == QUANTILES) {
        for (I k = 0; k < many; k++) {
          const T place = level[k] * (T)last;
          const I low = place < (T)last ? (I)place : last, high = low < last ? low + 1 : last;
          to[k] = column[low] + (place - (T)low) * (column[high] - column[low]);
        }
        continue;
      }
      const auto is_new = [&](I i) { return !i || column[i] != column[i - 1]; };
      I distinct = 0, i = 0, seen = 1, filled = 0;
      for (I k = 0; k < real; k++) distinct += is_new(k);
      for (I k = 0; k < many; k++) {
        while (i < last && (T)0.5 * ((T)(i + 1) / (T)real + (T)seen / (T)distinct) < level[k]) seen += is_new(++i);
        if (asked == EDGES) {
          to[k] = column[i];
          continue;
        }
        I above = i + 1;
        while (above < real && column[above] == column[i]) above++;
        const T middle = above < real ? column[i] + (T)0.5 * (column[above] - column[i]) : NOWHERE;
        if (middle < NOWHERE && (!filled || middle != to[filled - 1])) to[filled++] = middle;
      }
      while (asked == GAPS && filled < many) to[filled++] = NOWHERE;
    }
  }
}

HANDLER(columns_edges, [](const Call& call) { ordered(call, EDGES); })
HANDLER(columns_gaps, [](const Call& call) { ordered(call, GAPS); })
HANDLER(columns_quantiles, [](const Call& call) { ordered(call, QUANTILES); })
HANDLER(columns_forward, pass<false>)
HANDLER(columns_backward, pass<true>)
HANDLER(columns_places, places)
