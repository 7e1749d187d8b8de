// LSTM over time, forwards and backwards, on vectors of units; called through XLA's foreign function interface (FFI).
//
// Shapes, time-major: x [T, B, F], input weights [F, 4H], recurrent weights [H, 4H], bias [4H], states [B, H], lengths
// [B]. Order of gates: i, f, o, g. Any array may have member axes in front, of size 1 where all members share it.
//
// Forwards:  a = x W + h U + b; i, f, o = (1 + tanh(a / 2)) / 2, g = tanh(a); c = f c + i g; h = o tanh(c).
//            The values of tanh of all gates are kept for the way back.
// Backwards: q = tanh(c); e = dc + dh o (1 - q^2); with the derivative of tanh, da = (e g, e c_before, dh q) / 4 for
//            i, f, o and e i for g, each times 1 - tanh^2; dc = f e; dh = da U'.
//
// A row is done by one thread, and in the same order of operations whatever its neighbors, members and threads are:
// its numbers do not depend on them. At steps from its length on a row's h is 0 and nothing else happens to it.

#include <algorithm>
#include <cstdint>

#include "calls.h"
#include "vectors.h"

// One member's arrays. Without c and kept (null) the memory cells go on in c_last.
template <class T>
struct Forward {
  int64_t time, batch, features, H;
  const T *x, *input, *recurrent, *bias, *h_start, *c_start;
  const int32_t* lengths;
  T *h, *h_last, *c_last, *c, *kept;

  int64_t packed() const { return (H + W<T> - 1) / W<T> * (1 + features + H) * 4 * W<T>; }

  // For every W units the bias, then the weights, as vectors of the four gates: in the order in which they are read.
  void pack(T* p) const {
    for (int64_t u = 0; u < H; u += W<T>)
      for (int64_t k = -1; k < features + H; k++) {
        const T* row = k < 0 ? bias : k < features ? input + k * 4 * H : recurrent + (k - features) * 4 * H;
        int64_t n = std::min<int64_t>(W<T>, H - u);
        for (int gate = 0; gate < 4; gate++, p += W<T>) {
          std::copy_n(row + gate * H + u, n, p);
          std::fill(p + n, p + W<T>, T(0));
        }
      }
  }

  // M rows from `row` on, the W units from u on.
  template <int M>
  INLINE void tile(int64_t t, int64_t row, int64_t u, const T* p, const T* before, const T* c_before, T* c_now) const {
    alignas(BYTES) V<T> a[M][4];
    for (int gate = 0; gate < 4; gate++, p += W<T>)
      for (int m = 0; m < M; m++) a[m][gate] = *(const V<T>*)p;
    auto add = [&](const T* left, int64_t count) {
      for (int64_t k = 0; k < count; k++, p += 4 * W<T>) {
        alignas(BYTES) V<T> w[4];
        for (int gate = 0; gate < 4; gate++) w[gate] = *(const V<T>*)(p + gate * W<T>), hold(w[gate]);
        for (int m = 0; m < M; m++) {
          V<T> s = left[m * count + k] - V<T>{};
          for (int gate = 0; gate < 4; gate++) a[m][gate] += s * w[gate];
        }
      }
    };
    add(x + (t * batch + row) * features, features);
    add(before + row * H, H);
    if (H - u >= W<T>)
      finish<M>(t, row, u, W<T>, a, c_before, c_now);
    else
      finish<M>(t, row, u, H - u, a, c_before, c_now);
  }

  template <int M>
  INLINE void finish(int64_t t, int64_t row, int64_t u, int n, V<T> (&a)[M][4], const T* c_before, T* c_now) const {
    const T half = 0.5;
    for (int m = 0; m < M; m++, row++) {
      if (t >= lengths[row]) continue;
      V<T> ti = tanh_of(a[m][0] * half), tf = tanh_of(a[m][1] * half), to = tanh_of(a[m][2] * half);
      V<T> g = tanh_of(a[m][3]), i = ti * half + half, f = tf * half + half, o = to * half + half;
      V<T> c = f * load(c_before + row * H + u, n) + i * g;
      store(c_now + row * H + u, c, n);
      store(h + (t * batch + row) * H + u, o * tanh_of(c), n);
      if (!kept) continue;
      T* at = kept + (t * batch + row) * 4 * H + u;
      store(at, ti, n), store(at + H, tf, n), store(at + 2 * H, to, n), store(at + 3 * H, g, n);
    }
  }

