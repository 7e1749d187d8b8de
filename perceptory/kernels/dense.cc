// A stack of layers of neurons, v = s(v W + b), forwards and backwards, for each member's own weights; called through
// XLA's foreign function interface (FFI), in C: its C++ header alone takes seconds to compile.
//
// widths n[0..L]; w [weights]: W [n[l-1], n[l]] and b [n[l]], layer after layer; x [batch, n[0]]; y, dy [batch, n[L]].
// Any array may have member axes in front, of size 1 where all members share it. The last layer is linear.
//
// Forwards:  z = v W + b, v = s(z); kept are the hidden layers' v, layer after layer, rows filled up to whole LANES.
// Backwards: d = dy; dW = v' d, db = sum of d over rows, and for the layer before d = (d W') s'(z), with s' from v.
//
// A member is done by one thread and its numbers do not depend on the other members.

#include <cstdlib>

#include "frame.h"
#include "vectors.h"

typedef Number T;
typedef int64_t I;
constexpr I LANES = 16;          // a row's end is filled up to a multiple, which all vectors divide
constexpr I NARROW = 3;          // outputs up to which vectors run along the last layer's inputs
constexpr I ROWS_AT_ONCE = 256;  // rows of one pass through all layers, which stay in a cache
constexpr I WIDE = W<T>;         // numbers of a vector
enum Kind { LINEAR, TANH, SIGMOID, STEEP_SIGMOID, RELU, LEAKY_RELU, ELU };

typedef T Register __attribute__((vector_size(BYTES)));  // V<T> may lie anywhere, this one where vectors lie
#define EACH _Pragma("GCC unroll 8")                     // a loop over registers

INLINE I filled(I n) { return (n + LANES - 1) / LANES * LANES; }
INLINE I greater(I a, I b) { return a > b ? a : b; }
INLINE V<T> all(T value) { return value - V<T>{}; }
INLINE V<T>& at(T* p) { return *(V<T>*)p; }
INLINE V<T> at(const T* p) { return *(const V<T>*)p; }

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
      w[n] = at(b + n * WIDE);
      hold(w[n]);
    }
    EACH for (int m = 0; m < M; m++) {
      Register s = all(TRANSPOSED ? a[k * a_row + m] : a[m * a_row + k]);
      hold(s);
      EACH for (int n = 0; n < N; n++) sum[m][n] += s * w[n];
    }
  }
  EACH for (int m = 0; m < M; m++)
    EACH for (int n = 0; n < N; n++) at(c + m * c_row + n * WIDE) = sum[m][n];
}

template <int N, bool TRANSPOSED>
void panel(I rows, I depth, const T* a, I a_row, const T* b, I b_row, const T* first, I first_row, T* c, I c_row) {
  constexpr int M = N <= 2 ? 2 * ROWS : ROWS;
  const I next = TRANSPOSED ? 1 : a_row;
  for (; rows >= M; rows -= M, a += M * next, first += M * first_row, c += M * c_row)
    tile<M, N, TRANSPOSED>(depth, a, a_row, b, b_row, first, first_row, c, c_row);
  for (; rows > 0; rows--, a += next, first += first_row, c += c_row)
    tile<1, N, TRANSPOSED>(depth, a, a_row, b, b_row, first, first_row, c, c_row);
}

// c [rows, columns] = first + a b, as of a tile; columns in whole vectors.
template <bool TRANSPOSED>
void product(I rows, I columns, I depth, const T* a, I a_row, const T* b, I b_row, const T* first, I first_row, T* c,
             I c_row) {
  for (I n = 0; n < columns; n += 4 * WIDE) {
    const T* start = first ? first + n : nullptr;
    switch ((columns - n + WIDE - 1) / WIDE) {
      case 1: panel<1, TRANSPOSED>(rows, depth, a, a_row, b + n, b_row, start, first_row, c + n, c_row); break;
      case 2: panel<2, TRANSPOSED>(rows, depth, a, a_row, b + n, b_row, start, first_row, c + n, c_row); break;
      case 3: panel<3, TRANSPOSED>(rows, depth, a, a_row, b + n, b_row, start, first_row, c + n, c_row); break;
      default: panel<4, TRANSPOSED>(rows, depth, a, a_row, b + n, b_row, start, first_row, c + n, c_row);
    }
  }
}

