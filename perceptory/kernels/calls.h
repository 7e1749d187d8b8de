// Work in parts, that XLA's threads do.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>

#include "frame.h"
#include "vectors.h"

// XLA's threads, as they are known during a call.
struct ThreadPool {
  const XLA_FFI_Api* api;
  XLA_FFI_ExecutionContext* context;

  explicit ThreadPool(const Call& call) : api(call.frame->api), context(call.frame->ctx) {}

  // Has a thread do task(); where there is none, the caller.
  template <class Task>
  void schedule(Task task) {
    auto* own = new Task(std::move(task));
    XLA_FFI_Task* run = [](void* data) {
      std::unique_ptr<Task> own((Task*)data);
      (*own)();
    };
    XLA_FFI_ThreadPool_Schedule_Args args{XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE, nullptr, context, run, own};
    if (XLA_FFI_Error* error = api->XLA_FFI_ThreadPool_Schedule(&args)) {
      XLA_FFI_Error_Destroy_Args done{XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, nullptr, error};
      api->XLA_FFI_Error_Destroy(&done);
      run(own);
    }
  }
};

// share(k) for k < parts, by XLA's threads and the caller, each taking the next one when it is free: the caller never
// waits for a thread to start, only for shares under way.
template <class Share>
void in_shares(ThreadPool& pool, int64_t parts, const Share& share) {
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
  for (int64_t k = 1; k < parts; k++) pool.schedule(work);
  work();
  std::unique_lock<std::mutex> hold(state->lock);
  state->changed.wait(hold, [&] { return state->done == parts; });
}

// work(task) for every task, by several threads where that pays, and by whichever is free. worth: products that take
// longer than to wake a thread.
template <class Work>
void in_turn(ThreadPool& pool, int32_t threads, int64_t tasks, double products, double worth, const Work& work) {
  int64_t parts = std::max<int64_t>(1, std::min<int64_t>({threads, tasks, (int64_t)(products / worth)}));
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  in_shares(pool, parts, [&](int64_t) {
    for (int64_t n; (n = next++) < tasks;) try {
        work(n);
      } catch (const std::bad_alloc&) {  // must not leave one of XLA's threads
        failed = true;
      }
  });
  if (failed) throw std::bad_alloc();
}

// A thread's own memory, kept between calls, on the boundary of a vector: fresh pages cost more than a small product.
template <class T>
T* scratch(int64_t size) {
  struct Memory {
    T* start = nullptr;
    int64_t size = 0;
    ~Memory() { free(start); }
  };
  static thread_local Memory kept;
  if (kept.size < size) {
    free(kept.start);
    kept.size = 0;
    kept.start = (T*)aligned_alloc(64, (size * sizeof(T) + 127) / 64 * 64);  // whole vectors may end past it
    if (!kept.start) throw std::bad_alloc();
    kept.size = size;
  }
  return kept.start;
}

// Zeros on the boundary of a vector, given back to the system afterwards: for what is too large to be kept.
template <class T>
struct Room {
  void* start;
  T* data;
  explicit Room(int64_t numbers) : start(calloc(numbers * sizeof(T) + 128, 1)) {
    if (!start) throw std::bad_alloc();
    data = (T*)(((uintptr_t)start + 63) / 64 * 64);
  }
  Room(const Room&) = delete;
  ~Room() { free(start); }
};
