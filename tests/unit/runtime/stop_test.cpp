#include <bertha/runtime/stop.hpp>

#include "../../support/expect_error.hpp"

namespace {

using bertha::ErrorCode;
using bertha::Stop;
using bertha_test::expect_error;

const auto now = std::chrono::steady_clock::now();

TEST(Stop, IsNeverUnlessSomebodySaysWhen) {
  EXPECT_NO_THROW(Stop().check());
  EXPECT_NO_THROW(Stop({}, {}).check());
  EXPECT_NO_THROW(Stop({}, now + std::chrono::hours(1)).check());
}

TEST(Stop, ComesWithItsTokenFromThenOn) {
  std::stop_source source;
  const Stop stop(source.get_token(), now + std::chrono::hours(1));
  EXPECT_NO_THROW(stop.check());
  source.request_stop();
  expect_error(ErrorCode::stopped, {"stop token"}, [&] { stop.check(); });
  expect_error(ErrorCode::stopped, {"stop token"}, [&] { Stop(source.get_token(), {}).check(); });
}

TEST(Stop, ComesWithItsDeadline) {
  expect_error(ErrorCode::stopped, {"deadline"}, [&] { Stop({}, now).check(); });
  expect_error(ErrorCode::stopped, {"deadline"}, [&] { Stop(std::stop_source().get_token(), now).check(); });
  expect_error(ErrorCode::stopped, {"deadline"},
               [] { Stop({}, std::chrono::steady_clock::time_point::min()).check(); });
}

}  // namespace
