// See model_writer.hpp: compiled once for all tests, which saves each of them seconds.

#include "model_writer.hpp"

#include "trie_writer.hpp"

#include <algorithm>
#include <bertha/kernels/layout.hpp>
#include <cmath>
#include <cstring>

namespace bertha_test {

namespace {

template <class Element>
std::vector<std::size_t> dimensions(const bertha::kernels::PanelLayout<Element>& layout) {
  const auto shape = layout.shape();
  return {shape.begin(), shape.end()};
}

std::vector<float> padded(const std::vector<float>& values, std::size_t rows) {
  const std::size_t size = values.size() / rows;
  std::vector<float> result(rows * up(size, 16));
  for (std::size_t i = 0; i < values.size(); ++i) result[i / size * up(size, 16) + i % size] = values[i];
  return result;
}

// The bits of the nearest bfloat16 number, ties to even; x is finite and not large.
std::uint16_t bfloat16(float x) {
  int exponent = 0;
  std::frexp(x, &exponent);  // 8 binary digits are kept, down to 2^-133
  const float unit = std::ldexp(1.0f, std::max(exponent - 8, -133));
  const float rounded = std::nearbyint(x / unit) * unit;
  std::uint32_t bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  return static_cast<std::uint16_t>(bits >> 16);
}

std::pair<std::vector<std::int8_t>, std::vector<float>> quantise(const std::vector<float>& values, std::size_t rows) {
  const std::size_t size = values.size() / rows;
  std::vector<std::int8_t> quantised(values.size());
  std::vector<float> scale(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    float largest = 0;
    for (std::size_t i = 0; i < size; ++i) largest = std::max(largest, std::fabs(values[row * size + i]));
    if (largest < 0x1p-100f) continue;
    scale[row] = largest / 127.0f;
    for (std::size_t i = 0; i < size; ++i) {
      const float q = std::nearbyint(values[row * size + i] * (127.0f / largest));
      quantised[row * size + i] = static_cast<std::int8_t>(std::min(127.0f, std::max(-127.0f, q)));
    }
  }
  return {quantised, scale};
}

std::size_t embedding_size(const TinyOptions& o) { return o.embedding_size ? o.embedding_size : o.hidden_size; }

bool has_output(const TinyOptions& o) {
  return o.kind == "model" && o.head != "none" && o.head != "custom" && o.head != "embedding" && o.head != "masked-lm";
}

}  // namespace

ModelWriter ModelWriter::tiny(const TinyOptions& options) {
  ModelWriter model;
  model.precision_ = options.precision;
  model.calibrated_ = options.calibrated;
  model.random_.seed(options.seed);
  model.describe(options);
  model.add_vocabulary(options.vocabulary);
  if (options.kind != "tokenizer") model.add_encoder(options);
  return model;
}

void ModelWriter::add_linear(const std::string& name, const std::vector<float>& weights, const std::vector<float>& bias,
                             const std::string& precision) {
  const std::size_t n = bias.size();
  const std::size_t k = weights.size() / n;
  if (precision == "int8") {
    std::vector<float> smoothed = weights, smoothing(calibrated_ ? k : 0);
    for (std::size_t i = 0; i < smoothing.size(); ++i) smoothing[i] = 0.5f + static_cast<float>(i * 7 % 16) / 8.0f;
    for (std::size_t i = 0; i < (calibrated_ ? n * k : 0); ++i) smoothed[i] /= smoothing[i % k];
    const auto [values, scale] = quantise(smoothed, n);
    const bertha::kernels::PanelLayout<std::int8_t> layout(n, k);
    std::vector<std::int8_t> cut(layout.size());
    std::vector<std::int32_t> sum(up(n, 16));
    for (std::size_t row = 0; row < n; ++row) {
      for (std::size_t i = 0; i < k; ++i) {
        cut[layout.at(row, i)] = values[row * k + i];
        sum[row] += values[row * k + i];
      }
    }
    add(name + ".weight", "I8", dimensions(layout), cut);
    add(name + ".scale", "F32", {up(n, 16)}, padded(scale, 1));
    add(name + ".sum", "I32", {up(n, 16)}, sum);
    if (calibrated_) {
      add_vector(name + ".smoothing", smoothing);
      config["zero_points"].push_back(name);
    }
  } else if (precision == "bfloat16") {
    const bertha::kernels::PanelLayout<bertha::bf16> layout(n, k);
    std::vector<std::uint16_t> cut(layout.size());
    for (std::size_t row = 0; row < n; ++row) {
      for (std::size_t i = 0; i < k; ++i) cut[layout.at(row, i)] = bfloat16(weights[row * k + i]);
    }
    add(name + ".weight", "BF16", dimensions(layout), cut);
  } else {
    const bertha::kernels::PanelLayout<float> layout(n, k);
    std::vector<float> cut(layout.size());
    for (std::size_t row = 0; row < n; ++row) {
      for (std::size_t i = 0; i < k; ++i) cut[layout.at(row, i)] = weights[row * k + i];
    }
    add(name + ".weight", "F32", dimensions(layout), cut);
  }
  add_vector(name + ".bias", bias);
}

void ModelWriter::add_table(const std::string& name, const std::vector<float>& values, std::size_t v,
                            const std::string& precision) {
  const std::size_t h = values.size() / v;
  if (precision == "float32") return add(name + ".weight", "F32", {v, up(h, 16)}, padded(values, v));
  if (precision == "bfloat16") {
    std::vector<std::uint16_t> rows(v * up(h, 32));
    for (std::size_t i = 0; i < values.size(); ++i) rows[i / h * up(h, 32) + i % h] = bfloat16(values[i]);
    return add(name + ".weight", "BF16", {v, up(h, 32)}, rows);
  }
  const auto [quantised, scale] = quantise(values, v);
  std::vector<std::int8_t> rows(v * up(h, 64));
  for (std::size_t i = 0; i < quantised.size(); ++i) rows[i / h * up(h, 64) + i % h] = quantised[i];
  add(name + ".weight", "I8", {v, up(h, 64)}, rows);
  add(name + ".scale", "F32", {up(v, 16)}, padded(scale, 1));
}

void ModelWriter::add_vector(const std::string& name, const std::vector<float>& values) {
  add(name, "F32", {up(values.size(), 16)}, padded(values, 1));
}

void ModelWriter::add_rows(const std::string& name, const std::vector<float>& values, std::size_t rows) {
  add(name, "F32", {rows, up(values.size() / rows, 16)}, padded(values, rows));
}

std::vector<float> ModelWriter::random(std::size_t n) {
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random_() >> 8) * 0x1p-24f - 0.5f;
  return values;
}

