// A stack of layers of neurons, v = s(v W + b), forwards and backwards, for each member's own weights; called through
// XLA's foreign function interface (FFI), in C: its C++ header alone takes seconds to compile.
//
// widths n[0..L]; w [weights]: W [n[l-1], n[l]], b [n[l]] and, of hidden units that are parametric, a [n[l]], layer after
// layer, and whatever stands behind them, whose gradient is 0; x [batch, n[0]]; y, dy [batch, n[L]]. Any array may have
// member axes in front, of size 1 where all members share it. The last layer is linear, and not the only one.
//
// Forwards:  z = v W + b, v = s(z); kept are the hidden layers' v, layer after layer, rows filled up to whole LANES.
// Backwards: d = dy; dW = v' d, db = sum of d over rows, and for the layer before d = (d W') s'(z), with s' from v.
//            Where it is asked for, also dx = d W' of the first layer.
//
// Units in full keep the slope too, behind v: s'(z) cannot be had from v of silu and mish, nor where units are
// parametric, v = z + a (s(z) - z), or dropped, v = 0 by chance, else v / keep; and s(z) - z behind it where they are
// parametric. What is dropped follows from a hash of the two numbers in `noise` and the place of the unit; noise[2] is
// keep 2^32, no noise drops nothing.
//
// A member is done by one thread and its numbers do not depend on the other members.

#include "frame.h"
#include "layers.h"
#include "memory.h"

// d s'(z) from v = s(z), in place.
void slope(int kind, T parameter, T* d, const T* v, I count) {
  switch (kind) {
    case TANH: return every(d, count, [=](V<T> d, I i) { return d - d * at(v + i) * at(v + i); });
    case SIGMOID: return every(d, count, [=](V<T> d, I i) { return d * at(v + i) * (1 - at(v + i)); });
    case STEEP_SIGMOID: return every(d, count, [=](V<T> d, I i) { return d * at(v + i) * (1 - at(v + i)) * 2; });
    case RELU: return every(d, count, [=](V<T> d, I i) { return at(v + i) > 0 ? d : V<T>{}; });
    case LEAKY_RELU: return every(d, count, [=](V<T> d, I i) { return at(v + i) > 0 ? d : d * parameter; });
    case ELU: return every(d, count, [=](V<T> d, I i) { return at(v + i) > 0 ? d : d * (at(v + i) + parameter); });
  }
}

// Forwards: v [rows, wide] from z, and in place of z the slope of v by it; of parametric units also what is due to a,
// bend = s(z) - z. Of a unit that is dropped all are 0.
template <int KIND>
void units_there(T parameter, const T* a, Noise noise, I from, I rows, I wide, T* z, T* bend, T* v) {
  for (I r = 0; r < rows; r++)
    for (I i = 0; i < wide; i += WIDE, z += WIDE, v += WIDE) {
      V<T> s, slope, own = at(z), bent{};
      value_and_slope<KIND>(own, parameter, s, slope);
      if (a) bent = s - own, s = own + bent * at(a + i), slope = (slope - 1) * at(a + i) + 1;
      if (noise.more) {
        const Words stays = noise.stays((from + r) * wide + i);
        s = stays ? s * noise.more : V<T>{}, slope = stays ? slope : V<T>{}, bent = stays ? bent : V<T>{};
      }
      put(v, s), put(z, slope);
      if (a) put(bend, bent), bend += WIDE;
    }
}

// Backwards: d, by v, to d by z, in place; da [wide] += what is due to a.
void units_back(T more, I rows, I wide, const T* slope, const T* bend, T* d, T* da) {
  for (I r = 0; r < rows; r++)
    for (I i = 0; i < wide; i += WIDE, slope += WIDE, d += WIDE) {
      const V<T> g = more ? at(d) * more : at(d);
      if (bend) put(da + i, at(da + i) + g * at(bend)), bend += WIDE;
      put(d, g * at(slope));
    }
}

