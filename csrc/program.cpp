#include "program.h"

#include <string.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace fastnn {

namespace {

thread_local Program* current = nullptr;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Range {
  const char* begin;
  const char* end;
};

// What calls have read and written.
struct Touched {
  std::vector<Range> reads, writes;

  // Whether a later call that touches this may not overtake those calls.
  bool holds_up(const Touched& later) const {
    return meet(writes, later.reads) || meet(writes, later.writes) || meet(reads, later.writes);
  }
  void add(const Touched& more) {
    reads.insert(reads.end(), more.reads.begin(), more.reads.end());
    writes.insert(writes.end(), more.writes.begin(), more.writes.end());
  }

 private:
  static bool meet(const std::vector<Range>& a, const std::vector<Range>& b) {
    for (const Range& p : a)
      for (const Range& q : b)
        if (p.begin < q.end && q.begin < p.end) return true;
    return false;
  }
};

Range range_of(const View& v) {
  int64_t n = 1;
  for (int d = 0; d < v.rank; ++d) n *= v.shape[d];
  const char* p = static_cast<const char*>(v.data);
  return {p, p + static_cast<size_t>(n) * item_bytes(v.dtype)};
}

}  // namespace

void* ZeroedWhenBare::operator new(size_t bytes) { return memset(::operator new(bytes), 0, bytes); }
void ZeroedWhenBare::operator delete(void* p) { ::operator delete(p); }

Program::Program(Device device) : device_(device), pool_(std::make_shared<Pool>(device)) {}

Program* Program::recording() { return current; }

void Program::begin() {
  if (current) throw std::logic_error("a program is being recorded already in this thread");
  if (!steps_.empty()) throw std::logic_error("this program has been recorded already");
  current = this;
  recording_ = true;
}

void Program::end() {
  if (current != this) throw std::logic_error("this program is not being recorded");
  current = nullptr;
  recording_ = false;
  place_barriers();
  find_breakable();
  // One thread serves a small step best: waking and meeting the others costs more than they bring.
  constexpr double kParallelFrom_ns = 40'000, kBarrier_ns = 700;
  double shared = 0, barriers = 0;
  for (const Step& s : steps_) {
    shared += s.alone ? 0 : s.call.cost_ns();
    barriers += s.barrier ? kBarrier_ns : 0;
  }
  threads_ = shared > kParallelFrom_ns && shared > 2 * barriers ? team::max_threads() : 1;
}

Program::~Program() { pool_->trim(); }

// Permanent blocks are held; the program's own are not, so that what Python lets go while recording
// can be used again by what comes later. Their memory stays with the pool.
void Program::record(Call call) {
  const auto& params = call.kernel->line.params();
  mix(&call.kernel->index, sizeof call.kernel->index);
  mix(&call.rounds_products, sizeof call.rounds_products);
  for (size_t i = 0; i < params.size(); ++i) {
    const Arg& arg = call.args[i];
    BlockPtr& block = call.blocks[i];
    if (block && block->constant && is_written(params[i].kind))
      spoil("a tensor that the step makes from numbers is written to afterwards");
    const bool own = block && block->pool == pool_.get();
    if (is_tensor(params[i].kind)) mix_view(arg.view, block.get(), own);
    if (own) block.reset();
    switch (params[i].kind) {
      case Kind::real:
        mix(&arg.real, sizeof arg.real);
        break;
      case Kind::integer:
      case Kind::flag:
        mix(&arg.integer, sizeof arg.integer);
        break;
      case Kind::ints:
        mix(arg.ints.values, static_cast<size_t>(arg.ints.count) * sizeof arg.ints.values[0]);
        break;
      default:
        break;
    }
  }
  steps_.push_back({std::move(call), false});
}

// FNV-1a (Fowler, Noll, Vo) over words of eight bytes, the last filled up with zeros.
void Program::mix(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word = 0;
    memcpy(&word, p + i, std::min<size_t>(8, bytes - i));
    fingerprint_ = (fingerprint_ ^ word) * 0x100000001b3;
    fingerprint_ ^= fingerprint_ >> 29;  // high bits of a word would never reach the low ones
  }
}

