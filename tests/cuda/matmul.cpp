// Matrix products against a plain double product.
//
// Tolerance: a sum of k products in any order is off by at most k eps sum |a||b| (Higham, Accuracy
// and Stability, section 3.1). A lost or doubled term would be far outside it.
#include "check.h"
#include "launches.h"

using namespace test;

namespace {

enum Kind { NN, NT, TN };

template <class T>
void run(Kind kind, T* a, T* b, T* c, int64_t m, int64_t n, int64_t k, int64_t batch) {
  if (kind == NN) matmul_nn_launch<T>(a, b, c, m, n, k, nullptr, batch);
  if (kind == NT) matmul_nt_launch<T>(a, b, c, m, n, k, nullptr, batch);
  if (kind == TN) matmul_tn_launch<T>(a, b, c, m, n, k, nullptr, batch);
}

template <class T>
struct Product {
  std::vector<double> value, bound;
  Product(Kind kind, const std::vector<T>& a, const std::vector<T>& b, int64_t m, int64_t n,
          int64_t k, int64_t batch)
      : value(batch * m * n), bound(batch * m * n) {
    for (int64_t z = 0; z < batch; ++z)
      for (int64_t i = 0; i < m; ++i)
        for (int64_t d = 0; d < k; ++d) {
          const double x = a[z * m * k + (kind == TN ? d * m + i : i * k + d)];
          for (int64_t j = 0; j < n; ++j) {
            const double y = b[z * k * n + (kind == NT ? j * k + d : d * n + j)];
            value[(z * m + i) * n + j] += x * y;
            bound[(z * m + i) * n + j] += std::abs(x * y);
          }
        }
    for (double& e : bound) e *= static_cast<double>(k) * kEps<T>;
  }
};

template <class T>
void check(int64_t m, int64_t n, int64_t k, int64_t batch = 1, int64_t offset = 0) {
  const auto a = normal<T>(batch * m * k, 1), b = normal<T>(batch * k * n, 2);
  for (Kind kind : {NN, NT, TN}) {
    const Product<T> want(kind, a, b, m, n, k, batch);
    Array<T> da(a, offset), db(b, offset);
    every_schedule([&] {
      Array<T> dc(batch * m * n, offset);  // fresh poison
      run<T>(kind, da, db, dc, m, n, k, batch);
      expect_close(
          dc.host(), want.value, [&](std::size_t i) { return want.bound[i]; },
          std::string(kind == NN   ? "nn "
                      : kind == NT ? "nt "
                                   : "tn ") +
              shape_text({m, n, k}));
    });
  }
}

}  // namespace

CASE(matmul_small_tile_float) {
  for (int64_t m : {1, 31, 32, 33, 37})
    for (int64_t n : {1, 4, 31, 32, 33, 44})
      for (int64_t k : {1, 31, 32, 33, 131}) check<float>(m, n, k);
}

CASE(matmul_small_tile_double) {
  for (int64_t m : {1, 31, 32, 33})
    for (int64_t n : {1, 2, 32, 37})
      for (int64_t k : {1, 32, 33, 67}) check<double>(m, n, k);
}

// 128 tiles and more choose the medium and the large tile. The thin shapes keep this quick.
CASE(matmul_medium_tile) {
  check<float>(64 * 16 - 4, 64 * 8, 67);
  check<float>(64 * 127 + 1, 3, 17);
  check<float>(8, 64 * 127 + 4, 16);
}

CASE(matmul_large_tile) {
  check<float>(128 * 16 - 4, 128 * 8, 21);
  check<float>(128 * 127 + 1, 3, 9);
  check<float>(8, 128 * 127 + 4, 16);
}

CASE(matmul_unaligned) {
  check<float>(36, 40, 44, 1, 1);
  check<float>(36, 40, 44, 1, 3);
  check<double>(36, 40, 44, 1, 1);
}

CASE(matmul_batch) {
  check<float>(5, 7, 11, 3);
  check<float>(36, 40, 44, 3);
}

CASE(matmul_empty) {
  check<float>(0, 5, 3);
  check<float>(5, 0, 3);
  check<float>(4, 5, 0);  // sums of nothing are zero
}

CASE(matmul_refuses_sizes) {
  expect_error(
      [] { matmul_nn_launch<float>(nullptr, nullptr, nullptr, int64_t{1} << 31, 1, 1, nullptr); },
      {"below 2^31", "2147483648"});
}

CASE(dense_bias_relu) {
  for (int64_t n : {1, 10, 32, 33, 64}) {
    const int64_t m = 37, k = 29;
    const auto x = normal<float>(m * k, 1), w = normal<float>(k * n, 2), bias = normal<float>(n, 3);
    Product<float> want(NN, x, w, m, n, k, 1);
    std::vector<double> linear = want.value, relu;
    for (int64_t i = 0; i < m * n; ++i) {
      linear[i] += bias[i % n];
      want.bound[i] += kEps<float> * std::abs(linear[i]);
      relu.push_back(linear[i] > 0 ? linear[i] : 0);
    }
    Array<float> dx(x), dw(w), db(bias);
    every_schedule([&] {
      Array<float> y(m * n), z(m * n), plain(m * n);
      const auto tolerance = [&](std::size_t i) { return want.bound[i]; };
      dense_launch<float>(dx, dw, db, y, m, n, k, Activation::linear, 0, nullptr);
      expect_close(y.host(), linear, tolerance, "dense");
      dense_launch<float>(dx, dw, db, z, m, n, k, Activation::relu, 0, nullptr);
      expect_close(z.host(), relu, tolerance, "dense relu");
      dense_launch<float>(dx, dw, nullptr, plain, m, n, k, Activation::linear, 0, nullptr);
      expect_close(plain.host(), want.value, tolerance, "dense without bias");
    });
  }
}

CASE(matmul_keeps_nan_and_infinity) {
  std::vector<float> a(8 * 8, 1.0f), b(8 * 8, 1.0f);
  a[3 * 8 + 2] = NAN;
  a[5 * 8 + 7] = INFINITY;
  Array<float> da(a), db(b), dc(64);
  dense_launch<float>(da, db, nullptr, dc, 8, 8, 8, Activation::relu, 0, nullptr);
  std::vector<double> want(64, 8.0);
  for (int j = 0; j < 8; ++j) want[3 * 8 + j] = NAN, want[5 * 8 + j] = INFINITY;
  expect_close(dc.host(), want, [](std::size_t) { return 0.0; }, "special values");
}