#define ARGUMENTS (parameter, a, noise, from, rows, wide, z, bend, v)
void units_there_of(int kind, T parameter, const T* a, Noise noise, I from, I rows, I wide, T* z, T* bend, T* v) {
  OF_KIND(units_there)
}
#undef ARGUMENTS

void widen(T* to, const T* from, I rows, I columns) {
  const I row = filled(columns);
  for (I r = 0; r < rows; r++, to += row, from += columns) {
    memcpy(to, from, columns * sizeof(T));
    for (I i = columns; i < row; i++) to[i] = 0;
  }
}

void narrow(T* to, const T* from, I rows, I columns, bool add) {
  for (I r = 0; r < rows; r++, to += columns, from += filled(columns))
    if (add)
      for (I i = 0; i < columns; i++) to[i] += from[i];
    else
      memcpy(to, from, columns * sizeof(T));
}

// to [columns, filled(rows)], in squares: of lines that lie so far apart a cache holds few.
void transpose(T* to, const T* from, I rows, I columns) {
  const I row = filled(rows);
  for (I r = 0; r < row; r += LANES)
    for (I c = 0; c < columns; c += LANES) {
      const T* square = from + r * columns + c;
      T* turned = to + c * row + r;
      if (r + LANES <= rows && c + LANES <= columns) {
        for (I k = 0; k < LANES; k++, turned += row)
          EACH for (I i = 0; i < LANES; i++) turned[i] = square[i * columns + k];
        continue;
      }
      for (I k = 0; k < LANES && c + k < columns; k++, turned += row)
        for (I i = 0; i < LANES; i++) turned[i] = r + i < rows ? square[i * columns + k] : 0;
    }
}

struct Stack {
  I layers, batch;
  const I* n;
  const int32_t* kind;
  const double* parameter;
  bool full, parametric, inputs;  // inputs: whether their gradient is asked for
  const int32_t* noise;           // [3], or null

  I widest() const {
    I most = inputs ? filled(n[0]) : 0;
    for (I l = 1; l <= layers; l++) most = greater(most, filled(n[l]));
    return most;
  }
  I packed() const {
    I most = n[0] * filled(n[1]);
    for (I l = 2 - inputs; l <= layers; l++)
      most = greater(most, greater(n[l - 1] * filled(n[l]), n[l] * filled(n[l - 1])));
    return most;
  }
  I scratch() const { return (2 * ROWS_AT_ONCE + 3) * widest() + filled(packed()); }
  I weights(I l) const { return (n[l - 1] + 1 + (parametric && l < layers)) * n[l]; }
  I each() const { return full ? 2 + parametric : 1; }  // numbers that a unit keeps
  I kept(I l) const { return batch * filled(n[l]) * each(); }
  Noise noise_of(I l) const {
    if (!noise) return {0, 0, 0, 0};
    const uint32_t threshold = noise[2];
    return {(uint32_t)noise[0], (uint32_t)noise[1] ^ (uint32_t)l * 0x7f4a7c15u, threshold,
            threshold ? (T)4294967296.0 / threshold : (T)1};
  }
  // a [filled], from where it stands behind b.
  const T* strengths(I l, const T* w, T* room) const {
    if (!parametric) return nullptr;
    const T* a = w + (n[l - 1] + 1) * n[l];
    if (filled(n[l]) == n[l]) return a;
    widen(room, a, 1, n[l]);
    return room;
  }

  // Rows from `from` to `to`.
  void forward(I from, I to, const T* w, const T* x, T* y, T* kept, T* scratch) const {
    const I rows = to - from;
    T *first = scratch, *strength = first + widest(), *pack = strength + widest();
    const T* v = x + from * n[0];
    I row = n[0];
    for (I l = 1; l < layers; l++) {
      const I wide = filled(n[l]);
      T *own = kept + from * wide, *z = full ? own + batch * wide : own;
      hidden_sums(l, rows, w, v, row, z, first, pack);
      if (full)
        units_there_of(kind[l - 1], parameter[l - 1], strengths(l, w, strength), noise_of(l), from, rows, wide, z,
                       z + batch * wide, own);
      else
        activate(kind[l - 1], parameter[l - 1], z, rows * wide);
      v = own, row = wide, kept += this->kept(l), w += weights(l);
    }
    last(rows, w, v, row, y + from * n[layers], first, pack);
  }

