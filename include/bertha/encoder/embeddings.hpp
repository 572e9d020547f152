// hidden = LayerNorm(word[id] + token_type[type] + position[p]): what the first encoder layer reads. Where embeddings
// have another size than hidden states, and in some families always, a linear layer follows.
//
// Shapes: tables [V, E]; hidden [T, H]. Equals `BertEmbeddings` in transformers/models/bert/modeling_bert.py (5.23.0),
// without dropout, and with the linear layer `embeddings_project` in .../electra/modeling_electra.py, which is
// `embedding_hidden_mapping_in` in .../albert/modeling_albert.py. An int8 row is q * its scale, which is also what a
// float32 encoder makes of an int8 file. Int8 has int8 tables, whatever the file: others are quantised when they are
// loaded. So BFloat16 rounds the tables of a float32 file.

#pragma once

#include <bertha/encoder/embedding_tables.hpp>
#include <bertha/encoder/linear.hpp>
#include <optional>

BERTHA_NAMESPACE_BEGIN

/// The tables and the projection. Immutable; `const` methods may run concurrently.
template <Precision P>
class Embeddings {
 public:
  /// Takes `embeddings.*`. Throws Error{missing_tensor | shape}.
  Embeddings(WeightFile& file, const ModelConfig& config) : tables_(file, config, P::kind) {
    if (config.embedding_projection)
      projection_.emplace(file, "embeddings.projection", config.hidden_size, tables_.size());
  }

  /// visit(linear) for the linear layer, if there is one.
  template <class Visit>
  void for_each_linear(const Visit& visit) const {
    if (projection_) visit(*projection_);
  }

  /// Memory for a chunk of that size: then calls don't allocate.
  void reserve(const Team& team, const ChunkSize& size) const {
    if (!projection_) return;
    team.chunk().context.matrix(size.rows, tables_.size());
    projection_->reserve(team, size.rows);
  }

  /// Writes `hidden` [rows, H] for as many ids, types and positions, all of which the caller has checked.
  void operator()(const std::uint32_t* ids, const std::uint32_t* types, const std::uint32_t* positions,
                  MatrixView<float> hidden, const Team& team) const {
    if (!projection_) return tables_(ids, types, positions, hidden, team);
    const auto embedded = team.chunk().context.matrix(hidden.rows, tables_.size());  // [rows, E]
    tables_(ids, types, positions, embedded, team);
    (*projection_)(embedded, hidden, team);
  }

 private:
  EmbeddingTables tables_;
  std::optional<Linear<P>> projection_;  // [H, E]
};

BERTHA_NAMESPACE_END
