#include "lines.hpp"

#include <istream>
#include <ostream>

#include "json_text.hpp"

namespace program {
namespace {

using bertha::Error;
using bertha::ErrorCode;

/// The string at `key` of a line's object; without the key: nothing, or an error when it is required.
std::optional<std::string> text_at(const nlohmann::json& object, const char* key, bool required) {
  const auto found = object.find(key);
  if (found == object.end() || (found->is_null() && !required)) {
    if (!required) return std::nullopt;
    throw Error(ErrorCode::input, std::string("the line has no key \"") + key + "\"; expected a string there");
  }
  if (!found->is_string())
    throw Error(ErrorCode::input,
                std::string("the value of \"") + key + "\" is " + found->type_name() + "; expected a string");
  return found->get<std::string>();
}

Line parse(std::string text, const LineOptions& options, const Keys& keys) {
  if (options.replace_invalid_utf8) text = bertha::replace_invalid_utf8(text);
  if (!options.jsonl) return {std::move(text), std::nullopt, std::nullopt};
  try {
    const auto object = nlohmann::json::parse(text);
    if (!object.is_object())
      throw Error(ErrorCode::input, std::string("the line is ") + object.type_name() + "; expected a JSON object");
    return {*text_at(object, keys.text, true), text_at(object, keys.pair, keys.pair_required), std::nullopt};
  } catch (const nlohmann::json::exception& error) {
    return {{}, {}, Error(ErrorCode::input, std::string("the line is not valid JSON: ") + error.what())};
  } catch (const Error& error) {
    return {{}, {}, error};
  }
}

/// Lines are collected into batches; a batch with a bad line is run again one by one, to find which.
class Output {
 public:
  Output(std::ostream& out, const LineOptions& options, const Run& run) : out_(out), options_(options), run_(run) {}

  void add(Line line) {
    lines_.push_back(std::move(line));
    if (lines_.size() >= options_.batch_size) flush();
  }

  void flush() {
    std::vector<const Line*> good;
    for (const Line& line : lines_)
      if (!line.error) good.push_back(&line);
    std::vector<std::string> results;
    try {
      if (!good.empty()) results = run_(good);
    } catch (const Error&) {
      results.clear();
      for (Line& line : lines_)
        if (!line.error) run_alone(line, results);
    }
    auto result = results.begin();
    for (const Line& line : lines_) {
      ++number_;
      if (line.error) any_bad_ = true;
      out_ << (line.error ? error_line(*line.error, number_) : *result++) << '\n';
    }
    out_.flush();
    lines_.clear();
  }

  /// The program's exit status.
  int status() const { return any_bad_ ? 1 : 0; }

 private:
  /// Appends the result of one line, or notes what is wrong with it.
  void run_alone(Line& line, std::vector<std::string>& results) {
    try {
      results.push_back(run_({&line}).front());
    } catch (const Error& error) {
      line.error = error;
    }
  }

  std::ostream& out_;
  const LineOptions& options_;
  const Run& run_;
  std::vector<Line> lines_;
  std::size_t number_ = 0;
  bool any_bad_ = false;
};

}  // namespace

std::string error_line(const Error& error, std::size_t number_of_line) {
  return "{\"error\":{\"code\":" + quote(bertha::name(error.code())) + ",\"message\":" + quote(error.what()) +
         "},\"line\":" + number(number_of_line) + '}';
}

int run_lines(std::istream& in, std::ostream& out, const LineOptions& options, const Keys& keys, const Run& run) {
  Output output(out, options, run);
  bool first = true;
  for (std::string text; std::getline(in, text); first = false) {
    if (first && text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    if (text.ends_with('\r')) text.pop_back();
    output.add(parse(std::move(text), options, keys));
  }
  output.flush();
  return output.status();
}

int run_lines(std::vector<Line> lines, std::ostream& out, const LineOptions& options, const Run& run) {
  Output output(out, options, run);
  for (Line& line : lines) {
    if (options.replace_invalid_utf8) {
      line.text = bertha::replace_invalid_utf8(line.text);
      if (line.pair) line.pair = bertha::replace_invalid_utf8(*line.pair);
    }
    output.add(std::move(line));
  }
  output.flush();
  return output.status();
}

}  // namespace program
