// The program's commands. Each returns the exit status and throws bertha::Error when nothing can be done at all.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lines.hpp"

namespace program {

struct ClassifyArguments {
  std::string model;
  std::vector<std::string> texts;        // none: standard input
  std::optional<std::size_t> top_k = 1;  // unset: all
  LineOptions lines;
};
int classify(const ClassifyArguments& arguments);

struct NerArguments {
  std::string model;
  std::vector<std::string> texts;
  bertha::AggregationStrategy aggregation = bertha::AggregationStrategy::none;
  LineOptions lines;
};
int ner(const NerArguments& arguments);

struct QaArguments {
  std::string model;
  std::optional<std::string> question;
  std::optional<std::string> context;  // none, with a question: a context per line of standard input
  std::size_t top_k = 1;
  LineOptions lines;
};
int qa(const QaArguments& arguments);

struct LogitsArguments {
  std::string model;
  std::vector<std::string> texts;
  LineOptions lines;
};
int logits(const LogitsArguments& arguments);

struct TokenizeArguments {
  std::string model;
  std::vector<std::string> texts;
  bool all = false;
  bertha::EncodeOptions options;
  bool windows = false;  ///< print a list of all windows of each text
  LineOptions lines;
};
int tokenize(const TokenizeArguments& arguments);

struct VerifyArguments {
  std::string model;
  bool record = false;
};
int verify(const VerifyArguments& arguments);

int inspect(const std::string& model);

struct BenchArguments {
  std::string model;
  std::size_t batch = 1;
  std::size_t length = 128;
  std::size_t threads = 0;
  std::optional<bertha::PrecisionKind> precision;
  bertha::Memory memory = bertha::Memory::fast;
  std::size_t repeat = 20;
  bool jsonl = false;   // a call for each line of standard input, in place of batch x length
  bool logits = false;  // print them too
};
int bench(const BenchArguments& arguments);
int profile(const BenchArguments& arguments);

}  // namespace program
