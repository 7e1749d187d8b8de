// Columns of a table: read as numbers from Arrow's buffers, with what is asked of them, in one pass; and written as the
// rows that a program takes. Called by Python itself, without XLA.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "vectors.h"

#if defined(__AVX__)
#include <immintrin.h>
#endif

constexpr int64_t PIECE = 256;           // numbers that stay in the first cache
constexpr int64_t LONG = 64, TILE = 64;   // of what is turned from columns into rows at once

struct Facts {
  int64_t rows, missing, infinite, whole;
  double low, high;  // of what is not missing
};

static void look(const double* x, int64_t rows, Facts* facts) {
  typedef V<double> Vector;
  typedef decltype(Vector{} < Vector{}) Count;
  constexpr int64_t LANES = W<double>;
  constexpr double WHOLE = 4503599627370496.0;  // 2^52: from here on all numbers are whole, and adding it rounds others
  alignas(BYTES) double low[LANES], high[LANES];
  alignas(BYTES) int64_t missing[LANES], infinite[LANES], whole[LANES];
  Vector least = Vector{} + INFINITY, most = Vector{} - INFINITY;
  Count nans{}, endless{}, round{};
  auto one = [&](Vector v) {
    const Vector size = v < 0 ? -v : v;
    least = v < least ? v : least;
    most = v > most ? v : most;
    nans -= v != v;
    endless -= size == INFINITY;
    round -= (size >= WHOLE) | (size + WHOLE - WHOLE == size);
  };
  int64_t r = 0;
  for (; r + LANES <= rows; r += LANES) {
    Vector v;
    memcpy(&v, x + r, sizeof v);
    one(v);
  }
  memcpy(low, &least, sizeof low), memcpy(high, &most, sizeof high);
  memcpy(missing, &nans, sizeof missing), memcpy(infinite, &endless, sizeof infinite);
  memcpy(whole, &round, sizeof whole);
  for (; r < rows; r++) {
    const double v = x[r];
    low[0] = v < low[0] ? v : low[0];
    high[0] = v > high[0] ? v : high[0];
    missing[0] += v != v;
    infinite[0] += std::fabs(v) == INFINITY;
    whole[0] += v == std::floor(v);
  }
  for (int64_t k = 0; k < LANES; k++) {
    facts->low = low[k] < facts->low ? low[k] : facts->low;
    facts->high = high[k] > facts->high ? high[k] : facts->high;
    facts->missing += missing[k];
    facts->infinite += infinite[k];
    facts->whole += whole[k];
  }
  facts->rows += rows;
}

// 64 bits of which the first is that of a row; `at` of them lie before it.
static inline uint64_t bits(const uint8_t* valid, int64_t at) {
  uint64_t word;
  memcpy(&word, valid + (at >> 3), sizeof word);
  return at & 7 ? word >> (at & 7) | (uint64_t)valid[(at >> 3) + 8] << (64 - (at & 7)) : word;
}

template <class T>
static void numbers(const void* from, const uint8_t* valid, int64_t offset, int64_t rows, double* out, Facts* facts) {
  const T* x = (const T*)from + offset;
  const double none = std::numeric_limits<double>::quiet_NaN();
  for (int64_t start = 0; start < rows; start += PIECE) {
    const int64_t count = rows - start < PIECE ? rows - start : PIECE;
    double* y = out + start;
    for (int64_t r = 0; r < count; r++) y[r] = (double)x[start + r];
    int64_t r = 0;
    if (valid) {
      for (; r + 64 <= count; r += 64) {
        const uint64_t there = bits(valid, offset + start + r);
        for (int64_t k = 0; k < 64; k++) y[r + k] = there >> k & 1 ? y[r + k] : none;
      }
      for (; r < count; r++) {
        const int64_t at = offset + start + r;
        y[r] = valid[at >> 3] >> (at & 7) & 1 ? y[r] : none;
      }
    }
    look(y, count, facts);
  }
}

