// bench: how fast a model runs, from token ids to logits.

#include <algorithm>
#include <iostream>
#include <limits>

#include "calls.hpp"
#include "json_text.hpp"

namespace program {
namespace {

using bertha::Encoding;
using bertha::Error;
using bertha::ErrorCode;

/// The sequences of a line {"ids": [[...], ...]}. Throws Error{input} when it is not such an object.
std::vector<Encoding> parse_encodings(const std::string& line) {
  const auto refuse = [](const std::string& what) -> Error {
    return Error(ErrorCode::input, what + "; expected {\"ids\": [[...], ...]}, a list of token ids for each sequence");
  };
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (object.is_discarded()) throw refuse("the line is not valid JSON");
  if (!object.is_object() || !object.contains("ids")) throw refuse("the line has no key \"ids\"");
  const auto& sequences = object["ids"];
  if (!sequences.is_array() || sequences.empty()) throw refuse("\"ids\" is no list with something in it");
  std::vector<Encoding> encodings;
  for (const auto& ids : sequences) {
    if (!ids.is_array()) throw refuse("\"ids\" has an entry that is no list");
    Encoding& encoding = encodings.emplace_back();
    for (const auto& id : ids) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max())
        throw refuse("a token id is " + id.dump() + ", which is no unsigned 32-bit number");
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
int bench_lines(const BenchArguments& arguments, const Call& call, const std::string& precision) {
  int status = 0;
  std::size_t number_of_line = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++number_of_line;
    try {
      const auto encodings = parse_encodings(line);
      std::size_t tokens = 0;
      for (const Encoding& encoding : encodings) tokens += encoding.size();
      bertha::Logits logits;
      const double ms = time_ms([&] { logits = call(encodings); });
      std::cout << timing("ms", ms, tokens, precision) << ",\"sequences\":" << encodings.size()
                << ",\"tokens\":" << tokens << ",\"threads\":" << arguments.threads;
      if (arguments.logits) std::cout << ",\"logits\":" << list_of_rows(logits.values.data(), logits.rows, logits.cols);
      std::cout << "}\n";
    } catch (const Error& error) {
      std::cout << error_line(error, number_of_line) << '\n';
      status = 1;
    }
    std::cout.flush();
  }
  return status;
}

}  // namespace

int bench(const BenchArguments& arguments) {
  const auto file = bertha::WeightFile::open(arguments.model);
  const std::string precision(bertha::to_string(arguments.precision.value_or(file.config().precision)));
  const Call call = make_call(arguments);
  if (arguments.jsonl) return bench_lines(arguments, call, precision);
  const auto encodings =
      random_encodings(arguments.batch, arguments.length, std::max<std::size_t>(1, file.config().vocab_size));
  const double ms = median_ms(arguments.repeat, [&] { call(encodings); });
  std::cout << timing("median_ms", ms, arguments.batch * arguments.length, precision)
            << ",\"batch\":" << arguments.batch << ",\"length\":" << arguments.length
            << ",\"threads\":" << arguments.threads << ",\"repeat\":" << arguments.repeat << "}\n";
  return 0;
}

}  // namespace program