void ModelWriter::make_byte_bpe(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges) {
  make_kind({{"kind", "byte_bpe"}, {"add_prefix_space", false}, {"trim_offsets", true}});
  add_merges(merges);
}

void ModelWriter::make_character_bpe(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges) {
  make_kind({{"kind", "character_bpe"},
             {"whitespace_split", false},
             {"prepend_scheme", "always"},
             {"split", true},
             {"byte_fallback", false},
             {"drop_unknown", false},
             {"fuse_unknown", false},
             {"ignore_merges", false}});
  add_merges(merges);
}

void ModelWriter::make_unigram(const std::vector<std::string>& vocabulary) {
  make_kind({{"kind", "unigram"},
             {"whitespace_split", true},
             {"prepend_scheme", "always"},
             {"split", true},
             {"byte_fallback", false}});
  tokenizer["normalizer"] = {{{"step", "charsmap"}, {"num_replacements", 1}}};
  std::map<std::string, std::uint32_t> values;
  std::vector<double> scores;
  for (const std::string& token : vocabulary) {
    scores.push_back(-static_cast<double>(scores.size()));
    values[token] = static_cast<std::uint32_t>(scores.size());
  }
  add_trie("tokenizer.vocab.trie", values);
  add("tokenizer.scores", "F64", {up(scores.size(), 8)}, scores);
  add("tokenizer.charsmap.text", "U8", {64}, std::vector<char>{'B'});
  add("tokenizer.charsmap.offsets", "U32", {16}, std::vector<std::uint32_t>{0, 1});
  add_trie("tokenizer.charsmap.trie", {{"A", 1}});
}

