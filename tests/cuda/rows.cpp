// Softmax, cross-entropy, column sums and gathers against plain double code.
#include "check.h"
#include "launches.h"

using namespace test;

namespace {

const std::initializer_list<int64_t> kCols = {1,   2,   31,  32,   33,   127,  128,
                                              129, 257, 769, 1023, 1024, 1025, 2053};

struct Softmax {
  std::vector<double> y, log_sum, top;
  template <class T>
  Softmax(const std::vector<T>& x, int64_t rows, int64_t cols) : y(x.size()) {
    for (int64_t r = 0; r < rows; ++r) {
      double most = -INFINITY, sum = 0;
      for (int64_t j = 0; j < cols; ++j) most = std::max<double>(most, x[r * cols + j]);
      for (int64_t j = 0; j < cols; ++j) sum += std::exp(x[r * cols + j] - most);
      for (int64_t j = 0; j < cols; ++j) y[r * cols + j] = std::exp(x[r * cols + j] - most) / sum;
      log_sum.push_back(std::log(sum));
      top.push_back(most);
    }
  }
};

// exp is good to 2 units in the last place and sees an argument rounded at |x - top| eps; the
// sum's error is at most a few units for a butterfly of short partial sums.
template <class T>
double tolerance(double y, int64_t cols) {
  return y * kEps<T> * (24 + cols / 32.0);
}

template <class T>
void check_softmax(int64_t rows, int64_t cols) {
  auto x = normal<T>(rows * cols, 1);
  for (T& e : x) e = e * 3 + 50;  // exp(50) twice is past what a careless sum of floats can hold
  const auto dy = normal<T>(rows * cols, 2);
  const Softmax want(x, rows, cols);
  std::vector<int32_t> labels;
  std::vector<T> dloss = normal<T>(rows, 3);
  for (int64_t r = 0; r < rows; ++r) labels.push_back(static_cast<int32_t>(r * 7 % cols));

  std::vector<double> dx(x.size()), size(rows), loss, dx_loss(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    double dot = 0;
    for (int64_t j = 0; j < cols; ++j) {
      dot += want.y[r * cols + j] * dy[r * cols + j];
      size[r] += std::abs(want.y[r * cols + j] * dy[r * cols + j]);
    }
    for (int64_t j = 0; j < cols; ++j) {
      const int64_t i = r * cols + j;
      dx[i] = want.y[i] * (dy[i] - dot);
      dx_loss[i] = dloss[r] * (want.y[i] - (j == labels[r]));
    }
    loss.push_back(want.log_sum[r] + want.top[r] - x[r * cols + labels[r]]);
  }

  Array<T> dev_x(x), dev_dy(dy), dev_dloss(dloss);
  Array<int32_t> dev_labels(labels);
  const std::string shape = shape_text({rows, cols});
  every_schedule([&] {
    Array<T> y(rows * cols), g(rows * cols), l(rows), gl(rows * cols), in_place(x);
    softmax_launch<T>(dev_x, y, rows, cols, nullptr);
    expect_close(
        y.host(), want.y, [&](std::size_t i) { return tolerance<T>(want.y[i], cols); },
        "softmax " + shape);
    softmax_launch<T>(in_place, in_place, rows, cols, nullptr);
    expect_same(in_place.host(), y.host(), "softmax in place " + shape);
    softmax_grad_launch<T>(y, dev_dy, g, rows, cols, nullptr);
    expect_close(
        g.host(), dx,
        [&](std::size_t i) {
          return tolerance<T>(want.y[i] * (std::abs(dy[i]) + 2 * size[i / cols]), cols);
        },
        "softmax_grad " + shape);
    Array<T> stats(2 * rows);
    FaultWord word{};
    const Report report{&word, "kernel", "label"};
    sparse_crossentropy_launch<T>(dev_x, dev_labels, l, stats, rows, cols, true, -7, report,
                                  nullptr);
    expect_close(
        l.host(), loss,
        [&](std::size_t i) { return kEps<T> * (24 + cols / 32.0 + std::abs(loss[i])); },
        "sparse_crossentropy " + shape);
    sparse_crossentropy_grad_launch<T>(dev_x, dev_labels, stats, dev_dloss, gl, rows, cols, true,
                                       -7, report, nullptr);
    expect_close(
        gl.host(), dx_loss,
        [&](std::size_t i) {
          return std::abs(dloss[i / cols]) * (tolerance<T>(want.y[i], cols) + kEps<T>);
        },
        "sparse_crossentropy_grad " + shape);
    expect(!word.ready, "no fault");
  });
}

}  // namespace

CASE(softmax_float) {
  for (int64_t cols : kCols)
    for (int64_t rows : {1, 5}) check_softmax<float>(rows, cols);
}

CASE(softmax_double) {
  for (int64_t cols : kCols) check_softmax<double>(3, cols);
}

