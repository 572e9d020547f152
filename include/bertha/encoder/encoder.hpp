// The encoder: token ids of a packed batch in, a hidden state for every token out.
//
// Shape letters, here and in all blocks: T tokens, S sequences, E embedding_size, H hidden_size, A num_attention_heads,
// D = H / A head size, F intermediate_size, L labels; N' is N rounded up to 16.
//
// A batch is cut into chunks of whole sequences (plan.hpp). Threads take whole chunks, or share one, such as a single
// text.

#pragma once

#include <bertha/encoder/batch.hpp>
#include <bertha/encoder/embeddings.hpp>
#include <bertha/encoder/float32_split.hpp>
#include <bertha/encoder/layer.hpp>
#include <bertha/encoder/pooler.hpp>
#include <bertha/kernels/known_answers.hpp>
#include <bertha/runtime/float_environment.hpp>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// What an encoder hands out: views into the workspace, until its next call.
struct EncoderOutput {
  MatrixView<const float> hidden;       ///< [T, H]
  std::span<const std::size_t> starts;  ///< [S + 1]: sequence s is rows starts[s] to starts[s + 1]; the batch's own
  MatrixView<const float> pooled;       ///< [S, pooler's size]; empty unless it was asked for
  std::size_t sequences() const { return starts.size() - 1; }
};

/// Called with the hidden states [rows, H] of a chunk whose first row is `first_row`, after the embeddings (layer 0)
/// and after every layer, of the last one after the norm behind it. For tests and for looking inside; may be called
/// from several threads.
using LayerObserver = std::function<void(std::size_t layer, std::size_t first_row, MatrixView<const float> hidden)>;

/// An encoder whose weights run in one precision. Immutable: any number of threads may call it, with a workspace each.
/// Equals `BertModel` in transformers/models/bert/modeling_bert.py (5.23.0), and the families of its kind.
template <Precision P>
class Encoder {
 public:
  /// What it runs in, whatever the file and the configuration say.
  static constexpr PrecisionKind precision = P::kind;

  /// Takes the encoder's tensors out of `file`, of whichever precision. Throws Error{missing_tensor | shape}, and
  /// Error{unsupported} where sums of integers could overflow.
  Encoder(WeightFile& file, const ModelConfig& config) : Encoder(FloatEnvironment(), file, config) {}

  /// Hidden states of the last layer. Throws Error{input} when an id, a type or a sequence is too large for the model,
  /// Error{stopped} when the workspace's stop token is set or its deadline has passed.
  EncoderOutput forward(const Batch& batch, Workspace& work, const LayerObserver& observer = {}) const {
    run(batch, work, LayerTokens::all, observer);
    return {work.hidden.matrix(batch.tokens(), config_.hidden_size), batch.starts(), {}};
  }

  /// The same for the first token of each sequence alone, as if it had no other: `hidden` is [S, H]. The last layer is
  /// computed for these, but for attention, which sees all. Their bits are those of `forward`. Throws as `forward`.
  EncoderOutput forward_first(const Batch& batch, Workspace& work) const {
    run(batch, work, LayerTokens::first, {});
    return {work.chosen.matrix(batch.sequences(), config_.hidden_size), work.plan.first_starts, {}};
  }

  /// Whether `pool` reads first tokens alone, so that what `forward_first` gives is enough for it.
  bool pools_first() const { return pooler_ && pooler_->reads_first(); }

  /// visit(linear) for each linear layer whose precision is P, in the order of the file: once, however often it runs.
  template <class Visit>
  void for_each_linear(const Visit& visit) const {
    embeddings_.for_each_linear(visit);
    for (const auto& layer : layers_) layer.for_each_linear(visit);
  }

  /// Fills in `output.pooled`. Throws Error{unsupported} when the model has no pooler.
  void pool(EncoderOutput& output, Workspace& work) const {
    if (!pooler_)
      throw_error(ErrorCode::unsupported,
                  {"the model has no pooler; expected pooler weights for a head that reads it"});
    const FloatEnvironment environment;
    output.pooled = (*pooler_)(output.hidden, output.starts, work);
  }

