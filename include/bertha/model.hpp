// Model: tokenizer + encoder + head, loaded from one file, and the way a batch takes through them.

#pragma once

#include <algorithm>
#include <bertha/encoder/encoder.hpp>
#include <bertha/heads/head.hpp>
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
};

/// What became of the text that went in: nothing is silent.
struct InputInfo {
  std::size_t n_tokens = 0;   ///< tokens that went through the encoder, special tokens included, over all windows
  std::size_t n_unknown = 0;  ///< of these, unknown tokens
  bool truncated = false;     ///< tokens of the text were left out
  Span covered = {};          ///< bytes of the text from the first token to the last that went in
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

  /// The head's output for `encodings`, packed into one batch. Throws Error{input | stopped}. Thread-safe.
  Output run(std::span<const Encoding> encodings, const CallOptions& options = {}) const {
    return run_batch(Batch(encodings), options);
  }

  /// f(i) for every i in [0, n), on all threads: the encodings of many texts. Throws what `f` throws.
  template <class F>
  void for_each(std::size_t n, const CallOptions& options, const F& f) const {
    const auto work = state_->workspaces.take(options);
    (*work).for_each(n, [&](std::size_t i, const Team&) { f(i); });
  }

  /// visit(i, logits) for every encoding, the longest first: logits [1, L] of a head that reads pooled vectors,
  /// [tokens, L] of one that reads tokens. At most `options.max_batch_tokens` (but at least one encoding) go through at
  /// a time, in packs of about the same size.
  template <class Visit>
  requires std::same_as<Output, Logits>
  void run_each(std::span<const Encoding> encodings, const CallOptions& options, const Visit& visit) const {
    std::size_t left = 0;  // tokens that have not gone through yet
    for (const Encoding& encoding : encodings) left += encoding.size();
    const auto order = longest_first(encodings);
    for (std::size_t begin = 0; begin < order.size();) {
      const std::size_t limit = std::max<std::size_t>(1, options.max_batch_tokens);
      const std::size_t packs = 1 + (left - 1) / limit;
      Batch batch;
      std::size_t end = begin;
      for (; end < order.size(); ++end) {
        const Encoding& next = encodings[order[end]];
        const std::size_t tokens = batch.tokens() + next.size();
        // An even share, and then some for the sequence that ends it, within the limit.
        if (end > begin && (tokens > limit || batch.tokens() * packs >= left)) break;
        batch.add(next.ids, next.type_ids);
      }
      left -= batch.tokens();
      const Logits logits = run_batch(batch, options);
      if (logits.rows != (H::reads == Reads::pooled ? batch.sequences() : batch.tokens()))
        throw Error(ErrorCode::unsupported, "the head gave " + std::to_string(logits.rows) +
                                                " rows of logits; expected one for each vector that it reads");
      const float* rows = logits.values.data();
      for (; begin < end; ++begin) {
        const std::size_t n = H::reads == Reads::pooled ? 1 : encodings[order[begin]].size();
        visit(order[begin], MatrixView<const float>{rows, n, logits.cols, logits.cols});
        rows += n * logits.cols;
      }
    }
  }

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

  /// Sequences of one length lie together, and the short ones come last, when threads run out of work.
  static std::vector<std::size_t> longest_first(std::span<const Encoding> encodings) {
    std::vector<std::size_t> order(encodings.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return encodings[a].size() > encodings[b].size(); });
    return order;
  }

  struct State {
    State(WeightFile opened, const LoadOptions& options)
        : file(std::move(opened)),
          config(configure(file, options)),
          tokenizer(Tokenizer::load(file)),
          encoder(file, config),
          head(H::load(file, config)) {
      file.finish();
    }
    static ModelConfig configure(const WeightFile& file, const LoadOptions& options) {
      ModelConfig config = file.config();
      if (!config.has_encoder)
        throw Error(ErrorCode::unsupported, file.name() +
                                                ": the file holds a tokenizer only; expected a model; convert "
                                                "a folder that has weights");
      if (options.precision) config.precision = *options.precision;
      if constexpr (requires { E::precision; }) {
        const PrecisionKind wanted = options.precision.value_or(E::precision);
        const bool strict = wanted == PrecisionKind::float32_strict && E::precision == PrecisionKind::float32;
        if (wanted != E::precision && !strict)
          throw Error(ErrorCode::unsupported, file.name() + ": asked to run in " + std::string(to_string(wanted)) +
                                                  ", but the encoder is " + std::string(to_string(E::precision)) +
                                                  " at compile time; leave the option unset, or use Model<Head>");
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
inline std::string to_hex(std::span<const float> numbers) {
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

[[noreturn]] inline void self_test_failed(const std::string& file, std::size_t index, const std::string& what) {
  throw Error(ErrorCode::self_test, file + ": self-test case " + std::to_string(index) + ": " + what +
                                        "; this build or CPU does not reproduce what the file recorded; please report "
                                        "the output of `bertha inspect`");
}

/// What the tokenizer makes of a recorded case; throws Error{self_test} when that is not what was recorded.
inline Encoding check_tokens(const std::string& file, std::size_t index, const SelfTestCase& expected,
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

/// Float32 promises 2e-4 max(1, |logit|) of the recorded logits. BFloat16 promises none: a sum that differs in its last
/// bit may be rounded to the next bfloat16. Here none may be off by more than a sixteenth of the largest logit of its
/// case (at least 1): six times what trained models show, and less than a wrong product does.
inline void check_logits(const std::string& file, std::size_t index, std::span<const float> expected,
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
