// Matrix product on the ordinary cores: c = op(a) op(b), float or double, any shape.
//
// A block computes a tile of c. Panels of a and b travel through a ring of stages in shared memory
// (cp.async), stored depth first, so that transposing is the loader's business and the product
// never changes. Each warp owns 8 x 4 threads, each thread TM x TN results in quads of 4 x 4; a
// quad's row is one 16-byte store. Small tiles split the depth between slices of the block, summed
// in slice order at the end: more threads for small matrices, and still one fixed order.
// After the layout of CUTLASS' SIMT GEMM (Kerr et al., 2017) and BLIS' packed panels.
#pragma once

#include "launch.cuh"

namespace fastnn::cuda {

enum class Layout { NN, NT, TN };  // a (m, k) or transposed, b (k, n) or transposed

struct Identity {
  template <class T>
  FN_DEVICE T operator()(T x) const {
    return x;
  }
};

template <int BM, int BN, int BK, int TM, int TN, int kStagesUsed, int kSlicesUsed, int kBlocks>
struct GemmTile {
  static constexpr int kM = BM, kN = BN, kK = BK, kThreadM = TM, kThreadN = TN;
  static constexpr int kStages = kStagesUsed, kSlices = kSlicesUsed, kBlocksPerSm = kBlocks;
  static constexpr int kSliceThreads = BM / TM * (BN / TN);
  static constexpr int kThreads = kSliceThreads * kSlices;
  static constexpr int kPartials = kSlices - 1;  // slice 0 keeps its own sums
  static constexpr int kWarpM = 8 * TM, kWarpN = 4 * TN;
  static_assert(BM % kWarpM == 0 && BN % kWarpN == 0 && TM % 4 == 0 && TN % 4 == 0);
  static_assert(BK % (8 * kSlices) == 0 && kStages >= 2);
};

// Brings a (rows x depth) panel into shared memory as [depth][row], row contiguous.
// kAlongK: memory runs along the depth, so single elements are copied and so transposed; else
// packs of kVec along the rows. The pad of one pack turns a warp's column of stores into
// 32 different banks, while rows stay aligned for 16-byte loads.
template <class T, class Tile, int kRows, bool kAlongK, int kVec>
struct PanelLoader {
  static constexpr int kPitch = kRows + 16 / sizeof(T);
  using Panel = T[Tile::kK][kPitch];
  static constexpr int kPasses = kRows * Tile::kK / kVec / Tile::kThreads;
  static constexpr int kStep = kAlongK ? Tile::kThreads / Tile::kK         // rows or depth
                                       : Tile::kThreads / (kRows / kVec);  // from pass to pass
  static_assert(kPasses >= 1 && kPasses <= 32 && kPasses * kStep == (kAlongK ? kRows : Tile::kK));
  static_assert(!kAlongK || (kVec == 1 && Tile::kThreads % (4 * Tile::kK) == 0));

  const T* base;
  const T* next;         // this thread's first element of the next panel
  std::int64_t stride;   // from pass to pass
  std::int64_t advance;  // from panel to panel
  int row, depth;        // of that element in the panel
  int left;              // depth not loaded yet
  unsigned valid = 0;    // bit per pass: its row exists

  FN_DEVICE PanelLoader(const T* matrix, int row0, int rows, int k) : base(matrix), left(k) {
    const int i = thread_idx().x;
    if constexpr (kAlongK) {  // a warp reads 4 rows of 8: whole 32-byte sectors, no bank twice
      row = i / 8 % 4 + i / (4 * Tile::kK) * 4;
      depth = i % 8 + i / 32 % (Tile::kK / 8) * 8;
    } else {
      row = i % (kRows / kVec) * kVec;
      depth = i / (kRows / kVec);
    }
    const std::int64_t pitch = kAlongK ? k : rows;
    next = kAlongK ? base + (row0 + row) * pitch + depth : base + depth * pitch + row0 + row;
    stride = kStep * pitch;
    advance = kAlongK ? Tile::kK : Tile::kK * pitch;
    FN_UNROLL
    for (int p = 0; p < kPasses; ++p)
      if (row0 + row + (kAlongK ? p * kStep : 0) < rows) valid |= 1u << p;
  }