CASE(softmax_rows_of_infinity_and_nan) {
  const float x[3][4] = {{1, INFINITY, 2, 3}, {-INFINITY, 0, -INFINITY, 0}, {1, NAN, 2, 3}};
  Array<float> dx(std::vector<float>(&x[0][0], &x[0][0] + 12)), y(12);
  softmax_launch<float>(dx, y, 3, 4, nullptr);
  const auto h = y.host();
  expect(std::isnan(h[1]), "inf - inf is NaN, as in NumPy");
  expect(h[4] == 0 && h[5] == 0.5f && h[6] == 0 && h[7] == 0.5f, "-inf has probability 0");
  for (int j = 8; j < 12; ++j) expect(std::isnan(h[j]), "NaN spreads over its row");
}

CASE(sparse_crossentropy_bad_label) {
  for (int64_t cols : {3, 2000})
    for (int32_t label : {-1, static_cast<int32_t>(cols), 1 << 30}) {
      const auto x = normal<float>(2 * cols, 1);
      Array<float> dx(x), loss(2), stats(4), g(2 * cols), dloss(std::vector<float>{1, 1});
      Array<int32_t> labels(std::vector<int32_t>{label, 1});
      FaultWord word{};
      const Report report{&word, "kernel", "label"};
      sparse_crossentropy_launch<float>(dx, labels, loss, stats, 2, cols, true, 99, report,
                                        nullptr);
      expect(word.ready && word.value == label && word.limit == cols, "report");
      expect(loss.host()[0] == 0 && loss.host()[1] > 0, "loss");
      word = {};
      sparse_crossentropy_grad_launch<float>(dx, labels, stats, dloss, g, 2, cols, true, 99, report,
                                             nullptr);
      expect(word.ready && word.value == label, "report of the gradient");
      expect(g.host()[0] == 0 && g.host()[cols] != 0, "gradient");
    }
}

CASE(sum_middle) {
  for (int64_t outer : {1, 3})
    for (int64_t n : {0, 1, 7, 8, 9, 255, 256, 257, 513, 20011})
      for (int64_t inner : {1, 2, 31, 32, 33, 67}) {
        if (n > 1000 && (inner > 33 || outer > 1)) continue;
        const auto x = normal<float>(outer * n * inner, 1);
        std::vector<double> want(outer * inner), bound(outer * inner);
        for (int64_t i = 0; i < outer * n * inner; ++i) {
          const int64_t at = i / (n * inner) * inner + i % inner;
          want[at] += x[i];
          bound[at] += std::abs(x[i]);
        }
        Array<float> dx(x);
        std::vector<float> first;
        every_schedule([&] {
          Array<float> y(outer * inner);
          Array<double> workspace(sum_workspace(outer, n, inner));
          sum_launch<float, float>(dx, y, workspace, outer, n, inner, Finish{}, nullptr);
          // Summed in double, rounded once.
          expect_close(
              y.host(), want, [&](std::size_t j) { return bound[j] * kEps<float>; },
              "sum " + shape_text({outer, n, inner}));
          if (first.empty()) first = y.host();
          expect_same(y.host(), first, "sum in another order");
        });
      }
}

template <class T>
static void check_gather(int64_t rows, int64_t count, int64_t cols, int64_t offset) {
  std::vector<T> x;
  for (int64_t i = 0; i < rows * cols; ++i) x.push_back(static_cast<T>(i));
  std::vector<int32_t> index;
  std::vector<T> want;
  for (int64_t i = 0; i < count; ++i) {
    index.push_back(static_cast<int32_t>((i * 5 + 3) % rows));
    for (int64_t j = 0; j < cols; ++j) want.push_back(x[index.back() * cols + j]);
  }
  Array<T> dx(x, offset);
  Array<int32_t> di(index);
  FaultWord word{};
  every_schedule([&] {
    Array<T> y(count * cols, offset);
    gather_rows_launch<T>(dx, di, y, rows, count, cols, Report{&word, "", ""}, nullptr);
    expect_same(y.host(), want, "gather_rows " + shape_text({rows, count, cols}));
  });
  expect(!word.ready, "no fault");
}

CASE(gather_rows) {
  for (int64_t cols : {1, 3, 4, 28, 257})
    for (int64_t count : {1, 7, 300}) {
      check_gather<std::uint32_t>(11, count, cols, 0);
      check_gather<std::uint32_t>(11, count, cols, 1);
      check_gather<std::uint64_t>(11, count, cols, 0);
      check_gather<std::uint8_t>(11, count, cols, 0);
    }
}

CASE(gather_rows_bad_index) {
  for (int64_t cols : {1, 4}) {
    Array<std::uint32_t> x(std::vector<std::uint32_t>(3 * cols, 5)), y(3 * cols);
    Array<int32_t> index(std::vector<int32_t>{-1, 2, 3});
    FaultWord word{};
    gather_rows_launch<std::uint32_t>(x, index, y, 3, 3, cols, Report{&word, "k", "index"},
                                      nullptr);
    const auto h = y.host();
    expect(h[0] == 0 && h[cols] == 5 && h[2 * cols] == 0, "zeros");
    expect(word.ready && (word.value == -1 || word.value == 3) && word.limit == 3, "report");
  }
}