Json ModelWriter::header() const {
  Json crcs = Json::object();
  for (const TensorData& tensor : tensors) crcs[tensor.name] = crc32(tensor.bytes);
  Json strings = {{"format", format},
                  {"source", source.dump()},
                  {"config", config.dump()},
                  {"tokenizer", tokenizer.dump()},
                  {"selftest", selftest.dump()},
                  {"crc32", crcs.dump()}};
  for (const auto& [key, text] : metadata) strings[key] = text;
  return ContainerWriter::header(strings);
}

std::string ModelWriter::bytes() const { return pack(header().dump(), data()); }

void ModelWriter::describe(const TinyOptions& o) {
  source = {{"name", "tiny"}, {"sha256", {{"model.safetensors", std::string(64, '0')}}}, {"converter", "0.1.0"}};
  source["transformers"] = nullptr;
  config = {{"kind", o.kind}};
  if (o.kind != "tokenizer") {
    config.update({{"precision", o.precision},
                   {"vocab_size", o.vocabulary.size()},
                   {"hidden_size", o.hidden_size},
                   {"embedding_size", embedding_size(o)},
                   {"num_hidden_layers", o.num_hidden_layers},
                   {"num_attention_heads", o.num_attention_heads},
                   {"intermediate_size", o.intermediate_size},
                   {"max_position_embeddings", o.max_position_embeddings},
                   {"type_vocab_size", o.type_vocab_size},
                   {"hidden_act", o.hidden_act},
                   {"layer_norm_eps", 1e-12},
                   {"position_offset", o.position_padding_id ? *o.position_padding_id + 1 : 0},
                   {"position_padding_id", o.position_padding_id ? Json(*o.position_padding_id) : Json(nullptr)},
                   {"norm_place", o.norms_around ? "around"
                                  : o.modern     ? "pre"
                                                 : "post"},
                   {"gating", o.modern},
                   {"bias", !o.modern},
                   {"position_scheme", o.modern          ? "rotary"
                                       : o.disentangled  ? "disentangled"
                                       : o.distance_bias ? "distance_bias"
                                                         : "absolute"},
                   {"key_window", 0},
                   {"pooler", o.pooler.empty() ? Json(nullptr) : Json(o.pooler)},
                   {"head", o.kind == "encoder" ? "none" : o.head},
                   {"labels", has_output(o) ? o.labels : std::vector<std::string>{}},
                   {"problem_type", nullptr}});
    if (o.precision == "float32") config["float32_split"] = o.float32_split;
    if (o.norms_around) {
      config["norm_kind"] = "rms_norm";
      config["query_key_norms"] = true;
    }
    if (o.modern) {
      config["position_table"] = false;
      for (std::size_t i = 0; i < o.num_hidden_layers; ++i) {
        config["key_windows"].push_back(i % 2 * 3);
        config["rotary_tables"].push_back(i % 2);
      }
    }
    if (o.disentangled) {
      config["disentangled"] = {{"rows", 5}, {"reach", 2}, {"relative_keys", true}, {"relative_queries", true}};
      config["score_terms"] = 3;
    }
    if (o.embedding_projection) config["embedding_projection"] = true;
    if (!o.layer_weights.empty()) config["layer_weights"] = o.layer_weights;
    if (o.head == "masked-lm") config["masked_lm"] = {{"activation", "gelu"}, {"tied", true}};
    if (o.head == "embedding")
      config["embedding"] = {{"modes", {"mean"}},
                             {"layers", {{{"kind", "dense"}, {"outputs", 20}, {"activation", "tanh"}, {"bias", true}}}},
                             {"include_prompt", true},
                             {"normalize", true},
                             {"prompts", {{"query", "the cat "}, {"passage", ""}}},
                             {"default_prompt", nullptr},
                             {"similarity", "dot"}};
  }
  config["max_length"] = o.max_position_embeddings - (o.position_padding_id ? *o.position_padding_id + 1 : 0);
  config["model_max_length"] = 1e30;
  tokenizer = {{"kind", "wordpiece"},
               {"vocab_size", o.vocabulary.size()},
               {"clean_text", true},
               {"handle_chinese_chars", true},
               {"strip_accents", true},
               {"lowercase", true},
               {"continuing_subword_prefix", "##"},
               {"max_input_chars_per_word", 100},
               {"unk_token_id", 1},
               {"cls_token_id", 2},
               {"sep_token_id", 3},
               {"pad_token_id", 0},
               {"decoder_cleanup", true},
               {"added_tokens", Json::array()}};
  if (o.head == "masked-lm") tokenizer["mask_token_id"] = 4;
  for (std::size_t id = 0; id < 5; ++id) {
    tokenizer["added_tokens"].push_back({{"id", id},
                                         {"content", o.vocabulary.at(id)},
                                         {"single_word", false},
                                         {"lstrip", false},
                                         {"rstrip", false},
                                         {"normalized", false},
                                         {"special", true}});
  }
  const auto special = [](int id, int type) { return Json{{"special", id}, {"type_id", type}}; };
  const auto sequence = [](const char* name, int type) { return Json{{"sequence", name}, {"type_id", type}}; };
  const int second = o.type_vocab_size > 1 ? 1 : 0;
  tokenizer["single"] = Json::array({special(2, 0), sequence("A", 0), special(3, 0)});
  tokenizer["pair"] =
      Json::array({special(2, 0), sequence("A", 0), special(3, 0), sequence("B", second), special(3, second)});
}

