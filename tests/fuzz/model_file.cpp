// A right model file, edited, opened and used. Whatever the edits are, bertha::Error is all that may come out of it.
//
// Input: how to load and from where, then what edited_file reads.

#include "edited_file.hpp"

#include "../support/container_writer.hpp"
#include "input.hpp"

#include <bertha/bertha.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// Uses all of a file, as what its own configuration says. `source` is where it lies, or its bytes.
template <class Source>
void use(bertha::WeightFile file, const Source& source, const bertha::LoadOptions& options) {
  const std::string text = "the cat sat A ab abc. \xC3\xA9";
  const bertha::CallOptions call = {.max_threads = 1};
  switch (file.config().head) {
    case bertha::HeadKind::sequence_classification:
      bertha::TextClassifier::load(source, options).run(text, {.truncation = bertha::Truncation::longest_first}, call);
      break;
    case bertha::HeadKind::token_classification:
      bertha::EntityRecognizer::load(source, options)
          .run(text, {.aggregation_strategy = bertha::AggregationStrategy::simple, .truncation = true}, call);
      break;
    case bertha::HeadKind::question_answering:
      bertha::QuestionAnswerer::load(source, options).run({"the cat", text}, {}, call);
      break;
    case bertha::HeadKind::masked_lm: {
      const auto fill = bertha::FillMask::load(source, options);
      fill.run(text + std::string(fill.mask_token()), {}, call);
      break;
    }
    case bertha::HeadKind::embedding: bertha::Embedder::load(source, options).run(text, {}, call); break;
    case bertha::HeadKind::none:
    case bertha::HeadKind::custom:
      if (options.verify) file.check_crcs();
      const auto tokenizer = bertha::Tokenizer::load(file);
      if (tokenizer.encode(text).size() > file.config().max_length) return;
      const bertha::AnyEncoder encoder(file, file.config());
      bertha::Workspace work;
      work.prepare(call);
      encoder.forward(bertha::Batch(std::vector{tokenizer.encode(text)}), work);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bertha_fuzz::Input input(data, size);
  constexpr bertha::PrecisionKind kPrecisions[] = {bertha::PrecisionKind::float32, bertha::PrecisionKind::bfloat16,
                                                   bertha::PrecisionKind::int8};
  bertha::LoadOptions options = {.precision = input.one_of(kPrecisions)};
  const std::uint32_t how = input.byte();
  options.verify = (how & 1) != 0;
  options.copy = (how & 2) != 0;
  const bool from_path = (how & 28) == 4;  // which takes longer than all else: one in eight
  std::string file;
  try {
    file = bertha_fuzz::edited_file(input);
  } catch (const nlohmann::json::exception&) {
    return 0;  // no JSON for what the edits made
  }
  try {
    if (from_path) {
      const bertha_test::TempFile its(file);
      use(bertha::WeightFile::open(its.path(), {.copy = options.copy}), its.path(), options);
    } else {
      const bertha_test::AlignedBytes bytes(file);
      use(bertha::WeightFile::from_bytes(bytes.span()), bytes.span(), options);
    }
  } catch (const bertha::Error& error) {
    bertha_fuzz::require(!std::string_view(error.what()).empty(), "an error says what is wrong");
  }
  return 0;
}