  // y of the last layer of so many rows v; first, pack: room.
  void last(I rows, const T* w, const T* v, I row, T* y, T* first, T* pack) const {
    const I in = n[layers - 1], out = n[layers], wide = filled(out);
    const T* bias = w + in * out;
    if (out <= NARROW) {
      transpose(pack, w, in, out);
      for (I r = 0; r < rows; r++, v += row)
        for (I o = 0; o < out; o++) {
          V<T> sum{};
          for (I i = 0; i < row; i += WIDE) sum += at(v + i) * at(pack + o * row + i);
          *y++ = total(sum) + bias[o];
        }
      return;
    }
    widen(first, bias, 1, out);
    widen(pack, w, in, out);
    T* z = pack + in * wide;
    product<false>(rows, wide, in, v, row, pack, wide, first, 0, z, wide);
    narrow(y, z, rows, out, false);
  }

  // y of at most ROWS_AT_ONCE rows x, of which nothing is kept, and nothing is dropped.
  void values(I rows, const T* w, const T* x, T* y, T* scratch) const {
    T *first = scratch, *strength = first + widest(), *z = strength + widest(), *v = z + ROWS_AT_ONCE * widest();
    T* pack = v + ROWS_AT_ONCE * widest();
    const T* from = x;
    I row = n[0];
    for (I l = 1; l < layers; l++) {
      hidden_sums(l, rows, w, from, row, z, first, pack);
      const I wide = filled(n[l]);
      units_of(kind[l - 1], parameter[l - 1], strengths(l, w, strength), rows, wide, z, v);
      from = v, row = wide, w += weights(l);
    }
    last(rows, w, from, row, y, first, pack);
  }

  // z [rows, filled] of hidden layer l.
  void hidden_sums(I l, I rows, const T* w, const T* v, I row, T* z, T* first, T* pack) const {
    const I in = n[l - 1], out = n[l], wide = filled(out);
    const T *b = w, *bias = w + in * out;
    if (wide != out) widen(pack, w, in, out), widen(first, bias, 1, out), b = pack, bias = first;
    product<false>(rows, wide, in, v, row, b, wide, bias, 0, z, wide);
  }

  // Rows from `from` to `to`; w, kept and dw are behind their ends. What earlier rows gave is added to.
  void backward(I from, I to, const T* w, const T* x, const T* kept, const T* dy, T* dw, T* dx, T* scratch) const {
    const I most = widest(), rows = to - from;
    const bool more = from > 0;
    T *d = scratch, *other = d + ROWS_AT_ONCE * most, *sum = other + ROWS_AT_ONCE * most, *pack = sum + most;
    dy += from * n[layers];
    for (I l = layers; l > 0; l--) {
      const I in = n[l - 1], out = n[l], wide = filled(out), high = filled(in), row = l > 1 ? high : in;
      w -= weights(l), dw -= weights(l);
      if (l > 1) kept -= this->kept(l - 1);
      const T *v = (l > 1 ? kept : x) + from * row, *own = d;
      T* db = dw + in * out;
      I own_row = wide;
      if (l == layers && out <= NARROW) {
        own = dy, own_row = out;
        product<true>(out, high, rows, dy, out, v, row, nullptr, 0, pack, high);
        for (I o = 0; o < out; o++) {
          T sum = more ? db[o] : 0;
          for (I r = 0; r < rows; r++) sum += dy[r * out + o];
          db[o] = sum;
          for (I i = 0; i < in; i++) dw[i * out + o] = pack[o * high + i] + (more ? dw[i * out + o] : 0);
        }
      } else {
        if (l == layers) widen(d, dy, rows, out);
        for (I o = 0; o < out; o += WIDE) {
          const int some = out - o < WIDE ? out - o : WIDE;
          V<T> sum = more ? load(db + o, some) : V<T>{};
          for (I r = 0; r < rows; r++) sum += at(d + r * wide + o);
          store(db + o, sum, some);
        }
        if (wide == out) {
          product<true>(in, wide, rows, v, row, d, wide, more ? dw : nullptr, more ? wide : 0, dw, wide);
        } else {
          product<true>(in, wide, rows, v, row, d, wide, nullptr, 0, pack, wide);
          narrow(dw, pack, in, out, more);
        }
      }
      if (l == 1 && !inputs) return;
      transpose(pack, w, in, out);
      product<false>(rows, high, out, own, own_row, pack, high, nullptr, 0, other, high);
      if (l == 1) return narrow(dx + from * in, other, rows, in, false);
      if (full)
        back_through(l - 1, from, rows, v + batch * high, other, dw, sum);
      else
        slope(kind[l - 2], parameter[l - 2], other, v, rows * high);
      T* swap = d;
      d = other, other = swap;
    }
  }

