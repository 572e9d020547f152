// Lines in, JSON lines out, in the same order; a bad line gives an error in its place and doesn't stop the others.

#pragma once

#include <bertha/error.hpp>
#include <bertha/tokenizer/offsets.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json_line.hpp"
#include "streams.hpp"

namespace program {

/// What all commands that read lines have in common.
struct LineOptions {
  bool jsonl = false;
  std::size_t batch_size = 32;
  std::size_t threads = 0;
  bertha::OffsetUnit unit = bertha::OffsetUnit::code_point;
  bool replace_invalid_utf8 = false;
  bool quiet = false;
};

/// What became of a line: JSON, or what is wrong with it.
struct Result {
  std::string json;
  bool cut = false;  // parts of the text were left out, and `json` has no place to say so
  std::optional<bertha::Error> error;
};

/// A command that reads lines.
struct LineCommand {
  Keys keys;
  /// The results of a batch of good lines, in their order.
  std::function<std::vector<Result>(const std::vector<const Line*>&)> run;
  /// What can be done where texts were cut; ends the sentence that says so.
  std::string_view instead_of_cutting;
};

/// What stands in the place of the result of a bad line, the `number_of_line`th from 1.
std::string error_line(const bertha::Error& error, std::size_t number_of_line, const std::string& others = {});

/// Says on standard error how many texts were cut, if any were, and `what_can_be_done`.
void say_cut(std::size_t cut, std::size_t texts, std::string_view what_can_be_done, const LineOptions& options);

/// Runs `lines`, or, where there are none, every line of standard input, and writes the results to `out`, as soon as no
/// more lines are there or a batch is full. Returns the exit status: 0, or 1 when a line was bad.
int run_lines(const LineCommand& command, const LineOptions& options, std::vector<Line> lines, Output& out);

}  // namespace program
