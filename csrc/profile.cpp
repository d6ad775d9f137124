// The table of a profile: each call's time and share, and how near it came to what the machine
// does.
#include <algorithm>
#include <cstdio>

#include "peak.h"
#include "program.h"

namespace fastnn {

std::string Profile::table() const {
  const bool cpu = device == Device::cpu;
  const peak::Peaks most = cpu ? peak::of(threads) : peak::Peaks{};
  double seconds = 0, flops = 0, bytes = 0;
  size_t width = 6;
  for (const CallTiming& c : calls) {
    seconds += c.seconds;
    flops += c.flops;
    bytes += c.bytes;
    width = std::max(width, c.kernel.size());
  }
  std::string text;
  char line[160];
  const auto rate = [&](double amount, double time, double peak) {
    const double speed = time > 0 ? amount / time : 0;
    snprintf(line, sizeof line, " %8.1f", speed / 1e9);
    text += line;
    if (!cpu) return;
    snprintf(line, sizeof line, " %4.0f%%", 100 * speed / peak);
    text += line;
  };
  const auto row = [&](const std::string& label, const CallTiming& c) {
    snprintf(line, sizeof line, "%s %-*s %10.1f %5.1f%%", label.c_str(), static_cast<int>(width),
             c.kernel.c_str(), c.seconds * 1e6, seconds > 0 ? 100 * c.seconds / seconds : 0);
    text += line;
    rate(c.flops, c.seconds, most.flops);
    rate(c.bytes, c.seconds, most.bytes);
    text += (c.shapes.empty() ? "" : "  ") + c.shapes + "\n";
  };
  snprintf(line, sizeof line, "    %-*s         us  share  GFLOP/s%s     GB/s%s\n",
           static_cast<int>(width), "kernel", cpu ? "  peak" : "", cpu ? "  copy" : "");
  text += line;
  int i = 0;
  for (const CallTiming& c : calls) {
    snprintf(line, sizeof line, "%3d", i++);
    row(line, c);
  }
  row("   ", {{}, "all", "", seconds, flops, bytes});
  if (cpu) {
    snprintf(
        line, sizeof line,
        "%d thread%s: at most %.0f GFLOP/s of multiply-adds, %.1f GB/s of copying in memory; data "
        "in a cache may come faster\n",
        threads, threads == 1 ? "" : "s", most.flops / 1e9, most.bytes / 1e9);
    text += line;
  }
  return text;
}

}  // namespace fastnn
