// A program: the kernel calls of one step, recorded once and replayed without Python.
//
// What existed before the recording is permanent; what is allocated while recording comes from the
// program's own pool and is reused in execution order. Numbers that change between steps live in
// tensors; a plain scalar in a call is structure, and a tensor made from host values a constant.
// Values that go from a tensor to Python, or into a tensor that is there already, spoil the
// recording.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "call.h"
#include "cpu/team.h"

namespace fastnn {

// Where Python makes one without its constructor (see NeverBare) it is an empty one: zeros.
struct ZeroedWhenBare {
  static void* operator new(size_t bytes);
  static void operator delete(void* p);
};

struct CallTiming : ZeroedWhenBare {
  std::string kernel, shapes;
  double seconds, flops, bytes;
};

// The calls of a program in their order, with the time of each.
struct Profile : ZeroedWhenBare {
  std::vector<CallTiming> calls;
  Device device;
  int threads;

  // One line a call: its time and share of the step, GFLOP/s and GB/s with their percentages of
  // what this machine does at most (peak.h) on as many threads.
  std::string table() const;
};

class Program : public NeverBare {
 public:
  explicit Program(Device device);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // The program that this thread is recording into, or null.
  static Program* recording();
  void begin();  // throws std::logic_error when this thread records already
  void end();
  void record(Call call);
  // A tensor was made from these host values; the calls that read it keep its memory.
  void note_constant(const void* values, size_t bytes);
  void spoil(const std::string& reason);
  const std::string& spoiled() const { return spoiled_; }

  // Whether somebody wants the thread that runs a program back. It may be asked at any time.
  using Asked = bool (*)();

  // False where a step was broken off because `asked` says so: then it has left no trace. Only long
  // steps ask, and not any more once they have begun to change much.
  bool run(Asked asked = nullptr);

  // Batches of rows that lie in the host's memory, and the tensor of the step that holds one.
  struct Stream {
    char* rows;
    View slot;
    size_t bytes() const;  // of one batch
  };

  // Runs the step for batches [begin, end): copies each batch of the inputs into their slots first,
  // and what the step left in the outputs' slots to its place afterwards. `feeder`, if there is
  // one, runs in between: where inputs are row numbers, it brings those rows to where the step
  // reads its batch. Returns the first batch not run: it stops early after `seconds`, so that the
  // caller can look for signals and redraw, or where was_broken().
  int64_t run_batches(const Program* feeder, const std::vector<Stream>& inputs,
                      const std::vector<Stream>& outputs, int64_t begin, int64_t end,
                      double seconds, Asked asked = nullptr);

  bool was_broken() const { return was_broken_; }  // the last run or batch was broken off

  std::string describe() const;
  Profile profile(int rounds);

  size_t calls() const { return steps_.size(); }
  size_t constants() const { return constants_; }
  // A hash of what replays hold fast: which kernels, with which numbers, on which tensors or parts
  // of them, and the constants. Two recordings of a step that may be replayed have the same.
  uint64_t fingerprint() const { return fingerprint_; }
  size_t pool_bytes() const { return pool_->reserved_bytes(); }
  const std::shared_ptr<Pool>& pool() const { return pool_; }
  Device pool_device() const { return device_; }
  int threads() const { return threads_; }

 private:
  struct Step {
    Call call;
    bool barrier = false;  // something it touches may still be in another member's hands
    bool alone = false;    // so little work that the first member does it by itself

    void run() const;  // this member's part
  };
  // A run of a step that may be broken off, if somebody is asked: who, and what memory held before.
  struct Breakable {
    team::Watch watch;  // its places are steps; behind the last one is a place, too
    std::vector<char> before;
    explicit Breakable(Asked asked) : watch(asked) {}
    Breakable* or_none() { return watch.asked ? this : nullptr; }
  };
  void place_barriers();
  void find_breakable();
  int64_t next_barrier(int64_t i) const;  // of step i or behind it, where there is none the end
  Asked may_ask(Asked asked) const { return last_stop_ > 0 ? asked : nullptr; }
  void save(Breakable&) const;
  void undo(const Breakable&) const;
  void mix(const void* data, size_t bytes);  // into the fingerprint
  void mix_view(const View& view, const Block* block, bool own);
  void require_recorded() const;  // throws std::logic_error while it is being recorded
  // False where they were broken off, for every member alike.
  bool run_steps(Breakable* breakable = nullptr) const;

  Device device_;
  std::shared_ptr<Pool> pool_;
  std::vector<Step> steps_;
  // Until the barrier of step `last_stop_` (or the end) no other memory that outlives the step has
  // been written to; empty and 0 where the step is short.
  std::vector<std::pair<char*, size_t>> changed_;
  int64_t last_stop_ = 0;
  bool was_broken_ = false;
  std::string spoiled_;
  size_t constants_ = 0;
  uint64_t fingerprint_ = 0;
  int threads_ = 1;
  bool recording_ = false;
};

}  // namespace fastnn
