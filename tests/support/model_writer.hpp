// Makes small model files for tests, right or wrong on purpose. It follows tools/format.md and shares no code with the
// library or the converter, so it is a third opinion on that page; but for where weights lie: that is layout.hpp's,
// which kernels/layout_test.cpp holds against the page.
//
//     auto model = ModelWriter::tiny();          // a complete BERT of one layer with seeded weights
//     model.config["hidden_size"] = 40;          // vary a part of the metadata
//     model.tensor("pooler.dense.bias").shape = {3};
//     AlignedBytes bytes(model.bytes());         // for WeightFile::from_bytes(bytes.span())
//     TempFile file(model.bytes());              // for WeightFile::open(file.path())

#pragma once

#include "container_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace bertha_test {

/// The sizes of a tiny model. The odd ones are on purpose: no size is a multiple of 16, so that all padding is there.
struct TinyOptions {
  std::string kind = "model";         // model, encoder, tokenizer
  std::string precision = "float32";  // float32, bfloat16, int8
  std::string head = "sequence-classification";
  std::vector<std::string> labels = {"negative", "positive"};
  std::string pooler = "tanh";  // empty: none
  bool float32_split = false;
  bool calibrated = false;  // int8: every linear layer of the encoder has a smoothing vector and a zero point, and
                            // attention is fine
  std::string hidden_act = "gelu";
  std::size_t hidden_size = 36;
  std::size_t embedding_size = 0;     // 0: as hidden_size
  bool embedding_projection = false;  // also where the sizes are the same
  std::size_t num_attention_heads = 3;
  std::size_t intermediate_size = 40;
  std::size_t num_hidden_layers = 1;
  std::vector<std::uint32_t> layer_weights = {};  // the stored layer that each layer runs with; empty: its own
  std::size_t max_position_embeddings = 24;
  std::size_t type_vocab_size = 2;
  std::optional<std::uint32_t> position_padding_id = {};  // positions are counted from it
  bool distance_bias = false;                             // attention adds a number for the distance from query to key
  bool disentangled = false;  // attention has relative keys and queries, of a row for each distance from -2 to 2
  // Norms are before blocks (the first layer has none before attention) and behind the last layer; feed-forward
  // networks are gated; there are few biases and no position table: queries and keys are turned, in every other layer,
  // which sees a window of 3, by other angles.
  bool modern = false;
  bool norms_around = false;  // modern: of root mean squares, also of what blocks make, and of queries and keys
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a",   "b",   "c",  "##a",
                                         "##b",   "##c",   ".",     "the",   "cat",    "sat", "##s", "##t"};
  std::uint32_t seed = 1;
};

/// The parts of a model file; `bytes()` puts them together.
class ModelWriter : public ContainerWriter {
 public:
  std::string format = "1";
  Json source, config, tokenizer, selftest = Json::array();
  std::map<std::string, std::string> metadata;  ///< further keys, or texts that replace the ones made of the parts

  /// A complete and valid file. Weights are uniform in [-0.5, 0.5], the same for the same options.
  static ModelWriter tiny(const TinyOptions& options = {});

  /// A linear layer of N = bias.size() outputs from weights [N, K], row-major.
  void add_linear(const std::string& name, const std::vector<float>& weights, const std::vector<float>& bias,
                  const std::string& precision);

  /// An embedding table [V, H].
  void add_table(const std::string& name, const std::vector<float>& values, std::size_t v,
                 const std::string& precision);

  /// A vector [N].
  void add_vector(const std::string& name, const std::vector<float>& values);

  /// Rows [L, K] in float32.
  void add_rows(const std::string& name, const std::vector<float>& values, std::size_t rows);

  std::vector<float> random(std::size_t n);

  /// Makes the tokenizer one of byte-level BPE; `merges` are pairs of ids.
  void make_byte_bpe(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges);

  /// Makes the tokenizer one of BPE over characters.
  void make_character_bpe(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges);

  /// Makes the tokenizer one of Unigram, with a trie and with scores that fall from 0; a charsmap turns A into B.
  void make_unigram(const std::vector<std::string>& vocabulary);

  /// The header that describes the parts as they are now, CRCs included.
  Json header() const;

  /// The whole file.
  std::string bytes() const;

 private:
  void describe(const TinyOptions& o);

  // Puts another kind's options in place of WordPiece's.
  void make_kind(const Json& options);

  void add_merges(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges);

  void add_vocabulary(const std::vector<std::string>& vocabulary);

  void add_trie(const std::string& name, const std::map<std::string, std::uint32_t>& values);

  void add_norm(const std::string& name, std::size_t size);

  void remove(const std::string& name);

  void add_angles(const std::string& name, std::size_t positions, std::size_t head_size, double base);

  void add_relative(std::size_t heads, std::size_t head_size);

  void add_random_linear(const std::string& name, std::size_t n, std::size_t k, const std::string& precision);

  /// Query, key and value, attention head by attention head, each padded to D' outputs.
  void add_query_key_value(const std::string& name, std::size_t h, std::size_t heads);

  void add_encoder(const TinyOptions& o);

  std::string precision_ = "float32";
  bool calibrated_ = false;
  std::mt19937 random_{1};
};

}  // namespace bertha_test