// A view has no kernel: which part of a tensor it is, and of which tensor, shows only here.
// Addresses of what the step makes itself, constants among it, are others in every recording.
void Program::mix_view(const View& view, const Block* block, bool own) {
  mix(view.shape, static_cast<size_t>(view.rank) * sizeof view.shape[0]);
  if (!block) return;
  const char* data = static_cast<const char*>(view.data);
  const auto place = own || block->constant
                         ? static_cast<uint64_t>(data - static_cast<const char*>(block->data))
                         : reinterpret_cast<uint64_t>(data);
  mix(&place, sizeof place);
}

void Program::note_constant(const void* values, size_t bytes) {
  ++constants_;
  mix(values, bytes);
}

void Program::spoil(const std::string& reason) {
  if (spoiled_.empty()) spoiled_ = reason;
}

// A call waits for the others when it reads what was written, or writes what was read or written,
// since the last barrier. Calls too small for sharing them to repay the barriers are made by one
// member, who does not wait for itself.
void Program::place_barriers() {
  constexpr double kAlone_ns = 4'000;
  Touched by_all, by_one;
  for (Step& s : steps_) {
    s.alone = s.call.cost_ns() < kAlone_ns;
    const auto& params = s.call.kernel->line.params();
    Touched touched;
    for (size_t i = 0; i < params.size(); ++i) {
      if (!is_tensor(params[i].kind) || !s.call.args[i].view.data) continue;
      const Range range = range_of(s.call.args[i].view);
      if (params[i].kind != Kind::out) touched.reads.push_back(range);
      if (is_written(params[i].kind)) touched.writes.push_back(range);
    }
    s.barrier = by_all.holds_up(touched) || (!s.alone && by_one.holds_up(touched));
    if (s.barrier) by_all = by_one = {};
    (s.alone ? by_one : by_all).add(touched);
  }
}

// A step of many milliseconds keeps whoever presses Ctrl-C waiting. Until it changes more memory of
// others than is copied in no time (counters, sums of metrics, moving averages come before the
// weights), it can be broken off and undone.
void Program::find_breakable() {
  constexpr double kLong_ns = 20e6;
  constexpr size_t kUndone = 1 << 20;
  double cost = 0;
  for (const Step& s : steps_) cost += s.call.cost_ns();
  if (cost < kLong_ns || device_ != Device::cpu) return;
  size_t bytes = 0;
  int64_t i = 0, count = static_cast<int64_t>(steps_.size());
  for (; i < count; ++i) {
    const Step& s = steps_[i];
    const auto& params = s.call.kernel->line.params();
    std::vector<std::pair<char*, size_t>> changed;
    for (size_t p = 0; p < params.size(); ++p) {
      const View& view = s.call.args[p].view;
      const BlockPtr& block = s.call.blocks[p];  // null where the memory is the program's own
      if (!is_written(params[p].kind) || !view.data || !block || block->scratch) continue;
      const Range range = range_of(view);
      changed.emplace_back(static_cast<char*>(view.data), range.end - range.begin);
      bytes += changed.back().second;
    }
    if (bytes > kUndone) break;
    changed_.insert(changed_.end(), changed.begin(), changed.end());
  }
  // Before that step all members must have met, for one may be there early.
  if (i < count)
    while (i > 0 && !steps_[i].barrier) --i;
  last_stop_ = i;
}

int64_t Program::next_barrier(int64_t i) const {
  const auto count = static_cast<int64_t>(steps_.size());
  while (i < count && !steps_[i].barrier) ++i;
  return i;
}

void Program::save(Breakable& x) const {
  x.before.clear();
  for (const auto& [data, bytes] : changed_) x.before.insert(x.before.end(), data, data + bytes);
}

void Program::undo(const Breakable& x) const {
  const char* from = x.before.data();
  for (const auto& [data, bytes] : changed_) {
    memcpy(data, from, bytes);
    from += bytes;
  }
}