// Writes rows of a column as float64 to out, NaN where they are null (valid: a bit a row from `offset` on, or null), and
// adds to `facts`. format: Arrow's letter of the type. 1 where that is none of a number.
extern "C" int table_numbers(char format, const void* from, const uint8_t* valid, int64_t offset, int64_t rows,
                             double* out, Facts* facts) {
  switch (format) {
    case 'g': numbers<double>(from, valid, offset, rows, out, facts); return 0;
    case 'f': numbers<float>(from, valid, offset, rows, out, facts); return 0;
    case 'l': numbers<int64_t>(from, valid, offset, rows, out, facts); return 0;
    case 'i': numbers<int32_t>(from, valid, offset, rows, out, facts); return 0;
    case 's': numbers<int16_t>(from, valid, offset, rows, out, facts); return 0;
    case 'c': numbers<int8_t>(from, valid, offset, rows, out, facts); return 0;
    case 'L': numbers<uint64_t>(from, valid, offset, rows, out, facts); return 0;
    case 'I': numbers<uint32_t>(from, valid, offset, rows, out, facts); return 0;
    case 'S': numbers<uint16_t>(from, valid, offset, rows, out, facts); return 0;
    case 'C': numbers<uint8_t>(from, valid, offset, rows, out, facts); return 0;
  }
  return 1;
}

// Adds to `facts` what is asked of numbers that are there already.
extern "C" void table_facts(const double* x, int64_t rows, Facts* facts) {
  for (int64_t start = 0; start < rows; start += PIECE)
    look(x + start, rows - start < PIECE ? rows - start : PIECE, facts);
}

struct Columns {
  int64_t rows, numbers, codes, width;
  const double* const* values;  // of each number
  const int64_t* steps;         // from a row's to the next one's
  const double* origins;        // what is taken off
  const double* const* among;   // or null: what stands at the place that a number is, at `last` where it is missing
  const int64_t* last;
  const uint8_t* const* code;
  const Number* const* meant;   // by each of them what is written, 256 numbers
  const double* weights;
  int64_t weight_step;
};

typedef Number Four __attribute__((vector_size(4 * sizeof(Number))));

// Writes columns of LONG numbers as rows [count, columns], `width` apart.
static void turn(const Number (*from)[LONG], int64_t columns, int64_t count, int64_t width, Number* out) {
  int64_t k = 0;
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
  for (; k + 4 <= columns; k += 4) {
    int64_t r = 0;
    for (; r + 4 <= count; r += 4) {
      Four a, b, c, d;
      memcpy(&a, from[k] + r, sizeof a), memcpy(&b, from[k + 1] + r, sizeof b);
      memcpy(&c, from[k + 2] + r, sizeof c), memcpy(&d, from[k + 3] + r, sizeof d);
      const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Four AB = __builtin_shufflevector(a, b, 2, 6, 3, 7), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const Four rows[4] = {
          __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
          __builtin_shufflevector(AB, CD, 0, 1, 4, 5), __builtin_shufflevector(AB, CD, 2, 3, 6, 7)};
      for (int64_t i = 0; i < 4; i++) memcpy(out + (r + i) * width + k, &rows[i], sizeof(Four));
    }
    for (; r < count; r++)
      for (int64_t i = k; i < k + 4; i++) out[r * width + i] = from[i][r];
  }
#endif
#endif
  for (; k < columns; k++)
    for (int64_t r = 0; r < count; r++) out[r * width + k] = from[k][r];
}

// Of some numbers, and as many rows, those rounded and what that rounds off. Whether one is too large to be rounded.
static bool write(const Columns* c, int64_t first, int64_t tile, int64_t start, int64_t count, Number* out) {
  Number parts[2 * TILE][LONG];
  int64_t places[LONG];
  int32_t lost = 0;
  for (int64_t k = 0; k < tile; k++) {
    const int64_t at = first + k, step = c->steps[at], last = c->last[at];
    const double *x = c->values[at] + start * step, *among = c->among[at];
    const double origin = c->origins[at];
    Number *rounded = parts[k], *rest = parts[tile + k];
    int32_t beyond = 0;
    auto part = [&](int64_t r, double exact) {
      const Number near = (Number)exact;
      rounded[r] = near;
      rest[r] = (Number)(exact - (double)near);
      beyond |= (std::fabs(near) == INFINITY) & (std::fabs(exact) != INFINITY);
    };
    const bool same = k && among && c->among[at - 1] && c->values[at - 1] == c->values[at] &&
                      c->steps[at - 1] == step && c->origins[at - 1] == origin && c->last[at - 1] == last;
    if (among && !same)
      for (int64_t r = 0; r < count; r++) {
        const double place = x[r * step] - origin;
        places[r] = place >= 0 && place < (double)last ? (int64_t)place : last;
      }
    if (among)
      for (int64_t r = 0; r < count; r++) part(r, among[places[r]]);
    else if (step == 1)
      for (int64_t r = 0; r < count; r++) part(r, x[r] - origin);
    else
      for (int64_t r = 0; r < count; r++) part(r, x[r * step] - origin);
    lost |= beyond;
  }
  Number* near = out + start * c->width + first;
  if (tile == c->numbers) {  // what is rounded off follows at once
    turn(parts, 2 * tile, count, c->width, near);
  } else {
    turn(parts, tile, count, c->width, near);
    turn(parts + tile, tile, count, c->width, near + c->numbers);
  }
  return lost;
}

