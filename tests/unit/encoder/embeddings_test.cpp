// What tables of embeddings must have in common; encoder_test.cpp compares what comes of them.

#include <bertha/encoder/embeddings.hpp>
#include <string>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::ErrorCode;
using bertha_test::expect_error;
using bertha_test::ModelWriter;

/// A file of `precision` whose table `changed` is stored in `other`.
ModelWriter mixed(const std::string& precision, const std::string& changed, const std::string& other) {
  bertha_test::TinyOptions options;
  options.precision = precision;
  ModelWriter writer = ModelWriter::tiny(options);
  const std::size_t rows = writer.tensor(changed + ".weight").shape[0];
  std::erase_if(writer.tensors, [&](const auto& tensor) { return tensor.name.starts_with(changed + "."); });
  writer.add_table(changed, writer.random(rows * options.hidden_size), rows, other);
  return writer;
}

template <class P>
void load(const ModelWriter& writer) {
  const bertha_test::AlignedBytes bytes(writer.bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  bertha::Embeddings<P>(file, file.config());
}

TEST(Embeddings, AreRefusedWhenTheirTablesAreOfSeveralTypes) {
  for (const std::string precision : {"float32", "bfloat16", "int8"})
    for (const std::string other : {"float32", "bfloat16", "int8"})
      for (const std::string table : {"embeddings.word", "embeddings.position", "embeddings.token_type"}) {
        SCOPED_TRACE(table + " in " + other + ", others in " + precision);
        const ModelWriter writer = mixed(precision, table, other);
        if (other == precision) {
          EXPECT_NO_THROW(load<bertha::Float32>(writer));
        } else {
          expect_error(ErrorCode::shape, {"embeddings", "one type"}, [&] { load<bertha::Float32>(writer); });
        }
        EXPECT_NO_THROW(load<bertha::Int8>(writer));  // which makes int8 tables of all
      }
}

}  // namespace