template <class F>
INLINE void every(T* p, I count, F f) {
  for (I i = 0; i < count; i += WIDE) at(p + i) = f(at(p + i), i);
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

INLINE T total(V<T> v) {
  T part[WIDE];
  memcpy(part, &v, sizeof v);
  for (I n = WIDE / 2; n; n /= 2)
    for (I i = 0; i < n; i++) part[i] += part[i + n];
  return part[0];
}

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

void transpose(T* to, const T* from, I rows, I columns) {  // to [columns, filled(rows)]
  const I row = filled(rows);
  for (I c = 0; c < columns; c++, to += row) {
    for (I r = 0; r < rows; r++) to[r] = from[r * columns + c];
    for (I r = rows; r < row; r++) to[r] = 0;
  }
}

struct Stack {
  I layers, batch;
  const I* n;
  const int32_t* kind;
  const double* parameter;

  // Of all layers but the input.
  I widest() const {
    I most = 0;
    for (I l = 1; l <= layers; l++) most = greater(most, filled(n[l]));
    return most;
  }
  I packed() const {
    I most = n[0] * filled(n[1]);
    for (I l = 2; l <= layers; l++) most = greater(most, greater(n[l - 1] * filled(n[l]), n[l] * filled(n[l - 1])));
    return most;
  }
  I scratch() const { return (2 * ROWS_AT_ONCE + 1) * widest() + filled(packed()); }

  // Rows from `from` to `to`.
  void forward(I from, I to, const T* w, const T* x, T* y, T* kept, T* scratch) const {
    const I rows = to - from;
    T *first = scratch, *pack = first + widest();
    const T* v = x + from * n[0];
    I row = n[0];
    for (I l = 1; l < layers; l++) {
      const I in = n[l - 1], out = n[l], wide = filled(out);
      const T *b = w, *bias = w + in * out;
      if (wide != out) widen(pack, w, in, out), widen(first, bias, 1, out), b = pack, bias = first;
      T* z = kept + from * wide;
      product<false>(rows, wide, in, v, row, b, wide, bias, 0, z, wide);
      activate(kind[l - 1], parameter[l - 1], z, rows * wide);
      v = z, row = wide, kept += batch * wide, w += (in + 1) * out;
    }
    const I in = n[layers - 1], out = n[layers], wide = filled(out);
    const T* bias = w + in * out;
    y += from * out;
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

  // Rows from `from` to `to`; w, kept and dw are behind their ends. What earlier rows gave is added to.
  void backward(I from, I to, const T* w, const T* x, const T* kept, const T* dy, T* dw, T* scratch) const {
    const I most = widest(), rows = to - from;
    const bool more = from > 0;
    T *d = scratch, *other = d + ROWS_AT_ONCE * most, *pack = other + ROWS_AT_ONCE * most;
    dy += from * n[layers];
    for (I l = layers; l > 0; l--) {
      const I in = n[l - 1], out = n[l], wide = filled(out), high = filled(in), row = l > 1 ? high : in;
      w -= (in + 1) * out, dw -= (in + 1) * out;
      if (l > 1) kept -= batch * high;
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
      if (l == 1) return;
      transpose(pack, w, in, out);
      product<false>(rows, high, out, own, own_row, pack, high, nullptr, 0, other, high);
      slope(kind[l - 2], parameter[l - 2], other, v, rows * high);
      T* swap = d;
      d = other, other = swap;
    }
  }
};

// --- the interface ---------------------------------------------------------------------------------------------------

// A thread's own memory, kept: fresh pages from the system cost more than the products.
struct Scratch {
  T* start = nullptr;
  I size = 0;
  T* of(I numbers) {
    if (numbers > size) {
      free(start);
      start = (T*)aligned_alloc(64, numbers * sizeof(T));
      size = start ? numbers : 0;
      if (!start) throw std::bad_alloc();
    }
    return start;
  }
  ~Scratch() { free(start); }
};
thread_local Scratch memory;

template <bool BACK>
void pass(const Call& call) {
  const Span<I> widths = call.list<I>("widths");
  const Span<int32_t> kinds = call.list<int32_t>("kinds");
  const Span<double> parameters = call.list<double>("parameters");
  Array<T> w = call.argument(0, 1), x = call.argument(1, 2), first = call.result(0, BACK ? 1 : 2);
  Array<T> kept = BACK ? call.argument(2, 1) : call.result(1, 1), y = BACK ? call.argument(3, 2) : first;
  const Dimensions all = first.dimensions();
  const Members members{all, BACK ? 1u : 2u};
  Stack stack{(I)widths.size() - 1, x.dimensions().back(2), widths.begin(), kinds.begin(), parameters.begin()};
  require(stack.layers > 0 && (I)kinds.size() == stack.layers - 1 && (I)parameters.size() == stack.layers - 1,
          "the description of its layers is not whole");
  I weights = 0, hidden = 0;
  for (I l = 0; l <= stack.layers; l++) {
    const I n = stack.n[l];
    require(n > 0 && n < I(1) << 31, "a layer has no possible width");
    if (l) weights = sized({1, weights + sized({stack.n[l - 1] + 1, n})});
    if (l && l < stack.layers) {
      hidden = sized({1, hidden + sized({stack.batch, filled(n)})});
      require(kinds[l - 1] >= LINEAR && kinds[l - 1] <= ELU, "an activation is unknown");
    }
  }
  members.check(w, {weights}), members.check(x, {stack.batch, stack.n[0]});
  members.check(kept, {hidden}), members.check(y, {stack.batch, stack.n[stack.layers]});
  if (BACK) members.check(first, {weights});
  T* scratch = memory.of(sized({1, stack.scratch()}));
  const I axes = BACK ? 1 : 2;
  for (I m = 0, count = members.count(); m < count; m++) {
    const T *own = part(w, 1, all, m), *rows = part(x, 2, all, m);
    for (I from = 0; from < stack.batch; from += ROWS_AT_ONCE) {
      const I to = from + ROWS_AT_ONCE < stack.batch ? from + ROWS_AT_ONCE : stack.batch;
      if (BACK)
        stack.backward(from, to, own + weights, rows, part(kept, 1, all, m) + hidden, part(y, 2, all, m),
                       part(first, 1, all, m) + weights, scratch);
      else
        stack.forward(from, to, own, rows, part(first, axes, all, m), part(kept, 1, all, m), scratch);
    }
  }
}

HANDLER(dense_forward, pass<false>)
HANDLER(dense_backward, pass<true>)
