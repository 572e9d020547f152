// An int8 file of a float32 file, by the engine that will run it. Not a part of the umbrella header:
//
//     bertha::quantize("model.safetensors", "model_int8.safetensors", {.texts = texts});
//
// What its products read can be quantised better than plainly: quantize/calibration.hpp tries what, layer by layer, on
// texts like those that the model is for.

#pragma once

#include <algorithm>
#include <bertha/file/new_file.hpp>
#include <bertha/quantize/calibration.hpp>
#include <bertha/quantize/comparison.hpp>
#include <bertha/quantize/int8_file.hpp>
#include <bertha/quantize/observed.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// How to quantise.
struct QuantizeOptions {
  /// A text per element, in UTF-8: what int8 is calibrated by and compared on. A model that reads pairs takes each with
  /// the next one. What is longer than the model takes is cut.
  std::vector<std::string> texts = {};
  bool plain = false;     ///< calibrate nothing: what convert.py --precision int8 writes
  CallOptions call = {};  ///< threads, and what stops it
};

/// What was done.
struct QuantizeReport {
  struct Layer {
    std::string name;
    bool smoothing = false, zero_point = false;
    double plain_error = 0, error = 0;  ///< rms of its outputs on what float32 gives it to read
  };
  struct Attention {
    std::string name;
    bool fine = false;
    double plain_error = 0, error = 0;  ///< rms of its contexts on the queries, keys and values of float32
  };
  std::size_t texts = 0, tokens = 0;  ///< that it was calibrated by and compared on
  std::size_t bytes = 0;              ///< of the file
  std::size_t labels = 0;             ///< that could have changed
  std::vector<Layer> layers;
  std::vector<Attention> attention;
  QuantizeErrors plain;       ///< of int8 without smoothing, zero points and fine attention
  QuantizeErrors calibrated;  ///< of the file
};

namespace detail {

/// The float32 file at hand, and its tokenizer.
struct Float32File {
  explicit Float32File(const std::string& path)
      : mapping(path), file(WeightFile::from_bytes(mapping.bytes(), path)), tokenizer(Tokenizer::load(file)) {
    const ModelConfig& config = file.config();
    if (!config.has_encoder)
      throw_error(ErrorCode::unsupported, {path, ": the file holds a tokenizer only; expected a model in float32"});
    if (config.precision != PrecisionKind::float32)
      throw_error(ErrorCode::unsupported,
                  {path, ": the file is in ", to_string(config.precision),
                   "; expected float32, whose weights are not rounded yet; convert the checkpoint in float32"});
  }
  std::span<const std::byte> bytes() const { return mapping.bytes(); }

  MappedFile mapping;
  WeightFile file;
  Tokenizer tokenizer;
};

/// Leaves out the texts that are mostly tokens which the vocabulary lacks: in a script that the model can't read, they
/// say nothing of what it will. Unless they are all like that.
inline void leave_out_unknown(std::vector<Encoding>& encodings, std::uint32_t unknown) {
  const auto is_unknown = [&](const Encoding& encoding) {
    const auto count = std::count(encoding.ids.begin(), encoding.ids.end(), unknown);
    return static_cast<std::size_t>(count) * 4 > encoding.size();
  };
  if (!std::all_of(encodings.begin(), encodings.end(), is_unknown)) std::erase_if(encodings, is_unknown);
}

/// The texts as a model of that head reads them.
inline std::vector<Encoding> encode_all(const Float32File& model, const QuantizeOptions& options) {
  const ModelConfig& config = model.file.config();
  EncodeOptions encode;
  encode.truncation = Truncation::longest_first;
  encode.max_length = config.max_length;
  encode.stop = options.call.stop();
  std::vector<Encoding> encodings;
  const bool pairs = config.head == HeadKind::question_answering;
  for (std::size_t i = 0; i < options.texts.size(); ++i) {
    const std::string& next = options.texts[(i + 1) % options.texts.size()];
    try {
      encodings.push_back(pairs ? model.tokenizer.encode(options.texts[i], next, encode)
                                : model.tokenizer.encode(options.texts[i], encode));
      require_rows(encodings.back().ids, config.vocab_size, model.tokenizer);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::input) throw;
      throw Error(ErrorCode::input, concat({"calibration text ", i + 1, ": ", error.what()}), i);
    }
    if (encodings.back().ids.empty()) encodings.pop_back();  // of an empty text without special tokens
  }
  leave_out_unknown(encodings, model.file.tokenizer().unk_token_id);
  return encodings;
}

/// How often the encoder runs a linear layer for each token.
inline std::size_t runs_of(const ModelConfig& config, std::string_view linear) {
  std::size_t runs = 0;
  for (std::size_t i = 0; i < config.num_hidden_layers; ++i) runs += linear.starts_with(config.layer(i).weights + ".");
  return std::max<std::size_t>(1, runs);
}

/// The parts of the encoder in int8.
struct CalibratedParts {
  std::vector<CalibratedLinear> linears;
  std::vector<CalibratedAttention> attention;
};

