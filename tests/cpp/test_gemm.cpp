// gemm.h beyond what the matmul kernels reach: rows cut in groups and columns in runs (the windows
// of a convolution), packed b written slice by slice, every kind of `add`, gaps between the rows of
// c, and the epilogue called once for each element. Against plain sums in double.
#include "cpu/gemm.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

using namespace fastnn;
using namespace fastnn::FASTNN_ISA;

namespace {

std::mt19937 generator(0);
int failures = 0;

int below(int n) { return static_cast<int>(generator() % n); }
double number() { return static_cast<double>(generator()) / 0xffffffffu - 0.5; }

struct Twice {
  template <class T>
  void operator()(T* c, int64_t, int64_t, int64_t count) const {
    for (int64_t j = 0; j < count; ++j) c[j] *= 2;
  }
};

enum Layout { row_major, column_major, packed_panels, packed_vectors, layouts };
enum Added { nothing, one_row, itself, other, additions };

struct Case {
  int m, n, k;
  bool transposed;
  int group, run;  // 0: not cut
  bool group_table;
  Layout layout;
  Added added;
};

template <class T>
std::vector<T> numbers(size_t count) {
  std::vector<T> x(count);
  for (T& v : x) v = static_cast<T>(number());
  return x;
}

template <class T>
void check(const Case& t) {
  const int strided = t.transposed ? t.k : t.m, contiguous = t.transposed ? t.m : t.k;
  const int across = t.run ? t.run : contiguous;
  const int64_t ld = across > 3 ? across / 2 : across;  // rows overlap, as windows do
  std::vector<int64_t> run_at(t.run ? contiguous / t.run : 0);
  for (size_t i = 0; i < run_at.size(); ++i) run_at[i] = static_cast<int64_t>(i * 97 + i % 2 * 5);
  std::vector<int64_t> group_at(t.group ? strided / t.group + 1 : 0);
  for (size_t i = 0; i < group_at.size(); ++i)
    group_at[i] = static_cast<int64_t>(i * 211 + (t.group_table ? i * i : 0));

  Left<T> a;
  a.ld = ld;
  a.transposed = t.transposed;
  if (t.group) {
    a.group = t.group;
    if (t.group_table)
      a.group_at = group_at.data();
    else
      a.group_step = 211;
  }
  if (t.run) {
    a.run = t.run;
    a.run_at = run_at.data();
  }
  const auto place = [&](int i, int p) {
    const int s = t.transposed ? p : i, c = t.transposed ? i : p;
    const int64_t row = t.group ? group_at[s / t.group] + s % t.group * ld : s * ld;
    return row + (t.run ? run_at[c / t.run] + c % t.run : c);
  };
  // Exactly as much memory as is addressed, so that a sanitizer sees a step beyond it.
  int64_t last = 0;
  for (int i = 0; i < t.m; ++i)
    for (int p = 0; p < t.k; ++p) last = std::max(last, place(i, p));
  const std::vector<T> a_data = numbers<T>(last + 1), b_data = numbers<T>(t.k * t.n);
  a.data = a_data.data();

  Right<T> b = Right<T>::row_major(b_data.data(), t.n);
  std::vector<T> packed;
  if (t.layout == column_major) {
    b = Right<T>::column_major(b_data.data(), t.k);
  } else if (t.layout >= packed_panels) {  // in slices: columns by vectors or panels, rows in two
    packed.assign(packed_size<T>(t.k, t.n), std::numeric_limits<T>::quiet_NaN());
    const int step = t.layout == packed_panels ? kPanel<T> : Vec<T>::size, half = t.k / 3;
    for (int j = 0; j < t.n; j += step)
      for (const auto& [row, rows] : {std::pair{0, half}, std::pair{half, t.k - half}})
        pack_right(packed.data(), t.k, t.n, b.at(row, j), row, rows, j, std::min(step, t.n - j));
    b = Right<T>::packed(packed.data());
  }
  const auto b_at = [&](int p, int j) {
    return b_data[t.layout == column_major ? j * t.k + p : p * t.n + j];
  };

  const int64_t ldc = t.n + 3;
  const T untouched = 7;
  std::vector<T> c(t.m * ldc, untouched);
  const std::vector<T> rows = numbers<T>(t.m * ldc);
  Gemm<T> g{.m = t.m, .n = t.n, .k = t.k, .a = a, .b = b, .c = c.data(), .ldc = ldc};
  if (t.added != nothing) {
    g.add = t.added == itself ? c.data() : rows.data();
    g.add_ld = t.added == one_row ? 0 : ldc;
  }
  if (t.added == itself)
    for (int i = 0; i < t.m; ++i)
      for (int j = 0; j < t.n; ++j) c[i * ldc + j] = rows[i * ldc + j];
  gemm_serial(g, Twice{});

  // Errors of k roundings, relative to the sum of the absolute products.
  const double tolerance = sizeof(T) == 4 ? 4e-6 : 1e-14;
  for (int i = 0; i < t.m; ++i)
    for (int64_t j = 0; j < ldc; ++j) {
      const T got = c[i * ldc + j];
      double want = 0, size = 1;
      if (j >= t.n) {
        want = untouched;
      } else {
        for (int p = 0; p < t.k; ++p) {
          const double product = static_cast<double>(a_data[place(i, p)]) * b_at(p, j);
          want += product;
          size += std::fabs(product);
        }
        if (t.added != nothing) want += rows[(t.added == one_row ? 0 : i) * ldc + j];
        want *= 2;
      }
      if (std::fabs(want - got) <= tolerance * size) continue;
      if (++failures < 10)
        std::printf(
            "FAIL %zu bytes, m %d n %d k %d, transposed %d, group %d table %d, run %d, "
            "layout %d, added %d: c[%d][%d] is %g, expected %g\n",
            sizeof(T), t.m, t.n, t.k, t.transposed, t.group, t.group_table, t.run, t.layout,
            t.added, i, static_cast<int>(j), static_cast<double>(got), want);
      return;
    }
}

void body(void*) {
  for (int round = 0; round < 400; ++round) {
    Case t{};
    t.m = below(70) + 1;
    t.n = below(70) + 1;
    t.k = below(3) ? below(80) : below(700);
    t.transposed = round % 2;
    t.layout = static_cast<Layout>(round / 2 % layouts);
    t.added = static_cast<Added>(below(additions));
    t.group = below(2) ? below(30) + 1 : 0;
    t.group_table = below(2);
    if (below(2)) {
      t.run = below(20) + 1;
      (t.transposed ? t.m : t.k) = t.run * (below(t.transposed ? 8 : 40) + 1);
    }
    check<float>(t);
    check<double>(t);
  }
}

}  // namespace

int main() {
  team::run(1, body, nullptr);
  if (failures) std::printf("%d failures\n", failures);
  return failures != 0;
}
