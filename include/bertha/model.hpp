// Model: tokenizer + encoder + head, loaded from one file, and the way a batch takes through them.

#pragma once

#include <algorithm>
#include <bertha/encoder/encoder.hpp>
#include <bertha/encoder/packs.hpp>
#include <bertha/heads/head.hpp>
#include <bertha/runtime/function_ref.hpp>
#include <bertha/tokenizer/same_vocabulary.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// How to load a model.
struct LoadOptions {
  std::optional<PrecisionKind> precision = {};  ///< what to run in; unset: as the file is stored
  Memory memory = Memory::fast;  ///< what may be held beside the file; the bits of results don't depend on it
  bool verify = false;  ///< check every CRC and run the file's self-test; throws Error{self_test} when one differs
  bool copy = false;    ///< read the file into memory instead of mapping it, so that nobody can truncate it meanwhile
  /// In place of the file's own tokenizer: its vocabulary must be the file's, what it makes of texts may differ.
  std::optional<Tokenizer> tokenizer = {};
};

namespace detail {

/// Throws Error{input} naming the first of `ids` that is a token without a row in the word table.
BERTHA_FUNCTION void require_rows(std::span<const std::uint32_t> ids, std::size_t rows, const Tokenizer& tokenizer);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION void require_rows(std::span<const std::uint32_t> ids, std::size_t rows, const Tokenizer& tokenizer) {
  if (tokenizer.size() <= rows) return;
  for (const std::uint32_t id : ids) {
    if (id < rows || id >= tokenizer.size()) continue;
    throw_error(ErrorCode::input, {"the token ", shown(tokenizer.token(id)), " (id ", id,
                                   ") has no row in the model's word table, which has ", rows,
                                   "; leave it out of the text, or resize the checkpoint's embeddings and train it"});
  }
}

#endif

}  // namespace detail

/// A model with head `H`. Immutable once loaded, cheap to copy, shared by any number of threads.
/// `Model<MyHead>` takes a file of any precision; `Model<MyHead, Encoder<Int8>>` fixes it at compile time.
template <Head H, EncoderLike E = AnyEncoder>
class Model {
 public:
  using Output = typename H::Output;

  /// The file is mapped unless `options.copy`: replace it by renaming a new one to its name, never by writing to it.
  /// Throws Error{file | format | shape | missing_tensor | unused_tensor | vocabulary | unsupported | self_test}.
  static Model load(const std::string& path, const LoadOptions& options = {}) {
    return Model(WeightFile::open(path, {.copy = options.copy, .memory = options.memory}), options);
  }
  /// The same from bytes on a 64-byte boundary, which must outlive the model unless `options.copy`.
  static Model load(std::span<const std::byte> bytes, const LoadOptions& options = {}) {
    return Model(WeightFile::from_bytes(bytes, "bytes", {.copy = options.copy, .memory = options.memory}), options);
  }

  /// As the file has it, but for the precision, which is the one that the model runs in.
  const ModelConfig& config() const { return state_->config; }
  const std::vector<std::string>& labels() const { return state_->config.labels; }
  std::size_t max_length() const { return state_->config.max_length; }
  const Tokenizer& tokenizer() const { return state_->tokenizer; }
  const E& encoder() const { return state_->encoder; }
  const H& head() const { return state_->head; }
  const WeightFile& file() const { return state_->file; }

