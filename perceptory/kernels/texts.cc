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
  uint8_t slots[SLOTS];    // 1 + the code, of the texts with a hash, 0 where there is none
};

static inline uint64_t mixed(uint64_t a, uint64_t b) {
  return (a * 0x9E3779B97F4A7C15u ^ (b + 0x7F4A7C15u) * 0xC2B2AE3D27D4EB4Fu);
}

static inline uint64_t last_letters(const char* text, uint32_t length) {
  uint64_t word;
  memcpy(&word, text + length - sizeof word, sizeof word);
  return word;
}

// Adds rows to `texts` and writes the code of each; valid: a bit a row from `offset` on, or null. 1 where there are too
// many different texts.
extern "C" int texts_codes(Texts* texts, int64_t rows, int64_t offset, const uint8_t* valid, const View* views,
                           const char* const* buffers, uint8_t* codes) {
  views += offset;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t bit = offset + r;
    __builtin_prefetch(views + r + AHEAD);
    if (valid && !(valid[bit >> 3] >> (bit & 7) & 1)) {
      codes[r] = 0;
      continue;
    }
    const View view = views[r];
    const uint32_t length = view.length();
    const char* own = length > SHORT ? buffers[(uint32_t)view.tail] + (view.tail >> 32) : nullptr;
    uint64_t slot = mixed(view.head, own ? last_letters(own, length) : view.tail) >> 54;
    for (;; slot = (slot + 1) % SLOTS) {
      const int64_t code = (int64_t)texts->slots[slot] - 1;
      if (code < 0) {
        if (texts->count == MOST) return 1;
        texts->first[texts->count] = texts->rows + r;
        texts->views[texts->count] = view;
        texts->long_ones[texts->count] = own;
        codes[r] = (uint8_t)texts->count++;
        texts->slots[slot] = (uint8_t)texts->count;
        break;
      }
      const View& other = texts->views[code];
      if (other.head == view.head &&
          (own ? !memcmp(own, texts->long_ones[code], length) : other.tail == view.tail)) {
        codes[r] = (uint8_t)code;
        break;
      }
    }
  }
  texts->rows += rows;
  return 0;
}
