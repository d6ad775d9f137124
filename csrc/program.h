// A program: the kernel calls of one step, recorded once and replayed without Python.
//
// What existed before the recording is permanent; what is allocated while recording comes from the
// program's own pool and is reused in execution order. Numbers that change between steps live in
// tensors; a plain scalar in a call is structure. A value that crosses between Python and a tensor
// inside the step spoils the recording.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "call.h"

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
  void spoil(const std::string& reason);
  const std::string& spoiled() const { return spoiled_; }

  void run();

  // Batches of rows that lie in the host's memory, and the tensor of the step that holds one.
  struct Stream {
    char* rows;
    View slot;
    size_t bytes() const;  // of one batch
  };

  // Runs the step for batches [begin, end): copies each batch of the inputs into their slots first,
  // and what the step left in the outputs' slots to its place afterwards. Returns the first batch
  // not run: it stops early after `seconds`, so that the caller can look for signals and redraw.
  int64_t run_batches(const std::vector<Stream>& inputs, const std::vector<Stream>& outputs,
                      int64_t begin, int64_t end, double seconds);

  std::string describe() const;
  Profile profile(int rounds);

  size_t calls() const { return steps_.size(); }
  size_t pool_bytes() const { return pool_->reserved_bytes(); }
  const std::shared_ptr<Pool>& pool() const { return pool_; }
  Device pool_device() const { return device_; }
  int threads() const { return threads_; }

 private:
  struct Step {
    Call call;
    bool barrier = false;  // something it touches may still be in another member's hands
  };
  void place_barriers();
  void require_recorded() const;  // throws std::logic_error while it is being recorded
  void run_steps() const;

  Device device_;
  std::shared_ptr<Pool> pool_;
  std::vector<Step> steps_;
  std::string spoiled_;
  int threads_ = 1;
  bool recording_ = false;
};

}  // namespace fastnn