void ModelWriter::make_kind(const Json& options) {
  for (const char* key : {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase",
                          "continuing_subword_prefix", "max_input_chars_per_word", "decoder_cleanup"}) {
    tokenizer.erase(key);
  }
  tokenizer.update(options);
}

void ModelWriter::add_merges(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges) {
  tokenizer["num_merges"] = merges.size();
  std::vector<std::uint32_t> ids;
  for (const auto& [left, right] : merges) ids.insert(ids.end(), {left, right});
  add("tokenizer.merges", "U32", {up(ids.size(), 16)}, ids);
}

void ModelWriter::add_vocabulary(const std::vector<std::string>& vocabulary) {
  std::vector<char> text;
  std::vector<std::uint32_t> offsets = {0};
  for (const std::string& token : vocabulary) {
    text.insert(text.end(), token.begin(), token.end());
    offsets.push_back(static_cast<std::uint32_t>(text.size()));
  }
  add("tokenizer.vocab.text", "U8", {up(text.size(), 64)}, text);
  add("tokenizer.vocab.offsets", "U32", {up(offsets.size(), 16)}, offsets);
}

void ModelWriter::add_trie(const std::string& name, const std::map<std::string, std::uint32_t>& values) {
  const auto units = trie_of(values);
  add(name, "U32", {units.size()}, units);
}

void ModelWriter::add_norm(const std::string& name, std::size_t size) {
  std::vector<float> gamma = random(size);
  for (float& value : gamma) value += 1.0f;
  add_vector(name + ".weight", gamma);
  add_vector(name + ".bias", random(size));
}

void ModelWriter::remove(const std::string& name) {
  std::erase_if(tensors, [&](const TensorData& tensor) { return tensor.name == name; });
}

void ModelWriter::add_angles(const std::string& name, std::size_t positions, std::size_t head_size, double base) {
  std::vector<float> cos, sin;
  for (std::size_t p = 0; p < positions; ++p)
    for (std::size_t d = 0; d < head_size / 2; ++d) {
      const double angle =
          static_cast<double>(p) * std::pow(base, -2 * static_cast<double>(d) / static_cast<double>(head_size));
      cos.push_back(static_cast<float>(std::cos(angle)));
      sin.push_back(static_cast<float>(std::sin(angle)));
    }
  add_rows(name + ".cos", cos, positions);
  add_rows(name + ".sin", sin, positions);
}

void ModelWriter::add_relative(std::size_t heads, std::size_t head_size) {
  std::vector<std::uint32_t> rows = {0, 1, 2, 3, 4};
  rows.resize(16);
  add("encoder.relative_rows", "U32", {16}, rows);
  for (const char* name : {"encoder.relative_keys", "encoder.relative_queries"})
    add_table(name, random(heads * 5 * head_size), heads * 5, precision_);
}

void ModelWriter::add_random_linear(const std::string& name, std::size_t n, std::size_t k,
                                    const std::string& precision) {
  const auto weights = random(n * k);
  add_linear(name, weights, random(n), precision);
}