  // d of units of the hidden layer l, in place, and what is due to their a; dw: where the next layer's begin.
  void back_through(I l, I from, I rows, const T* slope, T* d, T* dw, T* sum) const {
    const I out = n[l], wide = filled(out);
    T* da = dw - out;
    for (I i = 0; i < wide; i++) sum[i] = from > 0 && parametric && i < out ? da[i] : 0;
    units_back(noise_of(l).more, rows, wide, slope, parametric ? slope + batch * wide : nullptr, d, sum);
    if (parametric) memcpy(da, sum, out * sizeof(T));
  }
};

// --- the interface ---------------------------------------------------------------------------------------------------

thread_local Scratch<T> memory;

// The layers of a call, for rows of this shape; hidden: numbers that they keep. `given` weights there are.
Stack stack_of(const Call& call, I batch, I given, I& weights, I& hidden) {
  const Span<I> widths = call.list<I>("widths");
  const Span<int32_t> kinds = call.list<int32_t>("kinds");
  const Span<double> parameters = call.list<double>("parameters");
  const bool full = call.scalar<int32_t>("full"), parametric = call.scalar<int32_t>("parametric");
  Stack stack{(I)widths.size() - 1, batch, widths.begin(), kinds.begin(), parameters.begin(), full, parametric, false,
              nullptr};
  require(full || !parametric, "units that are parametric or dropped keep what they need");
  require(stack.layers > 1 && (I)kinds.size() == stack.layers - 1 && (I)parameters.size() == stack.layers - 1,
          "the description of its layers is not whole");
  weights = hidden = 0;
  for (I l = 0; l <= stack.layers; l++) {
    const I n = stack.n[l];
    require(n > 0 && n < I(1) << 31, "a layer has no possible width");
    const bool own = l && l < stack.layers;
    if (l) weights = sized({1, weights + sized({stack.n[l - 1] + 1 + (own && parametric), n})});
    if (own) {
      hidden = sized({1, hidden + sized({stack.batch, filled(n), stack.each()})});
      require(kinds[l - 1] >= LINEAR && kinds[l - 1] <= (full ? MISH : ELU), "an activation is unknown");
    }
  }
  require(given >= weights, "there are fewer weights than its layers have");
  return stack;
}