  bool any(int64_t t, int64_t row, int64_t count) const {
    return std::any_of(lengths + row, lengths + row + count, [=](int32_t n) { return t < n; });
  }

  void run(int64_t first, int64_t end, const T* p) const {
    if (!c) std::copy(c_start + first * H, c_start + end * H, c_last + first * H);
    for (int64_t t = 0; t < time; t++) {
      const T* before = t ? h + (t - 1) * batch * H : h_start;
      const T* c_before = !c ? c_last : t ? c + (t - 1) * batch * H : c_start;
      T* c_now = c ? c + t * batch * H : c_last;
      const T* panel = p;
      for (int64_t u = 0; u < H; u += W<T>, panel += (1 + features + H) * 4 * W<T>) {
        int64_t row = first;
        for (; row + ROWS <= end; row += ROWS)
          if (any(t, row, ROWS)) tile<ROWS>(t, row, u, panel, before, c_before, c_now);
        for (; row < end; row++)
          if (any(t, row, 1)) tile<1>(t, row, u, panel, before, c_before, c_now);
      }
      for (int64_t row = first; row < end; row++) {
        if (t < lengths[row]) continue;
        std::fill_n(h + (t * batch + row) * H, H, T(0));
        if (c) std::fill_n(c_now + row * H, H, T(0));
        if (kept) std::fill_n(kept + (t * batch + row) * 4 * H, 4 * H, T(0));
      }
    }
    for (int64_t row = first; row < end; row++) {
      int64_t n = std::min<int64_t>(lengths[row], time), at = ((n - 1) * batch + row) * H;
      std::copy_n(n > 0 ? h + at : h_start + row * H, H, h_last + row * H);
      if (c) std::copy_n(n > 0 ? c + at : c_start + row * H, H, c_last + row * H);
    }
  }
};

// One member's arrays. dh and dc start as the gradients by the last state and end as those by the first. The carried
// gradient ends at every step that is a multiple of `truncation`; 0: nowhere.
template <class T>
struct Backward {
  int64_t time, batch, H, truncation;
  const T *recurrent, *c_start, *c, *kept, *dy, *dh_last, *dc_last;
  const int32_t* lengths;
  T *da, *dh, *dc;

  int64_t packed() const { return (H + W<T> - 1) / W<T> * 4 * H * W<T>; }

  // U' [4H, H] in panels of up to 4 vectors of columns.
  void pack(T* p) const {
    for (int64_t u = 0; u < H; u += 4 * W<T>) {
      int64_t n = std::min<int64_t>(4 * W<T>, H - u), wide = (n + W<T> - 1) / W<T> * W<T>;
      for (int64_t k = 0; k < 4 * H; k++)
        for (int64_t j = 0; j < wide; j++) *p++ = j < n ? recurrent[(u + j) * 4 * H + k] : T(0);
    }
  }

  INLINE void gates(int64_t t, int64_t row, int64_t u, int n) const {
    const int64_t at = (t * batch + row) * H + u;
    const T* k = kept + (t * batch + row) * 4 * H + u;
    T* d = da + (t * batch + row) * 4 * H + u;
    const T one = 1, half = 0.5, fourth = 0.25;
    V<T> ti = load(k, n), tf = load(k + H, n), to = load(k + 2 * H, n), g = load(k + 3 * H, n);
    V<T> i = ti * half + half, f = tf * half + half, o = to * half + half, q = tanh_of(load(c + at, n));
    V<T> before = load(t ? c + at - batch * H : c_start + row * H + u, n);
    V<T> by_h = load(dh + row * H + u, n) + load(dy + at, n);
    V<T> e = load(dc + row * H + u, n) + by_h * o * (one - q * q), quarter = e * fourth;
    store(d, quarter * g * (one - ti * ti), n);
    store(d + H, quarter * before * (one - tf * tf), n);
    store(d + 2 * H, by_h * fourth * q * (one - to * to), n);
    store(d + 3 * H, e * i * (one - g * g), n);
    store(dc + row * H + u, e * f, n);
  }

