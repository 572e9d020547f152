#include "lines.hpp"

#include <unistd.h>

#include <bertha/tokenizer/utf8.hpp>
#include <cstdio>

#include "json_text.hpp"
#include "line_reader.hpp"
#include "progress.hpp"

namespace program {
namespace {

/// The lines that go through the model together, and what is counted over all of them.
class Batches {
 public:
  Batches(const LineCommand& command, const LineOptions& options, Output& out)
      : command_(command), options_(options), out_(out), progress_(options.quiet) {}

  /// The `number`th line of the input.
  void add(Line line, std::size_t number) {
    lines_.push_back(std::move(line));
    numbers_.push_back(number);
    if (lines_.size() >= options_.batch_size) run();
  }

  void run() {
    std::vector<const Line*> good;
    for (const Line& line : lines_)
      if (!line.error) good.push_back(&line);
    std::vector<Result> results;
    if (!good.empty()) results = command_.run(good);
    auto result = results.begin();
    for (std::size_t i = 0; i < lines_.size(); ++i)
      write(lines_[i], numbers_[i], lines_[i].error ? Result{{}, false, lines_[i].error} : std::move(*result++));
    out_.flush();
    lines_.clear();
    numbers_.clear();
    progress_.show(texts_, bad_);
  }

  /// Says how many texts were cut. Returns the program's exit status.
  int finish() {
    progress_.finish();
    say_cut(cut_, texts_, command_.instead_of_cutting, options_);
    return bad_ > 0 ? 1 : 0;
  }

 private:
  void write(const Line& line, std::size_t number, const Result& result) {
    ++texts_;
    if (result.error) {
      ++bad_;
      out_.line(error_line(*result.error, number, line.others));
    } else if (line.others.empty()) {
      cut_ += result.cut;
      out_.line(result.json);
    } else {
      out_.line('{' + line.others + (result.cut ? ",\"truncated\":true" : "") + ",\"result\":" + result.json + '}');
    }
  }

  const LineCommand& command_;
  const LineOptions& options_;
  Output& out_;
  Progress progress_;
  std::vector<Line> lines_;
  std::vector<std::size_t> numbers_;
  std::size_t texts_ = 0, bad_ = 0, cut_ = 0;
};

}  // namespace

std::string error_line(const bertha::Error& error, std::size_t number_of_line, const std::string& others) {
  return '{' + others + (others.empty() ? "" : ",") + "\"error\":{\"code\":" + quote(bertha::name(error.code())) +
         ",\"message\":" + quote(error.what()) + "},\"line\":" + number(number_of_line) + '}';
}

void say_cut(std::size_t cut, std::size_t texts, std::string_view what_can_be_done, const LineOptions& options) {
  if (cut == 0 || options.quiet) return;
  const std::string said = "bertha: " + with_commas(cut) + " of " + with_commas(texts) + " texts " +
                           (cut == 1 ? "was" : "were") + " cut; " + std::string(what_can_be_done) + '\n';
  std::fputs(said.c_str(), stderr);
}

int run_lines(const LineCommand& command, const LineOptions& options, std::vector<Line> lines, Output& out) {
  Batches batches(command, options, out);
  std::size_t number = 0;
  if (!lines.empty()) {
    for (Line& line : lines) {
      if (options.replace_invalid_utf8) {
        line.text = bertha::replace_invalid_utf8(line.text);
        if (line.pair) line.pair = bertha::replace_invalid_utf8(*line.pair);
        if (line.texts)
          for (std::string& text : *line.texts) text = bertha::replace_invalid_utf8(text);
      }
      batches.add(std::move(line), ++number);
    }
    batches.run();
    return batches.finish();
  }
  LineReader reader(STDIN_FILENO);
  for (std::string text; reader.next(text);) {
    ++number;
    if (options.replace_invalid_utf8) text = bertha::replace_invalid_utf8(text);
    if (!options.jsonl)
      batches.add({.text = std::move(text)}, number);
    else if (!is_blank(text))
      batches.add(parse_line(text, command.keys), number);
    if (!reader.ready()) batches.run();
  }
  return batches.finish();
}

}  // namespace program
