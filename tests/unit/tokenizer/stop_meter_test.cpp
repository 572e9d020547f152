#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/tokenizer/stop_meter.hpp>

namespace {

using namespace bertha;

TEST(StopMeter, LooksAtTheStopOnceIn64Kilobytes) {
  std::stop_source source;
  const Stop stop(source.get_token(), {});
  StopMeter meter(stop);
  source.request_stop();
  for (int i = 0; i < 65535; ++i) EXPECT_NO_THROW(meter.pass(1));
  bertha_test::expect_error(ErrorCode::stopped, {"stop token"}, [&] { meter.pass(1); });
  EXPECT_NO_THROW(meter.pass(65535));
  bertha_test::expect_error(ErrorCode::stopped, {"stop token"}, [&] { meter.pass(100000); });
}

}  // namespace