  /// The head's output for `encodings`, row after row in their order. At most `options.max_batch_tokens` (but at least
  /// one encoding) go through at a time. Throws Error{input | stopped}. Thread-safe.
  Output run(std::span<const Encoding> encodings, const CallOptions& options = {}) const {
    if (encodings.empty()) return run_batch(Batch(), options);
    std::vector<std::size_t> order(encodings.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    Output all;
    run_packs(encodings, order, options, [&](std::size_t begin, std::size_t, Output& pack) {
      if (begin == 0)
        all = std::move(pack);
      else
        detail::append_rows(all, std::move(pack));
    });
    return all;
  }

  /// f(i) for every i in [0, n), on all threads: the encodings of many texts. Stops between two of them.
  /// Throws what `f` throws, and Error{stopped}.
  void for_each(std::size_t n, const CallOptions& options, FunctionRef<std::size_t> f) const {
    const auto work = state_->workspaces.take(options);
    (*work).for_each(n, [&](std::size_t i, const Team& alone) {
      alone.check_stop();
      f(i);
    });
  }

  /// visit(i, logits) for every encoding, the longest first: logits [1, L] of a head that gives a row per sequence,
  /// [tokens, L] of one that gives a row per token. Packs are as for `run`.
  void run_each(std::span<const Encoding> encodings, const CallOptions& options,
                FunctionRef<std::size_t, MatrixView<const float>> visit) const requires std::same_as<Output, Logits> {
    const auto order = detail::longest_first(encodings);
    run_packs(encodings, order, options, [&](std::size_t begin, std::size_t end, const Logits& logits) {
      const float* rows = logits.values.data();
      for (; begin < end; ++begin) {
        const std::size_t n = rows_of(encodings[order[begin]].size());
        visit(order[begin], MatrixView<const float>{rows, n, logits.cols, logits.cols});
        rows += n * logits.cols;
      }
    });
  }

  /// How many rows the head gives for a sequence of so many tokens.
  static constexpr std::size_t rows_of(std::size_t tokens) { return H::gives == Gives::sequence_rows ? 1 : tokens; }

  /// Compares the CRCs and the recorded self-test with what this CPU and build make of the file: ids, offsets, logits;
  /// of an int8 model the very bits. Where it runs in another precision than the file's, no logits. Throws
  /// Error{self_test} naming the first case and stage that differ.
  void verify() const;

 private:
  Output run_batch(const Batch& batch, const CallOptions& options) const {
    detail::require_rows(batch.ids(), state_->config.vocab_size, state_->tokenizer);
    const auto work = state_->workspaces.take(options);
    EncoderOutput output = state_->encoder.forward(batch, *work);
    if constexpr (H::reads == Reads::pooled) state_->encoder.pool(output, *work);
    return state_->head(output, *work);
  }

  /// f(begin, end, output of the encodings order[begin] to order[end]) for every pack, in `order`.
  template <class F>
  void run_packs(std::span<const Encoding> encodings, std::span<const std::size_t> order, const CallOptions& options,
                 const F& f) const {
    const auto run_pack = [&](const Batch& batch, std::size_t begin, std::size_t end) {
      Output output = run_batch(batch, options);
      const std::size_t rows = detail::count_rows(output);
      if (rows != (H::gives == Gives::sequence_rows ? batch.sequences() : batch.tokens()))
        throw_error(ErrorCode::unsupported,
                    {"the head gave ", rows, " rows for ", batch.sequences(), " sequences of ", batch.tokens(),
                     " tokens; expected one for each ", H::gives == Gives::sequence_rows ? "sequence" : "token",
                     ", as its `gives` says"});
      f(begin, end, output);
    };
    detail::for_each_pack(encodings, order, options.max_batch_tokens, run_pack);
  }

  struct State {
    State(WeightFile opened, const LoadOptions& options)
        : file(std::move(opened)),
          config(configure(file, options)),
          tokenizer(choose(Tokenizer::load(file), options.tokenizer, file.name())),
          encoder(file, config),
          head(H::load(file, config)) {
      file.finish();
    }
    static Tokenizer choose(Tokenizer own, const std::optional<Tokenizer>& given, const std::string& name) {
      if (!given) return own;
      require_same_vocabulary(own.strings(), given->strings(), name);
      return *given;
    }
    static ModelConfig configure(const WeightFile& file, const LoadOptions& options) {
      ModelConfig config = file.config();
      if (!config.has_encoder)
        throw_error(
            ErrorCode::unsupported,
            {file.name(), ": the file holds a tokenizer only; expected a model; convert a folder that has weights"});
      if (options.precision) config.precision = *options.precision;
      if constexpr (requires { E::precision; }) {
        const PrecisionKind wanted = options.precision.value_or(E::precision);
        const bool strict = wanted == PrecisionKind::float32_strict && E::precision == PrecisionKind::float32;
        if (wanted != E::precision && !strict)
          throw_error(ErrorCode::unsupported,
                      {file.name(), ": asked to run in ", to_string(wanted), ", but the encoder is ",
                       to_string(E::precision), " at compile time; leave the option unset, or use Model<Head>"});
        config.precision = wanted;
      }
      return config;
    }

    WeightFile file;
    ModelConfig config;
    Tokenizer tokenizer;
    E encoder;
    H head;
    mutable detail::WorkspacePool workspaces;
  };

  Model(WeightFile file, const LoadOptions& options) : state_(std::make_shared<const State>(std::move(file), options)) {
    if (options.verify) verify();
  }

  std::shared_ptr<const State> state_;
};

namespace detail {

/// Hexadecimal digits of the numbers' bytes, little endian.
BERTHA_FUNCTION std::string to_hex(std::span<const float> numbers);

[[noreturn]] BERTHA_FUNCTION void self_test_failed(const std::string& file, std::size_t index, const std::string& what);

/// What the tokenizer makes of a recorded case; throws Error{self_test} when that is not what was recorded.
BERTHA_FUNCTION Encoding check_tokens(const std::string& file, std::size_t index, const SelfTestCase& expected,
                                      const Tokenizer& tokenizer);

/// Float32 promises 2e-4 max(1, |logit|) of the recorded logits. BFloat16 promises none: a sum that differs in its last
/// bit may be rounded to the next bfloat16. Here none may be off by more than a sixteenth of the largest logit of its
/// case (at least 1): six times what trained models show, and less than a wrong product does.
BERTHA_FUNCTION void check_logits(const std::string& file, std::size_t index, std::span<const float> expected,
                                  std::span<const float> found, bool bfloat16);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::string to_hex(std::span<const float> numbers) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const float number : numbers) {
    std::uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    for (int byte = 0; byte < 4; ++byte, bits >>= 8) {
      text += kDigits[bits >> 4 & 15];
      text += kDigits[bits & 15];
    }
  }
  return text;
}