void Program::require_recorded() const {
  if (recording_) throw std::logic_error("this program is still being recorded");
}

void Program::Step::run() const {
  if (!alone) return call.run();
  if (team::self().rank != 0) return;
  team::Alone by_itself;
  call.run();
}

bool Program::run_steps(Breakable* breakable) const {
  team::Member& me = team::self();
  team::Watch* watch = breakable ? &breakable->watch : nullptr;
  const bool asks = watch && me.rank == 0;
  // Whether the members part where they meet now. The first one asks before; and it asks in the
  // midst of long kernels, whose others cannot know yet, so they part at the next meeting.
  const auto parts = [&](int64_t i) {
    if (asks && i <= last_stop_) watch->look();
    me.watch = nullptr;
    team::barrier();
    if (asks) watch->next_stop = next_barrier(i + 1);
    return watch && watch->stops_at() == i;
  };
  if (asks) watch->next_stop = next_barrier(0);
  const auto count = static_cast<int64_t>(steps_.size());
  for (int64_t i = 0; i < count; ++i) {
    const Step& s = steps_[i];
    if (s.barrier && parts(i)) return false;
    me.watch = i < last_stop_ ? watch : nullptr;
    s.run();
  }
  return !(watch && last_stop_ == count && parts(count));
}

bool Program::run(Asked asked) {
  require_recorded();
  if (device_ == Device::cuda) {
    for (const Step& s : steps_) run_on_cuda(s.call);
    wait_for_cuda("program");
    return true;
  }
  struct Context {
    const Program* program;
    Breakable* breakable;
  };
  Breakable breakable(may_ask(asked));
  Context context{this, breakable.or_none()};
  if (context.breakable) save(breakable);
  const auto body = [](void* c) {
    const Context& x = *static_cast<Context*>(c);
    x.program->run_steps(x.breakable);
  };
  const auto fault = team::run(threads_, body, &context);
  if (fault.what) throw_fault(fault);
  was_broken_ = breakable.watch.stops();
  if (was_broken_) undo(breakable);
  return !was_broken_;
}

size_t Program::Stream::bytes() const {
  const Range range = range_of(slot);
  return static_cast<size_t>(range.end - range.begin);
}

int64_t Program::run_batches(const Program* feeder, const std::vector<Stream>& inputs,
                             const std::vector<Stream>& outputs, int64_t begin, int64_t end,
                             double seconds, Asked asked) {
  require_recorded();
  if (feeder) feeder->require_recorded();
  const double deadline = now() + seconds;
  if (device_ == Device::cuda) {
    int64_t i = begin;
    while (i < end) {
      for (const Stream& s : inputs)
        check(cuda_backend().copy_in(s.slot.data, s.rows + i * s.bytes(), s.bytes()), "program");
      if (feeder)
        for (const Step& s : feeder->steps_) run_on_cuda(s.call);
      for (const Step& s : steps_) run_on_cuda(s.call);
      if (!outputs.empty()) wait_for_cuda("program");
      for (const Stream& s : outputs)
        check(cuda_backend().copy_out(s.rows + i * s.bytes(), s.slot.data, s.bytes()), "program");
      ++i;
      if (now() >= deadline) break;
    }
    wait_for_cuda("program");
    return i;
  }
  struct Loop {
    const Program *feeder, *program;
    const std::vector<Stream>&inputs, &outputs;
    int64_t batch, end;
    double deadline;
    bool started, shared;
    Breakable* breakable;

    // This member's part of the copies.
    void copy(const std::vector<Stream>& streams, bool in) const {
      const team::Member& me = team::self();
      for (const Stream& s : streams) {
        const size_t bytes = s.bytes();
        const size_t from = bytes * me.rank / me.size, to = bytes * (me.rank + 1) / me.size;
        char *slot = static_cast<char*>(s.slot.data), *rows = s.rows + batch * bytes;
        if (in)
          memcpy(slot + from, rows + from, to - from);
        else
          memcpy(rows + from, slot + from, to - from);
      }
    }
  };
  size_t bytes = 0;
  for (const Stream& s : inputs) bytes += s.bytes();
  // Row numbers are copied by the first member alone, images by all.
  Breakable breakable(may_ask(asked));
  Loop loop{feeder, this,     inputs, outputs,      begin,
            end,    deadline, false,  bytes > 8192, breakable.or_none()};
  const auto next = [](void* context) {
    Loop& l = *static_cast<Loop*>(context);
    if (l.breakable) {
      if (l.breakable->watch.stops()) return false;
      l.program->save(*l.breakable);
    }
    l.batch += l.started;
    if (l.batch >= l.end || (l.started && (now() >= l.deadline || team::faulted()))) return false;
    l.started = true;
    if (!l.shared)
      for (const Stream& s : l.inputs) memcpy(s.slot.data, s.rows + l.batch * s.bytes(), s.bytes());
    return true;
  };
  const auto body = [](void* context) {
    const Loop& l = *static_cast<const Loop*>(context);
    if (l.shared) {
      l.copy(l.inputs, true);
      team::barrier();
    }
    if (l.feeder) {
      l.feeder->run_steps();
      team::barrier();  // the batch is there
    }
    if (!l.program->run_steps(l.breakable)) return;
    if (!l.outputs.empty()) {
      team::barrier();
      l.copy(l.outputs, false);
    }
  };
  const auto fault = team::run_rounds(threads_, next, body, &loop);
  if (fault.what) throw_fault(fault);
  was_broken_ = breakable.watch.stops();
  if (was_broken_) undo(breakable);
  return loop.batch;
}

