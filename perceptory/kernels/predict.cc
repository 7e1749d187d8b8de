// What stacks of layers of neurons give for rows of a table, each member with its own weights and scaling; called by
// Python itself, without XLA.
//
// Of a row come numbers, nan where missing, flags, 1 where one of the numbers is missing, and of each column of
// categories a code, -1 for none of its features. An input is a number, scaled by (x + shift) factor and 0 where it is
// missing; a flag, one of two numbers; or one of a column's features, of which at most one is 1. So the first layer's
// weighted sums begin with a row of a table for each column, and only numbers and flags are multiplied.
//
// Networks for tables have more inputs. A number, or a flag, is v = clip((x - center) factor), with clip(x) = x / sqrt(1 +
// (x / most)²), before which a number may become its place among bins. Behind all inputs stand width numbers for each
// number: P[k] + s W[k], k being its bin and s how much of that lies below it, or bias + sum over f of cos(2 pi (v
// frequency[f] + phase[f])) W[f], as in columns.cc. Hidden units are z + a (s(z) - z), where a [n[l]] follows b.
//
// Each member's weights, rows filled up to whole LANES with zeros: of each column of categories [1 + features, n[1]]
// what its code adds, from -1 on; W [inputs, n[1]] of the other inputs, b [n[1]]; W, b of each layer that follows. Of
// the last one, where it is narrow and not the first, W' [n[L], n[L-1]].

#include <new>

#include "bins.h"
#include "layers.h"
#include "memory.h"
#include "waves.h"

// 1 / q, to the last bit or two, where a division takes twice as long.
INLINE V<T> inverse(V<T> q) {
#if defined(__AVX512F__) && !defined(DOUBLE)
  typedef float Whole __attribute__((vector_size(64)));
  const V<T> r = __builtin_ia32_rcp14ps512_mask((Whole)q, Whole{}, -1);
  return r * (2 - q * r);
#else
  return 1 / q;
#endif
}

INLINE V<T> soon_tanh(V<T> x) {
#ifdef DOUBLE
  return tanh_of(x);
#else
  V<T> p, q;
  tanh_parts(x, p, q);
  return p * inverse(q);
#endif
}

void activated(int kind, T parameter, T* z, I count) {
  const T half = 0.5;
  switch (kind) {
    case LINEAR: return;
    case TANH: return every(z, count, [](V<T> z, I) { return soon_tanh(z); });
    case SIGMOID: return every(z, count, [=](V<T> z, I) { return soon_tanh(z * half) * half + half; });
    case SELU: case SILU: case MISH: return units_of(kind, parameter, nullptr, 1, count, z, z);
    default: return activate(kind, parameter, z, count);
  }
}

constexpr I BLOCK = 128;  // rows of one pass through all layers, which stay in the nearest cache

static thread_local Scratch<T> memory;
static thread_local Scratch<const T*> rows_of;

struct Rows {
  I rows, from_row, from_number;  // how far apart a row's and a number's values are
  const T* x;
  I from_group;
  const int8_t* codes;  // [group, row]
};

struct Networks {
  I members, layers, numbers, inputs, groups;
  const I* n;       // [layers + 1] widths, of which the first is not looked at
  const I* sizes;   // [group] features
  const int32_t* of;  // [input] the number that it is, or -1 less the number whose absence it tells
  const int32_t* kind;
  const double* parameter;
  const T* scaling;  // [member, input, 2]: shift and factor of a number; a flag where the number is there, where not
  const T* weights;
  I each;  // numbers of a member's weights
  // Of networks for tables, else null or 0:
  I embedded, width, bins, parametric;  // how many inputs, the first ones, have numbers beside them
  I placed, steps;                      // how many of the first ones become places, among so many bins
  const T *column, *most;               // [member, input, 2] center and factor; [member] 0 for no clip
  const T *place_edges, *below;         // [member, placed, steps + 1], of `place_of`
  const T *edges, *sums;                // [member, embedded, bins + 1], [member, embedded, bins, 2, width] P and W
  const T *turns, *waves, *bias;        // or [member, embedded, bins, 2] frequency and phase, [member, embedded, bins,
                                        // width] W, [member, embedded, width]

  I depth() const { return inputs + embedded * width; }
  I widest() const {
    I most = filled(n[1]);
    for (I l = 2; l <= layers; l++) most = greater(most, filled(n[l]));
    return most;
  }
  I scratch() const { return BLOCK * (numbers + depth() + 2 * widest()); }

  void scale(I lanes, const T* x, const T* scaling, T* to) const {  // lanes: as many rows as are looked at
    for (I i = 0; i < inputs; i++, scaling += 2, to += BLOCK) {
      const T* from = x + (of[i] < 0 ? -1 - of[i] : of[i]) * BLOCK;
      const V<T> first = all(scaling[0]), second = all(scaling[1]);
      for (I r = 0; r < lanes; r += WIDE) {
        const V<T> own = at(from + r);
        put(to + r, of[i] < 0 ? (own == own ? first : second) : own == own ? (own + first) * second : V<T>{});
      }
    }
  }

  // v of a network for tables [depth, BLOCK] from its scaled inputs, in place; those of the numbers behind them.
  void columns(I m, I lanes, T* v) const {
    const T greatest = most[m], inverse = greatest > 0 ? 1 / greatest : 0;
    for (I i = 0; i < inputs; i++) {
      T* own = v + i * BLOCK;
      const T *by = column + (m * inputs + i) * 2, center = by[0], factor = by[1];
      for (I r = 0; r < lanes; r += WIDE) {
        V<T> u = (at(own + r) - center) * factor;
        if (i < placed) u = places(m * placed + i, u);
        if (greatest > 0) u *= inverse_root(1 + u * inverse * (u * inverse));
        put(own + r, u);
      }
      if (i >= embedded) continue;
      if (turns)
        periodic(m * embedded + i, lanes, own, v + (inputs + i * width) * BLOCK);
      else
        piecewise(m * embedded + i, lanes, own, v + (inputs + i * width) * BLOCK);
    }
  }