  // dh = da U': M rows, N vectors of units from u on.
  template <int M, int N>
  INLINE void tile(int64_t t, int64_t row, int64_t u, const T* p) const {
    alignas(BYTES) V<T> sum[M][N];
    for (int m = 0; m < M; m++)
      for (int j = 0; j < N; j++) sum[m][j] = V<T>{};
    const T* left = da + (t * batch + row) * 4 * H;
    for (int64_t k = 0; k < 4 * H; k++, p += N * W<T>)
      for (int m = 0; m < M; m++) {
        V<T> s = V<T>{} + left[m * 4 * H + k];
        for (int j = 0; j < N; j++) sum[m][j] += s * *(const V<T>*)(p + j * W<T>);
      }
    for (int m = 0; m < M; m++, row++)
      if (t < lengths[row])
        for (int j = 0; j < N; j++)
          store(dh + row * H + u + j * W<T>, sum[m][j], (int)std::min<int64_t>(W<T>, H - u - j * W<T>));
  }

  template <int N>
  void panel(int64_t t, int64_t row, int64_t end, int64_t u, const T* p) const {
    constexpr int M = N <= 2 ? 2 * ROWS : ROWS;
    for (; row + M <= end; row += M) tile<M, N>(t, row, u, p);
    for (; row < end; row++) tile<1, N>(t, row, u, p);
  }

  void run(int64_t first, int64_t end, const T* p) const {
    std::copy(dh_last + first * H, dh_last + end * H, dh + first * H);
    std::copy(dc_last + first * H, dc_last + end * H, dc + first * H);
    for (int64_t t = time - 1; t >= 0; t--) {
      bool some = false, cut = truncation && t && t % truncation == 0;
      for (int64_t row = first; row < end; row++) {
        if (t >= lengths[row]) {
          std::fill_n(da + (t * batch + row) * 4 * H, 4 * H, T(0));
          continue;
        }
        some = true;
        int64_t u = 0;
        for (; u + W<T> <= H; u += W<T>) gates(t, row, u, W<T>);
        if (u < H) gates(t, row, u, H - u);
        if (cut) std::fill_n(dh + row * H, H, T(0)), std::fill_n(dc + row * H, H, T(0));
      }
      if (!some || cut) continue;
      const T* at = p;
      for (int64_t u = 0; u < H; u += 4 * W<T>, at += 4 * H * 4 * W<T>) switch ((H - u + W<T> - 1) / W<T>) {
          case 1: panel<1>(t, first, end, u, at); break;
          case 2: panel<2>(t, first, end, u, at); break;
          case 3: panel<3>(t, first, end, u, at); break;
          default: panel<4>(t, first, end, u, at);
        }
    }
  }
};

// Runs all members; every thread does its share of the rows, or, where rows are few, of the members.
template <class T, class Job>
void run(ThreadPool pool, int64_t members, int64_t batch, double work, int32_t threads, const Job& job) {
  if (!members || !batch) return;
  bool by_row = members < threads || batch >= 4 * ROWS * int64_t(threads);
  int64_t most = by_row ? (batch + ROWS - 1) / ROWS : members;
  constexpr double WORTH = 1e6;  // multiplications that take longer than to wake a thread
  int64_t parts = std::max<int64_t>(1, std::min<int64_t>({threads, most, (int64_t)(work / WORTH)}));
  int64_t size = job(0).packed();
  std::unique_ptr<T[]> packs(new T[sized({parts, size})]);
  auto share = [&](int64_t k) {
    auto edge = [&](int64_t k) { return by_row ? std::min(batch, k * most / parts * ROWS) : k * most / parts; };
    T* pack = packs.get() + k * size;
    for (int64_t m = by_row ? 0 : edge(k); m < (by_row ? members : edge(k + 1)); m++) {
      auto one = job(m);
      one.pack(pack);
      one.run(by_row ? edge(k) : 0, by_row ? edge(k + 1) : batch, pack);
    }
  };
  in_shares(pool, parts, share);
}

