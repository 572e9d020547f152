#include "calls.hpp"

#include <memory>

namespace program {

using bertha::Encoding;
using bertha::ErrorCode;
using bertha::HeadKind;
using bertha::throw_error;

namespace {

template <class Pipeline>
Call pipeline_call(const BenchArguments& arguments, const bertha::CallOptions& options) {
  return [pipeline = Pipeline::load(arguments.model, arguments.load), options](const std::vector<Encoding>& encodings) {
    return pipeline.model().run(encodings, options);
  };
}

/// Of a masked-lm model the first token of each sequence is the mask, or as many as it has.
Call masks_call(const BenchArguments& arguments, const bertha::CallOptions& options) {
  return [pipeline = bertha::FillMask::load(arguments.model, arguments.load),
          options](const std::vector<Encoding>& encodings) {
    const bertha::Model<bertha::MaskedLm>& model = pipeline.model();
    const std::uint32_t mask = model.tokenizer().special_tokens().mask_token_id.value();
    std::vector<std::vector<std::uint32_t>> chosen(encodings.size());
    for (std::size_t i = 0; i < encodings.size(); ++i) {
      for (std::uint32_t at = 0; at < encodings[i].ids.size(); ++at)
        if (encodings[i].ids[at] == mask) chosen[i].push_back(at);
      if (chosen[i].empty()) chosen[i].push_back(0);
    }
    return model.run(encodings, options, chosen);
  };
}

/// To hidden states only, without logits: of files without a head, or with one that the program doesn't know.
Call encoder_call(const BenchArguments& arguments, const bertha::CallOptions& options) {
  struct State {
    State(bertha::WeightFile opened, const bertha::ModelConfig& config)
        : file(std::move(opened)), encoder(file, config) {}
    bertha::WeightFile file;
    bertha::AnyEncoder encoder;
    bertha::Workspace work;
  };
  auto file = bertha::WeightFile::open(arguments.model, {.memory = arguments.load.memory});
  bertha::ModelConfig config = file.config();
  if (!config.has_encoder)
    throw_error(ErrorCode::unsupported, {arguments.model, ": the file holds a tokenizer only; expected a model"});
  if (arguments.logits)
    throw_error(ErrorCode::unsupported, {arguments.model, ": --logits needs a head that the program can run"});
  config.precision = arguments.load.precision.value_or(config.precision);
  const auto state = std::make_shared<State>(std::move(file), config);
  state->work.prepare(options);
  return [state](const std::vector<Encoding>& encodings) {
    state->encoder.forward(bertha::Batch(encodings), state->work);
    return bertha::Logits();
  };
}

}  // namespace

Call make_call(const BenchArguments& arguments) {
  const bertha::CallOptions options = {.max_threads = arguments.threads};
  switch (bertha::WeightFile::open(arguments.model).config().head) {
    case HeadKind::sequence_classification: return pipeline_call<bertha::TextClassifier>(arguments, options);
    case HeadKind::token_classification: return pipeline_call<bertha::EntityRecognizer>(arguments, options);
    case HeadKind::question_answering: return pipeline_call<bertha::QuestionAnswerer>(arguments, options);
    case HeadKind::masked_lm: return masks_call(arguments, options);
    case HeadKind::embedding: return pipeline_call<bertha::Embedder>(arguments, options);
    case HeadKind::none:
    case HeadKind::custom: break;
  }
  return encoder_call(arguments, options);
}

std::vector<Encoding> random_encodings(std::size_t batch, std::size_t length, std::size_t vocab_size) {
  std::vector<Encoding> encodings(batch);
  std::uint32_t state = 1;
  for (Encoding& encoding : encodings)
    for (std::size_t i = 0; i < length; ++i) {
      state = state * 1664525u + 1013904223u;
      encoding.ids.push_back(static_cast<std::uint32_t>((state >> 8) % vocab_size));
      encoding.type_ids.push_back(0);
    }
  return encodings;
}

}  // namespace program
