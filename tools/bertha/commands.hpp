// The program's commands. Each returns the exit status and throws bertha::Error when nothing can be done at all.

#pragma once

#include <bertha/bertha.hpp>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "lines.hpp"
#include "streams.hpp"

namespace program {

/// A model file, and texts for it: those of the command line or, where there are none, the lines of standard input.
struct TextArguments {
  std::string model;
  bertha::LoadOptions load;
  std::vector<std::string> texts;
  LineOptions lines;
};

struct ClassifyArguments : TextArguments {
  bertha::ClassificationOptions options = {.top_k = 1};
  bertha::Reduce reduce = bertha::Reduce::mean;  // of windows, where there are any
  bool show_windows = false;
};
int classify(const ClassifyArguments& arguments, Output& out);

struct NspArguments {
  std::string model;
  bertha::LoadOptions load;
  std::optional<std::string> text, text_pair;  // both, or neither: pairs on standard input
  bertha::ClassificationOptions options;
  LineOptions lines;
};
int nsp(const NspArguments& arguments, Output& out);

struct NerArguments : TextArguments {
  bertha::EntityOptions options = {.truncation = true};  // transformers cuts unasked; the program says so
  bool is_split_into_words = false;                      // texts are lists of words, or split at the delimiter
  std::string delimiter = " ";
};
int ner(const NerArguments& arguments, Output& out);

struct QaArguments {
  std::string model;
  bertha::LoadOptions load;
  std::optional<std::string> question;
  std::vector<std::string> contexts;  // none, with a question: a context per line of standard input
  bertha::AnswerOptions options;
  LineOptions lines;
};
int qa(const QaArguments& arguments, Output& out);

struct EmbedArguments : TextArguments {
  bertha::EmbeddingOptions options;
};
int embed(const EmbedArguments& arguments, Output& out);

struct RerankArguments : TextArguments {
  std::optional<std::string> query;  // without --jsonl
  std::size_t top_k = std::numeric_limits<std::size_t>::max();
  bertha::RelevanceOptions options;
};
int rerank(const RerankArguments& arguments, Output& out);

struct ZeroShotArguments : TextArguments {
  bertha::ZeroShotOptions options;
};
int zero_shot(const ZeroShotArguments& arguments, Output& out);

struct FillMaskArguments : TextArguments {
  bertha::FillMaskOptions options;
};
int fill_mask(const FillMaskArguments& arguments, Output& out);

struct LogitsArguments : TextArguments {
  bertha::EncodeOptions options;
};
int logits(const LogitsArguments& arguments, Output& out);

struct TokenizeArguments : TextArguments {
  bertha::EncodeOptions options;
  bool all = false;
  bool windows = false;  // print a list of all windows of each text
};
int tokenize(const TokenizeArguments& arguments, Output& out);

struct VerifyArguments {
  std::string model;
  bool record = false;
};
int verify(const VerifyArguments& arguments, Output& out);

struct QuantizeArguments {
  std::string model;
  std::string out;
  std::optional<std::string> calibration;  // a file of texts
  bool plain = false;
  bool json = false;
  std::size_t threads = 0;
};
int quantize(const QuantizeArguments& arguments, Output& out);

int inspect(const std::string& model, bool json, Output& out);

struct BenchArguments {
  std::string model;
  bertha::LoadOptions load;
  std::size_t batch = 1;
  std::size_t length = 128;
  std::size_t threads = 0;
  std::size_t repeat = 20;
  bool jsonl = false;   // bench: a call for each line of standard input, in place of batch x length
  bool logits = false;  // bench: print them too
  bool json = false;    // profile: for machines
};
int bench(const BenchArguments& arguments, Output& out);
int profile(const BenchArguments& arguments, Output& out);

}  // namespace program
