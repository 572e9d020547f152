// Lines in, JSON lines out, in the same order; a bad line gives an error in its place and doesn't stop the others.

#pragma once

#include <bertha/bertha.hpp>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace program {

/// What all commands that read lines have in common.
struct LineOptions {
  bool jsonl = false;
  std::size_t batch_size = 32;
  std::size_t threads = 0;
  bertha::OffsetUnit unit = bertha::OffsetUnit::code_point;
  bool replace_invalid_utf8 = false;
};

/// One line, read: the texts it holds, or what is wrong with it.
struct Line {
  std::string text;                 // or the question
  std::optional<std::string> pair;  // the other text, or the context
  std::optional<bertha::Error> error;
};

/// The two keys of an object in --jsonl, and whether the second one must be there.
struct Keys {
  const char* text = "text";
  const char* pair = "text_pair";
  bool pair_required = false;
};

/// The results of a batch of good lines, as JSON, in order. Throws bertha::Error when one of them is bad.
using Run = std::function<std::vector<std::string>(const std::vector<const Line*>&)>;

/// What stands in the place of the result of a bad line, the `number_of_line`th from 1.
std::string error_line(const bertha::Error& error, std::size_t number_of_line);

/// Runs every line of `in` and writes its result to `out`. Returns the exit status: 0, or 1 when a line was bad.
int run_lines(std::istream& in, std::ostream& out, const LineOptions& options, const Keys& keys, const Run& run);

/// The same for lines that are there already, from the command line.
int run_lines(std::vector<Line> lines, std::ostream& out, const LineOptions& options, const Run& run);

}  // namespace program
