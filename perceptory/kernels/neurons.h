// Kernel neurons, as networks/kernel_ridge.py has them: what training and predictions share.

#pragma once

#include <cstdint>

#include "vectors.h"

enum Neuron { LAPLACIAN, EXPONENTIAL, GAUSSIAN };
constexpr Number LEAST = 1e-12;  // of a squared distance, below which its root has no slope; as in layers/kernel.py

#ifdef DOUBLE
typedef uint64_t Bits;
#else
typedef uint32_t Bits;
#endif
typedef Bits AllBits __attribute__((vector_size(BYTES), may_alias));

INLINE V<Number> size_of(V<Number> v) { return (V<Number>)((AllBits)v & (AllBits{} + ((Bits)-1 >> 1))); }
