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

// Several packed matrices side by side: the panels from `column` on, of each one.
template <class T>
void check_across(int m, int k, int columns, int count) {
  const int n = count * kPanel<T>, column = columns / kPanel<T> / 2 * kPanel<T>;
  const std::vector<T> a = numbers<T>(m * k), b = numbers<T>(count * k * columns);
  const int64_t step = packed_size<T>(k, columns);
  std::vector<T> packed(count * step), c(m * n), add = numbers<T>(n);
  for (int q = 0; q < count; ++q)
    pack_right(packed.data() + q * step, k, columns,
               Right<T>::row_major(b.data() + q * k * columns, columns), 0, k, 0, columns);
  Gemm<T> g{.m = m, .n = n, .k = k, .a = {.data = a.data(), .ld = k}};
  g.b = Right<T>::packed_across(packed.data(), columns, column, step);
  g.c = c.data();
  g.ldc = n;
  g.add = add.data();
  gemm_serial(g);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      const int q = j / kPanel<T>, at = column + j % kPanel<T>;
      double want = at < columns ? add[j] : c[i * n + j];  // beyond its columns: padding
      for (int p = 0; p < k && at < columns; ++p)
        want += static_cast<double>(a[i * k + p]) * b[(q * k + p) * columns + at];
      if (std::fabs(want - c[i * n + j]) <= (sizeof(T) == 4 ? 1e-4 : 1e-12)) continue;
      if (++failures < 10)
        std::printf("FAIL %zu bytes, across %d matrices (%d,%d), m %d: c[%d][%d] is %g, not %g\n",
                    sizeof(T), count, k, columns, m, i, j, static_cast<double>(c[i * n + j]), want);
      return;
    }
}

// Large products, whose b a team packs once, all of it or, where scratch has no room, in parts. The
// epilogue sees every element once, under its own place.
template <class T>
struct Large {
  int m, n, k, form;  // nn, nt, tn
  std::vector<T> a, b, c;

  Large(int m, int n, int k, int form) : m(m), n(n), k(k), form(form) {
    a = numbers<T>(static_cast<size_t>(m) * k);
    b = numbers<T>(static_cast<size_t>(k) * n);
    c.assign(static_cast<size_t>(m) * n, std::numeric_limits<T>::quiet_NaN());
  }
  void run() {
    Gemm<T> g{.m = m, .n = n, .k = k};
    g.a = {.data = a.data(), .ld = form == 2 ? m : k, .transposed = form == 2};
    g.b = form == 1 ? Right<T>::column_major(b.data(), k) : Right<T>::row_major(b.data(), n);
    g.c = c.data();
    g.ldc = n;
    gemm_with_scratch(g, [](T* c, int64_t i, int64_t j, int64_t count) {
      for (int64_t q = 0; q < count; ++q) c[q] += static_cast<T>(i % 7 * 10 + (j + q) % 5);
    });
  }
  void check() {
    for (int round = 0; round < 3000; ++round) {
      const int i = below(m), j = round % 2 ? n - 1 - below(std::min(n, 100)) : below(n);
      double want = 0, size = 1;
      for (int p = 0; p < k; ++p) {
        const double product = static_cast<double>(form == 2 ? a[p * m + i] : a[i * k + p]) *
                               (form == 1 ? b[j * k + p] : b[p * n + j]);
        want += product;
        size += std::fabs(product);
      }
      want += i % 7 * 10 + j % 5;
      const double got = c[static_cast<size_t>(i) * n + j];
      if (std::fabs(want - got) <= (sizeof(T) == 4 ? 4e-6 : 1e-14) * size) continue;
      if (++failures < 10)
        std::printf("FAIL %zu bytes, large form %d (%d,%d,%d): c[%d][%d] is %g, expected %g\n",
                    sizeof(T), form, m, n, k, i, j, got, want);
      return;
    }
  }
};

template <class T>
void check_large(int m, int n, int k, int form) {
  Large<T> t(m, n, k, form);
  std::vector<T> before;
  for (int threads = 1; threads <= 3; ++threads) {
    team::set_max_threads(threads);
    team::run(threads, [](void* p) { static_cast<Large<T>*>(p)->run(); }, &t);
    t.check();
    if (threads > 1 && t.c != before && ++failures < 10)
      std::printf("FAIL large form %d: other bits on %d threads\n", form, threads);
    before = t.c;
  }
}

void body(void*) {
  for (int m = 1; m < 8; ++m)
    for (int count = 1; count < 5; ++count) {
      check_across<float>(m, m % 2 ? 70 : 300, 40 + 30 * count, count);
      check_across<double>(m, m % 2 ? 300 : 70, 100, count);
    }
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
  for (int form = 0; form < 3; ++form) {
    check_large<float>(1000, 70, 300, form);
    check_large<double>(1111, 45, 260, form);
  }
  check_large<float>(970, 2040, 2100, 1);
  if (failures) std::printf("%d failures\n", failures);
  return failures != 0;
}
