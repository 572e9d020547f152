// What an encoder does with the table of kernels, which in this program is one of its own.

#include <bertha/encoder/encoder.hpp>
#include <stop_token>
#include <vector>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::ErrorCode;
using bertha_test::expect_error;

const bertha::kernels::Table& real() { return bertha::kernels::preferred_table(); }

/// The table of this process: the real one, but for what a test puts in place of a function.
bertha::kernels::Table& table() {
  static bertha::kernels::Table table = real();
  [[maybe_unused]] static const auto& chosen = bertha::kernels::table(&table);
  return table;
}

struct Loaded {
  explicit Loaded(const bertha_test::TinyOptions& options = {})
      : bytes(bertha_test::ModelWriter::tiny(options).bytes()),
        file(bertha::WeightFile::from_bytes(bytes.span())),
        encoder(file, file.config()) {}
  bertha_test::AlignedBytes bytes;
  bertha::WeightFile file;
  bertha::AnyEncoder encoder;
};

// First: a table that was found to be right is not looked at again.
TEST(KernelCalls, OfAFunctionWithOtherBitsThanItMustHaveAreRefusedWhenAModelIsLoaded) {
  table().layer_norm = {[](const bertha::kernels::LayerNormRows& rows) {
                          real().layer_norm(rows);
                          rows.y[0] += 1.0f;
                        },
                        "wrong"};
  expect_error(ErrorCode::self_test, {"layer_norm"}, [] { Loaded(); });
  expect_error(ErrorCode::self_test, {"layer_norm"}, [] { Loaded(); });
  table().layer_norm = real().layer_norm;
  EXPECT_NO_THROW(Loaded());
}

std::size_t product_rows = 0;

TEST(KernelCalls, OfTheLastLayerAreForFirstTokensWhereNoOthersAreRead) {
  table();
  bertha_test::TinyOptions options;
  options.num_hidden_layers = 3;
  const Loaded model(options);
  table().gemm_f32 = {[](const bertha::kernels::GemmF32& product) {
                        real().gemm_f32(product);
                        product_rows += product.rows;
                      },
                      "counting"};
  bertha::Batch batch;
  for (const std::size_t length : {20u, 7u, 1u, 15u}) batch.add(std::vector<std::uint32_t>(length, 5));
  bertha::Workspace work;
  work.prepare({.max_threads = 1});
  const auto rows_of = [&](auto call) {
    product_rows = 0;
    call();
    return product_rows;
  };
  const std::size_t all = rows_of([&] { model.encoder.forward(batch, work); });
  const std::size_t first = rows_of([&] { model.encoder.forward_first(batch, work); });
  // Of each layer a product for each of 3 attention heads, and behind attention three.
  EXPECT_EQ(all, 3 * (3 + 3) * batch.tokens());
  EXPECT_EQ(first, all - 3 * (batch.tokens() - batch.sequences()));
  table().gemm_f32 = real().gemm_f32;
}

int attention_calls = 0;
std::stop_source stopped_by_the_second_call;

TEST(KernelCalls, EndAtTheNextAttentionHeadAfterAStop) {
  table();
  bertha_test::TinyOptions options;
  options.num_attention_heads = 6;
  options.num_hidden_layers = 3;
  const Loaded model(options);
  table().attention_f32 = {[](const bertha::kernels::Attention& attention) {
                             real().attention_f32(attention);
                             if (++attention_calls == 2) stopped_by_the_second_call.request_stop();
                           },
                           "counting"};
  bertha::Batch batch;
  batch.add(std::vector<std::uint32_t>(20, 5));
  bertha::Workspace work;
  work.prepare({.max_threads = 1, .stop_token = stopped_by_the_second_call.get_token()});
  expect_error(ErrorCode::stopped, {"stop token"}, [&] { model.encoder.forward(batch, work); });
  EXPECT_EQ(attention_calls, 2);
  work.prepare({.max_threads = 1});
  model.encoder.forward(batch, work);
  EXPECT_EQ(attention_calls, 2 + 6 * 3);
  table().attention_f32 = real().attention_f32;
}

}  // namespace
