// What networks of kernel neurons give for rows of a table: y = sum over centers c of k(v, c) alpha_c + v W + b; called by
// Python itself, without XLA.
//
// An input is scaled by (x + shift) factor and 0 where it is missing then. v are the numbers, (x - center) scale and then
// where there are edges their places among the bins, and behind them the flags, which are mostly 0. With v / s:
// apart = sum over numbers of |v - c| / s, or of ((v - c) / s)², and over flags of v + c - 2 v c, or v² + c² - 2 v c. k is
// exp(-apart), exp(-sqrt(apart)) or exp(-apart / 2).
//
// Any thread may call; a member's numbers do not depend on the other members.

#include "bins.h"
#include "layers.h"
#include "memory.h"
#include "neurons.h"

constexpr I STEP = 2 * WIDE;  // centers at once; their number is a multiple of 2 LANES, which vectors divide

static thread_local Scratch<T> memory;
static thread_local Scratch<I> numbers_of;

struct Machines {
  I members, inputs, numbers, flags, outputs, bins, count;  // bins: 0 where there are no edges
  const I* places;          // [numbers + flags] among the inputs
  const T *shift, *factor;  // [member, input]
  const T *center, *scale;  // [member, number]
  const T* edges;           // [member, number, bins + 1]
  const T* below;           // [member, number, bins + 1] how many bins with a width there are below, and in all
  const T* narrow;          // [member, feature] 1 / s
  const T *b, *g, *base;    // [member, number, center], [member, flag, center], [member, center]: c / s, what v of a flag
                            // is multiplied by, what does not depend on v
  const T* alpha;           // [member, output, center]
  const T *weight, *bias;   // [member, output, feature], [member, output]

  I features() const { return numbers + flags; }

  // v [feature] of one row x [input].
  void scaled(I m, const T* x, T* v) const {
    for (I i = 0; i < features(); i++) {
      const I place = places[i], input = m * inputs + place, column = m * numbers + i;
      const T value = (x[place] + shift[input]) * factor[input];
      v[i] = value == value ? value : 0;
      if (i >= numbers) continue;
      v[i] = (v[i] - center[column]) * scale[column];
      if (bins) v[i] = place_of(v[i], edges + column * (bins + 1), below + column * (bins + 1), bins);
    }
  }

  // near [M, count] of M rows v / s; which [some]: the flags that are not 0 in all of them; own [M]: of flags.
  template <int KIND, int M>
  void near(I m, const T* a, const T* own, const I* which, I some, T* to) const {
    const T *b = this->b + m * numbers * count, *g = this->g + m * flags * count, *base = this->base + m * count;
    for (I c = 0; c < count; c += STEP) {
      Register sum[M][2];
      EACH for (int r = 0; r < M; r++)
        EACH for (int n = 0; n < 2; n++) sum[r][n] = at(base + c + n * WIDE) + own[r];
      for (I j = 0; j < numbers; j++) {
        Register w[2];
        EACH for (int n = 0; n < 2; n++) {
          w[n] = at(b + j * count + c + n * WIDE);
          hold(w[n]);
        }
        EACH for (int r = 0; r < M; r++) {
          Register s = all(a[r * features() + j]);
          hold(s);
          EACH for (int n = 0; n < 2; n++) {
            const Register apart = s - w[n];
            sum[r][n] += KIND == LAPLACIAN ? size_of(apart) : apart * apart;
          }
        }
      }
      for (I k = 0; k < some; k++)
        EACH for (int r = 0; r < M; r++) {
          const T f = a[r * features() + numbers + which[k]];
          EACH for (int n = 0; n < 2; n++) sum[r][n] -= f * at(g + which[k] * count + c + n * WIDE);
        }
      EACH for (int r = 0; r < M; r++)
        EACH for (int n = 0; n < 2; n++) {
          const V<T> apart = sum[r][n], least = all(LEAST), positive = apart < least ? least : apart;
          put(to + r * count + c + n * WIDE,
              exp_of(KIND == LAPLACIAN ? -apart
                     : KIND == EXPONENTIAL ? -positive * inverse_root(positive)
                                           : positive * (T)-0.5));
        }
    }
  }

  // y [M, output] of M rows x, each `row` apart.
  template <int KIND, int M>
  void rows(I m, const T* x, I row, T* y, T* room, I* which) const {
    T *to = room, *v = to + M * count, *a = v + M * features(), own[M];
    for (int r = 0; r < M; r++) {
      scaled(m, x + r * row, v + r * features());
      own[r] = 0;
      for (I i = 0; i < features(); i++) {
        const T each = a[r * features() + i] = v[r * features() + i] * narrow[m * features() + i];
        if (i >= numbers) own[r] += KIND == LAPLACIAN ? each : each * each;
      }
    }
    I some = 0;
    for (I j = 0; j < flags; j++) {
      bool any = false;
      for (int r = 0; r < M; r++) any = any || a[r * features() + numbers + j] != 0;
      if (any) which[some++] = j;
    }
    near<KIND, M>(m, a, own, which, some, to);
    for (int r = 0; r < M; r++)
      for (I o = 0; o < outputs; o++) {
        const T *strengths = alpha + (m * outputs + o) * count, *w = weight + (m * outputs + o) * features();
        alignas(BYTES) V<T> sum[2]{};
        for (I c = 0; c < count; c += STEP)
          for (int n = 0; n < 2; n++) sum[n] += at(to + r * count + c + n * WIDE) * at(strengths + c + n * WIDE);
        T all = total(sum[0] + sum[1]) + bias[m * outputs + o];
        for (I i = 0; i < features(); i++) all += v[r * features() + i] * w[i];
        *y++ = all;
      }
  }

  template <int KIND>
  void outputs_of(I m, I left, const T* x, I row, T* y) const {
    constexpr int M = 4;
    T* room = memory.of(M * (2 * features() + count));
    I* which = numbers_of.of(flags + 1);
    for (; left >= M; left -= M, x += M * row, y += M * outputs) rows<KIND, M>(m, x, row, y, room, which);
    for (; left > 0; left--, x += row, y += outputs) rows<KIND, 1>(m, x, row, y, room, which);
  }
};

// y [member, row, output] of x [row, input], a row's numbers together. 1 where there is no memory.
extern "C" int neurons_outputs(const Machines* machines, int kind, I rows, const T* x, I row, T* y, I from_member) try {
  for (I m = 0; m < machines->members; m++, y += from_member) switch (kind) {
      case LAPLACIAN: machines->outputs_of<LAPLACIAN>(m, rows, x, row, y); break;
      case EXPONENTIAL: machines->outputs_of<EXPONENTIAL>(m, rows, x, row, y); break;
      default: machines->outputs_of<GAUSSIAN>(m, rows, x, row, y);
    }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}
