// Runs the cases named on the command line, or all; --list prints their names.
#include <chrono>

#include "check.h"

int main(int argc, char** argv) {
  using namespace test;
  if (argc == 2 && !std::strcmp(argv[1], "--list")) {
    for (const Case& c : case_list) std::printf("%s\n", c.name);
    return 0;
  }
  int failed = 0, ran = 0;
  for (const Case& c : case_list) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted |= !std::strcmp(argv[i], c.name);
    if (!wanted) continue;
    ++ran;
    const auto start = std::chrono::steady_clock::now();
    const auto ms = [&] {
      return static_cast<int>((std::chrono::steady_clock::now() - start).count() / 1000000);
    };
    try {
      c.run();
      std::printf("ok   %s (%d ms)\n", c.name, ms());
    } catch (const std::exception& e) {
      std::printf("FAIL %s: %s\n", c.name, e.what());
      ++failed;
    }
    std::fflush(stdout);
  }
  if (ran == 0) std::printf("no such case\n");
  return failed > 0 || ran == 0;
}