// Of some rows the codes and the weight.
static void write_codes(const Columns* c, int64_t start, int64_t count, Number* out) {
  Number parts[TILE][LONG];
  for (int64_t first = 0; first <= c->codes; first += TILE) {
    const int64_t tile = c->codes + 1 - first < TILE ? c->codes + 1 - first : TILE;
    for (int64_t k = 0; k < tile; k++) {
      if (first + k == c->codes) {
        const double* weights = c->weights + start * c->weight_step;
        for (int64_t r = 0; r < count; r++) parts[k][r] = (Number)weights[r * c->weight_step];
      } else {
        const uint8_t* code = c->code[first + k] + start;
        const Number* meant = c->meant[first + k];
        for (int64_t r = 0; r < count; r++) parts[k][r] = meant[code[r]];
      }
    }
    turn(parts, tile, count, c->width, out + start * c->width + 2 * c->numbers + first);
  }
}

// Rows of so few columns are put together in the cache.
constexpr int64_t NARROW = 128;

// Copies numbers to memory that is not read soon, past the cache, which would read it first.
static void put(const Number* from, int64_t count, Number* out) {
  int64_t k = 0;
#if defined(__AVX__)
  constexpr int64_t STEP = 32 / sizeof(Number);
  if ((uintptr_t)out % 32 == 0)
    for (; k + STEP <= count; k += STEP)
      _mm256_stream_si256((__m256i*)(out + k), _mm256_load_si256((const __m256i*)(from + k)));
#endif
  memcpy(out + k, from + k, (count - k) * sizeof(Number));
}

// `table_rows` of rows that are not wide.
static bool narrow(const Columns* c, Number* out) {
  alignas(64) Number rows[LONG * NARROW];
  bool lost = false;
  for (int64_t start = 0; start < c->rows; start += LONG) {
    const int64_t count = c->rows - start < LONG ? c->rows - start : LONG;
    Number* shifted = rows - start * c->width;  // as if all rows lay there
    if (c->numbers) lost |= write(c, 0, c->numbers, start, count, shifted);
    write_codes(c, start, count, shifted);
    put(rows, count * c->width, out + start * c->width);
  }
#if defined(__AVX__)
  _mm_sfence();
#endif
  return lost;
}

// Writes for each row its numbers rounded, what that rounds off, its codes and its weight into out [row, width]. 1 where
// a number is too large to be rounded. Of wide rows many are gone through for some columns before the next ones, so that
// a page of memory is looked up once.
extern "C" int table_rows(const Columns* c, Number* out) {
  if (c->width <= NARROW && c->numbers <= TILE) return narrow(c, out);
  const int64_t most = c->numbers > TILE ? 8 * LONG : LONG;
  bool lost = false;
  for (int64_t begin = 0; begin < c->rows; begin += most) {
    const int64_t end = c->rows - begin < most ? c->rows : begin + most;
    for (int64_t first = 0; first < c->numbers; first += TILE)
      for (int64_t start = begin; start < end; start += LONG)
        lost |= write(c, first, c->numbers - first < TILE ? c->numbers - first : TILE, start,
                      end - start < LONG ? end - start : LONG, out);
    for (int64_t start = begin; start < end; start += LONG)
      write_codes(c, start, end - start < LONG ? end - start : LONG, out);
  }
  return lost;
}
