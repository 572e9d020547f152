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

/// The results of a batch: what `json(i, found)` makes of what was found in line i.
template <class Found, class ToJson>
std::vector<Result> written(const std::vector<bertha::Outcome<Found>>& outcomes, const ToJson& json) {
  std::vector<Result> results(outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i])
      results[i] = {json(i, *outcomes[i]), outcomes[i]->info.truncated, {}};
    else
      results[i].error = outcomes[i].error();
  }
  return results;
}

/// Runs the texts of the command line, or, if there are none, the lines of standard input.
inline int run_texts(const LineCommand& command, const TextArguments& arguments, Output& out) {
  std::vector<Line> lines;
  for (const std::string& text : arguments.texts) lines.push_back({.text = text});
  return run_lines(command, arguments.lines, std::move(lines), out);
}

}  // namespace program