template <bool BACK>
void pass(const Call& call) {
  Array<T> w = call.argument(0, 1), x = call.argument(1, 2), first = call.result(0, BACK ? 1 : 2);
  Array<int32_t> noise = call.argument<int32_t>(2, 1);
  Array<T> kept = BACK ? call.argument(3, 1) : call.result(1, 1), y = BACK ? call.argument(4, 2) : first;
  Array<T> dx = BACK ? call.result(1, 1) : kept;
  const bool inputs = BACK && dx.dimensions().back(1) > 0, noisy = noise.dimensions().back(1) > 0;
  const Dimensions all = first.dimensions();
  const Members members{all, BACK ? 1u : 2u};
  const I given = w.dimensions().back(1);
  I weights, hidden;
  Stack stack = stack_of(call, x.dimensions().back(2), given, weights, hidden);
  stack.inputs = inputs;
  require(stack.full || !noisy, "units that are parametric or dropped keep what they need");
  members.check(w, {given}), members.check(x, {stack.batch, stack.n[0]});
  members.check(kept, {hidden}), members.check(y, {stack.batch, stack.n[stack.layers]});
  members.check(noise, {noisy ? 3 : 0});
  if (BACK) members.check(first, {given}), members.check(dx, {inputs ? sized({stack.batch, stack.n[0]}) : 0});
  T* scratch = memory.of(sized({1, stack.scratch()}));
  const I axes = BACK ? 1 : 2;
  for (I m = 0, count = members.count(); m < count; m++) {
    const T *own = part(w, 1, all, m), *rows = part(x, 2, all, m);
    if (noisy) stack.noise = part(noise, 1, all, m);
    if (BACK) memset(part(first, 1, all, m) + weights, 0, (given - weights) * sizeof(T));
    for (I from = 0; from < stack.batch; from += ROWS_AT_ONCE) {
      const I to = from + ROWS_AT_ONCE < stack.batch ? from + ROWS_AT_ONCE : stack.batch;
      if (BACK)
        stack.backward(from, to, own + weights, rows, part(kept, 1, all, m) + hidden, part(y, 2, all, m),
                       part(first, 1, all, m) + weights, inputs ? part(dx, 1, all, m) : nullptr, scratch);
      else
        stack.forward(from, to, own, rows, part(first, axes, all, m), part(kept, 1, all, m), scratch);
    }
  }
}

// y [batch, out] alone.
void values(const Call& call) {
  Array<T> w = call.argument(0, 1), x = call.argument(1, 2), y = call.result(0, 2);
  const Dimensions all = y.dimensions();
  const Members members{all, 2};
  const I batch = x.dimensions().back(2), given = w.dimensions().back(1);
  I weights, hidden;
  const Stack stack = stack_of(call, batch, given, weights, hidden);
  members.check(w, {given}), members.check(x, {batch, stack.n[0]}), members.check(y, {batch, stack.n[stack.layers]});
  T* scratch = memory.of(sized({1, stack.scratch()}));
  for (I m = 0, count = members.count(); m < count; m++)
    for (I from = 0; from < batch; from += ROWS_AT_ONCE)
      stack.values(batch - from < ROWS_AT_ONCE ? batch - from : ROWS_AT_ONCE, part(w, 1, all, m),
                   part(x, 2, all, m) + from * stack.n[0], part(y, 2, all, m) + from * stack.n[stack.layers], scratch);
}

