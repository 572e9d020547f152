// What the commands that take texts have in common.

#pragma once

#include "commands.hpp"

namespace program {

inline bertha::CallOptions call_options(const LineOptions& lines) {
  bertha::CallOptions call;
  call.max_threads = lines.threads;
  return call;
}

/// Runs the texts of the command line, or, if there are none, the lines of standard input.
inline int run_texts(const LineCommand& command, const TextArguments& arguments, Output& out) {
  std::vector<Line> lines;
  for (const std::string& text : arguments.texts) lines.push_back({text, {}, {}, {}});
  return run_lines(command, arguments.lines, std::move(lines), out);
}

/// `run` on all lines or, when one of them is bad, on each alone.
template <class Run>
auto each_or_alone(const Run& run) {
  return [run](const std::vector<const Line*>& lines) -> std::vector<Result> {
    try {
      return run(lines);
    } catch (const bertha::Error& error) {
      if (lines.size() == 1) return {Result{{}, false, error}};
    }
    std::vector<Result> results;
    for (const Line* line : lines) try {
        results.push_back(run({line}).front());
      } catch (const bertha::Error& error) {
        results.push_back({{}, false, error});
      }
    return results;
  };
}

}  // namespace program
