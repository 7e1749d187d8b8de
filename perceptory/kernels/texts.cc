// Which of a few texts each row of a column holds; called by Python itself, without XLA.
//
// Texts come as Arrow's views of 16 bytes: the length, then up to 12 letters, or the first 4, the number of a buffer and
// the place in it. So a short text is compared as two words. Source: https://arrow.apache.org/docs/format/Columnar.html.

#include <cstdint>
#include <cstring>

constexpr int64_t MOST = 255;
constexpr uint64_t SLOTS = 1024;
constexpr uint32_t SHORT = 12;
constexpr int64_t AHEAD = 128;  // rows that are fetched before they are looked at

struct View {
  uint64_t head, tail;
  uint32_t length() const { return (uint32_t)head; }
};

struct Texts {
  int64_t count, rows;     // how many different ones were met so far, in how many rows
  int64_t first[MOST];     // the row that each of them stood in first
  View views[MOST];
  const char* long_ones[MOST];
  int64_t counts[MOST + 1];  // rows of each, last those that are null
  uint8_t slots[SLOTS];      // 1 + the code, of the texts with a hash, 0 where there is none
};

static inline uint64_t mixed(uint64_t a, uint64_t b) {
  return (a * 0x9E3779B97F4A7C15u ^ (b + 0x7F4A7C15u) * 0xC2B2AE3D27D4EB4Fu);
}

static inline uint64_t last_letters(const char* text, uint32_t length) {
  uint64_t word;
  memcpy(&word, text + length - sizeof word, sizeof word);
  return word;
}

// The code of a text, a new one where it was not met before; below 0 where there are too many.
static int64_t code_of(Texts* texts, View view, const char* const* buffers, int64_t row) {
  const uint32_t length = view.length();
  const char* own = length > SHORT ? buffers[(uint32_t)view.tail] + (view.tail >> 32) : nullptr;
  uint64_t slot = mixed(view.head, own ? last_letters(own, length) : view.tail) >> 54;
  for (;; slot = (slot + 1) % SLOTS) {
    const int64_t code = (int64_t)texts->slots[slot] - 1;
    if (code < 0) {
      if (texts->count == MOST) return -1;
      texts->first[texts->count] = texts->rows + row;
      texts->views[texts->count] = view;
      texts->long_ones[texts->count] = own;
      texts->slots[slot] = (uint8_t)(texts->count + 1);
      return texts->count++;
    }
    const View& other = texts->views[code];
    if (other.head == view.head && (own ? !memcmp(own, texts->long_ones[code], length) : other.tail == view.tail))
      return code;
  }
}

// Adds rows to `texts` and writes the code of each, MOST where it is null; valid: a bit a row from `offset` on, or null.
// 1 where there are too many different texts. A processor that guesses which rows are null is often wrong, so in place
// of a null row one is looked up that was met before, and what is found is not used.
extern "C" int texts_codes(Texts* texts, int64_t rows, int64_t offset, const uint8_t* valid, const View* views,
                           const char* const* buffers, uint8_t* codes) {
  views += offset;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t bit = offset + r;
    __builtin_prefetch(views + r + AHEAD);
    const bool there = !valid || valid[bit >> 3] >> (bit & 7) & 1;
    const View* known = there ? views + r : texts->views;  // all zeros where none was met: an empty text
    const View view = *known;
    const int64_t likely = (int64_t)texts->slots[mixed(view.head, view.tail) >> 54] - 1;
    int64_t code = likely;
    if (view.length() > SHORT || likely < 0 || texts->views[likely].head != view.head ||
        texts->views[likely].tail != view.tail) {
      code = there ? code_of(texts, view, buffers, r) : MOST;
      if (code < 0) return 1;
    }
    code = there ? code : MOST;
    codes[r] = (uint8_t)code;
    texts->counts[code]++;
  }
  texts->rows += rows;
  return 0;
}

// Writes of 256 bytes the one at each code.
extern "C" void texts_looked_up(const uint8_t* table, const uint8_t* codes, int64_t rows, uint8_t* out) {
  uint8_t own[256];  // which nothing that is written can change
  memcpy(own, table, sizeof own);
  for (int64_t r = 0; r < rows; r++) out[r] = own[codes[r]];
}
