// What the commands that take texts have in common.

#pragma once

#include "commands.hpp"

namespace program {

inline bertha::CallOptions call_options(const LineOptions& lines) {
  bertha::CallOptions call;
  call.max_threads = lines.threads;
  return call;
}

inline bertha::TextInput text_input(const Line& line) {
  return line.pair ? bertha::TextInput(line.text, *line.pair) : bertha::TextInput(line.text);
}

/// Runs the texts of the command line, or, if there are none, the lines of standard input.
inline int run_texts(const LineCommand& command, const TextArguments& arguments, Output& out) {
  std::vector<Line> lines;
  for (const std::string& text : arguments.texts) lines.push_back({text, {}, {}, {}});
  return run_lines(command, arguments.lines, std::move(lines), out);
}

}  // namespace program
