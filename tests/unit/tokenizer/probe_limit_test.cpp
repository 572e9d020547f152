#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/tokenizer/probe_limit.hpp>

namespace {

using namespace bertha;

TEST(ProbeLimit, EndsALookUpThatPassesTooManySlots) {
  ProbeLimit limit;
  for (int i = 0; i < 1000; ++i) EXPECT_NO_THROW(limit.pass("a table"));
  bertha_test::expect_error(ErrorCode::vocabulary, {"a table", "hashes alike"}, [&] { limit.pass("a table"); });
}

}  // namespace
