// What kernels share: the members of a call, and their work in parts that threads do.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>

#include "vectors.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

// A library is for one type of numbers: fewer seconds of compilation, and most never need the other.
#ifdef DOUBLE
constexpr ffi::DataType KIND = ffi::F64;
#else
constexpr ffi::DataType KIND = ffi::F32;
#endif

using Dimensions = ffi::Span<const int64_t>;

// The members are those of the array `all`, whose own axes are the last three.
int64_t members_of(Dimensions all) {
  int64_t count = 1;
  for (size_t i = 0; i + 3 < all.size(); i++) count *= all[i];
  return count;
}

// Member m's part of an array with `own` axes of its own.
template <class B>
auto part(B& array, size_t own, Dimensions all, int64_t m) {
  Dimensions d = array.dimensions();
  int64_t each = 1, at = 0;
  for (size_t i = d.size() - own; i < d.size(); i++) each *= d[i];
  for (size_t i = d.size() - own; i-- > 0; m /= all[i]) at += m % all[i] % d[i] * each, each *= d[i];
  return array.typed_data() + at;
}

// share(k) for k < parts, by XLA's threads and the caller, each taking the next one when it is free: the caller never
// waits for a thread to start, only for shares under way.
template <class Share>
void in_shares(ffi::ThreadPool& pool, int64_t parts, const Share& share) {
  if (parts < 2) return share(0);
  struct State {
    std::atomic<int64_t> next{0};
    std::mutex lock;
    std::condition_variable changed;
    int64_t done = 0;
  };
  auto state = std::make_shared<State>();
  // A thread that comes late finds nothing left, and does not touch `share`, which is gone by then.
  auto work = [state, parts, &share] {
    for (int64_t k; (k = state->next++) < parts;) {
      share(k);
      std::lock_guard<std::mutex> hold(state->lock);
      if (++state->done == parts) state->changed.notify_all();
    }
  };
  for (int64_t k = 1; k < parts; k++) pool.Schedule([work] { work(); });
  work();
  std::unique_lock<std::mutex> hold(state->lock);
  state->changed.wait(hold, [&] { return state->done == parts; });
}

// Runs all members; every thread does its share of the rows, or, where rows are few, of the members.
template <class T, class Job>
ffi::Error run(ffi::ThreadPool& pool, int64_t members, int64_t batch, double work, int32_t threads, Job job) try {
  if (!members || !batch) return ffi::Error::Success();
  bool by_row = members < threads || batch >= 4 * ROWS * threads;
  int64_t most = by_row ? (batch + ROWS - 1) / ROWS : members;
  constexpr double WORTH = 1e6;  // multiplications that take longer than to wake a thread
  int64_t parts = std::max<int64_t>(1, std::min<int64_t>({threads, most, (int64_t)(work / WORTH)}));
  int64_t size = job(0).packed();
  std::unique_ptr<T[]> packs(new T[parts * size]);
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
  return ffi::Error::Success();
} catch (const std::bad_alloc&) {
  return ffi::Error(ffi::ErrorCode::kResourceExhausted, "no memory for the packed weights of an LSTM");
}