std::string Program::describe() const {
  require_recorded();
  std::string text;
  char line[64];
  int i = 0;
  for (const Step& s : steps_) {
    snprintf(line, sizeof line, "%3d %c%c %-24s", i++, s.barrier ? '|' : ' ', s.alone ? '1' : ' ',
             s.call.kernel->name);
    text += line;
    const auto& params = s.call.kernel->line.params();
    bool arrow = false;
    for (size_t a = 0; a < params.size(); ++a) {
      if (!is_tensor(params[a].kind) || !s.call.args[a].view.data) continue;
      if (params[a].kind == Kind::out && !arrow) {
        text += " ->";
        arrow = true;
      }
      text += " " + params[a].name + (params[a].kind == Kind::inout ? "!" : "") +
              shape_text(s.call.args[a].view);
    }
    text += "\n";
  }
  return text;
}

Profile Program::profile(int rounds) {
  require_recorded();
  Profile profile{{}, {}, device_, threads_};
  std::vector<CallTiming>& rows = profile.calls;
  for (const Step& s : steps_) {
    std::string shapes;
    const auto& params = s.call.kernel->line.params();
    for (size_t a = 0; a < params.size(); ++a)
      if (is_tensor(params[a].kind) && s.call.args[a].view.data)
        shapes += (shapes.empty() ? "" : " ") + params[a].name + shape_text(s.call.args[a].view);
    rows.push_back({{}, s.call.kernel->name, shapes, 0, s.call.flops, s.call.bytes});
  }
  if (device_ == Device::cuda) {
    for (int r = 0; r < rounds; ++r)
      for (size_t i = 0; i < steps_.size(); ++i) {
        const double start = now();
        run_on_cuda(steps_[i].call);
        wait_for_cuda("profile");
        rows[i].seconds += (now() - start) / rounds;
      }
    return profile;
  }
  struct Context {
    Program* program;
    std::vector<CallTiming>& rows;
    int rounds;
  } context{this, rows, rounds};
  const auto body = [](void* c) {
    Context& x = *static_cast<Context*>(c);
    team::Member& me = team::self();
    for (int r = 0; r < x.rounds; ++r)
      for (size_t i = 0; i < x.rows.size(); ++i) {
        const double start = now();
        x.program->steps_[i].run();
        team::barrier();
        if (me.rank == 0) x.rows[i].seconds += (now() - start) / x.rounds;
      }
  };
  const auto fault = team::run(threads_, body, &context);
  if (fault.what) throw_fault(fault);
  return profile;
}

}  // namespace fastnn
