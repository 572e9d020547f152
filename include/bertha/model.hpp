// Model: tokenizer + encoder + head, loaded from one file, and the way a batch takes through them.

#pragma once

#include <algorithm>
#include <bertha/encoder/encoder.hpp>
#include <bertha/encoder/packs.hpp>
#include <bertha/heads/chosen_tokens.hpp>
#include <bertha/heads/head.hpp>
#include <bertha/runtime/function_ref.hpp>
#include <bertha/self_test.hpp>
#include <bertha/tokenizer/same_vocabulary.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
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

  /// The head's output for `encodings`, row after row in their order: of a head that gives chosen_rows one for each
  /// position in chosen[i], or, if `chosen` is empty, for each token. At most `options.max_batch_tokens` (but at least
  /// one encoding) go through at a time. Throws Error{input | stopped}. Thread-safe.
  Output run(std::span<const Encoding> encodings, const CallOptions& options = {}, ChosenTokens chosen = {}) const {
    Output all;
    if (encodings.empty()) run_pack(head(), {}, {}, {}, options, [&](auto, Output& none) { all = std::move(none); });
    std::vector<std::size_t> order(encodings.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    in_packs(head(), encodings, chosen, order, options,
             [&](auto, Output& part) { detail::append_rows(all, std::move(part)); });
    return all;
  }

  /// f(i) for every i in [0, n), on all threads: the encodings of many texts. Stops between two of them.
  /// Throws what `f` throws, and Error{stopped}.
  void for_each(std::size_t n, const CallOptions& options, FunctionRef<std::size_t> f) const {
    const auto work = state_->empty_workspaces.take(options);
    (*work).for_each(n, [&](std::size_t i, const Team& alone) {
      alone.check_stop();
      f(i);
    });
  }

  /// visit(i, logits) for every encoding, the longest first: logits [1, L] of a head that gives a row per sequence,
  /// [tokens, L] of one that gives a row per token, [chosen tokens, L] of the third kind. Packs are as for `run`.
  void run_each(std::span<const Encoding> encodings, const CallOptions& options,
                FunctionRef<std::size_t, MatrixView<const float>> visit,
                ChosenTokens chosen = {}) const requires std::same_as<Output, Logits> {
    run_packs(head(), encodings, chosen, options, [&](std::span<const std::size_t> pack, const Logits& logits) {
      const float* rows = logits.values.data();
      for (const std::size_t i : pack) {
        const std::size_t n = rows_of(head().gives, encodings[i], chosen, i);
        visit(i, MatrixView<const float>{rows, n, logits.cols, logits.cols});
        rows += n * logits.cols;
      }
    });
  }

  /// visit(pack, output) for every pack, the longest encodings first: `output` is what `head`, a copy of the model's
  /// with other choices for this call, gives for the encodings whose indices are in `pack`, row after row.
  void run_packs(const H& head, std::span<const Encoding> encodings, ChosenTokens chosen, const CallOptions& options,
                 FunctionRef<std::span<const std::size_t>, Output&> visit) const {
    in_packs(head, encodings, chosen, detail::longest_first(encodings), options, visit);
  }

  /// Compares the CRCs and the recorded self-test with what this CPU and build make of the file: ids, offsets, logits;
  /// of an int8 model the very bits. Where it runs in another precision than the file's, no logits. Throws
  /// Error{self_test} naming the first case and stage that differ.
  void verify() const;

  /// The logits of a case of the file's self-test: all, or as many as are recorded of a masked-lm head.
  Logits recorded_logits(const Encoding& encoding,
                         const SelfTestCase& recorded) const requires std::same_as<Output, Logits> {
    if (!config().masked_lm) return run(std::span(&encoding, 1));
    return detail::columns_of(run(std::span(&encoding, 1), {}, std::span(&recorded.positions, 1)), recorded.columns);
  }

 private:
  using Visit = FunctionRef<std::span<const std::size_t>, Output&>;

  void in_packs(const H& head, std::span<const Encoding> encodings, ChosenTokens chosen,
                std::span<const std::size_t> order, const CallOptions& options, Visit visit) const {
    if (head.gives == Gives::chosen_rows) require_chosen(encodings, chosen);
    detail::for_each_pack(encodings, order, options.max_batch_tokens,
                          [&](const Batch& batch, std::size_t begin, std::size_t end) {
                            run_pack(head, batch, order.subspan(begin, end - begin), chosen, options, visit);
                          });
  }

  /// Without the last layer's rows that the head doesn't read, where the encoder can do so.
  EncoderOutput forward(const H& head, const Batch& batch, Workspace& work) const {
    const E& encoder = state_->encoder;
    if constexpr (requires { encoder.forward_first(batch, work); }) {
      const bool reads_first = head.reads == Reads::pooled ? encoder.pools_first() : head.reads == Reads::first_tokens;
      if (reads_first && head.gives == Gives::sequence_rows) return encoder.forward_first(batch, work);
    }
    return encoder.forward(batch, work);
  }

  /// The encodings `pack`, which are those of `batch`.
  void run_pack(const H& head, const Batch& batch, std::span<const std::size_t> pack, ChosenTokens chosen,
                const CallOptions& options, Visit visit) const {
    detail::require_rows(batch.ids(), state_->config.vocab_size, state_->tokenizer);
    const auto work = state_->workspaces.take(options);
    EncoderOutput output = forward(head, batch, *work);
    if (head.reads == Reads::pooled) state_->encoder.pool(output, *work);
    const auto rows_for = [&](const EncoderOutput& part, std::size_t expected) {
      Output rows = head(part, *work);
      if (detail::count_rows(rows) != expected)
        throw_error(ErrorCode::unsupported, {"the head gave ", detail::count_rows(rows), " rows for ", part.sequences(),
                                             " sequences of ", part.hidden.rows, " tokens; expected ", expected,
                                             ", as its `gives` says: ", to_string(head.gives)});
      return rows;
    };
    Output rows;
    if (head.gives != Gives::chosen_rows) {
      rows = rows_for(output, head.gives == Gives::sequence_rows ? batch.sequences() : batch.tokens());
      return visit(pack, rows);
    }
    detail::for_each_choice(output, pack, chosen, *work,
                            [&](const EncoderOutput& part, std::size_t begin, bool is_complete) {
                              detail::append_rows(rows, rows_for(part, part.hidden.rows));
                              if (!is_complete) return;
                              visit(pack.subspan(begin, part.sequences()), rows);
                              rows = Output();
                            });
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
    mutable detail::WorkspacePool empty_workspaces;  // for loops, one of which may run where a workspace is in use
  };

  Model(WeightFile file, const LoadOptions& options) : state_(std::make_shared<const State>(std::move(file), options)) {
    if (options.verify) verify();
  }

  std::shared_ptr<const State> state_;
};

template <Head H, EncoderLike E>
void Model<H, E>::verify() const {
  file().check_crcs();
  const PrecisionKind stored = file().config().precision, run_in = config().precision;
  for (std::size_t i = 0; i < file().self_test().size(); ++i) {
    const SelfTestCase& expected = file().self_test()[i];
    const Encoding encoding = detail::check_tokens(file().name(), i, expected, tokenizer());
    if constexpr (std::same_as<Output, Logits>) {
      const Logits logits = recorded_logits(encoding, expected);
      if (stored == PrecisionKind::int8 && run_in == PrecisionKind::int8) {
        if (!expected.logits_bytes.empty() && detail::to_hex(logits.values) != expected.logits_bytes)
          detail::self_test_failed(file().name(), i, "the bits of the logits differ");
      } else if (stored == run_in || (stored == PrecisionKind::float32 && run_in == PrecisionKind::float32_strict)) {
        detail::check_logits(file().name(), i, expected.logits, logits.values, stored == PrecisionKind::bfloat16,
                             file().config().head == HeadKind::embedding);
      }
    }
  }
}

BERTHA_NAMESPACE_END
