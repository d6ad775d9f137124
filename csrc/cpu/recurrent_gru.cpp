// GRU (Cho et al. 2014), gates in Keras' order:
//
//   z, r = act_r(x W_z + h' U_z), act_r(x W_r + h' U_r)      h' = h_{t-1}; biases left out
//   hh = act(x W_h + r (h' U_h + b_h))                       reset_after: one product a step
//   hh = act(x W_h + (r h') U_h)                             else: a second product, of phase 1
//   h_t = z h' + (1 - z) hh
//
// `gates` (b, t, 3n) comes in as x W + b unless x is given, and is left as the backward pass reads
// it. s (b, t, n) is h' U_h + b_h with reset_after, else r h'. Without `keep` neither is left, and
// s, where the second product needs it, is in the place of the first step. With reset_after the
// gradients of the two sides of a gate differ: dz belongs to x W + b, ds to h' U + bias; else they
// are the same and ds is absent.
#include "cpu/recurrent.h"

namespace fastnn::FASTNN_ISA {
namespace {

using namespace recurrent;

template <class T>
struct Gru {
  const T *u, *bias, *h0;
  const uint8_t* mask;
  StateDropout<T> drop;
  Act act, gate;
  bool reset_after, keep;
  FASTNN_INLINE bool masked(const Extent& e, int64_t row, int64_t time) const {
    return mask && !mask[row * e.t + time];
  }
};

template <class T>
void forward(const Extent& e, const Gru<T>& q, const Input<T>& input, T* gates, T* h, T* s, T* hn) {
  const Input<T> in = input_of_walk(e, input, gates);
  const Kernel<T> kernel = pack_gates(q.u, e.n, 3, in);
  const States<T> hs = {h, q.h0, e.t, e.n}, ss = {s, nullptr, e.t, e.n, q.keep};
  const bool writes_s = q.keep || !q.reset_after;
  T* sums = (T*)team::local_scratch(kGemmScratch);
  walk<T>(e, e.t, q.reset_after ? 1 : 2, in.d, [&](const Part& p, int64_t step, int phase) {
    using V = Vec<T>;
    const int64_t time = e.time(step), ld = 3 * p.units;
    T *state = sums + p.rows * ld, *from_input = state + p.rows * e.n;
    if (phase == 0) {
      recurrent_sums(e, p, kernel, hs, step, q.drop, q.bias, 0, q.reset_after ? 3 : 2, sums, state);
      if (in.x) input_sums(e, p, kernel, in, time, from_input, from_input + p.rows * 3 * e.n);
    } else {
      product<T>(p, e.n, e.n, ss.of(p.row, step), e.t * e.n, kernel.of_gate(2), sums + 2 * p.units,
                 ld, nullptr, 0);
    }
    strips(p, [&](int64_t row, int64_t j, int64_t count) {
      const T* before = hs.before(row, step);
      if (before) before += j;
      T *ht = hs.of(row, step) + j, *st = ss.of(row, step) + j;
      T* zt = gates + (row * e.t + time) * 3 * e.n + j;
      T* zx = in.x ? from_input + (row - p.row) * 3 * e.n + j : zt;
      T* kept = q.keep ? zt : zx;
      const T* sum = sums + (row - p.row) * ld + j - p.unit;
      if (phase == 0 && step + 1 < e.t) {
        const int64_t next = row * e.t + e.time(step + 1);
        if (q.keep || !in.x)
          for (int g = 0; g < 3; ++g) fetch(gates + (next * 3 + g) * e.n + j, count);
        if (writes_s) fetch(ss.of(row, step + 1) + j, count);
        fetch(hs.of(row, step + 1) + j, count);
      }
      alignas(64) T z[kStrip], r[kStrip], x[kStrip];
      auto previous = [&](int64_t i, int64_t left) {
        return before ? V::load_n(before + i, left) : V(T(0));
      };
      if (q.masked(e, row, time)) {
        scaled<T>(before, nullptr, ht, count);
        // What the walk leaves of a masked step is defined, though nobody uses it.
        if (phase == 0 && writes_s) scaled<T>(nullptr, nullptr, st, count);
        if (phase == 0 && zx != kept)
          for (int g = 0; g < 3; ++g) scaled<T>(zx + g * e.n, nullptr, kept + g * e.n, count);
      } else {
        if (phase == 0) {
          activate(q.gate, sum, zx, kept, z, count);
          activate(q.gate, sum + p.units, zx + e.n, kept + e.n, r, count);
        }
        if (!q.reset_after && phase == 0) {
          const T* scale = q.drop.at(2, row);
          vectors<T>(count, [&](int64_t i, int64_t left) {
            V v = V::load(r + i) * previous(i, left);
            if (scale) v *= V::load_n(scale + j + i, left);
            v.store_n(st + i, left);
          });
          return;
        }
        if (q.reset_after) {
          vectors<T>(count, [&](int64_t i, int64_t left) {
            const V v = V::load_n(sum + 2 * p.units + i, left);
            if (writes_s) v.store_n(st + i, left);
            (V::load(r + i) * v).store(x + i);
          });
        } else {
          scaled<T>(sum + 2 * p.units, nullptr, x, count);
          recall(q.gate, kept, z, count);
        }
        activate(q.act, x, zx + 2 * e.n, kept + 2 * e.n, x, count);
        vectors<T>(count, [&](int64_t i, int64_t left) {
          const V update = V::load(z + i);
          fma(update, previous(i, left), (V(T(1)) - update) * V::load(x + i)).store_n(ht + i, left);
        });
      }
      if (step == e.t - 1) scaled<T>(ht, nullptr, hn + row * e.n + j, count);
    });
  });
  team::barrier();
}

template <class T>
struct GruGradients {
  const T *dy, *dhn;
  T *dz, *ds, *hp, *dh;
};

template <class T>
void backward(const Extent& e, const Gru<T>& q, const T* gates, const T* h, const T* s,
              int64_t count_planes, const GruGradients<T>& d) {
  const Planes planes = {count_planes, 3};
  const Kernel<T> kernel = pack_planes(q.u, e.n, planes);
  const States<const T> hs = {h, q.h0, e.t, e.n};
  // Without reset_after the last plane, r h', is pulled back within its step, in phase 1.
  const int64_t pulled = q.reset_after ? count_planes : count_planes - 1;
  T* room = (T*)team::local_scratch(kGemmScratch);
  const T* du_side = q.reset_after ? d.ds : d.dz;  // the gradient on the side of U
  walk<T>(e, e.t + 1, q.reset_after ? 1 : 2, 0, [&](const Part& p, int64_t back, int phase) {
    using V = Vec<T>;
    const int64_t step = e.t - 1 - back;
    if (phase == 0) {
      if (back == 0) {
        begin_gradient(p, e.n, d.dhn, d.dh);
      } else {
        const T* from = du_side + (p.row * e.t + e.time(step + 1)) * 3 * e.n;
        pull_back(e, p, kernel, planes, pulled, q.drop, from, e.t * 3 * e.n, d.dh, room);
      }
    }
    if (step < 0) return;
    const int64_t time = e.time(step);
    if (phase == 1) {
      const T* from = d.dz + (p.row * e.t + time) * 3 * e.n + 2 * e.n;
      product<T>(p, e.n, e.n, from, e.t * 3 * e.n, kernel.of_plane(planes, pulled), room, p.units,
                 nullptr, 0);
    }
    strips(p, [&](int64_t row, int64_t j, int64_t count) {
      const int64_t place = row * e.t + time, at = (row * e.t + step) * e.n + j;
      const T *before = hs.before(row, step), *zt = gates + place * 3 * e.n + j;
      if (before) before += j;
      T *dh = d.dh + row * e.n + j, *dz = d.dz + place * 3 * e.n + j;
      T* ds = d.ds ? d.ds + place * 3 * e.n + j : nullptr;
      const bool masked = q.masked(e, row, time);
      if (phase == 0 && step) {
        const int64_t next = row * e.t + e.time(step - 1);
        for (int g = 0; g < 3; ++g) {
          fetch(gates + (next * 3 + g) * e.n + j, count);
          fetch(d.dz + (next * 3 + g) * e.n + j, count);
          if (d.ds) fetch(d.ds + (next * 3 + g) * e.n + j, count);
        }
        for (int64_t k = 0; k < count_planes; ++k)
          fetch(d.hp + (k * e.b * e.t + next) * e.n + j, count);
        fetch(s + at - e.n, count);
        if (d.dy) fetch(d.dy + at - e.n, count);
        if (step > 1) fetch(h + at - 2 * e.n, count);
      }
      alignas(64) T z[kStrip], z_slope[kStrip], r[kStrip], r_slope[kStrip], hh[kStrip],
          hh_slope[kStrip];
      auto previous = [&](int64_t i, int64_t left) {
        return before ? V::load_n(before + i, left) : V(T(0));
      };
      if (phase == 1) {
        if (masked) return;
        // From d(r h') to r and h'.
        differentiate(q.gate, true, zt + e.n, r, r_slope, count);
        const T *from = room + (row - p.row) * p.units + j - p.unit, *scale = q.drop.at(2, row);
        vectors<T>(count, [&](int64_t i, int64_t left) {
          V g = V::load_n(from + i, left);
          if (scale) g *= V::load_n(scale + j + i, left);
          (g * previous(i, left) * V::load(r_slope + i)).store_n(dz + e.n + i, left);
          fma(g, V::load(r + i), V::load_n(dh + i, left)).store_n(dh + i, left);
        });
        return;
      }
      for (int64_t k = 0; k < pulled; ++k) {
        const T* scale = q.drop.at(k, row);
        scaled<T>(before, scale ? scale + j : nullptr, d.hp + (k * e.b * e.t + place) * e.n + j,
                  count);
      }
      if (!q.reset_after)
        scaled<T>(s + at, nullptr, d.hp + (pulled * e.b * e.t + place) * e.n + j, count);
      const T* later = d.dy ? d.dy + at : nullptr;
      if (masked) {
        for (int g = 0; g < 3; ++g) {
          scaled<T>(nullptr, nullptr, dz + g * e.n, count);
          if (ds) scaled<T>(nullptr, nullptr, ds + g * e.n, count);
        }
        if (later)
          vectors<T>(count, [&](int64_t i, int64_t left) {
            (V::load_n(dh + i, left) + V::load_n(later + i, left)).store_n(dh + i, left);
          });
        return;
      }
      differentiate(q.gate, true, zt, z, z_slope, count);
      if (q.reset_after) differentiate(q.gate, true, zt + e.n, r, r_slope, count);
      differentiate(q.act, true, zt + 2 * e.n, hh, hh_slope, count);
      vectors<T>(count, [&](int64_t i, int64_t left) {
        V g = V::load_n(dh + i, left);
        if (later) g += V::load_n(later + i, left);
        const V update = V::load(z + i);
        const V dzz = g * (previous(i, left) - V::load(hh + i)) * V::load(z_slope + i);
        const V dhh = g * (V(T(1)) - update) * V::load(hh_slope + i);
        dzz.store_n(dz + i, left);
        dhh.store_n(dz + 2 * e.n + i, left);
        (g * update).store_n(dh + i, left);
        if (ds) {
          const V dr = dhh * V::load_n(s + at + i, left) * V::load(r_slope + i);
          dr.store_n(dz + e.n + i, left);
          dzz.store_n(ds + i, left);
          dr.store_n(ds + e.n + i, left);
          (dhh * V::load(r + i)).store_n(ds + 2 * e.n + i, left);
        }
      });
    });
  });
  team::barrier();
}

bool planes_fit(In drop) {
  if (!drop || drop.dim(0) == 1 || drop.dim(0) == 3) return true;
  team::fault("drop has neither one mask nor one for each gate");
  return false;
}

}  // namespace

void gru(In x, In w, In bias, InOut z, In u, In recurrent_bias, In h0, In mask, In drop, Out h,
         Out s, Out hn, int64_t activation, double alpha, int64_t recurrent_activation,
         double recurrent_alpha, bool reset_after, bool reverse, bool keep) noexcept {
  const Extent e = {z.dim(0), z.dim(1), u.dim(0), 3, reverse};
  if (!known(activation, "activation") || !known(recurrent_activation, "recurrent_activation"))
    return;
  if (recurrent_bias && !reset_after)
    return team::fault("a bias on the side of U needs reset_after");
  if (!planes_fit(drop) || !input_fits(x, w) || e.b * e.n == 0) return;
  with_float(z.dtype(), [&](auto type) {
    using T = decltype(type);
    const Gru<T> q = {u.data<T>(),
                      or_null<T>(recurrent_bias),
                      or_null<T>(h0),
                      or_null<uint8_t>(mask),
                      {or_null<T>(drop), drop ? drop.dim(0) : 0, e.b, e.n},
                      {(Activation)activation, alpha},
                      {(Activation)recurrent_activation, recurrent_alpha},
                      reset_after,
                      keep};
    if (e.t == 0) return copy_state(e.b, e.n, q.h0, hn.data<T>());
    const Input<T> in = {or_null<T>(x), or_null<T>(w), or_null<T>(bias), x ? x.dim(2) : 0};
    forward(e, q, in, z.data<T>(), h.data<T>(), s.data<T>(), hn.data<T>());
  });
}

void gru_grad(In z, In u, In h, In s, In h0, In mask, In drop, In dy, In dhn, Out dz, Out ds,
              Out hp, Out dh0, int64_t activation, double alpha, int64_t recurrent_activation,
              double recurrent_alpha, bool reset_after, bool reverse) noexcept {
  const Extent e = {z.dim(0), z.dim(1), u.dim(0), 3, reverse};
  if (!known(activation, "activation") || !known(recurrent_activation, "recurrent_activation"))
    return;
  if (!planes_fit(drop)) return;
  const int64_t masks = drop ? drop.dim(0) : 1, planes = masks == 1 && !reset_after ? 2 : masks;
  if (hp.dim(0) != planes) return team::fault("hp has the wrong number of planes");
  if (reset_after != (bool)ds) return team::fault("ds is there with reset_after and only then");
  if (e.b * e.n == 0) return;
  with_float(z.dtype(), [&](auto type) {
    using T = decltype(type);
    const Gru<T> q = {u.data<T>(),
                      nullptr,
                      or_null<T>(h0),
                      or_null<uint8_t>(mask),
                      {or_null<T>(drop), masks, e.b, e.n},
                      {(Activation)activation, alpha},
                      {(Activation)recurrent_activation, recurrent_alpha},
                      reset_after,
                      true};
    const GruGradients<T> d = {or_null<T>(dy), or_null<T>(dhn), dz.data<T>(),
                               or_null<T>(ds), hp.data<T>(),    dh0.data<T>()};
    if (e.t == 0)
      copy_state(e.b, e.n, d.dhn, d.dh);
    else
      backward(e, q, z.data<T>(), h.data<T>(), s.data<T>(), planes, d);
  });
}

}  // namespace fastnn::FASTNN_ISA
