// A thread's own memory, kept between calls: fresh pages from the system cost more than the products.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

template <class T>
struct Scratch {
  T* start = nullptr;
  int64_t size = 0;
  T* of(int64_t numbers) {
    if (numbers > size) {
      free(start);
      start = (T*)aligned_alloc(64, (numbers * sizeof(T) + 63) / 64 * 64);
      size = start ? numbers : 0;
      if (!start) throw std::bad_alloc();
    }
    return start;
  }
  ~Scratch() { free(start); }
};