 private:
  // Weights that the file has in another precision are rewritten here: under the environment, as all arithmetic.
  Encoder(const FloatEnvironment&, WeightFile& file, const ModelConfig& config)
      : config_(config), embeddings_(file, config), positions_(new PositionTables(file, config)) {
    // Before any call: refuses a level that BERTHA_ISA names in vain, and a build that computes something else.
    kernels::require_known_answers();
    if (config.max_position_embeddings > P::kMostKeys)
      throw_error(ErrorCode::unsupported,
                  {file.name(), ": 'max_position_embeddings' is ", config.max_position_embeddings,
                   "; attention in this precision is exact up to ", P::kMostKeys, " tokens; run the model in float32"});
    if (config.norm_place != NormPlace::post)
      final_norm_ = take_norm(file, config, "encoder.norm", config.hidden_size, config.needs_bias);
    for (std::size_t i = 0; i < config.num_hidden_layers; ++i)
      if (config.stored_layer(i) == layers_.size()) layers_.emplace_back(file, config, config.layer(i), *positions_);
    if (config.pooler) pooler_.emplace(file, *config.pooler, config.hidden_size);
  }

  // Before the work begins, because who gets which chunk is left to chance, and the first call is to be the only one of
  // its size that allocates.
  void reserve(Workspace& work) const {
    const Plan& plan = work.plan;
    for (std::size_t worker = 0; worker < std::min(plan.n_whole, work.threads()); ++worker)
      reserve(work.team_of(worker), plan.whole);
    if (plan.n_whole < plan.chunks.size()) reserve(work.team(), plan.shared);
  }
  void reserve(const Team& team, const ChunkSize& size) const {
    embeddings_.reserve(team, size);
    for (const auto& layer : layers_) layer.reserve(team, size);
  }

  void run(const Batch& batch, Workspace& work, LayerTokens tokens, const LayerObserver& observer) const {
    const FloatEnvironment environment;
    const Plan& plan = work.plan;
    make_plan(config_, batch, work.threads(), work.plan);
    const auto hidden = work.hidden.matrix(batch.tokens(), config_.hidden_size);
    MatrixView<float> firsts;  // [S, H]
    if (tokens == LayerTokens::first) firsts = work.chosen.matrix(batch.sequences(), config_.hidden_size);
    reserve(work);
    const auto run_one = [&](std::size_t index, const Team& team) {
      const Chunk& chunk = plan.chunks[index];
      const auto made = run_chunk(batch, chunk, plan, hidden, tokens, team, observer);
      for (std::size_t s = 0; tokens == LayerTokens::first && s < made.rows; ++s)
        std::copy_n(made.row(s), made.cols, firsts.row(chunk.begin + s));
    };
    work.for_each(plan.n_whole, run_one);
    for (std::size_t index = plan.n_whole; index < plan.chunks.size(); ++index) run_one(index, work.team());
  }

  /// The chunk's rows of the last layer.
  MatrixView<float> run_chunk(const Batch& batch, const Chunk& chunk, const Plan& plan, MatrixView<float> all_hidden,
                              LayerTokens tokens, const Team& team, const LayerObserver& observer) const {
    const auto starts = std::span(batch.starts()).subspan(chunk.begin, chunk.end - chunk.begin + 1);
    const std::size_t first = starts.front();
    auto hidden = all_hidden.middle_rows(first, starts.back());
    team.check_stop();
    embeddings_(batch.ids().data() + first, batch.type_ids().data() + first, plan.positions.data() + first, hidden,
                team);
    if (observer) observer(0, first, hidden);
    for (std::size_t i = 0; i < config_.num_hidden_layers; ++i) {
      const bool is_last = i + 1 == config_.num_hidden_layers;
      hidden =
          layers_[config_.stored_layer(i)](hidden, starts, config_.sight(i), is_last ? tokens : LayerTokens::all, team);
      if (is_last && final_norm_) (*final_norm_)(hidden, team);
      if (observer) observer(i + 1, first, hidden);
    }
    return hidden;
  }