/// The encoder in int8, calibrated on what its parts read of `encodings` unless there are none.
inline CalibratedParts calibrated_parts(const Float32File& model, std::span<const Encoding> encodings,
                                        const QuantizeOptions& options) {
  constexpr std::size_t kMostRows = 512;  // of a layer's sample: more change no decision, and take memory
  auto file = WeightFile::from_bytes(model.bytes(), model.file.name());
  const Encoder<Observed> encoder(file, file.config());
  std::vector<const Observed::Panels*> layers;
  encoder.for_each_linear([&](const Linear<Observed>& linear) { layers.push_back(&linear.weight()); });
  std::size_t tokens = 0;
  for (const Encoding& encoding : encodings) tokens += encoding.size();
  for (const Observed::Panels* layer : layers)
    layer->observed().sample(1 + tokens * runs_of(file.config(), layer->name()) / kMostRows);
  Workspace work;
  work.prepare(options.call);
  for (const Encoding& encoding : encodings) {
    Batch batch;
    batch.add(encoding.ids, encoding.type_ids);
    encoder.forward(batch, work);
  }
  std::vector<std::optional<CalibratedLinear>> found(layers.size());
  work.for_each(layers.size(), [&](std::size_t i, const Team& alone) {
    const FloatEnvironment environment;
    alone.check_stop();
    const Observed::Panels& layer = *layers[i];
    if (options.plain)
      found[i] = CalibratedLinear{layer.name(), quantise_weights(layer.weights(), layer.outputs(), layer.inputs())};
    else
      found[i] = calibrate(layer, alone);
  });
  CalibratedParts parts;
  for (auto& linear : found) parts.linears.push_back(std::move(*linear));
  for (const Observed::Panels* layer : layers)
    if (layer->attention().seen()) parts.attention.push_back(calibrate_attention(*layer));
  return parts;
}

/// The share of each token type among all tokens.
inline std::vector<float> type_shares(const ModelConfig& config, std::span<const Encoding> encodings) {
  std::vector<std::size_t> counts(config.type_vocab_size);
  std::size_t tokens = 0;
  for (const Encoding& encoding : encodings)
    for (const std::uint32_t type : encoding.type_ids) {
      ++tokens;
      if (type < counts.size()) ++counts[type];
    }
  std::vector<float> shares;
  for (const std::size_t count : counts) shares.push_back(static_cast<float>(count) / static_cast<float>(tokens));
  return shares;
}

/// The logits of each case of the self-test, of a model that has one of bertha's heads, as the file records them: bits
/// that every level has in common.
inline std::vector<std::string> recorded_logits(const WeightFile& file, const Runner& run) {
  std::vector<std::string> logits;
  const HeadKind head = file.config().head;
  if (head == HeadKind::none || head == HeadKind::custom) return logits;
  for (const SelfTestCase& one : file.self_test()) {
    Encoding encoding;
    encoding.ids = one.ids;
    encoding.type_ids = one.type_ids;
    const Logits found = run(encoding, one.positions).logits;
    logits.push_back(to_hex((file.config().masked_lm ? columns_of(found, one.columns) : found).values));
  }
  return logits;
}

/// The tokens of a sequence that a head of chosen rows is compared by.
inline std::vector<std::uint32_t> some_tokens(const Encoding& encoding) {
  constexpr std::uint32_t kStep = 16;  // each costs a product with the whole vocabulary
  std::vector<std::uint32_t> tokens;
  for (std::uint32_t i = 1; i < encoding.size(); i += kStep) tokens.push_back(i);
  return tokens;
}

}  // namespace detail

/// Writes the int8 file `out` of the float32 file `in`, whole or not at all. The self-test goes with it, with the int8
/// logits of its cases. Throws Error{file | format | unsupported | input | stopped}.
inline QuantizeReport quantize(const std::string& in, const std::string& out, const QuantizeOptions& options = {}) {
  const FloatEnvironment environment;
  require_place(out, in);
  detail::Float32File model(in);
  if (!options.plain && options.texts.empty())
    throw_error(ErrorCode::input, {in, ": there is no text to calibrate int8 by; expected some, or `plain`"});
  const ModelConfig& config = model.file.config();
  const std::vector<Encoding> encodings = detail::encode_all(model, options);
  const std::span<const Encoding> calibration = options.plain ? std::span<const Encoding>() : encodings;
  const auto parts = detail::calibrated_parts(model, calibration, options);
  std::vector<float> types;
  if (!calibration.empty()) types = detail::type_shares(config, calibration);
  const detail::Int8File file(model.bytes(), model.file, parts.linears, parts.attention, types);
  const MappedFile bytes = file.bytes({});
  const detail::Runner exact =
      detail::make_runner(model.bytes(), {.precision = PrecisionKind::float32_strict}, options.call);
  const detail::Runner plain = detail::make_runner(model.bytes(), {.precision = PrecisionKind::int8}, options.call);
  const detail::Runner quantised = detail::make_runner(bytes.bytes(), {}, options.call);
  const auto logits = detail::recorded_logits(model.file, quantised);

  QuantizeReport report;
  detail::Comparison with_plain(config), with_file(config);
  for (const Encoding& encoding : encodings) {
    const std::vector<std::uint32_t> chosen = detail::some_tokens(encoding);
    const detail::Outputs expected = exact(encoding, chosen), found = plain(encoding, chosen);
    with_plain.add(expected, found);
    with_file.add(expected, options.plain ? found : quantised(encoding, chosen));
    report.tokens += encoding.size();
    report.labels += detail::labels_of(config, expected.logits).size();
  }
  report.texts = encodings.size();
  report.plain = with_plain.errors();
  report.calibrated = with_file.errors();
  for (const CalibratedLinear& linear : parts.linears)
    report.layers.push_back({linear.name, linear.weights.smoothing.size() > 0, linear.weights.zero_point,
                             linear.plain_error, linear.error});
  for (const CalibratedAttention& one : parts.attention)
    report.attention.push_back({one.name, one.fine, one.plain_error, one.error});
  const MappedFile whole = file.bytes(logits);
  report.bytes = whole.bytes().size();
  write_file(out, whole.bytes());
  return report;
}

BERTHA_NAMESPACE_END