  FN_DEVICE void load(Panel& panel) {
    FN_UNROLL
    for (int p = 0; p < kPasses; ++p) {
      const int r = row + (kAlongK ? p * kStep : 0), d = depth + (kAlongK ? 0 : p * kStep);
      const bool in = (valid >> p & 1) && d < left;
      cp_async<kVec * sizeof(T)>(&panel[d][r], in ? next + p * stride : base, in);
    }
    next += advance;
    left -= Tile::kK;
  }
};

// Four neighbouring elements of shared memory.
template <class T>
FN_DEVICE void load_quad(T* out, const T* shared) {
  constexpr int kPack = Pack<T>::size;
  FN_UNROLL
  for (int i = 0; i < 4; i += kPack) {
    const Pack<T> pack = ld16(shared + i);
    FN_UNROLL
    for (int j = 0; j < kPack; ++j) out[i + j] = pack[j];
  }
}

// Blocks walk c in bands of 8 tile rows, column by column: neighbours share panels in the cache.
struct TilePosition {
  int m, n;
  FN_DEVICE TilePosition(int index, int tiles_m, int tiles_n) {
    constexpr int kBand = 8;
    const int band = index / (kBand * tiles_n), within = index % (kBand * tiles_n);
    const int height = tiles_m - band * kBand < kBand ? tiles_m - band * kBand : kBand;
    m = band * kBand + within % height;
    n = within / height;
  }
};

template <class T, class Tile, Layout kLayout, bool kVector, class Activation>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocksPerSm)
    gemm_kernel(const T* a, const T* b, const T* bias, T* c, int m, int n, int k, bool wide_store) {
  constexpr int TM = Tile::kThreadM, TN = Tile::kThreadN;
  constexpr int kVec = kVector ? Pack<T>::size : 1;
  constexpr bool kAlongA = kLayout != Layout::TN, kAlongB = kLayout == Layout::NT;
  using LoaderA = PanelLoader<T, Tile, Tile::kM, kAlongA, kAlongA ? 1 : kVec>;
  using LoaderB = PanelLoader<T, Tile, Tile::kN, kAlongB, kAlongB ? 1 : kVec>;
  struct Stage {
    alignas(16) typename LoaderA::Panel a;
    alignas(16) typename LoaderB::Panel b;
  };
  union Shared {
    Stage stage[Tile::kStages];
    T partial[Tile::kPartials ? Tile::kPartials : 1][Tile::kPartials ? TM * TN : 1]
             [Tile::kSliceThreads];
  };
  FN_SHARED(Shared, s);

  const TilePosition tile(block_idx().x, ceil_div(m, Tile::kM), ceil_div(n, Tile::kN));
  const std::int64_t matrix = block_idx().z;
  const int row0 = tile.m * Tile::kM, col0 = tile.n * Tile::kN;
  LoaderA load_a(a + matrix * m * k, row0, m, k);
  LoaderB load_b(b + matrix * k * n, col0, n, k);
  c += matrix * m * n;

  // This thread's place: slice, then warp, then 8 x 4 threads in the warp's part of the tile.
  const int slice = thread_idx().x / Tile::kSliceThreads;
  const int within = thread_idx().x % Tile::kSliceThreads;
  const int warp_id = within / kWarp, lane = within % kWarp;
  constexpr int kWarpsN = Tile::kN / Tile::kWarpN;
  const int my_row = warp_id / kWarpsN * Tile::kWarpM + lane / 4 * 4;  // quads 32 rows apart
  const int my_col = warp_id % kWarpsN * Tile::kWarpN + lane % 4 * 4;  // and 16 columns

  T sum[TM][TN] = {};
  const int steps = ceil_div(k, Tile::kK);
  FN_UNROLL
  for (int t = 0; t < Tile::kStages - 1; ++t) {
    if (t < steps) {
      load_a.load(s.stage[t].a);
      load_b.load(s.stage[t].b);
    }
    cp_commit();
  }
  for (int t = 0; t < steps; ++t) {
    cp_wait<Tile::kStages - 2>();
    block_sync();  // all of panel t has landed, and nobody reads the stage filled next any more
    if (const int ahead = t + Tile::kStages - 1; ahead < steps) {
      load_a.load(s.stage[ahead % Tile::kStages].a);
      load_b.load(s.stage[ahead % Tile::kStages].b);
    }
    cp_commit();  // maybe an empty group: the count in cp_wait stays right
    const Stage& panel = s.stage[t % Tile::kStages];
    constexpr int kDepth = Tile::kK / Tile::kSlices;
    FN_UNROLL
    for (int d = 0; d < kDepth; ++d) {
      T x[TM], y[TN];
      FN_UNROLL
      for (int i = 0; i < TM; i += 4)
        load_quad(x + i, &panel.a[slice * kDepth + d][my_row + i * 8]);
      FN_UNROLL
      for (int j = 0; j < TN; j += 4)
        load_quad(y + j, &panel.b[slice * kDepth + d][my_col + j * 4]);
      FN_UNROLL
      for (int i = 0; i < TM; ++i) {
        FN_UNROLL
        for (int j = 0; j < TN; ++j) sum[i][j] += x[i] * y[j];
      }
    }
  }

  if constexpr (Tile::kSlices > 1) {
    block_sync();  // the stages are free now
    if (slice > 0) {
      FN_UNROLL
      for (int i = 0; i < TM * TN; ++i) s.partial[slice - 1][i][within] = sum[i / TN][i % TN];
    }
    block_sync();
    if (slice > 0) return;
    for (int other = 1; other < Tile::kSlices; ++other) {
      FN_UNROLL
      for (int i = 0; i < TM * TN; ++i) sum[i / TN][i % TN] += s.partial[other - 1][i][within];
    }
  }

  FN_UNROLL
  for (int i = 0; i < TM; ++i) {
    const int r = row0 + my_row + i / 4 * 32 + i % 4;
    FN_UNROLL
    for (int j = 0; j < TN; j += Pack<T>::size) {
      const int col = col0 + my_col + j / 4 * 16 + j % 4;
      if (r >= m || col >= n) continue;
      T* out = c + static_cast<std::int64_t>(r) * n + col;
      Pack<T> pack;
      FN_UNROLL
      for (int l = 0; l < Pack<T>::size; ++l) {
        const T add = bias && col + l < n ? bias[col + l] : T(0);
        pack[l] = Activation{}(sum[i][j + l] + add);
      }
      if (wide_store) {
        st16(out, pack);
        continue;
      }
      FN_UNROLL
      for (int l = 0; l < Pack<T>::size; ++l)
        if (col + l < n) out[l] = pack[l];
    }
  }
}

