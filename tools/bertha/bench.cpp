// bench: how fast a model runs, from token ids to logits.

#include <unistd.h>

#include <algorithm>
#include <limits>

#include "calls.hpp"
#include "json_text.hpp"
#include "line_reader.hpp"

namespace program {
namespace {

using bertha::Encoding;
using bertha::ErrorCode;

[[noreturn]] void refuse(std::string_view what) {
  bertha::throw_error(ErrorCode::input,
                      {what, "; expected {\"ids\": [[...], ...]}, a list of token ids for each sequence"});
}

/// The sequences of a line {"ids": [[...], ...]}. Throws Error{input} when it is not such an object.
std::vector<Encoding> parse_encodings(const std::string& line) {
  const auto object = parse_object(line);
  if (!object.contains("ids")) refuse("the line has no key \"ids\"");
  const auto& sequences = object["ids"];
  if (!sequences.is_array() || sequences.empty()) refuse("\"ids\" is no list with something in it");
  std::vector<Encoding> encodings;
  for (const auto& ids : sequences) {
    if (!ids.is_array()) refuse("\"ids\" has an entry that is no list");
    Encoding& encoding = encodings.emplace_back();
    for (const auto& id : ids) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max())
        refuse("a token id is " + id.dump() + ", which is no unsigned 32-bit number");
      encoding.ids.push_back(id.get<std::uint32_t>());
    }
    encoding.type_ids.resize(encoding.ids.size(), 0);
  }
  return encodings;
}

/// Median milliseconds of `run`, after two calls to warm up.
template <class F>
double median_ms(std::size_t repeat, const F& run) {
  std::vector<double> times;
  for (std::size_t i = 0; i < repeat + 2; ++i) {
    const double ms = time_ms(run);
    if (i >= 2) times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// What a result begins with: `key` is what its milliseconds are.
std::string timing(const char* key, double ms, std::size_t tokens, const std::string& precision) {
  return std::string("{\"") + key + "\":" + number(ms) +
         ",\"tokens_per_s\":" + number(static_cast<double>(tokens) / ms * 1000) +
         ",\"level\":" + quote(bertha::kernels::table().level) + ",\"precision\":" + quote(precision);
}

/// One call and one line of output for each line of standard input, as soon as it is there: whoever compares programs
/// says when this one has its turn, and on what. The first call of a size also has its memory to get: not to be
/// counted.
int bench_lines(const BenchArguments& arguments, const Call& call, const std::string& precision, Output& out) {
  int status = 0;
  std::size_t number_of_line = 0;
  LineReader reader(STDIN_FILENO);
  for (std::string line; reader.next(line);) {
    ++number_of_line;
    if (is_blank(line)) continue;
    try {
      const auto encodings = parse_encodings(line);
      std::size_t tokens = 0;
      for (const Encoding& encoding : encodings) tokens += encoding.size();
      bertha::Logits logits;
      const double ms = time_ms([&] { logits = call(encodings); });
      out.line(timing("ms", ms, tokens, precision) + ",\"sequences\":" + number(encodings.size()) +
               ",\"tokens\":" + number(tokens) + ",\"threads\":" + number(arguments.threads) +
               (arguments.logits ? ",\"logits\":" + list_of_rows(logits.values.data(), logits.rows, logits.cols) : "") +
               '}');
    } catch (const bertha::Error& error) {
      out.line(error_line(error, number_of_line));
      status = 1;
    }
    out.flush();
  }
  return status;
}

}  // namespace

int bench(const BenchArguments& arguments, Output& out) {
  const auto file = bertha::WeightFile::open(arguments.model);
  const std::string precision(bertha::to_string(arguments.load.precision.value_or(file.config().precision)));
  const Call call = make_call(arguments);
  if (arguments.jsonl) return bench_lines(arguments, call, precision, out);
  const auto encodings =
      random_encodings(arguments.batch, arguments.length, std::max<std::size_t>(1, file.config().vocab_size));
  const double ms = median_ms(arguments.repeat, [&] { call(encodings); });
  out.line(timing("median_ms", ms, arguments.batch * arguments.length, precision) +
           ",\"batch\":" + number(arguments.batch) + ",\"length\":" + number(arguments.length) +
           ",\"threads\":" + number(arguments.threads) + ",\"repeat\":" + number(arguments.repeat) + '}');
  return 0;
}

}  // namespace program