void ModelWriter::add_query_key_value(const std::string& name, std::size_t h, std::size_t heads) {
  const std::size_t d = h / heads;
  std::vector<float> weights(3 * up(d, 16) * heads * h);
  std::vector<float> bias(3 * up(d, 16) * heads);
  for (std::size_t block = 0; block < 3 * heads; ++block) {
    const auto w = random(d * h);
    const auto b = random(d);
    std::copy(w.begin(), w.end(), weights.begin() + static_cast<std::ptrdiff_t>(block * up(d, 16) * h));
    std::copy(b.begin(), b.end(), bias.begin() + static_cast<std::ptrdiff_t>(block * up(d, 16)));
  }
  add_linear(name, weights, bias, precision_);
}

void ModelWriter::add_encoder(const TinyOptions& o) {
  const std::size_t h = o.hidden_size, e = embedding_size(o);
  add_table("embeddings.word", random(o.vocabulary.size() * e), o.vocabulary.size(), precision_);
  if (o.type_vocab_size > 0) {
    add_table("embeddings.token_type", random(o.type_vocab_size * e), o.type_vocab_size, precision_);
  }
  if (!o.modern)
    add_table("embeddings.position", random(o.max_position_embeddings * e), o.max_position_embeddings, precision_);
  add_norm("embeddings.norm", e);
  for (std::size_t i = 0; o.modern && i < std::min<std::size_t>(2, o.num_hidden_layers); ++i)
    add_angles("encoder.rotary." + std::to_string(i), o.max_position_embeddings, h / o.num_attention_heads,
               i == 0 ? 1000 : 100);
  if (e != h || o.embedding_projection) add_random_linear("embeddings.projection", h, e, precision_);
  if (o.distance_bias) {
    const std::size_t positions = o.max_position_embeddings - (o.position_padding_id ? *o.position_padding_id + 1 : 0);
    add_rows("encoder.distance_bias", random(o.num_attention_heads * (2 * positions - 1)), o.num_attention_heads);
  }
  const auto& shared = o.layer_weights;
  const std::size_t stored = shared.empty() ? o.num_hidden_layers : 1 + *std::max_element(shared.begin(), shared.end());
  if (o.disentangled) add_relative(stored * o.num_attention_heads, h / o.num_attention_heads);
  for (std::size_t i = 0; i < stored; ++i) {
    const std::string layer = "encoder.layer." + std::to_string(i);
    add_query_key_value(layer + ".attention.query_key_value", h, o.num_attention_heads);
    if (calibrated_) config["fine_attention"].push_back(layer + ".attention");
    add_random_linear(layer + ".attention.output", h, h, precision_);
    if (!o.modern || i > 0) add_norm(layer + (o.modern ? ".attention.norm" : ".attention.output.norm"), h);
    add_random_linear(layer + ".intermediate", o.modern ? 2 * up(o.intermediate_size, 16) : o.intermediate_size, h,
                      precision_);
    add_random_linear(layer + ".output", h, o.intermediate_size, precision_);
    add_norm(layer + (o.modern ? ".norm" : ".output.norm"), h);
    if (!o.modern) continue;
    remove(layer + ".norm.bias");
    remove(layer + (i % 2 == 0 ? ".intermediate.bias" : ".attention.query_key_value.bias"));
    if (!o.norms_around) continue;
    for (const char* name : {".attention.output.norm", ".output.norm"}) add_norm(layer + name, h);
    for (const char* name : {".attention.query.norm", ".attention.key.norm"})
      add_norm(layer + name, h / o.num_attention_heads);
  }
  if (o.modern) add_norm("encoder.norm", h);
  if (o.norms_around)
    std::erase_if(tensors, [](const TensorData& tensor) { return tensor.name.ends_with("norm.bias"); });
  if (!o.pooler.empty()) add_random_linear("pooler.dense", h, h, "float32");
  if (o.head == "embedding") add_random_linear("head.0", 20, h, "float32");
  if (o.head == "masked-lm") {
    add_random_linear("head.dense", e, h, "float32");
    add_norm("head.norm", e);
    add_vector("head.bias", random(o.vocabulary.size()));
  }
  if (has_output(o)) {
    add_rows("head.output.weight", random(o.labels.size() * h), o.labels.size());
    add_vector("head.output.bias", random(o.labels.size()));
  }
}

}  // namespace bertha_test
