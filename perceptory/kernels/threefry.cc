// Random words by Threefry-2x32 with 20 rounds (Salmon et al. 2011, SC), as JAX draws them: word pair i of a key is the
// hash of the 64-bit counter i. Called through XLA's foreign function interface (FFI), since XLA makes of each draw
// dozens of loops, which take longer to compile than most of a program.
//
// Keys may have member axes in front, of size 1 where all members share one.

#include "frame.h"

typedef int64_t I;
typedef uint32_t U;

template <int R>
inline void turn(U& a, U& b) {
  a += b, b = (b << R | b >> (32 - R)) ^ a;
}

inline void hash(const U* key, U& a, U& b) {
  const U keys[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDAu};
  a += keys[0], b += keys[1];
#define FOUR(r0, r1, r2, r3, k, n) \
  turn<r0>(a, b), turn<r1>(a, b), turn<r2>(a, b), turn<r3>(a, b), a += keys[k], b += keys[(k + 1) % 3] + n;
  FOUR(13, 15, 26, 6, 1, 1)
  FOUR(17, 29, 16, 24, 2, 2)
  FOUR(13, 15, 26, 6, 0, 3)
  FOUR(17, 29, 16, 24, 1, 4)
  FOUR(13, 15, 26, 6, 2, 5)
#undef FOUR
}

// Arguments: key [2], first []. PAIRS: [n, 2], the hashes of counters first, first + 1, ...; else [n], of each both words
// in one by exclusive or.
template <bool PAIRS>
void words(const Call& call) {
  constexpr size_t own = PAIRS ? 2 : 1;
  Array<U> key = call.argument<U>(0, 1), first = call.argument<U>(1, 0), out = call.result<U>(0, own);
  const Dimensions all = out.dimensions();
  const Members members{all, own};
  const I n = all.back(own);
  require(n < I(1) << 32 && (!PAIRS || all.back(1) == 2), "so many words are not drawn at once");
  members.check(key, {2}), members.check(first, {});
  for (I m = 0, count = members.count(); m < count; m++) {
    const U *k = part(key, 1, all, m), begin = *part(first, 0, all, m);
    U* __restrict to = out.typed_data() + m * n * (I)own;
    for (I i = 0; i < n; i++) {
      U a = 0, b = begin + (U)i;
      hash(k, a, b);
      if (PAIRS)
        to[2 * i] = a, to[2 * i + 1] = b;
      else
        to[i] = a ^ b;
    }
  }
}

HANDLER(threefry_pairs, words<true>)
HANDLER(threefry_bits, words<false>)
