// LSTM (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000), gates in Keras' order:
//
//   i, f, o = act_r(z_i), act_r(z_f), act_r(z_o)    z = x W + b + h_{t-1} U
//   c_t = f c_{t-1} + i act(z_c)                    h_t = o act(c_t)
//
// z (b, t, 4n) comes in as x W + b unless x is given; where `keep` is set the walk leaves in it
// what the backward pass reads: the gates, or their arguments where the derivative of an activation
// needs those. Else it leaves neither z nor c, of which the first step's place holds all steps in
// turn.
#include "cpu/recurrent.h"

namespace fastnn::FASTNN_ISA {
namespace {

using namespace recurrent;

template <class T>
struct Lstm {
  const T *u, *h0, *c0;
  const uint8_t* mask;
  StateDropout<T> drop;
  Act act, gate;
  bool keep;
  FASTNN_INLINE bool masked(const Extent& e, int64_t row, int64_t time) const {
    return mask && !mask[row * e.t + time];
  }
};

template <class T>
void forward(const Extent& e, const Lstm<T>& s, const Input<T>& input, T* z, T* h, T* c, T* hn,
             T* cn) {
  const Input<T> in = input_of_walk(e, input, z);
  const Kernel<T> kernel = pack_gates(s.u, e.n, 4, in);
  const States<T> hs = {h, s.h0, e.t, e.n}, cs = {c, s.c0, e.t, e.n, s.keep};
  T* sums = (T*)team::local_scratch(kGemmScratch);
  walk<T>(e, e.t, 1, in.d, [&](const Part& p, int64_t step, int) {
    const int64_t time = e.time(step);
    T *room = sums + p.rows * 4 * p.units, *from_input = room + p.rows * e.n;
    recurrent_sums(e, p, kernel, hs, step, s.drop, (const T*)nullptr, 0, 4, sums, room);
    if (in.x) input_sums(e, p, kernel, in, time, from_input, from_input + p.rows * 4 * e.n);
    strips(p, [&](int64_t row, int64_t j, int64_t count) {
      using V = Vec<T>;
      const T *h_before = hs.before(row, step), *c_before = cs.before(row, step);
      if (h_before) h_before += j;
      if (c_before) c_before += j;
      T *ht = hs.of(row, step) + j, *ct = cs.of(row, step) + j;
      if (step + 1 < e.t) {
        const T* zt = z + (row * e.t + e.time(step + 1)) * 4 * e.n + j;
        if (s.keep || !in.x)
          for (int g = 0; g < 4; ++g) fetch(zt + g * e.n, count);
        fetch(hs.of(row, step + 1) + j, count);
        fetch(cs.of(row, step + 1) + j, count);
      }
      T* zt = z + (row * e.t + time) * 4 * e.n + j;
      T* zx = in.x ? from_input + (row - p.row) * 4 * e.n + j : zt;
      T* kept = s.keep ? zt : zx;
      if (s.masked(e, row, time)) {
        scaled<T>(h_before, nullptr, ht, count);
        scaled<T>(c_before, nullptr, ct, count);
        if (zx != kept)
          for (int g = 0; g < 4; ++g) scaled<T>(zx + g * e.n, nullptr, kept + g * e.n, count);
      } else {
        const T* sum = sums + (row - p.row) * 4 * p.units + j - p.unit;
        alignas(64) T gates[4][kStrip], value[kStrip];
        for (int g = 0; g < 4; ++g)
          activate(g == 2 ? s.act : s.gate, sum + g * p.units, zx + g * e.n, kept + g * e.n,
                   gates[g], count);
        vectors<T>(count, [&](int64_t i, int64_t left) {
          V cell = V::load(gates[0] + i) * V::load(gates[2] + i);
          if (c_before) cell = fma(V::load(gates[1] + i), V::load_n(c_before + i, left), cell);
          cell.store_n(ct + i, left);
        });
        evaluate(s.act, ct, value, count);
        vectors<T>(count, [&](int64_t i, int64_t left) {
          (V::load(gates[3] + i) * V::load(value + i)).store_n(ht + i, left);
        });
      }
      if (step == e.t - 1) {
        scaled<T>(ht, nullptr, hn + row * e.n + j, count);
        scaled<T>(ct, nullptr, cn + row * e.n + j, count);
      }
    });
  });
  team::barrier();
}

template <class T>
struct LstmGradients {
  const T *dy, *dhn, *dcn;
  T *dz, *hp, *dh, *dc;
};

template <class T>
void backward(const Extent& e, const Lstm<T>& s, const T* z, const T* h, const T* c, int64_t planes,
              const LstmGradients<T>& d) {
  const Planes gates = {planes, 4};
  const Kernel<T> kernel = pack_planes(s.u, e.n, gates);
  const States<const T> hs = {h, s.h0, e.t, e.n}, cs = {c, s.c0, e.t, e.n};
  T* room = (T*)team::local_scratch(kGemmScratch);
  walk<T>(e, e.t + 1, 1, 0, [&](const Part& p, int64_t back, int) {
    const int64_t step = e.t - 1 - back;
    if (back == 0) {
      begin_gradient(p, e.n, d.dhn, d.dh);
      begin_gradient(p, e.n, d.dcn, d.dc);
    } else {
      const T* from = d.dz + (p.row * e.t + e.time(step + 1)) * 4 * e.n;
      pull_back(e, p, kernel, gates, planes, s.drop, from, e.t * 4 * e.n, d.dh, room);
    }
    if (step < 0) return;
    const int64_t time = e.time(step);
    strips(p, [&](int64_t row, int64_t j, int64_t count) {
      using V = Vec<T>;
      const int64_t place = row * e.t + time, at = (row * e.t + step) * e.n + j;
      const T *h_before = hs.before(row, step), *c_before = cs.before(row, step);
      if (c_before) c_before += j;
      if (step) {
        const int64_t place = row * e.t + e.time(step - 1);
        for (int g = 0; g < 4; ++g) {
          fetch(z + (place * 4 + g) * e.n + j, count);
          fetch(d.dz + (place * 4 + g) * e.n + j, count);
        }
        for (int64_t q = 0; q < planes; ++q) fetch(d.hp + (q * e.b * e.t + place) * e.n + j, count);
        if (d.dy) fetch(d.dy + at - e.n, count);
        if (step > 1) {
          fetch(h + at - 2 * e.n, count);
          fetch(c + at - 2 * e.n, count);
        }
      }
      for (int64_t q = 0; q < planes; ++q) {
        const T* scale = s.drop.at(q, row);
        scaled<T>(h_before ? h_before + j : nullptr, scale ? scale + j : nullptr,
                  d.hp + (q * e.b * e.t + place) * e.n + j, count);
      }
      T *dh = d.dh + row * e.n + j, *dc = d.dc + row * e.n + j, *dz = d.dz + place * 4 * e.n + j;
      const T *later = d.dy ? d.dy + at : nullptr, *zt = z + place * 4 * e.n + j;
      if (s.masked(e, row, time)) {
        for (int g = 0; g < 4; ++g) scaled<T>(nullptr, nullptr, dz + g * e.n, count);
        if (later)
          vectors<T>(count, [&](int64_t i, int64_t left) {
            (V::load_n(dh + i, left) + V::load_n(later + i, left)).store_n(dh + i, left);
          });
        return;
      }
      alignas(64) T gate[4][kStrip], slope[4][kStrip], value[kStrip], value_slope[kStrip];
      for (int g = 0; g < 4; ++g)
        differentiate(g == 2 ? s.act : s.gate, true, zt + g * e.n, gate[g], slope[g], count);
      differentiate(s.act, false, c + at, value, value_slope, count);
      vectors<T>(count, [&](int64_t k, int64_t left) {
        V dht = V::load_n(dh + k, left), dct = V::load_n(dc + k, left);
        if (later) dht += V::load_n(later + k, left);
        auto in = [&](const T* x) { return V::load(x + k); };
        dct = fma(dht * in(gate[3]), in(value_slope), dct);
        const V before = c_before ? V::load_n(c_before + k, left) : V(T(0));
        (dct * in(gate[2]) * in(slope[0])).store_n(dz + k, left);
        (dct * before * in(slope[1])).store_n(dz + e.n + k, left);
        (dct * in(gate[0]) * in(slope[2])).store_n(dz + 2 * e.n + k, left);
        (dht * in(value) * in(slope[3])).store_n(dz + 3 * e.n + k, left);
        (dct * in(gate[1])).store_n(dc + k, left);
        V(T(0)).store_n(dh + k, left);
      });
    });
  });
  team::barrier();
}

bool planes_fit(In drop) {
  if (!drop || drop.dim(0) == 1 || drop.dim(0) == 4) return true;
  team::fault("drop has neither one mask nor one for each gate");
  return false;
}

}  // namespace

void lstm(In x, In w, In bias, InOut z, In u, In h0, In c0, In mask, In drop, Out h, Out c, Out hn,
          Out cn, int64_t activation, double alpha, int64_t recurrent_activation,
          double recurrent_alpha, bool reverse, bool keep) noexcept {
  const Extent e = {z.dim(0), z.dim(1), u.dim(0), 4, reverse};
  if (!known(activation, "activation") || !known(recurrent_activation, "recurrent_activation"))
    return;
  if (!planes_fit(drop) || !input_fits(x, w) || e.b * e.n == 0) return;
  with_float(z.dtype(), [&](auto type) {
    using T = decltype(type);
    const Lstm<T> s = {u.data<T>(),
                       or_null<T>(h0),
                       or_null<T>(c0),
                       or_null<uint8_t>(mask),
                       {or_null<T>(drop), drop ? drop.dim(0) : 0, e.b, e.n},
                       {(Activation)activation, alpha},
                       {(Activation)recurrent_activation, recurrent_alpha},
                       keep};
    if (e.t == 0) {
      copy_state(e.b, e.n, s.h0, hn.data<T>());
      copy_state(e.b, e.n, s.c0, cn.data<T>());
    } else {
      const Input<T> in = {or_null<T>(x), or_null<T>(w), or_null<T>(bias), x ? x.dim(2) : 0};
      forward(e, s, in, z.data<T>(), h.data<T>(), c.data<T>(), hn.data<T>(), cn.data<T>());
    }
  });
}

void lstm_grad(In z, In u, In h, In c, In h0, In c0, In mask, In drop, In dy, In dhn, In dcn,
               Out dz, Out hp, Out dh0, Out dc0, int64_t activation, double alpha,
               int64_t recurrent_activation, double recurrent_alpha, bool reverse) noexcept {
  const Extent e = {z.dim(0), z.dim(1), u.dim(0), 4, reverse};
  if (!known(activation, "activation") || !known(recurrent_activation, "recurrent_activation"))
    return;
  if (!planes_fit(drop)) return;
  const int64_t planes = drop ? drop.dim(0) : 1;
  if (hp.dim(0) != planes) return team::fault("hp has not as many planes as drop");
  if (e.b * e.n == 0) return;
  with_float(z.dtype(), [&](auto type) {
    using T = decltype(type);
    const Lstm<T> s = {u.data<T>(),
                       or_null<T>(h0),
                       or_null<T>(c0),
                       or_null<uint8_t>(mask),
                       {or_null<T>(drop), planes, e.b, e.n},
                       {(Activation)activation, alpha},
                       {(Activation)recurrent_activation, recurrent_alpha},
                       true};
    const LstmGradients<T> d = {or_null<T>(dy), or_null<T>(dhn), or_null<T>(dcn), dz.data<T>(),
                                hp.data<T>(),   dh0.data<T>(),   dc0.data<T>()};
    if (e.t == 0) {
      copy_state(e.b, e.n, d.dhn, d.dh);
      copy_state(e.b, e.n, d.dcn, d.dc);
    } else {
      backward(e, s, z.data<T>(), h.data<T>(), c.data<T>(), planes, d);
    }
  });
}

}  // namespace fastnn::FASTNN_ISA
