// Times the tokenizer of a model file, for tokenizer.py: `bertha_bench_tokenizer MODEL THREADS`.
//
// Lines of JSON in and out. {"texts": FILE} names the texts, one a line, and gets {"bytes"}; {} encodes them all, with
// offsets, in one call, into memory that the last call has used, and gets {"ms", "cpu_ms"}; {"tokens": FILE} writes
// what the last call gave, as 32-bit numbers: for each text how many tokens it has, their ids, and the starts and ends
// of their offsets in turn.

#include <algorithm>
#include <bertha/runtime/parallel_for.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using bertha::Encoding;

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + ": can't be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t size = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, size));
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return lines;
}

// Threads take several texts at once, neighbours: what they write to doesn't lie in the same lines of the caches then.
void encode(const bertha::Tokenizer& tokenizer, const std::vector<std::string_view>& texts, std::size_t threads,
            std::vector<Encoding>& encodings) {
  const std::size_t at_once = 1 + texts.size() / (32 * threads);
  bertha::parallel_for(nullptr, threads, (texts.size() + at_once - 1) / at_once, [&](std::size_t part, std::size_t) {
    const std::size_t begin = part * at_once, end = std::min(begin + at_once, texts.size());
    for (std::size_t i = begin; i < end; ++i) tokenizer.encode_into(encodings[i], texts[i]);
  });
}

void write(const std::vector<Encoding>& encodings, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  const auto put = [&](std::uint32_t number) { out.write(reinterpret_cast<const char*>(&number), sizeof number); };
  for (const Encoding& encoding : encodings) {
    put(static_cast<std::uint32_t>(encoding.size()));
    for (const std::uint32_t id : encoding.ids) put(id);
    for (const bertha::Span offset : encoding.offsets) {
      put(offset.start);
      put(offset.end);
    }
  }
}

void answer(const std::string& model, std::size_t threads) {
  bertha::WeightFile file = bertha::WeightFile::open(model);
  const auto tokenizer = bertha::Tokenizer::load(file);
  std::string text;
  std::vector<std::string_view> texts;
  std::vector<Encoding> encodings;
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = nlohmann::json::parse(line);
    nlohmann::json result = nlohmann::json::object();
    if (request.contains("texts")) {
      text = read(request["texts"]);
      texts = lines_of(text);
      result["bytes"] = text.size();
    } else if (request.contains("tokens")) {
      write(encodings, request["tokens"]);
    } else {
      encodings.resize(texts.size());
      const auto begin = std::chrono::steady_clock::now();
      const std::clock_t cpu_begin = std::clock();
      encode(tokenizer, texts, threads, encodings);
      result["cpu_ms"] = 1e3 * static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
      result["ms"] = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    }
    std::cout << result << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: bertha_bench_tokenizer MODEL THREADS\n";
    return 2;
  }
  try {
    answer(argv[1], std::stoul(argv[2]));
  } catch (const std::exception& error) {
    std::cerr << "bertha_bench_tokenizer: " << error.what() << '\n';
    return 1;
  }
}