BERTHA_FUNCTION void self_test_failed(const std::string& file, std::size_t index, const std::string& what) {
  throw_error(ErrorCode::self_test, {file, ": self-test case ", index, ": ", what,
                                     "; this build or CPU does not reproduce what the file recorded; please report "
                                     "the output of `bertha inspect`"});
}

BERTHA_FUNCTION Encoding check_tokens(const std::string& file, std::size_t index, const SelfTestCase& expected,
                                      const Tokenizer& tokenizer) {
  const Encoding encoding =
      expected.text_pair ? tokenizer.encode(expected.text, *expected.text_pair) : tokenizer.encode(expected.text);
  if (encoding.ids != expected.ids) self_test_failed(file, index, "token ids differ");
  if (encoding.type_ids != expected.type_ids) self_test_failed(file, index, "token type ids differ");
  const OffsetConverter text(expected.text, OffsetUnit::code_point);
  const OffsetConverter pair(expected.text_pair ? std::string_view(*expected.text_pair) : std::string_view(),
                             OffsetUnit::code_point);
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const OffsetConverter& unit = encoding.sequences[i] == 1 ? pair : text;
    if (unit(encoding.offsets[i].start) != expected.offsets[2 * i] ||
        unit(encoding.offsets[i].end) != expected.offsets[2 * i + 1])
      self_test_failed(file, index, "the offsets of token " + std::to_string(i) + " differ");
  }
  return encoding;
}

BERTHA_FUNCTION void check_logits(const std::string& file, std::size_t index, std::span<const float> expected,
                                  std::span<const float> found, bool bfloat16) {
  if (expected.empty()) return;
  if (expected.size() != found.size()) self_test_failed(file, index, "the number of logits differs");
  float largest = 1.0f;
  for (const float logit : expected) largest = std::max(largest, std::fabs(logit));
  for (std::size_t j = 0; j < expected.size(); ++j) {
    const float bound = bfloat16 ? largest / 16.0f : 2e-4f * std::max(1.0f, std::fabs(expected[j]));
    if (!(std::fabs(expected[j] - found[j]) <= bound))
      self_test_failed(file, index,
                       "logit " + std::to_string(j) + " is " + std::to_string(found[j]) + ", expected " +
                           std::to_string(expected[j]) + " within " + std::to_string(bound));
  }
}

#endif

}  // namespace detail

template <Head H, EncoderLike E>
void Model<H, E>::verify() const {
  file().check_crcs();
  const PrecisionKind stored = file().config().precision, run_in = config().precision;
  for (std::size_t i = 0; i < file().self_test().size(); ++i) {
    const SelfTestCase& expected = file().self_test()[i];
    const Encoding encoding = detail::check_tokens(file().name(), i, expected, tokenizer());
    if constexpr (std::same_as<Output, Logits>) {
      const Logits logits = run(std::span(&encoding, 1));
      if (stored == PrecisionKind::int8 && run_in == PrecisionKind::int8) {
        if (!expected.logits_bytes.empty() && detail::to_hex(logits.values) != expected.logits_bytes)
          detail::self_test_failed(file().name(), i, "the bits of the logits differ");
      } else if (stored == run_in || (stored == PrecisionKind::float32 && run_in == PrecisionKind::float32_strict)) {
        detail::check_logits(file().name(), i, expected.logits, logits.values, stored == PrecisionKind::bfloat16);
      }
    }
  }
}

BERTHA_NAMESPACE_END