// Weights of a start from the data (networks/tabular.py): those of each layer divided by the deviation of their sums over
// the rows x, biases that are minus a mean of some rows' sums, weighed by `shares`, so that every unit bends among the
// rows. w [weights] with whatever stands in place of biases; places [some, out of all layers], below the number of rows;
// shares of the same shape.
void start(const Call& call) {
  Array<T> w = call.argument(0, 1), x = call.argument(1, 2), shares = call.argument(3, 2), found = call.result(0, 1);
  Array<int32_t> places = call.argument<int32_t>(2, 2);
  const Dimensions all = found.dimensions();
  const Members members{all, 1};
  const I rows = x.dimensions().back(2), given = all.back(1), some = shares.dimensions().back(2);
  I weights, hidden, outputs = 0;
  const Stack stack = stack_of(call, rows, given, weights, hidden);
  for (I l = 1; l <= stack.layers; l++) outputs += stack.n[l];
  members.check(w, {given}), members.check(x, {rows, stack.n[0]});
  members.check(places, {some, outputs}), members.check(shares, {some, outputs});
  const I most = stack.widest();
  T* scratch = memory.of(sized({1, sized({2, rows, most}) + 2 * most + filled(stack.packed())}));
  T *z = scratch, *v = z + rows * most, *strength = v + rows * most, *by = strength + most;
  T* pack = by + most;
  for (I m = 0, count = members.count(); m < count; m++) {
    T* to = part(found, 1, all, m);
    memcpy(to, part(w, 1, all, m), given * sizeof(T));
    const T *from = part(x, 2, all, m), *share = part(shares, 2, all, m);
    const int32_t* place = part(places, 2, all, m);
    I row = stack.n[0];
    for (I l = 1; l <= stack.layers; l++) {
      const I in = stack.n[l - 1], out = stack.n[l], wide = filled(out);
      T* bias = to + in * out;
      widen(pack, to, in, out);
      product<false>(rows, wide, in, from, row, pack, wide, nullptr, 0, z, wide);
      for (I o = 0; o < out; o++) {
        double sum = 0, squares = 0;
        for (I r = 0; r < rows; r++) sum += z[r * wide + o];
        const double mean = sum / rows;
        for (I r = 0; r < rows; r++) squares += (z[r * wide + o] - mean) * (z[r * wide + o] - mean);
        const double spread = __builtin_sqrt(squares / rows);
        by[o] = spread > 1e-6 ? (T)(1 / spread) : 1;
        T whole = 0, due = 0;
        for (I k = 0; k < some; k++) {
          const I at = k * outputs + o;
          require(place[at] >= 0 && place[at] < rows, "a place is beyond the rows");
          whole += share[at], due += z[place[at] * wide + o] * share[at];
        }
        bias[o] = -due / whole * by[o];
      }
      for (I i = 0; i < in; i++)
        for (I o = 0; o < out; o++) to[i * out + o] *= by[o];
      if (l < stack.layers) {
        for (I r = 0; r < rows; r++)
          for (I o = 0; o < out; o++) z[r * wide + o] = z[r * wide + o] * by[o] + bias[o];
        units_of(stack.kind[l - 1], stack.parameter[l - 1], stack.strengths(l, to, strength), rows, wide, z, v);
        from = v, row = wide;
      }
      to += stack.weights(l), place += out, share += out;
    }
  }
}

// Rows of a table [n, width] at places [batch], which are below n: their first numbers [batch, first], and the others. A
// row that lies far away takes as long to come as hundreds of products, so rows are asked for before they are needed.
void rows(const Call& call) {
  constexpr I AHEAD = 12, LINE = 64, MOST = 8 * LINE;  // what follows in a long row the processor foresees itself
  Array<T> table = call.argument(0, 2), first = call.result(0, 2), others = call.result(1, 2);
  Array<int32_t> places = call.argument<int32_t>(1, 1);
  const Dimensions all = first.dimensions();
  const I n = table.dimensions().back(2), batch = all.back(2);
  const I own = all.back(1), rest = others.dimensions().back(1), width = own + rest;
  const Members members{all, 2};
  members.check(table, {n, width}), members.check(places, {batch}), members.check(others, {batch, rest});
  const I seen = width * (I)sizeof(T) < MOST ? width * (I)sizeof(T) : MOST;
  for (I m = 0, count = members.count(); m < count; m++) {
    const T* from = part(table, 2, all, m);
    const int32_t* place = part(places, 1, all, m);
    T *to = part(first, 2, all, m), *beside = part(others, 2, all, m);
    for (I r = 0; r < batch; r++, to += own, beside += rest) {
      if (r + AHEAD < batch) {
        const char* next = (const char*)(from + place[r + AHEAD] * width);
        for (I i = 0; i < seen; i += LINE) __builtin_prefetch(next + i);
        __builtin_prefetch(next + seen - 1);
      }
      const T* row = from + place[r] * width;
      memcpy(to, row, own * sizeof(T));
      memcpy(beside, row + own, rest * sizeof(T));
    }
  }
}

HANDLER(dense_forward, pass<false>)
HANDLER(dense_values, values)
HANDLER(dense_start, start)
HANDLER(dense_rows, rows)
HANDLER(dense_backward, pass<true>)