// KEEPING: with the results that the way back needs.
template <bool KEEPING>
void forward(const Call& call) {
  typedef Number T;
  const int32_t threads = call.scalar<int32_t>("threads");
  auto x = call.argument(0, 3), input = call.argument(1, 2), recurrent = call.argument(2, 2);
  auto bias = call.argument(3, 1), h_start = call.argument(4, 2), c_start = call.argument(5, 2);
  auto lengths = call.argument<int32_t>(6, 1);
  auto h = call.result(0, 3), h_last = call.result(1, 2), c_last = call.result(2, 2);
  auto c = call.result(KEEPING ? 3 : 0, 3), kept = call.result(KEEPING ? 4 : 0, 3);
  const Dimensions all = h.dimensions();
  const Members members{all, 3};
  const int64_t time = all.back(3), batch = all.back(2), H = all.back(1), features = x.dimensions().back(1);
  members.check(x, {time, batch, features}), members.check(input, {features, 4 * H});
  members.check(recurrent, {H, 4 * H}), members.check(bias, {4 * H});
  members.check(h_start, {batch, H}), members.check(c_start, {batch, H}), members.check(lengths, {batch});
  members.check(h_last, {batch, H}), members.check(c_last, {batch, H}), members.check(c, {time, batch, H});
  if (KEEPING) members.check(kept, {time, batch, 4 * H});
  auto job = [&](int64_t m) {
    return Forward<T>{time, batch, features, H, part(x, 3, all, m), part(input, 2, all, m), part(recurrent, 2, all, m),
                      part(bias, 1, all, m), part(h_start, 2, all, m), part(c_start, 2, all, m),
                      part(lengths, 1, all, m), part(h, 3, all, m), part(h_last, 2, all, m), part(c_last, 2, all, m),
                      KEEPING ? part(c, 3, all, m) : nullptr, KEEPING ? part(kept, 3, all, m) : nullptr};
  };
  const double work = double(members.count()) * time * batch * (features + H) * 4 * H;
  run<T>(ThreadPool(call), members.count(), batch, work, threads, job);
}

void backward(const Call& call) {
  typedef Number T;
  const int32_t threads = call.scalar<int32_t>("threads"), truncation = call.scalar<int32_t>("truncation");
  auto recurrent = call.argument(0, 2), c_start = call.argument(1, 2), c = call.argument(2, 3);
  auto kept = call.argument(3, 3), dy = call.argument(4, 3), dh_last = call.argument(5, 2);
  auto dc_last = call.argument(6, 2);
  auto lengths = call.argument<int32_t>(7, 1);
  auto da = call.result(0, 3), dh = call.result(1, 2), dc = call.result(2, 2);
  const Dimensions all = da.dimensions();
  const Members members{all, 3};
  const int64_t time = all.back(3), batch = all.back(2), H = all.back(1) / 4;
  require(truncation >= 0 && all.back(1) == 4 * H, "the sizes of its arrays do not fit together");
  members.check(recurrent, {H, 4 * H}), members.check(c_start, {batch, H}), members.check(c, {time, batch, H});
  members.check(kept, {time, batch, 4 * H}), members.check(dy, {time, batch, H});
  members.check(dh_last, {batch, H}), members.check(dc_last, {batch, H}), members.check(lengths, {batch});
  members.check(dh, {batch, H}), members.check(dc, {batch, H});
  auto job = [&](int64_t m) {
    return Backward<T>{time, batch, H, truncation, part(recurrent, 2, all, m), part(c_start, 2, all, m),
                       part(c, 3, all, m), part(kept, 3, all, m), part(dy, 3, all, m), part(dh_last, 2, all, m),
                       part(dc_last, 2, all, m), part(lengths, 1, all, m), part(da, 3, all, m), part(dh, 2, all, m),
                       part(dc, 2, all, m)};
  };
  const double work = double(members.count()) * time * batch * H * 4 * H;
  run<T>(ThreadPool(call), members.count(), batch, work, threads, job);
}

HANDLER(lstm_values, forward<false>)
HANDLER(lstm_keeping, forward<true>)
HANDLER(lstm_backward, backward)