  V<T> places(I column, V<T> u) const {
    T each[WIDE];
    put(each, u);
    for (I r = 0; r < WIDE; r++)
      each[r] = place_of(each[r], place_edges + column * (steps + 1), below + column * (steps + 1), steps);
    return at(each);
  }

  // Of a column of all members, [BLOCK] to [width, BLOCK].
  void piecewise(I column, I lanes, const T* own, T* to) const {
    const T *edge = edges + column * (bins + 1), *table = sums + column * bins * 2 * width;
    for (I r = 0; r < lanes; r++) {
      const I k = bin_of(own[r], edge, bins);
      const T s = share_of(own[r], edge, k), *p = table + k * 2 * width;
      for (I j = 0; j < width; j++) to[j * BLOCK + r] = p[j] + s * p[width + j];
    }
  }

  void periodic(I column, I lanes, const T* own, T* to) const {
    const T *turn = turns + column * bins * 2, *w = waves + column * bins * width, *first = bias + column * width;
    for (I j = 0; j < width; j++)
      for (I r = 0; r < lanes; r += WIDE) put(to + j * BLOCK + r, all(first[j]));
    for (I f = 0; f < bins; f++, turn += 2, w += width)
      for (I r = 0; r < lanes; r += WIDE) {
        const V<T> c = wave_of(at(own + r) * turn[0] + turn[1]).cos;
        for (I j = 0; j < width; j++) put(to + j * BLOCK + r, at(to + j * BLOCK + r) + c * w[j]);
      }
  }

  // z [rows, wide] = b and what the codes of rows from `from` on add; behind the tables.
  const T* begin(const Rows& table, I from, I rows, I wide, const T* w, T* z) const {
    const T* first = w;
    for (I g = 0; g < groups; g++) w += (1 + sizes[g]) * wide;
    const T* bias = w + depth() * wide;
    const T** own = rows_of.of(groups);
    for (I r = 0; r < rows; r++, z += wide) {
      const T* next = first + wide;  // behind what -1 stands for
      for (I g = 0; g < groups; g++, next += (1 + sizes[g - 1]) * wide)
        own[g] = next + table.codes[g * table.from_group + from + r] * wide;
      for (I i = 0; i < wide; i += WIDE) {
        V<T> sum = at(bias + i);
        for (I g = 0; g < groups; g++) sum += at(own[g] + i);
        put(z + i, sum);
      }
    }
    return w;
  }

  // One member's y [rows, n[layers]] of the block x [number, BLOCK].
  void forward(const Rows& table, I m, I from, I rows, const T* x, T* y, T* scratch) const {
    T *scaled = scratch, *z = scaled + BLOCK * depth(), *other = z + BLOCK * widest();
    const I lanes = (rows + WIDE - 1) / WIDE * WIDE;
    scale(lanes, x, scaling + m * inputs * 2, scaled);
    if (column) columns(m, lanes, scaled);
    I wide = filled(n[1]);
    const T* w = begin(table, from, rows, wide, weights + m * each, z);
    product<true>(rows, wide, depth(), scaled, BLOCK, w, wide, z, wide, z, wide);
    w += (depth() + 1) * wide;
    for (I l = 2; l <= layers; l++) {
      if (parametric)
        units_of(kind[l - 2], parameter[l - 2], w, rows, wide, z, z), w += wide;
      else
        activated(kind[l - 2], parameter[l - 2], z, rows * wide);
      const I in = wide, out = n[l];
      if (l == layers && out <= NARROW) return narrow_sums(rows, in, out, z, w, y);
      wide = filled(out);
      product<false>(rows, wide, n[l - 1], z, in, w, wide, w + n[l - 1] * wide, 0, other, wide);
      w += (n[l - 1] + 1) * wide;
      T* swap = z;
      z = other, other = swap;
    }
    for (I r = 0; r < rows; r++, y += n[layers]) memcpy(y, z + r * wide, n[layers] * sizeof(T));
  }

  static void narrow_sums(I rows, I in, I out, const T* v, const T* w, T* y) {
    const T* bias = w + in * out;
    for (I r = 0; r < rows; r++, v += in)
      for (I o = 0; o < out; o++) {
        V<T> sum{};
        for (I i = 0; i < in; i += WIDE) sum += at(v + i) * at(w + o * in + i);
        *y++ = total(sum) + bias[o];
      }
  }
};

// y: [member, row, out], a member's `from_member` apart. 1 where there is no memory.
extern "C" int predict_outputs(const Networks* networks, const Rows* table, T* y, I from_member) try {
  T* x = memory.of(networks->scratch());
  for (I from = 0; from < table->rows; from += BLOCK) {
    const I left = table->rows - from, rows = left < BLOCK ? left : BLOCK;
    for (I j = 0; j < networks->numbers; j++) {
      const T* own = table->x + from * table->from_row + j * table->from_number;
      for (I r = 0; r < rows; r++) x[j * BLOCK + r] = own[r * table->from_row];
      for (I r = rows; r < BLOCK; r++) x[j * BLOCK + r] = 0;
    }
    for (I m = 0; m < networks->members; m++)
      networks->forward(*table, m, from, rows, x, y + m * from_member + from * networks->n[networks->layers],
                        x + BLOCK * networks->numbers);
  }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}