  ModelConfig config_;
  Embeddings<P> embeddings_;
  std::unique_ptr<const PositionTables> positions_;
  std::vector<EncoderLayer<P>> layers_;  // as stored; several layers may run with one
  std::optional<LayerNorm> final_norm_;  // where norms are before blocks
  std::optional<Pooler> pooler_;
};

/// What a model needs of its encoder.
template <class E>
concept EncoderLike = requires(const E& encoder, WeightFile& file, const ModelConfig& config, const Batch& batch,
                               Workspace& work, EncoderOutput& output) {
  E(file, config);
  { encoder.forward(batch, work) } -> std::same_as<EncoderOutput>;
  encoder.pool(output, work);
};

/// An encoder of whichever precision the configuration names: the one place where a precision becomes a type.
/// Immutable: any number of threads may call it, with a workspace each.
class AnyEncoder {
 public:
  /// As Encoder's; `config.precision` is the precision to run in. Throws Error{input} if it is no enumerator.
  AnyEncoder(WeightFile& file, const ModelConfig& config) : encoder_(make(file, config)) {}

  EncoderOutput forward(const Batch& batch, Workspace& work, const LayerObserver& observer = {}) const;
  EncoderOutput forward_first(const Batch& batch, Workspace& work) const;
  bool pools_first() const;
  void pool(EncoderOutput& output, Workspace& work) const;

  /// Whether a model of that configuration runs as Float32Split in this process. Throws what kernels::table() throws.
  static bool splits(const ModelConfig& config) {
    return config.precision == PrecisionKind::float32 && config.float32_split &&
           kernels::table().gemm_split.run != nullptr;
  }

 private:
  using Variant = std::variant<Encoder<Float32>, Encoder<Float32Split>, Encoder<BFloat16>, Encoder<Int8>>;
  static Variant make(WeightFile& file, const ModelConfig& config);

  Variant encoder_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION AnyEncoder::Variant AnyEncoder::make(WeightFile& file, const ModelConfig& config) {
  switch (config.precision) {
    case PrecisionKind::float32:
      if (splits(config)) return Variant(std::in_place_type<Encoder<Float32Split>>, file, config);
      [[fallthrough]];
    case PrecisionKind::float32_strict: return Variant(std::in_place_type<Encoder<Float32>>, file, config);
    case PrecisionKind::int8: return Variant(std::in_place_type<Encoder<Int8>>, file, config);
    case PrecisionKind::bfloat16: return Variant(std::in_place_type<Encoder<BFloat16>>, file, config);
  }
  throw_error(ErrorCode::input, {file.name(), ": the precision to run in is none of PrecisionKind's"});
}

BERTHA_FUNCTION EncoderOutput AnyEncoder::forward(const Batch& batch, Workspace& work,
                                                  const LayerObserver& observer) const {
  return std::visit([&](const auto& encoder) { return encoder.forward(batch, work, observer); }, encoder_);
}

BERTHA_FUNCTION EncoderOutput AnyEncoder::forward_first(const Batch& batch, Workspace& work) const {
  return std::visit([&](const auto& encoder) { return encoder.forward_first(batch, work); }, encoder_);
}

BERTHA_FUNCTION bool AnyEncoder::pools_first() const {
  return std::visit([](const auto& encoder) { return encoder.pools_first(); }, encoder_);
}

BERTHA_FUNCTION void AnyEncoder::pool(EncoderOutput& output, Workspace& work) const {
  std::visit([&](const auto& encoder) { encoder.pool(output, work); }, encoder_);
}

#endif

BERTHA_NAMESPACE_END