//                        BM   BN  BK TM TN stages slices blocks/SM
using GemmLarge = GemmTile<128, 128, 8, 8, 8, 4, 1, 2>;
using GemmMedium = GemmTile<64, 64, 16, 4, 8, 4, 1, 4>;
using GemmSmall = GemmTile<32, 32, 32, 4, 4, 4, 4, 2>;
using GemmDouble = GemmTile<32, 32, 32, 4, 4, 2, 4, 1>;  // checks gradients; speed is no aim

struct GemmShape {
  std::int64_t batch, m, n, k;
};

template <class Tile, class T, Layout kLayout, class Activation>
void gemm_tile_launch(const T* a, const T* b, const T* bias, T* c, GemmShape s, Stream stream) {
  if (s.batch == 0 || s.m == 0 || s.n == 0) return;
  constexpr std::int64_t kMost =
      std::numeric_limits<int>::max() - 256;  // room for a tile's overhang
  if (s.m < 0 || s.n < 0 || s.k < 0 || s.m > kMost || s.n > kMost || s.k > kMost || s.batch < 0 ||
      s.batch > 65535)
    throw DeviceError("matmul: m, n and k must be below 2^31 and the batch at most 65535, got m " +
                      std::to_string(s.m) + ", n " + std::to_string(s.n) + ", k " +
                      std::to_string(s.k) + ", batch " + std::to_string(s.batch));
  const std::int64_t tiles_m = ceil_div<std::int64_t>(s.m, Tile::kM);
  const std::int64_t tiles_n = ceil_div<std::int64_t>(s.n, Tile::kN);
  const LaunchCfg cfg{Dim3(grid_for(tiles_m * tiles_n, 1), 1, static_cast<int>(s.batch)),
                      Tile::kThreads, 0, stream};
  const int m = static_cast<int>(s.m), n = static_cast<int>(s.n), k = static_cast<int>(s.k);
  // Rows of 16-byte packs: needed by loads that run along rows, and by wide stores.
  constexpr int kPack = Pack<T>::size;
  const bool wide_store = n % kPack == 0 && aligned(16, c);
  const bool wide_a = kLayout != Layout::TN || (m % kPack == 0 && aligned(16, a));
  const bool wide_b = kLayout == Layout::NT || (n % kPack == 0 && aligned(16, b));
  if constexpr (kLayout != Layout::NT) {
    if (!(wide_a && wide_b)) {
      launch<gemm_kernel<T, Tile, kLayout, false, Activation>>(cfg, a, b, bias, c, m, n, k,
                                                               wide_store);
      return;
    }
  }
  launch<gemm_kernel<T, Tile, kLayout, true, Activation>>(cfg, a, b, bias, c, m, n, k, wide_store);
}

// The largest tile that still gives a GPU of about a hundred multiprocessors enough blocks; the
// choice decides the order of sums, so it looks at the shape and nothing else.
template <Layout kLayout, class Activation = Identity, class T>
void gemm(const T* a, const T* b, const T* bias, T* c, GemmShape s, Stream stream) {
  if constexpr (sizeof(T) == 8) {
    gemm_tile_launch<GemmDouble, T, kLayout, Activation>(a, b, bias, c, s, stream);
  } else {
    const auto blocks = [&](std::int64_t tile) {
      return ceil_div(s.m, tile) * ceil_div(s.n, tile) * s.batch;
    };
    if (blocks(GemmLarge::kM) >= 128)
      gemm_tile_launch<GemmLarge, T, kLayout, Activation>(a, b, bias, c, s, stream);
    else if (blocks(GemmMedium::kM) >= 128)
      gemm_tile_launch<GemmMedium, T, kLayout, Activation>(a, b, bias, c, s, stream);
    else
      gemm_tile_launch<GemmSmall, T, kLayout, Activation>(a, b, bias, c, s, stream);
  }
}

}  // namespace fastnn::cuda
